#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "policy/commands.h"
#include "policy/rule.h"

/// Whether two rules can speak of the same thing, and whether one says all that another does:
/// what lint and the search for exceptions are made of. Both answers err on the safe side.
namespace sallyport::policy {

/// Kinds that no statement has together with a relation, so that a rule on relations never meets
/// them by themselves.
inline constexpr kind_mask kinds_without_relations =
    bit(kind::connect) | bit(kind::transaction) | bit(kind::session_setting) |
    bit(kind::session_identity) | bit(kind::notify) | bit(kind::show) | bit(kind::replication) |
    bit(kind::fastpath);

/// The kinds of `do:`; 0 when it names none.
[[nodiscard]] kind_mask kinds_of(const rule& r) noexcept;

/// Certain only: everybody whom `b` speaks of, `a` speaks of as well.
[[nodiscard]] bool who_covers(const who& a, const who& b);

/// False only if it is certain that nobody can be both.
[[nodiscard]] bool may_meet(const who& a, const who& b);

/// False only if it is certain that `allowing` never decides an (action, object) pair that
/// `restricting` matches, for the same person at the same time. Tiers are not looked at.
[[nodiscard]] bool may_overlap(const rule_set& p, const rule& allowing, const rule& restricting);

/// False only if no relation can be meant by both.
[[nodiscard]] bool may_overlap(const relation_pattern& allowing,
                               const relation_pattern& restricting);

/// For every rule that allows: the rules of later tiers that hold or deny and are enforced, and
/// that it may overlap with, as places in `p.rules`, at most `most` of them.
[[nodiscard]] std::vector<std::vector<std::size_t>> find_excepted(const rule_set& p,
                                                                  std::size_t most);

}  // namespace sallyport::policy
