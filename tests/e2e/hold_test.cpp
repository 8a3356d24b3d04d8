#include <csignal>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// What waits, and how it ends.
namespace sallyport::tests {
namespace {

class hold : public e2e {
  protected:
    /// Sends and waits for the notice that it is held; its fields.
    static std::map<char, std::string> send_held(wire_client& c, const std::string& bytes) {
        c.send(bytes);
        return fields_of(c.read_until('N'));
    }
    /// The example policy with another `wait`, or other words after it, for what is held.
    static std::string policy_with(const std::string& from, const std::string& to) {
        std::string text = example_policy();
        const auto at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        return text.replace(at, from.size(), to);
    }
    /// The number in a notice: "… hold 7, rule …".
    [[nodiscard]] static std::uint64_t number_in(const std::map<char, std::string>& notice) {
        const auto& text = notice.at('M');
        const auto at = text.find("hold ");
        EXPECT_NE(at, std::string::npos) << text;
        return at == std::string::npos ? 0 : std::stoull(text.substr(at + 5));
    }
};

TEST_F(hold, notice_names_number_rule_and_who_can_approve) {
    start();
    auto c = client_as("alice");

    const auto fields = send_held(c, wire::query(held_sql));

    EXPECT_EQ(number_in(fields), pending_hold_of("alice"));
    EXPECT_NE(fields.at('M').find("rule pii-needs-approval"), std::string::npos);
    const std::string all = fields.at('M') + fields.at('D') + fields.at('H');
    EXPECT_NE(all.find("security"), std::string::npos) << all;
}

TEST_F(hold, approver_sees_the_whole_statement_who_asks_and_what_it_touches) {
    start();
    auto c = client_as("alice");
    const std::string sql =
        std::string(held_sql) + " AND name = '" + std::string(20'000, 'x') + "'";
    send_held(c, wire::query(sql));
    static_cast<void>(pending_hold_of("alice"));

    const auto h = holds("pending").at(0);

    EXPECT_EQ(h.value("statement", ""), sql);
    EXPECT_EQ(h.value("user", ""), "alice");
    EXPECT_NE(h.value("touches", nlohmann::json()).dump().find("customers"), std::string::npos);
}

TEST_F(hold, simple_statement_runs_once_another_person_approves) {
    start();
    auto c = client_as("alice");
    send_held(c, wire::query(held_sql));

    approve(pending_hold_of("alice"));
    const auto x = c.read_exchange();

    EXPECT_EQ(x.types(), "TDCZ");
    EXPECT_EQ(x.rows.at(0).at(0), held_value);
    EXPECT_EQ(holds("approved").size(), 1u);
}

TEST_F(hold, nothing_reaches_the_server_before_the_approval) {
    start();
    auto c = client_as("alice");

    send_held(c, wire::query("UPDATE customers SET ssn = 'gone' WHERE id = 1"));
    static_cast<void>(pending_hold_of("alice"));

    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
    EXPECT_EQ(direct("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND query LIKE "
                     "'UPDATE customers%'"),
              "0");
}

TEST_F(hold, approval_covers_this_statement_and_not_the_next) {
    start();
    auto c = client_as("alice");
    send_held(c, wire::query(held_sql));
    approve(pending_hold_of("alice"));
    ASSERT_EQ(c.read_exchange().types(), "TDCZ");

    const auto again = send_held(c, wire::query(held_sql));

    EXPECT_NE(number_in(again), 0u);
}

TEST_F(hold, approval_of_the_shape_covers_other_literals_but_not_other_statements) {
    start();
    auto c = client_as("alice");
    send_held(c, wire::query("SELECT ssn FROM customers WHERE id = 1"));
    approve(pending_hold_of("alice"), "bob", "shape");
    ASSERT_EQ(c.read_exchange().types(), "TDCZ");

    const auto same = c.ask("SELECT ssn FROM customers WHERE id = 2");
    const auto other = send_held(c, wire::query("SELECT email FROM customers WHERE id = 2"));

    EXPECT_EQ(same.rows.at(0).at(0), "222-22-2222");
    EXPECT_NE(number_in(other), 0u);
}

TEST_F(hold, approval_of_the_session_ends_with_the_session) {
    start();
    {
        auto c = client_as("alice");
        send_held(c, wire::query(held_sql));
        approve(pending_hold_of("alice"), "bob", "session");
        ASSERT_EQ(c.read_exchange().types(), "TDCZ");
        EXPECT_EQ(c.ask("SELECT email FROM customers").types(), "TDDCZ");
    }
    auto next = client_as("alice");

    EXPECT_NE(number_in(send_held(next, wire::query(held_sql))), 0u);
}

TEST_F(hold, pass_of_one_person_does_not_let_another_through) {
    start();
    auto c = client_as("alice");
    send_held(c, wire::query(held_sql));
    approve(pending_hold_of("alice"), "bob", "shape");
    ASSERT_EQ(c.read_exchange().types(), "TDCZ");
    auto erin = client_as("erin");

    EXPECT_NE(number_in(send_held(erin, wire::query(held_sql))), 0u);
}

TEST_F(hold, statements_sent_behind_a_held_one_stay_in_order) {
    start();
    auto c = client_as("alice");
    send_held(
        c, wire::query(held_sql) + wire::query("SELECT 'second'") + wire::query("SELECT 'third'"));

    approve(pending_hold_of("alice"));

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "second");
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "third");
}

TEST_F(hold, deadline_ends_the_wait_with_sp002_and_the_session_lives) {
    start_with_policy(policy_with("wait: 60s", "wait: 1s"));
    auto c = client_as("alice");
    const auto fields = send_held(c, wire::query(held_sql));

    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "SP002");
    EXPECT_EQ(x.types(), "EZ");
    EXPECT_EQ(x.status, 'I');
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    EXPECT_TRUE(hold_becomes(number_in(fields), "expired"));
}

