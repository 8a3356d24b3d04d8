#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/decide.h"
#include "policy/loader.h"
#include "policy/match.h"
#include "policy/overlap.h"
#include "policy/sql/analyse.h"
#include "tests/unit/policy/files.h"

/// Allow rules that take somebody out of a later rule: reason, end, and what is noted of them.
namespace sallyport::policy {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const instant now = *parse_instant("2026-03-02T12:00:00Z");

const std::string head = R"yaml(
version: 1
default: allow
opaque: hold
resources:
  pii: { target: shop, relations: ["pii.*"] }
  cards: { target: shop, relations: ["pay.cards(number)"] }
  card-owners: { target: shop, relations: ["pay.cards(owner)"] }
  hr: { target: hr }
  both: { target: [shop, hr], relations: ["pii.customers", "staff.people"] }
rules:
)yaml";
const std::string later =
    "  - { id: held, tier: 20, on: [pii], do: [read, write], who: { not: { groups: [dba] } }, "
    "effect: hold, hold: { approvers: { groups: [security] } } }\n";
const std::string excuse = ", reason: the nightly export, review_by: 2026-06-30";

loaded_policy load(const std::string& rules) {
    known_names known;
    known.now = now;
    return load_policy_text(head + rules, "p.yaml", known);
}

std::vector<std::string> exceptions(const std::string& rule) {
    const auto l = load(rule + later);
    std::vector<std::string> out;
    if (l.rules) {
        for (const auto& r : l.rules->rules)
            out.insert(out.end(), r.excepts.begin(), r.excepts.end());
    } else {
        for (const auto& f : l.faults)
            out.push_back(f.what);
    }
    return out;
}

TEST(standing_exception, without_reason_and_end_is_a_fault_that_says_what_to_write) {
    const auto l = load(
        "  - { id: export, tier: 10, who: { users: [carol] }, do: [read], effect: "
        "allow }\n" +
        later);

    ASSERT_EQ(l.faults.size(), 1U);
    EXPECT_EQ(l.faults[0].line, 12);
    EXPECT_EQ(l.faults[0].column, 5);
    EXPECT_THAT(l.faults[0].what, HasSubstr("out of rule 'held' (tier 20, hold)"));
    EXPECT_THAT(l.faults[0].what, HasSubstr("lacks 'reason' and 'review_by'"));
    EXPECT_THAT(l.faults[0].what, HasSubstr("review_by: a day at most a year away"));
}

TEST(standing_exception, lacking_one_of_the_two_names_it) {
    const auto reason = load(
        "  - { id: x, tier: 10, do: [read], effect: allow, review_by: "
        "2026-06-30 }\n" +
        later);
    const auto end =
        load("  - { id: x, tier: 10, do: [read], effect: allow, reason: because }\n" + later);

    ASSERT_EQ(reason.faults.size(), 1U);
    EXPECT_THAT(reason.faults[0].what, HasSubstr("lacks 'reason';"));
    ASSERT_EQ(end.faults.size(), 1U);
    EXPECT_THAT(end.faults[0].what, HasSubstr("lacks 'review_by';"));
}

TEST(standing_exception, end_is_at_most_a_year_away_and_well_formed) {
    const auto far = load(
        "  - { id: x, tier: 10, do: [read], effect: allow, reason: r, review_by: "
        "2027-03-31 }\n" +
        later);
    const auto bad = load(
        "  - { id: x, tier: 10, do: [read], effect: allow, reason: r, review_by: "
        "next year }\n" +
        later);

    ASSERT_EQ(far.faults.size(), 1U);
    EXPECT_THAT(far.faults[0].what, HasSubstr("more than a year away"));
    EXPECT_THAT(bad.faults.at(0).what, HasSubstr("must be a day such as"));
}

TEST(standing_exception, without_a_clock_the_year_is_not_checked) {
    const auto l = load_policy_text(
        head +
            "  - { id: x, tier: 10, do: [read], effect: allow, reason: r, review_by: "
            "2126-03-31 }\n" +
            later,
        "p.yaml", {});

    EXPECT_THAT(l.faults, IsEmpty());
}

