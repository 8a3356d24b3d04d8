#pragma once

#include <string>
#include <utility>
#include <vector>

#include "policy/types.h"

/// One audit event, before it has a place in the chain.
namespace sallyport::proxy::audit {

/// Event names: "login.accepted", "login.refused", "session.start", "session.end",
/// "decision.denied", "decision.allowed" (log: all), "decision.observed" (a rule with `observe`),
/// "exception.used" (an allow rule with `review_by` took it out of others), "hold.opened",
/// "hold.vote", "hold.escalated", "hold.reassigned", "hold.approved", "hold.denied",
/// "hold.expired", "hold.withdrawn", "hold.released", "bypass", "opt_out.requested",
/// "opt_out.vote", "opt_out.activated", "opt_out.denied", "opt_out.withdrawn", "opt_out.lapsed",
/// "opt_out.expired", "opt_out.revoked", "opt_out.used_up", "token.created", "token.revoked",
/// "audit.exported", "server.refused", "session.reconsidered", "notice.given_up" (nobody took it in
/// time), "notice.dropped" (too many waited), "slack.click" (somebody followed a message's button),
/// "policy.loaded", "policy.refused", "admin.login", "admin.login_refused", "admin.action",
/// "proxy.start", "proxy.stop". Live again after a restart: "hold.resumed", "opt_out.resumed",
/// "pass.resumed". Ended by a reload: "pass.ended". By the log itself: "checkpoint",
/// "audit.recovered".
struct record {
    std::string event;
    policy::instant at;
    /// Name → value, in this order. Names are snake_case; values any UTF-8 (made valid by the
    /// encoder). Usual names: user, address, application, session, target, rule, policy, hold,
    /// opt_out, pass, reason, ticket, approved_by, statement (redacted), statement_sha256, effect,
    /// reasons, until; with telemetry trace_id and span_id (hexadecimal) of the statement.
    std::vector<std::pair<std::string, std::string>> fields;

    record& with(std::string name, std::string value) & {
        fields.emplace_back(std::move(name), std::move(value));
        return *this;
    }
    record&& with(std::string name, std::string value) && {
        fields.emplace_back(std::move(name), std::move(value));
        return std::move(*this);
    }
};

}  // namespace sallyport::proxy::audit
