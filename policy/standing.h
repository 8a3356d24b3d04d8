#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/decide.h"
#include "policy/match.h"

/// How rules stand to a decision, in words for people; evaluate() gathers what they are made of.
namespace sallyport::policy {

/// What was seen of one rule over all (action, object) pairs.
struct conditions {
    static constexpr std::size_t decided_max = 8;
    bool here = false;     ///< it speaks of this target
    bool action = false;   ///< `do:` has the action of some pair
    bool object = false;   ///< `on:` has the object of some pair
    bool both = false;     ///< … of one and the same pair
    bool applies = false;  ///< `who:` and `when:` hold, or cannot be told and the rule restricts
    truth time = truth::yes;
    bool ended = false;                ///< its `review_by` has passed
    bool matched = false;              ///< it matched pairs that no earlier tier had decided
    std::vector<std::string> decided;  ///< pairs that it decides, the first of them
    std::size_t decided_more = 0;
};

[[nodiscard]] rule_standing standing_of(const rule& r, std::uint32_t index, conditions seen,
                                        const match_context& asker);

}  // namespace sallyport::policy
