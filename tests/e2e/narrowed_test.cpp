#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// A policy that becomes narrower while an opt-out is in use.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class narrowed : public bounded {
  protected:
    /// The example policy without the rule's whole `opt_out:`.
    static std::string without_opt_outs() {
        auto text = example_policy();
        const auto from = text.find("    opt_out:\n");
        const auto to = text.find("  - id: payroll-sessions");
        EXPECT_LT(from, to);
        return text.erase(from, to - from);
    }
    /// What a reload says to a session that uses an opt-out of two hours.
    void ends_it(const std::string& policy, const std::string& why) const {
        SCOPED_TRACE(why);
        load(example_policy());
        const auto id = accepted({{"for", "2h"}});
        approve_opt_out(id);
        auto c = refusing("alice");
        ASSERT_EQ(outcome(c), "");

        load(policy);

        ASSERT_TRUE(opt_out_becomes(id, "revoked"));
        EXPECT_EQ(outcome(c), "SP001");
        EXPECT_THAT(opt_out(id).at("ended_reason"), HasSubstr("policy changed: "));
        EXPECT_THAT(opt_out(id).at("ended_reason"), HasSubstr(why));
        nlohmann::json last;
        EXPECT_TRUE(eventually([&] {
            const auto all = audit_records("opt_out.revoked");
            if (!all.empty()) last = all.back();
            return last.is_object() && last.at("opt_out") == std::to_string(id);
        }));
        EXPECT_THAT(last.at("ended_reason"), HasSubstr(why));
        EXPECT_FALSE(last.contains("ended_by")) << "no person did it";
    }
};

TEST_F(narrowed, bound_ends_an_opt_out_on_record_in_a_running_session) {
    start();
    const auto base = example_policy();

    ends_it(changed(base, "max_duration: 4h", "max_duration: 1h"),
            "rule pii-needs-approval now allows 1h at most");
    ends_it(changed(base, "      who: { groups: [oncall] }", "      who: { users: [erin] }"),
            "'alice' is no longer among those who may opt out of rule pii-needs-approval");
    ends_it(changed(base, "max_uses: 200", "max_uses: 100"),
            "rule pii-needs-approval now allows 100 uses at most");
    ends_it(changed(base, "INC-[0-9]+", "INC-[0-9]{4}"),
            "its ticket no longer fits what rule pii-needs-approval asks for");
    ends_it(without_opt_outs(), "rule pii-needs-approval can no longer be opted out of");
    ends_it(changed(base, "id: pii-needs-approval", "id: pii-asks"),
            "rule pii-needs-approval can no longer be opted out of");
}

TEST_F(narrowed, bound_that_it_still_fits_leaves_it_alone) {
    start();
    const auto id = accepted({{"for", "30m"}});
    approve_opt_out(id);
    auto c = refusing("alice");
    ASSERT_EQ(outcome(c), "");

    load(changed(example_policy(), "max_duration: 4h", "max_duration: 31m"));

    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(state_of_opt_out(id), "active");
}

TEST_F(narrowed, request_that_no_longer_fits_is_withdrawn) {
    start();
    const auto id = accepted({{"for", "2h"}});

    load(changed(example_policy(), "      who: { groups: [oncall] }",
                 "      who: { users: [erin] }"));

    ASSERT_TRUE(opt_out_becomes(id, "withdrawn"));
    EXPECT_THAT(opt_out(id).at("ended_reason"), HasSubstr("'alice' is no longer among those"));
    EXPECT_EQ(api("bob").post("/api/v1/opt-outs/" + std::to_string(id) + "/approve", "{}").status,
              409);
}

TEST_F(narrowed, approval_after_a_reload_gives_no_more_than_the_rule_of_now) {
    start();
    const auto id = accepted({{"for", "2h"}});

    load(changed(example_policy(), "max_duration: 4h", "max_duration: 300ms"));
    approve_opt_out(id);

    EXPECT_TRUE(opt_out_becomes(id, "expired"));
    auto c = refusing("alice");
    EXPECT_EQ(outcome(c), "SP001");
}

TEST_F(narrowed, bound_kills_the_session_where_the_rule_says_so) {
    const auto kills = changed(example_policy(), "at_end: hold", "at_end: kill");
    start_with_policy(kills);
    const auto id = accepted({{"for", "2h"}});
    approve_opt_out(id);
    auto c = client_as("alice");
    auto unused = client_as("alice");
    ASSERT_EQ(outcome(c), "");

    load(changed(kills, "max_duration: 4h", "max_duration: 1h"));

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "SP003");
    EXPECT_THAT(fields_of(rest.back()).at('M'),
                HasSubstr("opt-out " + std::to_string(id) + " has ended"));
    EXPECT_EQ(outcome(unused, "SELECT 1"), "");
}

TEST_F(narrowed, bound_of_passes_ends_the_pass_of_a_running_session_on_record) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");
    post("bob", "/api/v1/holds/" + std::to_string(id) + "/approve",
         {{"reason", "agreed"}, {"pass", "session"}, {"for", "30m"}});
    ASSERT_EQ(c.read_exchange().sqlstate(), "");
    ASSERT_EQ(outcome(c, "SET sallyport.on_hold = 'refuse'"), "");
    load(changed(example_policy(), "session: 1h", "session: 31m"));
    ASSERT_EQ(outcome(c), "") << "it still fits";

    load(changed(example_policy(), "session: 1h", "session: 10m"));

    ASSERT_TRUE(eventually([&] { return audit_records("pass.ended").size() == 1; }));
    EXPECT_EQ(outcome(c), "SP001");
    const auto record = audit_records("pass.ended").front();
    EXPECT_EQ(record.at("hold"), std::to_string(id));
    EXPECT_THAT(record.at("ended_reason"), HasSubstr("policy changed: "));
    EXPECT_THAT(record.at("ended_reason"), HasSubstr("allows 10m for the session"));
}

TEST_F(narrowed, group_that_a_member_has_left_lets_her_through_no_more) {
    start();
    const auto id = accepted({{"group", "oncall"}});
    approve_opt_out(id);
    auto alice = refusing("alice");
    auto erin = refusing("erin");
    ASSERT_EQ(outcome(erin), "");
    const auto users = read_file(proxy->file("users.yaml"));
    const auto erins = users.find("  erin:");
    auto text = users.substr(erins);
    text = users.substr(0, erins) + changed(text, "groups: [dev, oncall]", "groups: [dev]");
    write_file(proxy->file("users.yaml"), text, 0600);

    load(example_policy());

    ASSERT_TRUE(eventually([&] { return outcome(erin) == "SP001"; }));
    EXPECT_EQ(outcome(alice), "");
    EXPECT_EQ(state_of_opt_out(id), "active");
}

}  // namespace
}  // namespace sallyport::tests
