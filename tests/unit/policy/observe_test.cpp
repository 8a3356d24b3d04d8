#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/decide.h"
#include "policy/loader.h"
#include "policy/sql/analyse.h"
#include "tests/unit/policy/files.h"

/// `observe: true`: a rule that is decided and named, and enforces nothing.
namespace sallyport::policy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::string head = R"(
version: 1
default: allow
opaque: allow
resources:
  pii: { target: shop, relations: ["pii.*"] }
rules:
)";
const std::string hold = "hold: { approvers: { groups: [security] } }";

struct observed_rules : testing::Test {
    void use(const std::string& rules) { rules_ = tests::load_sound(head + rules); }
    decision decided(const std::string& sql, bool explain = false) {
        facts_ptr f;
        if (!sql.empty()) f = sql::analyse(sql, {});
        decide_options o;
        o.explain = explain;
        return decide(*rules_, who_, f.get(), {}, instant(), o);
    }
    static std::vector<std::string> observed(const decision& d) {
        std::vector<std::string> out;
        for (const auto* r : d.observed)
            out.push_back(r->id);
        return out;
    }
    rule_set_ptr rules_;
    subject who_{{"alice", {"dev"}, false}, "shop", "10.0.0.7", "psql", session_id{7}, {}};
};

TEST_F(observed_rules, holds_nothing_and_is_named) {
    use("  - { id: watch, tier: 20, on: [pii], effect: hold, observe: true, " + hold + " }\n");

    const auto d = decided("select * from pii.customers");

    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_EQ(d.rule_id, "default");
    EXPECT_THAT(observed(d), ElementsAre("watch"));
    EXPECT_THAT(d.reasons, Contains(HasSubstr("rule watch (tier 20) would hold read of "
                                              "pii.customers, and only observes")));
}

TEST_F(observed_rules, is_not_named_where_it_does_not_match) {
    use("  - { id: watch, tier: 20, on: [pii], effect: hold, observe: true, " + hold + " }\n");

    EXPECT_THAT(decided("select * from public.orders").observed, IsEmpty());
}

TEST_F(observed_rules, is_not_named_where_an_earlier_tier_has_decided) {
    use("  - { id: no-reads, tier: 10, do: [read], effect: deny }\n"
        "  - { id: watch, tier: 20, on: [pii], effect: hold, observe: true, " +
        hold + " }\n");

    const auto d = decided("select * from pii.customers");

    EXPECT_EQ(d.effect, effect::deny);
    EXPECT_THAT(d.observed, IsEmpty());
}

TEST_F(observed_rules, is_not_named_where_a_stricter_rule_of_its_tier_decides) {
    use("  - { id: no-reads, tier: 20, do: [read], effect: deny }\n"
        "  - { id: watch, tier: 20, on: [pii], effect: hold, observe: true, " +
        hold + " }\n");

    EXPECT_THAT(decided("select * from pii.customers").observed, IsEmpty());
}

TEST_F(observed_rules, one_that_denies_is_named_beside_a_hold_of_its_tier) {
    use("  - { id: held, tier: 20, on: [pii], effect: hold, " + hold +
        " }\n"
        "  - { id: watch, tier: 20, on: [pii], effect: deny, observe: true }\n");

    const auto d = decided("select * from pii.customers");

    EXPECT_EQ(d.effect, effect::hold);
    EXPECT_EQ(d.rule_id, "held");
    EXPECT_THAT(observed(d), ElementsAre("watch"));
}

TEST_F(observed_rules, later_tiers_decide_as_if_it_were_not_there) {
    use("  - { id: watch, tier: 10, on: [pii], effect: deny, observe: true }\n"
        "  - { id: held, tier: 20, on: [pii], effect: hold, " +
        hold + " }\n");

    const auto d = decided("select * from pii.customers");

    EXPECT_EQ(d.effect, effect::hold);
    EXPECT_EQ(d.rule_id, "held");
    EXPECT_THAT(observed(d), ElementsAre("watch"));
}

TEST_F(observed_rules, speaks_of_sessions_too) {
    use("  - { id: watch, tier: 10, do: [connect], effect: deny, observe: true }\n");

    const auto d = decided("");

    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_THAT(observed(d), ElementsAre("watch"));
}

TEST_F(observed_rules, explain_gives_it_a_state_of_its_own) {
    use("  - { id: watch, tier: 20, on: [pii], effect: hold, observe: true, " + hold + " }\n");

    const auto d = decided("select * from pii.customers", true);

    ASSERT_EQ(d.standings.size(), 1U);
    EXPECT_STREQ(to_string(d.standings[0].how), "observes");
    EXPECT_THAT(d.standings[0].why, ElementsAre("read of pii.customers"));
    EXPECT_THAT(d.guarded, IsEmpty());
}

TEST_F(observed_rules, one_that_allows_is_a_fault) {
    const auto l = load_policy_text(
        head + "  - { id: watch, do: [read], effect: allow, observe: true }\n", "p.yaml", {});

    ASSERT_EQ(l.faults.size(), 1U);
    EXPECT_THAT(l.faults[0].what, HasSubstr("'observe' is for effect hold and deny"));
}

TEST_F(observed_rules, shadows_no_other_rule) {
    const auto l =
        load_policy_text(head +
                             "  - { id: watch, tier: 10, on: [pii], effect: deny, observe: true }\n"
                             "  - { id: held, tier: 20, on: [pii], effect: hold, " +
                             hold + " }\n",
                         "p.yaml", {});

    for (const auto& w : l.warnings)
        EXPECT_THAT(w.what, testing::Not(HasSubstr("never decides")));
}

}  // namespace
}  // namespace sallyport::policy
