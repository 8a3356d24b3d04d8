#pragma once

#include <string>
#include <string_view>

#include "protocol/cursor.h"

/// The language of transcripts: one stable text line per message.
/// Shape:  no line end inside; non-printable bytes as \xHH, `"` and `\` escaped. Long texts are not
///         cut. Passwords, SASL data and cancel keys appear by their size only.
/// Errors: none: any bytes give a line. What does not decode gives
///         `Malformed "Q": message ends inside a field bytes=17`.
namespace sallyport::protocol {

/// One whole frame from a client: `Bind portal="" statement="s1" params=2`.
[[nodiscard]] std::string trace_frontend(bytes frame);

/// One whole frame from a server: `ErrorResponse ERROR 42501 "permission denied"`.
[[nodiscard]] std::string trace_backend(bytes frame);

/// One packet from before the tagged frames: `StartupMessage 3.0 user="alice" database="shop"`.
[[nodiscard]] std::string trace_startup(bytes packet);

/// `text` in double quotes, escaped as in every line above.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace sallyport::protocol
