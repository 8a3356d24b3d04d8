#include "policy/compare.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/loader.h"
#include "tests/unit/policy/files.h"

/// Two policies side by side.
namespace sallyport::policy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string head = R"yaml(
version: 1
default: allow
opaque: deny
resources:
  pii: { target: shop, relations: ["pii.customers"] }
rules:
)yaml";
const std::string held =
    "  - { id: pii, tier: 20, on: [pii], do: [read, write], effect: hold, "
    "hold: { approvers: { groups: [security] } } }\n";

struct side_by_side : testing::Test {
    static std::vector<std::string> sentences(const std::string& older, const std::string& newer) {
        comparison_question q;
        q.persons = {{"alice", {"dev"}, false}, {"bob", {"dev"}, false}, {"carol", {"dba"}, false}};
        q.targets = {"shop"};
        q.now = *parse_instant("2026-03-02T12:00:00Z");
        std::vector<std::string> out;
        for (const auto& a : compare_decisions(*tests::load_sound(head + older),
                                               *tests::load_sound(head + newer), q))
            out.push_back(a.sentence());
        return out;
    }
    static std::vector<rule_change> changes(const std::string& older, const std::string& newer) {
        return compare_rules(*tests::load_sound(head + older), *tests::load_sound(head + newer));
    }
};

TEST_F(side_by_side, the_same_rules_change_nothing) {
    EXPECT_THAT(sentences(held, held), IsEmpty());
    EXPECT_THAT(changes(held, held), IsEmpty());
}

TEST_F(side_by_side, says_for_whom_a_rule_is_loosened) {
    const auto exception =
        "  - { id: r2, tier: 10, who: { groups: [dev] }, on: [pii], do: [read], effect: allow, "
        "reason: why, review_by: 2026-06-30 }\n";

    EXPECT_THAT(sentences(held, exception + held),
                ElementsAre("alice, bob: read of pii.customers on shop: hold by pii -> allow by "
                            "r2"));
}

TEST_F(side_by_side, puts_actions_and_persons_together) {
    EXPECT_THAT(sentences(held, "  []\n"),
                ElementsAre("alice, bob, carol: read, write of pii.customers on shop: hold by pii "
                            "-> allow by default"));
}

TEST_F(side_by_side, observing_is_a_change_of_what_is_enforced) {
    auto observing = held;
    observing.insert(observing.find("effect"), "observe: true, ");

    EXPECT_THAT(sentences(held, observing), ElementsAre(HasSubstr("hold by pii -> allow")));
    const auto all = changes(held, observing);
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].subject, "rule pii");
    EXPECT_THAT(all[0].fields, ElementsAre("observe: none -> only observes"));
}

TEST_F(side_by_side, says_at_what_times_it_differs) {
    auto by_day = held;
    by_day.insert(by_day.find("effect"), "when: { hours: \"08:00-18:00\" }, ");

    EXPECT_THAT(sentences(held, by_day),
                ElementsAre(HasSubstr("on shop (at Mon 2026-03-02 18:00 UTC): hold by pii")));
}

TEST_F(side_by_side, commands_of_rules_are_asked_for) {
    EXPECT_THAT(sentences("  []\n", "  - { id: no, do: [truncate], effect: deny }\n"),
                Contains(HasSubstr("truncate of any other relation, ")).Times(0));
    EXPECT_THAT(sentences("  []\n", "  - { id: no, do: [truncate], effect: deny }\n"),
                Contains(HasSubstr("truncate of pii.customers on shop: allow by default -> deny by "
                                   "no")));
}

TEST_F(side_by_side, sessions_are_asked_for) {
    EXPECT_THAT(sentences("  []\n", "  - { id: shut, do: [connect], effect: deny }\n"),
                ElementsAre("alice, bob, carol: opening a session on shop: allow by default -> "
                            "deny by shut"));
}

TEST_F(side_by_side, every_field_that_differs_is_named) {
    auto other = held;
    other.replace(other.find("tier: 20"), 8, "tier: 30");
    other.replace(other.find("security"), 8, "owners");
    const auto all = changes(held, other + "  - { id: more, do: [ddl], effect: deny }\n");

    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].subject, "flagged");  // it takes those who approve something
    EXPECT_EQ(all[1].subject, "rule more");
    EXPECT_STREQ(to_string(all[1].what), "added");
    EXPECT_THAT(all[2].fields, ElementsAre("tier: 20 -> 30",
                                           "hold.approvers: 1 of groups security "
                                           "-> 1 of groups owners"));
}

TEST_F(side_by_side, resources_and_fallbacks_are_compared) {
    const auto a = tests::load_sound(
        "version: 1\ndefault: allow\nresources: { x: { target: shop "
        "} }\n");
    const auto b = tests::load_sound(
        "version: 1\ndefault: deny\nresources: { x: { target: hr } "
        "}\n");

    const auto all = compare_rules(*a, *b);

    ASSERT_EQ(all.size(), 2U);
    EXPECT_THAT(all[0].fields, ElementsAre("effect: allow -> deny"));
    EXPECT_THAT(all[1].fields, ElementsAre("target: shop -> hr"));
}

}  // namespace
}  // namespace sallyport::policy
