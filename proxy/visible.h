#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

/// Text of others on a terminal.
namespace sallyport::proxy {

/// One code point off the front of text.
struct code_point {
    char32_t value = 0;
    std::size_t bytes = 1;
    bool valid = false;  ///< false: one byte that is not UTF-8, in `value`
};

/// The code point at `at` < text.size(). Overlong forms, surrogates and cut ones are invalid.
[[nodiscard]] inline code_point decode_utf8(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) -> std::uint32_t {
        return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
    };
    const std::uint32_t lead = byte(0);
    if (lead < 0x80) return {static_cast<char32_t>(lead), 1, true};
    std::size_t bytes = 0;
    std::uint32_t smallest = 0;
    std::uint32_t value = 0;
    if ((lead & 0xE0U) == 0xC0U) {
        bytes = 2, smallest = 0x80, value = lead & 0x1FU;
    } else if ((lead & 0xF0U) == 0xE0U) {
        bytes = 3, smallest = 0x800, value = lead & 0x0FU;
    } else if ((lead & 0xF8U) == 0xF0U) {
        bytes = 4, smallest = 0x10000, value = lead & 0x07U;
    } else {
        return {static_cast<char32_t>(lead), 1, false};
    }
    for (std::size_t i = 1; i < bytes; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) return {static_cast<char32_t>(lead), 1, false};
        value = (value << 6U) | (byte(i) & 0x3FU);
    }
    if (value < smallest || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return {static_cast<char32_t>(lead), 1, false};
    return {static_cast<char32_t>(value), bytes, true};
}

/// Characters that act on a terminal or a reader's eye instead of standing for themselves: C0 and
/// C1 controls, DEL, direction marks and overrides, zero-width and line separating ones, tags, and
/// letters of no width (Hangul fillers).
[[nodiscard]] constexpr bool acts_unseen(char32_t c) noexcept {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0xAD || c == 0x61C || c == 0x115F ||
           c == 0x1160 || c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0x3164 ||
           c == 0xFEFF || c == 0xFFA0 || (c >= 0xFFF9 && c <= 0xFFFB) ||
           (c >= 0xE0000 && c <= 0xE007F);
}

enum class line_breaks : std::uint8_t { keep, escape };

/// `text` with everything that acts unseen, and every byte that is not UTF-8, written out as \n,
/// \t, \x1b or \u{202e}. Newlines and tabs stay with `keep`. A backslash stays one: the result is
/// for eyes, not for reading back.
[[nodiscard]] inline std::string visible(std::string_view text, line_breaks breaks) {
    std::string out;
    out.reserve(text.size());
    std::array<char, 16> hex{};
    for (std::size_t at = 0; at < text.size();) {
        const auto c = decode_utf8(text, at);
        const bool breaks_line = c.value == U'\n' || c.value == U'\t';
        if (c.valid && (!acts_unseen(c.value) || (breaks_line && breaks == line_breaks::keep))) {
            out += text.substr(at, c.bytes);
        } else if (c.value == U'\n') {
            out += "\\n";
        } else if (c.value == U'\t') {
            out += "\\t";
        } else if (c.value == U'\r') {
            out += "\\r";
        } else {
            std::snprintf(hex.data(), hex.size(), c.value < 0x100 ? "\\x%02x" : "\\u{%x}",
                          static_cast<unsigned>(c.value));
            out += hex.data();
        }
        at += c.bytes;
    }
    return out;
}

}  // namespace sallyport::proxy
