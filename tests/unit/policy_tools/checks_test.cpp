#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/compare.h"
#include "proxy/auth/users.h"
#include "proxy/policy_checks.h"

/// A candidate beside the policy in force, for the API.
namespace sallyport::proxy {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string in_force = R"yaml(
version: 1
default: allow
resources:
  pii: { target: shop, relations: ["pii.*"] }
rules:
  - { id: pii, on: [pii], effect: hold, hold: { approvers: { users: [bob] } } }
tests:
  - { as: alice, on: shop, sql: "select * from pii.cards", expect: hold, rule: pii }
)yaml";

class Candidate : public testing::Test {
  protected:
    Candidate() {
        config.targets["shop"].name = "shop";
        const std::string verifier =
            "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        auto loaded = auth::load_users_text("users:\n  alice: { scram: \"" + verifier +
                                                "\", groups: [dev] }\n  bob: { scram: \"" +
                                                verifier + "\", groups: [security] }\n",
                                            "users.yaml");
        for (const auto& f : loaded.faults)
            ADD_FAILURE() << policy::to_string(f);
        users = loaded.users;
        auto p = policy::load_policy_text(in_force, "p.yaml", {});
        for (const auto& f : p.faults)
            ADD_FAILURE() << policy::to_string(f);
        rules = p.rules;
    }
    json changes(const std::string& yaml) const {
        return json::parse(candidate_json(
            yaml, {config, *users, *rules, policy::instant(std::chrono::hours(24 * 20'000)), ""}));
    }
    static std::string with(std::string text, const std::string& what, const std::string& by) {
        return text.replace(text.find(what), what.size(), by);
    }

    settings config;
    auth::user_directory_ptr users;
    policy::rule_set_ptr rules;
};

TEST_F(Candidate, same_policy_changes_nothing) {
    const auto c = changes(in_force);

    EXPECT_EQ(c.at("policy"), rules->hash);
    EXPECT_TRUE(c.at("rules").empty());
    EXPECT_TRUE(c.at("affected").empty());
    EXPECT_EQ(c.at("cut"), false);
    EXPECT_TRUE(c.at("replay").is_null());
}

TEST_F(Candidate, whom_it_affects_is_said_in_words) {
    const auto c = changes(
        with(in_force, "effect: hold, hold: { approvers: { users: [bob] } }", "effect: deny"));

    EXPECT_THAT(c.at("rules").dump(), HasSubstr("rule pii"));
    EXPECT_THAT(c.at("affected").dump(), HasSubstr("alice, bob: "));
    EXPECT_THAT(c.at("affected").dump(), HasSubstr("hold by pii -> deny by pii"));
    // Its own tests are run as well.
    EXPECT_THAT(c.at("findings").dump(), HasSubstr("test-failed"));
}

TEST_F(Candidate, one_with_faults_is_not_compared) {
    const auto c = changes(with(in_force, "on: [pii]", "on: [pi]"));

    EXPECT_TRUE(c.at("policy").is_null());
    EXPECT_THAT(c.at("findings").dump(), HasSubstr("did you mean"));
    EXPECT_EQ(c.at("findings").at(0).at("file"), "candidate.yaml");
    EXPECT_TRUE(c.at("affected").empty());
}

TEST_F(Candidate, comparison_that_is_given_up_says_so) {
    policy::comparison_question q;
    q.persons = {{"alice", {}, false}};
    q.targets = {"shop"};
    const auto newer = policy::load_policy_text(
        with(in_force, "effect: hold, hold: { approvers: { users: [bob] } }", "effect: deny"),
        "p.yaml", {});
    EXPECT_FALSE(policy::compare_decisions(*rules, *newer.rules, q).empty());
    int asked = 0;
    q.give_up = [&] { return ++asked > 0; };

    EXPECT_TRUE(policy::compare_decisions(*rules, *newer.rules, q).empty());
    EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace sallyport::proxy
