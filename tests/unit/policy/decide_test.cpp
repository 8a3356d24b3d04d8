#include "policy/decide.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/loader.h"
#include "tests/unit/policy/files.h"

namespace sallyport::policy {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const instant noon = *parse_instant("2026-03-02T12:00:00Z");

relation_use use(access how, const std::string& schema, const std::string& name,
                 std::vector<std::string> columns = {}) {
    return {schema, name, how, std::move(columns), "from"};
}

statement_facts statement(std::string command, std::vector<kind> kinds,
                          std::vector<relation_use> relations = {}) {
    statement_facts s;
    s.command = std::move(command);
    s.kinds = std::move(kinds);
    s.relations = std::move(relations);
    if (s.has(kind::opaque)) s.opaque_reasons = {"dynamic SQL"};
    return s;
}

facts of(statement_facts s) {
    facts f;
    f.statements.push_back(std::move(s));
    f.shape = "shape-1";
    return f;
}

facts reads(const std::string& schema, const std::string& name,
            std::vector<std::string> columns = {}) {
    return of(
        statement("select", {kind::read}, {use(access::read, schema, name, std::move(columns))}));
}

facts writes(const std::string& schema, const std::string& name) {
    return of(statement("update", {kind::write}, {use(access::write, schema, name)}));
}

struct decide_on : testing::Test {
    rule_set_ptr rules =
        tests::load_sound(tests::read_text(tests::source_path("tests/data/policy/decide.yaml")));
    subject who{{"alice", {"dev"}, false}, "shop", "10.0.0.7", "psql", session_id{7}, {}};
    grants given;
    instant now = noon;

    decision operator()(const facts& f) const { return decide(*rules, who, &f, given, now); }
    decision session() const { return decide(*rules, who, nullptr, given, now); }
    decision explained(const facts& f) const {
        decide_options o;
        o.explain = true;
        return decide(*rules, who, &f, given, now, o);
    }
    void use_policy(const std::string& text) { rules = tests::load_sound(text); }

    pass& add_pass(pass_scope scope, const std::string& rule) {
        pass p;
        p.id = pass_id{given.passes.size() + 100};
        p.scope = scope;
        p.rule = rule;
        p.person = who.principal.name;
        p.target = who.target;
        p.shape = "shape-1";
        p.session = who.session;
        p.until = now + 1min;
        given.passes.push_back(p);
        return given.passes.back();
    }
    opt_out& add_opt_out(const std::string& rule) {
        opt_out o;
        o.id = opt_out_id{given.opt_outs.size() + 1};
        o.state = opt_out_state::active;
        o.rule = rule;
        o.person = who.principal.name;
        o.from = now - 1h;
        o.until = now + 1h;
        given.opt_outs.push_back(o);
        return given.opt_outs.back();
    }
};

void expect(const decision& d, effect e, const std::string& rule) {
    EXPECT_STREQ(to_string(d.effect), to_string(e));
    EXPECT_EQ(d.rule_id, rule);
    if (d.rule != nullptr && !rule.empty()) {
        EXPECT_EQ(d.rule->id, rule);
    }
}

// ---- rules and tiers
// ------------------------------------------------------------------------------

TEST_F(decide_on, what_no_rule_matches_gets_the_default) {
    const auto d = (*this)(reads("public", "orders"));

    expect(d, effect::allow, "");
    EXPECT_EQ(d.rule, nullptr);
    EXPECT_FALSE(d.log);
    EXPECT_THAT(d.reasons, IsEmpty());
}

TEST_F(decide_on, sensitive_relation_is_held_with_its_approvers_and_reason) {
    const auto d = (*this)(reads("pii", "cards"));

    expect(d, effect::hold, "pii-hold");
    ASSERT_NE(d.hold, nullptr);
    EXPECT_THAT(d.hold->who.groups, ElementsAre("security"));
    EXPECT_THAT(d.reasons, ElementsAre("rule pii-hold (tier 20) holds read of pii.cards"));
}

TEST_F(decide_on, other_columns_of_the_table_are_not_held) {
    expect((*this)(reads("public", "customers", {"name"})), effect::allow, "");
    expect((*this)(reads("public", "customers", {"name", "ssn"})), effect::hold, "pii-hold");
    expect((*this)(reads("public", "customers")), effect::hold, "pii-hold");
}

TEST_F(decide_on, sensitive_relation_on_another_target_is_not_meant) {
    who.target = "elsewhere";
    expect((*this)(reads("pii", "cards")), effect::allow, "");
}

TEST_F(decide_on, earlier_tier_decides_and_later_tiers_are_not_asked) {
    who.principal.name = "bob";
    const auto d = (*this)(writes("public", "orders"));

    expect(d, effect::allow, "bob-reads-orders");
    EXPECT_TRUE(d.log);
}

TEST_F(decide_on, strictest_pair_of_a_statement_decides) {
    auto f = reads("public", "orders");
    f.statements[0].relations.push_back(use(access::read, "pii", "cards"));
    expect((*this)(f), effect::hold, "pii-hold");

    f.statements.push_back(statement("drop table", {kind::ddl}));
    expect((*this)(f), effect::deny, "no-ddl");
}

TEST_F(decide_on, relation_written_is_not_thereby_read) {
    use_policy(R"({version: 1, default: allow, resources: {r: {target: shop, relations: [t]}},
        rules: [{id: reads, on: [r], do: [read], effect: deny}]})");

