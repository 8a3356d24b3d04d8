#include <string>

#include <spdlog/spdlog.h>

#include "protocol/backend.h"
#include "protocol/sqlstate.h"
#include "proxy/log_ids.h"
#include "proxy/session/session.h"
#include "proxy/session/wire.h"

// TLS that begins with the first byte (PostgreSQL 17's sslnegotiation=direct).
namespace sallyport::proxy::session {

namespace asio = net::asio;

namespace {

// The first byte of a TLS record that carries a handshake. As the first byte of a startup packet it
// would announce more than 350 MiB, so that nothing legitimate is mistaken for it.
constexpr std::byte tls_handshake{0x16};

}  // namespace

/// False if the connection is over. True without TLS if the client begins otherwise.
asio::awaitable<bool> session::accept_direct_tls() {
    if (!client_.peek()) co_await wait_for(client_, net::io_status::want_read);
    if (client_.peek() != tls_handshake) co_return true;
    const auto tls = configuration_->server_tls;
    if (!tls) {
        end("direct TLS, and TLS is disabled", {});
        co_return false;
    }
    client_.start_tls_server(tls);
    auto why = co_await handshake(client_);
    // Without an SSLRequest nothing else says that PostgreSQL is meant: a client of another
    // protocol, led here by somebody in the middle, must not get an answer (ALPACA).
    if (why.empty() && client_.tls()->alpn != tls->options().alpn)
        why = "direct TLS without the protocol postgresql (ALPN)";
    if (why.empty()) co_return true;
    const log_ids about(id_.value);
    spdlog::info("session {}: TLS with {} failed: {}", id_.value, subject_.address,
                 protocol::backend::sanitize_text(why, 200));
    end("TLS failed", {});
    co_return false;
}

/// An SSLRequest or GSSENCRequest where none may come, above all inside TLS. PostgreSQL takes it
/// for a version of the protocol, and so do its clients' error messages.
refusal session::repeated_request(std::uint32_t code) {
    return {std::string(protocol::sqlstate::feature_not_supported),
            "unsupported frontend protocol " + std::to_string(code >> 16) + "." +
                std::to_string(code & 0xffff),
            {},
            "Encryption is asked for once, before everything else."};
}

}  // namespace sallyport::proxy::session
