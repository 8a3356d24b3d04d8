#include "proxy/catalog/budget.h"

#include <gtest/gtest.h>

namespace sallyport::proxy::catalog {
namespace {

using namespace std::chrono_literals;

class catalog_budget : public testing::Test {
  protected:
    /// How often one may run in `span`, looking every millisecond.
    int runs_in(std::chrono::milliseconds span, std::chrono::microseconds cost) {
        int n = 0;
        for (const auto end = now + span; now < end; now += 1ms) {
            if (!b.available(now)) continue;
            ++n;
            b.spend(cost, now);
        }
        return n;
    }
    budget b;
    budget::clock::time_point now{1h};
};

TEST_F(catalog_budget, bursts_to_some_tens_of_runs) {
    const int n = runs_in(40ms, 5ms);
    EXPECT_GE(n, 29);
    EXPECT_LE(n, 32);
    EXPECT_FALSE(b.available(now));
}

TEST_F(catalog_budget, takes_a_twentieth_of_the_time_in_the_long_run) {
    (void)runs_in(100ms, 5ms);
    const int n = runs_in(10s, 5ms);
    EXPECT_GE(n, 95);
    EXPECT_LE(n, 101);
}

TEST_F(catalog_budget, says_when_the_next_run_may_begin) {
    (void)runs_in(100ms, 5ms);
    ASSERT_FALSE(b.available(now));
    EXPECT_FALSE(b.available(b.available_at(now) - 2ms));
    EXPECT_TRUE(b.available(b.available_at(now)));
    EXPECT_LE(b.available_at(now) - now, 105ms);
    EXPECT_EQ(b.available_at(now + 1h), now + 1h);
}

TEST_F(catalog_budget, saves_no_more_than_a_burst) {
    (void)runs_in(100ms, 5ms);
    now += 24h;
    EXPECT_LE(runs_in(40ms, 5ms), 32);
}

TEST_F(catalog_budget, hiccup_of_the_machine_does_not_take_all) {
    b.spend(1ms, now);
    b.spend(20ms, now);
    EXPECT_TRUE(b.available(now));
}

TEST_F(catalog_budget, runs_that_became_expensive_are_paid_for) {
    b.spend(1ms, now);
    for (int i = 0; i < 100; ++i)
        b.spend(2s, now);
    EXPECT_FALSE(b.available(now + 20s));
}

TEST_F(catalog_budget, run_that_was_worth_it_gives_back_the_burst) {
    (void)runs_in(100ms, 5ms);
    ASSERT_FALSE(b.available(now));
    b.refill(now);
    const int n = runs_in(29ms, 5ms);
    EXPECT_EQ(n, 29);
}

}  // namespace
}  // namespace sallyport::proxy::catalog
