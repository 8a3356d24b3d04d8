#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/sockets.h"

/// A fake PostgreSQL server that answers as a test's script says.
namespace sallyport::tests {

/// The server's side of one connection. Reads throw wire_timeout or wire_closed; the server
/// swallows them.
class hostile_connection {
  public:
    explicit hostile_connection(tcp_socket socket) : socket_(std::move(socket)) {}
    /// The next packet without a type (startup, SSLRequest …), whole.
    [[nodiscard]] std::string read_startup();
    /// Like read_startup, but answers every SSLRequest and GSSENCRequest with N.
    [[nodiscard]] std::string read_startup_refusing_tls();
    /// The next typed message: type byte and body.
    [[nodiscard]] std::pair<char, std::string> read_message();
    /// Becomes a TLS server with this certificate, which agrees on `protocol` if it is offered
    /// ("" = names none). Errors: throws std::runtime_error when the handshake fails.
    void accept_tls(const key_pair& identity, const std::string& protocol = "");
    /// The first byte that waits, without taking it.
    [[nodiscard]] unsigned char peek() const;
    void send(std::string_view bytes);
    /// AuthenticationOk, the usual ParameterStatus set, BackendKeyData, ReadyForQuery.
    void accept_login();
    /// Like read_message, for one too large to keep: its type and the bytes of its body.
    [[nodiscard]] std::pair<char, std::uint64_t> skip_message();
    /// Reads and drops until the peer closes.
    void drain();
    void close() noexcept { socket_.close(); }

  private:
    [[nodiscard]] std::string read_exact(std::size_t bytes);
    struct tls;
    [[nodiscard]] std::string receive();
    tcp_socket socket_;
    std::shared_ptr<tls> tls_;
    std::string buffer_;
};

class hostile_server {
  public:
    using script = std::function<void(hostile_connection&)>;
    explicit hostile_server(script s);
    ~hostile_server();
    hostile_server(const hostile_server&) = delete;
    hostile_server& operator=(const hostile_server&) = delete;
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] int connections() const noexcept { return connections_.load(); }

  private:
    void serve();
    script script_;
    int listener_ = -1;
    int wake_[2] = {-1, -1};
    std::uint16_t port_ = 0;
    std::atomic<int> connections_{0};
    std::vector<std::thread> sessions_;
    std::thread acceptor_;
};

/// Ends a server before what its script refers to goes: to be declared behind that, and before the
/// clients. Waits for the connections to end.
class stopped_first {
  public:
    explicit stopped_first(std::unique_ptr<hostile_server>& server) : server_(server) {}
    ~stopped_first() { server_.reset(); }
    stopped_first(const stopped_first&) = delete;
    stopped_first& operator=(const stopped_first&) = delete;

  private:
    std::unique_ptr<hostile_server>& server_;
};

}  // namespace sallyport::tests
