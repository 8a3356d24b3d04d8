#include "policy/opt_out.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <utility>

#include "policy/commands.h"
#include "policy/decide.h"
#include "policy/loader.h"
#include "policy/match.h"

namespace sallyport::policy {

namespace {

// In the order of the enums.
constexpr std::array<const char*, 8> state_names{"requested", "active",  "denied",  "withdrawn",
                                                 "lapsed",    "expired", "revoked", "used_up"};
constexpr std::array<const char*, 3> kind_names{"request", "break_glass", "file"};
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
    if (r.kind == opt_out_kind::break_glass && is_blank(r.ticket))
        return "breaking the glass needs a ticket; name the incident";
    if (r.ticket.size() > ticket_bytes_max)
        return "the ticket must have at most " + std::to_string(ticket_bytes_max) + " bytes";
    return {};
}

std::string check_live(const opt_out_spec& o, const opt_out_usage& u) {
    const auto text = [](const char* whom, int max) {
        return std::string("opt-outs of this rule, requested or active, are limited to ") +
               std::to_string(max) + whom + "; wait for one to end or withdraw it";
    };
    if (o.max_live_per_person && u.live_of_person >= *o.max_live_per_person)
        return text(" per person", *o.max_live_per_person);
    if (o.max_live_in_all && u.live_in_all >= *o.max_live_in_all)
        return text(" in all", *o.max_live_in_all);
    return {};
}

std::string date_text(instant t) {
    const std::chrono::year_month_day d{std::chrono::floor<std::chrono::days>(t)};
    const auto two = [](unsigned n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return std::to_string(static_cast<int>(d.year())) + "-" +
           two(static_cast<unsigned>(d.month())) + "-" + two(static_cast<unsigned>(d.day()));
}

std::string check_quota(const opt_out_spec& o, const opt_out_usage& u, instant now) {
    const auto text = [&](const std::string& whom, int max) {
        const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
        const auto next = std::chrono::sys_days{
            (today.year() / today.month() + std::chrono::months(1)) / std::chrono::day(1)};
        return "opt-outs of this rule are limited to " + std::to_string(max) + " a month" + whom +
               ", and they are spent or asked for; the next can be asked for on " +
               date_text(instant(next));
    };
    const auto& q = o.per_month;
    if (q.per_person && u.month_of_person >= *q.per_person)
        return text(" per person", *q.per_person);
    if (q.in_all && u.month_in_all >= *q.in_all) return text(" in all", *q.in_all);
    if (!q.per_team) return {};
    for (const auto& [team, used] : u.month_of_team)
        if (std::find(o.who.groups.begin(), o.who.groups.end(), team) != o.who.groups.end() &&
            used >= *q.per_team)
            return text(" for the group " + quoted(team), *q.per_team);
    return {};
}

std::string check_reviews(const opt_out_spec& o, const opt_out_request& r, const opt_out_usage& u) {
    if (o.overdue_blocks && !u.overdue_review.empty())
        return "the review of " + u.overdue_review +
               " is overdue; have it signed off by a reviewer first";
    if (r.kind == opt_out_kind::break_glass && o.break_glass->unreviewed_blocks &&
        !u.unreviewed_glass.empty())
        return "the glass that you broke with " + u.unreviewed_glass +
               " has not been reviewed; have it signed off by a reviewer first";
    return {};
}

std::string check_cool_down(const opt_out_spec& o, const opt_out_request& r, const opt_out_usage& u,
                            instant now) {
    if (!o.cool_down || r.extends || r.kind == opt_out_kind::break_glass ||
        u.last_end == instant{} || now >= u.last_end + *o.cool_down)
        return {};
    return "your last opt-out of this rule has just ended, and the rule asks for a pause of " +
           format_duration(*o.cool_down) + "; ask again in " +
           format_duration(std::max(
               milliseconds(seconds(1)),
               std::chrono::ceil<seconds>(u.last_end + *o.cool_down - now) + milliseconds(0)));
}

std::string check_extension(const opt_out_request& r, const opt_out_usage& u) {
    if (!r.extends) return {};
    const auto name = "opt-out " + std::to_string(r.extends.value);
    if (u.extends == nullptr) return name + " is not active, so that it cannot be extended";
    if (u.extends->person != r.person.name) return name + " is another person's";
    if (u.extends->rule != r.rule) return name + " is one of rule " + quoted(u.extends->rule);
    if (r.kind == opt_out_kind::break_glass || u.extends->kind == opt_out_kind::break_glass)
        return "what was broken is not extended; ask for an opt-out";
    if (u.extends->target != r.target || u.extends->group != r.group ||
        !(u.extends->scope == r.scope))
        return "an extension has the scope of what it extends; ask for an opt-out of its own";
    return {};
}

std::string check_extensions(const opt_out_spec& o, const opt_out_request& r,
                             const opt_out_usage& u) {
    if (!r.extends || !o.max_extensions || u.extensions < *o.max_extensions) return {};
    return "this rule allows " + std::to_string(*o.max_extensions) +
           " extension(s) of one opt-out, and they are spent; ask for a new one";
}

std::string check_window(const opt_out_spec& o, const opt_out_request& r, instant now) {
    const auto most = bounds_of(o, r.kind).duration;
    if (r.duration <= milliseconds(0)) return "the duration must be more than nothing, such as 30m";
    if (r.duration > most)
        return format_duration(r.duration) + " is more than the rule allows; ask for " +
               format_duration(most) + " at most";
    // One that is written down stands in its file before it begins, and when it has begun.
    if (r.starts_at == instant{} || r.kind == opt_out_kind::file) return {};
    if (r.extends || r.kind == opt_out_kind::break_glass)
        return "the beginning cannot be chosen here: it is now, or the end of what is extended";
    if (r.starts_at < now) return "the beginning is in the past; leave it out to begin at once";
    if (r.starts_at > now + o.starts_within)
        return o.starts_within == milliseconds(0)
                   ? "this rule lets no opt-out begin later; leave the beginning out"
                   : "this rule lets an opt-out begin " + format_duration(o.starts_within) +
                         " from now at the latest";
    return {};
}

/// What a resource says of a target: everything, or relations.
struct extent {
    bool whole = false;
    std::vector<relation_pattern> patterns;
};

extent extent_of(const rule_set& p, const std::vector<std::string>& names,
                 std::string_view target) {
    extent e;
    for (const auto& name : names) {
        const auto found = p.resources.find(name);
        if (found == p.resources.end()) continue;
        const auto& r = found->second;
        if (std::find(r.targets.begin(), r.targets.end(), target) == r.targets.end()) continue;
        if (r.relations.empty()) e.whole = true;
        e.patterns.insert(e.patterns.end(), r.relations.begin(), r.relations.end());
    }
    return e;
}

std::string check_scope(const rule_set& p, const rule& r, const opt_out_scope& scope) {
    for (const auto& name : scope.resources) {
        const auto found = p.resources.find(name);
        if (found == p.resources.end()) {
            std::vector<std::string> known;
            for (const auto& [n, resource] : p.resources)
                known.push_back(n);
            return "there is no resource " + quoted(name) + did_you_mean(name, known);
        }
        const auto targets = targets_of(p, r);
        const auto& of = found->second.targets;
        if (!targets.empty() && std::none_of(of.begin(), of.end(), [&](const auto& t) {
                return std::find(targets.begin(), targets.end(), t) != targets.end();
            }))
            return "rule " + quoted(r.id) + " does not speak of resource " + quoted(name) +
                   (r.on.empty() ? "" : "; it speaks of " + joined(r.on));
    }
    if (scope.application.size() > 64) return "an application_name has 63 bytes at most";
    if (!scope.shape.empty() &&
        (scope.shape.size() != 64 ||
         scope.shape.find_first_not_of("0123456789abcdef") != std::string::npos))
        return "a shape is 64 hexadecimal digits, as `sallyport explain` shows it";
    return {};
}

/// The kinds of the statement that the rule holds are among those of the scope.
bool actions_covered(const opt_out_scope& scope, const rule& r, const statement_facts& st) {
    if (scope.kinds.empty() && scope.commands.empty()) return true;
    kind_mask covered = 0;
    for (const auto k : scope.kinds)
        covered |= bit(k);
    for (const auto& c : scope.commands)
        if (const auto* word = find_command(c); word && speaks_of(*word, st.command) == truth::yes)
            covered |= word->natural;
    const bool any = r.kinds.empty() && r.commands.empty();
    const auto named = [&](const std::string& c) {
        const auto* word = find_command(c);
        const auto speaks = [&](const std::string& of) {
            return word == nullptr || speaks_of(*word, of) != truth::no;
        };
        return speaks(st.command) ||
               std::any_of(st.inner_commands.begin(), st.inner_commands.end(), speaks);
    };
    const bool by_command = std::any_of(r.commands.begin(), r.commands.end(), named);
    kind_mask held = 0;
    for (const auto k : st.kinds)
        if (any || by_command || std::find(r.kinds.begin(), r.kinds.end(), k) != r.kinds.end())
            held |= bit(k);
    // DDL that looks at rows is held as reading is.
    if (std::find(r.kinds.begin(), r.kinds.end(), kind::read) != r.kinds.end() &&
        (covered & bit(kind::ddl)) == 0 &&
        std::any_of(st.relations.begin(), st.relations.end(),
                    [](const relation_use& u) { return u.scanned; }))
        held |= bit(kind::read);
    return (held & ~covered) == 0;
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

const char* to_string(opt_out_kind k) noexcept {
    const auto i = static_cast<std::size_t>(k);
    return i < kind_names.size() ? kind_names[i] : "unknown";
}

bool parse_opt_out_kind(std::string_view text, opt_out_kind& out) noexcept {
    return parse_name(kind_names, text, out);
}

opt_out_bounds bounds_of(const opt_out_spec& s, opt_out_kind k) {
    if (k != opt_out_kind::break_glass) return {s.max_duration, s.max_uses};
    if (!s.break_glass) return {};
    return {s.break_glass->max_duration,
            s.break_glass->max_uses ? s.break_glass->max_uses : s.max_uses};
}

std::string check_bounds(const rule_set& p, const opt_out_request& r, const opt_out_usage& u,
                         instant now) {
    if (auto why = check_rule(p, r.rule); !why.empty()) return why;
    const auto& rule = *p.find_rule(r.rule);
    const auto& o = *rule.opt_out;
    const bool glass = r.kind == opt_out_kind::break_glass;
    if (glass && !o.break_glass)
        return "rule " + quoted(rule.id) + " has no break-glass; ask for an opt-out";
    const auto& who = glass ? o.break_glass->who : o.who;
    match_context who_asks;
    who_asks.principal = &r.person;
    if (r.person.name.empty() || matches(who, who_asks) != truth::yes)
        return quoted(r.person.name) + " is not among those who may " +
               (glass ? "break the glass of" : "opt out of") + " rule " + quoted(rule.id) +
               (who.groups.empty() ? "" : "; groups that may: " + joined(who.groups));
    if (!r.group.empty() && glass) return "the glass is broken for oneself alone";
    if (!r.group.empty() && !r.person.in_group(r.group))
        return quoted(r.group) + " is no group of yours";
    if (auto why = check_window(o, r, now); !why.empty()) return why;
    const auto targets = targets_of(p, rule);
    if (!r.target.empty() && !targets.empty() &&
        std::find(targets.begin(), targets.end(), r.target) == targets.end())
        return "rule " + quoted(rule.id) + " does not speak of target " + quoted(r.target) +
               "; it speaks of " + joined(targets);
    if (auto why = check_scope(p, rule, r.scope); !why.empty()) return why;
    if (auto why = check_texts(o, r); !why.empty()) return why;
    if (auto why = check_extension(r, u); !why.empty()) return why;
    return check_how_often(o, r, u, now);
}

std::string check_how_often(const opt_out_spec& o, const opt_out_request& r, const opt_out_usage& u,
                            instant now) {
    if (auto why = check_extensions(o, r, u); !why.empty()) return why;
    if (auto why = check_reviews(o, r, u); !why.empty()) return why;
    if (auto why = check_cool_down(o, r, u, now); !why.empty()) return why;
    if (auto why = check_quota(o, u, now); !why.empty()) return why;
    return check_live(o, u);
}

std::string outside_bounds(const rule_set& p, const opt_out& o, const principal& person) {
    const auto* r = p.find_rule(o.rule);
    if (r == nullptr || !r->opt_out) return "rule " + o.rule + " can no longer be opted out of";
    const auto& spec = *r->opt_out;
    if (o.kind == opt_out_kind::break_glass && !spec.break_glass)
        return "rule " + o.rule + " no longer has a break-glass";
    const auto most = bounds_of(spec, o.kind);
    if (o.state == opt_out_state::active && o.until - o.from > most.duration)
        return "rule " + o.rule + " now allows " + format_duration(most.duration) + " at most";
    if (most.uses && (o.max_uses == 0 || o.max_uses > *most.uses))
        return "rule " + o.rule + " now allows " + std::to_string(*most.uses) + " uses at most";
    if (!o.role.empty() && o.role != spec.role)
        return "rule " + o.rule + " no longer gives the role " + quoted(o.role);
    match_context who_asks;
    who_asks.principal = &person;
    const auto& who = o.kind == opt_out_kind::break_glass ? spec.break_glass->who : spec.who;
    if (matches(who, who_asks) != truth::yes)
        return quoted(o.person) + " is no longer among those who may opt out of rule " + o.rule;
    if (spec.ticket && o.kind == opt_out_kind::request && !ticket_fits(*spec.ticket, o.ticket))
        return "its ticket no longer fits what rule " + o.rule + " asks for";
    return check_scope(p, *r, o.scope);
}

bool scope_covers(const opt_out& o, const rule& rule, const rule_set& p, const subject& s,
                  const facts* f) {
    const auto& scope = o.scope;
    if (!scope.application.empty() && scope.application != s.application) return false;
    const auto granted = extent_of(p, scope.resources, s.target);
    if (f == nullptr) {
        const bool connects =
            scope.commands.empty() &&
            (scope.kinds.empty() ||
             std::find(scope.kinds.begin(), scope.kinds.end(), kind::connect) != scope.kinds.end());
        return connects && scope.shape.empty() && (scope.resources.empty() || granted.whole);
    }
    if (!scope.shape.empty() && (f->literal_sensitive || f->shape != scope.shape)) return false;
    const auto held = extent_of(p, rule.on, s.target);
    const bool all = rule.on.empty() || held.whole;
    match_context c;
    c.principal = &s.principal;
    c.application = s.application;
    c.address = s.address;
    c.search_path = &s.search_path_schemas;
    for (const auto& st : f->statements) {
        bool touched = false;
        for (const auto& use : st.relations) {
            if (!all && !covers(held.patterns, use, effect::hold, c)) continue;
            touched = true;
            if (!scope.resources.empty() && !granted.whole &&
                !covers(granted.patterns, use, effect::allow, c))
                return false;
        }
        // What is held without any relation lies in no resource.
        if (!touched && all && !scope.resources.empty() && !granted.whole) return false;
        if ((touched || all) && !actions_covered(scope, rule, st)) return false;
    }
    return true;
}

std::string check_voter(const approvers& a, const principal& voter, const std::string& subject) {
    if (voter.name.empty()) return "a vote needs a person";
    if (voter.name == subject) return "nobody may approve or deny her own request";
    if (voter.service)
        return std::find(a.services.begin(), a.services.end(), voter.name) != a.services.end()
                   ? std::string()
                   : quoted(voter.name) + " is a program, and this rule lets only persons vote";
    const bool named = std::find(a.users.begin(), a.users.end(), voter.name) != a.users.end() ||
                       std::any_of(a.groups.begin(), a.groups.end(),
                                   [&](const auto& g) { return voter.in_group(g); });
    if (named) return {};
    std::string may = joined(a.by_name());
    if (!a.groups.empty())
        may += (may.empty() ? "members of " : "; members of ") + joined(a.groups);
    return quoted(voter.name) + " is not among the approvers (" + (may.empty() ? "nobody" : may) +
           ")";
}

std::string check_voter(const approvers& a, const principal& voter, const opt_out& o) {
    if (voter.name == o.requested_by) return "nobody may approve or deny her own request";
    if (!o.group.empty() && voter.in_group(o.group))
        return "it would let " + quoted(voter.name) + " through as well, a member of " +
               quoted(o.group);
    return check_voter(a, voter, o.person);
}

std::string check_reviewer(const opt_out_spec& s, const principal& reviewer, const opt_out& o) {
    if (reviewer.name == o.person || reviewer.name == o.requested_by ||
        (!o.group.empty() && reviewer.in_group(o.group)))
        return "nobody may review what she used herself";
    if (reviewer.service) return quoted(reviewer.name) + " is a program, and only persons review";
    auto why = check_voter(s.reviewers ? *s.reviewers : s.approved_by, reviewer, o.person);
    const auto at = why.find("the approvers");
    return at == std::string::npos ? why : why.replace(at, 13, "the reviewers");
}

}  // namespace sallyport::policy
