#include "proxy/explain.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "policy/decide.h"
#include "policy/sql/analyse.h"
#include "proxy/big_stack.h"

namespace sallyport::proxy {

namespace {

std::vector<std::string> describe(const policy::facts& f) {
    std::vector<std::string> lines;
    for (const auto& s : f.statements) {
        std::string kinds;
        for (const auto k : s.kinds) {
            if (!kinds.empty()) kinds += ", ";
            kinds += policy::to_string(k);
        }
        lines.push_back("statement " + s.command + " (" + kinds + ")");
        for (const auto& r : s.relations) {
            std::string line = r.how == policy::access::write ? "write " : "read ";
            line += r.schema.empty() ? r.name : r.schema + "." + r.name;
            if (!r.columns.empty()) {
                line += "(";
                for (std::size_t i = 0; i < r.columns.size(); ++i)
                    line += (i == 0 ? "" : ", ") + r.columns[i];
                line += ")";
            }
            if (!r.place.empty()) line += " in " + r.place;
            lines.push_back(std::move(line));
        }
        const auto named = [&lines](const char* what, const policy::function_use& use) {
            lines.push_back(what + (use.schema.empty() ? use.name : use.schema + "." + use.name));
        };
        for (const auto& fn : s.functions)
            named("function ", fn);
        // Every comparison is one: shown only where the text says which is meant.
        for (const auto& op : s.operators)
            if (!op.schema.empty()) named("operator ", op);
        for (const auto& type : s.types)
            named("type ", type);
        for (const auto& c : s.settings)
            lines.push_back("setting " + c.name);
        for (const auto& why : s.opaque_reasons)
            lines.push_back("opaque: " + why);
    }
    return lines;
}

admin::explained explain_here(const settings& config, const auth::user_directory& users,
                              const policy::rule_set& rules, policy::instant now,
                              const admin::explain_question& q) {
    admin::explained e;
    policy::subject s;
    s.principal.name = q.user;
    s.principal.groups = q.groups;
    if (const auto* known = users.find(q.user)) {
        s.principal = known->principal;
        if (!q.groups.empty()) s.principal.groups = q.groups;
    } else if (q.groups.empty()) {
        e.error = "user \"" + q.user + "\" is not in " + config.users_path +
                  "; name the groups to ask for somebody who is not there yet";
        return e;
    }
    if (config.targets.count(q.target) == 0) {
        e.error = "target \"" + q.target + "\" is not in " + config.path;
        return e;
    }
    s.target = q.target;
    s.application = q.application;
    s.address = q.address.empty() ? "127.0.0.1" : q.address;
    policy::facts_ptr f;
    if (!q.sql.empty()) {
        policy::sql::analyse_options options;
        options.bytes_max = config.limits.inspect_bytes;
        f = policy::sql::analyse(q.sql, options);
        e.facts = describe(*f);
    }
    policy::decide_options options;
    options.explain = true;
    const auto d = policy::decide(rules, s, f.get(), policy::grants{}, now, options);
    e.effect = d.effect;
    e.rule = d.rule_id;
    e.reasons = d.reasons;
    e.policy_hash = rules.hash;
    return e;
}

}  // namespace

admin::explained explain(const settings& config, const auth::user_directory& users,
                         const policy::rule_set& rules, policy::instant now,
                         const admin::explain_question& question) {
    admin::explained result;
    run_on_big_stack([&] { result = explain_here(config, users, rules, now, question); });
    return result;
}

std::string format_explained(const admin::explained& e) {
    std::string out = std::string(policy::to_string(e.effect)) + " by rule " + e.rule + "\n";
    for (const auto& line : e.facts)
        out += "  fact    " + line + "\n";
    for (const auto& line : e.reasons)
        out += "  reason  " + line + "\n";
    out += "  policy  " + e.policy_hash + "\n";
    return out;
}

std::string json_explained(const admin::explained& e) {
    nlohmann::ordered_json j;
    j["effect"] = policy::to_string(e.effect);
    j["rule"] = e.rule;
    j["reasons"] = e.reasons;
    j["facts"] = e.facts;
    j["policy"] = e.policy_hash;
    return j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace sallyport::proxy
