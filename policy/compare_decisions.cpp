#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "policy/commands.h"
#include "policy/compare.h"
#include "policy/match.h"

// Made-up statements, one for each thing that a policy can tell apart, decided under both policies.
namespace sallyport::policy {

namespace {

constexpr std::size_t circumstances_max = 64;
constexpr std::size_t objects_max = 500;  ///< of one target
constexpr const char* unnamed = "any_other";

/// One statement that is nothing but this action on this object.
struct probe {
    std::string action;
    std::string object;
    facts f;  ///< no statement: the opening of the session
};

struct circumstance {
    instant at{};
    std::string address;
    std::string application;
    std::string text;  ///< "" = the only one
};

/// A relation that the pattern means.
relation_use use_of(const relation_pattern& p) {
    relation_use u;
    u.schema = p.schema == "*" ? "" : p.schema;
    u.name = p.name == "*" ? unnamed : p.name;
    u.columns = p.columns;
    return u;
}

std::string name_of(const relation_pattern& p) {
    if (p.schema == "*" && p.name != "*") {
        return to_string(p).substr(2);  // without the "*." in front
    }
    return to_string(p);
}

/// A command whose nature the kind is, for statements that are of that kind alone.
std::string command_of(kind k) {
    switch (k) {
        case kind::read:
            return "select";
        case kind::write:
            return "update";
        case kind::ddl:
            return "alter table";
        case kind::grant:
            return "grant";
        case kind::execute_code:
            return "do";
        default:
            break;
    }
    for (const auto& w : all_commands())
        if (w.natural == bit(k)) return std::string(w.text);
    return std::string(to_string(k));
}

std::vector<kind> kinds_of_mask(kind_mask mask) {
    std::vector<kind> out;
    for (std::size_t i = 0; i < kind_count; ++i)
        if ((mask >> i & 1U) != 0) out.push_back(static_cast<kind>(i));
    return out;
}

/// What a command does to a relation, in one way.
kind core_of(const command_word& w) {
    for (const auto k : {kind::ddl, kind::grant, kind::write, kind::read})
        if ((w.natural & bit(k)) != 0) return k;
    return kinds_of_mask(w.natural).front();
}

bool concerns_relations(kind k) noexcept {
    constexpr auto others =
        bit(kind::connect) | bit(kind::transaction) | bit(kind::session_setting) |
        bit(kind::session_identity) | bit(kind::notify) | bit(kind::show) | bit(kind::replication) |
        bit(kind::fastpath) | bit(kind::prepared) | bit(kind::cursor) | bit(kind::execute_code) |
        bit(kind::opaque) | bit(kind::server_file) | bit(kind::copy_program);
    return (bit(k) & others) == 0;
}

facts facts_of(std::string command, kind k, const relation_pattern* on) {
    facts f;
    auto& s = f.statements.emplace_back();
    s.command = std::move(command);
    s.kinds = {k};
    if (k == kind::opaque) s.opaque_reasons = {"it cannot be analysed"};
    if (on != nullptr) {
        auto use = use_of(*on);
        use.how = k == kind::write || k == kind::ddl ? access::write : access::read;
        s.relations.push_back(std::move(use));
    }
    return f;
}

class prober {
  public:
    prober(const rule_set& a, const rule_set& b) : both_{&a, &b} {
        for (const auto* p : both_)
            for (const auto& r : p->rules) {
                for (const auto& c : r.commands)
                    commands_.insert(c);
                for (const auto k : r.kinds)
                    kinds_.insert(k);
            }
        kinds_.insert({kind::read, kind::write, kind::ddl, kind::grant});
    }

