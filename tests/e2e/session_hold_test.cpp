#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Targets whose very session is sensitive, and statements of the extended protocol that are held.
namespace sallyport::tests {
namespace {

class session_hold : public e2e {
  protected:
    void approve_payroll(std::uint64_t id) const {
        approve(id, "carol");
        approve(id, "dave");
    }
    /// The policy with one approval for payroll, for tests that are not about their number.
    static std::string one_approval() {
        std::string text = example_policy();
        const std::string from = "approvals: 2 }";
        return text.replace(text.find(from), from.size(), "approvals: 1 }");
    }
};

TEST_F(session_hold, psql_waits_at_the_door_and_works_after_two_approvals) {
    start();
    psql_session s(psql_as("alice", "hr"));
    s.send("SELECT salary FROM payroll WHERE person = 'Ada'");
    ASSERT_TRUE(s.shows("waits for approval"));
    const auto id = pending_hold_of("alice", "carol");

    approve(id, "carol");
    EXPECT_EQ(state_of_hold(id, "carol"), "pending") << "one of two is not enough";
    approve(id, "dave");

    const auto a = s.finish();
    EXPECT_EQ(a.sqlstate, "00000") << a.text;
    EXPECT_NE(a.text.find("100"), std::string::npos);
}

TEST_F(session_hold, same_approver_twice_counts_once) {
    start();
    psql_session s(psql_as("alice", "hr"));
    const auto id = pending_hold_of("alice", "carol");

    approve(id, "carol");
    static_cast<void>(api("carol").post("/api/v1/holds/" + std::to_string(id) + "/approve",
                                        R"({"reason":"again"})"));

    EXPECT_EQ(state_of_hold(id, "carol"), "pending");
}

TEST_F(session_hold, no_upstream_connection_exists_before_the_approval) {
    start_with_policy(one_approval());
    psql_session s(psql_as("alice", "hr"));
    static_cast<void>(pending_hold_of("alice", "carol"));

    EXPECT_EQ(upstream_sessions(), 0);
}

TEST_F(session_hold, authentication_ends_before_the_wait_and_the_key_is_sent) {
    start_with_policy(one_approval());
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));

    const auto notice = fields_of(c.read_until('N'));

    EXPECT_NE(notice.at('M').find("rule payroll-sessions"), std::string::npos);
    EXPECT_NE(c.backend_pid(), 0u) << "without a key Ctrl-C cannot withdraw";
}

TEST_F(session_hold, cancel_at_the_door_withdraws) {
    start_with_policy(one_approval());
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));
    static_cast<void>(c.read_until('N'));
    const auto id = pending_hold_of("alice", "carol");

    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "57014");
    EXPECT_TRUE(eventually([&] { return state_of_hold(id, "carol") == "withdrawn"; }));
}

TEST_F(session_hold, denial_at_the_door_is_fatal_and_gives_the_reason) {
    start_with_policy(one_approval());
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));
    static_cast<void>(c.read_until('N'));

    deny(pending_hold_of("alice", "carol"), "ask your manager", "carol");

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    const auto e = fields_of(rest.back());
    EXPECT_EQ(e.at('S'), "FATAL");
    EXPECT_EQ(e.at('C'), "42501");
    EXPECT_NE((e.at('M') + e.at('D')).find("ask your manager"), std::string::npos);
}

TEST_F(session_hold, killed_client_withdraws_at_the_door) {
    start_with_policy(one_approval());
    psql_session s(psql_as("alice", "hr"));
    const auto id = pending_hold_of("alice", "carol");

    s.kill();

    EXPECT_TRUE(eventually([&] { return state_of_hold(id, "carol") == "withdrawn"; }));
}

TEST_F(session_hold, query_sent_before_the_release_waits_and_is_answered_after_it) {
    start_with_policy(one_approval());
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));
    c.send(wire::query("SELECT 'early'"));
    static_cast<void>(c.read_until('N'));

    approve(pending_hold_of("alice", "carol"), "carol");

    static_cast<void>(c.read_until('Z'));
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "early");
}

