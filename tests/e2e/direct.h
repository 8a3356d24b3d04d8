#pragma once

#include <string>

#include "tests/e2e/fixture.h"

/// The same bytes to PostgreSQL itself: what a client must not be able to tell apart.
namespace sallyport::tests {

/// A client of PostgreSQL itself, as the role that the proxy logs in with.
[[nodiscard]] inline wire_client direct_client(const postgres_server& server,
                                               const std::string& database) {
    wire_client c(server.port());
    c.login(
        {.port = server.port(), .user = "app", .password = "app-password", .database = database});
    return c;
}

/// "2DCZ/22012/T": types, SQLSTATEs, tags and status of one exchange.
[[nodiscard]] inline std::string shown(const exchange& x) {
    std::string text = x.types();
    for (const auto& e : x.errors)
        text += " " + e.at('S') + " " + e.at('C');
    for (const auto& tag : x.tags)
        text += " [" + tag + "]";
    for (const auto& row : x.rows)
        for (const auto& value : row)
            text += " (" + value.value_or("NULL") + ")";
    return text + " " + x.status;
}

/// What `exchanges` ReadyForQuery bring after `bytes`; "closed" where the connection ended.
[[nodiscard]] inline std::string played(wire_client& c, const std::string& bytes,
                                        int exchanges = 1) {
    std::string text;
    c.try_send(bytes);
    try {
        for (int i = 0; i < exchanges; ++i)
            text += shown(c.read_exchange()) + "\n";
    } catch (const wire_closed&) {
        text += "closed\n";
    }
    return text;
}

}  // namespace sallyport::tests
