#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

/// What the log says of itself, read from the first line to the last and held against what the
/// callers were told.
namespace sallyport::model {

/// A bypass that somebody was told may go on.
struct told_bypass {
    std::uint64_t opt_out = 0;
    std::uint64_t sequence = 0;
};

/// Faults, each one sentence; empty: the log is as it should be. `told`: every receipt so far;
/// `released`: every hold that a waiter was told is approved.
[[nodiscard]] std::vector<std::string> faults_of_log(const std::string& directory,
                                                     const std::string& public_pem,
                                                     const std::vector<told_bypass>& told,
                                                     const std::set<std::uint64_t>& released);

}  // namespace sallyport::model
