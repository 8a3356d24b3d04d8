#include "policy/review.h"

#include <array>

namespace sallyport::policy {

namespace {

// In the order of the enum.
constexpr std::array<const char*, 3> state_names{"open", "signed_off", "finding"};

}  // namespace

const char* to_string(review_state s) noexcept {
    const auto i = static_cast<std::size_t>(s);
    return i < state_names.size() ? state_names[i] : "unknown";
}

bool parse_review_state(std::string_view text, review_state& out) noexcept {
    for (std::size_t i = 0; i < state_names.size(); ++i)
        if (text == state_names[i]) {
            out = static_cast<review_state>(i);
            return true;
        }
    return false;
}

bool is_legal(review_state from, review_state to) noexcept {
    return from == review_state::open &&
           (to == review_state::signed_off || to == review_state::finding);
}

}  // namespace sallyport::policy
