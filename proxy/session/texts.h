#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/decide.h"
#include "policy/hold.h"
#include "protocol/frontend.h"
#include "proxy/approval/steward.h"

/// What clients read: one place for the wording of every error and notice.
namespace sallyport::proxy::session {

/// An error of ours: for a person (message, hint) and for a program (sqlstate, detail).
struct refusal {
    std::string sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
};

/// ErrorResponse frames. `error` leaves the session alive, `fatal` ends it.
[[nodiscard]] std::string error_frame(const refusal& r);
[[nodiscard]] std::string fatal_frame(const refusal& r);

/// Denied by a rule: 42501.
[[nodiscard]] refusal denied_by_rule(const policy::decision& d, const std::string& policy_hash);
/// What a client that does not wait is told of its request: SP001, or how it was denied.
[[nodiscard]] refusal not_waited_for(const approval::steward::asked& a, const std::string& rule,
                                     const std::string& policy_hash, const policy::approvers& who);
/// It cannot be asked for without waiting, since it cannot be shown whole.
[[nodiscard]] refusal too_long_to_ask(const policy::decision& d, const std::string& policy_hash);
[[nodiscard]] refusal reason_required(const policy::decision& d, const std::string& policy_hash);
/// Nobody can approve what is held: 42501.
[[nodiscard]] refusal nobody_approves(const policy::decision& d, const std::string& policy_hash);
/// How a hold ended, when not with a release.
[[nodiscard]] refusal hold_ended(const approval::hold_outcome& o, const std::string& rule,
                                 const std::string& policy_hash);
[[nodiscard]] refusal cancelled(policy::hold_id id);
/// Audit or store cannot write: 58030.
[[nodiscard]] refusal not_recorded(const std::string& why);
[[nodiscard]] std::string nearing_notice(const approval::steward::nearing_event& e);
[[nodiscard]] refusal access_ended(const std::string& why);
/// Why, and what to do, for somebody whom a reload has taken out of the users file.
inline constexpr const char* no_longer_known = "this user is no longer among those who may log in";
inline constexpr const char* look_at_users = "Ask an admin to look at the users file.";

/// The NOTICE a held client gets at once, and again while it waits.
[[nodiscard]] std::string hold_notice(const policy::hold& h, const std::string& url);
[[nodiscard]] std::string reminder_notice(policy::hold_id id, const std::string& rule,
                                          policy::instant now, policy::instant until);
[[nodiscard]] std::string released_notice(policy::hold_id id, const std::string& by,
                                          const policy::pass& granted);

/// Bind values for approvers to read; different ones never look alike.
[[nodiscard]] std::vector<std::string> shown_parameters(const protocol::frontend::bind& b);

[[nodiscard]] std::string format_instant(policy::instant at);

}  // namespace sallyport::proxy::session
