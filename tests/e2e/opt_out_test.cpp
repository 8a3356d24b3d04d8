#include <chrono>
#include <csignal>
#include <vector>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Opt-outs: asked for, approved, used, and over.
namespace sallyport::tests {
namespace {

class opt_out : public e2e {
  protected:
    static std::string policy_with(const std::string& from, const std::string& to) {
        std::string text = example_policy();
        const auto at = text.find(from);
        EXPECT_NE(at, std::string::npos) << from;
        return text.replace(at, from.size(), to);
    }
    [[nodiscard]] http_response request(const nlohmann::json& changes,
                                        const std::string& user = "alice") const {
        nlohmann::json body{{"rule", "pii-needs-approval"},
                            {"for", "1h"},
                            {"reason", "checkout is down"},
                            {"ticket", "INC-1"}};
        body.update(changes);
        return api(user).post("/api/v1/opt-outs", body.dump());
    }
    /// True if the statement is held now: a notice comes instead of rows.
    static bool is_held(wire_client& c) {
        c.send(wire::query(held_sql));
        for (;;) {
            const auto m = c.read();
            if (m.type == 'N') return true;
            if (m.type == 'T' || m.type == 'E') {
                if (m.type == 'E')
                    ADD_FAILURE() << fields_of(m).at('C') << ' ' << fields_of(m).at('M');
                static_cast<void>(c.read_until('Z'));
                return false;
            }
        }
    }
};

TEST_F(opt_out, approved_one_lets_its_holder_through_at_once) {
    start();
    static_cast<void>(active_opt_out());

    EXPECT_EQ(client_as("alice").ask(held_sql).rows.at(0).at(0), held_value);
}

TEST_F(opt_out, requested_one_lets_nothing_through) {
    start();
    static_cast<void>(request_opt_out());
    auto c = client_as("alice");

    EXPECT_TRUE(is_held(c));
}

TEST_F(opt_out, one_of_alice_does_not_let_erin_through) {
    start();
    static_cast<void>(active_opt_out());
    auto c = client_as("erin");

    EXPECT_TRUE(is_held(c));
}

TEST_F(opt_out, bypass_is_on_disk_before_the_rows_arrive) {
    start();
    const auto id = active_opt_out();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");

    const auto records = audit_records("bypass");

    ASSERT_EQ(records.size(), 1u);
    const auto& r = records[0];
    EXPECT_EQ(r.value("user", ""), "alice");
    EXPECT_EQ(r.value("opt_out", ""), std::to_string(id));
    EXPECT_EQ(r.value("rule", ""), "pii-needs-approval");
    EXPECT_EQ(r.value("target", ""), "shop");
    EXPECT_EQ(r.value("ticket", ""), "INC-1");
    EXPECT_NE(r.value("approved_by", "").find("bob"), std::string::npos);
    EXPECT_EQ(r.value("statement_sha256", "").size(), 64u);
    EXPECT_EQ(r.value("policy", "").size(), 64u);
}

TEST_F(opt_out, each_use_has_its_own_record_and_is_counted) {
    start();
    const auto id = active_opt_out();
    auto c = client_as("alice");

    for (int i = 0; i < 3; ++i)
        ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");
    c.send(wire::once(held_sql) + wire::once(held_sql) + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "");

    EXPECT_EQ(audit_records("bypass").size(), 5u);
    EXPECT_EQ(get("bob", "/api/v1/opt-outs/" + std::to_string(id)).value("uses", 0), 5);
}

TEST_F(opt_out, requester_cannot_approve_it) {
    start();
    const auto id = request_opt_out();

    const auto r = api("alice").post("/api/v1/opt-outs/" + std::to_string(id) + "/approve",
                                     R"({"reason":"me"})");

    EXPECT_EQ(r.status, 403) << r.body;
    EXPECT_EQ(state_of_opt_out(id), "requested");
}

TEST_F(opt_out, denied_one_is_over) {
    start();
    const auto id = request_opt_out();

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/deny", {{"reason", "use holds"}});

    EXPECT_EQ(state_of_opt_out(id), "denied");
    auto c = client_as("alice");
    EXPECT_TRUE(is_held(c));
}

TEST_F(opt_out, requests_outside_the_rule_s_bounds_are_refused) {
    start();

    EXPECT_EQ(request({{"for", "5h"}}).status / 100, 4) << "longer than max_duration";
    EXPECT_EQ(request({{"ticket", "JIRA-1"}}).status / 100, 4) << "not the ticket's form";
    EXPECT_EQ(request({{"ticket", ""}}).status / 100, 4) << "no ticket";
    EXPECT_EQ(request({{"rule", "payroll-sessions"}}).status / 100, 4) << "rule without opt_out";
    EXPECT_EQ(request({{"rule", "no-such-rule"}}).status / 100, 4) << "no such rule";
    EXPECT_EQ(request({{"reason", ""}}).status / 100, 4) << "no reason";
    EXPECT_EQ(request({{"for", "0s"}}).status / 100, 4) << "no duration";
    EXPECT_EQ(request(nlohmann::json::object(), "dba").status / 100, 4) << "not on call";
    EXPECT_EQ(get("bob", "/api/v1/opt-outs").at("opt_outs").size(), 0u);
}

TEST_F(opt_out, second_one_of_the_same_person_is_refused) {
    start();
    static_cast<void>(active_opt_out());

    EXPECT_EQ(request(nlohmann::json::object()).status / 100, 4);
}

TEST_F(opt_out, ends_to_the_second) {
    start();
    const auto id = active_opt_out("3s");
    const auto begun = std::chrono::steady_clock::now();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");

    ASSERT_TRUE(opt_out_becomes(id, "expired"));
    const auto lived = std::chrono::steady_clock::now() - begun;

    EXPECT_TRUE(is_held(c));
    EXPECT_GE(lived, milliseconds(2'000));
    EXPECT_LE(lived, milliseconds(4'500));
    EXPECT_EQ(audit_records("opt_out.expired").size(), 1u);
}

TEST_F(opt_out, prepared_statement_is_held_again_after_the_end) {
    start();
    const auto id = active_opt_out();
    auto c = client_as("alice");
    c.send(wire::parse("s", held_sql) + wire::bind("", "s") + wire::execute("") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "");
    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});

    c.send(wire::bind("", "s") + wire::execute("") + wire::sync());

    EXPECT_EQ(c.read_until('N').type, 'N');
}

TEST_F(opt_out, revoked_one_holds_the_live_session_s_next_statement) {
    start();
    const auto id = active_opt_out();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});

    EXPECT_TRUE(is_held(c));
    EXPECT_EQ(audit_records("opt_out.revoked").size(), 1u);
}

TEST_F(opt_out, used_up_one_is_over) {
    start_with_policy(policy_with("max_uses: 200", "max_uses: 2"));
    const auto id = active_opt_out();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");

    EXPECT_TRUE(is_held(c));
    EXPECT_TRUE(opt_out_becomes(id, "used_up"));
    EXPECT_EQ(audit_records("bypass").size(), 2u);
}

TEST_F(opt_out, at_end_kill_ends_the_session_with_sp003) {
    start_with_policy(policy_with("at_end: hold", "at_end: kill"));
    const auto id = active_opt_out();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});
    const auto rest = c.read_to_end();

