#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// How many opt-outs, how often and with what ticket: each refusal names the bound, on each
/// surface.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

/// The rule's opt-outs are for the on-call people and the security people alike.
std::string wider(const std::string& policy) {
    const std::string who = "      who: { groups: [oncall] }\n";
    auto text = policy;
    const auto at = text.find(who);
    EXPECT_NE(at, std::string::npos);
    return text.replace(at, who.size(), "      who: { groups: [oncall, security] }\n");
}

/// The first day of next month (UTC), as the refusals name it.
std::string next_month() {
    const std::chrono::year_month_day today(
        std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()));
    const auto next = today.year() / today.month() + std::chrono::months(1);
    const auto month = static_cast<unsigned>(next.month());
    return std::to_string(static_cast<int>(next.year())) + (month < 10 ? "-0" : "-") +
           std::to_string(month) + "-01";
}

class bounds : public bounded {};

TEST_F(bounds, ticket_must_fit_the_pattern_as_a_whole) {
    start();

    refused_everywhere({{"ticket", "JIRA-7"}},
                       "ticket 'JIRA-7' does not fit; give a ticket that fits 'INC-[0-9]+'");
    refused_everywhere({{"ticket", "INC-7 or so"}}, "'INC-7 or so' does not fit");
    refused_everywhere({{"ticket", ""}}, "this rule asks for a ticket that fits 'INC-[0-9]+'");

    EXPECT_EQ(get("bob", "/api/v1/opt-outs").at("opt_outs").size(), 0u);
    EXPECT_NE(accepted({{"ticket", "INC-7"}}), 0u);
}

TEST_F(bounds, quota_of_a_person_is_counted_by_month_and_names_the_day_of_the_next) {
    start_with_policy(with_bounds("      per_month: { per_person: 2 }\n"));
    spend({});
    spend({});

    refused_everywhere({}, "are limited to 2 a month per person");
    refused_everywhere({}, "the next can be asked for on " + next_month());

    EXPECT_NE(accepted({}, "erin"), 0u) << "another person has a quota of her own";
    proxy->restart();
    EXPECT_EQ(ask_for({}).status / 100, 4) << "it is not forgotten";
}

TEST_F(bounds, quota_of_a_person_counts_what_waits_and_not_what_was_denied) {
    start_with_policy(changed(with_bounds("      per_month: { per_person: 1 }\n"),
                              "max_live: { per_person: 1", "max_live: { per_person: 2"));
    const auto waits = accepted({});

    refused_everywhere({}, "are limited to 1 a month per person");
    post("bob", "/api/v1/opt-outs/" + std::to_string(waits) + "/deny", {{"reason", "not now"}});

    EXPECT_NE(accepted({}), 0u);
}

TEST_F(bounds, quota_of_a_team_is_shared_by_its_members) {
    start_with_policy(wider(with_bounds("      per_month: { per_team: 1 }\n")));
    spend({});

    refused_everywhere({}, "are limited to 1 a month for the group 'oncall'", "erin");

    EXPECT_NE(accepted({}, "carol"), 0u) << "another team has a quota of its own";
}

TEST_F(bounds, quota_of_a_rule_is_shared_by_all) {
    start_with_policy(wider(with_bounds("      per_month: { in_all: 2 }\n")));
    spend({});
    spend({}, "erin");

    refused_everywhere({}, "are limited to 2 a month in all", "carol");
}

TEST_F(bounds, cool_down_follows_the_end_of_a_persons_own) {
    start_with_policy(with_bounds("      cool_down: 1h\n"));
    spend({});

    refused_everywhere({}, "and the rule asks for a pause of 1h; ask again in");

    EXPECT_NE(accepted({}, "erin"), 0u) << "another person need not pause";
    load(with_bounds("      cool_down: 1s\n"));
    EXPECT_TRUE(eventually([&] { return ask_for({}).status == 201; })) << "a pause is over";
}

TEST_F(bounds, live_ones_of_a_person_and_in_all_are_counted_with_what_waits) {
    start_with_policy(wider(changed(example_policy(), "in_all: 5", "in_all: 2")));
    const auto first = accepted({});
    refused_everywhere({}, "requested or active, are limited to 1 per person");
    approve_opt_out(first);
    refused_everywhere({}, "requested or active, are limited to 1 per person");
    const auto second = accepted({}, "erin");

    refused_everywhere({}, "requested or active, are limited to 2 in all", "carol");

    revoke_opt_out(second, "erin");
    EXPECT_EQ(state_of_opt_out(second), "withdrawn");
    EXPECT_NE(accepted({}, "carol"), 0u);
}

