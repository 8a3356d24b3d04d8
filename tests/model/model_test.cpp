#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/model/world.h"

/// The whole life of holds, approvals and opt-outs against a simple oracle.
///
///     model_test [--seed=N] [--count=N] [--seconds=N] [--steps=N]
namespace sallyport::model {
namespace {

struct options {
    std::uint64_t seed = std::getenv("CI") != nullptr ? 1 : std::random_device{}();
    std::uint64_t count = 0;  ///< runs; 0: as long as the seconds last
    std::int64_t seconds = 20;
    int steps = 400;  ///< of one run
};
options given;

bool read_option(const char* text) {
    const auto value = [&](const char* name) -> const char* {
        const auto length = std::strlen(name);
        return std::strncmp(text, name, length) == 0 ? text + length : nullptr;
    };
    if (const auto* v = value("--seed="))
        given.seed = std::strtoull(v, nullptr, 10);
    else if (const auto* c = value("--count="))
        given.count = std::strtoull(c, nullptr, 10);
    else if (const auto* s = value("--seconds="))
        given.seconds = std::strtoll(s, nullptr, 10);
    else if (const auto* n = value("--steps="))
        given.steps = std::atoi(n);
    else
        return false;
    return true;
}

using clock_point = std::chrono::steady_clock::time_point;

void run(std::uint64_t seed, clock_point end, std::uint64_t& passed, std::uint64_t& crashes) {
    world w(seed);
    for (int i = 1; i <= given.steps && !testing::Test::HasFailure(); ++i) {
        w.step();
        if (testing::Test::HasFailure()) break;
        if (i % 25 == 0) w.compare();
        if (i % 100 == 50) w.melee();
        if (i % 100 == 0) w.stampede();
        if (i % 200 == 0) w.audit(false);
        // Where all is slow, a life that is cut short is enough.
        if (i % 50 == 0 && given.count == 0 && std::chrono::steady_clock::now() > end) break;
    }
    if (!testing::Test::HasFailure()) w.compare();
    if (!testing::Test::HasFailure()) w.audit(false);
    passed += w.passed;
    crashes += w.crashes;
}

TEST(model, random_lives_agree_with_the_oracle) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(given.seconds);
    std::uint64_t runs = 0;
    std::uint64_t passed = 0;
    std::uint64_t crashes = 0;
    while (given.count != 0 ? runs < given.count : std::chrono::steady_clock::now() < end) {
        const auto seed = given.seed + runs++;
        SCOPED_TRACE("replay with --seed=" + std::to_string(seed) + " --count=1");
        run(seed, end, passed, crashes);
        if (HasFailure()) break;
    }
    std::printf("%llu runs, %llu let through, %llu crashes\n",
                static_cast<unsigned long long>(runs), static_cast<unsigned long long>(passed),
                static_cast<unsigned long long>(crashes));
    if (given.count == 0 && given.seconds >= 10) {
        EXPECT_GT(passed, 0u) << "nothing was let through: nothing was shown";
    }
}

}  // namespace
}  // namespace sallyport::model

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    for (int i = 1; i < argc; ++i) {
        if (sallyport::model::read_option(argv[i])) continue;
        std::fprintf(stderr,
                     "unknown option %s (known: --seed=N --count=N --seconds=N --steps=N, and "
                     "those of GoogleTest)\n",
                     argv[i]);
        return 2;
    }
    std::printf("seed %llu\n", static_cast<unsigned long long>(sallyport::model::given.seed));
    return RUN_ALL_TESTS();
}
