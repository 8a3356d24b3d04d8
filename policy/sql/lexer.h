#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// PostgreSQL's lexical grammar, as borders only: what the complexity scan, the redaction and the
/// shape need, linear in time, without allocation and without the parser.
namespace sallyport::policy::sql {

enum class token_kind : std::uint8_t {
    word,               ///< unquoted identifier or keyword
    quoted_identifier,  ///< "…" and U&"…"
    integer,            ///< fits the grammar's ICONST (<= 2147483647)
    decimal,            ///< every other number
    string,             ///< '…', E'…', U&'…' and $tag$…$tag$, continuations included
    bit_string,         ///< B'…' and X'…'
    parameter,          ///< $1
    op,                 ///< operator
    punctuation,        ///< ( ) [ ] , ; . : :: := .. and any character that no rule takes
    comment,            ///< -- … and nested /* … */
    end,
    error,  ///< unterminated literal or comment, junk after a number: no later border can be
            ///< trusted
};

/// "word", "quoted identifier", "bit string" …
[[nodiscard]] const char* to_string(token_kind k) noexcept;

/// One token; offsets in bytes into the text.
struct token {
    token_kind kind = token_kind::end;
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// Splits a text into tokens, comments included, blanks left out.
/// Shape:  the text must outlive the lexer; NUL is an ordinary (unknown) character here.
/// Errors: after `error` or `end` every next() gives the same again.
/// Source: PostgreSQL 15 src/backend/parser/scan.l; checked against pg_query_scan by test and
/// fuzzer.
class lexer {
  public:
    /// `conform`: standard_conforming_strings; off, a backslash in a plain '…' string escapes.
    explicit lexer(std::string_view sql, bool conform = true) noexcept
        : sql_(sql), conform_(conform) {}

    [[nodiscard]] token next() noexcept;
    [[nodiscard]] std::string_view text(const token& t) const noexcept {
        return sql_.substr(t.begin, t.end - t.begin);
    }
    /// True once a backslash was seen inside a plain '…' string: the server reads such a
    /// text differently when standard_conforming_strings is off.
    [[nodiscard]] bool backslash_in_plain_string() const noexcept { return plain_backslash_; }

  private:
    enum class quoting : std::uint8_t { plain, escape, unicode, bits };

    [[nodiscard]] char at(std::size_t i) const noexcept { return i < sql_.size() ? sql_[i] : '\0'; }
    token finish(token_kind kind, std::size_t begin) noexcept;
    token fail(std::size_t begin) noexcept;
    token word(std::size_t begin) noexcept;
    token number(std::size_t begin) noexcept;
    token quoted_string(std::size_t begin, token_kind kind, quoting how) noexcept;
    token quoted_name(std::size_t begin) noexcept;
    token dollar(std::size_t begin) noexcept;
    token line_comment(std::size_t begin) noexcept;
    token block_comment(std::size_t begin) noexcept;
    token operator_or_self(std::size_t begin) noexcept;
    void measure_run(std::size_t begin) noexcept;
    bool string_body(quoting how) noexcept;
    [[nodiscard]] std::size_t continuation(std::size_t from) const noexcept;

    std::string_view sql_;
    bool conform_;
    std::size_t pos_ = 0;
    std::size_t run_end_ = 0;         // of the operator characters around pos_
    std::size_t run_lead_end_ = 0;    // before it, an operator may end in + or -
    std::size_t run_sign_begin_ = 0;  // from it to run_end_ there are only + and -
    bool plain_backslash_ = false;
    bool failed_ = false;
};

/// True if `bytes` is well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF).
[[nodiscard]] bool is_utf8(std::string_view bytes) noexcept;

/// True if a plain '…' string of the text has a backslash: it ends elsewhere when
/// standard_conforming_strings is off. Also of a text whose tokens cannot be told apart.
[[nodiscard]] bool has_plain_backslash(std::string_view sql) noexcept;

}  // namespace sallyport::policy::sql