    auto f = of(statement("insert", {kind::write, kind::read},
                          {use(access::write, "", "t"), use(access::read, "", "other")}));
    expect((*this)(f), effect::allow, "");
    f.statements[0].relations[1].name = "t";
    expect((*this)(f), effect::deny, "reads");
}

TEST_F(decide_on, relation_that_the_kinds_forgot_is_still_judged) {
    const auto f = of(statement("select", {kind::read}, {use(access::write, "pii", "cards")}));

    expect((*this)(f), effect::hold, "pii-hold");
}

TEST_F(decide_on, rule_without_do_matches_every_use_of_its_relations) {
    use_policy(R"({version: 1, default: allow, resources: {r: {target: shop, relations: [t]}},
        rules: [{id: all-uses, on: [r], effect: deny}]})");

    for (const auto k : {kind::ddl, kind::lock, kind::copy_out, kind::maintenance})
        expect((*this)(of(statement("x", {k}, {use(access::read, "", "t")}))), effect::deny,
               "all-uses");
    expect((*this)(of(statement("begin", {kind::transaction}))), effect::allow, "");
    expect(session(), effect::allow, "");
}

TEST_F(decide_on, kind_on_a_relation_matches_that_kind_only) {
    use_policy(R"({version: 1, default: allow, resources: {r: {target: shop, relations: [t]}},
        rules: [{id: no-lock, on: [r], do: [lock], effect: deny}]})");

    expect((*this)(of(statement("lock", {kind::lock}, {use(access::read, "", "t")}))), effect::deny,
           "no-lock");
    expect((*this)(of(statement("lock", {kind::lock}, {use(access::read, "", "u")}))),
           effect::allow, "");
    expect((*this)(reads("", "t")), effect::allow, "");
}

TEST_F(decide_on, command_matches_its_statement_whatever_the_kind) {
    const auto f = of(statement("truncate", {kind::write}, {use(access::write, "", "logs")}));
    expect((*this)(f), effect::deny, "no-truncate");
    expect((*this)(writes("", "logs")), effect::allow, "");
}

TEST_F(decide_on, allowed_command_allows_only_what_is_in_its_nature) {
    use_policy(R"({version: 1, default: deny, opaque: deny, rules: [
        {id: open, do: [connect], effect: allow}, {id: selects, do: [select], effect: allow}]})");
    const auto table = use(access::read, "", "t");

    expect((*this)(of(statement("select", {kind::read}, {table}))), effect::allow, "");
    expect((*this)(of(statement("select", {kind::read, kind::lock}, {table}))), effect::allow, "");
    expect((*this)(of(statement("select", {kind::read, kind::write},
                                {table, use(access::write, "", "u")}))),
           effect::deny, "default");
    expect((*this)(of(statement("select", {kind::read, kind::server_file}, {table}))), effect::deny,
           "default");
}

