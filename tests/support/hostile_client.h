#pragma once

#include <cstdint>
#include <map>
#include <string_view>

#include "tests/support/wire_client.h"

/// Ways of a client that no driver has: slow, greedy, many at once.
namespace sallyport::tests::hostile {

/// Writes `bytes` in pieces of `piece`, each a segment of its own.
void drip(wire_client& c, std::string_view bytes, std::size_t piece = 1);

/// Startup and SCRAM with every byte a write of its own, up to ReadyForQuery. Errors: throws
/// login_refused.
void login_dripping(wire_client& c, const login_options& o);

/// What came back while something was written.
struct traffic {
    std::uint64_t bytes = 0;                ///< read
    std::uint64_t written = 0;              ///< of what was to be written
    std::map<char, std::uint64_t> types{};  ///< how many messages of each type
    bool closed = false;                    ///< by the peer
    [[nodiscard]] std::uint64_t of(char type) const {
        const auto at = types.find(type);
        return at == types.end() ? 0 : at->second;
    }
};

/// Writes and reads at the same time, as a client with a thread for each would, until all is
/// written and `ready` ReadyForQuery came, or the peer closed. Without TLS only. Errors: throws
/// wire_timeout when nothing moves.
[[nodiscard]] traffic pump(wire_client& c, std::string_view bytes, std::uint64_t ready,
                           milliseconds deadline = patience);

/// Writes `unit` again and again, reading nothing, until the peer takes no more for `quiet` or
/// `bytes_max` are written; how many bytes it took. Without TLS only.
[[nodiscard]] std::uint64_t stuff(wire_client& c, std::string_view unit, std::uint64_t bytes_max,
                                  milliseconds quiet);

/// Resident memory of a process: now, and the most since forget_peak(). KiB.
[[nodiscard]] long resident_kib(int pid);
[[nodiscard]] long resident_peak_kib(int pid);
void forget_peak(int pid);

}  // namespace sallyport::tests::hostile
