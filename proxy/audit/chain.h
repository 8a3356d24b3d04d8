#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/audit/record.h"

/// The format of the audit log, version 1. Pure: text in, text out; no files, no clock.
///
/// Files     `audit-000001.jsonl`, `audit-000002.jsonl` … in one directory, numbered without gaps.
/// A
///           new one is begun when the newest is full. `audit.head` beside them is a copy of the
///           newest checkpoint line; `*.torn` keeps what a crash left of a last line.
/// Line      one JSON object, UTF-8, ended by one '\n', no spaces, fields in this order:
///             seq    number, 1 for the first line of the log, then one more for each line
///             prev   hex SHA-256 of the line before (see hash_line), genesis_hash for the first
///             time   RFC 3339, UTC, milliseconds: "2026-03-01T09:30:00.000Z"
///             event  see record.h
///           then the record's own fields, in its order, all of them strings.
/// Strings   bytes that are not UTF-8 became U+FFFD; control characters (C0, DEL, C1), line
///           separators and direction overrides are \u-escaped, so a log is safe to print.
/// Checkpoint event "checkpoint", part of the chain, first line of each file and now and then
/// between:
///             head_seq, head   sequence and hash of the line before: what the signature is about
///             key              hex SHA-256 of the raw public key, first 16 digits
///             signature        base64 Ed25519 over checkpoint_message()
/// Bounds    record_bytes_max of names and values in one record; what does not fit is cut and the
/// field
///           NAME_bytes beside it has the size it had. line_bytes_max for one line.
namespace sallyport::proxy::audit {

/// `prev` of the first line of a log.
inline constexpr std::string_view genesis_hash =
    "0000000000000000000000000000000000000000000000000000000000000000";
inline constexpr std::string_view checkpoint_event = "checkpoint";
inline constexpr std::size_t record_bytes_max = 2u << 20;
inline constexpr std::size_t record_fields_max = 256;
inline constexpr std::size_t line_bytes_max = 16u << 20;  ///< without the newline

/// Appends the line of `r` to `out`, without a newline. `prev` is 64 hex digits.
void encode_line(std::string& out, const record& r, std::uint64_t sequence, std::string_view prev);

/// Hex SHA-256 over "sallyport audit line 1\n" and the line's bytes without its newline.
[[nodiscard]] std::string hash_line(std::string_view line);

/// A line taken apart.
struct parsed_line {
    std::uint64_t sequence = 0;
    std::string prev;
    std::string time;
    std::string event;
    std::vector<std::pair<std::string, std::string>> fields;  ///< in the order of the line

    /// The field's value, "" if there is none.
    [[nodiscard]] std::string_view field(std::string_view name) const noexcept;
};

/// Takes a line (without newline) apart; nullopt if it is not of this format. Never throws on any
/// input.
[[nodiscard]] std::optional<parsed_line> parse_line(std::string_view line);

/// The bytes that a checkpoint's signature covers: "sallyport audit checkpoint
/// 1\nSEQ\nHASH\nTIME\n".
[[nodiscard]] std::string checkpoint_message(std::uint64_t head_sequence,
                                             std::string_view head_hash, std::string_view time);

/// RFC 3339 in UTC with milliseconds, years 1970 to 9999.
[[nodiscard]] std::string format_time(policy::instant t);
/// Inverse of format_time; nullopt for anything else.
[[nodiscard]] std::optional<policy::instant> parse_time(std::string_view text);

}  // namespace sallyport::proxy::audit