TEST_F(decide_on, any_is_every_statement_but_not_the_session) {
    use_policy("{version: 1, default: allow, rules: [{id: none, do: [any], effect: deny}]}");

    expect(session(), effect::allow, "");
    expect((*this)(of(statement("begin", {kind::transaction}))), effect::deny, "none");
    expect((*this)(of(statement("?", {kind::opaque}))), effect::deny, "none");
}

TEST_F(decide_on, empty_query_is_nothing_and_passes) {
    use_policy("{version: 1, default: deny, rules: [{id: none, do: [any], effect: deny}]}");

    expect((*this)(facts{}), effect::allow, "");
}

TEST_F(decide_on, statement_of_no_kind_counts_as_opaque) {
    expect((*this)(of(statement("", {}))), effect::hold, "opaque");
}

// ---- opaque, default, session
// --------------------------------------------------------------------

TEST_F(decide_on, opaque_statement_is_held_for_its_own_approvers) {
    const auto d = (*this)(of(statement("do", {kind::execute_code, kind::opaque})));

    expect(d, effect::hold, "opaque");
    EXPECT_EQ(d.rule, nullptr);
    EXPECT_EQ(d.hold, &*rules->opaque_hold);
    EXPECT_THAT(d.reasons, Contains(HasSubstr("dynamic SQL")));
}

TEST_F(decide_on, opaque_gets_the_strictest_of_rules_and_opaque) {
    use_policy(R"({version: 1, default: allow, opaque: hold, rules: [
        {id: dba-may, tier: 1, who: {groups: [dba]}, effect: allow,
         reason: tested, review_by: 2126-12-31},
        {id: code-denied, tier: 2, do: [execute-code], effect: deny}]})");
    const auto f = of(statement("do", {kind::execute_code, kind::opaque}));

    expect((*this)(f), effect::deny, "code-denied");
    who.principal.groups = {"dba"};
    const auto d = (*this)(f);
    expect(d, effect::hold, "opaque");
    EXPECT_EQ(d.hold, nullptr);  // nobody holds anything here, so nobody can approve
}

TEST_F(decide_on, opaque_without_approvers_of_its_own_is_approved_by_those_of_all_rules) {
    use_policy(R"({version: 1, default: allow, rules: [
        {id: a, do: [ddl], effect: hold,
         hold: {approvers: {groups: [x], users: [carol], approvals: 1}}},
        {id: b, do: [grant], effect: hold, hold: {approvers: {groups: [x, y], approvals: 2}}}]})");

    const auto d = (*this)(of(statement("do", {kind::opaque})));

    ASSERT_NE(d.hold, nullptr);
    EXPECT_THAT(d.hold->who.groups, ElementsAre("x", "y"));
    EXPECT_THAT(d.hold->who.users, ElementsAre("carol"));
    EXPECT_EQ(d.hold->who.approvals, 1);
}

TEST_F(decide_on, default_can_hold_for_approvers_of_its_own) {
    use_policy(
        "{version: 1, default: {effect: hold, hold: {approvers: {users: [carol]}}}, rules: "
        "[]}");

    const auto d = (*this)(reads("", "t"));

    expect(d, effect::hold, "default");
    ASSERT_NE(d.hold, nullptr);
    EXPECT_THAT(d.hold->who.users, ElementsAre("carol"));
    EXPECT_THAT(d.reasons, ElementsAre("no rule matches read of t: default hold"));
}

TEST_F(decide_on, denied_default_names_the_default) {
    use_policy("{version: 1, default: deny, rules: []}");

    expect((*this)(reads("", "t")), effect::deny, "default");
    expect(session(), effect::deny, "default");
}

TEST_F(decide_on, session_on_a_sensitive_target_is_held_and_then_its_statements) {
    who.target = "hr";
    expect(session(), effect::hold, "payroll");
    expect((*this)(reads("", "salaries")), effect::hold, "payroll");

    add_pass(pass_scope::session, "payroll");
    auto d = session();
    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_EQ(d.grant, granted_by::pass);
    d = (*this)(reads("", "salaries"));
    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_THAT(d.passes, ElementsAre(pass_id{100}));
}

// ---- passes and opt-outs
// --------------------------------------------------------------------------