    [[nodiscard]] std::vector<probe> probes_of(const std::string& target) const {
        std::vector<probe> out{{"opening a session", "", {}},
                               {"opaque statements", "", facts_of("do", kind::opaque, nullptr)}};
        for (const auto k : kinds_)
            if (!concerns_relations(k) && k != kind::connect && k != kind::opaque)
                out.push_back({std::string(to_string(k)), "", facts_of(command_of(k), k, nullptr)});
        for (const auto& [text, pattern] : patterns_of(target)) {
            for (const auto k : kinds_)
                if (concerns_relations(k))
                    out.push_back(
                        {std::string(to_string(k)), text, facts_of(command_of(k), k, &pattern)});
            for (const auto& c : commands_)
                if (const auto* w = find_command(c);
                    w != nullptr && concerns_relations(core_of(*w)))
                    out.push_back({c, text, facts_of(c, core_of(*w), &pattern)});
        }
        for (const auto& c : commands_)
            if (const auto* w = find_command(c); w != nullptr && !concerns_relations(core_of(*w)))
                out.push_back({c, "", facts_of(c, core_of(*w), nullptr)});
        return out;
    }

  private:
    [[nodiscard]] std::map<std::string, relation_pattern> patterns_of(
        const std::string& target) const {
        std::map<std::string, relation_pattern> out;
        for (const auto* p : both_)
            for (const auto& [name, r] : p->resources)
                for (const auto& x : r.relations)
                    if (std::ranges::find(r.targets, target) != r.targets.end() &&
                        out.size() < objects_max)
                        out.emplace(name_of(x), x);
        out.emplace("any other relation", relation_pattern{unnamed, unnamed, {}});
        return out;
    }

    std::array<const rule_set*, 2> both_;
    std::set<std::string> commands_;
    std::set<kind> kinds_;
};

// ---- circumstances ------------------------------------------------------------------------------

std::string clock_text(instant at) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    const auto day = std::chrono::floor<std::chrono::days>(at);
    const std::chrono::year_month_day d(day);
    const auto minutes = std::chrono::duration_cast<std::chrono::minutes>(at - day).count();
    const auto two = [](long n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return std::string(days.at(std::chrono::weekday(day).c_encoding())) + " " +
           std::to_string(static_cast<int>(d.year())) + "-" +
           two(static_cast<long>(static_cast<unsigned>(d.month()))) + "-" +
           two(static_cast<long>(static_cast<unsigned>(d.day()))) + " " + two(minutes / 60) + ":" +
           two(minutes % 60) + " UTC";
}

/// The first instant, from now on, of each set of windows that are open together in the next week.
std::vector<instant> times_of(const rule_set& a, const rule_set& b, instant now) {
    std::vector<const time_window*> windows;
    for (const auto* p : {&a, &b})
        for (const auto& r : p->rules)
            for (const auto& w : r.when)
                windows.push_back(&w);
    std::vector<instant> out;
    std::set<std::vector<bool>> seen;
    constexpr int quarters = 7 * 24 * 4;
    for (int i = 0; i < quarters && (i == 0 || !windows.empty()); ++i) {
        const auto at = now + i * std::chrono::minutes(15);
        std::vector<bool> open;
        for (const auto* w : windows)
            open.push_back(is_inside(*w, at) == truth::yes);
        if (seen.insert(std::move(open)).second) out.push_back(at);
    }
    return out;
}

void add_names(const who& w, std::set<std::string>& addresses, std::set<std::string>& programs) {
    for (const auto& a : w.addresses)
        addresses.insert(a.substr(0, a.find('/')));
    programs.insert(w.applications.begin(), w.applications.end());
    if (w.not_) add_names(*w.not_, addresses, programs);
}

std::vector<circumstance> circumstances_of(const rule_set& a, const rule_set& b, instant now) {
    std::set<std::string> addresses;
    std::set<std::string> programs{""};
    for (const auto* p : {&a, &b})
        for (const auto& r : p->rules)
            add_names(r.who, addresses, programs);
    const auto times = times_of(a, b, now);
    const bool by_address = !addresses.empty();
    addresses.insert("192.0.2.1");  // of a network for examples: nobody's
    std::vector<circumstance> out;
    for (const auto at : times)
        for (const auto& address : addresses)
            for (const auto& program : programs) {
                if (out.size() == circumstances_max) return out;
                std::string text;
                const auto add = [&text](const std::string& more) {
                    text += (text.empty() ? "" : ", ") + more;
                };
                if (times.size() > 1) add("at " + clock_text(at));
                if (by_address) add("from " + address);
                if (programs.size() > 1)
                    add(program.empty() ? "by any other application" : "by " + program);
                out.push_back({at, address, program, std::move(text)});
            }
    return out;
}

// ---- the comparison -----------------------------------------------------------------------------

outcome decided(const rule_set& p, const subject& s, const probe& q, instant at) {
    const auto d =
        decide(p, s, q.f.statements.empty() ? nullptr : &q.f, grants{}, at, {.explain = false});
    outcome o;
    o.effect = d.effect;
    o.rule = d.rule != nullptr ? d.rule->id : d.effect == effect::allow ? "default" : d.rule_id;
    return o;
}

bool differ(const outcome& a, const outcome& b) {
    return a.effect != b.effect || (a.effect == effect::hold && a.rule != b.rule);
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : ", ") + w;
    return out;
}

using persons_of_change = std::map<std::tuple<std::string, std::string, std::string, int,
                                              std::string, int, std::string, std::string>,
                                   std::vector<std::string>>;

}  // namespace

