#include "policy/redact.h"

#include <array>

#include "policy/sha256.h"
#include "policy/sql/lexer.h"

namespace sallyport::policy {
namespace {

using sql::lexer;
using sql::token;
using sql::token_kind;

std::string folded(std::string_view word) {
    std::string out{word};
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

bool is_literal(token_kind kind) noexcept {
    return kind == token_kind::integer || kind == token_kind::decimal ||
           kind == token_kind::string || kind == token_kind::bit_string;
}

/// Tells which words can only be a mistyped password: `ALTER ROLE alice PASSWORD hunter2`.
class password_watch {
  public:
    /// True if this token must not be shown.
    bool hides(const token& t, std::string_view text) {
        if (t.kind == token_kind::punctuation && text == ";") {
            words_ = 0;
            login_statement_ = armed_ = false;
            return false;
        }
        const bool named = t.kind == token_kind::word || t.kind == token_kind::quoted_identifier;
        const bool hide = armed_ && named && folded(text) != "null";
        armed_ = false;
        if (t.kind == token_kind::word && !hide) see(folded(text));
        return hide;
    }

  private:
    void see(const std::string& word) {
        if (words_ == 0) first_is_change_ = word == "create" || word == "alter";
        if (words_ == 1)
            login_statement_ =
                first_is_change_ && (word == "role" || word == "user" || word == "group" ||
                                     word == "server" || word == "subscription");
        if (words_ < 2) ++words_;
        armed_ = login_statement_ && word == "password";
    }

    int words_ = 0;
    bool first_is_change_ = false;
    bool login_statement_ = false;
    bool armed_ = false;
};

void hash_token(sha256& h, token_kind kind, std::string_view text) {
    const std::size_t n = text.size();
    const std::array<char, 5> head{static_cast<char>('a' + static_cast<int>(kind)),
                                   static_cast<char>(n & 0xff), static_cast<char>((n >> 8) & 0xff),
                                   static_cast<char>((n >> 16) & 0xff),
                                   static_cast<char>((n >> 24) & 0xff)};
    h.update({head.data(), head.size()});
    h.update(text);
}

redacted_text unparsable(std::size_t bytes) {
    return {"<unparsable, " + std::to_string(bytes) + " bytes>", ""};
}

}  // namespace

redacted_text redact_and_shape(std::string_view text, bool standard_conforming_strings) {
    if (text.find('\0') != std::string_view::npos || !sql::is_utf8(text))
        return unparsable(text.size());
    redacted_text out;
    out.text.reserve(text.size());
    sha256 shape;
    bool any = false;
    lexer lex{text};
    password_watch passwords;
    std::size_t copied = 0;
    for (;;) {
        const token t = lex.next();
        if (t.kind == token_kind::error) return unparsable(text.size());
        out.text.append(text, copied, t.begin - copied);
        copied = t.end;
        if (t.kind == token_kind::end) break;
        const std::string_view body = lex.text(t);
        if (t.kind == token_kind::comment) {
            out.text += ' ';
            continue;
        }
        any = true;
        const bool hidden = passwords.hides(t, body);
        if (hidden || is_literal(t.kind)) {
            out.text += '?';
            hash_token(shape, hidden ? token_kind::string : t.kind, "");
            continue;
        }
        out.text += body;
        if (t.kind == token_kind::word)
            hash_token(shape, t.kind, folded(body));
        else
            hash_token(shape, t.kind, body);
    }
    if (!standard_conforming_strings && lex.backslash_in_plain_string())
        return unparsable(text.size());
    if (any) out.shape = to_hex(shape.finish());
    return out;
}

std::string redact(std::string_view text, bool standard_conforming_strings) {
    return redact_and_shape(text, standard_conforming_strings).text;
}

std::string statement_shape(std::string_view text, bool standard_conforming_strings) {
    return redact_and_shape(text, standard_conforming_strings).shape;
}

}  // namespace sallyport::policy
