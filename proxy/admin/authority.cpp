#include "proxy/admin/authority.h"

#include <algorithm>
#include <array>

namespace sallyport::proxy::admin {
namespace {

/// Who may try an action. `everyone` still means: an authenticated person.
enum class audience : std::uint8_t {
    everyone,
    admins,
    auditors,
    admins_or_auditors,
    admins_or_monitors,
    admins_auditors_or_monitors
};

struct permission {
    action what;
    audience who;
    std::string_view name;
};

// The whole table of roles. An action without a line here is refused to everybody.
constexpr std::array permissions{
    permission{action::see_self, audience::everyone, "see-self"},
    permission{action::see_holds, audience::everyone, "see-holds"},
    permission{action::request_hold, audience::everyone, "request-hold"},
    permission{action::escalate_hold, audience::everyone, "escalate-hold"},
    permission{action::reassign_hold, audience::everyone, "reassign-hold"},
    permission{action::vote_hold, audience::everyone, "vote-hold"},
    permission{action::see_opt_outs, audience::everyone, "see-opt-outs"},
    permission{action::request_opt_out, audience::everyone, "request-opt-out"},
    permission{action::vote_opt_out, audience::everyone, "vote-opt-out"},
    permission{action::revoke_opt_out, audience::everyone, "revoke-opt-out"},
    permission{action::withdraw_vote, audience::everyone, "withdraw-vote"},
    permission{action::see_reviews, audience::everyone, "see-reviews"},
    permission{action::review, audience::everyone, "review"},
    permission{action::see_flags, audience::admins_auditors_or_monitors, "see-flags"},
    permission{action::set_flag, audience::admins_or_monitors, "set-flag"},
    permission{action::set_lock, audience::admins, "set-lock"},
    permission{action::lift_flag, audience::admins, "lift-flag"},
    permission{action::see_sessions, audience::admins_or_auditors, "see-sessions"},
    permission{action::kill_session, audience::admins, "kill-session"},
    permission{action::see_audit, audience::auditors, "see-audit"},
    permission{action::see_rules, audience::everyone, "see-rules"},
    permission{action::explain_self, audience::everyone, "explain-self"},
    permission{action::explain_other, audience::admins_or_auditors, "explain-other"},
    permission{action::check_policy, audience::admins_or_auditors, "check-policy"},
    permission{action::reload, audience::admins, "reload"},
    permission{action::see_events, audience::everyone, "see-events"},
    permission{action::see_stats, audience::admins_or_auditors, "see-stats"},
    permission{action::see_deliveries, audience::admins_auditors_or_monitors, "see-deliveries"},
    permission{action::see_tokens, audience::everyone, "see-tokens"},
    permission{action::create_token, audience::everyone, "create-token"},
    permission{action::revoke_token, audience::everyone, "revoke-token"},
};

bool allowed(audience who, roles r) {
    switch (who) {
        case audience::everyone:
            return true;
        case audience::admins:
            return r.admin;
        case audience::auditors:
            return r.auditor;
        case audience::admins_or_auditors:
            return r.admin || r.auditor;
        case audience::admins_or_monitors:
            return r.admin || r.monitor;
        case audience::admins_auditors_or_monitors:
            return r.admin || r.auditor || r.monitor;
    }
    return false;
}

std::string_view describe(audience who) {
    switch (who) {
        case audience::everyone:
            return "everybody who is logged in";
        case audience::admins:
            return "admins";
        case audience::auditors:
            return "auditors";
        case audience::admins_or_auditors:
            return "admins and auditors";
        case audience::admins_or_monitors:
            return "admins and monitors";
        case audience::admins_auditors_or_monitors:
            return "admins, auditors and monitors";
    }
    return "nobody";
}

const permission* find(action a) {
    const auto* const at = std::find_if(permissions.begin(), permissions.end(),
                                        [a](const permission& p) { return p.what == a; });
    return at == permissions.end() ? nullptr : at;
}

bool has_voted(const std::vector<policy::vote>& votes, const std::string& person) {
    return std::any_of(votes.begin(), votes.end(),
                       [&](const policy::vote& v) { return v.person == person; });
}

bool names(const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

bool role_members::contains(const policy::principal& p) const {
    if (p.name.empty()) return false;
    if (names(users, p.name)) return true;
    return std::any_of(groups.begin(), groups.end(),
                       [&](const std::string& g) { return p.in_group(g); });
}

roles roles_of(const role_config& config, const policy::principal& who) {
    return {.admin = config.admins.contains(who),
            .auditor = config.auditors.contains(who),
            .monitor = config.monitors.contains(who)};
}

std::string_view to_string(action a) noexcept {
    const auto* const p = find(a);
    return p == nullptr ? std::string_view("unknown") : p->name;
}

std::optional<action> parse_action(std::string_view name) noexcept {
    const auto* const at = std::find_if(permissions.begin(), permissions.end(),
                                        [name](const permission& p) { return p.name == name; });
    return at == permissions.end() ? std::nullopt : std::optional(at->what);
}

std::string check_scope(action a, const actor& who) {
    // A token may always ask whose it is.
    if (!who.scopes || a == action::see_self) return {};
    if (a < action::count_ && who.scopes->test(static_cast<std::size_t>(a))) return {};
    return "This token is not for " + std::string(to_string(a)) + ".";
}

std::string check_action(action a, const actor& who) {
    auto why = check_scope(a, who);
    return why.empty() ? check_action(a, who.role) : why;
}

std::string check_action(action a, roles r) {
    const auto* const p = find(a);
    if (p == nullptr) return "Nobody may do this.";
    if (allowed(p->who, r)) return {};
    return "Only " + std::string(describe(p->who)) + " may do this (" + std::string(p->name) + ").";
}

bool may_see(const actor& a, const policy::hold& h) {
    if (a.who.name.empty()) return false;
    if (a.role.admin || a.role.auditor || h.person == a.who.name) return true;
    if (has_voted(h.votes, a.who.name)) return true;
    return policy::check_voter(h.who, a.who, h.person).empty();
}

bool may_read_statement(const actor& a, const policy::hold& h) {
    return may_see(a, h);
}

bool may_see(const actor& a, const policy::opt_out& o, const policy::rule_set* rules) {
    if (a.who.name.empty()) return false;
    if (a.role.admin || a.role.auditor) return true;
    if (o.requested_by == a.who.name || o.lets(a.who)) return true;
    if (has_voted(o.votes, a.who.name)) return true;
    const auto* const rule = rules == nullptr ? nullptr : rules->find_rule(o.rule);
    return rule != nullptr && rule->opt_out &&
           (policy::check_voter(rule->opt_out->approved_by, a.who, o.person).empty() ||
            policy::check_reviewer(*rule->opt_out, a.who, o).empty());
}

std::string check_review(const actor& a, const policy::review& r, const policy::rule_set* rules) {
    if (r.state != policy::review_state::open) return "It is closed.";
    const auto* const rule = rules == nullptr ? nullptr : rules->find_rule(r.rule);
    policy::opt_out o;
    o.person = o.requested_by = r.person;
    if (rule != nullptr && rule->opt_out) return policy::check_reviewer(*rule->opt_out, a.who, o);
    if (a.who.name == r.person) return "nobody may review what she used herself";
    return a.role.admin ? "" : "the rule is gone, so that only an admin may review it";
}

bool may_see(const actor& a, const policy::review& r, const policy::rule_set* rules) {
    if (a.who.name.empty()) return false;
    if (a.role.admin || a.role.auditor || r.person == a.who.name || r.reviewer == a.who.name)
        return true;
    auto open = r;
    open.state = policy::review_state::open;
    return check_review(a, open, rules).empty();
}

}  // namespace sallyport::proxy::admin
