#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "protocol/startup.h"
#include "proxy/net/stream.h"
#include "proxy/session/services.h"
#include "proxy/session/texts.h"

/// The connection to a target's server.
namespace sallyport::proxy::session {

/// What a login upstream needs to know.
struct upstream_request {
    const target_settings* target = nullptr;  ///< valid while the configuration is held
    configuration_ptr configuration;
    std::string role;  ///< upstream user
    std::vector<protocol::parameter> parameters;
    std::vector<protocol::parameter> options;
};

/// A server that let us in: what it said on the way, for the client.
struct upstream_login {
    std::string status_frames;  ///< ParameterStatus (and notices) as they came
    std::vector<std::pair<std::string, std::string>> parameters;
    std::uint32_t process_id = 0;  ///< 0: it sent no BackendKeyData
    std::string key;               ///< secret
    net::tcp::endpoint endpoint;
    std::string left_over;  ///< bytes behind ReadyForQuery
};

/// Why there is no upstream; `why` is fit for the client (never a password in it).
struct upstream_failure {
    refusal why;
};

/// Connects and logs in. The stream lives in `into` while this runs, so that the owner can close it
/// (a deadline, a client that left): then an exception passes through.
/// Errors: throws upstream_failure, or boost::system::system_error when `into` is closed meanwhile.
net::asio::awaitable<upstream_login> connect_upstream(services& shared, upstream_request request,
                                                      std::unique_ptr<net::stream>& into);

/// Sends a CancelRequest to where `endpoint` is, over TLS if the target has it, and waits for the
/// server to close (which it does after the signal is sent). Never throws for network trouble.
net::asio::awaitable<void> cancel_upstream(std::shared_ptr<const net::client_tls> tls,
                                           std::string host, net::tcp::endpoint endpoint,
                                           protocol::cancel_request request);

/// Ends the server process `process_id`, which serves `victim`, by pg_terminate_backend over a
/// connection of its own as the same role. `victim` is kept open until then, so that the number
/// stays that process's. False if the server could not be told; never throws for network trouble.
net::asio::awaitable<bool> terminate_upstream(services& shared, upstream_request request,
                                              std::uint32_t process_id,
                                              std::shared_ptr<net::stream> victim);

}  // namespace sallyport::proxy::session
