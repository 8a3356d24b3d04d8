#include <algorithm>
#include <functional>
#include <map>
#include <string>

#include "policy/compare.h"
#include "policy/match.h"
#include "policy/yaml_reader.h"

namespace sallyport::policy {

namespace {

using fields = std::vector<std::pair<std::string, std::string>>;

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

std::string text_of(const who& w) {
    if (w.everybody()) return "everybody";
    std::string out;
    const auto add = [&out](const char* name, const std::vector<std::string>& words) {
        if (!words.empty())
            out += std::string(out.empty() ? "" : "; ") + name + " " + joined(words);
    };
    add("users", w.users);
    add("groups", w.groups);
    add("applications", w.applications);
    add("addresses", w.addresses);
    if (w.not_) out += std::string(out.empty() ? "" : "; ") + "not (" + text_of(*w.not_) + ")";
    return out;
}

std::string text_of(const approvers& a) {
    std::string out = std::to_string(a.approvals) + " of";
    if (!a.groups.empty()) out += " groups " + joined(a.groups);
    if (!a.users.empty()) out += " users " + joined(a.users);
    if (!a.services.empty()) out += " programs " + joined(a.services);
    return out;
}

std::string text_of(const std::optional<milliseconds>& d) {
    return d ? format_duration(*d) : "no";
}

std::string text_of(const pass_bounds& p) {
    return std::string("statement ") + (p.statement ? "yes" : "no") + ", shape " +
           text_of(p.shape) + ", transaction " + text_of(p.transaction) + ", session " +
           text_of(p.session);
}

void add_hold(const hold_spec& h, const std::string& prefix, fields& out) {
    out.emplace_back(prefix + "approvers", text_of(h.who));
    out.emplace_back(prefix + "wait", format_duration(h.wait));
    out.emplace_back(prefix + "clients", h.clients == hold_clients::wait ? "wait" : "refuse");
    out.emplace_back(prefix + "reason", h.reason_required ? "required" : "optional");
    out.emplace_back(prefix + "pass", text_of(h.pass));
}

template <class Number>
std::string number(const std::optional<Number>& n) {
    return n ? std::to_string(*n) : "unbounded";
}

void add_break_glass(const break_glass_spec& b, fields& out) {
    out.emplace_back("opt_out.break_glass.who", text_of(b.who));
    out.emplace_back("opt_out.break_glass.max_duration", format_duration(b.max_duration));
    out.emplace_back("opt_out.break_glass.max_uses", number(b.max_uses));
    out.emplace_back("opt_out.break_glass.announce",
                     "groups " + joined(b.announce.groups) + "; users " + joined(b.announce.users));
    out.emplace_back("opt_out.break_glass.unreviewed_blocks", b.unreviewed_blocks ? "yes" : "no");
}

void add_opt_out(const opt_out_spec& o, fields& out) {
    out.emplace_back("opt_out.who", text_of(o.who));
    out.emplace_back("opt_out.approvers", text_of(o.approved_by));
    out.emplace_back("opt_out.max_duration", format_duration(o.max_duration));
    out.emplace_back("opt_out.max_uses", number(o.max_uses));
    out.emplace_back("opt_out.max_live", "per person " + number(o.max_live_per_person) +
                                             ", in all " + number(o.max_live_in_all));
    out.emplace_back("opt_out.ticket", o.ticket.value_or("not needed"));
    out.emplace_back("opt_out.at_end", o.at_end == at_end::hold    ? "hold"
                                       : o.at_end == at_end::drain ? "drain"
                                                                   : "kill");
    out.emplace_back("opt_out.drain_limit", format_duration(o.drain_limit));
    out.emplace_back("opt_out.review_within", text_of(o.review_within));
    out.emplace_back("opt_out.role", o.role.empty() ? "none" : o.role);
    out.emplace_back("opt_out.per_month", "per person " + number(o.per_month.per_person) +
                                              ", per team " + number(o.per_month.per_team) +
                                              ", in all " + number(o.per_month.in_all));
    out.emplace_back("opt_out.cool_down", text_of(o.cool_down));
    out.emplace_back("opt_out.starts_within", format_duration(o.starts_within));
    out.emplace_back("opt_out.max_extensions", number(o.max_extensions));
    out.emplace_back("opt_out.reviewers", o.reviewers ? text_of(*o.reviewers) : "the approvers");
    out.emplace_back("opt_out.overdue_blocks", o.overdue_blocks ? "yes" : "no");
    if (o.break_glass) add_break_glass(*o.break_glass, out);
}

std::string date_of(instant at) {
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day d(day);
    const auto two = [](unsigned n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    auto out = std::to_string(static_cast<int>(d.year())) + "-" +
               two(static_cast<unsigned>(d.month())) + "-" + two(static_cast<unsigned>(d.day()));
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(at - day).count();
    if (minutes != 0)
        out += " " + two(static_cast<unsigned>(minutes / 60)) + ":" +
               two(static_cast<unsigned>(minutes % 60)) + " UTC";
    return out;
}

std::string actions_of(const rule& r) {
    std::vector<std::string> words;
    for (const auto k : r.kinds)
        words.emplace_back(to_string(k));
    words.insert(words.end(), r.commands.begin(), r.commands.end());
    return words.empty() ? "any action" : joined(words);
}

fields fields_of(const resource& r) {
    std::vector<std::string> relations;
    for (const auto& p : r.relations)
        relations.push_back(to_string(p));
    return {{"target", joined(r.targets)},
            {"relations", relations.empty() ? "the whole target" : joined(relations)}};
}

fields fallback(effect e, const std::optional<hold_spec>& h) {
    fields out{{"effect", to_string(e)}};
    if (e == effect::hold && h) add_hold(*h, "hold.", out);
    return out;
}

std::string line_of(const std::pair<std::string, std::string>& f) {
    return f.first + ": " + f.second;
}

/// What differs; a field that only one of them has stands as "none" in the other.
std::vector<std::string> differences(const fields& a, const fields& b) {
    std::vector<std::string> out;
    const auto value = [](const fields& all, const std::string& name) {
        const auto at = std::ranges::find(all, name, &fields::value_type::first);
        return at == all.end() ? std::string("none") : at->second;
    };
    for (const auto& [name, text] : b)
        if (const auto before = value(a, name); before != text)
            out.push_back(name + ": " + before + " -> " + text);
    for (const auto& [name, text] : a)
        if (std::ranges::find(b, name, &fields::value_type::first) == b.end())
            out.push_back(name + ": " + text + " -> none");
    return out;
}

class comparer {
  public:
    std::vector<rule_change> out;

    void both(const std::string& subject, const fields& a, const fields& b) {
        auto changed = differences(a, b);
        if (!changed.empty())
            out.push_back({rule_change::way::changed, subject, std::move(changed)});
    }
    void one(rule_change::way what, const std::string& subject, const fields& all) {
        rule_change c{what, subject, {}};
        for (const auto& f : all)
            c.fields.push_back(line_of(f));
        out.push_back(std::move(c));
    }
};

}  // namespace

const char* to_string(rule_change::way w) noexcept {
    return w == rule_change::way::added     ? "added"
           : w == rule_change::way::removed ? "removed"
                                            : "changed";
}

fields fields_of(const rule& r) {
    fields out{{"tier", std::to_string(r.tier)},
               {"who", text_of(r.who)},
               {"on", r.on.empty() ? "anything" : joined(r.on)},
               {"do", actions_of(r)}};
    std::vector<std::string> windows;
    for (const auto& w : r.when)
        windows.push_back(w.text + " " + w.zone);
    out.emplace_back("when", windows.empty() ? "always" : joined(windows));
    out.emplace_back("effect", to_string(r.effect));
    if (r.observe) out.emplace_back("observe", "only observes");
    if (!r.message.empty()) out.emplace_back("message", r.message);
    if (r.log == log_mode::all) out.emplace_back("log", "all");
    if (!r.reason.empty()) out.emplace_back("reason", r.reason);
    if (r.review_by) out.emplace_back("review_by", date_of(*r.review_by));
    if (!r.excepts.empty()) out.emplace_back("exception from", joined(r.excepts));
    if (r.hold) add_hold(*r.hold, "hold.", out);
    if (r.opt_out) add_opt_out(*r.opt_out, out);
    return out;
}

std::vector<rule_change> compare_rules(const rule_set& older, const rule_set& newer) {
    using way = rule_change::way;
    comparer c;
    c.both("default", fallback(older.default_effect, older.default_hold),
           fallback(newer.default_effect, newer.default_hold));
    c.both("opaque", fallback(older.opaque_effect, older.opaque_hold),
           fallback(newer.opaque_effect, newer.opaque_hold));
    c.both("flagged", fallback(effect::hold, older.flagged_hold),
           fallback(effect::hold, newer.flagged_hold));
    c.both("harmless", {{"harmless", joined(older.harmless)}},
           {{"harmless", joined(newer.harmless)}});
    for (const auto& [name, r] : newer.resources) {
        const auto at = older.resources.find(name);
        if (at == older.resources.end())
            c.one(way::added, "resource " + name, fields_of(r));
        else
            c.both("resource " + name, fields_of(at->second), fields_of(r));
    }
    for (const auto& [name, r] : older.resources)
        if (!newer.resources.contains(name)) c.one(way::removed, "resource " + name, fields_of(r));
    for (const auto& r : newer.rules) {
        const auto* before = older.find_rule(r.id);
        if (before == nullptr)
            c.one(way::added, "rule " + r.id, fields_of(r));
        else
            c.both("rule " + r.id, fields_of(*before), fields_of(r));
    }
    for (const auto& r : older.rules)
        if (newer.find_rule(r.id) == nullptr) c.one(way::removed, "rule " + r.id, fields_of(r));
    return std::move(c.out);
}

}  // namespace sallyport::policy
