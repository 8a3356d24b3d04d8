#include "proxy/app_policy.h"

#include <utility>

#include "proxy/policy_checks.h"
#include "proxy/session/counters.h"

namespace sallyport::proxy {
namespace {

using outcome = session::statement_counts::outcome;

std::uint64_t& field_of(admin::rule_hits& h, outcome o) {
    switch (o) {
        case outcome::allow:
            return h.allow;
        case outcome::pass:
            return h.pass;
        case outcome::bypass:
            return h.bypass;
        case outcome::hold:
            return h.hold;
        case outcome::refuse:
            return h.refuse;
        case outcome::deny:
            break;
    }
    return h.deny;
}

}  // namespace

admin::policy_sources make_policy_sources(
    const session::services& shared, const std::vector<std::unique_ptr<session::worker>>& workers,
    std::string config_path, std::string audit_directory, const clock& time) {
    admin::policy_sources out;
    out.hits = [&workers] {
        std::map<std::string, admin::rule_hits> all;
        for (const auto& w : workers)
            w->counters().statements.each(
                [&](outcome o, std::string_view rule, std::uint64_t count) {
                    field_of(all[std::string(rule)], o) += count;
                });
        return all;
    };
    out.findings = [&shared, config_path] {
        return findings_json(config_path, shared.current.get()->rules->hash);
    };
    out.candidate = [&shared, &time,
                     directory = std::move(audit_directory)](const admin::policy_candidate& c) {
        const auto now = shared.current.get();
        return candidate_json(c.text, {*now->config, *now->users, *now->rules, time.now(),
                                       c.with_audit ? directory : std::string()});
    };
    return out;
}

}  // namespace sallyport::proxy
