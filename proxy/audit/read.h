#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "proxy/audit/chain.h"

/// Reading the log for people and for the API. Does not verify: that is verify.h.
namespace sallyport::proxy::audit {

/// What to look for; empty fields match everything, given ones must all hold.
struct query {
    std::string user;
    std::string target;
    std::string rule;
    std::string event;    ///< exact, or a prefix ending in '.': "hold." for all hold events
    std::string hold;     ///< number as text
    std::string opt_out;  ///< number as text
    std::string session;
    std::string text;                     ///< anywhere in a value, ASCII case ignored
    std::optional<policy::instant> from;  ///< inclusive
    std::optional<policy::instant> to;    ///< exclusive
    bool checkpoints = false;             ///< show checkpoint lines too
};

[[nodiscard]] bool matches(const query& q, const parsed_line& line);

/// Calls `f` for each match, oldest first, until it returns false. Streams: one line in memory.
/// Lines that cannot be parsed are skipped and counted. Safe while the log is being written.
/// Errors: std::runtime_error if the directory cannot be read. Returns the number of lines skipped.
std::uint64_t for_each_match(const std::string& directory, const query& q,
                             const std::function<bool(const parsed_line&)>& f);

/// The newest matches, newest first, at most `limit` (itself at most 10,000) and about 64 MiB in
/// all. Looks at the newest file first and stops when it has enough. `before`: only lines with a
/// smaller sequence number (for paging), 0 = from the end.
[[nodiscard]] std::vector<parsed_line> newest(const std::string& directory, const query& q,
                                              std::size_t limit, std::uint64_t before = 0);

/// The latest instant that records of the log name (its own lines aside), of the newest 64; none:
/// there are none. For a clock that was set back while nothing ran. Errors: as for_each_match().
[[nodiscard]] std::optional<policy::instant> newest_instant(const std::string& directory);

/// One line for a terminal: "2026-03-01T09:30:00.000Z  hold.opened  user=alice target=shop …".
[[nodiscard]] std::string format_entry(const parsed_line& line);

}  // namespace sallyport::proxy::audit
