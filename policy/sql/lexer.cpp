#include "policy/sql/lexer.h"

#include <array>

namespace sallyport::policy::sql {
namespace {

enum char_class : std::uint8_t {
    blank = 1,
    ident_start = 2,
    digit = 4,
    op_char = 8,
    op_lead = 16,  // characters that let an operator end in + or -
};

constexpr std::array<std::uint8_t, 256> make_classes() {
    std::array<std::uint8_t, 256> t{};
    const auto set = [&t](std::string_view chars, std::uint8_t bits) {
        for (const char c : chars) {
            auto& entry = t[static_cast<unsigned char>(c)];
            entry = static_cast<std::uint8_t>(entry | bits);
        }
    };
    set(" \t\n\r\f", blank);
    set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_", ident_start);
    for (std::size_t i = 0x80; i < 0x100; ++i)
        t[i] = ident_start;
    set("0123456789", digit);
    set("~!@#^&|`?+-*/%<>=", op_char);
    set("~!@#^&|`?%", op_lead);
    return t;
}
constexpr auto classes = make_classes();

constexpr bool is(char c, unsigned bits) noexcept {
    return (classes[static_cast<unsigned char>(c)] & bits) != 0;
}
constexpr bool continues_word(char c) noexcept {
    return is(c, ident_start | digit) || c == '$';
}
constexpr bool is_newline(char c) noexcept {
    return c == '\n' || c == '\r';
}

}  // namespace

token lexer::finish(token_kind kind, std::size_t begin) noexcept {
    return {kind, begin, pos_};
}

token lexer::fail(std::size_t begin) noexcept {
    failed_ = true;
    pos_ = sql_.size();
    return {token_kind::error, begin, pos_};
}

token lexer::next() noexcept {
    if (failed_) return {token_kind::error, sql_.size(), sql_.size()};
    while (pos_ < sql_.size() && is(sql_[pos_], blank))
        ++pos_;
    if (pos_ >= sql_.size()) return {token_kind::end, pos_, pos_};
    const std::size_t begin = pos_;
    const char c = sql_[pos_];
    if (is(c, ident_start)) return word(begin);
    if (is(c, digit) || (c == '.' && is(at(pos_ + 1), digit))) return number(begin);
    switch (c) {
        case '\'':
            return quoted_string(begin, token_kind::string,
                                 conform_ ? quoting::plain : quoting::escape);
        case '"':
            return quoted_name(begin);
        case '$':
            return dollar(begin);
        case '-':
            if (at(pos_ + 1) == '-') return line_comment(begin);
            break;
        case '/':
            if (at(pos_ + 1) == '*') return block_comment(begin);
            break;
        default:
            break;
    }
    return operator_or_self(begin);
}

token lexer::word(std::size_t begin) noexcept {
    const char c = sql_[pos_];
    const char next = at(pos_ + 1);
    if (next == '\'') {
        ++pos_;
        switch (c) {
            case 'e':
            case 'E':
                return quoted_string(begin, token_kind::string, quoting::escape);
            case 'n':
            case 'N':
                return finish(token_kind::word, begin);  // NCHAR, then a plain string
            case 'b':
            case 'B':
            case 'x':
            case 'X':
                return quoted_string(begin, token_kind::bit_string, quoting::bits);
            default:
                --pos_;
        }
    }
    if ((c == 'u' || c == 'U') && next == '&') {
        if (at(pos_ + 2) == '\'') {
            pos_ += 2;
            return quoted_string(begin, token_kind::string, quoting::unicode);
        }
        if (at(pos_ + 2) == '"') {
            pos_ += 2;
            return quoted_name(begin);
        }
    }
    while (pos_ < sql_.size() && continues_word(sql_[pos_]))
        ++pos_;
    return finish(token_kind::word, begin);
}

token lexer::number(std::size_t begin) noexcept {
    std::uint64_t value = 0;
    bool fraction = false;
    while (is(at(pos_), digit)) {
        if (value <= 0xffffffffu) value = value * 10 + static_cast<unsigned>(sql_[pos_] - '0');
        ++pos_;
    }
    // "1..2" is an integer, a range mark and an integer.
    if (at(pos_) == '.' && !(at(pos_ + 1) == '.' && pos_ > begin)) {
        fraction = true;
        ++pos_;
        while (is(at(pos_), digit))
            ++pos_;
    }
    if (at(pos_) == 'e' || at(pos_) == 'E') {
        const std::size_t sign = at(pos_ + 1) == '+' || at(pos_ + 1) == '-' ? 1 : 0;
        if (!is(at(pos_ + 1 + sign), digit)) return fail(begin);
        fraction = true;
        pos_ += 1 + sign;
        while (is(at(pos_), digit))
            ++pos_;
    }
    if (is(at(pos_), ident_start)) return fail(begin);
    return finish(fraction || value > 0x7fffffffu ? token_kind::decimal : token_kind::integer,
                  begin);
}

/// Consumes from after an opening quote to after its closing quote; false at the end of the text.
bool lexer::string_body(quoting how) noexcept {
    while (pos_ < sql_.size()) {
        const char c = sql_[pos_++];
        if (c == '\\') {
            if (how == quoting::plain) plain_backslash_ = true;
            if (how == quoting::escape) {
                if (pos_ >= sql_.size()) return false;
                ++pos_;
            }
        } else if (c == '\'') {
            // B'…' and X'…' know no doubled quote: another string begins there.
            if (at(pos_) != '\'' || how == quoting::bits) return true;
            ++pos_;
        }
    }
    return false;
}

/// The offset after the opening quote of a continuation ('a' newline 'b'), or 0 when there is none.
std::size_t lexer::continuation(std::size_t from) const noexcept {
    bool newline = false;
    std::size_t i = from;
    while (i < sql_.size()) {
        if (is(sql_[i], blank)) {
            newline = newline || is_newline(sql_[i]);
            ++i;
        } else if (sql_[i] == '-' && at(i + 1) == '-') {
            while (i < sql_.size() && !is_newline(sql_[i]))
                ++i;
            if (newline && i >= sql_.size()) return 0;
        } else {
            break;
        }
    }
    return newline && at(i) == '\'' ? i + 1 : 0;
}

token lexer::quoted_string(std::size_t begin, token_kind kind, quoting how) noexcept {
    ++pos_;
    for (;;) {
        if (!string_body(how)) return fail(begin);
        const std::size_t more = continuation(pos_);
        if (more == 0) return finish(kind, begin);
        pos_ = more;
    }
}

token lexer::quoted_name(std::size_t begin) noexcept {
    ++pos_;
    while (pos_ < sql_.size()) {
        if (sql_[pos_++] != '"') continue;
        if (at(pos_) != '"') return finish(token_kind::quoted_identifier, begin);
        ++pos_;
    }
    return fail(begin);
}

token lexer::dollar(std::size_t begin) noexcept {
    ++pos_;
    if (is(at(pos_), digit)) {
        while (is(at(pos_), digit))
            ++pos_;
        if (is(at(pos_), ident_start)) return fail(begin);
        return finish(token_kind::parameter, begin);
    }
    std::size_t i = pos_;
    if (is(at(i), ident_start))
        while (is(at(i), ident_start | digit))
            ++i;
    if (at(i) != '$') return finish(token_kind::punctuation, begin);
    const std::string_view tag = sql_.substr(begin, i + 1 - begin);
    const std::size_t close = sql_.find(tag, i + 1);
    if (close == std::string_view::npos) return fail(begin);
    pos_ = close + tag.size();
    return finish(token_kind::string, begin);
}

token lexer::line_comment(std::size_t begin) noexcept {
    while (pos_ < sql_.size() && !is_newline(sql_[pos_]))
        ++pos_;
    return finish(token_kind::comment, begin);
}

token lexer::block_comment(std::size_t begin) noexcept {
    std::size_t depth = 0;
    while (pos_ < sql_.size()) {
        if (sql_[pos_] == '/' && at(pos_ + 1) == '*') {
            ++depth;
            pos_ += 2;
        } else if (sql_[pos_] == '*' && at(pos_ + 1) == '/') {
            pos_ += 2;
            if (--depth == 0) return finish(token_kind::comment, begin);
        } else {
            ++pos_;
        }
    }
    return fail(begin);
}

/// Measures the run of operator characters from `begin` once, however many operators it holds.
void lexer::measure_run(std::size_t begin) noexcept {
    run_lead_end_ = run_sign_begin_ = begin;
    std::size_t i = begin;
    for (; is(at(i), op_char); ++i) {
        const bool comment =
            (sql_[i] == '/' && at(i + 1) == '*') || (sql_[i] == '-' && at(i + 1) == '-');
        if (comment && i > begin) break;
        if (is(sql_[i], op_lead)) run_lead_end_ = i + 1;
        if (sql_[i] != '+' && sql_[i] != '-') run_sign_begin_ = i + 1;
    }
    run_end_ = i;
}

token lexer::operator_or_self(std::size_t begin) noexcept {
    const char c = sql_[pos_];
    if (!is(c, op_char)) {
        const char next = at(pos_ + 1);
        const bool pair = (c == ':' && (next == ':' || next == '=')) || (c == '.' && next == '.');
        pos_ += pair ? 2 : 1;
        return finish(token_kind::punctuation, begin);
    }
    if (begin >= run_end_) measure_run(begin);
    if (begin < run_lead_end_)
        pos_ = run_end_;
    else
        pos_ = run_sign_begin_ > begin ? run_sign_begin_ : begin + 1;
    return finish(token_kind::op, begin);
}

bool is_utf8(std::string_view bytes) noexcept {
    const auto byte = [&bytes](std::size_t i) -> unsigned {
        return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0u;
    };
    const auto trail = [&byte](std::size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
    for (std::size_t i = 0; i < bytes.size();) {
        const unsigned b = byte(i);
        if (b < 0x80) {
            ++i;
        } else if (b >= 0xc2 && b <= 0xdf && trail(i + 1)) {
            i += 2;
        } else if (b >= 0xe0 && b <= 0xef && trail(i + 1) && trail(i + 2)) {
            const unsigned second = byte(i + 1);
            if ((b == 0xe0 && second < 0xa0) || (b == 0xed && second > 0x9f)) return false;
            i += 3;
        } else if (b >= 0xf0 && b <= 0xf4 && trail(i + 1) && trail(i + 2) && trail(i + 3)) {
            const unsigned second = byte(i + 1);
            if ((b == 0xf0 && second < 0x90) || (b == 0xf4 && second > 0x8f)) return false;
            i += 4;
        } else {
            return false;
        }
    }
    return true;
}

const char* to_string(token_kind k) noexcept {
    switch (k) {
        case token_kind::word:
            return "word";
        case token_kind::quoted_identifier:
            return "quoted identifier";
        case token_kind::integer:
            return "integer";
        case token_kind::decimal:
            return "decimal";
        case token_kind::string:
            return "string";
        case token_kind::bit_string:
            return "bit string";
        case token_kind::parameter:
            return "parameter";
        case token_kind::op:
            return "operator";
        case token_kind::punctuation:
            return "punctuation";
        case token_kind::comment:
            return "comment";
        case token_kind::end:
            return "end";
        case token_kind::error:
            return "error";
    }
    return "error";
}

bool has_plain_backslash(std::string_view sql) noexcept {
    if (sql.find('\\') == std::string_view::npos) return false;
    lexer lex{sql};
    for (;;) {
        const token t = lex.next();
        if (t.kind == token_kind::error) return true;
        if (t.kind == token_kind::end) return lex.backslash_in_plain_string();
    }
}

}  // namespace sallyport::policy::sql
