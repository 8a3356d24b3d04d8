#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/types.h"

/// Small text helpers of the admin surfaces.
namespace sallyport::proxy::admin {

/// Units:  bytes; what a person types as a reason or a ticket.
inline constexpr std::size_t reason_bytes_max = 4096;
inline constexpr std::size_t ticket_bytes_max = 256;
inline constexpr std::size_t name_bytes_max = 256;

[[nodiscard]] bool valid_utf8(std::string_view text) noexcept;

/// "2026-11-21T21:38:10.123Z"; "" for the epoch itself, which stands for "never".
[[nodiscard]] std::string iso_time(policy::instant t);
/// "2026-11-21 21:38:10.123+00", as PostgreSQL writes a timestamptz; nullopt for the epoch.
[[nodiscard]] std::optional<std::string> sql_time(policy::instant t);
/// The form of iso_time(), fraction optional.
[[nodiscard]] std::optional<policy::instant> parse_iso_time(std::string_view text);

/// "30m", "4h" …; see policy::parse_duration.
[[nodiscard]] std::optional<policy::milliseconds> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(policy::milliseconds d);
[[nodiscard]] std::string nearest(std::string_view word, const std::vector<std::string>& known);

/// A number of decimal digits alone, 1 to 2^63-1.
[[nodiscard]] std::optional<std::uint64_t> parse_id(std::string_view text) noexcept;

/// "" when `text` may be stored as `what`, else one sentence. Refuses invalid UTF-8, NUL and other
/// control characters (newline and tab may be), and more than `bytes_max` bytes.
[[nodiscard]] std::string check_text(std::string_view what, std::string_view text,
                                     std::size_t bytes_max);
/// True for text of spaces alone, which is no reason.
[[nodiscard]] bool blank(std::string_view text) noexcept;

[[nodiscard]] std::string lower(std::string_view text);
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace sallyport::proxy::admin
