#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/decide.h"
#include "policy/match.h"

/// The first half of decide(): which rules match which pairs, without regard to passes and
/// opt-outs.
namespace sallyport::policy {

/// A sorted set of rule indices that allocates only beyond its first few; most statements meet one.
class rule_indices {
  public:
    void insert(std::uint32_t index);
    [[nodiscard]] std::size_t size() const noexcept { return size_ + more_.size(); }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::uint32_t at(std::size_t i) const noexcept {
        return i < size_ ? few_[i] : more_[i - size_];
    }

  private:
    // INVARIANT: few_ then more_ ascend; more_ is empty unless few_ is full.
    std::array<std::uint32_t, 8> few_{};
    std::size_t size_ = 0;
    std::vector<std::uint32_t> more_;
};

inline constexpr std::uint32_t no_rule = std::numeric_limits<std::uint32_t>::max();

/// What the rules say of all pairs together.
struct verdict {
    std::uint32_t denied_by = no_rule;   ///< the first rule that denies a pair
    std::uint32_t allowed_by = no_rule;  ///< the first rule that allows a pair
    rule_indices held_by;
    bool has_default = false;  ///< some pair is matched by no rule
    bool has_opaque = false;
    bool log = false;  ///< of the pairs that are allowed
    std::vector<std::string> reasons;
    std::vector<rule_standing> standings;  ///< see decision
    std::vector<guarded_use> guarded;
    rule_indices observed;  ///< rules that only observe, and would decide some pair
    /// (exception, rule of a later tier that would have decided), each pair once.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> excepted;
};

/// and_standings: besides, how every rule stands to it, with a look at every rule for every pair.
enum class with_reasons : std::uint8_t { no, yes, and_standings };

/// Evaluates a statement text, or the opening of the session if `f` is null.
[[nodiscard]] verdict evaluate(const rule_set& p, const compiled_rules& c, const subject& s,
                               const facts* f, instant now, with_reasons reasons);

}  // namespace sallyport::policy
