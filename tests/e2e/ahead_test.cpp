#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Holds that no session waits for: of clients that do not wait, and asked for ahead. Escalation.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class ahead : public e2e {
  protected:
    static wire_client& refusing(wire_client& c) {
        EXPECT_EQ(c.ask("SET sallyport.on_hold = 'refuse'").sqlstate(), "");
        return c;
    }
    /// The number that the DETAIL of a refusal names; 0: none.
    static std::uint64_t hold_of(const exchange& refused) {
        const auto detail = refused.errors.at(0).at('D');
        return detail.starts_with("hold=") ? std::stoull(detail.substr(5)) : 0;
    }
    std::uint64_t request(const nlohmann::json& what, const std::string& user = "alice") const {
        return post(user, "/api/v1/holds", what).at("id").get<std::uint64_t>();
    }
    login_options presenting(std::uint64_t id, const std::string& target = "shop",
                             const std::string& user = "alice") const {
        auto o = login_as(user, target);
        o.more.emplace_back("options", "-c sallyport.hold=" + std::to_string(id));
        return o;
    }
};

TEST_F(ahead, client_that_does_not_wait_asks_once_and_goes_on_when_it_is_approved) {
    start();
    auto c = client_as("alice");
    const auto refused = refusing(c).ask(held_sql);
    EXPECT_EQ(refused.sqlstate(), "SP001");
    const auto id = hold_of(refused);
    ASSERT_NE(id, 0u);
    EXPECT_EQ(state_of_hold(id), "pending");
    // Its next try, and one of its pool's, find the same request.
    EXPECT_EQ(hold_of(c.ask(held_sql)), id);
    auto other = client_as("alice");
    EXPECT_EQ(hold_of(refusing(other).ask(held_sql)), id);

    approve(id);

    EXPECT_EQ(other.ask(held_sql).rows.at(0).at(0), held_value);
    ASSERT_TRUE(eventually([&] { return audit_records("hold.released").size() == 1; }));
    EXPECT_EQ(audit_records("hold.released").front().at("hold"), std::to_string(id));
    // Taken is taken: the same again is another request.
    const auto again = c.ask(held_sql);
    EXPECT_EQ(again.sqlstate(), "SP001");
    EXPECT_NE(hold_of(again), id);
}

TEST_F(ahead, another_statement_is_not_what_was_approved) {
    start();
    auto c = client_as("alice");
    const auto id = hold_of(refusing(c).ask(held_sql));
    approve(id);

    EXPECT_EQ(c.ask("SELECT ssn FROM customers WHERE id = 2").sqlstate(), "SP001");
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
}

