#include "policy/decide.h"
#include "policy/load.h"
#include "policy/sql/analyse.h"

namespace sallyport::policy {

namespace {

subject subject_of(const policy_test& t) {
    subject s;
    s.principal.name = t.as;
    s.principal.groups = t.groups;
    s.target = t.on;
    s.address = t.address;
    s.application = t.application;
    s.session = session_id{1};
    s.search_path_schemas = t.search_path;
    return s;
}

std::string outcome(effect e, const std::string& rule) {
    return std::string(to_string(e)) + (rule.empty() ? "" : " by " + rule);
}

std::string failure(const policy_test& t, const decision& d) {
    std::string what = "this test expects " + outcome(t.expect, t.rule) + " but gets " +
                       outcome(d.effect, d.rule_id) + " for " + t.as + " on " + t.on + ": ";
    what += t.sql.empty() ? "the session itself" : t.sql;
    for (const auto& r : d.reasons)
        what += "\n    " + r;
    return what;
}

}  // namespace

std::vector<fault> run_policy_tests(const rule_set& rules, instant now) {
    std::vector<fault> out;
    const grants none;
    decide_options options;
    options.explain = true;
    for (const auto& t : rules.tests) {
        facts_ptr f;
        if (!t.sql.empty()) f = sql::analyse(t.sql, {});
        const auto d = decide(rules, subject_of(t), f.get(), none, t.at.value_or(now), options);
        const bool rule_is_right = t.rule.empty() || t.rule == d.rule_id;
        if (d.effect != t.expect || !rule_is_right)
            out.push_back({rules.path, t.line, t.column, failure(t, d)});
    }
    return out;
}

}  // namespace sallyport::policy
