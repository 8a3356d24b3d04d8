#include "policy/opt_out.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/decide.h"
#include "policy/sql/analyse.h"
#include "tests/unit/policy/files.h"

namespace sallyport::policy {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

struct opt_out_request_for : testing::Test {
    rule_set_ptr rules = tests::load_sound(R"(
version: 1
default: allow
resources:
  pii: { target: [shop, crm], relations: ["pii.*"] }
rules:
  - id: pii
    on: [pii]
    effect: hold
    hold: { approvers: { groups: [security] } }
    opt_out:
      who: { groups: [oncall] }
      approvers: { groups: [security] }
      max_duration: 4h
      max_live: { per_person: 1, in_all: 3 }
      ticket: "INC-[0-9]+"
  - id: free
    do: [ddl]
    effect: hold
    hold: { approvers: { users: [bob] } }
    opt_out: { approvers: { users: [bob] }, max_duration: 1h }
  - { id: strict, do: [grant], effect: hold, hold: { approvers: { users: [bob] } } }
  - { id: never, do: [lock], effect: deny }
)");
    opt_out_request r{{"alice", {"oncall"}, false}, "pii", 4h, "checkout is down", "INC-7", ""};
    const instant now{milliseconds(1'772'357'400'000)};  // 2026-03-01T09:30:00Z