class extended_hold : public e2e {
  protected:
    [[nodiscard]] std::uint64_t held(wire_client& c) const {
        static_cast<void>(c.read_until('N'));
        return pending_hold_of("alice");
    }
};

TEST_F(extended_hold, execution_waits_and_runs_after_the_approval) {
    start();
    auto c = client_as("alice");
    c.send(wire::parse("s", "SELECT ssn FROM customers WHERE id = $1") +
           wire::bind("", "s", {"1"}) + wire::describe('P', "") + wire::execute("") + wire::sync());

    approve(held(c));
    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "");
    EXPECT_EQ(x.rows.at(0).at(0), held_value);
    EXPECT_EQ(x.types(), "12TDCZ");
}

TEST_F(extended_hold, approver_sees_the_bound_values) {
    start();
    auto c = client_as("alice");
    c.send(wire::parse("", "SELECT ssn FROM customers WHERE name = $1") +
           wire::bind("", "", {"Grace"}) + wire::execute("") + wire::sync());
    static_cast<void>(held(c));

    const auto h = holds("pending").at(0);

    EXPECT_NE(h.value("parameters", nlohmann::json()).dump().find("Grace"), std::string::npos);
}

TEST_F(extended_hold, every_execution_of_a_prepared_statement_is_decided_anew) {
    start();
    auto c = client_as("alice");
    c.send(wire::parse("s", held_sql) + wire::bind("", "s") + wire::execute("") + wire::sync());
    approve(held(c));
    ASSERT_EQ(c.read_exchange().sqlstate(), "");

    c.send(wire::bind("", "s") + wire::execute("") + wire::sync());

    EXPECT_NE(held(c), 0u);
}

TEST_F(extended_hold, earlier_execution_of_the_same_batch_takes_no_locks_while_it_waits) {
    start();
    auto c = client_as("alice");
    c.send(wire::once("INSERT INTO ledger VALUES (1, 'first')") + wire::once(held_sql) +
           wire::sync());
    const auto id = held(c);

    EXPECT_EQ(direct("SELECT count(*) FROM pg_locks l JOIN pg_class r ON r.oid = l.relation "
                     "WHERE r.relname = 'ledger' AND l.mode = 'RowExclusiveLock'"),
              "0");
    deny(id, "no");
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0") << "what came before must not commit";
}

TEST_F(extended_hold, pipeline_of_three_batches_with_a_hold_in_the_middle_keeps_its_order) {
    start();
    auto c = client_as("alice");
    c.send(wire::once("SELECT 'one'") + wire::sync() + wire::once(held_sql) + wire::sync() +
           wire::once("SELECT 'three'") + wire::sync());
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "one");

    approve(held(c));

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "three");
}

TEST_F(extended_hold, batch_that_only_flushes_is_held_and_answered) {
    start();
    auto c = client_as("alice");
    c.send(wire::once(held_sql) + wire::flush());

    approve(held(c));

    EXPECT_EQ(c.read_until('C').type, 'C');
    c.send(wire::sync());
    EXPECT_EQ(c.read_exchange().types(), "Z");
}

TEST_F(extended_hold, deadline_skips_to_sync_as_the_server_does) {
    std::string policy = example_policy();
    policy.replace(policy.find("wait: 60s"), 9, "wait: 1s");
    start_with_policy(policy);
    auto c = client_as("alice");
    c.send(wire::once(held_sql) + wire::once("INSERT INTO ledger VALUES (2, 'skipped')") +
           wire::sync() + wire::once("SELECT 'next batch'") + wire::sync());

    const auto first = c.read_exchange();

    EXPECT_EQ(first.sqlstate(), "SP002");
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "next batch");
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
}

}  // namespace
}  // namespace sallyport::tests
