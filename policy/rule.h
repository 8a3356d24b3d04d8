#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/address.h"
#include "policy/facts.h"
#include "policy/time_zone.h"
#include "policy/types.h"

/// The policy file as typed values. Built only by load_policy(), immutable afterwards.
namespace sallyport::policy {

struct compiled_rules;  // policy/match.h

/// Who a rule, an approver list or an opt-out speaks of. Everything empty = everybody.
/// Several fields given = all must hold; several entries in one field = any of them.
struct who {
    std::vector<std::string> users;
    std::vector<std::string> groups;
    std::vector<std::string> applications;  ///< exact application_name
    std::vector<std::string> addresses;     ///< client CIDRs as written, e.g. 10.0.0.0/8
    std::vector<network> networks;          ///< `addresses`, parsed
    std::shared_ptr<const who> not_;        ///< excluded
    [[nodiscard]] bool everybody() const noexcept {
        return users.empty() && groups.empty() && applications.empty() && addresses.empty() &&
               !not_;
    }
};

/// "schema.name", "schema.*", "name" (any schema), with an optional column list. Names are as the
/// server stores them: folded to lower case unless they were written "Quoted".
struct relation_pattern {
    std::string schema;  ///< "*" = any
    std::string name;    ///< "*" = any
    std::vector<std::string> columns;
};

struct resource {
    std::string name;
    std::vector<std::string> targets;         ///< never empty
    std::vector<relation_pattern> relations;  ///< empty: the whole target, the session itself
};

/// A weekly window in a zone: "Mon-Fri 08:00-18:00" in Europe/Berlin. Overnight windows wrap.
struct time_window {
    std::array<bool, 7> days{};  ///< Monday first; the day on which the window starts
    int from_minute = 0;         ///< minutes since local midnight, 0-1439
    int to_minute = 1440;        ///< exclusive, 1-1440; <= from: wraps past midnight
    std::string zone = "UTC";    ///< IANA name
    std::string text;            ///< as written
    time_zone_ptr rules;         ///< the zone's own rules; null: cannot be evaluated
};

struct approvers {
    std::vector<std::string> users;
    std::vector<std::string> groups;
    int approvals = 1;                  ///< distinct persons needed, >= 1
    std::vector<std::string> services{};  ///< programs, of which no other ever votes

    [[nodiscard]] bool nobody() const noexcept {
        return users.empty() && groups.empty() && services.empty();
    }
    /// Users and programs, for people to read.
    [[nodiscard]] std::vector<std::string> by_name() const {
        auto names = users;
        for (const auto& s : services)
            names.push_back("program " + s);
        return names;
    }
};

/// How long each kind of pass may last at most; nullopt/false: not offered.
struct pass_bounds {
    bool statement = true;
    std::optional<milliseconds> shape;
    std::optional<milliseconds> transaction;
    std::optional<milliseconds> session;
};

enum class hold_clients : std::uint8_t { wait, refuse };
enum class at_end : std::uint8_t { hold, drain, kill };
enum class log_mode : std::uint8_t { none, all };

/// Whom a hold that nobody has decided goes to next, besides its first approvers.
struct escalation {
    milliseconds after{};
    approvers to;  ///< `approvals` means nothing here
};

struct hold_spec {
    approvers who;
    milliseconds wait{std::chrono::minutes(15)};
    hold_clients clients = hold_clients::wait;
    bool reason_required = false;
    pass_bounds pass;
    std::optional<escalation> escalate;
};

/// Activated alone and at once, loudly, and reviewed by another person afterwards.
struct break_glass_spec {
    policy::who who;
    milliseconds max_duration{};  ///< > 0, minutes
    std::optional<std::uint64_t> max_uses;
    approvers announce;             ///< who is told; `approvals` means nothing here
    bool unreviewed_blocks = true;  ///< unreviewed ones of any rule block the person's next
};

/// At most so many activations in a calendar month (UTC).
struct monthly_quota {
    std::optional<int> per_person;
    std::optional<int> per_team;  ///< of each group of `who:` that the person is in
    std::optional<int> in_all;
};

struct opt_out_spec {
    policy::who who;
    approvers approved_by;
    milliseconds max_duration{};  ///< > 0
    std::optional<std::uint64_t> max_uses;
    std::optional<int> max_live_per_person;
    std::optional<int> max_live_in_all;
    std::optional<std::string>
        ticket;  ///< ECMAScript pattern, whole match; absent: no ticket needed
    policy::at_end at_end = policy::at_end::hold;
    milliseconds drain_limit{std::chrono::seconds(30)};
    std::optional<milliseconds> review_within;
    std::string role;  ///< temporary upstream role, "" = none
    monthly_quota per_month;
    std::optional<milliseconds> cool_down;  ///< between the end of one and a person's next request
    milliseconds starts_within{};           ///< a window may begin so much later; 0: at once only
    std::optional<int> max_extensions;      ///< of one opt-out, one after the other
    std::optional<approvers> reviewers;     ///< absent: the approvers
    bool overdue_blocks = false;  ///< a review that is overdue blocks the person's next request
    std::optional<break_glass_spec> break_glass;
};

struct rule {
    std::string id;
    int tier = 0;
    policy::who who;
    std::vector<std::string> on;        ///< resource names; empty: any target, any object
    std::vector<kind> kinds;            ///< `do:` kinds …
    std::vector<std::string> commands;  ///< … and single commands; both empty: any action
    std::vector<time_window> when;      ///< empty: always; else any of them
    policy::effect effect = policy::effect::allow;
    std::string message;                  ///< for the client, "" = none
    std::optional<hold_spec> hold;        ///< present iff effect == hold
    std::optional<opt_out_spec> opt_out;  ///< only with effect hold
    log_mode log = log_mode::none;  ///< record plain allows by this rule (its own or the file's)
    int line = 0;                   ///< in the policy file

