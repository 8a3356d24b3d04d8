#pragma once

#include <string>
#include <string_view>

#include "policy/facts.h"

/// SQL text → facts, through libpg_query.
namespace sallyport::policy::sql {

struct analyse_options {
    std::size_t bytes_max = 4u << 20;  ///< longer text is opaque without being parsed
    bool standard_conforming_strings =
        true;  ///< false: known to be off, a backslash in a plain '…' escapes
};

/// Total: any bytes give facts; what cannot be analysed is opaque with its reason (parse error with
/// the parser's words, too long, too complex, NUL inside, invalid UTF-8 …). Stack: recursion is
/// bounded by a token scan; needs a thread with at least inline_stack_bytes for texts up to
/// inline_bytes, big_stack_bytes for anything up to bytes_max. Callers choose the thread.
/// Concurrency: reentrant on distinct threads (libpg_query keeps its state per thread).
[[nodiscard]] facts_ptr analyse(std::string_view sql, const analyse_options& options);

inline constexpr std::size_t inline_bytes = 8u << 10;
inline constexpr std::size_t inline_stack_bytes = 16u << 20;
inline constexpr std::size_t big_stack_bytes = 1u << 30;

/// True if analyse() may run for this text on an ordinary worker thread.
[[nodiscard]] inline bool fits_inline(std::string_view sql) noexcept {
    return sql.size() <= inline_bytes;
}

}  // namespace sallyport::policy::sql
