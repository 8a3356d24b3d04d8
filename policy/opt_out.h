#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rule.h"
#include "policy/types.h"

/// Opt-outs and passes: the two things that let through what a rule holds.
namespace sallyport::policy {

/// requested → active | denied | withdrawn | expired(request);  active → expired | revoked |
/// used_up.
enum class opt_out_state : std::uint8_t {
    requested,
    active,
    denied,
    withdrawn,
    lapsed,
    expired,
    revoked,
    used_up
};
[[nodiscard]] const char* to_string(opt_out_state s) noexcept;
[[nodiscard]] bool parse_opt_out_state(std::string_view text, opt_out_state& out) noexcept;
/// The transition table as data; everything not in it is illegal.
[[nodiscard]] bool is_legal(opt_out_state from, opt_out_state to) noexcept;

struct vote {
    std::string person;
    bool approve = false;
    std::string reason;
    instant at;
    std::string surface;  ///< "api", "console" …
};

/// A reviewed, reasoned, time-limited exception from one holding rule for one person.
struct opt_out {
    opt_out_id id;
    opt_out_state state = opt_out_state::requested;
    std::string rule;
    std::string person;  ///< whom it lets through
    std::string requested_by;
    std::string reason;
    std::string ticket;
    std::string target;       ///< "" = every target the rule covers
    milliseconds duration{};  ///< asked for; the clock starts at approval
    instant requested_at;
    instant request_expires_at;  ///< an undecided request lapses then
    instant from;                ///< active: first instant at which it lets pass
    instant until;               ///< active: end, exclusive; always set when active
    std::uint64_t uses = 0;
    std::uint64_t max_uses = 0;  ///< 0 = not bounded in number
    int approvals_needed = 1;
    std::vector<vote> votes;
    std::string ended_reason;
    std::string policy_hash;  ///< of the policy it was requested under
    std::string role;

    [[nodiscard]] bool live_at(instant now) const noexcept {
        return state == opt_out_state::active && now >= from && now < until &&
               (max_uses == 0 || uses < max_uses);
    }
};

/// What an approval granted beyond the one statement it released.
enum class pass_scope : std::uint8_t { statement, shape, transaction, session };
[[nodiscard]] const char* to_string(pass_scope s) noexcept;
[[nodiscard]] bool parse_pass_scope(std::string_view text, pass_scope& out) noexcept;

struct pass {
    pass_id id;
    hold_id from_hold;
    pass_scope scope = pass_scope::statement;
    std::string rule;
    std::string person;
    std::string target;
    std::string shape;        ///< scope shape only: equal to facts::shape
    session_id session;       ///< scope session and transaction only
    instant until;            ///< exclusive, always set
    std::string approved_by;  ///< names, comma-separated, for records
    [[nodiscard]] bool live_at(instant now) const noexcept { return now < until; }
};

/// Immutable picture of everything that may let held things pass; swapped whole when one changes.
/// Its users still compare `until` with their own now: a stale picture lengthens nothing.
struct grants {
    std::vector<opt_out> opt_outs;  ///< active ones only
    std::vector<pass> passes;       ///< unexpired ones only
};
using grants_ptr = std::shared_ptr<const grants>;

/// A request for an opt-out, checked against the rule's bounds in this one place for every road in
/// (API, CLI, console, file, restart).
struct opt_out_request {
    principal person;  ///< who asks, for herself
    std::string rule;
    milliseconds duration{};
    std::string reason;
    std::string ticket;
    std::string target;
};

/// "" when the request fits the bounds, else one sentence naming the bound that was hit and the
/// nearest request that would fit.
/// `live_of_person`, `live_in_all`: opt-outs of this rule that are requested or active now.
[[nodiscard]] std::string check_bounds(const rule_set& p, const opt_out_request& r,
                                       int live_of_person, int live_in_all);

/// "" when `voter` may vote on something of `rule` that `subject` asked for, else one sentence why
/// not. The subject never may, by any surface; service principals never may.
[[nodiscard]] std::string check_voter(const approvers& a, const principal& voter,
                                      const std::string& subject);

}  // namespace sallyport::policy
