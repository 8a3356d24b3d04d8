#include "proxy/admin/authority.h"

#include <algorithm>
#include <array>

#include "policy/decide.h"
#include "proxy/admin/text.h"

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

enum class effect : std::uint8_t { reads, changes };

struct permission {
    action what;
    audience who;
    std::string_view name;
    effect does;
};

// The whole table of roles. An action without a line here is refused to everybody.
constexpr std::array permissions{
    permission{action::see_self, audience::everyone, "see-self", effect::reads},
    permission{action::see_holds, audience::everyone, "see-holds", effect::reads},
    permission{action::request_hold, audience::everyone, "request-hold", effect::changes},
    permission{action::escalate_hold, audience::everyone, "escalate-hold", effect::changes},
    permission{action::reassign_hold, audience::everyone, "reassign-hold", effect::changes},
    permission{action::vote_hold, audience::everyone, "vote-hold", effect::changes},
    permission{action::see_opt_outs, audience::everyone, "see-opt-outs", effect::reads},
    permission{action::request_opt_out, audience::everyone, "request-opt-out", effect::changes},
    permission{action::vote_opt_out, audience::everyone, "vote-opt-out", effect::changes},
    permission{action::revoke_opt_out, audience::everyone, "revoke-opt-out", effect::changes},
    permission{action::withdraw_vote, audience::everyone, "withdraw-vote", effect::changes},
    permission{action::see_reviews, audience::everyone, "see-reviews", effect::reads},
    permission{action::review, audience::everyone, "review", effect::changes},
    permission{action::see_flags, audience::admins_auditors_or_monitors, "see-flags",
               effect::reads},
    permission{action::set_flag, audience::admins_or_monitors, "set-flag", effect::changes},
    permission{action::set_lock, audience::admins, "set-lock", effect::changes},
    permission{action::lift_flag, audience::admins, "lift-flag", effect::changes},
    permission{action::see_sessions, audience::admins_or_auditors, "see-sessions", effect::reads},
    permission{action::kill_session, audience::admins, "kill-session", effect::changes},
    permission{action::see_audit, audience::auditors, "see-audit", effect::reads},
    permission{action::see_rules, audience::everyone, "see-rules", effect::reads},
    permission{action::explain_self, audience::everyone, "explain-self", effect::reads},
    permission{action::explain_other, audience::admins_or_auditors, "explain-other", effect::reads},
    permission{action::check_policy, audience::admins_or_auditors, "check-policy", effect::reads},
    permission{action::reload, audience::admins, "reload", effect::changes},
    permission{action::see_events, audience::everyone, "see-events", effect::reads},
    permission{action::see_stats, audience::admins_or_auditors, "see-stats", effect::reads},
    permission{action::see_deliveries, audience::admins_auditors_or_monitors, "see-deliveries",
               effect::reads},
    permission{action::see_tokens, audience::everyone, "see-tokens", effect::reads},
    permission{action::create_token, audience::everyone, "create-token", effect::changes},
    permission{action::revoke_token, audience::everyone, "revoke-token", effect::changes},
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

bool means(const policy::flag& f, const actor& a) {
    policy::subject s;
    s.principal = a.who;
    s.address = a.address;
    return f.means(s);
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

std::string check_maker(const actor& who, const std::string& requester) {
    if (who.made_by.empty() || who.made_by != requester) return {};
    return "That token was made by " + requester + ", and nobody decides her own request.";
}

std::string check_locks(action a, const actor& who, const policy::grants& g, policy::instant now) {
    const auto* const p = find(a);
    if (p != nullptr && p->does == effect::reads) return {};
    const auto at = std::find_if(g.flags.begin(), g.flags.end(), [&](const policy::flag& f) {
        return f.kind == policy::flag_kind::lock && f.live_at(now) && means(f, who);
    });
    if (at == g.flags.end()) return {};
    const bool address = at->on == policy::flag_on::address;
    return (address ? "Your address is locked" : "You are locked") + std::string(" (lock ") +
           std::to_string(at->id.value) + ") until " + iso_time(at->until) +
           " and may only read; ask an admin who is not locked to lift it.";
}

std::string check_way_out(const actor& who, const policy::flag_request& r) {
    policy::flag f;
    f.on = r.on;
    if (r.kind != policy::flag_kind::lock || r.on != policy::flag_on::address ||
        !policy::check_flag(r, f.range).empty() || !means(f, who))
        return {};
    return "Your own address, " + who.address +
           ", is in that range, so you could not lift the lock again; lock a narrower range, or "
           "set it from an address outside.";
}

std::string check_lift(const actor& who, const policy::flag& f) {
    if (f.on != policy::flag_on::address || !means(f, who)) return {};
    return "Nobody may lift what her own address, " + who.address +
           ", is under; ask an admin at another address.";
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
