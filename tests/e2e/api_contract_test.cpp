#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "tests/e2e/api_fixture.h"

/// The running proxy against the document that it serves.
namespace sallyport::tests {
namespace {

using nlohmann::json;

class api_contract : public described_api {};

std::string with_number(std::string path, const std::string& number) {
    const auto at = path.find("{id}");
    return at == std::string::npos ? path : path.replace(at, 4, number);
}

const std::map<std::string, std::string>& people() {
    static const std::map<std::string, std::string> all{{"user", "alice"},
                                                        {"approver", "bob"},
                                                        {"monitor", "mona"},
                                                        {"auditor", "otto"},
                                                        {"admin", "root"}};
    return all;
}

TEST_F(api_contract, every_verb_gives_every_role_exactly_what_the_table_says) {
    start_described();
    std::size_t asked_for = 0;

    for (const auto& o : document->operations()) {
        const auto path = with_number(o.path, "999999999");
        const auto nobody = send("", o.method, path, o.method == "POST" ? "{}" : "");
        for (const auto& fault : document->check(o.method, o.path, nobody))
            ADD_FAILURE() << fault;
        if (o.open()) {
            EXPECT_NE(nobody.status, 401) << o.method << " " << o.path;
            EXPECT_NE(nobody.status, 403) << o.method << " " << o.path;
            continue;
        }
        EXPECT_EQ(nobody.status, 401) << o.method << " " << o.path;
        EXPECT_EQ(type_of(nobody), "not-logged-in");
        for (const auto& [role, person] : people()) {
            const auto answer = send(person, o.method, path, o.method == "POST" ? "{}" : "");
            for (const auto& fault : document->check(o.method, o.path, answer))
                ADD_FAILURE() << person << ": " << fault;
            const bool stopped = answer.status == 403 && type_of(answer) == "role";
            EXPECT_EQ(stopped, !o.lets_in(role))
                << role << " " << o.method << " " << o.path << ": " << answer.body;
            EXPECT_NE(answer.status, 401) << role << " " << o.method << " " << o.path;
            if (o.path == "/api/v1/logout") forget_login(person);
            ++asked_for;
        }
    }
    EXPECT_GE(asked_for, 5U * 27U);
}

class api_answers : public api_contract {
  protected:
    /// A hold of alice's, approved or denied by bob, seen while it waits and afterwards.
    void play_holds() {
        auto waiting = client_as("alice");
        waiting.send(wire::query(held_sql));
        const auto id = std::to_string(pending_hold_of("alice"));
        asked("bob", "POST /api/v1/holds/{id}/reassign", "/api/v1/holds/" + id + "/reassign",
              {{"to", "bob"}, {"reason", "he knows the table"}});
        asked("bob", "GET /api/v1/holds", "/api/v1/holds?state=pending");
        asked("bob", "GET /api/v1/holds/{id}", "/api/v1/holds/" + id);
        asked("otto", "GET /api/v1/sessions", "/api/v1/sessions");
        asked("bob", "POST /api/v1/holds/{id}/approve", "/api/v1/holds/" + id + "/approve",
              {{"reason", "fine"}, {"pass", "shape"}, {"for", "10m"}});
        static_cast<void>(waiting.read_exchange());
        auto refused = client_as("erin");
        refused.send(wire::query(held_sql));
        const auto second = std::to_string(pending_hold_of("erin"));
        asked("bob", "POST /api/v1/holds/{id}/deny", "/api/v1/holds/" + second + "/deny",
              {{"reason", "not today"}});
        static_cast<void>(refused.read_exchange());
        // Two must approve here, so that one vote can be taken back.
        psql_session payroll(psql_as("alice", "hr"));
        const auto third = std::to_string(pending_hold_of("alice", "carol"));
        asked("carol", "POST /api/v1/holds/{id}/approve", "/api/v1/holds/" + third + "/approve");
        asked("carol", "POST /api/v1/holds/{id}/withdraw-vote",
              "/api/v1/holds/" + third + "/withdraw-vote");
        asked("otto", "GET /api/v1/holds", "/api/v1/holds");
        const auto ahead =
            json::parse(asked("alice", "POST /api/v1/holds", "/api/v1/holds",
                              {{"on", "shop"}, {"sql", "TRUNCATE orders"}, {"reason", "the night"}})
                            .body);
        asked("alice", "POST /api/v1/holds/{id}/escalate",
              "/api/v1/holds/" + ahead.at("id").dump() + "/escalate");
    }

