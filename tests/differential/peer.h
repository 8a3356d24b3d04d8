#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/differential/sequence.h"
#include "tests/support/wire_client.h"

/// One side of the comparison: a session with a database, direct or through the proxy.
namespace sallyport::tests::differential {

struct replies {
    std::vector<message> messages;
    /// What was there at each pause, in order, and what the other side may wait for: messages, or
    /// ReadyForQuery alone if a refusal may take the place of what comes before it.
    std::vector<std::size_t> at_pause;
    bool closed = false;     ///< the peer closed the connection
    bool timed_out = false;  ///< something that the other side got did not come
};

/// Owner: one worker. Reconnects when it must.
class peer {
  public:
    peer(std::uint16_t port, login_options login) : port_(port), login_(std::move(login)) {}

    void reconnect();
    [[nodiscard]] bool connected() const noexcept { return client_.has_value(); }
    void close() { client_.reset(); }
    /// Of the newest login.
    [[nodiscard]] std::uint32_t backend_pid() const { return client_->backend_pid(); }
    /// ParameterStatus messages of the newest login, in order of their names.
    [[nodiscard]] const std::map<std::string, std::string>& parameters() const {
        return client_->server_parameters();
    }

    /// Writes the sequence and reads to its end: the row of the epilogue, or the connection's.
    /// `expected`: the other side's counts at each pause, waited for; null: whatever comes in a
    /// moment (this side goes first).
    [[nodiscard]] replies play(const sequence& s, const std::vector<std::size_t>* expected,
                               policy_kind kind, milliseconds deadline);

  private:
    std::uint16_t port_;
    login_options login_;
    std::optional<wire_client> client_;
};

}  // namespace sallyport::tests::differential