    std::string answer(int of_person = 0, int in_all = 0) const {
        opt_out_usage u;
        u.live_of_person = of_person;
        u.live_in_all = in_all;
        return check_bounds(*rules, r, u, now);
    }
};

TEST_F(opt_out_request_for, what_is_within_the_bounds_passes) {
    EXPECT_EQ(answer(), "");
    r.target = "crm";
    EXPECT_EQ(answer(0, 2), "");
}

TEST_F(opt_out_request_for, unknown_rule_names_the_nearest) {
    r.rule = "pi";
    EXPECT_THAT(answer(), HasSubstr("did you mean pii?"));
}

TEST_F(opt_out_request_for, rule_that_offers_none_is_refused) {
    for (const char* id : {"strict", "never", "opaque", "default"}) {
        r.rule = id;
        EXPECT_THAT(answer(), HasSubstr("cannot be opted out of")) << id;
    }
}

TEST_F(opt_out_request_for, person_outside_who_is_refused) {
    r.person.groups = {"dev"};
    EXPECT_THAT(answer(), HasSubstr("oncall"));
    r.person = {"", {"oncall"}, false};
    EXPECT_NE(answer(), "");
}

TEST_F(opt_out_request_for, duration_beyond_the_bound_names_the_longest_that_fits) {
    r.duration = 4h + 1ms;
    EXPECT_THAT(answer(), HasSubstr("ask for 4h at most"));
    r.duration = 0ms;
    EXPECT_NE(answer(), "");
    r.duration = -1h;
    EXPECT_NE(answer(), "");
    r.duration = milliseconds::max();
    EXPECT_NE(answer(), "");
}

TEST_F(opt_out_request_for, ticket_must_fit_as_a_whole) {
    for (const char* ticket : {"", "INC-", "xINC-7", "INC-7x", "INC-7\n", "inc-7"}) {
        r.ticket = ticket;
        EXPECT_NE(answer(), "") << ticket;
    }
    r.ticket = "INC-" + std::string(100'000, '7');
    EXPECT_NE(answer(), "");
}

TEST_F(opt_out_request_for, reason_must_say_something) {
    r.reason = " \n\t ";
    EXPECT_THAT(answer(), HasSubstr("reason"));
    r.reason = std::string(100'000, 'x');
    EXPECT_NE(answer(), "");
}

TEST_F(opt_out_request_for, target_the_rule_does_not_speak_of_is_refused) {
    r.target = "hr";
    EXPECT_THAT(answer(), HasSubstr("shop, crm"));
}

TEST_F(opt_out_request_for, live_ones_are_limited_per_person_and_in_all) {
    EXPECT_THAT(answer(1, 1), HasSubstr("1 per person"));
    EXPECT_THAT(answer(0, 3), HasSubstr("3 in all"));
    EXPECT_EQ(answer(0, 2), "");
}

TEST_F(opt_out_request_for, rule_without_further_bounds_asks_for_a_reason_only) {
    r.rule = "free";
    r.person.groups.clear();
    r.ticket.clear();
    r.duration = 1h;
    EXPECT_EQ(answer(9, 99), "");
}

TEST_F(opt_out_request_for, scope_names_resources_that_the_rule_speaks_of) {
    r.scope.resources = {"pii"};
    EXPECT_EQ(answer(), "");
    r.scope.resources = {"pi"};
    EXPECT_THAT(answer(), HasSubstr("did you mean pii?"));
    r.scope = {};
    r.scope.shape = "abc";
    EXPECT_THAT(answer(), HasSubstr("64 hexadecimal digits"));
}

/// What a scope lets through of a statement that its rule holds.
class scope_of : public ::testing::Test {
  protected:
    const rule_set_ptr rules = tests::load_sound(R"(
version: 1
default: allow
resources:
  pii: { target: shop, relations: ["pii.*"] }
  cards: { target: shop, relations: ["pii.cards"] }
rules:
  - id: pii
    on: [pii]
    do: [read, write]
    effect: hold
    hold: { approvers: { users: [bob] } }
    opt_out: { approvers: { users: [bob] }, max_duration: 1h }
)");
    opt_out o;
    subject s{{"alice", {"oncall"}, false}, "shop", "10.0.0.1", "psql", {1}, {"public"}};
    instant now{milliseconds(1'772'357'400'000)};

    scope_of() {
        o.id = {7};
        o.state = opt_out_state::active;
        o.rule = "pii";
        o.person = "alice";
        o.from = now;
        o.until = now + 1h;
    }
    bool lets(const std::string& sql) const {
        grants g;
        g.opt_outs.push_back(o);
        const auto f = sql::analyse(sql, {});
        return decide(*rules, s, f.get(), g, now).effect == effect::allow;
    }
};

TEST_F(scope_of, one_resource_is_no_other) {
    EXPECT_TRUE(lets("SELECT * FROM pii.people"));
    o.scope.resources = {"cards"};
    EXPECT_TRUE(lets("SELECT * FROM pii.cards"));
    EXPECT_FALSE(lets("SELECT * FROM pii.people"));
    EXPECT_FALSE(lets("SELECT * FROM pii.cards, pii.people"));
    EXPECT_TRUE(lets("SELECT * FROM pii.cards, public.orders"));
}

TEST_F(scope_of, some_actions_are_no_others) {
    o.scope.kinds = {kind::read};
    EXPECT_TRUE(lets("SELECT * FROM pii.cards"));
    EXPECT_FALSE(lets("DELETE FROM pii.cards"));
    EXPECT_FALSE(lets("WITH d AS (DELETE FROM pii.cards RETURNING *) SELECT * FROM d"));
    o.scope = {};
    o.scope.commands = {"select"};
    EXPECT_TRUE(lets("SELECT * FROM pii.cards"));
    EXPECT_FALSE(lets("WITH d AS (DELETE FROM pii.cards RETURNING *) SELECT * FROM d"));
    EXPECT_FALSE(lets("SELECT 1; DELETE FROM pii.cards"));
}

TEST_F(scope_of, one_shape_and_one_application_are_no_others) {
    o.scope.shape = sql::analyse("SELECT * FROM pii.cards WHERE id = 1", {})->shape;
    EXPECT_TRUE(lets("SELECT * FROM pii.cards WHERE id = 2"));
    EXPECT_FALSE(lets("SELECT * FROM pii.cards"));
    o.scope = {};
    o.scope.application = "batch";
    EXPECT_FALSE(lets("SELECT * FROM pii.cards"));
    s.application = "batch";
    EXPECT_TRUE(lets("SELECT * FROM pii.cards"));
}

TEST_F(scope_of, flag_suspends_it_and_a_lock_refuses) {
    grants g;
    g.opt_outs.push_back(o);
    flag f;
    f.id = {3};
    f.subject = "alice";
    f.until = now + 1h;
    g.flags.push_back(f);
    const auto facts = sql::analyse("SELECT * FROM pii.cards", {});
    EXPECT_EQ(decide(*rules, s, facts.get(), g, now).effect, effect::hold);
    const auto plain = sql::analyse("SELECT 1", {});
    auto d = decide(*rules, s, plain.get(), g, now);
    EXPECT_EQ(d.effect, effect::hold);
    EXPECT_EQ(d.rule_id, flag_rule_id);
    EXPECT_EQ(decide(*rules, s, nullptr, g, now).effect, effect::hold);
    EXPECT_EQ(decide(*rules, s, plain.get(), g, now + 1h).effect, effect::allow);

    pass p;
    p.rule = flag_rule_id;
    p.person = "alice";
    p.target = "shop";
    p.scope = pass_scope::session;
    p.session = s.session;
    p.until = now + 1h;
    g.passes.push_back(p);
    EXPECT_EQ(decide(*rules, s, plain.get(), g, now).effect, effect::allow);
    EXPECT_EQ(decide(*rules, s, facts.get(), g, now).effect, effect::hold);

    g.flags[0].kind = flag_kind::lock;
    g.flags[0].on = flag_on::target;
    g.flags[0].subject = "shop";
    d = decide(*rules, s, plain.get(), g, now);
    EXPECT_EQ(d.effect, effect::deny);
    EXPECT_EQ(d.rule_id, lock_rule_id);
    g.flags[0].subject = "hr";
    EXPECT_EQ(decide(*rules, s, plain.get(), g, now).effect, effect::allow);
    g.flags[0].on = flag_on::rule;
    g.flags[0].subject = "pii";
    EXPECT_EQ(decide(*rules, s, facts.get(), g, now).rule_id, lock_rule_id);
    EXPECT_EQ(decide(*rules, s, plain.get(), g, now).effect, effect::allow);
}

TEST(ticket_patterns, costly_pattern_takes_no_exponential_time) {
    auto rules =
        tests::load_sound(R"({version: 1, default: allow, rules: [{id: a, do: [ddl], effect: hold,
        hold: {approvers: {users: [bob]}},
        opt_out: {approvers: {users: [bob]}, max_duration: 1h, ticket: "(a+)+(a+)+b"}}]})");
    opt_out_request r{{"alice", {}, false}, "a", 1h, "why", std::string(256, 'a'), ""};

