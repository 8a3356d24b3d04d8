#include "proxy/audit/overuse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sallyport::proxy::audit {
namespace {

using policy::instant;
using policy::milliseconds;
using ::testing::HasSubstr;

const instant t0{milliseconds(1'772'357'400'000)};  // 2026-03-01T09:30:00Z, a Sunday

class overuse : public ::testing::Test {
  protected:
    void take(const std::string& event, milliseconds later,
              std::vector<std::pair<std::string, std::string>> fields) {
        parsed_line l;
        l.sequence = ++sequence;
        l.time = format_time(t0 + later);
        l.event = event;
        l.fields = std::move(fields);
        counter.take(l);
    }
    void hold(int id, const std::string& end, milliseconds at, milliseconds took,
              const std::string& user = "alice", const std::string& rule = "pii") {
        const auto n = std::to_string(id);
        take("hold.opened", at,
             {{"hold", n}, {"user", user}, {"rule", rule}, {"groups", "dev, oncall"}});
        if (!end.empty())
            take("hold." + end, at + took, {{"hold", n}, {"user", user}, {"rule", rule}});
    }
    void use(milliseconds at, const std::string& user = "alice") {
        take("bypass", at,
             {{"user", user}, {"groups", "dev, oncall"}, {"rule", "pii"}, {"opt_out", "1"}});
    }
    std::vector<std::string> findings() {
        std::vector<std::string> out;
        for (const auto& f : counter.finish().findings)
            out.push_back(f.about + " " + f.name + " " + f.code);
        return out;
    }
    std::uint64_t sequence = 0;
    overuse_counter counter{std::nullopt, std::nullopt};
};

TEST_F(overuse, holds_and_uses_are_counted_by_rule_person_team_and_week) {
    hold(1, "approved", milliseconds(0), milliseconds(30'000));
    hold(2, "denied", milliseconds(1000), milliseconds(1000));
    hold(3, "expired", milliseconds(2000), milliseconds(900'000));
    hold(4, "", std::chrono::hours(24), milliseconds(0));
    use(milliseconds(5000));
    take("opt_out.activated", milliseconds(1), {{"user", "alice"}, {"rule", "pii"}});

    const auto r = counter.finish();
    const auto& rule = r.rules.at("pii");
    EXPECT_EQ(rule.holds, 4u);
    EXPECT_EQ(rule.approved, 1u);
    EXPECT_EQ(rule.denied, 1u);
    EXPECT_EQ(rule.expired, 1u);
    EXPECT_EQ(rule.uses, 1u);
    EXPECT_EQ(rule.opt_outs, 1u);
    EXPECT_DOUBLE_EQ(rule.bypass_share(), 0.2);
    EXPECT_EQ(rule.decided_in.count(), 2u);
    EXPECT_GE(rule.decided_in.quantile(1), milliseconds(30'000));
    EXPECT_LE(rule.decided_in.quantile(1), milliseconds(60'000));
    EXPECT_EQ(r.persons.at("alice").holds, 4u);
    EXPECT_EQ(r.teams.at("oncall").approved, 1u);
    EXPECT_EQ(r.weeks.at("2026-W09").holds, 3u);
    EXPECT_EQ(r.weeks.at("2026-W10").holds, 1u);
    EXPECT_EQ(r.cells.at({"2026-W09", "pii", "alice"}).second, 1u);
}

TEST_F(overuse, rule_that_most_goes_round_is_named) {
    for (int i = 0; i < 5; ++i)
        hold(i, "approved", milliseconds(i), std::chrono::minutes(10));
    for (int i = 0; i < 40; ++i)
        use(milliseconds(i));
    EXPECT_THAT(findings(),
                ::testing::ElementsAre("rule pii mostly-bypassed", "person alice mostly-bypasses"));
}

TEST_F(overuse, rubber_stamps_and_undecided_holds_are_named) {
    for (int i = 0; i < 30; ++i)
        hold(i, "approved", milliseconds(i), milliseconds(2000), "bob", "stamp");
    for (int i = 30; i < 60; ++i)
        hold(i, i % 2 == 0 ? "expired" : "denied", milliseconds(i), std::chrono::minutes(9), "bob",
             "slow");
    EXPECT_THAT(findings(), ::testing::UnorderedElementsAre("rule stamp rubber-stamp",
                                                            "rule slow nobody-decides"));
}

TEST_F(overuse, person_who_lives_on_exceptions_is_named) {
    for (int week = 0; week < 4; ++week)
        use(std::chrono::hours(24 * 7 * week), "carol");
    for (int i = 0; i < 3; ++i)
        take("opt_out.activated", milliseconds(i),
             {{"user", "erin"}, {"rule", "pii"}, {"kind", "break_glass"}});
    EXPECT_THAT(findings(), ::testing::ElementsAre("person carol lives-on-exceptions",
                                                   "person erin breaks-glass"));
}

TEST_F(overuse, only_the_time_that_is_asked_for_counts) {
    counter = overuse_counter(t0 + milliseconds(10'000), t0 + milliseconds(20'000));
    hold(1, "approved", milliseconds(0), milliseconds(15'000));
    hold(2, "approved", milliseconds(12'000), milliseconds(90'000));
    use(milliseconds(9'999));
    use(milliseconds(10'000));
    use(milliseconds(20'000));
    const auto r = counter.finish();
    EXPECT_EQ(r.rules.at("pii").holds, 1u);
    EXPECT_EQ(r.rules.at("pii").approved, 1u);
    EXPECT_EQ(r.rules.at("pii").uses, 1u);
}

TEST_F(overuse, names_without_end_are_counted_together) {
    for (int i = 0; i < 12'000; ++i)
        hold(i, "", milliseconds(i), {}, "user" + std::to_string(i));
    const auto r = counter.finish();
    EXPECT_LE(r.persons.size(), 10'001u);
    EXPECT_GT(r.persons.at("(others)").holds, 1000u);
    EXPECT_EQ(r.rules.at("pii").holds, 12'000u);
}

TEST_F(overuse, hostile_names_stay_text_in_json) {
    hold(1, "denied", {}, {}, "\"},{\xff", "r");
    const auto j = nlohmann::json::parse(overuse_json(counter.finish()));
    EXPECT_EQ(j.at("persons").size(), 1u);
    EXPECT_EQ(j.at("rules")[0].at("denied"), 1);
}

TEST(duration_histogram, quantile_is_right_within_its_bucket) {
    duration_histogram h;
    EXPECT_EQ(h.quantile(0.5), milliseconds(0));
    for (int i = 1; i <= 1000; ++i)
        h.add(milliseconds(i));
    EXPECT_GE(h.quantile(0.5), milliseconds(500));
    EXPECT_LE(h.quantile(0.5), milliseconds(1000));
    h.add(milliseconds(-5));
    h.add(std::chrono::hours(24 * 365 * 100));
    EXPECT_EQ(h.count(), 1002u);
}

}  // namespace
}  // namespace sallyport::proxy::audit
