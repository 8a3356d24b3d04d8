#include "proxy/policy_json.h"

namespace sallyport::proxy {
namespace {

using json = report_json;

json shown(const policy::outcome& o) {
    return {{"effect", policy::to_string(o.effect)}, {"rule", o.rule}};
}

json shown(const policy::affected& a) {
    return {{"users", a.persons},
            {"target", a.target},
            {"actions", a.actions},
            {"object", a.object.empty() ? json(nullptr) : json(a.object)},
            {"when", a.when.empty() ? json(nullptr) : json(a.when)},
            {"before", shown(a.before)},
            {"after", shown(a.after)},
            {"text", a.sentence()}};
}

json shown(const replay_row& r) {
    json out{{"verdict", to_string(r.what)},
             {"user", r.person},
             {"count", r.count},
             {"before", shown(r.before)}};
    if (r.what == replay_verdict::unknown)
        out["why"] = r.why;
    else
        out["after"] = shown(r.after);
    out["examples"] = r.examples;
    return out;
}

template <class T>
json list(const std::vector<T>& all) {
    json out = json::array();
    for (const auto& x : all)
        out.push_back(shown(x));
    return out;
}

}  // namespace

report_json to_json(const policy::fault& f) {
    return {{"file", f.file}, {"line", f.line}, {"column", f.column},
            {"code", f.code}, {"text", f.what}, {"do", f.advice}};
}

report_json to_json(const std::vector<policy::fault>& all) {
    json out = json::array();
    for (const auto& f : all)
        out.push_back(to_json(f));
    return out;
}

report_json to_json(const std::vector<policy::rule_change>& all) {
    json out = json::array();
    for (const auto& c : all)
        out.push_back(
            {{"change", policy::to_string(c.what)}, {"subject", c.subject}, {"fields", c.fields}});
    return out;
}

report_json to_json(const std::vector<policy::affected>& all) {
    return list(all);
}

report_json to_json(const replay_report& r, std::size_t limit) {
    json out{{"records", r.records}, {"skipped", r.skipped}};
    for (const auto v : replay_verdicts)
        out[to_string(v)] = count_of(r, v);
    out["other_rule"] = r.other_rule;
    out["changes"] = json::array();
    for (std::size_t i = 0; i < r.rows.size() && i < limit; ++i)
        out["changes"].push_back(shown(r.rows[i]));
    out["cut"] = r.rows.size() > limit;
    out["note"] = replay_note;
    return out;
}

std::uint64_t count_of(const replay_report& r, replay_verdict v) {
    const auto at = r.counts.find(v);
    return at == r.counts.end() ? 0 : at->second;
}

}  // namespace sallyport::proxy
