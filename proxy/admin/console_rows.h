#pragma once

#include <string>
#include <vector>

#include "proxy/admin/desk.h"
#include "proxy/console.h"

/// Values to rows of the console, in the order of columns_of(). Pure. Text of clients is made
/// visible: what psql prints cannot act on the terminal of whoever approves.
namespace sallyport::proxy::admin {

using console_row = std::vector<std::optional<std::string>>;

[[nodiscard]] console_row row_of(const policy::hold& h, const actor& reader);
/// Field and value, the whole statement last.
[[nodiscard]] std::vector<console_row> fields_of(const policy::hold& h, const actor& reader);
[[nodiscard]] console_row row_of(const policy::opt_out& o, const actor& reader,
                                 const policy::rule_set* rules);
[[nodiscard]] console_row row_of(const policy::review& r, const actor& reader,
                                 const policy::rule_set* rules, policy::instant now);
[[nodiscard]] console_row row_of(const policy::flag& f, policy::instant now);
[[nodiscard]] console_row row_of(const session_info& s);
[[nodiscard]] console_row row_of(const policy::rule& r, const rule_counts& uses,
                                 policy::instant now);
[[nodiscard]] console_row row_of(const statistics& s);
/// "only observes", or why and until when an exception stands; "": neither.
[[nodiscard]] std::string note_of(const policy::rule& r, policy::instant now);

/// An error of the console for a verdict that is not done or counted.
[[nodiscard]] console_result console_error(const approval::answer& refused);

}  // namespace sallyport::proxy::admin