std::string to_string(const outcome& o) {
    return std::string(to_string(o.effect)) + (o.rule.empty() ? "" : " by " + o.rule);
}

std::string affected::sentence() const {
    return joined(persons) + ": " + joined(actions) + (object.empty() ? "" : " of " + object) +
           " on " + target + (when.empty() ? "" : " (" + when + ")") + ": " + to_string(before) +
           " -> " + to_string(after);
}

std::vector<affected> compare_decisions(const rule_set& older, const rule_set& newer,
                                        const comparison_question& q) {
    const prober make(older, newer);
    const auto around = circumstances_of(older, newer, q.now);
    // (target, object, action, before, after, circumstances) → persons
    persons_of_change found;
    for (const auto& target : q.targets) {
        const auto probes = make.probes_of(target);
        for (const auto& person : q.persons)
            for (const auto& p : probes) {
                if (q.give_up && q.give_up()) break;
                std::map<std::pair<std::string, std::string>,
                         std::tuple<outcome, outcome, std::vector<std::string>>>
                    ways;
                for (const auto& c : around) {
                    const subject s{person, target, c.address, c.application, session_id{1}, {}};
                    const auto before = decided(older, s, p, c.at);
                    const auto after = decided(newer, s, p, c.at);
                    if (!differ(before, after)) continue;
                    auto& way = ways[{to_string(before), to_string(after)}];
                    std::get<0>(way) = before;
                    std::get<1>(way) = after;
                    std::get<2>(way).push_back(c.text);
                }
                for (const auto& [texts, way] : ways) {
                    const auto& [before, after, when] = way;
                    const auto shown = when.size() == around.size() ? std::string()
                                       : when.size() == 1
                                           ? when.front()
                                           : when.front() + " and " +
                                                 std::to_string(when.size() - 1) + " other cases";
                    found[{target, p.object, p.action, static_cast<int>(before.effect), before.rule,
                           static_cast<int>(after.effect), after.rule, shown}]
                        .push_back(person.name);
                }
            }
    }
    // The actions that go the same way for the same persons make one sentence.
    std::map<std::tuple<std::string, std::string, int, std::string, int, std::string, std::string,
                        std::vector<std::string>>,
             affected>
        sentences;
    for (const auto& [key, persons] : found) {
        const auto& [target, object, action, was, by, is, now_by, when] = key;
        auto& a = sentences[{target, object, was, by, is, now_by, when, persons}];
        a.persons = persons;
        a.target = target;
        a.object = object;
        a.when = when;
        a.before = {static_cast<effect>(was), by};
        a.after = {static_cast<effect>(is), now_by};
        a.actions.push_back(action);
    }
    std::vector<affected> out;
    for (auto& [key, a] : sentences)
        out.push_back(std::move(a));
    return out;
}

}  // namespace sallyport::policy
