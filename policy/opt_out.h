#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/flag.h"
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

/// request: voted on; break_glass: activated alone, reviewed afterwards; file: opt-outs as code.
enum class opt_out_kind : std::uint8_t { request, break_glass, file };
[[nodiscard]] const char* to_string(opt_out_kind k) noexcept;
[[nodiscard]] bool parse_opt_out_kind(std::string_view text, opt_out_kind& out) noexcept;

/// Narrower than the rule; what is empty narrows nothing.
struct opt_out_scope {
    std::string application;             ///< exact application_name
    std::vector<std::string> resources;  ///< of the policy: what the rule holds must lie in them
    std::vector<kind> kinds;             ///< `do` …
    std::vector<std::string> commands;   ///< … kinds and commands
    std::string shape;                   ///< facts::shape of the one statement that is meant
    [[nodiscard]] bool wide() const noexcept {
        return application.empty() && resources.empty() && kinds.empty() && commands.empty() &&
               shape.empty();
    }
    friend bool operator==(const opt_out_scope&, const opt_out_scope&) = default;
};

/// A reviewed, reasoned, time-limited exception from one holding rule for one person, or for the
/// members of a group.
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
    opt_out_kind kind = opt_out_kind::request;
    std::string group;  ///< "" = `person` alone, else everybody in it
    opt_out_scope scope;
    instant starts_at;                       ///< asked for; zero: as soon as it is approved
    opt_out_id extends;                      ///< the one that it goes on for
    std::vector<std::string> person_groups;  ///< of the requester, at the request
    approvers born_with;                     ///< the rule's, at the request
    instant ended_at;                        ///< zero: it has not
    std::string written;                     ///< kind file: written_opt_out::key

    [[nodiscard]] bool lets(const principal& p) const noexcept {
        return group.empty() ? p.name == person : p.in_group(group);
    }
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
    std::vector<flag> flags;        ///< flags and locks that are live
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
    opt_out_kind kind = opt_out_kind::request;
    std::string group{};
    opt_out_scope scope{};
    instant starts_at{};  ///< zero: at once
    opt_out_id extends{};
};

/// What there is already of a rule, and of the one who asks, when a request is checked.
/// At a request what waits for its approvals counts as if it had them; at an activation it does
/// not.
struct opt_out_usage {
    int live_of_person = 0;  ///< now; the one that is extended is left out
    int live_in_all = 0;
    int month_of_person = 0;  ///< activated in this calendar month (UTC)
    int month_in_all = 0;
    std::vector<std::pair<std::string, int>> month_of_team;  ///< by group
    instant last_end;                                        ///< of the person's; zero: none
    std::string overdue_review;        ///< "opt-out 7", of the person; "" = none
    std::string unreviewed_glass;      ///< "opt-out 7", broken by the person and not reviewed
    const opt_out* extends = nullptr;  ///< what `extends` names, if it is active
    int extensions = 0;                ///< of that and of all that it extends itself, so far
};

/// "" when the request fits the bounds, else one sentence naming the bound that was hit and the
/// nearest request that would fit. The one place for every road in.
[[nodiscard]] std::string check_bounds(const rule_set& p, const opt_out_request& r,
                                       const opt_out_usage& u, instant now);

/// The part of it that may be otherwise when the last vote comes: extensions, reviews that are
/// overdue, pause, quota, how many are live.
[[nodiscard]] std::string check_how_often(const opt_out_spec& o, const opt_out_request& r,
                                          const opt_out_usage& u, instant now);

/// "" if the rules of now would still let this opt-out of `person`, as she is now, live, or be
/// requested; else which bound it is outside of.
[[nodiscard]] std::string outside_bounds(const rule_set& p, const opt_out& o,
                                         const principal& person);

/// Longest that one of this kind may last, and how often it may be used, by the rule.
struct opt_out_bounds {
    milliseconds duration{};
    std::optional<std::uint64_t> uses;
};
[[nodiscard]] opt_out_bounds bounds_of(const opt_out_spec& s, opt_out_kind k);

/// True if what `rule` holds of the statement (null: the opening of a session) lies in the scope.
[[nodiscard]] bool scope_covers(const opt_out& o, const rule& rule, const rule_set& p,
                                const subject& s, const facts* f);

/// "" when `voter` may vote on something of `rule` that `subject` asked for, else one sentence why
/// not. The subject never may, by any surface; of programs those that `services` names.
[[nodiscard]] std::string check_voter(const approvers& a, const principal& voter,
                                      const std::string& subject);
/// The same for a request; nobody for whose group it is may, either.
[[nodiscard]] std::string check_voter(const approvers& a, const principal& voter, const opt_out& o);
/// Who reviews what was used: the rule's reviewers, never the one who used it.
[[nodiscard]] std::string check_reviewer(const opt_out_spec& s, const principal& reviewer,
                                         const opt_out& o);

}  // namespace sallyport::policy
