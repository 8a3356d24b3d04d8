#include <algorithm>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

#include "policy/compare.h"
#include "policy/load.h"
#include "proxy/big_stack.h"
#include "proxy/clock.h"
#include "proxy/config.h"
#include "proxy/config_names.h"
#include "proxy/policy_commands.h"
#include "proxy/policy_replay.h"
#include "proxy/visible.h"

// What the subcommands print.
namespace sallyport::proxy {

namespace {

using json = nlohmann::ordered_json;

std::string shown(std::string_view text) {
    return visible(text, line_breaks::escape);
}

void print(std::ostream& out, const json& j) {
    out << j.dump(2, ' ', true, json::error_handler_t::replace) << '\n';
}

std::set<std::string> target_names(const settings& s) {
    std::set<std::string> out;
    for (const auto& [name, t] : s.targets)
        out.insert(name);
    return out;
}

/// Loads a policy that must have no fault; null after the faults are told.
policy::rule_set_ptr load_or_tell(const std::string& path, const policy::known_names& known,
                                  std::ostream& err) {
    auto l = policy::load_policy(path, known);
    for (const auto& f : l.faults)
        err << policy::to_string(f) << '\n';
    return l.rules;
}

// ---- lint ---------------------------------------------------------------------------------------

/// For codes whose text does not say it.
const char* usual_advice(const std::string& code) {
    static constexpr std::pair<const char*, const char*> table[] = {
        {"shadowed", "remove the rule, or give it an earlier tier"},
        {"never-matches", "name kinds that concern a relation, or leave 'on' out"},
        {"unstaffed", "put persons into the group, or name other approvers"},
        {"unknown-name", "correct the name, or add it to the users file"},
        {"unused-resource", "remove the resource, or name it in a rule's 'on'"},
        {"spoofable", "tell programs apart by user or address"},
        {"opaque-allowed", "write opaque: hold, and 'harmless' for code that somebody has read"},
        {"no-tests", "write tests: a line for each thing that must never change"},
    };
    for (const auto& [key, text] : table)
        if (code == key) return text;
    return "";
}

json to_json(const policy::fault& f) {
    return {{"file", f.file}, {"line", f.line}, {"column", f.column},
            {"code", f.code}, {"text", f.what}, {"do", f.advice}};
}

void complete(policy::fault& f, const char* code) {
    if (f.code.empty()) f.code = code;
    if (f.advice.empty()) f.advice = usual_advice(f.code);
}

// ---- diff ---------------------------------------------------------------------------------------

json to_json(const policy::outcome& o) {
    return {{"effect", policy::to_string(o.effect)}, {"rule", o.rule}};
}

json to_json(const policy::affected& a) {
    return {{"users", a.persons},
            {"target", a.target},
            {"actions", a.actions},
            {"object", a.object.empty() ? json(nullptr) : json(a.object)},
            {"when", a.when.empty() ? json(nullptr) : json(a.when)},
            {"before", to_json(a.before)},
            {"after", to_json(a.after)},
            {"text", a.sentence()}};
}

void print_diff(const std::vector<policy::rule_change>& rules,
                const std::vector<policy::affected>& who, std::ostream& out) {
    if (rules.empty()) out << "The rules are the same.\n";
    for (const auto& c : rules) {
        out << policy::to_string(c.what) << ' ' << shown(c.subject) << '\n';
        for (const auto& f : c.fields)
            out << "    " << shown(f) << '\n';
    }
    out << (who.empty() ? "\nNobody in the users file is affected.\n" : "\n");
    for (const auto& a : who)
        out << shown(a.sentence()) << '\n';
}

// ---- replay -------------------------------------------------------------------------------------

constexpr const char* replay_note =
    "Facts come from the recorded text, which has no literals, without catalog and session: where "
    "these counted, the decision is unknown or may differ. Plain allows are on record only where "
    "a rule or the file says log: all.";

json to_json(const replay_row& r) {
    json out{{"verdict", to_string(r.what)},
             {"user", r.person},
             {"count", r.count},
             {"before", to_json(r.before)}};
    if (r.what == replay_verdict::unknown)
        out["why"] = r.why;
    else
        out["after"] = to_json(r.after);
    out["examples"] = r.examples;
    return out;
}

std::uint64_t count_of(const replay_report& r, replay_verdict v) {
    const auto at = r.counts.find(v);
    return at == r.counts.end() ? 0 : at->second;
}

constexpr replay_verdict verdicts[] = {replay_verdict::same, replay_verdict::stricter,
                                       replay_verdict::looser, replay_verdict::unknown};

void print_json(const replay_report& r, std::size_t limit, std::ostream& out) {
    json j{{"records", r.records}, {"skipped", r.skipped}};
    for (const auto v : verdicts)
        j[to_string(v)] = count_of(r, v);
    j["other_rule"] = r.other_rule;
    j["changes"] = json::array();
    for (std::size_t i = 0; i < r.rows.size() && i < limit; ++i)
        j["changes"].push_back(to_json(r.rows[i]));
    j["cut"] = r.rows.size() > limit;
    j["note"] = replay_note;
    print(out, j);
}

void print_text(const replay_report& r, std::size_t limit, std::ostream& out) {
    std::uint64_t decisions = 0;
    for (const auto v : verdicts)
        decisions += count_of(r, v);
    out << r.records << " records, " << decisions << " decisions:";
    for (const auto v : verdicts)
        out << (v == verdicts[0] ? " " : ", ") << count_of(r, v) << ' ' << to_string(v);
    out << '\n';
    if (r.other_rule > 0) out << r.other_rule << " stay what they are, by another rule\n";
    if (r.skipped > 0) out << r.skipped << " lines are no records\n";
    for (std::size_t i = 0; i < r.rows.size() && i < limit; ++i) {
        const auto& row = r.rows[i];
        out << '\n'
            << to_string(row.what) << "  " << row.count << " of " << shown(row.person) << ": "
            << shown(policy::to_string(row.before));
        if (row.what == replay_verdict::unknown)
            out << ": " << shown(row.why) << '\n';
        else
            out << " -> " << shown(policy::to_string(row.after)) << '\n';
        for (const auto& e : row.examples)
            out << "    " << shown(e) << '\n';
    }
    if (r.rows.size() > limit)
        out << "\n" << r.rows.size() - limit << " more rows; --limit shows them\n";
    out << '\n' << replay_note << '\n';
}

replay_report replayed(const replay_options& o, const replay_world& w, std::ostream& err) {
    replayer r(w);
    std::uint64_t read = 0;
    const auto skipped = audit::for_each_match(o.audit, {}, [&](const audit::parsed_line& line) {
        r.take(line);
        if (o.progress && ++read % 5'000 == 0) err << '\r' << read << " records" << std::flush;
        return true;
    });
    if (o.progress && read >= 5'000) err << "\r                        \r" << std::flush;
    auto report = r.finish();
    report.skipped = skipped;
    return report;
}

}  // namespace

int run_lint(const lint_options& o, std::ostream& out, std::ostream& err) {
    auto loaded = load_all(o.config, secrets::skip);
    auto found = std::move(loaded.faults);
    const auto settings = load_settings(o.config, secrets::skip);
    const bool elsewhere =
        std::ranges::any_of(found, [&](const auto& f) { return f.file != settings.policy_path; });
    for (auto& f : found)
        complete(f, "fault");
    for (auto& w : loaded.warnings) {
        complete(w, w.file == settings.policy_path ? "warning" : "configuration");
        found.push_back(std::move(w));
    }
    if (loaded.rules) {
        const auto known =
            known_names_of(target_names(*loaded.config), loaded.users.get(), system_clock{}.now());
        for (auto& f : policy::lint_policy(*loaded.rules, known)) {
            complete(f, "");
            found.push_back(std::move(f));
        }
    }
    std::ranges::stable_sort(found, [](const auto& a, const auto& b) {
        return std::tuple(a.file, a.line, a.column) < std::tuple(b.file, b.line, b.column);
    });
    if (o.json) {
        json j{{"findings", json::array()}};
        for (const auto& f : found)
            j["findings"].push_back(to_json(f));
        print(out, j);
    } else {
        for (const auto& f : found) {
            out << f.file << ':' << f.line << ':' << f.column << ": " << f.code << ": "
                << shown(f.what) << '\n';
            if (!f.advice.empty()) out << "    " << shown(f.advice) << '\n';
        }
        if (found.empty()) out << "nothing found\n";
    }
    if (elsewhere) err << "sallyport: another file has faults; they hide findings\n";
    return elsewhere ? 2 : found.empty() ? 0 : 1;
}

int run_diff(const diff_options& o, std::ostream& out, std::ostream& err) {
    const auto settings = load_settings(o.config, secrets::skip);
    for (const auto& f : settings.faults)
        err << policy::to_string(f) << '\n';
    if (!settings.config) return 2;
    const auto users = auth::load_users(settings.users_path);
    for (const auto& f : users.faults)
        err << policy::to_string(f) << '\n';
    if (!users.users) return 2;
    policy::comparison_question q;
    q.now = system_clock{}.now();
    for (const auto& name : target_names(*settings.config))
        q.targets.push_back(name);
    for (const auto& [name, u] : users.users->all())
        q.persons.push_back(u.principal);
    const auto known = known_names_of(target_names(*settings.config), users.users.get(), q.now);
    const auto older = load_or_tell(o.older, known, err);
    const auto newer = load_or_tell(o.newer, known, err);
    if (!older || !newer) return 2;
    const auto rules = policy::compare_rules(*older, *newer);
    const auto who = policy::compare_decisions(*older, *newer, q);
    if (!o.json) {
        print_diff(rules, who, out);
        return 0;
    }
    json j{{"older", older->hash}, {"newer", newer->hash}, {"rules", json::array()}};
    for (const auto& c : rules)
        j["rules"].push_back(
            {{"change", policy::to_string(c.what)}, {"subject", c.subject}, {"fields", c.fields}});
    j["affected"] = json::array();
    for (const auto& a : who)
        j["affected"].push_back(to_json(a));
    print(out, j);
    return 0;
}

int run_replay(const replay_options& o, std::ostream& out, std::ostream& err) {
    loaded_all in_force;
    policy::known_names known;
    known.now = system_clock{}.now();
    if (!o.config.empty()) {
        in_force = load_all(o.config, secrets::skip);
        for (const auto& f : in_force.faults)
            err << policy::to_string(f) << '\n';
        if (!in_force.ok()) return 2;
        known = known_names_of(target_names(*in_force.config), in_force.users.get(), *known.now);
    }
    const auto candidate = load_or_tell(o.policy, known, err);
    if (!candidate) return 2;
    replay_report report;
    try {
        run_on_big_stack([&] {
            report = replayed(o, {*candidate, in_force.rules.get(), in_force.users.get()}, err);
        });
    } catch (const std::runtime_error& e) {
        err << "sallyport: " << shown(e.what()) << '\n';
        return 2;
    }
    if (o.json)
        print_json(report, o.limit, out);
    else
        print_text(report, o.limit, out);
    return 0;
}

}  // namespace sallyport::proxy
