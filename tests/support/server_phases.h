#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/hostile_server.h"
#include "tests/support/wire_client.h"

/// A server that behaves like a small PostgreSQL but where a test says otherwise.
namespace sallyport::tests {

/// Backend messages as bytes.
namespace server_wire {
[[nodiscard]] std::string ready(char status = 'I');
[[nodiscard]] std::string complete(std::string_view tag);
[[nodiscard]] std::string row_description(std::string_view column = "x");
[[nodiscard]] std::string row(std::string_view value);
[[nodiscard]] std::string parameter_status(std::string_view name, std::string_view value);
[[nodiscard]] std::string error(std::string_view sqlstate, std::string_view text,
                                std::string_view severity = "ERROR");
[[nodiscard]] std::string notice(std::string_view text);
/// RowDescription, one DataRow, CommandComplete, ReadyForQuery.
[[nodiscard]] std::string one_row(std::string_view value);
/// The header of a message whose body is sent by other means.
[[nodiscard]] std::string header(char type, std::uint32_t body_bytes);
}  // namespace server_wire

/// Hooks by phase; one that is not set does what PostgreSQL would do. Exceptions of a broken
/// connection end that connection.
struct server_phases {
    /// SSLRequest has come: answers it, and shakes hands if it said S. Default: N.
    std::function<void(hostile_connection&)> on_ssl_request{};
    /// The startup packet has come: everything up to ReadyForQuery. Default: no password asked.
    std::function<void(hostile_connection&)> log_in{};
    /// A message after the login; true when it is dealt with. Default: see answer().
    std::function<bool(hostile_connection&, char type, const std::string& body)> on_message{};
    /// A CancelRequest has come. Default: closes.
    std::function<void(hostile_connection&, const std::string& packet)> on_cancel{};
};

/// What a small PostgreSQL answers: one row to a Query, the right completion to every message of
/// the extended protocol.
void answer(hostile_connection& c, char type);

[[nodiscard]] hostile_server::script play(server_phases phases);

}  // namespace sallyport::tests
