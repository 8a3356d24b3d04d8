#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/loader.h"
#include "tests/unit/policy/files.h"

/// A policy's own tests: opt-outs as inputs, what let something pass, and what was observed.
namespace sallyport::policy {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const instant now = *parse_instant("2026-03-02T12:00:00Z");

const std::string rules = R"yaml(version: 1
default: allow
resources:
  pii: { target: [shop, hr], relations: ["pii.*"] }
  orders: { target: shop, relations: ["public.orders"] }
rules:
  - { id: export, tier: 10, who: { users: [carol] }, on: [pii], do: [read], effect: allow,
      reason: nightly, review_by: 2026-06-30 }
  - id: held
    tier: 20
    on: [pii]
    effect: hold
    hold: { approvers: { groups: [security] } }
    opt_out: { approvers: { groups: [security] }, max_duration: 1h }
  - { id: watch, tier: 20, on: [orders], effect: deny, observe: true }
tests:
)yaml";

std::vector<std::string> failures(const std::string& test) {
    const auto l = load_policy_text(rules + "  - " + test + "\n", "p.yaml", {});
    std::vector<std::string> out;
    for (const auto& f : l.faults)
        out.push_back(f.what);
    if (!l.rules) return out;
    for (const auto& f : run_policy_tests(*l.rules, now))
        out.push_back(f.what);
    return out;
}

const std::string read_pii = "{ as: alice, on: shop, sql: select * from pii.customers, ";

TEST(policy_bench, opt_out_lets_its_holder_pass) {
    EXPECT_THAT(failures(read_pii + "opt_outs: [{ rule: held }], expect: allow, by: opt_out }"),
                IsEmpty());
    EXPECT_THAT(failures(read_pii + "expect: hold, rule: held }"), IsEmpty());
}

TEST(policy_bench, opt_out_of_somebody_else_or_of_another_target_does_not) {
    EXPECT_THAT(failures(read_pii + "opt_outs: [{ rule: held, person: bob }], expect: hold }"),
                IsEmpty());
    EXPECT_THAT(failures(read_pii + "opt_outs: [{ rule: held, target: hr }], expect: hold }"),
                IsEmpty());
    EXPECT_THAT(failures(read_pii + "opt_outs: [{ rule: held, target: shop }], expect: allow }"),
                IsEmpty());
}

TEST(policy_bench, says_when_it_passed_in_another_way) {
    const auto found =
        failures("{ as: alice, on: shop, sql: select 1, expect: allow, by: opt_out }");

    ASSERT_EQ(found.size(), 1U);
    EXPECT_THAT(found[0], HasSubstr("not by an opt-out"));
}

TEST(policy_bench, exception_is_checked_as_of_the_time_of_the_test) {
    const std::string carol = "{ as: carol, on: shop, sql: select * from pii.customers, ";

    EXPECT_THAT(failures(carol + "expect: allow, by: exception, rule: export }"), IsEmpty());
    EXPECT_THAT(failures(carol + "at: \"2026-06-30T00:00:00Z\", expect: hold, rule: held }"),
                IsEmpty());
}

TEST(policy_bench, observed_rules_are_compared_exactly) {
    const std::string orders = "{ as: alice, on: shop, sql: delete from public.orders, ";

    EXPECT_THAT(failures(orders + "expect: allow, observed: [watch] }"), IsEmpty());
    EXPECT_THAT(failures(orders + "expect: allow, observed: [] }"),
                testing::ElementsAre(HasSubstr("observed by watch instead of nothing")));
}

TEST(policy_bench, wrong_inputs_are_faults_with_the_nearest_name) {
    EXPECT_THAT(failures(read_pii + "opt_outs: [{ rule: hld }], expect: allow }"),
                testing::ElementsAre(HasSubstr("did you mean held?")));
    EXPECT_THAT(failures(read_pii + "opt_outs: [{ rule: watch }], expect: allow }"),
                testing::ElementsAre(HasSubstr("has no 'opt_out'")));
    EXPECT_THAT(failures(read_pii + "by: opt_out, expect: hold }"),
                testing::ElementsAre(HasSubstr("'by' is for expect: allow")));
    EXPECT_THAT(failures(read_pii + "observed: [held], expect: hold }"),
                testing::ElementsAre(HasSubstr("does not observe")));
}

}  // namespace
}  // namespace sallyport::policy
