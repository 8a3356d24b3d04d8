#include <algorithm>

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

std::string listed(const std::vector<std::string>& ids) {
    std::string out;
    for (const auto& id : ids)
        out += (out.empty() ? "" : ", ") + id;
    return out.empty() ? "nothing" : out;
}

std::vector<std::string> observed_by(const decision& d) {
    std::vector<std::string> out;
    for (const auto* r : d.observed)
        out.push_back(r->id);
    std::sort(out.begin(), out.end());
    return out;
}

/// The opt-outs of the test: live since an hour, and for one more.
grants grants_of(const policy_test& t, instant at) {
    grants g;
    for (const auto& given : t.opt_outs) {
        opt_out o;
        o.id = opt_out_id{g.opt_outs.size() + 1};
        o.state = opt_out_state::active;
        o.rule = given.rule;
        o.person = given.person.empty() ? t.as : given.person;
        o.target = given.target;
        o.from = at - std::chrono::hours(1);
        o.until = at + std::chrono::hours(1);
        g.opt_outs.push_back(std::move(o));
    }
    return g;
}

/// "" if it came about as the test wants.
std::string other_way(const policy_test& t, const decision& d) {
    if (t.by == "opt_out" && d.grant != granted_by::opt_out) return "not by an opt-out";
    if (t.by == "exception" && d.excepted.empty()) return "not by an exception";
    if (!t.observed) return {};
    auto wanted = *t.observed;
    std::sort(wanted.begin(), wanted.end());
    const auto found = observed_by(d);
    return wanted == found ? std::string()
                           : "observed by " + listed(found) + " instead of " + listed(wanted);
}

std::string failure(const policy_test& t, const decision& d) {
    std::string what = "this test expects " + outcome(t.expect, t.rule) + " but gets " +
                       outcome(d.effect, d.rule_id) + " for " + t.as + " on " + t.on + ": ";
    what += t.sql.empty() ? "the session itself" : t.sql;
    if (const auto why = other_way(t, d); !why.empty()) what += " (" + why + ")";
    for (const auto& r : d.reasons)
        what += "\n    " + r;
    return what;
}

}  // namespace

std::vector<fault> run_policy_tests(const rule_set& rules, instant now) {
    std::vector<fault> out;
    decide_options options;
    options.explain = true;
    for (const auto& t : rules.tests) {
        facts_ptr f;
        if (!t.sql.empty()) f = sql::analyse(t.sql, {});
        const auto at = t.at.value_or(now);
        const auto d = decide(rules, subject_of(t), f.get(), grants_of(t, at), at, options);
        const bool rule_is_right = t.rule.empty() || t.rule == d.rule_id;
        if (d.effect != t.expect || !rule_is_right || !other_way(t, d).empty())
            out.push_back({rules.path, t.line, t.column, failure(t, d)});
    }
    return out;
}

}  // namespace sallyport::policy
