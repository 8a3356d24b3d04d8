#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "policy/redact.h"
#include "policy/sql/lexer.h"
#include "tests/fuzz/check.h"

/// Any bytes give valid UTF-8, no text longer than what went in beside the marker, and no literal:
/// a second redaction finds no string left.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace sallyport::policy;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const redacted_text out = redact_and_shape(text);
    sallyport::fuzz::require(sql::is_utf8(out.text), "redacted text is UTF-8 without literals");
    if (out.text.starts_with("<unparsable, ")) return 0;
    sallyport::fuzz::require(out.text.size() <= text.size(),
                             "redacted text is UTF-8 without literals");
    sql::lexer lex{out.text};
    for (;;) {
        const sql::token t = lex.next();
        if (t.kind == sql::token_kind::end || t.kind == sql::token_kind::error) break;
        sallyport::fuzz::require(
            t.kind != sql::token_kind::string && t.kind != sql::token_kind::bit_string,
            "redacted text is UTF-8 without literals");
        sallyport::fuzz::require(t.kind != sql::token_kind::comment,
                                 "redacted text is UTF-8 without literals");
    }
    return 0;
}
