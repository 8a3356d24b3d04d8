#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/facts.h"
#include "policy/opt_out.h"
#include "policy/rule.h"
#include "policy/types.h"

/// The one function that decides. Pure: the same arguments give the same decision, always.
namespace sallyport::policy {

/// Who asks, from where, for which target; fixed for a session (application_name may change).
struct subject {
    policy::principal principal;
    std::string target;
    std::string address;  ///< client IP as text, no port
    std::string application;
    session_id session;
    /// The schemas of the session's current search_path, folded; empty: not known, or as at the
    /// start. An unqualified name also matches patterns `schema.*` of these schemas.
    std::vector<std::string> search_path_schemas;
    /// Passes for the transaction that the session is in. None of another is ever taken.
    std::vector<pass_id> transaction_passes{};
};

/// How a thing that a rule holds may pass.
enum class granted_by : std::uint8_t { nothing, pass, opt_out };

/// How one rule stands to what was decided, for people.
struct rule_standing {
    enum class state : std::uint8_t {
        decides,  ///< it has the last word on some (action, object)
        yields,   ///< it matches, and a stricter rule of its tier decides
        late,     ///< it would match, and an earlier tier has decided
        apart,    ///< it does not match
        observes  ///< it would decide, if it were enforced
    };
    std::uint32_t rule = 0;  ///< index in rule_set::rules
    state how = state::apart;
    /// decides, observes: what it decides, "read of pii.customers"; apart: each condition that does
    /// not hold.
    std::vector<std::string> why;
};
[[nodiscard]] const char* to_string(rule_standing::state s) noexcept;

/// A relation of the facts that a rule holds or denies; points into them.
struct guarded_use {
    const relation_use* use = nullptr;
    std::uint32_t rule = 0;  ///< index in rule_set::rules
};

/// An exception that allowed something which rules of later tiers would have held or denied.
struct exception_use {
    const rule* by = nullptr;
    std::vector<const rule*> over;  ///< in the order of the rules, never empty
};

/// "a,b,c", for records.
[[nodiscard]] std::string ids_of(const std::vector<const rule*>& rules);

struct decision {
    policy::effect effect = policy::effect::deny;
    /// The deciding rule: in the rule_set, valid as long as that is; null for `default:` and
    /// `opaque:`.
    const policy::rule* rule = nullptr;
    /// rule->id, "default" or "opaque". Empty for a plain allow without `log`, `observed` and
    /// `excepted` unless `explain` is set: an id longer than std::string keeps inline would cost
    /// that path its allocation. `rule` is set.
    std::string rule_id;
    std::vector<std::string>
        reasons;  ///< "rule pii-needs-approval (tier 20) holds read of pii.customers"
    granted_by grant = granted_by::nothing;
    /// effect allow through grants: one entry per holding rule that was got round, in rule order.
    std::vector<opt_out_id> opt_outs;
    std::vector<pass_id> passes;
    const hold_spec* hold =
        nullptr;       ///< effect hold: approvers and bounds; null = nobody can approve
    bool log = false;  ///< plain allow that a rule wants recorded
    std::vector<rule_standing> standings;  ///< every rule, in order; only with `explain`
    std::vector<guarded_use> guarded;      ///< at most 10,000; only with `explain`
    /// Rules that only observe and would have had a say, in order: each holds or denies a pair that
    /// no earlier tier and no stricter rule of its own tier decides.
    std::vector<const policy::rule*> observed;
    /// effect allow: the exceptions that this rests on. A plain decision without them, by default
    /// or by an allow rule of a later tier, is not listed.
    std::vector<exception_use> excepted;
};

/// Decides one statement text (all its statements, as one) or, with `f == nullptr`, the opening of
/// the session. The strictest over all (action, object) pairs; tiers ascending; in the first tier
/// in which any rule matches a pair, deny beats hold beats allow. A pair no rule matches gets
/// `default:`. An opaque statement additionally gets `opaque:` (strictest of both).
///
/// Pairs of a statement: (read, relation) and (write, relation) for its relations used so, (kind,
/// relation) for each other kind and each relation, (kind, nothing) for a kind without relations. A
/// rule on commands matches every pair of such a statement; if it allows, only the pairs that are
/// in the nature of the command (commands.h), so that allowing `select` does not allow a DELETE in
/// its WITH. DDL that looks at a relation's rows has (read, relation) besides, for which there is
/// no default.
///
/// An unqualified relation matches a pattern that names the table, in whatever schema; `schema.*`
/// only for schemas in the search_path. Names of pg_catalog and information_schema match a pattern
/// that names the schema or the table, never `*`. Where a match is uncertain an allow rule does not
/// match: columns not known, or a known search_path with schemas that the rule does not allow as
/// well.
///
/// A rule with `observe` takes no part in any of this; `observed` says what it would have done. An
/// allow rule matches nothing from its `review_by` on.
///
/// A hold on a rule that no longer has `opt_out:` is not passed by opt-outs stored for it earlier.
/// A held pair passes if `g` has, for that rule and subject, a live pass or a live opt-out; if
/// every holding pair passes, the effect is allow with `grant` and ids set (an opt-out is named
/// only when no pass covers). Several holding rules: each needs its own grant; `rule` is the first
/// ungranted. Never throws; a rule that cannot be evaluated (an unknown zone …) counts as matched
/// if it denies or holds, as not matched if it allows. Cost: no allocation for a plain allow
/// without `log`, apart from what `reasons` needs — reasons are filled only when the effect is not
/// a plain allow or `explain` is set.
struct decide_options {
    bool explain = false;
    /// The passes with which this very statement is being released (scope `statement`, one for each
    /// hold that it went through): each covers its rule (same person and target, live at `now`),
    /// and other holding rules still need their own. Its id is named in decision::passes.
    std::span<const pass> released_by = {};
};
[[nodiscard]] decision decide(const rule_set& p, const subject& s, const facts* f, const grants& g,
                              instant now, decide_options o = {});

}  // namespace sallyport::policy
