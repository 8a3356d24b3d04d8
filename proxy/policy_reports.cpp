#include <ostream>
#include <set>
#include <stdexcept>
#include <utility>

#include "policy/compare.h"
#include "policy/load.h"
#include "proxy/big_stack.h"
#include "proxy/clock.h"
#include "proxy/config.h"
#include "proxy/config_names.h"
#include "proxy/policy_checks.h"
#include "proxy/policy_commands.h"
#include "proxy/policy_json.h"
#include "proxy/policy_replay.h"
#include "proxy/visible.h"

// What the subcommands print.
namespace sallyport::proxy {

namespace {

std::string shown(std::string_view text) {
    return visible(text, line_breaks::escape);
}

void print(std::ostream& out, const report_json& j) {
    out << j.dump(2, ' ', true, report_json::error_handler_t::replace) << '\n';
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

// ---- diff ---------------------------------------------------------------------------------------

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

void print_text(const replay_report& r, std::size_t limit, std::ostream& out) {
    std::uint64_t decisions = 0;
    for (const auto v : replay_verdicts)
        decisions += count_of(r, v);
    out << r.records << " records, " << decisions << " decisions:";
    for (const auto v : replay_verdicts)
        out << (v == replay_verdicts[0] ? " " : ", ") << count_of(r, v) << ' ' << to_string(v);
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
    const auto [found, elsewhere, hash] = lint_files(o.config);
    if (o.json) {
        print(out, {{"findings", to_json(found)}});
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
    print(out, {{"older", older->hash},
                {"newer", newer->hash},
                {"rules", to_json(rules)},
                {"affected", to_json(who)}});
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
        print(out, to_json(report, o.limit));
    else
        print_text(report, o.limit, out);
    return 0;
}

}  // namespace sallyport::proxy