    void play_opt_outs() {
        const json wish{{"rule", "pii-needs-approval"},
                        {"for", "2h"},
                        {"reason", "incident"},
                        {"ticket", "INC-7"},
                        {"do", {"select"}}};
        const auto made =
            json::parse(asked("erin", "POST /api/v1/opt-outs", "/api/v1/opt-outs", wish).body);
        const auto at = "/api/v1/opt-outs/" + made.at("id").dump();
        asked("erin", "GET /api/v1/opt-outs/{id}", at);
        asked("bob", "POST /api/v1/opt-outs/{id}/approve", at + "/approve", {{"reason", "ok"}});
        ASSERT_EQ(client_as("erin").ask(held_sql).types(), "TDCZ");
        asked("erin", "POST /api/v1/opt-outs/{id}/extend", at + "/extend",
              {{"for", "30m"}, {"reason", "it goes on"}});
        asked("bob", "GET /api/v1/opt-outs", "/api/v1/opt-outs?state=active");
        asked("root", "POST /api/v1/opt-outs/{id}/revoke", at + "/revoke", {{"reason", "done"}});
        asked("bob", "GET /api/v1/opt-outs/{id}/uses", at + "/uses?before=1000000");
        asked("bob", "GET /api/v1/reviews", "/api/v1/reviews?state=open");
        const auto review = "/api/v1/reviews/" + made.at("id").dump();
        asked("bob", "POST /api/v1/reviews/{id}/finding", review + "/finding",
              {{"note", "too wide"}});
        asked("bob", "GET /api/v1/reviews", "/api/v1/reviews");
        play_second_opt_out(wish);
    }

    void play_second_opt_out(json wish) {
        const auto made =
            json::parse(asked("alice", "POST /api/v1/opt-outs", "/api/v1/opt-outs", wish).body);
        const auto at = "/api/v1/opt-outs/" + made.at("id").dump();
        asked("bob", "POST /api/v1/opt-outs/{id}/approve", at + "/approve");
        // Not the shape that a pass of hers covers by now.
        ASSERT_EQ(client_as("alice").ask("SELECT email FROM customers").types()[0], 'T');
        asked("root", "POST /api/v1/opt-outs/{id}/revoke", at + "/revoke", {{"reason", "done"}});
        asked("bob", "POST /api/v1/reviews/{id}/sign-off",
              "/api/v1/reviews/" + made.at("id").dump() + "/sign-off", {{"note", "looked"}});
        wish["reason"] = "another";
        const auto refused =
            json::parse(asked("alice", "POST /api/v1/opt-outs", "/api/v1/opt-outs", wish).body);
        asked("bob", "POST /api/v1/opt-outs/{id}/deny",
              "/api/v1/opt-outs/" + refused.at("id").dump() + "/deny", {{"reason", "no"}});
        asked("otto", "GET /api/v1/opt-outs", "/api/v1/opt-outs");
    }

    void play_payroll_opt_out() {
        const auto made = json::parse(
            asked("alice", "POST /api/v1/opt-outs", "/api/v1/opt-outs",
                  {{"rule", "two-must-agree"}, {"for", "1h"}, {"reason", "month's end"}})
                .body);
        const auto at = "/api/v1/opt-outs/" + made.at("id").dump();
        asked("bob", "POST /api/v1/opt-outs/{id}/approve", at + "/approve");
        asked("bob", "POST /api/v1/opt-outs/{id}/withdraw-vote", at + "/withdraw-vote");
    }

    void play_flags() {
        const json flag{{"principal", "dba"}, {"for", "1h"}, {"reason", "odd hours"}};
        const auto made =
            json::parse(asked("mona", "POST /api/v1/flags", "/api/v1/flags", flag).body);
        asked("root", "POST /api/v1/locks", "/api/v1/locks", flag);
        asked("otto", "GET /api/v1/flags", "/api/v1/flags");
        asked("root", "POST /api/v1/flags/{id}/lift",
              "/api/v1/flags/" + made.at("id").dump() + "/lift", {{"reason", "explained"}});
        asked("mona", "GET /api/v1/flags", "/api/v1/flags?state=all");
    }

    void play_tokens() {
        const auto made =
            json::parse(asked("bob", "POST /api/v1/tokens", "/api/v1/tokens",
                              {{"name", "nightly"}, {"scopes", {"see-holds"}}, {"for", "1d"}})
                            .body);
        asked("root", "GET /api/v1/tokens", "/api/v1/tokens");
        asked("bob", "DELETE /api/v1/tokens/{id}", "/api/v1/tokens/" + made.at("id").dump());
        asked("bob", "GET /api/v1/tokens", "/api/v1/tokens");
    }

