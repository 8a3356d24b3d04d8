#include "policy/sql/identifier.h"

namespace sallyport::policy::sql {
namespace {

bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

void skip_blanks(std::string_view& text) noexcept {
    while (!text.empty() && is_blank(text.front()))
        text.remove_prefix(1);
}

std::optional<std::string> quoted_part(std::string_view& text) {
    std::string name;
    text.remove_prefix(1);
    while (!text.empty()) {
        const char c = text.front();
        text.remove_prefix(1);
        if (c != '"') {
            name += c;
            continue;
        }
        if (text.empty() || text.front() != '"') return name;
        name += '"';
        text.remove_prefix(1);
    }
    return std::nullopt;
}

std::string plain_part(std::string_view& text) {
    std::string name;
    while (!text.empty() && text.front() != '.' && !is_blank(text.front())) {
        const char c = text.front();
        name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        text.remove_prefix(1);
    }
    return name;
}

}  // namespace

std::string cut_identifier(std::string_view name) {
    if (name.size() <= identifier_bytes_max) return std::string{name};
    std::size_t n = identifier_bytes_max;
    while (n > 0 && (static_cast<unsigned char>(name[n]) & 0xc0u) == 0x80u)
        --n;
    return std::string{name.substr(0, n)};
}

std::optional<std::vector<std::string>> split_qualified_name(std::string_view text) {
    std::vector<std::string> parts;
    for (;;) {
        skip_blanks(text);
        if (text.empty()) return std::nullopt;
        const auto part = text.front() == '"' ? quoted_part(text) : plain_part(text);
        if (!part || part->empty()) return std::nullopt;
        parts.push_back(cut_identifier(*part));
        skip_blanks(text);
        if (text.empty()) return parts;
        if (text.front() != '.') return std::nullopt;
        text.remove_prefix(1);
    }
}

}  // namespace sallyport::policy::sql
