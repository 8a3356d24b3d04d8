#include "proxy/admin/router.h"

#include "proxy/admin/endpoints.h"

namespace sallyport::proxy::admin {
namespace {

// Every road into the API. A line without an action, or a path without a line, is refused.
constexpr route table[] = {
    {"GET", "/", gate::open, action::count_, endpoints::front},
    {"GET", "/assets/{}", gate::open, action::count_, endpoints::asset},
    {"GET", "/holds", gate::open, action::count_, endpoints::page},
    {"GET", "/holds/{}", gate::open, action::count_, endpoints::page},
    {"GET", "/opt-outs", gate::open, action::count_, endpoints::page},
    {"GET", "/opt-outs/{}", gate::open, action::count_, endpoints::page},
    {"GET", "/reviews", gate::open, action::count_, endpoints::page},
    {"GET", "/reviews/{}", gate::open, action::count_, endpoints::page},
    {"GET", "/sessions", gate::open, action::count_, endpoints::page},
    {"GET", "/flags", gate::open, action::count_, endpoints::page},
    {"GET", "/audit", gate::open, action::count_, endpoints::page},
    {"GET", "/policy", gate::open, action::count_, endpoints::page},
    {"GET", "/insight", gate::open, action::count_, endpoints::page},
    {"GET", "/healthz", gate::open, action::count_, endpoints::alive},
    {"GET", "/readyz", gate::open, action::count_, endpoints::ready},
    {"GET", "/metrics", gate::open, action::count_, endpoints::metrics},
    {"GET", "/api/v1/openapi.json", gate::open, action::count_, endpoints::openapi},
    {"POST", "/api/v1/login", gate::open, action::count_, endpoints::login},
    {"POST", "/api/v1/logout", gate::logged_in, action::see_self, endpoints::logout},
    {"GET", "/api/v1/me", gate::logged_in, action::see_self, endpoints::me},
    {"GET", "/api/v1/holds", gate::logged_in, action::see_holds, endpoints::list_holds},
    {"POST", "/api/v1/holds", gate::logged_in, action::request_hold, endpoints::request_hold},
    {"POST", "/api/v1/holds/{}/escalate", gate::logged_in, action::escalate_hold,
     endpoints::escalate_hold},
    {"POST", "/api/v1/holds/{}/reassign", gate::logged_in, action::reassign_hold,
     endpoints::reassign_hold},
    {"GET", "/api/v1/holds/{}", gate::logged_in, action::see_holds, endpoints::show_hold},
    {"POST", "/api/v1/holds/{}/approve", gate::logged_in, action::vote_hold,
     endpoints::approve_hold},
    {"POST", "/api/v1/holds/{}/deny", gate::logged_in, action::vote_hold, endpoints::deny_hold},
    {"GET", "/api/v1/opt-outs", gate::logged_in, action::see_opt_outs, endpoints::list_opt_outs},
    {"POST", "/api/v1/opt-outs", gate::logged_in, action::request_opt_out,
     endpoints::request_opt_out},
    {"GET", "/api/v1/opt-outs/{}", gate::logged_in, action::see_opt_outs, endpoints::show_opt_out},
    {"GET", "/api/v1/opt-outs/{}/uses", gate::logged_in, action::see_opt_outs,
     endpoints::list_uses},
    {"POST", "/api/v1/opt-outs/{}/approve", gate::logged_in, action::vote_opt_out,
     endpoints::approve_opt_out},
    {"POST", "/api/v1/opt-outs/{}/deny", gate::logged_in, action::vote_opt_out,
     endpoints::deny_opt_out},
    {"POST", "/api/v1/opt-outs/{}/revoke", gate::logged_in, action::revoke_opt_out,
     endpoints::revoke_opt_out},
    {"POST", "/api/v1/opt-outs/{}/extend", gate::logged_in, action::request_opt_out,
     endpoints::extend_opt_out},
    {"POST", "/api/v1/opt-outs/{}/withdraw-vote", gate::logged_in, action::withdraw_vote,
     endpoints::withdraw_opt_out_vote},
    {"POST", "/api/v1/holds/{}/withdraw-vote", gate::logged_in, action::withdraw_vote,
     endpoints::withdraw_hold_vote},
    {"GET", "/api/v1/reviews", gate::logged_in, action::see_reviews, endpoints::list_reviews},
    {"POST", "/api/v1/reviews/{}/sign-off", gate::logged_in, action::review,
     endpoints::sign_off_review},
    {"POST", "/api/v1/reviews/{}/finding", gate::logged_in, action::review,
     endpoints::raise_finding},
    {"GET", "/api/v1/flags", gate::logged_in, action::see_flags, endpoints::list_flags},
    {"POST", "/api/v1/flags", gate::logged_in, action::set_flag, endpoints::set_flag},
    {"POST", "/api/v1/locks", gate::logged_in, action::set_lock, endpoints::set_lock},
    {"POST", "/api/v1/flags/{}/lift", gate::logged_in, action::lift_flag, endpoints::lift_flag},
    {"GET", "/api/v1/sessions", gate::logged_in, action::see_sessions, endpoints::list_sessions},
    {"POST", "/api/v1/sessions/{}/kill", gate::logged_in, action::kill_session,
     endpoints::kill_session},
    {"GET", "/api/v1/audit", gate::logged_in, action::see_audit, endpoints::search_audit},
    {"POST", "/api/v1/decisions", gate::logged_in, action::explain_self, endpoints::explain},
    {"POST", "/api/v1/reload", gate::logged_in, action::reload, endpoints::reload},
    {"GET", "/api/v1/rules", gate::logged_in, action::see_rules, endpoints::show_rules},
    {"GET", "/api/v1/rules/findings", gate::logged_in, action::check_policy,
     endpoints::policy_findings},
    {"POST", "/api/v1/rules/candidate", gate::logged_in, action::check_policy,
     endpoints::try_candidate},
    {"GET", "/api/v1/deliveries", gate::logged_in, action::see_deliveries,
     endpoints::list_deliveries},
    {"GET", "/api/v1/report", gate::logged_in, action::see_audit, endpoints::show_report},
    // Signed by Slack; see the handler.
    {"POST", "/api/v1/slack/actions", gate::open, action::count_, endpoints::slack_actions,
     "application/x-www-form-urlencoded"},
    {"GET", "/api/v1/audit/story", gate::logged_in, action::see_audit, endpoints::audit_story},
    {"GET", "/api/v1/audit/bundle", gate::logged_in, action::see_audit, endpoints::audit_bundle},
    {"GET", "/api/v1/audit/verify", gate::logged_in, action::see_audit, endpoints::verify_audit},
    {"GET", "/api/v1/insight", gate::logged_in, action::see_stats, endpoints::insight},
    {"GET", "/api/v1/tokens", gate::logged_in, action::see_tokens, endpoints::list_tokens},
    {"POST", "/api/v1/tokens", gate::logged_in, action::create_token, endpoints::create_token},
    {"DELETE", "/api/v1/tokens/{}", gate::logged_in, action::revoke_token, endpoints::revoke_token},
    {"GET", "/api/v1/events", gate::logged_in, action::see_events, endpoints::events},
};

/// Whether the segments fit the pattern; fills in what stood for each {}.
bool fits(std::string_view pattern, const std::vector<std::string>& segments,
          std::vector<std::string>& parameters) {
    parameters.clear();
    pattern.remove_prefix(1);
    for (const auto& segment : segments) {
        if (pattern.empty()) return false;
        const auto slash = pattern.find('/');
        const auto expected = pattern.substr(0, slash);
        if (expected == "{}") {
            parameters.push_back(segment);
        } else if (expected != segment) {
            return false;
        }
        pattern.remove_prefix(slash == std::string_view::npos ? pattern.size() : slash + 1);
    }
    return pattern.empty();
}

}  // namespace

std::span<const route> routes() noexcept {
    return table;
}

route_match match(std::span<const route> all, std::string_view method,
                  const std::vector<std::string>& segments) {
    route_match out;
    std::vector<std::string> parameters;
    for (const auto& r : all) {
        if (!fits(r.pattern, segments, parameters)) continue;
        // HEAD is GET whose body the server leaves out.
        if (r.method == method || (method == "HEAD" && r.method == "GET")) {
            out.found = &r;
            out.parameters = std::move(parameters);
            out.allowed.clear();
            return out;
        }
        out.allowed.emplace_back(r.method);
    }
    return out;
}

}  // namespace sallyport::proxy::admin