    void play_stories() {
        asked("otto", "GET /api/v1/audit/story", "/api/v1/audit/story?hold=1");
        asked("otto", "GET /api/v1/audit/story", "/api/v1/audit/story?opt_out=1");
        asked("otto", "GET /api/v1/audit/bundle", "/api/v1/audit/bundle?hold=1");
        asked("otto", "GET /api/v1/audit/verify", "/api/v1/audit/verify");
        asked("root", "GET /api/v1/insight", "/api/v1/insight");
    }

    void play_the_rest() {
        for (const auto* open : {"/", "/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"})
            asked("", "GET " + std::string(open), open);
        asked("", "POST /api/v1/login", "/api/v1/login",
              {{"user", "alice"}, {"password", "alice-password"}});
        asked("mona", "GET /api/v1/me", "/api/v1/me");
        asked("alice", "GET /api/v1/rules", "/api/v1/rules");
        asked("root", "GET /api/v1/rules/findings", "/api/v1/rules/findings");
        auto candidate = options.policy;
        candidate.replace(candidate.find("effect: hold"), 12, "effect: deny");
        for (const auto& text : {options.policy, candidate, std::string("version: 7")})
            for (const auto* who : {"root", "otto"})
                asked(who, "POST /api/v1/rules/candidate", "/api/v1/rules/candidate",
                      {{"policy", text}});
        asked("alice", "GET /api/v1/events", "/api/v1/events");
        for (const auto* sql : {"select ssn from customers", "select 1", "do $$ begin end $$"})
            asked("alice", "POST /api/v1/decisions", "/api/v1/decisions",
                  {{"on", "shop"}, {"sql", sql}});
        asked("alice", "POST /api/v1/decisions", "/api/v1/decisions", {{"on", "hr"}});
        asked("otto", "GET /api/v1/audit", "/api/v1/audit?limit=1000");
        asked("otto", "GET /api/v1/report", "/api/v1/report");
        asked("mona", "GET /api/v1/deliveries", "/api/v1/deliveries");
        // Signed by Slack: notify_test.cpp carries it out.
        answered.insert("POST /api/v1/slack/actions");
        asked("root", "POST /api/v1/reload", "/api/v1/reload");
        auto victim = client_as("erin");
        const auto sessions = get("root", "/api/v1/sessions").at("sessions");
        asked("root", "POST /api/v1/sessions/{id}/kill",
              "/api/v1/sessions/" + sessions.back().at("id").dump() + "/kill", {{"reason", "x"}});
        asked("erin", "POST /api/v1/logout", "/api/v1/logout");
    }
};

TEST_F(api_answers, every_operation_answers_as_the_document_says) {
    options.policy = example_policy() + R"yaml(
  - id: two-must-agree
    tier: 30
    do: [truncate]
    effect: hold
    hold:
      approvers: { groups: [security], approvals: 2 }
      wait: 60s
      escalate: { after: 50s, approvers: { groups: [hr-owners] } }
    opt_out:
      who: { groups: [oncall] }
      approvers: { groups: [security], approvals: 2 }
      max_duration: 2h
      review_within: 72h
      break_glass: { who: { groups: [oncall] }, max_duration: 1h, announce: { groups: [security] } }
  - id: reports
    tier: 5
    who: { users: [nobody-yet] }
    do: [read]
    effect: deny
    observe: true
)yaml";
    start_described();

    play_holds();
    play_opt_outs();
    play_payroll_opt_out();
    play_flags();
    play_tokens();
    play_stories();
    play_the_rest();

    for (const auto& o : document->operations())
        EXPECT_TRUE(answered.count(o.method + " " + o.path))
            << o.method << " " << o.path << " was never carried out here";
}

TEST_F(api_answers, events_are_the_changes_that_the_document_describes) {
    start_described();
    const auto socket = tcp_socket::connect(proxy->admin_port());
    socket.send_all("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
                    token_of("bob") + "\r\n\r\n");
    std::string seen = socket.receive(65536);
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    while (seen.find("\ndata: ") == std::string::npos || !seen.ends_with("\n\n"))
        seen += socket.receive(65536);

    const auto from = seen.find("\ndata: ") + 7;
    const auto change = json::parse(seen.substr(from, seen.find('\n', from) - from));

    EXPECT_EQ(document->check(document->schema("Change"), change), std::vector<std::string>());
    EXPECT_NE(seen.find("event: change\n"), std::string::npos) << seen;
}

TEST_F(api_answers, event_stream_that_is_closed_frees_its_place_at_once) {
    start_described();
    // Many more than one person may have open at once.
    for (int i = 0; i < 30; ++i) {
        const auto socket = tcp_socket::connect(proxy->admin_port());
        socket.send_all("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
                        token_of("bob") + "\r\n\r\n");
        EXPECT_TRUE(socket.receive(65536).starts_with("HTTP/1.1 200")) << i;
    }
}

}  // namespace
}  // namespace sallyport::tests
