#pragma once

#include <cstdint>
#include <string>

#include "policy/hold.h"
#include "policy/opt_out.h"
#include "policy/review.h"
#include "proxy/store/connection.h"

/// Between rows and values. Internal to this folder.
namespace sallyport::proxy::store {

/// "SELECT … FROM holds" with the columns that read_hold wants; a condition is appended.
extern const char* const hold_select;
extern const char* const opt_out_select;
extern const char* const pass_select;
extern const char* const review_select;
extern const char* const flag_select;

[[nodiscard]] policy::hold read_hold(const statement& row);        ///< without votes
[[nodiscard]] policy::opt_out read_opt_out(const statement& row);  ///< without votes
[[nodiscard]] policy::pass read_pass(const statement& row);
[[nodiscard]] policy::review read_review(const statement& row);
[[nodiscard]] policy::flag read_flag(const statement& row);
/// person, approve, reason, at, surface.
[[nodiscard]] policy::vote read_vote(const statement& row);

/// JSON of the hold's fields that have no column of their own.
[[nodiscard]] std::string hold_details(const policy::hold& h);
[[nodiscard]] std::string opt_out_details(const policy::opt_out& o);

[[nodiscard]] inline std::int64_t to_column(policy::instant t) {
    return t.time_since_epoch().count();
}
[[nodiscard]] inline policy::instant to_instant(std::int64_t ms) {
    return policy::instant(policy::milliseconds(ms));
}
/// 64-bit ids keep their bits: SQLite's integers are signed.
[[nodiscard]] inline std::int64_t to_column(std::uint64_t id) {
    return static_cast<std::int64_t>(id);
}
[[nodiscard]] inline std::uint64_t to_number(std::int64_t column) {
    return static_cast<std::uint64_t>(column);
}

}  // namespace sallyport::proxy::store
