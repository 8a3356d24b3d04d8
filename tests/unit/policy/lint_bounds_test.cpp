#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/load.h"
#include "tests/unit/policy/files.h"

/// What `sallyport lint` finds besides the warnings of every load.
namespace sallyport::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::vector<fault> found(const std::string& text) {
    const auto l =
        load_policy_text("version: 1\ndefault: allow\n" + text, "p.yaml", tests::known_people());
    for (const auto& f : l.faults)
        ADD_FAILURE() << to_string(f);
    return l.rules ? lint_policy(*l.rules, tests::known_people()) : std::vector<fault>{};
}

std::vector<std::string> codes(const std::string& text) {
    std::vector<std::string> out;
    for (const auto& f : found(text)) {
        EXPECT_FALSE(f.advice.empty()) << f.what;
        out.push_back(f.code);
    }
    return out;
}

const std::string bounded = "max_uses: 9, max_live: { per_person: 1 }, max_duration: 1h";

std::string holding(const std::string& more, const std::string& approvals = "1") {
    return "rules:\n  - { id: r, do: [read], effect: hold, hold: { approvers: { groups: "
           "[security], approvals: " +
           approvals + " }" + more + " }";
}

TEST(lint_bounds, sound_rule_has_no_finding) {
    EXPECT_THAT(codes(holding("") +
                      ", opt_out: { who: { groups: [oncall] }, approvers: { groups: "
                      "[security] }, " +
                      bounded + " } }\n"),
                IsEmpty());
}

TEST(lint_bounds, allow_for_everybody_and_everything_is_unbounded) {
    EXPECT_THAT(codes("rules:\n  - { id: r, effect: allow }\n"), ElementsAre("unbounded"));
    EXPECT_THAT(codes("rules:\n  - { id: r, do: [read], effect: allow }\n"), IsEmpty());
}

TEST(lint_bounds, passes_of_more_than_a_day_are_unbounded) {
    const auto all = found(holding(", pass: { shape: 25h, session: 24h }") + " }\n");

    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].code, "unbounded");
    EXPECT_EQ(all[0].line, 4);
    EXPECT_EQ(all[0].column, 5);
    EXPECT_THAT(all[0].what, HasSubstr("release shape for 1d1h"));
    EXPECT_THAT(all[0].advice, HasSubstr("pass.shape"));
}

TEST(lint_bounds, opt_outs_without_number_are_unbounded) {
    EXPECT_THAT(codes(holding("") + ", opt_out: { who: { groups: [oncall] }, approvers: { groups: "
                                    "[security] }, max_duration: 1h } }\n"),
                ElementsAre("unbounded", "unbounded"));
}

TEST(lint_bounds, opt_out_that_nobody_else_could_approve_is_unstaffed) {
    const auto all =
        found(holding("") +
              ", opt_out: { who: { users: [bob] }, approvers: { groups: [security], approvals: 2 "
              "}, " +
              bounded + " } }\n");

    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].code, "unstaffed");
    EXPECT_THAT(all[0].what, HasSubstr("could approve for bob"));
}

TEST(lint_bounds, approvers_who_all_may_ask_contradict_four_eyes) {
    EXPECT_THAT(codes(holding("") +
                      ", opt_out: { who: { groups: [security] }, approvers: { "
                      "groups: [security] }, " +
                      bounded + " } }\n"),
                ElementsAre("contradiction"));
}

TEST(lint_bounds, opposite_effects_of_the_same_are_a_contradiction) {
    const auto all = found(
        "rules:\n  - { id: a, tier: 3, do: [ddl], effect: deny }\n"
        "  - { id: b, tier: 3, do: [ddl], effect: allow }\n"
        "  - { id: c, tier: 4, do: [ddl], effect: allow }\n");

    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].code, "contradiction");
    EXPECT_THAT(all[0].what, HasSubstr("rule 'b' (allow) says the opposite of rule 'a' (deny"));
    EXPECT_THAT(all[0].advice, HasSubstr("deny wins"));
}

TEST(lint_bounds, rule_that_speaks_of_no_user_never_matches) {
    EXPECT_THAT(codes("rules:\n  - { id: a, who: { users: [bob], groups: [dev] }, do: [ddl], "
                      "effect: deny }\n"),
                ElementsAre("never-matches"));
    EXPECT_THAT(codes("rules:\n  - { id: a, who: { groups: [dev], not: { users: [alice] } }, do: "
                      "[ddl], effect: deny }\n"),
                ElementsAre("never-matches"));
}

TEST(lint_bounds, warnings_of_the_load_have_codes) {
    const auto l = load_policy_text(
        "version: 1\ndefault: allow\nopaque: allow\nrules:\n"
        "  - { id: a, tier: 1, do: [ddl], effect: deny }\n"
        "  - { id: b, tier: 2, do: [ddl], effect: deny }\n",
        "p.yaml", {});

    EXPECT_TRUE(std::ranges::none_of(l.warnings, [](const auto& w) { return w.code.empty(); }));
    EXPECT_TRUE(std::ranges::any_of(
        l.warnings, [](const auto& w) { return w.code == "shadowed" && w.line == 6; }));
}

}  // namespace
}  // namespace sallyport::policy
