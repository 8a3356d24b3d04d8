#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Break-glass, reviews, flags and locks, warnings before an end: with clients on a real server.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class oversight : public e2e {
  protected:
    void SetUp() override {
        auto policy = example_policy();
        const std::string from = "max_duration:";
        const auto at = policy.find(from);
        ASSERT_NE(at, std::string::npos);
        const auto indent =
            policy.substr(policy.rfind('\n', at) + 1, at - policy.rfind('\n', at) - 1);
        policy.insert(at,
                      "break_glass: { who: { groups: [oncall] }, max_duration: 30m, "
                      "announce: { groups: [security] } }\n" +
                          indent);
        start_with_policy(policy);
    }
    nlohmann::json break_glass(const std::string& lasts = "20m") {
        return post("alice", "/api/v1/opt-outs",
                    {{"rule", "pii-needs-approval"},
                     {"for", lasts},
                     {"reason", "checkout is down"},
                     {"ticket", "INC-7"},
                     {"break_glass", true}});
    }
    nlohmann::json restrain(const std::string& path, const std::string& about,
                            const std::string& subject) {
        return post("root", path, {{about, subject}, {"for", "1h"}, {"reason", "odd hours"}});
    }
    void lift(const nlohmann::json& flag) {
        post("root",
             "/api/v1/flags/" + std::to_string(flag.at("id").get<std::uint64_t>()) + "/lift",
             {{"reason", "it was nothing"}});
    }
    /// Reads up to the notice of a hold.
    static std::string held(wire_client& c) { return fields_of(c.read_until('N')).at('M'); }
};

TEST_F(oversight, broken_glass_lets_through_at_once_and_waits_for_another_persons_review) {
    const auto glass = break_glass();
    auto c = client_as("alice");
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    const auto id = std::to_string(glass.at("id").get<std::uint64_t>());
    post("alice", "/api/v1/opt-outs/" + id + "/revoke", {{"reason", "it is over"}});
    const auto open = get("bob", "/api/v1/reviews?state=open").at("reviews");
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(open[0].at("kind"), "break_glass");
    EXPECT_EQ(open[0].at("uses"), 1);
    EXPECT_EQ(api("alice").post("/api/v1/reviews/" + id + "/sign-off", "{}").status, 403);
    EXPECT_THAT(cli("bob", {"reviews"}), HasSubstr("break_glass"));
    cli("bob", {"review", "sign-off", id, "--note", "seen"});
    EXPECT_TRUE(get("bob", "/api/v1/reviews?state=open").at("reviews").empty());
}

TEST_F(oversight, flag_holds_every_statement_of_its_person_and_suspends_her_opt_outs) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("SELECT 1").rows.at(0).at(0), "1");
    const auto flag = restrain("/api/v1/flags", "principal", "alice");

    c.send(wire::query("SELECT 2"));
    EXPECT_THAT(held(c), HasSubstr("rule flag"));
    approve(pending_hold_of("alice"));
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "2");
    c.send(wire::query(held_sql));
    EXPECT_THAT(held(c), HasSubstr("waits for approval"));
    lift(flag);
    approve(pending_hold_of("alice"));
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_EQ(c.ask("SELECT 3").rows.at(0).at(0), "3");
    EXPECT_EQ(client_as("erin").ask("SELECT 4").rows.at(0).at(0), "4");
}

TEST_F(oversight, lock_ends_live_sessions_refuses_new_ones_and_can_be_lifted) {
    auto alice = client_as("alice");
    auto erin = client_as("erin");
    EXPECT_EQ(alice.ask("SELECT 1").sqlstate(), "");
    const auto lock = restrain("/api/v1/locks", "principal", "alice");

    const auto fatal = fields_of(alice.read_until('E'));
    EXPECT_EQ(fatal.at('C'), "SP003");
    EXPECT_THAT(fatal.at('M'), HasSubstr("locked"));
    EXPECT_EQ(erin.ask("SELECT 1").sqlstate(), "");
    try {
        static_cast<void>(client_as("alice"));
        ADD_FAILURE() << "a locked person was let in";
    } catch (const login_refused& e) {
        EXPECT_EQ(e.sqlstate(), "SP003");
    }
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 1; }));
    lift(lock);
    EXPECT_EQ(client_as("alice").ask("SELECT 1").sqlstate(), "");
}