TEST_F(decide_on, live_opt_out_lets_it_pass_and_is_named) {
    add_opt_out("pii-hold");

    const auto d = (*this)(reads("pii", "cards"));

    expect(d, effect::allow, "pii-hold");
    EXPECT_EQ(d.grant, granted_by::opt_out);
    EXPECT_THAT(d.opt_outs, ElementsAre(opt_out_id{1}));
    EXPECT_EQ(d.hold, nullptr);
}

TEST_F(decide_on, opt_out_ends_at_its_instant) {
    const auto until = add_opt_out("pii-hold").until;
    const auto f = reads("pii", "cards");

    now = until - 1ms;
    EXPECT_EQ((*this)(f).effect, effect::allow);
    now = until;
    EXPECT_EQ((*this)(f).effect, effect::hold);
    now = given.opt_outs[0].from - 1ms;
    EXPECT_EQ((*this)(f).effect, effect::hold);
}

TEST_F(decide_on, opt_out_of_other_person_rule_target_state_or_spent_does_not_count) {
    const auto f = reads("pii", "cards");
    const auto with = [&](auto change) {
        given.opt_outs.clear();
        change(add_opt_out("pii-hold"));
        return (*this)(f).effect;
    };

    EXPECT_EQ(with([](opt_out& o) { o.target = "shop"; }), effect::allow);
    EXPECT_EQ(with([](opt_out& o) { o.person = "bob"; }), effect::hold);
    EXPECT_EQ(with([](opt_out& o) { o.person = "Alice"; }), effect::hold);
    EXPECT_EQ(with([](opt_out& o) { o.rule = "writes-hold"; }), effect::hold);
    EXPECT_EQ(with([](opt_out& o) { o.target = "hr"; }), effect::hold);
    EXPECT_EQ(with([](opt_out& o) { o.state = opt_out_state::requested; }), effect::hold);
    EXPECT_EQ(with([](opt_out& o) { o.max_uses = o.uses = 3; }), effect::hold);
}

TEST_F(decide_on, opt_out_of_a_rule_that_no_longer_offers_one_does_not_count) {
    who.target = "hr";
    add_opt_out("payroll");

    EXPECT_EQ(session().effect, effect::hold);
}

TEST_F(decide_on, opt_out_never_passes_a_denial) {
    add_opt_out("no-ddl");

    expect((*this)(of(statement("drop table", {kind::ddl}))), effect::deny, "no-ddl");
}

TEST_F(decide_on, every_holding_rule_needs_its_own_grant) {
    const auto f = writes("pii", "cards");
    expect((*this)(f), effect::hold, "pii-hold");

    add_opt_out("pii-hold");
    auto d = (*this)(f);
    expect(d, effect::hold, "writes-hold");
    EXPECT_THAT(d.hold->who.groups, ElementsAre("owners"));
    EXPECT_THAT(d.opt_outs, IsEmpty());
    EXPECT_EQ(d.grant, granted_by::nothing);

    add_opt_out("writes-hold");
    d = (*this)(f);
    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_THAT(d.opt_outs, ElementsAre(opt_out_id{1}, opt_out_id{2}));
}

TEST_F(decide_on, pass_is_preferred_so_that_no_bypass_is_recorded_without_need) {
    add_opt_out("pii-hold");
    add_pass(pass_scope::shape, "pii-hold");

    const auto d = (*this)(reads("pii", "cards"));

    EXPECT_EQ(d.grant, granted_by::pass);
    EXPECT_THAT(d.opt_outs, IsEmpty());
    EXPECT_THAT(d.passes, ElementsAre(pass_id{100}));
}

TEST_F(decide_on, shape_pass_covers_equal_shapes_only) {
    add_pass(pass_scope::shape, "pii-hold");
    auto f = reads("pii", "cards");
    EXPECT_EQ((*this)(f).effect, effect::allow);

    f.literal_sensitive = true;
    EXPECT_EQ((*this)(f).effect, effect::hold);
    f.literal_sensitive = false;
    f.shape = "shape-2";
    EXPECT_EQ((*this)(f).effect, effect::hold);
    f.shape.clear();
    given.passes[0].shape.clear();
    EXPECT_EQ((*this)(f).effect, effect::hold);
}

