#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/catalog/rows.h"
#include "proxy/catalog/connection.h"

/// One database's catalog through one connection: whether it changed, and what it holds.
///
/// Every name is qualified and search_path is empty, so that nothing of the database's own runs or
/// is read in the place of PostgreSQL's. PostgreSQL 12 and later.
namespace sallyport::proxy::catalog {

struct read_limits {
    std::size_t bytes_max = 256u << 20;  ///< values read, of one snapshot
    std::size_t rows_max = 2'000'000;
    std::chrono::milliseconds look_timeout{5'000};
    std::chrono::milliseconds query_timeout{30'000};  ///< of each query of a read
    std::chrono::milliseconds total_timeout{120'000};
    /// How long a text that PostgreSQL writes out may wait for a lock.
    std::chrono::milliseconds lock_timeout{200};
    /// After the first text that could not be had: how long, and how often, the others are tried
    /// one by one.
    std::chrono::milliseconds failing_timeout{10'000};
    std::size_t failures_max = 100;
};

/// What transactions have ended, as text: the same text later means that nothing was written in
/// between, and so the catalog is what it was. Costs a round trip. Says too which server process
/// this is: after a restart nothing is the same.
struct look {
    std::string server;
    std::string transactions;
};
[[nodiscard]] look take_look(connection& c, const read_limits& limits);

struct reading {
    std::string fingerprint;
    std::chrono::steady_clock::duration fingerprint_took{};
    std::optional<policy::catalog::rows> rows;  ///< nullopt: the fingerprint is `known`
    std::chrono::steady_clock::time_point began{};
};
/// Reads the fingerprint, an order-independent hash of the versions of all rows that matter; and if
/// it is not `known`, the rows. What belongs to temporary schemas, TRUNCATE, ANALYZE, VACUUM and
/// REFRESH leave it as it is. `seed`: of the hash; a random number of this process, so that nobody
/// can aim at a collision. Errors: failure.
[[nodiscard]] reading read_if_changed(connection& c, std::uint64_t seed, std::string_view known,
                                      const read_limits& limits);

/// `{a,"b c",NULL}` as PostgreSQL writes an array of text; NULLs are left out.
[[nodiscard]] std::vector<std::string> parse_array(std::string_view text);

/// What stands inside WHEN (…) of a CREATE TRIGGER statement as pg_get_triggerdef writes it; ""
/// without one.
[[nodiscard]] std::string when_of(std::string_view definition);

}  // namespace sallyport::proxy::catalog
