#include <filesystem>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/scram.h"

/// Reloads, by hand and by themselves, and what they do to sessions that are open.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class reload : public e2e {
  protected:
    static std::string policy_with(const std::string& rule) {
        auto text = example_policy();
        return text.insert(text.find("  - id: pii-needs-approval"), rule);
    }
    void load(const std::string& policy) const {
        proxy->set_policy(policy);
        EXPECT_EQ(api("root").post("/api/v1/reload", "{}").status, 200);
    }
};

TEST_F(reload, session_that_a_rule_now_denies_ends_and_others_go_on) {
    start();
    auto erin = client_as("erin");
    auto alice = client_as("alice");

    load(
        policy_with("  - { id: not-erin, tier: 5, who: { users: [erin] }, do: [connect], "
                    "effect: deny }\n"));

    const auto fatal = fields_of(erin.read_until('E'));
    EXPECT_EQ(fatal.at('C'), "SP003");
    EXPECT_THAT(fatal.at('M'), HasSubstr("not-erin"));
    EXPECT_EQ(alice.ask("SELECT 1").sqlstate(), "");
    ASSERT_TRUE(eventually([&] { return audit_records("session.reconsidered").size() == 1; }));
}

TEST_F(reload, session_that_a_rule_of_sessions_now_holds_ends) {
    start();
    auto erin = client_as("erin");

    load(
        policy_with("  - { id: ask-first, tier: 5, who: { users: [erin] }, do: [connect], "
                    "effect: hold, hold: { approvers: { groups: [security] } } }\n"));

    EXPECT_EQ(fields_of(erin.read_until('E')).at('C'), "SP003");
}

TEST_F(reload, user_who_is_gone_is_out_and_one_who_changed_groups_is_judged_by_the_new_ones) {
    options.users["zoe"] = "{ scram: \"" + scram_verifier("zoe-password") + "\", groups: [dev] }";
    start();
    auto erin = client_as("erin");
    auto zoe = client_as("zoe");
    EXPECT_EQ(erin.ask("CREATE TEMP TABLE made_by_erin (id int)").sqlstate(), "42501");
    auto text = read_file(proxy->file("users.yaml"));
    const std::string groups = "groups: [dev, oncall]";
    const auto at = text.find(groups, text.find("  erin:"));
    ASSERT_NE(at, std::string::npos);
    text.replace(at, groups.size(), "groups: [dba]");
    const auto of_zoe = text.find("  zoe:");
    text.erase(of_zoe, text.find('\n', of_zoe) + 1 - of_zoe);
    write_file(proxy->file("users.yaml"), text, 0600);
    load(example_policy());

    exchange made;
    EXPECT_TRUE(eventually([&] {
        made = erin.ask("CREATE TEMP TABLE made_by_erin (id int)");
        return made.sqlstate().empty();
    })) << made.sqlstate()
        << made.errors.at(0).at('M');
    EXPECT_EQ(fields_of(zoe.read_until('E')).at('C'), "SP003");
}

TEST_F(reload, changed_file_is_loaded_by_itself_when_asked_for) {
    options.more = "watch: true\n";
    start();
    auto alice = client_as("alice");
    EXPECT_EQ(alice.ask("SET sallyport.on_hold = 'refuse'").sqlstate(), "");
    EXPECT_EQ(alice.ask(held_sql).sqlstate(), "SP001");

    auto text = example_policy();
    const auto at = text.find("effect: hold", text.find("pii-needs-approval"));
    text.insert(at, "observe: true\n    ");
    proxy->set_policy(text);

    EXPECT_TRUE(eventually([&] { return alice.ask(held_sql).sqlstate().empty(); }));

    proxy->set_policy("version: 1\nrules: [");
    EXPECT_TRUE(eventually([&] { return !audit_records("policy.refused").empty(); }));
    EXPECT_THAT(api("root").get("/readyz").body, HasSubstr("the last reload was refused"));
    EXPECT_EQ(alice.ask(held_sql).sqlstate(), "");
}

}  // namespace
}  // namespace sallyport::tests