TEST_F(decide_on, session_and_transaction_passes_belong_to_one_session) {
    for (const auto scope : {pass_scope::session, pass_scope::transaction}) {
        given.passes.clear();
        who.session = session_id{7};
        add_pass(scope, "pii-hold");
        who.transaction_passes = {given.passes[0].id};
        const auto f = reads("pii", "cards");
        EXPECT_EQ((*this)(f).effect, effect::allow);

        who.session = session_id{8};
        EXPECT_EQ((*this)(f).effect, effect::hold);
        who.session = given.passes[0].session = session_id{};
        EXPECT_EQ((*this)(f).effect, effect::hold) << "a session without a number owns no pass";
    }
}

TEST_F(decide_on, pass_for_a_transaction_is_of_no_other) {
    using control = statement_facts::transaction_control;
    who.session = session_id{7};
    add_pass(pass_scope::transaction, "pii-hold");
    const auto read = reads("pii", "cards");
    EXPECT_EQ((*this)(read).effect, effect::hold) << "one that the session has left";

    who.transaction_passes = {given.passes[0].id};
    EXPECT_EQ((*this)(read).effect, effect::allow);
    auto with_end = read;
    for (const auto end : {control::commit, control::rollback, control::prepare}) {
        statement_facts s;
        s.command = "commit";
        s.kinds = {kind::transaction};
        s.transaction = end;
        with_end.statements = {read.statements[0], s};
        EXPECT_EQ((*this)(with_end).effect, effect::allow);
        with_end.statements = {s, read.statements[0]};
        EXPECT_EQ((*this)(with_end).effect, effect::hold);
    }
    with_end.statements[0].transaction = control::rollback_to;
    EXPECT_EQ((*this)(with_end).effect, effect::allow);
}

TEST_F(decide_on, pass_ends_at_its_instant_and_belongs_to_one_person_and_target) {
    const auto f = reads("pii", "cards");
    const auto with = [&](auto change) {
        given.passes.clear();
        change(add_pass(pass_scope::shape, "pii-hold"));
        return (*this)(f).effect;
    };

    EXPECT_EQ(with([&](pass& p) { p.until = now + 1ms; }), effect::allow);
    EXPECT_EQ(with([&](pass& p) { p.until = now; }), effect::hold);
    EXPECT_EQ(with([](pass& p) { p.person = "bob"; }), effect::hold);
    EXPECT_EQ(with([](pass& p) { p.target = "hr"; }), effect::hold);
    EXPECT_EQ(with([](pass& p) { p.target = ""; }), effect::hold);
    EXPECT_EQ(with([](pass& p) { p.rule = "no-ddl"; }), effect::hold);
}

TEST_F(decide_on, statement_pass_counts_only_for_the_statement_it_releases) {
    const auto f = writes("pii", "cards");
    auto p = add_pass(pass_scope::statement, "pii-hold");
    expect((*this)(f), effect::hold, "pii-hold");

    decide_options o;
    o.released_by = given.passes;
    expect(decide(*rules, who, &f, {}, now, o), effect::hold, "writes-hold");

    add_pass(pass_scope::statement, "writes-hold");
    o.released_by = given.passes;
    const auto d = decide(*rules, who, &f, {}, now, o);
    EXPECT_EQ(d.effect, effect::allow);
    EXPECT_THAT(d.passes, ElementsAre(pass_id{100}, pass_id{101}));

    EXPECT_EQ(decide(*rules, who, &f, {}, p.until, o).effect, effect::hold);
}

TEST_F(decide_on, pass_of_the_opaque_rule_releases_an_opaque_statement) {
    add_pass(pass_scope::session, "opaque");

    EXPECT_EQ((*this)(of(statement("do", {kind::opaque}))).effect, effect::allow);
}

// ---- when and who that cannot be evaluated
// ---------------------------------------------------------

