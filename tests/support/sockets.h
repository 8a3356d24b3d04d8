#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tests/support/child_process.h"

/// Plain loopback sockets with deadlines.
namespace sallyport::tests {

/// A port on 127.0.0.1 that nobody listened on a moment ago.
[[nodiscard]] std::uint16_t free_port();
/// True if something accepts on the port now.
[[nodiscard]] bool accepts(std::uint16_t port);

/// One connected TCP socket. Errors: throws std::runtime_error saying which port.
class tcp_socket {
  public:
    tcp_socket() = default;
    explicit tcp_socket(int fd) noexcept : fd_(fd) {}
    static tcp_socket connect(std::uint16_t port, const std::string& source_address = "127.0.0.1");
    ~tcp_socket() { close(); }
    tcp_socket(tcp_socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    tcp_socket& operator=(tcp_socket&& other) noexcept;
    tcp_socket(const tcp_socket&) = delete;
    tcp_socket& operator=(const tcp_socket&) = delete;

    [[nodiscard]] int fd() const noexcept { return fd_; }
    /// True when `events` (POLLIN, POLLOUT) came before the deadline.
    [[nodiscard]] bool wait(short events, milliseconds deadline) const;
    /// False if the peer is gone.
    bool send_all(std::string_view bytes, milliseconds deadline = patience) const;
    /// Up to `max` bytes; "" at the end of the stream. Errors: throws wire_timeout.
    [[nodiscard]] std::string receive(std::size_t max, milliseconds deadline = patience) const;
    void half_close() const noexcept;
    void close() noexcept;
    /// Closes with RST instead of FIN.
    void reset() noexcept;

  private:
    int fd_ = -1;
};

}  // namespace sallyport::tests
