#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/redact.h"
#include "policy/sql/lexer.h"
#include "policy/sql/template.h"
#include "tests/fuzz/check.h"

namespace {

/// Another text of the same template: each mark gets a literal that hides something from a bad
/// lexer.
std::string other_text(std::string_view made) {
    std::string out;
    for (const char c : made) {
        if (c == '\x01')
            out += "7";
        else if (c == '\x02')
            out += "99999999999";
        else if (c == '\x03')
            out += "'-- '' /* \" ; $$'";
        else
            out += c;
    }
    return out;
}

/// Token kinds, and texts of what is no literal.
std::string tokens_of(std::string_view sql) {
    using namespace sallyport::policy::sql;
    lexer lex{sql};
    std::string out;
    for (;;) {
        const token t = lex.next();
        out += static_cast<char>('a' + static_cast<int>(t.kind));
        if (t.kind == token_kind::end || t.kind == token_kind::error) return out;
        if (t.kind != token_kind::string && t.kind != token_kind::integer &&
            t.kind != token_kind::decimal)
            out += lex.text(t);
        out += '\n';
    }
}

}  // namespace

/// Texts of one template have one token sequence.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sallyport::policy::sql;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    std::string made, again;
    if (!make_template(text, made)) {
        sallyport::fuzz::require(made == text, "texts of one template have one token sequence");
        return 0;
    }
    const std::string other = other_text(made);
    if (!make_template(other, again) || again != made) return 0;
    sallyport::fuzz::require(tokens_of(text) == tokens_of(other),
                             "texts of one template have one token sequence");
    sallyport::fuzz::require(
        sallyport::policy::statement_shape(text) == sallyport::policy::statement_shape(other),
        "texts of one template have one token sequence");
    return 0;
}