    ASSERT_FALSE(rest.empty());
    const auto e = fields_of(rest.back());
    EXPECT_EQ(e.at('S'), "FATAL");
    EXPECT_EQ(e.at('C'), "SP003");
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
}

TEST_F(opt_out, at_end_kill_stops_a_running_statement_whose_work_is_rolled_back) {
    start_with_policy(policy_with("at_end: hold", "at_end: kill"));
    const auto id = active_opt_out();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(c.ask("UPDATE customers SET ssn = 'changed' WHERE id = 1").sqlstate(), "");
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(eventually([&] {
        return direct(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                   "datname = current_database()") == "1";
    }));

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});

    static_cast<void>(c.read_to_end());
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
}

TEST_F(opt_out, at_end_kill_leaves_sessions_that_never_used_it_alone) {
    start_with_policy(policy_with("at_end: hold", "at_end: kill"));
    const auto id = active_opt_out();
    auto user = client_as("alice");
    auto bystander = client_as("bob");
    ASSERT_EQ(user.ask(held_sql).types(), "TDCZ");
    ASSERT_EQ(bystander.ask("SELECT 1").types(), "TDCZ");

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});
    static_cast<void>(user.read_to_end());

    EXPECT_EQ(bystander.ask("SELECT 1").types(), "TDCZ");
}

// More than are closed towards the server at once: idle ones, and some in a transaction.
TEST_F(opt_out, at_end_kill_ends_many_sessions_and_leaves_none_on_the_server) {
    start_with_policy(policy_with("at_end: hold", "at_end: kill"));
    const auto id = active_opt_out();
    std::vector<wire_client> clients;
    for (int i = 0; i < 60; ++i) {
        clients.push_back(client_as("alice"));
        if (i % 6 == 0) {
            ASSERT_EQ(clients.back().ask("BEGIN").status, 'T');
        }
        ASSERT_EQ(clients.back().ask(held_sql).sqlstate(), "") << i;
    }

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});

    for (auto& c : clients) {
        const auto rest = c.read_to_end();
        ASSERT_FALSE(rest.empty());
        EXPECT_EQ(fields_of(rest.back()).at('C'), "SP003");
    }
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
}

