#include "proxy/policy_checks.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>
#include <tuple>
#include <utility>

#include "policy/compare.h"
#include "proxy/audit/read.h"
#include "proxy/big_stack.h"
#include "proxy/clock.h"
#include "proxy/config_names.h"
#include "proxy/policy_json.h"

namespace sallyport::proxy {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t records_max = 10'000;
constexpr std::size_t sentences_max = 500;
constexpr std::size_t replay_rows_max = 100;
constexpr const char* candidate_name = "candidate.yaml";

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

void complete(policy::fault& f, const char* code) {
    if (f.code.empty()) f.code = code;
    if (f.advice.empty()) f.advice = usual_advice(f.code);
}

void sort_by_place(std::vector<policy::fault>& found) {
    std::ranges::stable_sort(found, [](const auto& a, const auto& b) {
        return std::tuple(a.file, a.line, a.column) < std::tuple(b.file, b.line, b.column);
    });
}

std::set<std::string> target_names(const settings& s) {
    std::set<std::string> out;
    for (const auto& [name, t] : s.targets)
        out.insert(name);
    return out;
}

std::string dump(const report_json& j) {
    return j.dump(-1, ' ', false, report_json::error_handler_t::replace);
}

/// The newest records under the candidate, oldest first.
report_json replay(const policy::rule_set& candidate, const policy_world& w,
                   steady_clock::time_point until) {
    auto lines = audit::newest(w.audit_directory, {}, records_max);
    std::ranges::reverse(lines);
    replayer r({candidate, &w.rules, &w.users});
    bool cut = lines.size() == records_max;
    for (const auto& line : lines) {
        if (steady_clock::now() > until) {
            cut = true;
            break;
        }
        r.take(line);
    }
    auto out = to_json(r.finish(), replay_rows_max);
    out["older_left_out"] = cut;
    return out;
}

void compare(const policy::rule_set& candidate, const policy_world& w,
             steady_clock::time_point until, report_json& out) {
    policy::comparison_question q;
    q.now = w.now;
    for (const auto& name : target_names(w.config))
        q.targets.push_back(name);
    for (const auto& [name, u] : w.users.all())
        q.persons.push_back(u.principal);
    bool late = false;
    q.give_up = [&] { return late = late || steady_clock::now() > until; };
    out["rules"] = to_json(policy::compare_rules(w.rules, candidate));
    auto affected = policy::compare_decisions(w.rules, candidate, q);
    out["cut"] = late || affected.size() > sentences_max;
    if (affected.size() > sentences_max) affected.resize(sentences_max);
    out["affected"] = to_json(affected);
}

}  // namespace

lint_result lint_files(const std::string& config_path) {
    lint_result out;
    auto loaded = load_all(config_path, secrets::skip);
    auto& found = out.found;
    found = std::move(loaded.faults);
    const auto settings = load_settings(config_path, secrets::skip);
    out.elsewhere =
        std::ranges::any_of(found, [&](const auto& f) { return f.file != settings.policy_path; });
    for (auto& f : found)
        complete(f, "fault");
    for (auto& w : loaded.warnings) {
        complete(w, w.file == settings.policy_path ? "warning" : "configuration");
        found.push_back(std::move(w));
    }
    if (loaded.rules) {
        out.policy_hash = loaded.rules->hash;
        const auto known =
            known_names_of(target_names(*loaded.config), loaded.users.get(), system_clock{}.now());
        for (auto& f : policy::lint_policy(*loaded.rules, known)) {
            complete(f, "");
            found.push_back(std::move(f));
        }
    }
    sort_by_place(found);
    return out;
}

std::vector<policy::fault> lint_text(const std::string& yaml, const policy::known_names& known,
                                     policy::rule_set_ptr& rules) {
    auto loaded = policy::load_policy_text(yaml, candidate_name, known);
    auto found = std::move(loaded.faults);
    for (auto& f : found)
        complete(f, "fault");
    for (auto& w : loaded.warnings) {
        complete(w, "warning");
        found.push_back(std::move(w));
    }
    rules = std::move(loaded.rules);
    if (rules) {
        for (auto& f : policy::lint_policy(*rules, known)) {
            complete(f, "");
            found.push_back(std::move(f));
        }
        const auto now = known.now.value_or(policy::instant{});
        for (auto& f : policy::run_policy_tests(*rules, now)) {
            complete(f, "test-failed");
            found.push_back(std::move(f));
        }
    }
    sort_by_place(found);
    return found;
}

std::string findings_json(const std::string& config_path, const std::string& hash_in_force) {
    auto result = lint_files(config_path);
    for (auto& f : result.found)
        f.file = std::filesystem::path(f.file).filename().string();
    report_json out;
    out["policy"] =
        result.policy_hash.empty() ? report_json(nullptr) : report_json(result.policy_hash);
    out["in_force"] = result.policy_hash == hash_in_force;
    out["findings"] = to_json(result.found);
    return dump(out);
}

std::string candidate_json(const std::string& yaml, const policy_world& w) {
    const auto until = steady_clock::now() + candidate_patience;
    report_json out;
    run_on_big_stack([&] {
        const auto known = known_names_of(target_names(w.config), &w.users, w.now);
        policy::rule_set_ptr candidate;
        auto found = lint_text(yaml, known, candidate);
        out["policy"] = candidate ? report_json(candidate->hash) : report_json(nullptr);
        out["findings"] = to_json(found);
        out["rules"] = report_json::array();
        out["affected"] = report_json::array();
        out["cut"] = false;
        out["replay"] = nullptr;
        if (!candidate) return;
        compare(*candidate, w, until, out);
        if (!w.audit_directory.empty()) out["replay"] = replay(*candidate, w, until);
    });
    return dump(out);
}

}  // namespace sallyport::proxy