    /// True for a rule that speaks of opening a session rather than of single statements: no `do:`,
    /// and no resource that names relations.
    bool connect_scope = false;

    /// `observe: true`: decided, recorded and counted, not enforced. Hold and deny only.
    bool observe = false;
    std::string reason;  ///< allow only: why it stands
    /// Allow only: from this instant on the rule matches nothing.
    std::optional<instant> review_by;
    /// Of an exception: the rules of later tiers that hold or deny and that it can take somebody
    /// out of, in their order; the first excepts_max of them.
    std::vector<std::string> excepts;
    int column = 1;  ///< in the policy file

    /// A permanent bypass by another name: it needs a reason and an end.
    [[nodiscard]] bool is_exception() const noexcept { return !excepts.empty(); }
    [[nodiscard]] bool ended_at(instant now) const noexcept {
        return review_by && now >= *review_by;
    }
};

/// One line of the policy's own `tests:`.
struct policy_test {
    std::string as;
    std::vector<std::string> groups;
    std::string on;   ///< target
    std::string sql;  ///< "" = the session itself
    effect expect = effect::allow;
    std::string rule;  ///< "" = not checked
    std::optional<instant> at;
    std::string application;
    std::string address;
    std::vector<std::string> search_path;
    int line = 0;
    int column = 0;

    /// An opt-out that is live at the test's time.
    struct live_opt_out {
        std::string rule;
        std::string person;  ///< "" = `as`
        std::string target;  ///< "" = every target of the rule
    };
    std::vector<live_opt_out> opt_outs;
    std::string by;  ///< "opt_out", "exception": what must let it pass; "" = not checked
    /// Exactly these rules that only observe must have had a say; absent: not checked.
    std::optional<std::vector<std::string>> observed;
};

struct written_opt_outs;

struct rule_set {
    int version = 1;
    effect default_effect = effect::deny;
    effect opaque_effect = effect::hold;
    std::optional<hold_spec>
        opaque_hold;  ///< who approves opaque statements (`opaque: {effect: hold, hold: {…}}`)
    std::optional<hold_spec> default_hold;  ///< likewise for `default: hold`
    /// Who lets in those whom a flag suspends (`flagged: {hold: …}`); absent: whoever approves
    /// something. Null there as well: nobody, and flagged sessions are refused.
    std::optional<hold_spec> flagged_hold;
    log_mode log = log_mode::none;  ///< plain allows by default
    bool log_literals = false;  ///< `log_literals: true`: statements unredacted in the audit log
    /// Code that the catalog cannot follow and the policy answers for, sorted: "language:plperl",
    /// "extension:ip4r", "function:public.f", "server:archive".
    std::vector<std::string> harmless;
    std::map<std::string, resource> resources;
    std::vector<rule> rules;  ///< sorted by (tier, position in the file)
    std::vector<policy_test> tests;
    std::string hash;  ///< hex SHA-256 of the file's bytes
    std::string path;
    /// What decide() reads in place of `resources` and `rules`; made by load_policy() as its last
    /// step. Null in a rule_set built by hand: decide() then compiles at every call, right but
    /// slow.
    std::shared_ptr<const compiled_rules> compiled;
    /// Opt-outs as code (policy/written.h); null: there are none.
    std::shared_ptr<const written_opt_outs> opt_outs;

    [[nodiscard]] const rule* find_rule(const std::string& id) const noexcept {
        for (const auto& r : rules)
            if (r.id == id) return &r;
        return nullptr;
    }
};

using rule_set_ptr = std::shared_ptr<const rule_set>;

/// The rule id under which opaque statements are held, denied, approved and opted out.
inline constexpr const char* opaque_rule_id = "opaque";
/// The rule id of `default:`.
inline constexpr const char* default_rule_id = "default";
/// The rule id under which a flagged session waits for a person, and under which a lock refuses.
inline constexpr const char* flag_rule_id = "flag";
inline constexpr const char* lock_rule_id = "lock";

}  // namespace sallyport::policy