TEST_F(oversight, lock_shuts_the_console_and_leaves_nothing_to_decide_by_http) {
    auto open = client_as("bob", "sallyport");
    auto alice = client_as("alice");
    alice.send(wire::query(held_sql));
    EXPECT_THAT(held(alice), HasSubstr("waits for approval"));
    const auto id = std::to_string(pending_hold_of("alice"));
    const auto lock = restrain("/api/v1/locks", "principal", "bob");

    EXPECT_EQ(fields_of(open.read_until('E')).at('C'), "SP003");
    for (const auto* const where : {"sallyport", "shop"}) {
        try {
            static_cast<void>(client_as("bob", where));
            ADD_FAILURE() << "a locked person was let into " << where;
        } catch (const login_refused& e) {
            EXPECT_EQ(e.sqlstate(), "SP003");
            EXPECT_THAT(e.what(), HasSubstr("locked: principal"));
        }
    }
    const auto vote = api("bob").post("/api/v1/holds/" + id + "/approve", R"({"reason":"ok"})");
    EXPECT_EQ(vote.status, 403);
    EXPECT_THAT(vote.body, HasSubstr("ask an admin who is not locked"));
    lift(lock);
    EXPECT_EQ(client_as("bob", "sallyport").ask("APPROVE " + id).sqlstate(), "");
    EXPECT_EQ(alice.read_exchange().rows.at(0).at(0), held_value);
}

TEST_F(oversight, console_speaks_of_all_of_it) {
    auto alice = client_as("alice", "sallyport");
    const auto broken = alice.ask(
        "BREAK GLASS RULE \"pii-needs-approval\" FOR '10m' REASON 'checkout is down' "
        "TICKET 'INC-9'");
    ASSERT_EQ(broken.sqlstate(), "") << broken.errors[0].at('M');
    const auto id = *broken.rows.at(0).at(0);
    EXPECT_EQ(alice.ask("REVOKE OPT OUT " + id + " REASON 'over'").sqlstate(), "");
    auto bob = client_as("bob", "sallyport");
    EXPECT_EQ(bob.ask("SHOW REVIEWS").rows.size(), 1u);
    EXPECT_EQ(alice.ask("SIGN OFF " + id).sqlstate(), "42501");
    EXPECT_EQ(bob.ask("FINDING " + id + " NOTE 'too wide'").sqlstate(), "");
    EXPECT_EQ(bob.ask("SHOW REVIEWS").rows.size(), 0u);
    EXPECT_EQ(bob.ask("FLAG PRINCIPAL alice FOR '1h' REASON 'x'").sqlstate(), "42501");
    auto root = client_as("root", "sallyport");
    EXPECT_EQ(root.ask("FLAG PRINCIPAL alice FOR '1h' REASON 'odd hours'").sqlstate(), "");
    const auto flags = root.ask("SHOW FLAGS");
    ASSERT_EQ(flags.rows.size(), 1u);
    EXPECT_EQ(root.ask("LIFT " + *flags.rows[0].at(0) + " REASON 'nothing'").sqlstate(), "");
    EXPECT_EQ(root.ask("SHOW FLAGS").rows.size(), 0u);
}

TEST_F(oversight, narrow_opt_out_lets_only_its_own_shape_of_statement_through) {
    const auto asked = post("alice", "/api/v1/opt-outs",
                            {{"rule", "pii-needs-approval"},
                             {"for", "1h"},
                             {"reason", "checkout is down"},
                             {"ticket", "INC-1"},
                             {"application", "batch"}});
    post("bob",
         "/api/v1/opt-outs/" + std::to_string(asked.at("id").get<std::uint64_t>()) + "/approve",
         {{"reason", "fine"}});
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    EXPECT_THAT(held(c), HasSubstr("waits for approval"));
    post("bob", "/api/v1/holds/" + std::to_string(pending_hold_of("alice")) + "/deny",
         {{"reason", "no"}});
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    EXPECT_EQ(c.ask("SET application_name = 'batch'").sqlstate(), "");
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
}

TEST_F(oversight, connections_that_ask_the_same_are_one_hold_and_one_approval_releases_all) {
    std::vector<wire_client> pool;
    for (int i = 0; i < 5; ++i) {
        pool.push_back(client_as("alice"));
        pool.back().send(
            wire::once("SELECT ssn FROM customers WHERE id = " + std::to_string(1 + i % 2)) +
            wire::sync());
        EXPECT_THAT(held(pool.back()), HasSubstr("hold 1,"));
    }
    const auto shown = get("bob", "/api/v1/holds/1");
    EXPECT_EQ(shown.at("waiters"), 5);
    ASSERT_EQ(shown.at("variants").size(), 1u);
    EXPECT_EQ(shown.at("variants")[0].at("statement"), "SELECT ssn FROM customers WHERE id = 2");
    EXPECT_THAT(cli("bob", {"hold", "1"}), HasSubstr("waiting besides (1):"));
    pool.pop_back();
    EXPECT_TRUE(eventually([&] { return get("bob", "/api/v1/holds/1").at("waiters") == 4; }));

    approve(1);

    for (auto& c : pool)
        EXPECT_EQ(c.read_exchange().rows.size(), 1u);
}

}  // namespace
}  // namespace sallyport::tests
