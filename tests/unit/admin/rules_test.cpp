#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/load.h"
#include "proxy/admin/console_rows.h"
#include "proxy/admin/dto.h"

/// How rules that observe, and exceptions, show on the surfaces.
namespace sallyport::proxy::admin {
namespace {

using nlohmann::json;

const policy::instant june{std::chrono::sys_days{std::chrono::year{2026} / 6 / 1}};

policy::rule_set_ptr rules() {
    const auto l = policy::load_policy_text(
        "version: 1\ndefault: allow\nrules:\n"
        "  - { id: export, tier: 10, who: { users: [alice] }, do: [read], effect: allow,\n"
        "      reason: nightly, review_by: 2026-06-30 }\n"
        "  - { id: reads, tier: 20, do: [read], effect: hold,\n"
        "      hold: { approvers: { groups: [security] } } }\n"
        "  - { id: watch, tier: 20, do: [write], effect: deny, observe: true }\n",
        "p.yaml", {});
    for (const auto& f : l.faults)
        ADD_FAILURE() << policy::to_string(f);
    return l.rules;
}

rule_counts counts() {
    rule_uses uses;
    uses.excepted("export");
    uses.excepted("export");
    uses.observed("watch");
    return uses.counts();
}

TEST(rules_as_json, exception_says_why_until_when_over_what_and_how_often) {
    const auto all = json::parse(rules_json(*rules(), counts(), june)).at("rules");

    EXPECT_EQ(all.at(0).at("exception"), json({{"reason", "nightly"},
                                               {"review_by", "2026-06-30T00:00:00.000Z"},
                                               {"over", {"reads"}},
                                               {"ended", false},
                                               {"uses", 2}}));
    EXPECT_FALSE(all.at(1).contains("exception"));
    EXPECT_EQ(all.at(1).at("observe"), false);
    EXPECT_EQ(all.at(2).at("observe"), true);
    EXPECT_EQ(all.at(2).at("observed"), 1);
}

TEST(rules_as_json, exception_has_ended_from_its_day_on) {
    const auto all = json::parse(rules_json(*rules(), {}, june + std::chrono::days(29)));

    EXPECT_EQ(all.at("rules").at(0).at("exception").at("ended"), true);
}

TEST(rules_as_rows, note_and_uses_stand_at_the_end) {
    const auto r = rules();
    const auto row = [&](std::size_t i) { return row_of(r->rules.at(i), counts(), june); };

    EXPECT_EQ(row(0).at(9), "exception from reads until 2026-06-30T00:00:00.000Z: nightly");
    EXPECT_EQ(row(0).at(10), "2");
    EXPECT_EQ(row(1).at(9), std::nullopt);
    EXPECT_EQ(row(1).at(10), std::nullopt);
    EXPECT_EQ(row(2).at(9), "only observes");
    EXPECT_EQ(row(2).at(10), "1");
}

}  // namespace
}  // namespace sallyport::proxy::admin
