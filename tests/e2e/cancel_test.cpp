#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// CancelRequest, by key.
namespace sallyport::tests {
namespace {

class cancel : public e2e {
  protected:
    void SetUp() override { start(); }
    [[nodiscard]] bool sleeping(int sessions = 1) const {
        return eventually([&] {
            return direct(
                       "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                       "datname = current_database()") == std::to_string(sessions);
        });
    }
};

TEST_F(cancel, running_statement_ends_with_57014_and_the_session_lives) {
    auto c = client_as("alice");
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(sleeping());

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(cancel, psql_ctrl_c_ends_a_running_statement) {
    psql_session s(psql_as("alice"));
    s.send("SELECT pg_sleep(60)");
    ASSERT_TRUE(sleeping());

    s.interrupt();

    EXPECT_EQ(s.finish().sqlstate, "57014");
    EXPECT_EQ(s.ask("SELECT 'alive'").text, "alive");
}

TEST_F(cancel, psql_ctrl_c_withdraws_a_held_statement_and_the_session_lives) {
    psql_session s(psql_as("alice"));
    s.send(held_sql);
    const auto id = pending_hold_of("alice");

    s.interrupt();

    EXPECT_EQ(s.finish().sqlstate, "57014");
    EXPECT_TRUE(hold_becomes(id, "withdrawn"));
    EXPECT_EQ(s.ask("SELECT 'alive'").text, "alive");
}

TEST_F(cancel, held_statement_in_a_transaction_aborts_it) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN; INSERT INTO ledger VALUES (1, 'before')").status, 'T');
    c.send(wire::query(held_sql));
    static_cast<void>(c.read_until('N'));

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());
    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "57014");
    EXPECT_EQ(x.status, 'E');
    EXPECT_EQ(c.ask("COMMIT").tags.at(0), "ROLLBACK");
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
}

TEST_F(cancel, wrong_secret_cancels_nothing) {
    auto c = client_as("alice");
    c.send(wire::query("SELECT pg_sleep(1), 'finished'"));
    ASSERT_TRUE(sleeping());

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret() ^ 1U);

    EXPECT_EQ(c.read_exchange().rows.at(0).at(1), "finished");
}

TEST_F(cancel, key_of_one_session_does_not_touch_another) {
    auto mine = client_as("alice");
    auto other = client_as("alice");
    mine.send(wire::query("SELECT pg_sleep(60)"));
    other.send(wire::query("SELECT pg_sleep(2), 'finished'"));
    ASSERT_TRUE(sleeping(2));

    send_cancel(proxy->port(), mine.backend_pid(), mine.backend_secret());

    EXPECT_EQ(mine.read_exchange().sqlstate(), "57014");
    EXPECT_EQ(other.read_exchange().rows.at(0).at(1), "finished");
}

TEST_F(cancel, key_of_a_session_that_has_ended_is_worthless) {
    std::uint32_t pid = 0;
    std::uint32_t secret = 0;
    {
        auto c = client_as("alice");
        pid = c.backend_pid();
        secret = c.backend_secret();
        c.send(wire::terminate());
        static_cast<void>(c.read_to_end());
    }

    EXPECT_NO_THROW(send_cancel(proxy->port(), pid, secret));
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(cancel, idle_session_is_not_disturbed_by_its_cancel) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.ask("SELECT 2").rows.at(0).at(0), "2");
}

}  // namespace
}  // namespace sallyport::tests