TEST(standing_exception, is_warned_of_for_two_weeks_and_when_it_has_ended) {
    const auto soon = load(
        "  - { id: x, tier: 10, do: [read], effect: allow, reason: r, review_by: "
        "2026-03-10 }\n" +
        later);
    const auto over = load(
        "  - { id: x, tier: 10, do: [read], effect: allow, reason: r, review_by: "
        "2026-03-02 }\n" +
        later);
    const auto fine =
        load("  - { id: x, tier: 10, do: [read], effect: allow" + excuse + " }\n" + later);

    const auto warned = [](const loaded_policy& l, const char* text) {
        return std::ranges::any_of(
            l.warnings, [&](const auto& w) { return w.what.find(text) != std::string::npos; });
    };
    EXPECT_TRUE(warned(soon, "applies for 8 more days"));
    EXPECT_TRUE(over.rules != nullptr);
    EXPECT_TRUE(warned(over, "no longer applies"));
    EXPECT_FALSE(warned(fine, "applies"));
}

TEST(standing_exception, reason_and_end_are_for_rules_that_allow) {
    const auto l = load("  - { id: x, tier: 10, do: [ddl], effect: deny, reason: r }\n");

    ASSERT_EQ(l.faults.size(), 1U);
    EXPECT_THAT(l.faults[0].what, HasSubstr("'reason' is for a rule that allows"));
}

struct meeting {
    const char* rule;  ///< what stands before `effect: allow`
    bool meets;        ///< `held` of `later`
};

const std::vector<meeting> meetings{
    {"do: [read]", true},
    {"who: { groups: [security] }", true},
    {"who: { users: [carol] }, on: [pii]", true},
    {"do: [select]", true},
    {"do: [any]", true},
    {"on: [both], do: [read]", true},
    {"do: [read], when: { hours: \"Mon 08:00-09:00\" }", true},
    {"who: { groups: [dba] }", false},
    {"who: { users: [carol], groups: [dba] }, on: [pii]", false},
    {"do: [connect]", false},
    {"do: [transaction, show, session-setting]", false},
    {"do: [ddl]", false},
    {"do: [begin, commit, listen]", false},
    {"on: [hr]", false},
    {"on: [cards], do: [read]", false},
};

TEST(standing_exception, is_found_wherever_the_two_can_meet) {
    for (const auto& m : meetings) {
        const auto found = exceptions("  - { id: x, tier: 10, " + std::string(m.rule) +
                                      ", effect: allow" + excuse + " }\n");

        EXPECT_EQ(found, m.meets ? std::vector<std::string>{"held"} : std::vector<std::string>{})
            << m.rule;
    }
}

TEST(standing_exception, meets_a_rule_on_a_command_where_it_allows_what_makes_that_command) {
    const std::string rule = "  - { id: x, tier: 10, do: [DO], effect: allow" + excuse + " }\n";
    const auto meets = [&](const std::string& allowed, const std::string& denied) {
        auto text = rule;
        text.replace(text.find("DO"), 2, allowed);
        const auto l = load(text + "  - { id: y, tier: 20, do: [" + denied + "], effect: deny }\n");
        return l.rules && l.rules->find_rule("x")->is_exception();
    };

    EXPECT_TRUE(meets("write", "truncate"));
    EXPECT_FALSE(meets("read", "truncate"));
    EXPECT_TRUE(meets("ddl", "drop table"));
    EXPECT_TRUE(meets("drop", "drop table"));
    EXPECT_FALSE(meets("create table", "drop table"));
    EXPECT_FALSE(meets("select", "delete"));
    EXPECT_TRUE(meets("update", "delete"));
    EXPECT_FALSE(meets("connect", "select"));
}

TEST(standing_exception, is_none_where_the_two_are_never_in_force_together) {
    const auto l = load(
        "  - { id: days, tier: 10, do: [read], effect: allow, when: { hours: "
        "\"06:00-22:00\" } }\n"
        "  - { id: nights, tier: 20, do: [read], effect: deny, when: { hours: "
        "\"22:00-06:00\" } }\n");

    EXPECT_THAT(l.faults, IsEmpty());
}