TEST_F(ahead, value_that_differs_out_of_sight_is_another) {
    start();
    auto c = client_as("alice");
    refusing(c);
    const auto ask = [&](const std::string& value) {
        c.send(wire::parse("", "SELECT count(ssn) FROM customers WHERE name <> $1") +
               wire::bind("", "", {value}) + wire::execute("") + wire::sync());
        return c.read_exchange();
    };
    const std::string seen(5'000, 'x');
    const auto id = hold_of(ask(seen + "1"));
    ASSERT_NE(id, 0u);
    approve(id);

    EXPECT_EQ(ask(seen + "2").sqlstate(), "SP001");
    EXPECT_EQ(ask(seen + "1").sqlstate(), "");
}

TEST_F(ahead, deny_reaches_the_client_that_asks_again) {
    start();
    auto c = client_as("alice");
    const auto id = hold_of(refusing(c).ask(held_sql));
    deny(id, "not today");

    const auto refused = c.ask(held_sql);

    EXPECT_EQ(refused.sqlstate(), "42501");
    EXPECT_THAT(refused.errors.at(0).at('M'), HasSubstr("not today"));
    EXPECT_EQ(hold_of(refused), id);
}

TEST_F(ahead, statement_asked_for_before_anybody_connects_passes_once) {
    start();
    const auto id = request({{"on", "shop"}, {"sql", held_sql}, {"reason", "the report"}});
    EXPECT_EQ(get("bob", "/api/v1/holds/" + std::to_string(id)).at("ahead"), true);
    approve(id);

    auto c = client_as("alice");
    EXPECT_EQ(c.ask(std::string(held_sql) + ";").rows.at(0).at(0), held_value);
    EXPECT_EQ(refusing(c).ask(held_sql).sqlstate(), "SP001");
    // Nobody else's, whatever she asks.
    auto erin = client_as("erin");
    EXPECT_EQ(refusing(erin).ask(held_sql).sqlstate(), "SP001");
}

TEST_F(ahead, it_reads_as_one_that_a_session_waits_for) {
    start();
    const auto id = request({{"on", "shop"}, {"sql", held_sql}, {"reason", "the report"}});
    auto c = client_as("erin");
    c.send(wire::query(held_sql));
    const auto waiting = pending_hold_of("erin");

    const auto asked = get("bob", "/api/v1/holds/" + std::to_string(id));
    const auto gated = get("bob", "/api/v1/holds/" + std::to_string(waiting));

    EXPECT_EQ(asked.at("touches"), gated.at("touches"));
    EXPECT_THAT(asked.at("touches").dump(), HasSubstr("read customers(ssn, id) (from)"));
    EXPECT_EQ(cli("bob", {"hold", std::to_string(id)}).find("granted"), std::string::npos);
    approve(id, "bob");
    EXPECT_THAT(cli("bob", {"hold", std::to_string(id)}),
                HasSubstr("granted            statement"));
    approve(waiting);
    static_cast<void>(c.read_exchange());
}

TEST_F(ahead, what_is_approved_outlives_kill_and_is_taken_once_all_the_same) {
    start();
    const auto pending = request({{"on", "shop"}, {"sql", held_sql}, {"reason", "r"}});
    const auto approved =
        request({{"on", "shop"}, {"sql", "SELECT email FROM customers"}, {"reason", "r"}});
    approve(approved);

    proxy->kill();
    proxy->start();

    EXPECT_EQ(state_of_hold(pending), "pending");
    auto c = client_as("alice");
    ASSERT_TRUE(
        eventually([&] { return !refusing(c).ask("SELECT email FROM customers").rows.empty(); }));
    proxy->kill();
    proxy->start();
    auto after = client_as("alice");
    EXPECT_EQ(refusing(after).ask("SELECT email FROM customers").sqlstate(), "SP001");
    approve(pending);
    EXPECT_EQ(after.ask(held_sql).rows.at(0).at(0), held_value);
}

TEST_F(ahead, session_presents_the_number_that_was_approved_for_it) {
    auto policy = example_policy();
    const std::string wait = "approvals: 2 }, wait: 60s }";
    policy.replace(policy.find(wait), wait.size(),
                   "approvals: 2 }, wait: 60s, pass: { session: 1h } }");
    start_with_policy(policy);
    const auto id = request({{"on", "hr"}, {"reason", "the pay run"}, {"for", "2h"}});

    wire_client early(proxy->port());
    early.authenticate(presenting(id, "hr"));
    EXPECT_EQ(fields_of(early.read_until('E')).at('C'), "SP001");

    approve(id, "carol");
    approve(id, "dave");
    wire_client c(proxy->port());
    c.login(presenting(id, "hr"));
    EXPECT_EQ(c.ask("SELECT 1").rows.at(0).at(0), "1");

    wire_client late(proxy->port());
    late.authenticate(presenting(id, "hr"));
    const auto refused = fields_of(late.read_until('E'));
    EXPECT_THAT(refused.at('M'), HasSubstr("taken already"));
    wire_client erin(proxy->port());
    erin.authenticate(presenting(id, "hr", "erin"));
    EXPECT_THAT(fields_of(erin.read_until('E')).at('M'), HasSubstr("there is no hold"));
}

TEST_F(ahead, request_for_what_nothing_holds_is_refused_with_the_reason) {
    start();

    const auto r =
        api("alice").post("/api/v1/holds", R"({"on":"shop","sql":"SELECT 1","reason":"r"})");

    EXPECT_EQ(r.status, 409);
    EXPECT_THAT(r.body, HasSubstr("Nothing holds this"));
    const auto session = api("alice").post("/api/v1/holds", R"({"on":"hr","reason":"r"})");
    EXPECT_EQ(session.status, 422);
    EXPECT_THAT(session.body, HasSubstr("no pass for a session"));
}

TEST_F(ahead, requester_and_programs_never_vote_on_it) {
    start();
    const auto id = request({{"on", "shop"}, {"sql", held_sql}, {"reason", "r"}}, "bob");

    const auto own = api("bob").post("/api/v1/holds/" + std::to_string(id) + "/approve", "{}");

    EXPECT_EQ(own.status, 403);
    approve(id, "carol");
}

TEST_F(ahead, undecided_hold_goes_to_the_next_approvers) {
    auto policy = example_policy();
    const std::string wait = "wait: 60s\n      pass";
    ASSERT_NE(policy.find(wait), std::string::npos);
    policy.replace(policy.find(wait), wait.size(),
                   "wait: 60s\n      escalate: { after: 1s, approvers: { groups: [hr-owners] } }\n"
                   "      pass");
    start_with_policy(policy);
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");
    const auto path = "/api/v1/holds/" + std::to_string(id) + "/approve";
    EXPECT_NE(api("dave").post(path, "{}").status, 200);

    ASSERT_TRUE(eventually([&] { return audit_records("hold.escalated").size() == 1; }));

    EXPECT_EQ(api("dave").post(path, "{}").status, 200);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
}

}  // namespace
}  // namespace sallyport::tests
