#include <algorithm>
#include <set>

#include "policy/loader.h"

namespace sallyport::policy {

namespace {

/// The distinct persons and programs that could vote, as far as the users file tells; nullopt: it
/// does not.
std::optional<std::size_t> possible_approvers(const known_names& known, const approvers& a) {
    if (known.users.empty()) return {};
    std::set<std::string> persons;
    for (const auto& u : a.users)
        if (known.users.contains(u)) persons.insert(u);
    for (const auto& g : a.groups) {
        if (!known.groups.contains(g)) continue;
        const auto members = known.members.find(g);
        if (members == known.members.end()) return {};
        persons.insert(members->second.begin(), members->second.end());
    }
    for (const auto& s : known.services)
        persons.erase(s);
    const auto programs = std::count_if(a.services.begin(), a.services.end(),
                                        [&](const auto& s) { return known.services.contains(s); });
    return persons.size() + static_cast<std::size_t>(programs);
}

void warn_of_unknown(loading& l, const YAML::Node& node, const char* key,
                     const std::set<std::string>& known, const char* what) {
    const std::vector<std::string> words(known.begin(), known.end());
    for (const auto& [at, text] : l.in.list(node, key))
        if (!known.contains(text))
            l.warn(
                at,
                std::string(what) + " " + quoted(text) + " has no user" + did_you_mean(text, words),
                "unknown-name");
}

/// False: one of them is none.
bool check_programs(loading& l, const YAML::Node& node) {
    const auto before = l.in.faults().size();
    for (const auto& [at, name] : l.in.list(node, "services"))
        if (!l.known.users.empty() && !l.known.services.contains(name))
            l.in.fail(
                at,
                quoted(name) + " is no program of the users file" +
                    (l.known.users.contains(name)
                         ? ": a person is named in 'users'"
                         : did_you_mean(name, {l.known.services.begin(), l.known.services.end()})));
    return l.in.faults().size() == before;
}

void check_staffed(loading& l, const YAML::Node& node, const std::string& where,
                   const approvers& a) {
    if (l.known.users.empty() && l.known.groups.empty()) return;
    if (!check_programs(l, node)) return;
    const bool someone = std::any_of(a.users.begin(), a.users.end(),
                                     [&](const auto& u) { return l.known.users.contains(u); }) ||
                         std::any_of(a.groups.begin(), a.groups.end(),
                                     [&](const auto& g) { return l.known.groups.contains(g); }) ||
                         !a.services.empty();
    const auto persons = possible_approvers(l.known, a);
    if (!someone || persons == std::size_t{0}) {
        std::vector<std::string> words(l.known.groups.begin(), l.known.groups.end());
        const auto hint = a.groups.empty() ? std::string() : did_you_mean(a.groups.front(), words);
        l.in.fail(node,
                  "the approvers of " + where + " are nobody (unstaffed): no person in the " +
                      "users file has these names or groups" + hint,
                  "unstaffed");
        return;
    }
    const auto needed = static_cast<std::size_t>(a.approvals);
    if (persons && needed > *persons) {
        l.in.fail(node,
                  "'approvals' of " + where + " is " + std::to_string(needed) + ", but only " +
                      std::to_string(*persons) + " person(s) can approve",
                  "unstaffed");
    } else if (persons && needed == *persons) {
        l.warn(node,
               "the approvers of " + where + " are " + std::to_string(*persons) +
                   " person(s) for " + std::to_string(needed) +
                   " approval(s): what one of them asks for can never be approved",
               "unstaffed");
    }
    if (!l.known.users.empty()) warn_of_unknown(l, node, "users", l.known.users, "approver");
    if (!l.known.groups.empty()) warn_of_unknown(l, node, "groups", l.known.groups, "group");
}

std::optional<approvers> load_approvers(loading& l, const YAML::Node& map,
                                        const std::string& where) {
    const auto node = yaml_reader::member(map, "approvers");
    if (!node.IsDefined()) {
        l.in.fail(map, where + " lacks 'approvers'");
        return {};
    }
    if (!l.in.keys(node, "the approvers of " + where, {"users", "groups", "services", "approvals"}))
        return {};
    approvers a;
    const auto before = l.in.faults().size();
    a.users = l.in.texts(node, "users");
    a.groups = l.in.texts(node, "groups");
    a.services = l.in.texts(node, "services");
    a.approvals = static_cast<int>(l.in.integer(node, "approvals", 1, approvals_max).value_or(1));
    if (l.in.faults().size() != before) return {};
    if (a.nobody()) {
        l.in.fail(node, "the approvers of " + where + " are nobody: name users or groups");
        return {};
    }
    if (const auto named = a.users.size() + a.services.size();
        a.groups.empty() && static_cast<std::size_t>(a.approvals) > named) {
        l.in.fail(node, "'approvals' of " + where + " is " + std::to_string(a.approvals) +
                            ", but only " + std::to_string(named) + " user(s) are named");
        return {};
    }
    check_staffed(l, node, where, a);
    return a;
}

std::optional<milliseconds> load_pass_bound(loading& l, const YAML::Node& node, const char* key) {
    const auto member = yaml_reader::member(node, key);
    if (member.IsDefined() && member.IsScalar() && member.Scalar() == "false") return {};
    return duration_up_to(l.in, node, key, pass_max);
}

pass_bounds load_pass(loading& l, const YAML::Node& map, const std::string& where) {
    pass_bounds p;
    const auto node = yaml_reader::member(map, "pass");
    if (!node.IsDefined()) return p;
    if (!l.in.keys(node, "'pass' of " + where, {"statement", "shape", "transaction", "session"}))
        return p;
    const auto before = l.in.faults().size();
    p.statement = l.in.boolean(node, "statement").value_or(true);
    p.shape = load_pass_bound(l, node, "shape");
    p.transaction = load_pass_bound(l, node, "transaction");
    p.session = load_pass_bound(l, node, "session");
    const bool nothing = !p.statement && !p.shape && !p.transaction && !p.session;
    if (nothing && l.in.faults().size() == before)
        l.in.fail(node, "'pass' of " + where + " offers nothing, so no approval could release it");
    return p;
}

std::optional<escalation> load_escalation(loading& l, const YAML::Node& map,
                                          const std::string& where, milliseconds wait) {
    const auto node = yaml_reader::member(map, "escalate");
    if (!node.IsDefined()) return {};
    const auto here = "'escalate' of " + where;
    if (!l.in.keys(node, here, {"after", "approvers"})) return {};
    escalation e;
    const auto after = duration_up_to(l.in, node, "after", hold_wait_max);
    if (!yaml_reader::member(node, "after").IsDefined())
        l.in.fail(node, here + " lacks 'after': how long the first approvers have");
    if (after && *after >= wait)
        l.in.fail(yaml_reader::member(node, "after"),
                  "'after' must be less than 'wait', which is " + format_duration(wait));
    e.after = after.value_or(milliseconds(0));
    auto to = load_approvers(l, node, here);
    if (!to) return {};
    e.to = std::move(*to);
    return e;
}

void load_max_live(loading& l, const YAML::Node& map, const std::string& where, opt_out_spec& o) {
    const auto node = yaml_reader::member(map, "max_live");
    if (!node.IsDefined()) return;
    if (!l.in.keys(node, "'max_live' of " + where, {"per_person", "in_all"})) return;
    if (const auto n = l.in.integer(node, "per_person", 1, 1'000))
        o.max_live_per_person = static_cast<int>(*n);
    if (const auto n = l.in.integer(node, "in_all", 1, 10'000))
        o.max_live_in_all = static_cast<int>(*n);
    if (o.max_live_per_person && o.max_live_in_all && *o.max_live_per_person > *o.max_live_in_all)
        l.in.fail(node, "'per_person' is more than 'in_all'");
}

void load_per_month(loading& l, const YAML::Node& map, const std::string& where, opt_out_spec& o) {
    const auto node = yaml_reader::member(map, "per_month");
    if (!node.IsDefined()) return;
    if (!l.in.keys(node, "'per_month' of " + where, {"per_person", "per_team", "in_all"})) return;
    const auto read = [&](const char* key, std::optional<int>& out) {
        if (const auto n = l.in.integer(node, key, 1, quota_max)) out = static_cast<int>(*n);
    };
    read("per_person", o.per_month.per_person);
    read("per_team", o.per_month.per_team);
    read("in_all", o.per_month.in_all);
    if (o.per_month.per_team && o.who.groups.empty())
        l.in.fail(node, "'per_team' counts by the groups of 'who', and 'who' names none");
}

/// `review:`, and its short form `review_within:`.
void load_review(loading& l, const YAML::Node& map, const std::string& where, opt_out_spec& o) {
    o.review_within = duration_up_to(l.in, map, "review_within", review_max);
    const auto node = yaml_reader::member(map, "review");
    if (!node.IsDefined()) return;
    if (!l.in.keys(node, "'review' of " + where, {"within", "approvers", "overdue"})) return;
    if (yaml_reader::member(map, "review_within").IsDefined())
        l.in.fail(node, "give either 'review' or 'review_within'");
    o.review_within = duration_up_to(l.in, node, "within", review_max);
    if (!yaml_reader::member(node, "within").IsDefined())
        l.in.fail(node, "'review' of " + where + " lacks 'within', as in 72h");
    if (yaml_reader::member(node, "approvers").IsDefined())
        o.reviewers = load_approvers(l, node, "'review' of " + where);
    if (o.reviewers && !o.reviewers->services.empty())
        l.in.fail(yaml_reader::member(node, "approvers"),
                  "what was used is reviewed by persons: leave 'services' out");
    if (const auto w = l.in.word(node, "overdue", {"alarm", "block"}))
        o.overdue_blocks = *w == "block";
}

void load_break_glass(loading& l, const YAML::Node& map, const std::string& where,
                      opt_out_spec& o) {
    const auto node = yaml_reader::member(map, "break_glass");
    if (!node.IsDefined()) return;
    const auto here = "'break_glass' of " + where;
    if (!l.in.keys(node, here, {"who", "max_duration", "max_uses", "announce", "unreviewed"}))
        return;
    break_glass_spec b;
    if (const auto w = yaml_reader::member(node, "who"); w.IsDefined())
        b.who = load_who(l, w, here, who_fields::only_names);
    else
        l.in.fail(node, here + " lacks 'who': name those who may break the glass alone");
    if (const auto d = duration_up_to(l.in, node, "max_duration", break_glass_max))
        b.max_duration = *d;
    else if (!yaml_reader::member(node, "max_duration").IsDefined())
        l.in.fail(node, here + " lacks 'max_duration', minutes as in 30m");
    if (const auto n = l.in.integer(node, "max_uses", 1, 1'000'000'000))
        b.max_uses = static_cast<std::uint64_t>(*n);
    const auto told = yaml_reader::member(node, "announce");
    if (!told.IsDefined())
        l.in.fail(node, here + " lacks 'announce': say who is told of it, users or groups");
    else if (l.in.keys(told, "'announce' of " + here, {"users", "groups"})) {
        b.announce.users = l.in.texts(told, "users");
        b.announce.groups = l.in.texts(told, "groups");
        if (b.announce.users.empty() && b.announce.groups.empty())
            l.in.fail(told, "'announce' of " + here + " names nobody");
    }
    if (const auto w = l.in.word(node, "unreviewed", {"block", "allow"}))
        b.unreviewed_blocks = *w == "block";
    if (!o.review_within)
        l.in.fail(node, here + " needs a review: give " + where + " 'review' with its 'within'");
    o.break_glass = std::move(b);
}

void load_ticket(loading& l, const YAML::Node& map, opt_out_spec& o) {
    const auto pattern = l.in.text(map, "ticket");
    std::string why;
    if (!pattern) return;
    if (!is_ticket_pattern(*pattern, why)) {
        l.in.fail(yaml_reader::member(map, "ticket"), "'ticket' is no usable pattern: " + why);
        return;
    }
    o.ticket = pattern;
}

}  // namespace

std::optional<hold_spec> load_hold(loading& l, const YAML::Node& node, const std::string& where) {
    const auto here = "'hold' of " + where;
    if (!l.in.keys(node, here, {"approvers", "wait", "clients", "reason", "pass", "escalate"}))
        return {};
    hold_spec h;
    if (auto a = load_approvers(l, node, here)) h.who = std::move(*a);
    if (const auto d = duration_up_to(l.in, node, "wait", hold_wait_max)) h.wait = *d;
    if (const auto w = l.in.word(node, "clients", {"wait", "refuse"}))
        h.clients = *w == "wait" ? hold_clients::wait : hold_clients::refuse;
    if (const auto w = l.in.word(node, "reason", {"required", "optional"}))
        h.reason_required = *w == "required";
    h.pass = load_pass(l, node, where);
    h.escalate = load_escalation(l, node, here, h.wait);
    return h;
}

std::optional<opt_out_spec> load_opt_out(loading& l, const YAML::Node& node,
                                         const std::string& where) {
    const auto here = "'opt_out' of " + where;
    if (!l.in.keys(node, here,
                   {"who", "approvers", "max_duration", "max_uses", "max_live", "ticket", "at_end",
                    "drain_limit", "review_within", "review", "role", "per_month", "cool_down",
                    "starts_within", "max_extensions", "break_glass"}))
        return {};
    opt_out_spec o;
    if (const auto w = yaml_reader::member(node, "who"); w.IsDefined())
        o.who = load_who(l, w, here, who_fields::only_names);
    if (auto a = load_approvers(l, node, here)) o.approved_by = std::move(*a);
    if (const auto d = duration_up_to(l.in, node, "max_duration", opt_out_max)) {
        o.max_duration = *d;
    } else if (!yaml_reader::member(node, "max_duration").IsDefined()) {
        l.in.fail(node, here + " lacks 'max_duration': there is no opt-out without an end");
    }
    if (const auto n = l.in.integer(node, "max_uses", 1, 1'000'000'000))
        o.max_uses = static_cast<std::uint64_t>(*n);
    load_max_live(l, node, here, o);
    load_ticket(l, node, o);
    if (const auto w = l.in.word(node, "at_end", {"hold", "drain", "kill"}))
        o.at_end = *w == "hold" ? at_end::hold : *w == "drain" ? at_end::drain : at_end::kill;
    if (const auto d = duration_up_to(l.in, node, "drain_limit", drain_max)) o.drain_limit = *d;
    load_review(l, node, here, o);
    load_per_month(l, node, here, o);
    o.cool_down = duration_up_to(l.in, node, "cool_down", review_max);
    if (const auto d = duration_up_to(l.in, node, "starts_within", later_start_max))
        o.starts_within = *d;
    if (const auto n = l.in.integer(node, "max_extensions", 0, 1'000))
        o.max_extensions = static_cast<int>(*n);
    load_break_glass(l, node, here, o);
    o.role = l.in.text(node, "role").value_or("");
    if (o.role.size() > 63)
        l.in.fail(yaml_reader::member(node, "role"), "'role' must have at most 63 bytes");
    return o;
}

}  // namespace sallyport::policy
