#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/opt_out.h"
#include "policy/types.h"

/// The look back at an opt-out that was used: by another person, within a time.
namespace sallyport::policy {

/// open → signed_off | finding.
enum class review_state : std::uint8_t { open, signed_off, finding };
[[nodiscard]] const char* to_string(review_state s) noexcept;
[[nodiscard]] bool parse_review_state(std::string_view text, review_state& out) noexcept;
[[nodiscard]] bool is_legal(review_state from, review_state to) noexcept;

/// Exactly one for each opt-out that ended and was used, and for each break-glass.
struct review {
    opt_out_id id;  ///< of the opt-out
    review_state state = review_state::open;
    std::string rule;
    std::string person;  ///< whom the opt-out let through
    instant opened_at;
    instant due_at;
    instant closed_at;     ///< signed off, or a finding raised
    std::string reviewer;  ///< who did
    std::string note;
    instant overdue_at;  ///< when its being late was noticed and recorded
    opt_out_kind kind = opt_out_kind::request;
    std::uint64_t uses = 0;  ///< of the opt-out

    [[nodiscard]] bool overdue(instant now) const noexcept {
        return state == review_state::open && now >= due_at;
    }
};

}  // namespace sallyport::policy
