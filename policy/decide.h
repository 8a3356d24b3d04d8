#pragma once

#include <functional>
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
    std::string address;      ///< client IP as text, no port
    std::string application;
    session_id session;
};

/// How a thing that a rule holds may pass.
enum class granted_by : std::uint8_t { nothing, pass, opt_out };

struct decision {
    policy::effect effect = policy::effect::deny;
    /// The deciding rule: in the rule_set, valid as long as that is; null for `default:` and `opaque:`.
    const policy::rule* rule = nullptr;
    std::string rule_id;                ///< rule->id, "default" or "opaque"
    std::vector<std::string> reasons;   ///< "rule pii-needs-approval (tier 20) holds read of pii.customers"
    granted_by grant = granted_by::nothing;
    /// effect allow through grants: one entry per holding rule that was got round, in rule order.
    std::vector<opt_out_id> opt_outs;
    std::vector<pass_id> passes;
    const hold_spec* hold = nullptr;    ///< effect hold: approvers and bounds; null = nobody can approve
    bool log = false;                   ///< plain allow that a rule wants recorded
};

/// Decides one statement text (all its statements, as one) or, with `f == nullptr`, the opening of the
/// session. The strictest over all (action, object) pairs; tiers ascending; in the first tier in which
/// any rule matches a pair, deny beats hold beats allow. A pair no rule matches gets `default:`.
/// An opaque statement additionally gets `opaque:` (strictest of both).
/// A held pair passes if `g` has, for that rule and subject, a live pass or a live opt-out; if every
/// holding pair passes, the effect is allow with `grant` and ids set (an opt-out is named only when
/// no pass covers). Several holding rules: each needs its own grant; `rule` is the first ungranted.
/// Never throws; a rule that cannot be evaluated (an unknown zone …) counts as matched if it denies or
/// holds, as not matched if it allows.
/// Cost: no allocation for a plain allow without `log`, apart from what `reasons` needs — reasons are
/// filled only when the effect is not a plain allow or `explain` is set.
struct decide_options {
    bool explain = false;
};
[[nodiscard]] decision decide(const rule_set& p, const subject& s, const facts* f, const grants& g,
                              instant now, decide_options o = {});

}  // namespace sallyport::policy
