#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/types.h"

/// What people are told when something happens to a hold, an opt-out, a review, a flag.
namespace sallyport::policy {

enum class notice_event : std::uint8_t {
    requested,        ///< a hold or an opt-out waits for a decision
    approved,         ///< a hold is released, an opt-out is active
    denied,           ///< by a person
    expired,          ///< nobody decided in time
    withdrawn,        ///< the asker left, or the proxy could not go on with it
    first_use,        ///< of an opt-out
    break_glass,      ///< an opt-out is active that nobody approved
    break_glass_use,  ///< each use of such a one
    near_end,         ///< an opt-out ends in minutes
    ended,            ///< its time is over, or all its uses are spent
    revoked,          ///< ended by a person, a lock or a change of the policy
    review_due,       ///< a review is open
    overdue,          ///< … and late
    signed_off,       ///< … and closed
    finding,          ///< … and closed with a finding
    flag,
    lock,
    lifted,          ///< a flag or lock
    reload_refused,  ///< the files have faults; what is in force stays
    escalated,       ///< a hold's next approvers are asked
    reassigned,      ///< a hold is one person's task now
    count_
};
[[nodiscard]] const char* to_string(notice_event e) noexcept;
[[nodiscard]] bool parse_notice_event(std::string_view text, notice_event& out) noexcept;
/// All names, for messages.
[[nodiscard]] std::vector<std::string> notice_event_names();

/// What a notice is about; those about the same one are delivered in order.
enum class notice_about : std::uint8_t { hold, opt_out, review, flag, policy, count_ };
[[nodiscard]] const char* to_string(notice_about a) noexcept;
[[nodiscard]] bool parse_notice_about(std::string_view text, notice_about& out) noexcept;

/// One event in words that others may read: statements as the audit log has them, no parameters.
/// Text of people and clients is as they gave it; whoever shows it escapes it.
struct notice {
    notice_event event = notice_event::requested;
    notice_about about = notice_about::policy;
    std::uint64_t id = 0;  ///< of the hold, opt-out (also for its review), flag; 0: none
    instant at;
    std::string person{};               ///< whom it is about
    std::string by{};                   ///< who did it: "bob, carol"; "": nobody in person
    std::string rule{};                 ///< "": none
    std::string target{};               ///< "": all, or none
    std::string reason{};               ///< of the one who asks, flags, lifts
    std::string ticket{};               ///< as given
    std::string note{};                 ///< why it was denied, ended, found wrong
    std::string kind{};                 ///< "statement", "session", "break_glass", "lock" …
    std::string what{};                 ///< "read pii.customers (ssn)", "principal alice"
    std::string asked{};                ///< who can act next: "groups security"
    std::string application{};          ///< as the client named itself
    std::string address{};              ///< of the client
    std::string statement{};            ///< as in the log, at most notice_statement_bytes_max
    std::uint64_t statement_bytes = 0;  ///< of the whole text
    std::uint64_t uses = 0;             ///< of an opt-out so far
    instant until{};                    ///< deadline, end, due date; zero: none
    /// Whom it is for in person, besides everybody who is told of such things.
    std::vector<std::string> to_users{};
    std::vector<std::string> to_groups{};

    /// "hold 7": the key of the order.
    [[nodiscard]] std::string subject() const;
};
inline constexpr std::size_t notice_statement_bytes_max = 4096;
inline constexpr std::size_t notice_text_bytes_max = 2048;  ///< of every other text

/// Cuts every text to its bound, at the border of a character.
void bound(notice& n);

}  // namespace sallyport::policy