TEST(standing_exception, is_none_in_the_same_or_a_later_tier) {
    EXPECT_THAT(exceptions("  - { id: x, tier: 20, do: [read], effect: allow }\n"), IsEmpty());
    EXPECT_THAT(exceptions("  - { id: x, tier: 30, do: [read], effect: allow }\n"), IsEmpty());
}

TEST(standing_exception, is_none_from_a_rule_that_only_observes) {
    const auto l = load(
        "  - { id: x, tier: 10, do: [read], effect: allow }\n"
        "  - { id: watch, tier: 20, on: [pii], effect: deny, observe: true }\n");

    EXPECT_THAT(l.faults, IsEmpty());
}

struct pattern_pair {
    const char* a;
    const char* b;
    bool meet;
};

const std::vector<pattern_pair> pattern_pairs{
    {"pii.customers", "pii.customers", true},
    {"pii.*", "pii.customers", true},
    {"*.*", "pii.customers", true},
    {"customers", "pii.customers", true},
    {"pii.customers", "*.*", true},
    {"public.customers", "pii.customers", true},  // a text without a schema may mean either
    {"public.*", "pii.customers", false},
    {"public.*", "pii.*", false},
    {"pii.orders", "pii.customers", false},
    {"pii.customers(ssn)", "pii.customers(name)", false},
    {"pii.customers(ssn)", "pii.customers(name, ssn)", true},
    {"*.*", "pg_catalog.pg_authid", false},
};

TEST(overlap, of_patterns_is_denied_only_where_it_is_certain) {
    for (const auto& [a, b, meet] : pattern_pairs) {
        relation_pattern x;
        relation_pattern y;
        std::string why;
        ASSERT_TRUE(parse_relation_pattern(a, x, why) && parse_relation_pattern(b, y, why));

        EXPECT_EQ(may_overlap(x, y), meet) << a << " and " << b;
    }
}

TEST(overlap, of_persons_is_denied_only_where_it_is_certain) {
    who carol;
    carol.users = {"carol"};
    who alice_or_bob;
    alice_or_bob.users = {"alice", "bob"};
    who dba;
    dba.groups = {"dba"};
    who security;
    security.groups = {"security"};
    who no_dba;
    no_dba.not_ = std::make_shared<const who>(dba);
    who dba_at_work = dba;
    dba_at_work.addresses = {"10.0.0.0/8"};
    dba_at_work.networks = {*parse_network("10.0.0.0/8")};
    who elsewhere;
    elsewhere.addresses = {"192.168.0.0/16"};
    elsewhere.networks = {*parse_network("192.168.0.0/16")};

    EXPECT_FALSE(may_meet(carol, alice_or_bob));
    EXPECT_TRUE(may_meet(carol, dba));
    EXPECT_TRUE(may_meet(dba, security));
    EXPECT_FALSE(may_meet(dba, no_dba));
    EXPECT_FALSE(may_meet(no_dba, dba_at_work));
    EXPECT_FALSE(may_meet(dba_at_work, elsewhere));
    EXPECT_TRUE(may_meet({}, no_dba));
}

struct exceptions_used : testing::Test {
    rule_set_ptr rules =
        load("  - { id: export, tier: 10, who: { users: [carol] }, do: [read], effect: allow" +
             excuse + " }\n" + later)
            .rules;
    decision decided(const std::string& sql, instant at = now) const {
        const subject carol{{"carol", {}, false}, "shop", "", "", session_id{1}, {}};
        return decide(*rules, carol, sql::analyse(sql, {}).get(), {}, at);
    }
};

TEST_F(exceptions_used, is_noted_with_the_rules_that_would_have_decided) {
    const auto d = decided("select * from pii.customers");

    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_EQ(d.rule_id, "export");
    ASSERT_EQ(d.excepted.size(), 1U);
    EXPECT_EQ(d.excepted[0].by->id, "export");
    EXPECT_EQ(ids_of(d.excepted[0].over), "held");
    EXPECT_THAT(d.reasons, Contains(HasSubstr("without it rule held holds read of pii.customers")));
}

TEST_F(exceptions_used, is_not_noted_where_no_later_rule_would_have_held) {
    const auto d = decided("select * from public.orders");

    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_THAT(d.excepted, IsEmpty());
    EXPECT_EQ(d.rule_id, "");
}

