#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Base64 with the alphabet of RFC 4648 section 5, without padding, as tokens use it.
namespace sallyport::proxy::auth {

[[nodiscard]] inline std::string to_base64url(std::string_view bytes) {
    static constexpr std::string_view letters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char c : bytes) {
        bits = ((bits << 8U) | static_cast<unsigned char>(c)) & 0xFFFFU;
        for (count += 8; count >= 6; count -= 6)
            out += letters[(bits >> (count - 6)) & 63U];
    }
    if (count > 0) out += letters[(bits << (6 - count)) & 63U];
    return out;
}

/// Strict: one text for each value. nullopt for any other letter, padding, a length that cannot be,
/// or bits left over.
[[nodiscard]] inline std::optional<std::string> from_base64url(std::string_view text) {
    std::string out;
    unsigned bits = 0;
    unsigned count = 0;
    for (const char c : text) {
        unsigned value = 0;
        if (c >= 'A' && c <= 'Z') {
            value = static_cast<unsigned>(c - 'A');
        } else if (c >= 'a' && c <= 'z') {
            value = static_cast<unsigned>(c - 'a') + 26;
        } else if (c >= '0' && c <= '9') {
            value = static_cast<unsigned>(c - '0') + 52;
        } else if (c == '-' || c == '_') {
            value = c == '-' ? 62 : 63;
        } else {
            return std::nullopt;
        }
        bits = ((bits << 6U) | value) & 0xFFFFU;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        out += static_cast<char>((bits >> count) & 0xFFU);
    }
    if (count >= 6 || (bits & ((1U << count) - 1U)) != 0) return std::nullopt;
    return out;
}

}  // namespace sallyport::proxy::auth
