#include "policy/opt_out.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "policy/loader.h"
#include "policy/match.h"

namespace sallyport::policy {

namespace {

// In the order of the enums.
constexpr std::array<const char*, 8> state_names{"requested", "active",  "denied",  "withdrawn",
                                                 "lapsed",    "expired", "revoked", "used_up"};
constexpr std::array<const char*, 4> scope_names{"statement", "shape", "transaction", "session"};

using s = opt_out_state;
/// Every legal transition; what is not here is illegal.
constexpr std::array<std::pair<s, s>, 7> transitions{{{s::requested, s::active},
                                                      {s::requested, s::denied},
                                                      {s::requested, s::withdrawn},
                                                      {s::requested, s::lapsed},
                                                      {s::active, s::expired},
                                                      {s::active, s::revoked},
                                                      {s::active, s::used_up}}};

template <std::size_t N, class E>
bool parse_name(const std::array<const char*, N>& names, std::string_view text, E& out) noexcept {
    for (std::size_t i = 0; i < N; ++i) {
        if (text == names[i]) {
            out = static_cast<E>(i);
            return true;
        }
    }
    return false;
}

bool is_blank(std::string_view text) noexcept {
    return std::all_of(text.begin(), text.end(),
                       [](unsigned char c) { return std::isspace(c) != 0; });
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

/// The targets on which a rule speaks; empty: all.
std::vector<std::string> targets_of(const rule_set& p, const rule& r) {
    std::vector<std::string> out;
    for (const auto& name : r.on) {
        const auto found = p.resources.find(name);
        if (found == p.resources.end()) continue;
        for (const auto& t : found->second.targets)
            if (std::find(out.begin(), out.end(), t) == out.end()) out.push_back(t);
    }
    return out;
}

std::string check_rule(const rule_set& p, const std::string& id) {
    std::vector<std::string> ids;
    for (const auto& r : p.rules)
        if (r.opt_out) ids.push_back(r.id);
    const auto* r = p.find_rule(id);
    if (r == nullptr && id != opaque_rule_id && id != default_rule_id)
        return "there is no rule " + quoted(id) + did_you_mean(id, ids);
    if (r == nullptr || r->effect != effect::hold || !r->opt_out)
        return "rule " + quoted(id) + " cannot be opted out of" +
               (ids.empty() ? "" : "; rules that can: " + joined(ids));
    return {};
}

std::string check_ticket(const std::string& pattern, const std::string& ticket) {
    const auto wanted = " a ticket that fits " + quoted(pattern);
    if (ticket.empty()) return "this rule asks for" + wanted;
    if (ticket_fits(pattern, ticket)) return {};
    return "ticket " + quoted(ticket) + " does not fit; give" + wanted;
}

std::string check_texts(const opt_out_spec& o, const opt_out_request& r) {
    if (is_blank(r.reason)) return "a reason is needed; say in a sentence why";
    if (r.reason.size() > reason_bytes_max)
        return "the reason must have at most " + std::to_string(reason_bytes_max) + " bytes";
    if (o.ticket) return check_ticket(*o.ticket, r.ticket);
    if (r.ticket.size() > ticket_bytes_max)
        return "the ticket must have at most " + std::to_string(ticket_bytes_max) + " bytes";
    return {};
}

std::string check_live(const opt_out_spec& o, int of_person, int in_all) {
    const auto text = [](const char* whom, int max) {
        return std::string("opt-outs of this rule, requested or active, are limited to ") +
               std::to_string(max) + whom + "; wait for one to end or withdraw it";
    };
    if (o.max_live_per_person && of_person >= *o.max_live_per_person)
        return text(" per person", *o.max_live_per_person);
    if (o.max_live_in_all && in_all >= *o.max_live_in_all)
        return text(" in all", *o.max_live_in_all);
    return {};
}

}  // namespace

const char* to_string(opt_out_state st) noexcept {
    const auto i = static_cast<std::size_t>(st);
    return i < state_names.size() ? state_names[i] : "unknown";
}

bool parse_opt_out_state(std::string_view text, opt_out_state& out) noexcept {
    return parse_name(state_names, text, out);
}

bool is_legal(opt_out_state from, opt_out_state to) noexcept {
    return std::find(transitions.begin(), transitions.end(), std::pair(from, to)) !=
           transitions.end();
}

const char* to_string(pass_scope scope) noexcept {
    const auto i = static_cast<std::size_t>(scope);
    return i < scope_names.size() ? scope_names[i] : "unknown";
}

bool parse_pass_scope(std::string_view text, pass_scope& out) noexcept {
    return parse_name(scope_names, text, out);
}

std::string check_bounds(const rule_set& p, const opt_out_request& r, int live_of_person,
                         int live_in_all) {
    if (auto why = check_rule(p, r.rule); !why.empty()) return why;
    const auto& rule = *p.find_rule(r.rule);
    const auto& o = *rule.opt_out;
    match_context who_asks;
    who_asks.principal = &r.person;
    if (r.person.name.empty() || matches(o.who, who_asks) != truth::yes)
        return quoted(r.person.name) + " is not among those who may opt out of rule " +
               quoted(rule.id) +
               (o.who.groups.empty() ? "" : "; groups that may: " + joined(o.who.groups));
    if (r.duration <= milliseconds(0)) return "the duration must be more than nothing, such as 30m";
    if (r.duration > o.max_duration)
        return format_duration(r.duration) + " is more than the rule allows; ask for " +
               format_duration(o.max_duration) + " at most";
    const auto targets = targets_of(p, rule);
    if (!r.target.empty() && !targets.empty() &&
        std::find(targets.begin(), targets.end(), r.target) == targets.end())
        return "rule " + quoted(rule.id) + " does not speak of target " + quoted(r.target) +
               "; it speaks of " + joined(targets);
    if (auto why = check_texts(o, r); !why.empty()) return why;
    return check_live(o, live_of_person, live_in_all);
}

std::string check_voter(const approvers& a, const principal& voter, const std::string& subject) {
    if (voter.name.empty()) return "a vote needs a person";
    if (voter.name == subject) return "nobody may approve or deny her own request";
    if (voter.service) return quoted(voter.name) + " is a program, and only persons may vote";
    const bool named = std::find(a.users.begin(), a.users.end(), voter.name) != a.users.end() ||
                       std::any_of(a.groups.begin(), a.groups.end(),
                                   [&](const auto& g) { return voter.in_group(g); });
    if (named) return {};
    std::string may = joined(a.users);
    if (!a.groups.empty())
        may += (may.empty() ? "members of " : "; members of ") + joined(a.groups);
    return quoted(voter.name) + " is not among the approvers (" + (may.empty() ? "nobody" : may) +
           ")";
}

}  // namespace sallyport::policy
