#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/flag.h"
#include "policy/hold.h"
#include "policy/opt_out.h"
#include "policy/review.h"
#include "policy/rule.h"
#include "policy/types.h"

/// Who may do what on the admin surfaces. Both the HTTP API and the console ask here and nowhere
/// else.
namespace sallyport::proxy::admin {

/// Who holds a role, from the configuration. Empty lists: nobody.
struct role_members {
    std::vector<std::string> users;
    std::vector<std::string> groups;
    [[nodiscard]] bool contains(const policy::principal& p) const;
};

struct role_config {
    role_members admins;    ///< sessions list and kill, reload, revoke any opt-out, statistics
    role_members auditors;  ///< reads the audit log, and all holds, opt-outs and sessions
    role_members monitors;  ///< sets flags: people or tools that watch
};

struct roles {
    bool admin = false;
    bool auditor = false;
    bool monitor = false;
    friend bool operator==(roles, roles) = default;
};
[[nodiscard]] roles roles_of(const role_config& config, const policy::principal& who);

/// Everything that can be asked of the admin surfaces.
enum class action : std::uint8_t {
    see_self,       ///< who am I, help, version
    see_holds,      ///< those visible to the asker
    request_hold,   ///< one's own, ahead of the session that needs it
    escalate_hold,  ///< one's own, as its approver, or any as admin
    reassign_hold,  ///< as its approver, or any as admin; never one's own
    vote_hold,      ///< and may_see(hold), and the rule's approvers
    see_opt_outs,   ///< those visible to the asker
    request_opt_out,
    vote_opt_out,    ///< and may_see(opt_out), and the rule's approvers
    revoke_opt_out,  ///< own, as its approver, or any as admin
    withdraw_vote,   ///< one's own
    see_reviews,     ///< those visible to the asker, as opt-outs are
    review,          ///< and the rule's reviewers
    see_flags,
    set_flag,
    set_lock,
    lift_flag,  ///< never what one is under oneself
    see_sessions,
    kill_session,
    see_audit,
    see_rules,
    explain_self,   ///< what would be decided for me
    explain_other,  ///< … for somebody else
    check_policy,   ///< its findings, and whom a candidate would affect
    reload,
    see_events,
    see_stats,
    see_deliveries,
    see_tokens,    ///< one's own; admins: all
    create_token,  ///< for oneself; admins: for programs too. Only from a login
    revoke_token,  ///< one's own; admins: any
    count_
};
inline constexpr std::size_t action_count = static_cast<std::size_t>(action::count_);
[[nodiscard]] std::string_view to_string(action a) noexcept;
/// Inverse of to_string.
[[nodiscard]] std::optional<action> parse_action(std::string_view name) noexcept;

/// How somebody proved who she is.
enum class proof : std::uint8_t { login, token, jwt };

using action_set = std::bitset<action_count>;

/// An authenticated person on one surface, for as long as one request lasts.
struct actor {
    policy::principal who;
    roles role;
    std::string address;  ///< client IP as text, no port
    std::string surface;  ///< "api" or "console"
    proof by = proof::login;
    std::uint64_t token = 0;             ///< number of the API token, 0 = none
    std::optional<action_set> scopes{};  ///< all that the token may be used for; absent: no bounds
    std::string made_by{};               ///< who made the token, "" = none
};

/// "" when somebody with these roles may try `a`, else one sentence that says who may.
/// An action that is not in the table is refused.
[[nodiscard]] std::string check_action(action a, roles r);
/// "" when the token that the actor came with, if any, is for `a`; else one sentence.
[[nodiscard]] std::string check_scope(action a, const actor& who);
/// Both: never more than the token's scopes, never more than its owner's roles of now.
[[nodiscard]] std::string check_action(action a, const actor& who);

/// "" unless the actor came with a token that `requester` made, for herself or for a program; else
/// one sentence.
[[nodiscard]] std::string check_maker(const actor& who, const std::string& requester);

/// "" when no live lock means the actor, by name or by address, or `a` only reads; else one
/// sentence with who can help.
[[nodiscard]] std::string check_locks(action a, const actor& who, const policy::grants& g,
                                      policy::instant now);
/// "" when the lock leaves whoever sets it able to lift it; else one sentence. A range of addresses
/// might shut out every admin.
[[nodiscard]] std::string check_way_out(const actor& who, const policy::flag_request& r);

/// "" unless the flag is on addresses among which the actor's is; else one sentence. Applications
/// name themselves, so they are no bound here.
[[nodiscard]] std::string check_lift(const actor& who, const policy::flag& f);

/// Whether `a` may know that this hold exists: its requester, who may vote on it or has, admins,
/// auditors.
[[nodiscard]] bool may_see(const actor& a, const policy::hold& h);
/// Whether `a` may read the statement and its parameters: as may_see. Kept apart because it is the
/// one place that a stricter house would change.
[[nodiscard]] bool may_read_statement(const actor& a, const policy::hold& h);
/// Likewise for an opt-out; its approvers are those of the rule as it is now.
[[nodiscard]] bool may_see(const actor& a, const policy::opt_out& o, const policy::rule_set* rules);
/// Likewise for a review: whom it is about, its reviewers, admins, auditors.
[[nodiscard]] bool may_see(const actor& a, const policy::review& r, const policy::rule_set* rules);
/// "" if `a` may close the review, else why not.
[[nodiscard]] std::string check_review(const actor& a, const policy::review& r,
                                       const policy::rule_set* rules);

}  // namespace sallyport::proxy::admin
