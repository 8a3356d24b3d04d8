#include "policy/written.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/load.h"
#include "tests/unit/policy/files.h"

namespace sallyport::policy {
namespace {

using testing::HasSubstr;
using tests::known_people;

constexpr const char* rules_text = R"yaml(version: 1
default: allow
resources:
  pii: { target: shop, relations: ["pii.*"] }
rules:
  - id: pii
    on: [pii]
    effect: hold
    hold: { approvers: { groups: [security] } }
    opt_out:
      who: { groups: [oncall] }
      approvers: { groups: [security], approvals: 2 }
      max_duration: 4h
      max_uses: 10
)yaml";

constexpr const char* entry =
    "  - { who: alice, rule: pii, reason: export, ticket: T-1, approved_by: [bob, carol],\n"
    "      from: 2026-12-01T08:00:00Z, until: 2026-12-01T12:00:00Z, do: [read], max_uses: 5 }\n";

loaded_opt_outs file_of(const std::string& entries, const known_names& known = known_people()) {
    const auto rules = load_policy_text(rules_text, "policy.yaml", known_people()).rules;
    return load_opt_outs_text("opt_outs:\n" + entries, "opt_outs.yaml", *rules, known);
}

TEST(written_opt_outs, one_has_what_its_entry_says) {
    const auto l = file_of(entry);

    ASSERT_TRUE(l.faults.empty()) << to_string(l.faults.front());
    const auto& w = l.opt_outs->all.at(0);
    EXPECT_EQ(w.request.kind, opt_out_kind::file);
    EXPECT_EQ(w.request.person.name, "alice");
    EXPECT_TRUE(w.request.person.in_group("oncall"));
    EXPECT_EQ(w.request.starts_at, instant(std::chrono::sys_days{std::chrono::year(2026) / 12 / 1} +
                                           std::chrono::hours(8)));
    EXPECT_EQ(w.until() - w.request.starts_at, std::chrono::hours(4));
    EXPECT_EQ(w.request.scope.kinds, std::vector{kind::read});
    EXPECT_EQ(w.max_uses, 5U);
    ASSERT_EQ(w.approved_by.size(), 2U);
    EXPECT_EQ(w.approved_by[1].name, "carol");
    EXPECT_EQ(w.key.size(), 64U);
}

TEST(written_opt_outs, policy_itself_may_have_them) {
    const auto l =
        load_policy_text(std::string(rules_text) + "opt_outs:\n" + entry, "p.yaml", known_people());

    ASSERT_NE(l.rules, nullptr) << to_string(l.faults.front());
    ASSERT_NE(l.rules->opt_outs, nullptr);
    EXPECT_EQ(l.rules->opt_outs->all.at(0).line, 16);
    EXPECT_EQ(l.rules->opt_outs->all.at(0).key, file_of(entry).opt_outs->all.at(0).key);
}

TEST(written_opt_outs, key_is_of_all_that_is_said_and_of_nothing_else) {
    const auto key = file_of(entry).opt_outs->all.at(0).key;
    const auto changed = [&](const std::string& what, const std::string& with) {
        std::string text = entry;
        text.replace(text.find(what), what.size(), with);
        const auto l = file_of(text);
        return l.opt_outs ? l.opt_outs->all.at(0).key : "fault: " + to_string(l.faults.at(0));
    };

    EXPECT_EQ(changed("reason: export, ticket: T-1", "ticket: T-1, reason: export"), key);
    for (const auto& [what, with] :
         std::vector<std::pair<std::string, std::string>>{{"reason: export", "reason: import"},
                                                          {"T-1", "T-2"},
                                                          {"12:00:00Z", "11:00:00Z"},
                                                          {"do: [read]", "do: [select]"},
                                                          {"max_uses: 5", "max_uses: 6"},
                                                          {"[bob, carol]", "[carol, bob]"},
                                                          {"do: [read]", "application: psql"}})
        EXPECT_NE(changed(what, with), key) << what;
}

TEST(written_opt_outs, one_that_has_ended_is_a_warning_whoever_approved_it) {
    auto known = known_people();
    known.now = instant(std::chrono::sys_days{std::chrono::year(2027) / 1 / 1});
    known.users.erase("carol");

    const auto l = file_of(entry, known);

    ASSERT_TRUE(l.faults.empty()) << to_string(l.faults.front());
    ASSERT_EQ(l.warnings.size(), 1U);
    EXPECT_THAT(to_string(l.warnings[0]), HasSubstr("opt_outs.yaml:2:5: this opt-out of 'alice' "
                                                    "has ended"));
}

TEST(written_opt_outs, too_few_approvals_and_twice_the_same_are_faults) {
    std::string one = entry;
    one.replace(one.find("bob, carol"), 10, "bob");

    EXPECT_THAT(to_string(file_of(one).faults.at(0)), HasSubstr("needs 2 approval(s)"));
    EXPECT_THAT(to_string(file_of(std::string(entry) + entry).faults.at(0)),
                HasSubstr("opt_outs.yaml:4:5: this opt-out stands here twice"));
}

TEST(written_opt_outs, file_without_any_is_sound_and_another_key_is_not) {
    const auto rules = load_policy_text(rules_text, "policy.yaml", known_people()).rules;

    for (const auto* none : {"opt_outs: []", "opt_outs:", "opt_outs:  # none any more"}) {
        const auto loaded = load_opt_outs_text(none, "o.yaml", *rules, known_people());
        ASSERT_TRUE(loaded.opt_outs) << none;
        EXPECT_TRUE(loaded.opt_outs->all.empty()) << none;
    }
    EXPECT_THAT(
        to_string(load_opt_outs_text("optouts: []", "o.yaml", *rules, known_people()).faults.at(0)),
        HasSubstr("opt_outs"));
}

}  // namespace
}  // namespace sallyport::policy
