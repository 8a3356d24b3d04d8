#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "proxy/net/asio.h"

namespace sallyport::proxy::net {

/// Cannot listen; what() is one line: address, port, cause, what to do.
class listen_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

struct listen_options {
    std::string address = "127.0.0.1";  ///< an IPv4 or IPv6 literal, or "localhost" (127.0.0.1)
    std::uint16_t port = 6432;          ///< 0 = any free one, see listener::port()
    int backlog = 1024;
};

/// Accepts connections on one worker. Each worker has its own (SO_REUSEPORT), so that a connection
/// is born on the thread on which it lives. Errors: the constructor throws listen_error. Later
/// trouble (no file descriptors …) goes to
///         `on_trouble` as one line, at most once a second; accepting goes on by itself.
/// Concurrency: construct and destroy on the io_context's thread (or while it does not run); the
///         callbacks run on it.
class listener {
  public:
    using on_accept = std::function<void(tcp::socket)>;
    using on_trouble = std::function<void(const std::string&)>;

    listener(asio::io_context& io, const listen_options& o, on_accept accepted, on_trouble trouble);
    ~listener();
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept;
    /// Stops accepting and closes the listening socket; idempotent.
    void stop() noexcept;

  private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

/// Throws listen_error if another socket already listens there. SO_REUSEPORT alone would let a
/// second proxy of the same user share the port silently: call this once before the first listener.
void require_free_port(const listen_options& o);

}  // namespace sallyport::proxy::net
