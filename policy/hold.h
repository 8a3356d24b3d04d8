#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/opt_out.h"
#include "policy/types.h"

/// A hold: a session or statement that waits. It ends exactly once.
namespace sallyport::policy {

/// pending → approved | denied | expired | withdrawn. `approved` is final for the votes; whether
/// the statement then really went upstream is the audit log's `hold.released`.
enum class hold_state : std::uint8_t { pending, approved, denied, expired, withdrawn };
[[nodiscard]] const char* to_string(hold_state s) noexcept;
[[nodiscard]] bool parse_hold_state(std::string_view text, hold_state& out) noexcept;
[[nodiscard]] bool is_legal(hold_state from, hold_state to) noexcept;

enum class hold_kind : std::uint8_t { session, statement };
[[nodiscard]] const char* to_string(hold_kind k) noexcept;

struct hold {
    hold_id id;
    hold_kind kind = hold_kind::statement;
    hold_state state = hold_state::pending;
    std::string person;
    std::vector<std::string> person_groups;
    std::string target;
    std::string rule;
    std::string statement;                ///< the exact text, whole, unredacted; for approvers only
    std::string redacted;                 ///< the statement as the audit log may show it
    std::string statement_sha256;         ///< hex, of the exact bytes
    std::vector<std::string> parameters;  ///< bind values, as text where they are text
    std::string shape;                    ///< "" = "this shape" cannot be granted
    std::vector<std::string> touches;     ///< "read pii.customers (from)" … for approvers
    std::string reason;                   ///< what the requester gave
    std::string address;
    std::string application;
    session_id session;
    bool in_transaction = false;
    approvers who;  ///< as of its birth
    pass_bounds pass;
    instant opened_at;
    instant expires_at;
    instant ended_at;          ///< when no longer pending
    std::string ended_reason;  ///< deny's or withdrawal's reason
    std::vector<vote> votes;
    pass_scope granted = pass_scope::statement;  ///< approved: what the last approver chose
    milliseconds granted_for{};
    std::string policy_hash;
    /// Sessions that wait for it: those that ask the same share one hold, and are released
    /// together.
    std::size_t waiters = 0;
    /// What the others of them would run, if it differs (in its literals or values); at most 100.
    struct variant {
        std::string statement;
        std::vector<std::string> parameters;
        friend bool operator==(const variant&, const variant&) = default;
    };
    std::vector<variant> variants;
    std::optional<escalation> escalate;  ///< as of its birth
    bool escalated = false;              ///< `who` has the next approvers, too
    /// The span of the statement that asked, in hexadecimal; "" = none. Not part of the state: a
    /// hold outlives its trace, not the process.
    std::string trace_id;
    std::string span_id;
    /// Whose task it is, by whom and why; all who may decide it still may. "": nobody's.
    struct assignment {
        std::string to;
        std::string by;
        std::string reason;
        instant at;
    };
    assignment assigned;

    /// Nobody's session waits for it: it was asked for ahead, or by a client that does not wait.
    [[nodiscard]] bool ahead() const noexcept { return !session; }
};

}  // namespace sallyport::policy
