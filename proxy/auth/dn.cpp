#include <cctype>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/auth/users.h"

namespace sallyport::proxy::auth {
namespace {

constexpr std::string_view must_escape = ",+\"\\<>;=";

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

void skip_blanks(std::string_view& rest) noexcept {
    while (!rest.empty() && rest.front() == ' ')
        rest.remove_prefix(1);
}

// "CN" or "2.5.4.3", in upper case; "" if there is none before '='.
std::string take_type(std::string_view& rest) {
    skip_blanks(rest);
    std::string type;
    while (!rest.empty() && (std::isalnum(static_cast<unsigned char>(rest.front())) != 0 ||
                             rest.front() == '.' || rest.front() == '-')) {
        type += static_cast<char>(std::toupper(static_cast<unsigned char>(rest.front())));
        rest.remove_prefix(1);
    }
    skip_blanks(rest);
    if (rest.empty() || rest.front() != '=') return {};
    rest.remove_prefix(1);
    return type;
}

// One escaped character behind its backslash; nullopt if it is none, or a NUL.
std::optional<char> take_escaped(std::string_view& rest) {
    if (rest.empty()) return std::nullopt;
    if (rest.size() >= 2 && hex_digit(rest[0]) >= 0 && hex_digit(rest[1]) >= 0) {
        const auto c = static_cast<char>(hex_digit(rest[0]) * 16 + hex_digit(rest[1]));
        rest.remove_prefix(2);
        if (c == '\0') return std::nullopt;
        return c;
    }
    const char c = rest.front();
    rest.remove_prefix(1);
    return c;
}

std::string escaped(std::string_view value) {
    static constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        const char c = value[i];
        const auto byte = static_cast<unsigned char>(c);
        const bool at_edge = i == 0 || i + 1 == value.size();
        if (byte < 0x20 || byte == 0x7f) {
            out += '\\';
            out += digits[byte >> 4];
            out += digits[byte & 15];
            continue;
        }
        if (must_escape.find(c) != std::string_view::npos || (c == ' ' && at_edge) ||
            (c == '#' && i == 0))
            out += '\\';
        out += c;
    }
    return out;
}

// "#04024869", the DER of a value that has no text form; kept as hexadecimal.
std::optional<std::string> take_dump(std::string_view& rest) {
    std::string out = "#";
    rest.remove_prefix(1);
    while (!rest.empty() && hex_digit(rest.front()) >= 0) {
        out += static_cast<char>(std::toupper(static_cast<unsigned char>(rest.front())));
        rest.remove_prefix(1);
    }
    skip_blanks(rest);
    if (out.size() < 3 || out.size() % 2 == 0) return std::nullopt;
    return out;
}

// A value up to an unescaped separator, escaped in the one way; nullopt if malformed.
std::optional<std::string> take_value(std::string_view& rest) {
    skip_blanks(rest);
    if (!rest.empty() && rest.front() == '#') return take_dump(rest);
    std::string value;
    std::size_t kept = 0;  // up to here nothing is a blank that nobody escaped
    while (!rest.empty() && rest.front() != ',' && rest.front() != ';' && rest.front() != '+') {
        const char c = rest.front();
        rest.remove_prefix(1);
        if (c == '\\') {
            const auto literal = take_escaped(rest);
            if (!literal) return std::nullopt;
            value += *literal;
            kept = value.size();
            continue;
        }
        if (c == '"' || c == '<' || c == '>' || c == '\0') return std::nullopt;
        value += c;
        if (c != ' ') kept = value.size();
    }
    value.resize(kept);
    if (value.empty()) return std::nullopt;
    return escaped(value);
}

}  // namespace

std::string normalise_dn(std::string_view dn) {
    constexpr std::size_t dn_bytes_max = 4096;
    if (dn.empty() || dn.size() > dn_bytes_max) return {};
    std::string out;
    for (auto rest = dn;;) {
        const auto type = take_type(rest);
        if (type.empty()) return {};
        const auto value = take_value(rest);
        if (!value) return {};
        out += type;
        out += '=';
        out += *value;
        if (rest.empty()) return out;
        if (rest.front() != ',' && rest.front() != ';' && rest.front() != '+') return {};
        out += rest.front() == '+' ? '+' : ',';
        rest.remove_prefix(1);
    }
}

}  // namespace sallyport::proxy::auth
