#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Caps on connections, and what is left when they are reached.
namespace sallyport::tests {
namespace {

class limits : public e2e {
  protected:
    [[nodiscard]] std::string refusal_of(const std::string& user) const {
        wire_client c(proxy->port());
        try {
            c.login(login_as(user));
        } catch (const login_refused& e) {
            return e.sqlstate();
        }
        return "";
    }
    /// A client that gets in as soon as those that left no longer count (the fixture's own look at
    /// the port among them).
    [[nodiscard]] wire_client patient(const std::string& user) const {
        std::unique_ptr<wire_client> c;
        EXPECT_TRUE(eventually([&] {
            try {
                c = std::make_unique<wire_client>(proxy->port());
                c->login(login_as(user));
                return true;
            } catch (const std::exception&) {
                return false;
            }
        }));
        return std::move(*c);
    }
};

TEST_F(limits, admins_keep_a_reserve_of_connections) {
    options.limits = "{ connections: 2, admin_reserve: 2 }";
    start();
    const auto first = patient("alice");
    const auto second = patient("bob");

    EXPECT_EQ(refusal_of("alice"), "53300");
    auto admin = patient("root");
    EXPECT_EQ(admin.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(limits, beyond_the_reserve_nobody_gets_in_and_is_told_so_at_once) {
    options.limits = "{ connections: 1, admin_reserve: 1 }";
    start();
    const auto first = patient("alice");
    const auto second = patient("root");

    wire_client third(proxy->port());
    const auto said = third.read_to_end();

    ASSERT_EQ(said.size(), 1U);
    EXPECT_EQ(fields_of(said[0]).at('C'), "53300");
}

TEST_F(limits, a_cancel_finds_its_way_when_every_connection_is_taken) {
    options.limits = "{ connections: 1, admin_reserve: 1 }";
    start();
    auto c = patient("alice");
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(eventually([&] {
        return direct(
                   "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' "
                   "AND state = 'active' AND pid <> pg_backend_pid()") == "1";
    }));

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

TEST_F(limits, a_session_that_ended_makes_room) {
    options.limits = "{ connections: 1, admin_reserve: 0 }";
    start();
    {
        const auto first = patient("alice");
        EXPECT_EQ(wire_client(proxy->port()).read_to_end().size(), 1U);
    }

    EXPECT_EQ(patient("alice").ask("SELECT 1").types(), "TDCZ");
}

}  // namespace
}  // namespace sallyport::tests