TEST_F(opt_out, at_end_drain_lets_the_transaction_finish_and_then_ends_the_session) {
    start_with_policy(policy_with("at_end: hold", "at_end: drain"));
    const auto id = active_opt_out();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(c.ask("UPDATE customers SET ssn = 'changed' WHERE id = 1").sqlstate(), "");

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});
    const auto commit = c.ask("COMMIT");

    ASSERT_EQ(commit.tags.size(), 1u) << commit.types();
    EXPECT_EQ(commit.tags[0], "COMMIT");
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), "changed");
    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "SP003");
}

TEST_F(opt_out, drained_transaction_passes_what_the_opt_out_let_pass_and_nothing_else) {
    auto policy = policy_with("at_end: hold", "at_end: drain");
    policy.erase(policy.find("      max_uses: 200\n"), std::string("      max_uses: 200\n").size());
    start_with_policy(policy);
    const auto made = request({{"do", {"read"}}});
    ASSERT_EQ(made.status, 201) << made.body;
    const auto id = nlohmann::json::parse(made.body).at("id").get<std::uint64_t>();
    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/approve", {{"reason", "ok"}});
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(c.ask(held_sql).sqlstate(), "");

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "over"}});

    EXPECT_EQ(c.ask(held_sql).types(), "TDCZ");
    c.send(wire::query("UPDATE customers SET ssn = 'more' WHERE id = 1"));
    EXPECT_EQ(c.read().type, 'N');
    EXPECT_NE(pending_hold_of("alice"), 0u);
}

TEST_F(opt_out, drained_transaction_has_no_use_beyond_those_that_are_counted) {
    auto policy = policy_with("at_end: hold", "at_end: drain");
    start_with_policy(policy.replace(policy.find("max_uses: 200"), 13, "max_uses: 1"));
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(c.ask(held_sql).sqlstate(), "");

    EXPECT_TRUE(is_held(c));
}

TEST_F(opt_out, last_use_of_a_counted_one_is_not_killed_by_its_own_end) {
    auto policy = policy_with("at_end: hold", "at_end: kill");
    start_with_policy(policy.replace(policy.find("max_uses: 200"), 13, "max_uses: 1"));
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    const auto last = c.ask("SELECT count(ssn), pg_sleep(0.5) FROM customers");

    EXPECT_EQ(last.sqlstate(), "");
    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "SP003");
}

TEST_F(opt_out, survives_kill_9_and_still_ends_at_its_time) {
    start();
    const auto id = active_opt_out("8s");
    proxy->kill();
    proxy->start();

    EXPECT_EQ(client_as("alice").ask(held_sql).types(), "TDCZ");
    EXPECT_TRUE(opt_out_becomes(id, "expired"));
}

TEST_F(opt_out, uses_are_not_forgotten_over_kill_9) {
    start_with_policy(policy_with("max_uses: 200", "max_uses: 2"));
    static_cast<void>(active_opt_out());
    ASSERT_EQ(client_as("alice").ask(held_sql).types(), "TDCZ");
    proxy->kill();
    proxy->start();
    auto c = client_as("alice");

    ASSERT_EQ(c.ask(held_sql).types(), "TDCZ");
    EXPECT_TRUE(is_held(c));
}

TEST_F(opt_out, hold_of_a_killed_proxy_is_withdrawn_at_the_next_start) {
    start();
    auto c = client_as("alice");
    c.send(wire::query("UPDATE customers SET ssn = 'gone' WHERE id = 1"));
    const auto id = pending_hold_of("alice");
    proxy->kill();
    proxy->start();

    EXPECT_EQ(state_of_hold(id), "withdrawn");
    EXPECT_EQ(api("bob")
                  .post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"late"})")
                  .status,
              409);
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
}

TEST_F(opt_out, life_through_the_cli) {
    start();
    cli("alice", {"opt-out", "request", "--rule", "pii-needs-approval", "--for", "2h", "--reason",
                  "checkout is down", "--ticket", "INC-9"});
    const auto id = get("bob", "/api/v1/opt-outs").at("opt_outs").at(0).at("id").dump();
    EXPECT_NE(cli("bob", {"opt-out", "list"}).find("INC-9"), std::string::npos);

    cli("bob", {"opt-out", "approve", id, "--reason", "on call"});
    EXPECT_EQ(client_as("alice").ask(held_sql).types(), "TDCZ");
    cli("bob", {"opt-out", "revoke", id, "--reason", "over"});

    EXPECT_EQ(state_of_opt_out(std::stoull(id)), "revoked");
}

}  // namespace
}  // namespace sallyport::tests
