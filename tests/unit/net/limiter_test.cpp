#include "proxy/net/limiter.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sallyport::proxy::net {
namespace {

using ticket = connection_limiter::ticket;
using refusal = connection_limiter::refusal;
using policy::instant;
using policy::milliseconds;

bool admitted(const std::variant<ticket, refusal>& r) {
    return std::holds_alternative<ticket>(r);
}

TEST(connection_limiter_test, connections_above_the_cap_are_refused_until_one_ends) {
    connection_limiter limiter({2, 0, 0, 0});
    auto a = limiter.admit("10.0.0.1");
    auto b = limiter.admit("10.0.0.2");

    const auto refused = limiter.admit("10.0.0.3");

    ASSERT_FALSE(admitted(refused));
    EXPECT_EQ(std::get<refusal>(refused).text, "too many connections (limit 2)");
    a = refusal{};
    EXPECT_TRUE(admitted(limiter.admit("10.0.0.3")));
}

TEST(connection_limiter_test, the_reserve_is_admitted_and_known_as_such) {
    connection_limiter limiter({.connections = 1, .reserve = 1});
    const auto a = limiter.admit("10.0.0.1");
    EXPECT_FALSE(limiter.in_reserve());
    auto b = limiter.admit("10.0.0.2");
    ASSERT_TRUE(admitted(b));
    EXPECT_TRUE(limiter.in_reserve());

    EXPECT_FALSE(admitted(limiter.admit("10.0.0.3")));
    b = refusal{};
    EXPECT_FALSE(limiter.in_reserve());
}

TEST(connection_limiter_test, one_address_cannot_take_what_others_need) {
    connection_limiter limiter({100, 2, 0, 0});
    const auto a = limiter.admit("10.0.0.1");
    const auto b = limiter.admit("10.0.0.1");

    EXPECT_FALSE(admitted(limiter.admit("10.0.0.1")));
    EXPECT_TRUE(admitted(limiter.admit("10.0.0.2")));
}

TEST(connection_limiter_test, login_gives_back_the_unauthenticated_share) {
    connection_limiter limiter({100, 0, 100, 1});
    auto a = limiter.admit("10.0.0.1");
    EXPECT_FALSE(admitted(limiter.admit("10.0.0.1")));

    std::get<ticket>(a).authenticated();
    std::get<ticket>(a).authenticated();

    EXPECT_EQ(limiter.now().unauthenticated, 0u);
    EXPECT_EQ(limiter.now().connections, 1u);
    EXPECT_TRUE(admitted(limiter.admit("10.0.0.1")));
}

TEST(connection_limiter_test, moved_ticket_counts_once) {
    connection_limiter limiter({});
    {
        auto a = limiter.admit("10.0.0.1");
        ticket t = std::move(std::get<ticket>(a));
        ticket u;
        u = std::move(t);
        EXPECT_EQ(limiter.now().connections, 1u);
    }
    EXPECT_EQ(limiter.now().connections, 0u);
    EXPECT_EQ(limiter.now().unauthenticated, 0u);
    EXPECT_EQ(limiter.now().addresses, 0u);
}

TEST(connection_limiter_test, ipv6_addresses_of_one_network_count_as_one) {
    connection_limiter limiter({100, 1, 0, 0});
    const auto a = limiter.admit("2001:db8:1:2::1");

    EXPECT_FALSE(admitted(limiter.admit("2001:db8:1:2:ffff::9")));
    EXPECT_TRUE(admitted(limiter.admit("2001:db8:1:3::1")));
}

TEST(connection_limiter_test, counts_are_right_after_many_threads) {
    connection_limiter limiter({50, 0, 50, 0});
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            for (int k = 0; k < 2000; ++k) {
                auto a = limiter.admit("10.0.0." + std::to_string(i));
                if (auto* t = std::get_if<ticket>(&a); t != nullptr && k % 2 == 0)
                    t->authenticated();
            }
        });
    for (auto& t : threads)
        t.join();

    EXPECT_EQ(limiter.now().connections, 0u);
    EXPECT_EQ(limiter.now().unauthenticated, 0u);
    EXPECT_EQ(limiter.now().addresses, 0u);
}

instant at(std::int64_t ms) {
    return instant(milliseconds(ms));
}

TEST(failure_limiter_test, guesses_beyond_the_burst_must_wait_and_time_gives_them_back) {
    failure_limiter limiter({3, milliseconds(1000), 100, milliseconds(10), 100});
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(0)).count(), 0);
        limiter.failed("10.0.0.1", "alice", at(0));
    }

    EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(0)).count(), 1000);
    EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(400)).count(), 600);
    EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(1000)).count(), 0);
}

TEST(failure_limiter_test, nobody_is_locked_out_by_guesses_from_elsewhere) {
    failure_limiter limiter({2, milliseconds(1000), 100, milliseconds(10), 100});
    for (int i = 0; i < 10; ++i)
        limiter.failed("10.0.0.1", "alice", at(0));

    EXPECT_EQ(limiter.retry_after("10.0.0.2", "alice", at(0)).count(), 0);
    EXPECT_EQ(limiter.retry_after("10.0.0.1", "bob", at(0)).count(), 0);
}

TEST(failure_limiter_test, address_that_tries_many_names_must_wait) {
    failure_limiter limiter({10, milliseconds(1000), 5, milliseconds(500), 100});
    for (int i = 0; i < 5; ++i)
        limiter.failed("10.0.0.1", "user" + std::to_string(i), at(0));

    EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(0)).count(), 500);
}

TEST(failure_limiter_test, good_login_forgives_the_pair_only) {
    failure_limiter limiter({1, milliseconds(1000), 2, milliseconds(1000), 100});
    limiter.failed("10.0.0.1", "alice", at(0));
    EXPECT_GT(limiter.retry_after("10.0.0.1", "alice", at(0)).count(), 0);

    limiter.succeeded("10.0.0.1", "alice");

    EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(0)).count(), 0);
    limiter.failed("10.0.0.1", "bob", at(0));
    EXPECT_GT(limiter.retry_after("10.0.0.1", "carol", at(0)).count(), 0);
}

TEST(failure_limiter_test, table_is_bounded_and_the_address_stays_in_it) {
    failure_limiter limiter({1, milliseconds(1000), 10, milliseconds(1000), 16});
    for (int i = 0; i < 1000; ++i)
        limiter.failed("10.0.0.1", "user" + std::to_string(i), at(0));

    EXPECT_LE(limiter.entries(), 16u);
    EXPECT_GT(limiter.retry_after("10.0.0.1", "anybody", at(0)).count(), 0);
}

TEST(failure_limiter_test, clock_that_steps_back_gives_nothing) {
    failure_limiter limiter({1, milliseconds(1000), 10, milliseconds(1000), 16});
    limiter.failed("10.0.0.1", "alice", at(10'000));

    EXPECT_EQ(limiter.retry_after("10.0.0.1", "alice", at(0)).count(), 1000);
}

}  // namespace
}  // namespace sallyport::proxy::net