TEST_F(decide_on, address_that_cannot_be_read_restricts_and_does_not_loosen) {
    use_policy(R"({version: 1, default: allow, rules: [
        {id: inside-only, tier: 2, do: [read], who: {not: {addresses: [10.0.0.0/8]}}, effect: deny},
        {id: office, tier: 1, do: [read], who: {addresses: [10.0.0.0/8]}, effect: allow}]})");
    const auto f = reads("", "t");

    who.address = "10.0.0.7";
    EXPECT_EQ((*this)(f).effect, effect::allow);
    who.address = "192.0.2.1";
    EXPECT_EQ((*this)(f).effect, effect::deny);
    who.address = "";
    EXPECT_EQ((*this)(f).effect, effect::deny);
}

TEST_F(decide_on, zone_that_cannot_be_evaluated_restricts_and_does_not_loosen) {
    auto broken = *tests::load_sound(R"({version: 1, default: allow, rules: [
        {id: nights, tier: 2, do: [read], when: {hours: "22:00-06:00"}, effect: deny},
        {id: days, tier: 1, do: [read], when: {hours: "06:00-22:00"}, effect: allow}]})");
    const auto f = reads("", "t");
    EXPECT_EQ(decide(broken, who, &f, given, noon).effect, effect::allow);

    for (auto& r : broken.rules)
        for (auto& w : r.when)
            w.rules = nullptr;
    EXPECT_EQ(decide(broken, who, &f, given, noon).effect, effect::deny);
}

TEST_F(decide_on, rule_is_asked_in_its_hours_only) {
    use_policy(R"({version: 1, default: allow, rules: [
        {id: office, do: [read], effect: deny,
         when: {hours: "Mon-Fri 08:00-18:00", zone: Europe/Berlin}}]})");
    const auto f = reads("", "t");

    now = *parse_instant("2026-03-02T16:59:59Z");
    EXPECT_EQ((*this)(f).effect, effect::deny);
    now = *parse_instant("2026-03-02T17:00:00Z");
    EXPECT_EQ((*this)(f).effect, effect::allow);
}

// ---- log and explain
// -------------------------------------------------------------------------------

TEST_F(decide_on, plain_allow_is_logged_where_the_file_or_the_rule_says_so) {
    use_policy(R"({version: 1, default: allow, log: all, rules: [
        {id: quiet, do: [show], effect: allow, log: none},
        {id: loud, do: [read], effect: allow}]})");

    EXPECT_TRUE((*this)(reads("", "t")).log);
    EXPECT_EQ((*this)(reads("", "t")).rule_id, "loud");
    EXPECT_FALSE((*this)(of(statement("show", {kind::show}))).log);
    EXPECT_TRUE((*this)(of(statement("begin", {kind::transaction}))).log);
    EXPECT_EQ((*this)(of(statement("begin", {kind::transaction}))).rule_id, "default");
}

TEST_F(decide_on, explanation_names_every_pair_and_what_decided_it) {
    auto f = reads("pii", "cards");
    f.statements.push_back(statement("begin", {kind::transaction}));

    const auto d = explained(f);

    EXPECT_THAT(d.reasons, ElementsAre("rule pii-hold (tier 20) holds read of pii.cards",
                                       "no rule matches transaction: default allow"));
    EXPECT_EQ(explained(reads("", "t")).rule_id, "default");
}

TEST_F(decide_on, reasons_are_bounded_and_on_one_line_each) {
    facts f;
    for (int i = 0; i < 5000; ++i)
        f.statements.push_back(statement(
            "select", {kind::read}, {use(access::read, "pii", "a\n\x1b" + std::to_string(i))}));

    const auto d = (*this)(f);

    EXPECT_LE(d.reasons.size(), 65U);
    EXPECT_THAT(d.reasons.back(), HasSubstr("more"));
    for (const auto& r : d.reasons)
        EXPECT_EQ(r.find_first_of("\n\x1b"), std::string::npos);
}

TEST_F(decide_on, rule_set_without_its_index_decides_the_same) {
    auto plain = *rules;
    plain.compiled = nullptr;

    for (const auto& f : {reads("pii", "cards"), writes("", "orders"), reads("", "t")}) {
        const auto with = (*this)(f);
        const auto without = decide(plain, who, &f, given, now);
        EXPECT_EQ(with.effect, without.effect);
        EXPECT_EQ(with.rule_id, without.rule_id);
    }
}

}  // namespace
}  // namespace sallyport::policy
