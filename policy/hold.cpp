#include "policy/hold.h"

#include <array>

namespace sallyport::policy {

namespace {

// In the order of the enum.
constexpr std::array<const char*, 5> state_names{"pending", "approved", "denied", "expired",
                                                 "withdrawn"};

}  // namespace

const char* to_string(hold_state s) noexcept {
    const auto i = static_cast<std::size_t>(s);
    return i < state_names.size() ? state_names[i] : "unknown";
}

bool parse_hold_state(std::string_view text, hold_state& out) noexcept {
    for (std::size_t i = 0; i < state_names.size(); ++i) {
        if (text == state_names[i]) {
            out = static_cast<hold_state>(i);
            return true;
        }
    }
    return false;
}

bool is_legal(hold_state from, hold_state to) noexcept {
    // A hold ends exactly once: every end is reached from pending, and none is left.
    return from == hold_state::pending && to != hold_state::pending &&
           static_cast<std::size_t>(to) < state_names.size();
}

const char* to_string(hold_kind k) noexcept {
    return k == hold_kind::session ? "session" : "statement";
}

}  // namespace sallyport::policy
