#pragma once

#include <string>
#include <string_view>

/// SQL text without its secrets: for logs, audit records and the name of a statement's shape.
namespace sallyport::policy {

/// What a log may show of an SQL text, and the name of its shape.
struct redacted_text {
    std::string text;   ///< see redact()
    std::string shape;  ///< see statement_shape()
};

/// The text with every literal (number, string of any kind, dollar-quoted body, bit string)
/// replaced by
/// `?` and every comment by one blank; otherwise whole. Total: any bytes give valid UTF-8.
/// A text that has no token borders to trust (NUL, invalid UTF-8, an unterminated literal, a lone
/// surrogate …) gives `<unparsable, N bytes>` and nothing of its content.
/// `standard_conforming_strings`: how the server reads '…'; if false, a text with a backslash
/// inside a plain string is unparsable.
[[nodiscard]] std::string redact(std::string_view sql, bool standard_conforming_strings = true);

/// Hex SHA-256 of the token sequence with literals replaced by their kind; comments, blanks and the
/// case of unquoted words do not count. "" when the text is unparsable or has no token.
[[nodiscard]] std::string statement_shape(std::string_view sql,
                                          bool standard_conforming_strings = true);

/// Both in one pass.
[[nodiscard]] redacted_text redact_and_shape(std::string_view sql,
                                             bool standard_conforming_strings = true);

}  // namespace sallyport::policy