    EXPECT_NE(check_bounds(*rules, r, {}, instant{}), "");
}

TEST(voters, requester_programs_and_strangers_may_not_vote) {
    const approvers a{{"dave"}, {"security"}, 1};

    EXPECT_EQ(check_voter(a, {"bob", {"security"}, false}, "alice"), "");
    EXPECT_EQ(check_voter(a, {"dave", {}, false}, "alice"), "");
    EXPECT_THAT(check_voter(a, {"bob", {"security"}, false}, "bob"), HasSubstr("own request"));
    EXPECT_THAT(check_voter(a, {"ci", {"security"}, true}, "alice"), HasSubstr("only persons"));
    EXPECT_THAT(check_voter(a, {"erin", {"dev"}, false}, "alice"),
                HasSubstr("members of security"));
    EXPECT_NE(check_voter(a, {"", {"security"}, false}, "alice"), "");
    EXPECT_NE(check_voter({}, {"bob", {"security"}, false}, "alice"), "");
}

TEST(voters, program_votes_where_it_is_named_as_one_and_never_on_its_own_request) {
    approvers a{{"ci"}, {"security"}, 1};
    const principal ci{"ci", {"security"}, true};
    EXPECT_THAT(check_voter(a, ci, "alice"), HasSubstr("only persons"));
    a.services = {"ci"};
    EXPECT_EQ(check_voter(a, ci, "alice"), "");
    EXPECT_THAT(check_voter(a, ci, "ci"), HasSubstr("own request"));
    EXPECT_THAT(check_voter(a, {"cd", {"security"}, true}, "alice"), HasSubstr("only persons"));
    // A person of that name is none.
    a.users.clear();
    EXPECT_THAT(check_voter(a, {"ci", {}, false}, "alice"), HasSubstr("program ci"));

    opt_out_spec spec;
    spec.approved_by = a;
    opt_out o;
    o.person = "alice";
    EXPECT_THAT(check_reviewer(spec, ci, o), HasSubstr("only persons review"));
}

}  // namespace
}  // namespace sallyport::policy
