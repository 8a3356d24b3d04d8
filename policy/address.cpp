#include "policy/address.h"

#include <charconv>
#include <string>
#include <vector>

namespace sallyport::policy {

namespace {

/// Decimal without sign or leading zero (which some parsers read as octal).
std::optional<unsigned> small_number(std::string_view text, unsigned max) noexcept {
    if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0')) return {};
    unsigned value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (err != std::errc{} || end != text.data() + text.size() || value > max) return {};
    return value;
}

bool parse_v4(std::string_view text, std::uint8_t* out) noexcept {
    for (int i = 0; i < 4; ++i) {
        const auto dot = text.find('.');
        if ((dot == std::string_view::npos) != (i == 3)) return false;
        const auto part = small_number(text.substr(0, dot), 255);
        if (!part) return false;
        out[i] = static_cast<std::uint8_t>(*part);
        if (i < 3) text.remove_prefix(dot + 1);
    }
    return true;
}

bool parse_group(std::string_view text, std::uint8_t* out) noexcept {
    if (text.empty() || text.size() > 4) return false;
    unsigned value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
    if (err != std::errc{} || end != text.data() + text.size()) return false;
    out[0] = static_cast<std::uint8_t>(value >> 8U);
    out[1] = static_cast<std::uint8_t>(value & 0xffU);
    return true;
}

/// Groups up to "::" or the end. Returns the bytes written, or -1; `text` keeps what is behind
/// "::".
int parse_groups(std::string_view text, std::uint8_t* out, int bytes_max) noexcept {
    int n = 0;
    while (!text.empty()) {
        const auto colon = text.find(':');
        const auto part = text.substr(0, colon);
        const bool last = colon == std::string_view::npos;
        if (last && part.find('.') != std::string_view::npos) {
            if (n + 4 > bytes_max || !parse_v4(part, out + n)) return -1;
            return n + 4;
        }
        if (n + 2 > bytes_max || !parse_group(part, out + n)) return -1;
        n += 2;
        if (last) return n;
        text.remove_prefix(colon + 1);
        if (text.empty()) return -1;
    }
    return n;
}

bool parse_v6(std::string_view text, std::array<std::uint8_t, 16>& out) noexcept {
    out.fill(0);
    const auto gap = text.find("::");
    if (gap == std::string_view::npos) return parse_groups(text, out.data(), 16) == 16;
    if (text.find("::", gap + 1) != std::string_view::npos) return false;
    const auto head = text.substr(0, gap);
    if (head.find('.') != std::string_view::npos) return false;
    const int before = parse_groups(head, out.data(), 14);
    if (before < 0) return false;
    std::array<std::uint8_t, 16> tail{};
    const int behind = parse_groups(text.substr(gap + 2), tail.data(), 14 - before);
    if (behind < 0) return false;
    for (int i = 0; i < behind; ++i)
        out[static_cast<std::size_t>(16 - behind + i)] = tail[static_cast<std::size_t>(i)];
    return true;
}

bool is_mapped_v4(const std::array<std::uint8_t, 16>& b) noexcept {
    for (std::size_t i = 0; i < 10; ++i)
        if (b[i] != 0) return false;
    return b[10] == 0xff && b[11] == 0xff;
}

}  // namespace

std::optional<address> parse_address(std::string_view text) noexcept {
    address a;
    if (text.size() > 64) return {};
    if (text.find(':') == std::string_view::npos) {
        if (!parse_v4(text, a.bytes.data())) return {};
        return a;
    }
    a.v6 = true;
    if (!parse_v6(text.substr(0, text.find('%')), a.bytes)) return {};
    if (is_mapped_v4(a.bytes)) {
        address v4;
        for (std::size_t i = 0; i < 4; ++i)
            v4.bytes[i] = a.bytes[12 + i];
        return v4;
    }
    return a;
}

bool network::contains(const address& a) const noexcept {
    if (a.v6 != base.v6) return false;
    int left = prefix;
    for (std::size_t i = 0; left > 0; ++i, left -= 8) {
        const unsigned mask = left >= 8 ? 0xffU : (0xff00U >> static_cast<unsigned>(left)) & 0xffU;
        if ((a.bytes[i] & mask) != (base.bytes[i] & mask)) return false;
    }
    return true;
}

std::optional<network> parse_network(std::string_view text) noexcept {
    const auto slash = text.find('/');
    const auto head = text.substr(0, slash);
    if (head.find('%') != std::string_view::npos) return {};
    const auto base = parse_address(head);
    if (!base) return {};
    const bool mapped = !base->v6 && head.find(':') != std::string_view::npos;
    const int bits = base->v6 ? 128 : 32;
    network n{*base, bits};
    if (slash != std::string_view::npos) {
        const auto prefix = small_number(text.substr(slash + 1), 128);
        if (!prefix) return {};
        n.prefix = static_cast<int>(*prefix) - (mapped ? 96 : 0);
        if (n.prefix < 0 || n.prefix > bits) return {};
    }
    for (int i = n.prefix; i < bits; ++i) {
        const auto byte = base->bytes[static_cast<std::size_t>(i / 8)];
        if ((byte >> static_cast<unsigned>(7 - i % 8) & 1U) != 0) return {};
    }
    return n;
}

}  // namespace sallyport::policy
