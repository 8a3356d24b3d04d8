#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>

#include <gtest/gtest.h>

#include "tests/differential/arena.h"
#include "tests/support/eventually.h"
#include "tests/support/seed.h"

/// Random sequences, played against PostgreSQL directly and through Sallyport.
namespace sallyport::tests::differential {
namespace {

struct settings {
    std::uint64_t seed = first_seed();
    std::uint64_t count = 0;  ///< per test; 0: until the time is up
    unsigned seconds = 15;    ///< per test; 0: until the count is reached
    unsigned lanes = 3;
    unsigned faults_max = 3;  ///< differences that are shown before the test gives up
    bool show = false;        ///< print the sequence of the seed, do not play it
} options;

constexpr milliseconds deadline = patience;
constexpr milliseconds shrinking_deadline{3'000};

class contest {
  public:
    explicit contest(policy_kind kind) : kind_(kind), arena_(kind, options.lanes) {}

    void run() {
        const auto started = std::chrono::steady_clock::now();
        end_ = started + std::chrono::seconds(options.seconds == 0 ? 1u << 20 : options.seconds);
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < options.lanes; ++i)
            threads.emplace_back([this, i] { work(i); });
        for (auto& t : threads)
            t.join();
        const auto seconds =
            std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
        const auto played = played_.load();
        std::printf(
            "%llu sequences from seed %llu, %llu messages, %llu given up, %.0f s, "
            "%.0f sequences/s\n",
            static_cast<unsigned long long>(played), static_cast<unsigned long long>(options.seed),
            static_cast<unsigned long long>(messages_.load()),
            static_cast<unsigned long long>(lost_.load()), seconds,
            static_cast<double>(played) / seconds);
        const auto crashes = arena_.crashes().size();
        if (crashes != 0)
            std::printf("PostgreSQL itself crashed %zu times, with no proxy before it\n", crashes);
        EXPECT_GT(played, 0u);
        EXPECT_LE(crashes, 2 + played / 2'000) << "too many to prove anything";
        EXPECT_LE(lost_.load(), 3 + played / 100) << "too many sessions given up to prove anything";
    }

  private:
    [[nodiscard]] bool goes_on() const {
        return faults_ < options.faults_max && std::chrono::steady_clock::now() < end_ &&
               (options.count == 0 || next_ < options.count);
    }

    // A sequence under which PostgreSQL itself falls compares nothing, and takes the sessions of
    // all lanes with it: each begins anew behind it.
    void work(unsigned number) {
        std::size_t crashes = 0;
        do {
            std::uint64_t at = 0;
            try {
                const auto l = begun(number);
                crashes = arena_.crashes().size();
                play_on(*l, at, crashes);
            } catch (const std::exception& e) {
                if (!crashed_since(crashes))
                    fault("lane " + std::to_string(number) + " at seed " + std::to_string(at) +
                          ": " + e.what() + "\n--- the server's log\n" + arena_.server_log());
                crashes = arena_.crashes().size();
            }
        } while (goes_on());
    }

    // After a crash the server needs a moment. Errors: throws what the last attempt did.
    std::unique_ptr<lane> begun(unsigned number) {
        for (const auto until = std::chrono::steady_clock::now() + deadline;;) {
            try {
                auto l = std::make_unique<lane>(arena_, number);
                if (const auto why = l->compare_logins()) fault(*why);
                return l;
            } catch (const std::exception&) {
                if (std::chrono::steady_clock::now() >= until) throw;
            }
            std::this_thread::sleep_for(milliseconds{100});
        }
    }

    void play_on(lane& l, std::uint64_t& at, std::size_t crashes) {
        std::vector<std::uint64_t> history;  // sequences since the newest connection
        while (faults_ < options.faults_max && std::chrono::steady_clock::now() < end_) {
            const auto index = next_.fetch_add(1);
            if (options.count != 0 && index >= options.count) break;
            const auto s = generate(options.seed + index, kind_);
            if (s.fresh) history.clear();
            history.push_back(s.seed);
            at = s.seed;
            const auto why = l.play(s, deadline);
            if (why && crashed_since(crashes)) break;
            ++played_;
            messages_ += s.steps.size();
            if (why) {
                report(l, s, *why, history);
                history.clear();
            } else if (s.closes || s.half_closes) {
                history.clear();
            }
        }
        lost_ += l.lost();
    }

    // PostgreSQL crashed beside `known` times, and under nothing that came through Sallyport. It
    // says so a little after its sessions are gone.
    bool crashed_since(std::size_t known) {
        std::vector<bool> all;
        if (!eventually([&] { return (all = arena_.crashes()).size() > known; },
                        milliseconds{2'000}))
            return false;
        return std::all_of(all.begin() + static_cast<std::ptrdiff_t>(known), all.end(),
                           [](bool direct) { return direct; });
    }

    void report(lane& l, const sequence& s, const std::string& why,
                const std::vector<std::uint64_t>& history) {
        auto alone = s;
        alone.fresh = true;
        std::string text = "seed " + std::to_string(s.seed) + ": ";
        if (const auto again = l.play(alone, deadline)) {
            const auto small = l.smaller(alone, shrinking_deadline);
            const auto still = l.play(small, shrinking_deadline);
            text += still.value_or(*again) + "made smaller:\n" + describe(small);
        } else {
            text += why + describe(s) +
                    "It does not differ on a connection of its own; those before it there:";
            for (const auto seed : history)
                text += " " + std::to_string(seed);
        }
        fault(text);
    }

    void fault(const std::string& text) {
        const std::lock_guard lock(mutex_);
        ++faults_;
        ADD_FAILURE() << text;
    }

    policy_kind kind_;
    arena arena_;
    std::chrono::steady_clock::time_point end_;
    std::atomic<std::uint64_t> next_{0};
    std::atomic<std::uint64_t> played_{0};
    std::atomic<std::uint64_t> messages_{0};
    std::atomic<std::uint64_t> lost_{0};
    std::atomic<unsigned> faults_{0};
    std::mutex mutex_;
};

void show_or_run(policy_kind kind) {
    if (options.show)
        std::printf("%s", describe(generate(options.seed, kind)).c_str());
    else
        contest(kind).run();
}

TEST(differential, allowed_sequences_get_the_server_s_replies_byte_for_byte) {
    show_or_run(policy_kind::allow_all);
}

TEST(differential, refused_statements_have_the_fate_of_a_server_s_error) {
    show_or_run(policy_kind::deny_forbidden);
}

bool read_option(std::string_view argument) {
    const auto number = [&](std::string_view name, auto& into) {
        if (!argument.starts_with(name)) return false;
        into = static_cast<std::remove_reference_t<decltype(into)>>(
            std::strtoull(argument.data() + name.size(), nullptr, 10));
        return true;
    };
    if (argument == "--show") return options.show = true;
    return number("--seed=", options.seed) || number("--count=", options.count) ||
           number("--seconds=", options.seconds) || number("--lanes=", options.lanes) ||
           number("--faults=", options.faults_max);
}

}  // namespace
}  // namespace sallyport::tests::differential

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    for (int i = 1; i < argc; ++i) {
        if (sallyport::tests::differential::read_option(argv[i])) continue;
        std::fprintf(stderr,
                     "unknown option %s (known: --seed=N --count=N --seconds=N --lanes=N "
                     "--faults=N --show, and those of GoogleTest)\n",
                     argv[i]);
        return 2;
    }
    std::printf("seed %llu\n",
                static_cast<unsigned long long>(sallyport::tests::differential::options.seed));
    return RUN_ALL_TESTS();
}
