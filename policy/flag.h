#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/address.h"
#include "policy/types.h"

/// Flags and locks: the other direction. A flag takes away what lets somebody through by itself
/// (allowances, opt-outs): each of the sessions needs a person. A lock shuts out altogether.
namespace sallyport::policy {

struct subject;

enum class flag_kind : std::uint8_t { flag, lock };
/// What it is about. Rules can only be locked: what they hold is then refused, and nothing passes,
/// neither by a pass nor by an opt-out, nor by an allow rule that is an exception from it. A locked
/// exception refuses what it would let by.
enum class flag_on : std::uint8_t { principal, application, address, target, rule };
[[nodiscard]] const char* to_string(flag_kind k) noexcept;
[[nodiscard]] const char* to_string(flag_on o) noexcept;
[[nodiscard]] bool parse_flag_kind(std::string_view text, flag_kind& out) noexcept;
[[nodiscard]] bool parse_flag_on(std::string_view text, flag_on& out) noexcept;

struct flag {
    flag_id id;
    flag_kind kind = flag_kind::flag;
    flag_on on = flag_on::principal;
    std::string subject;  ///< a name, an address as CIDR, a rule's id
    std::string reason;
    std::string set_by;
    instant set_at;
    instant until;  ///< exclusive, always set
    instant lifted_at;
    std::string lifted_by;
    std::string lifted_reason;
    std::optional<network> range;  ///< of an address

    [[nodiscard]] bool live_at(instant now) const noexcept {
        return lifted_at == instant{} && now < until;
    }
    /// The session of `s` is meant. Never of a rule: that is a matter of the decision.
    [[nodiscard]] bool means(const policy::subject& s) const noexcept;
};

/// A wish for a flag or lock.
struct flag_request {
    flag_kind kind = flag_kind::flag;
    flag_on on = flag_on::principal;
    std::string subject;
    std::string reason;
    milliseconds lasts{};
};

inline constexpr milliseconds flag_max = std::chrono::hours(366 * 24);

/// "" if it can be set, else one sentence with what would fit. Fills in `range` of an address.
[[nodiscard]] std::string check_flag(const flag_request& r, std::optional<network>& range);
/// "" if `who` may lift it, else why not: never the one whom it is about.
[[nodiscard]] std::string check_lift(const flag& f, const principal& who);

}  // namespace sallyport::policy
