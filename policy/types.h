#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// The words that rules, records and surfaces share. Pure values.
namespace sallyport::policy {

/// No reason, no name: nothing that a person could read.
[[nodiscard]] constexpr bool is_blank(std::string_view text) noexcept {
    return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

/// An absolute UTC instant, millisecond resolution. Never local time, never a duration since boot.
using instant = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// A number that cannot be mixed up with another kind of number. 0 means "none".
template <class Tag>
struct strong_id {
    std::uint64_t value = 0;
    constexpr explicit operator bool() const noexcept { return value != 0; }
    friend constexpr auto operator<=>(strong_id, strong_id) = default;
};
using hold_id = strong_id<struct hold_tag>;
using opt_out_id = strong_id<struct opt_out_tag>;
using pass_id = strong_id<struct pass_tag>;
using session_id = strong_id<struct session_tag>;
using flag_id = strong_id<struct flag_tag>;

/// The authenticated person or service. `name` is the one identity on every surface (psql, HTTP,
/// CLI, certificate): two surfaces with the same name are the same person.
struct principal {
    std::string name;
    std::vector<std::string> groups;
    bool service = false;  ///< a program: votes only where a rule names it

    [[nodiscard]] bool in_group(const std::string& group) const {
        for (const auto& g : groups)
            if (g == group) return true;
        return false;
    }
    friend bool operator==(const principal&, const principal&) = default;
};

enum class effect : std::uint8_t { allow, hold, deny };  // ordered: later is stricter

[[nodiscard]] const char* to_string(effect e) noexcept;

}  // namespace sallyport::policy
