#include "proxy/telemetry/trace_context.h"

#include <algorithm>
#include <random>

#include "policy/sql/lexer.h"

namespace sallyport::proxy::telemetry {

namespace {

constexpr std::string_view parent_key = "traceparent";
constexpr std::string_view state_key = "tracestate";
constexpr std::size_t read_bytes_max = 64u << 10;  // of a text; of a longer one its last comment
constexpr std::size_t comment_bytes_max = 4u << 10;
constexpr std::size_t state_bytes_max = 512;
constexpr std::size_t state_members_max = 32;

int digit(char c) noexcept {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

/// Lower case only, as W3C asks; all zero is invalid.
template <std::size_t n>
bool read_id(std::string_view text, std::array<std::uint8_t, n>& out) noexcept {
    if (text.size() != 2 * n) return false;
    bool any = false;
    for (std::size_t i = 0; i < n; ++i) {
        const int high = digit(text[2 * i]);
        const int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = static_cast<std::uint8_t>(high << 4 | low);
        any = any || out[i] != 0;
    }
    return any;
}

template <std::size_t n>
std::string hex(const std::array<std::uint8_t, n>& id) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(2 * n);
    for (const auto b : id) {
        out.push_back(digits[b >> 4]);
        out.push_back(digits[b & 15]);
    }
    return out;
}

bool is_key_char(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '*' ||
           c == '/' || c == '@';
}

bool valid_member(std::string_view member) noexcept {
    const auto equals = member.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals > 256) return false;
    const auto key = member.substr(0, equals);
    const auto value = member.substr(equals + 1);
    const bool begins = (key[0] >= 'a' && key[0] <= 'z') || (key[0] >= '0' && key[0] <= '9');
    if (!begins || !std::all_of(key.begin(), key.end(), is_key_char)) return false;
    if (std::count(key.begin(), key.end(), '@') > 1) return false;
    return !value.empty() && value.size() <= 256 && value.back() != ' ' &&
           std::all_of(value.begin(), value.end(),
                       [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

int any_case_digit(char c) noexcept {
    return digit(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
}

/// The value behind `key=` in a comment, quoted with ' and URL-encoded; nothing if there is none
/// that is whole.
std::optional<std::string> value_of(std::string_view comment, std::string_view key) {
    for (std::size_t at = comment.rfind(key); at != std::string_view::npos;
         at = at == 0 ? std::string_view::npos : comment.rfind(key, at - 1)) {
        const char before = at == 0 ? ' ' : comment[at - 1];
        if (before != ' ' && before != ',' && before != '*' && before != '\t' && before != '\n')
            continue;
        auto rest = comment.substr(at + key.size());
        if (!rest.starts_with("='")) continue;
        rest.remove_prefix(2);
        const auto end = rest.find('\'');
        if (end == std::string_view::npos) continue;
        std::string out;
        bool whole = true;
        for (std::size_t i = 0; i < end && whole; ++i) {
            if (rest[i] != '%') {
                out.push_back(rest[i]);
                continue;
            }
            const int high = i + 2 < end ? any_case_digit(rest[i + 1]) : -1;
            const int low = i + 2 < end ? any_case_digit(rest[i + 2]) : -1;
            whole = high >= 0 && low >= 0;
            if (whole) out.push_back(static_cast<char>(high << 4 | low));
            i += 2;
        }
        if (whole) return out;
    }
    return {};
}

std::optional<trace_context> context_in(std::string_view comment) {
    if (comment.size() > comment_bytes_max) return {};
    const auto parent = value_of(comment, parent_key);
    if (!parent) return {};
    auto found = parse_traceparent(*parent);
    if (!found) return {};
    if (auto state = value_of(comment, state_key); state && valid_tracestate(*state))
        found->state = std::move(*state);
    return found;
}

/// The comment that a long text ends with; "" = none.
std::string_view last_comment(std::string_view sql) noexcept {
    while (!sql.empty() && (sql.back() == ' ' || sql.back() == '\n' || sql.back() == '\r' ||
                            sql.back() == '\t' || sql.back() == ';'))
        sql.remove_suffix(1);
    if (!sql.ends_with("*/")) return {};
    const auto tail = sql.substr(sql.size() - std::min(sql.size(), comment_bytes_max));
    const auto begin = tail.rfind("/*");
    return begin == std::string_view::npos ? std::string_view() : tail.substr(begin);
}

std::mt19937_64& generator() {
    thread_local std::mt19937_64 made = [] {
        std::random_device source;
        std::seed_seq seed{source(), source(), source(), source(), source(), source()};
        return std::mt19937_64(seed);
    }();
    return made;
}

template <std::size_t n>
void draw(std::array<std::uint8_t, n>& out) {
    do {
        for (std::size_t i = 0; i < n; i += 8) {
            auto bits = generator()();
            for (std::size_t k = 0; k < 8; ++k, bits >>= 8)
                out[i + k] = static_cast<std::uint8_t>(bits);
        }
    } while (out == std::array<std::uint8_t, n>{});
}

}  // namespace

std::string to_hex(const trace_id& id) {
    return hex(id);
}

std::string to_hex(const span_id& id) {
    return hex(id);
}

std::optional<trace_context> parse_traceparent(std::string_view text) {
    constexpr std::size_t whole = 55;
    if (text.size() < whole || text[2] != '-' || text[35] != '-' || text[52] != '-') return {};
    const int version_high = digit(text[0]);
    const int version_low = digit(text[1]);
    if (version_high < 0 || version_low < 0) return {};
    const int version = version_high << 4 | version_low;
    if (version == 0xff) return {};
    // A later version may be longer, behind a further dash.
    if (version == 0 ? text.size() != whole : (text.size() > whole && text[whole] != '-'))
        return {};
    const int flags_high = digit(text[53]);
    const int flags_low = digit(text[54]);
    if (flags_high < 0 || flags_low < 0) return {};
    trace_context out;
    if (!read_id(text.substr(3, 32), out.trace)) return {};
    if (!read_id(text.substr(36, 16), out.parent)) return {};
    out.sampled = (flags_low & 1) != 0;
    return out;
}

bool valid_tracestate(std::string_view text) {
    if (text.empty() || text.size() > state_bytes_max) return false;
    std::size_t members = 0;
    for (std::size_t at = 0; at <= text.size();) {
        const auto comma = std::min(text.find(',', at), text.size());
        auto member = text.substr(at, comma - at);
        while (!member.empty() && (member.front() == ' ' || member.front() == '\t'))
            member.remove_prefix(1);
        while (!member.empty() && (member.back() == ' ' || member.back() == '\t'))
            member.remove_suffix(1);
        if (!member.empty() && (!valid_member(member) || ++members > state_members_max))
            return false;
        at = comma + 1;
    }
    return members > 0;
}

std::optional<trace_context> find_trace_context(std::string_view sql, bool conform) {
    if (sql.size() > read_bytes_max) return context_in(last_comment(sql));
    if (sql.find(parent_key) == std::string_view::npos) return {};
    // Only now is it worth knowing what is a comment, and what a literal that looks like one.
    std::optional<trace_context> found;
    policy::sql::lexer tokens(sql, conform);
    for (;;) {
        const auto t = tokens.next();
        if (t.kind == policy::sql::token_kind::end || t.kind == policy::sql::token_kind::error)
            return found;
        if (t.kind != policy::sql::token_kind::comment) continue;
        if (auto here = context_in(tokens.text(t))) found = std::move(here);
    }
}

span_ids make_span_ids(const std::optional<trace_context>& parent) {
    span_ids ids;
    if (parent) {
        ids.trace = parent->trace;
        ids.parent = parent->parent;
        ids.sampled = parent->sampled;
        ids.state = parent->state;
    } else {
        draw(ids.trace);
    }
    draw(ids.span);
    return ids;
}

span_id make_span_id() {
    span_id id{};
    draw(id);
    return id;
}

bool falls_into(const trace_id& id, double ratio) noexcept {
    if (ratio >= 1) return true;
    if (!(ratio > 0)) return false;
    std::uint64_t low = 0;  // the 56 bits that W3C asks to be random
    for (std::size_t i = 9; i < id.size(); ++i)
        low = low << 8 | id[i];
    return static_cast<double>(low) < ratio * static_cast<double>(std::uint64_t{1} << 56);
}

}  // namespace sallyport::proxy::telemetry
