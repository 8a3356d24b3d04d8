#pragma once

#include <string>
#include <string_view>

/// The cache key of a statement: its text with plain literals taken out, made in one pass without a
/// parse.
namespace sallyport::policy::sql {

/// Writes the template of `sql` into `out` (cleared first; reuse it to avoid allocation): the bytes
/// of the text with each plain integer, decimal and '…' literal replaced by a placeholder byte of
/// its kind (0x01, 0x02, 0x03). Returns false, with `out` = the text itself, when the text has
/// anything outside a small, certain subset of the lexical grammar: comments, dollar quotes,
/// backslashes, E'' U&'' B'' X'' N'' strings, bytes above 0x7e or below 0x20 other than blank, tab,
/// CR and LF, a digit run glued to a letter, …. Then only the exact text is a key. INVARIANT: two
/// texts with the same template that return true have the same token sequence for PostgreSQL's
/// lexer (standard_conforming_strings on), up to the values of those literals.
bool make_template(std::string_view sql, std::string& out);

}  // namespace sallyport::policy::sql
