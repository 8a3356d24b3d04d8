#include "proxy/approval/pass_choice.h"

#include <algorithm>

#include "policy/yaml_reader.h"

namespace sallyport::proxy::approval {

namespace {

using policy::milliseconds;
using policy::pass_scope;

std::optional<milliseconds> shorter(const std::optional<milliseconds>& a,
                                    const std::optional<milliseconds>& b) {
    if (!a || !b) return std::nullopt;
    return std::min(*a, *b);
}

const std::optional<milliseconds>* bound_of(const policy::pass_bounds& b, pass_scope scope) {
    switch (scope) {
        case pass_scope::shape:
            return &b.shape;
        case pass_scope::transaction:
            return &b.transaction;
        case pass_scope::session:
            return &b.session;
        case pass_scope::statement:
            break;
    }
    return nullptr;
}

/// "offered: statement, shape up to 30m".
std::string offers(const policy::hold& h, const policy::pass_bounds& b) {
    std::string text = b.statement ? "statement" : "";
    for (const auto scope : {pass_scope::shape, pass_scope::transaction, pass_scope::session}) {
        const auto& bound = *bound_of(b, scope);
        if (!bound || (scope == pass_scope::shape && h.shape.empty())) continue;
        text += (text.empty() ? "" : ", ") + std::string(policy::to_string(scope)) + " up to " +
                policy::format_duration(*bound);
    }
    return text.empty() ? "nothing is offered" : "offered: " + text;
}

/// How far a scope reaches; shape reaches sideways and is compared only with itself and statement.
int reach(pass_scope scope) {
    switch (scope) {
        case pass_scope::statement:
            return 0;
        case pass_scope::transaction:
            return 1;
        case pass_scope::session:
            return 2;
        case pass_scope::shape:
            break;
    }
    return -1;
}

}  // namespace

policy::pass_bounds intersect(const policy::pass_bounds& a, const policy::pass_bounds& b) {
    return {a.statement && b.statement, shorter(a.shape, b.shape),
            shorter(a.transaction, b.transaction), shorter(a.session, b.session)};
}

chosen choose_pass(const policy::hold& h, const policy::pass_bounds& bounds, pass_scope scope,
                   std::optional<milliseconds> lasts) {
    const auto refuse = [&](const std::string& why) {
        return chosen{{}, why + "; " + offers(h, bounds)};
    };
    const std::string name = policy::to_string(scope);
    const auto* bound = bound_of(bounds, scope);
    if (!bound) {
        if (!bounds.statement)
            return refuse("rule " + h.rule + " offers no pass for one statement");
        if (lasts) return refuse("a pass for this statement alone has no duration");
        return {};
    }
    if (!*bound) return refuse("rule " + h.rule + " offers no pass for the " + name);
    if (scope == pass_scope::transaction && h.kind == policy::hold_kind::session)
        return refuse("a session is no transaction");
    if (scope == pass_scope::shape && h.shape.empty())
        return refuse("this statement has no shape that a pass could cover");
    if (scope != pass_scope::shape && !h.session)
        return refuse("this hold belongs to no session that a pass could cover");
    if (lasts && *lasts <= milliseconds(0)) return refuse("a pass must last longer than nothing");
    if (lasts && *lasts > **bound)
        return refuse(policy::format_duration(*lasts) + " is more than rule " + h.rule +
                      " allows for the " + name);
    return {{scope, lasts.value_or(**bound)}, ""};
}

const policy::hold_spec* hold_spec_now(const policy::rule_set_ptr& rules, const std::string& rule) {
    if (!rules) return nullptr;
    const auto of = [](const std::optional<policy::hold_spec>& s) { return s ? &*s : nullptr; };
    if (rule == policy::opaque_rule_id) return of(rules->opaque_hold);
    if (rule == policy::default_rule_id) return of(rules->default_hold);
    if (rule == policy::flag_rule_id) return of(rules->flagged_hold);
    const auto* r = rules->find_rule(rule);
    return r && r->hold ? &*r->hold : nullptr;
}

std::string outside_bounds(const policy::rule_set_ptr& rules, const policy::pass& p,
                           policy::instant now) {
    const auto* spec = hold_spec_now(rules, p.rule);
    if (!spec) return "rule " + p.rule + " is gone or holds no longer";
    const auto* bound = bound_of(spec->pass, p.scope);
    if (!bound) return {};
    const std::string name = policy::to_string(p.scope);
    if (!*bound) return "rule " + p.rule + " offers no pass for the " + name;
    if (p.until - now <= **bound) return {};
    return policy::format_duration(std::chrono::floor<milliseconds>(p.until - now)) +
           " are left, and rule " + p.rule + " allows " + policy::format_duration(**bound) +
           " for the " + name;
}

pass_choice agree(const pass_choice& a, const pass_choice& b) {
    if (a.scope == b.scope) return {a.scope, std::min(a.lasts, b.lasts)};
    const int reach_a = reach(a.scope);
    const int reach_b = reach(b.scope);
    // Neither contains the other: both agreed to this one statement.
    if (reach_a < 0 || reach_b < 0) return {};
    const auto scope = reach_a < reach_b ? a.scope : b.scope;
    if (scope == pass_scope::statement) return {};
    return {scope, std::min(a.lasts, b.lasts)};
}

}  // namespace sallyport::proxy::approval
