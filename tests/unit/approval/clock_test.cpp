#include "proxy/clock.h"

#include <atomic>

#include <gtest/gtest.h>

/// UTC that is set, and what the proxy makes of it.
namespace sallyport::proxy {
namespace {

using namespace std::chrono_literals;

std::atomic<std::int64_t> utc{0};
std::atomic<std::int64_t> elapsed{0};

class set_clock : public ::testing::Test {
  protected:
    set_clock() {
        utc = 1'772'357'400'000;
        elapsed = 77;
    }
    static void pass(policy::milliseconds by) {
        utc += by.count();
        elapsed += by.count();
    }
    static void set(policy::milliseconds by) { utc += by.count(); }
    const policy::instant start{policy::milliseconds(1'772'357'400'000)};
};

TEST_F(set_clock, back_goes_on_by_what_has_gone_by) {
    const system_clock c([]() noexcept { return utc.load(); },
                         []() noexcept { return elapsed.load(); });
    pass(10min);
    EXPECT_EQ(c.now(), start + 10min);
    set(-3h);
    EXPECT_EQ(c.now(), start + 10min);
    pass(5min);
    EXPECT_EQ(c.now(), start + 15min);
}

TEST_F(set_clock, forward_and_back_again_does_not_stand_still) {
    const system_clock c([]() noexcept { return utc.load(); },
                         []() noexcept { return elapsed.load(); });
    set(1h);
    EXPECT_EQ(c.now(), start + 1h);
    set(-1h);
    pass(10min);
    EXPECT_EQ(c.now(), start + 70min);
    pass(2h);
    EXPECT_EQ(c.now(), start + 190min);
}

TEST_F(set_clock, goes_on_from_the_record_of_an_earlier_run) {
    system_clock c([]() noexcept { return utc.load(); }, []() noexcept { return elapsed.load(); });
    c.not_before(start - 1h);
    EXPECT_EQ(c.now(), start);
    c.not_before(start + 2h);
    EXPECT_EQ(c.now(), start + 2h);
    pass(1min);
    EXPECT_EQ(c.now(), start + 2h + 1min);
}

}  // namespace
}  // namespace sallyport::proxy