TEST_F(bounds, extension_is_a_request_of_its_own_that_is_reviewed_and_goes_on_where_it_ends) {
    start();
    auto c = refusing("alice");
    static_cast<void>(api("bob").get("/api/v1/me"));
    const auto first = accepted({{"for", "4s"}});
    approve_opt_out(first);
    ASSERT_EQ(outcome(c), "");
    const auto made = post("alice", "/api/v1/opt-outs/" + std::to_string(first) + "/extend",
                           {{"for", "1h"}, {"reason", "not done"}});
    const auto second = made.at("id").get<std::uint64_t>();
    const auto asked = opt_out(second);
    EXPECT_EQ(asked.at("state"), "requested");
    EXPECT_EQ(asked.at("extends"), first);
    EXPECT_EQ(asked.at("ticket"), "INC-1");
    const auto path = "/api/v1/opt-outs/" + std::to_string(second) + "/approve";
    EXPECT_EQ(api("alice").post(path, "{}").status, 403) << "nobody extends her own";
    approve_opt_out(second);

    EXPECT_EQ(opt_out(second).at("from"), opt_out(first).at("until"));
    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(audit_records("bypass").back().at("opt_out"), std::to_string(first));
    ASSERT_TRUE(opt_out_becomes(first, "expired"));
    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(audit_records("bypass").back().at("opt_out"), std::to_string(second));
}

TEST_F(bounds, extension_that_nobody_approved_lengthens_nothing) {
    start();
    auto c = refusing("alice");
    const auto first = accepted({{"for", "2s"}});
    approve_opt_out(first);
    cli("alice",
        {"opt-out", "extend", std::to_string(first), "--for", "1h", "--reason", "not done"});

    ASSERT_TRUE(opt_out_becomes(first, "expired"));

    EXPECT_EQ(outcome(c), "SP001");
}

TEST_F(bounds, extensions_are_counted_along_the_chain) {
    start_with_policy(
        changed(with_bounds("      max_extensions: 2\n"), "per_person: 1,", "per_person: 4,"));
    const auto extended = [&](std::uint64_t id) {
        const auto made = post("alice", "/api/v1/opt-outs/" + std::to_string(id) + "/extend",
                               {{"for", "1h"}, {"reason", "not done"}});
        const auto next = made.at("id").get<std::uint64_t>();
        approve_opt_out(next);
        return next;
    };
    const auto first = accepted({});
    approve_opt_out(first);

    const auto second = extended(first);
    const auto third = extended(second);

    extension_refused_everywhere(
        third, "this rule allows 2 extension(s) of one opt-out, and they are spent");
    EXPECT_EQ(state_of_opt_out(third), "active");
}

TEST_F(bounds, two_extensions_of_the_same_are_counted_too) {
    start_with_policy(with_bounds("      max_extensions: 1\n"));
    const auto first = accepted({});
    approve_opt_out(first);
    cli("alice",
        {"opt-out", "extend", std::to_string(first), "--for", "1h", "--reason", "not done"});

    extension_refused_everywhere(first, "this rule allows 1 extension(s) of one opt-out");
}

TEST_F(bounds, extension_beyond_the_longest_duration_or_of_another_persons_is_refused) {
    start();
    const auto id = accepted({{"group", "oncall"}});
    approve_opt_out(id);
    const auto extend = [&](const std::string& who, const std::string& lasts) {
        return api(who).post("/api/v1/opt-outs/" + std::to_string(id) + "/extend",
                             nlohmann::json{{"for", lasts}, {"reason", "not done"}}.dump());
    };

    EXPECT_THAT(detail_of(extend("alice", "5h")), HasSubstr("ask for 4h at most"));
    const auto others = extend("erin", "1h");
    EXPECT_EQ(others.status / 100, 4);
    EXPECT_THAT(detail_of(others), HasSubstr("is another person's"));
    EXPECT_EQ(get("bob", "/api/v1/opt-outs").at("opt_outs").size(), 1u);
}

}  // namespace
}  // namespace sallyport::tests