TEST_F(hold, client_that_does_not_wait_gets_sp001_with_a_number) {
    start_with_policy(policy_with("wait: 60s", "wait: 60s\n      clients: refuse"));
    auto c = client_as("alice");

    const auto x = c.ask(held_sql);

    EXPECT_EQ(x.sqlstate(), "SP001");
    EXPECT_NE(x.errors.at(0).at('D').find("rule=pii-needs-approval"), std::string::npos);
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(hold, client_may_ask_not_to_wait) {
    start();
    auto o = psql_as("alice");
    o.options = "-c sallyport.on_hold=refuse";
    psql_session s(o);

    EXPECT_EQ(s.ask(held_sql).sqlstate, "SP001");
    EXPECT_EQ(s.ask("SELECT 'alive'").text, "alive");
}

TEST_F(hold, reason_that_the_rule_requires_must_be_given) {
    start_with_policy(policy_with("wait: 60s", "wait: 60s\n      reason: required"));
    auto without = client_as("alice");
    auto o = psql_as("alice");
    o.options = "-c sallyport.reason=ticket-7";
    psql_session with(o);

    const auto refused = without.ask(held_sql);
    with.send(held_sql);
    const auto id = pending_hold_of("alice");

    EXPECT_FALSE(refused.sqlstate().empty());
    EXPECT_EQ(holds("pending").at(0).value("reason", ""), "ticket-7");
    approve(id);
    EXPECT_EQ(with.finish().sqlstate, "00000");
}

TEST_F(hold, reason_can_be_set_inside_the_session) {
    start_with_policy(policy_with("wait: 60s", "wait: 60s\n      reason: required"));
    auto c = client_as("alice");

    ASSERT_EQ(c.ask("SET sallyport.reason = 'audit of 2024'").sqlstate(), "");
    send_held(c, wire::query(held_sql));

    static_cast<void>(pending_hold_of("alice"));
    EXPECT_EQ(holds("pending").at(0).value("reason", ""), "audit of 2024");
}

TEST_F(hold, denial_refuses_with_42501_the_reason_and_the_number) {
    start();
    auto c = client_as("alice");
    const auto id = number_in(send_held(c, wire::query(held_sql)));

    deny(id, "use the report instead");
    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "42501");
    const auto& e = x.errors.at(0);
    EXPECT_NE(e.at('D').find("hold=" + std::to_string(id)), std::string::npos) << e.at('D');
    EXPECT_NE((e.at('M') + e.at('D')).find("use the report instead"), std::string::npos);
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(hold, disconnect_withdraws_and_a_later_approval_releases_nothing) {
    start();
    std::uint64_t id = 0;
    {
        auto c = client_as("alice");
        id = number_in(send_held(c, wire::query("UPDATE customers SET ssn = 'gone' WHERE id = 1")));
        c.close();
    }
    ASSERT_TRUE(hold_becomes(id, "withdrawn"));

    const auto late =
        api("bob").post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"late"})");

    EXPECT_EQ(late.status, 409) << late.body;
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
}

TEST_F(hold, terminate_behind_a_held_statement_withdraws_it) {
    start();
    auto c = client_as("alice");
    const auto id = number_in(send_held(c, wire::query(held_sql)));

    c.send(wire::terminate());

    EXPECT_TRUE(hold_becomes(id, "withdrawn"));
}

TEST_F(hold, killed_psql_withdraws_its_hold) {
    start();
    psql_session s(psql_as("alice"));
    s.send(held_sql);
    const auto id = pending_hold_of("alice");

    s.kill();

    EXPECT_TRUE(hold_becomes(id, "withdrawn"));
}

TEST_F(hold, sessions_that_are_not_held_work_meanwhile) {
    start();
    auto held = client_as("alice");
    send_held(held, wire::query(held_sql));

    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
    EXPECT_EQ(client_as("bob").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(hold, release_is_decided_again_with_the_rules_of_now) {
    start();
    auto c = client_as("alice");
    const auto id = number_in(send_held(c, wire::query(held_sql)));
    proxy->set_policy(policy_with("  - id: pii-needs-approval",
                                  "  - id: nobody-reads-personal-data\n    tier: 15\n    on: "
                                  "[customer-pii]\n    do: [read]\n    effect: deny\n"
                                  "  - id: pii-needs-approval"));
    proxy->signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return audit_records("policy.loaded").size() == 2; }));

    approve(id);

    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
}

TEST_F(hold, opaque_statement_is_held) {
    start();
    auto c = client_as("alice");

    const auto fields = send_held(c, wire::query("DO $$ BEGIN EXECUTE 'SELECT 1'; END $$"));

    EXPECT_NE(fields.at('M').find("rule opaque"), std::string::npos);
}

TEST_F(hold, record_of_the_release_is_on_disk_when_the_rows_arrive) {
    start();
    auto c = client_as("alice");
    const auto id = number_in(send_held(c, wire::query(held_sql)));
    approve(id);
    ASSERT_EQ(c.read_exchange().types(), "TDCZ");

    const auto released = audit_records("hold.released");

    ASSERT_EQ(released.size(), 1u);
    EXPECT_EQ(released[0].value("hold", ""), std::to_string(id));
    EXPECT_EQ(released[0].value("user", ""), "alice");
    EXPECT_NE(released[0].value("approved_by", "").find("bob"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tests