TEST_F(exceptions_used, is_not_noted_where_the_statement_does_not_pass) {
    const auto d = decided("update pii.customers set name = 'x' where id = 1");

    EXPECT_EQ(d.effect, effect::hold);
    EXPECT_THAT(d.excepted, IsEmpty());
}

TEST_F(exceptions_used, the_holding_rule_applies_from_the_day_of_review_on) {
    const auto end = *parse_instant("2026-06-30T00:00:00Z");

    EXPECT_EQ(decided("select * from pii.customers", end - milliseconds(1)).effect, effect::allow);
    const auto d = decided("select * from pii.customers", end);
    EXPECT_EQ(d.effect, effect::hold);
    EXPECT_EQ(d.rule_id, "held");
}

TEST_F(exceptions_used, another_exception_behind_it_does_not_hide_what_it_gets_round) {
    const auto made = load(
        "  - { id: export, tier: 10, who: { users: [carol] }, do: [read], "
        "effect: allow" +
        excuse + " }\n  - { id: readers, tier: 15, on: [pii], do: [read], effect: allow" + excuse +
        " }\n" + later);
    rules = made.rules;

    const auto d = decided("select * from pii.customers");

    ASSERT_EQ(d.excepted.size(), 1U);
    EXPECT_EQ(d.excepted[0].by->id, "export");
    EXPECT_EQ(ids_of(d.excepted[0].over), "held");
}

struct locked_rules : exceptions_used {
    grants g;
    locked_rules() {
        flag f;
        f.id = {3};
        f.kind = flag_kind::lock;
        f.on = flag_on::rule;
        f.until = now + std::chrono::hours(1);
        g.flags.push_back(f);
    }
    decision with_lock_on(const std::string& rule, const std::string& sql, instant at = now) {
        g.flags[0].subject = rule;
        const subject carol{{"carol", {}, false}, "shop", "", "", session_id{1}, {}};
        return decide(*rules, carol, sql::analyse(sql, {}).get(), g, at);
    }
};

TEST_F(locked_rules, stop_what_an_exception_would_take_out_of_them) {
    const auto d = with_lock_on("held", "select * from pii.customers");

    EXPECT_EQ(d.effect, effect::deny);
    EXPECT_EQ(d.rule_id, lock_rule_id);
    EXPECT_THAT(d.excepted, IsEmpty());
    EXPECT_THAT(d.reasons, Contains(HasSubstr("locked: rule (lock 3)")));
    EXPECT_EQ(with_lock_on("held", "select * from public.orders").effect, effect::allow);
    EXPECT_EQ(with_lock_on("other", "select * from pii.customers").effect, effect::allow);
}

TEST_F(locked_rules, stop_it_while_the_lock_lasts_and_no_longer) {
    EXPECT_EQ(with_lock_on("held", "select * from pii.customers", g.flags[0].until).effect,
              effect::allow);
    g.flags[0].kind = flag_kind::flag;
    EXPECT_EQ(with_lock_on("held", "select * from pii.customers").effect, effect::allow);
}

TEST_F(locked_rules, an_exception_that_is_locked_lets_nothing_by) {
    EXPECT_EQ(with_lock_on("export", "select * from pii.customers").rule_id, lock_rule_id);
    EXPECT_EQ(with_lock_on("export", "select * from public.orders").effect, effect::allow);
}

TEST_F(locked_rules, stop_an_exception_beside_something_that_another_rule_holds) {
    const auto made = load(
        "  - { id: export, tier: 10, who: { users: [carol] }, on: [pii], do: [read], "
        "effect: allow" +
        excuse + " }\n" + later +
        "  - { id: cards, tier: 20, on: [cards], do: [read], effect: hold, "
        "hold: { approvers: { groups: [security] } } }\n");
    ASSERT_TRUE(made.rules);
    rules = made.rules;
    const auto* both = "select number from pay.cards, pii.customers";

    EXPECT_EQ(with_lock_on("other", both).effect, effect::hold);
    EXPECT_EQ(with_lock_on("held", both).rule_id, lock_rule_id);
}

}  // namespace
}  // namespace sallyport::policy
