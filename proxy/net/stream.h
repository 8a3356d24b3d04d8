#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "proxy/net/asio.h"
#include "proxy/net/tls.h"

namespace sallyport::proxy::net {

/// ok: bytes > 0. want_read/want_write: nothing moved; wait for that direction (TLS may want the
/// other one), then repeat the same call. eof: the peer closed, orderly or abruptly. error: the
/// connection is dead.
enum class io_status : std::uint8_t { ok, want_read, want_write, eof, error };

struct io_result {
    std::size_t bytes = 0;
    io_status status = io_status::error;
    std::error_code error;  ///< set exactly when status == error
};

/// want_read/want_write: wait and call again. ok: done. error: `text` says why, for logs, one line.
struct handshake_result {
    io_status status = io_status::error;
    std::string text;
};

/// Socket options of one direction; 0 leaves the system's value.
struct socket_options {
    int keepalive_idle_s = 60;
    int keepalive_interval_s = 15;
    int keepalive_count = 4;
    int user_timeout_ms = 120'000;  ///< unacknowledged data older than this ends the connection
};

/// One connection: a non-blocking TCP socket, and from start_tls_*() on TLS bound directly to its
/// fd. Owned by a session (or upstream); lives and dies on one io_context.
///
///     auto r = s.read_some(buffer);
///     if (r.status == io_status::want_read) s.async_wait_read([this](error_code ec) { … });
///
/// Shape:  reads and writes are attempted at once and never block; bytes go straight between the
///         caller's buffer and the kernel or OpenSSL.
/// Errors: no call throws, apart from the constructor and start_tls_*() on lack of memory.
/// Concurrency: not thread-safe. close() makes pending waits complete with operation_aborted.
class stream {
  public:
    /// Takes a connected socket, makes it non-blocking, sets TCP_NODELAY.
    explicit stream(tcp::socket socket);
    stream(stream&& other) noexcept;
    stream& operator=(stream&& other) noexcept;
    ~stream();

    /// Reads what there is, at most into.size() (> 0) bytes.
    [[nodiscard]] io_result read_some(std::span<std::byte> into);
    /// Writes what fits. After want_write, repeat with the same bytes first (the address may move).
    [[nodiscard]] io_result write_some(std::span<const std::byte> from);

    /// Decrypted bytes wait inside OpenSSL, where no poll sees them: read again before waiting.
    [[nodiscard]] bool has_pending() const noexcept;
    /// Calls handler(error_code) when reading may make progress; at once if has_pending().
    template <class Handler>
    void async_wait_read(Handler&& handler) {
        if (has_pending()) {
            asio::post(socket_.get_executor(),
                       [h = std::forward<Handler>(handler)]() mutable { h(error_code{}); });
            return;
        }
        socket_.async_wait(tcp::socket::wait_read, std::forward<Handler>(handler));
    }
    /// Calls handler(error_code) when writing may make progress.
    template <class Handler>
    void async_wait_write(Handler&& handler) {
        socket_.async_wait(tcp::socket::wait_write, std::forward<Handler>(handler));
    }
    /// Completes pending waits with operation_aborted; the connection stays.
    void cancel_waits() noexcept;

    /// Bytes in the kernel's receive queue. Greater than 0 after an SSLRequest was read (server
    /// side) or after the one-byte answer (client side): somebody stuffed plaintext before the
    /// handshake; close.
    [[nodiscard]] std::size_t buffered_plain_bytes() const noexcept;
    /// The peer has closed its side or reset, though unread bytes may still be queued before that.
    /// For holds, where reading on is not wanted. Does not see a TLS close_notify without FIN.
    [[nodiscard]] bool peer_closed() const noexcept;
    /// The connection is gone in both directions, which a peer that only closed its writing side
    /// has not done. Seen only after something was written to a peer that closed.
    [[nodiscard]] bool peer_reset() const noexcept;
    /// First byte of the queue without taking it (0x16 = direct TLS); nullopt if none or closed.
    [[nodiscard]] std::optional<std::byte> peek() const noexcept;

    /// Begins TLS; then call handshake_step() until ok or error. At most once per stream.
    /// From then on the process ignores SIGPIPE, unless it has a handler of its own.
    void start_tls_server(std::shared_ptr<const server_tls> tls);
    /// `host` as configured: SNI if it is a name; verify_full checks it against DNS or IP SANs.
    void start_tls_client(std::shared_ptr<const client_tls> tls, const std::string& host);
    [[nodiscard]] handshake_result handshake_step();
    /// Null before a handshake is complete (and for plain connections).
    [[nodiscard]] const tls_info* tls() const noexcept { return info_.get(); }
    [[nodiscard]] bool is_tls() const noexcept { return ssl_ != nullptr; }

    /// No more bytes from us: close_notify (if it fits) and FIN. Reading goes on.
    void shutdown_write() noexcept;
    /// Ends the connection at once; idempotent.
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }

    void set_options(const socket_options& o) noexcept;
    /// Peer's IP as text without port or zone; IPv4 inside IPv6 is shown as IPv4. "" if it had gone
    /// already.
    [[nodiscard]] const std::string& peer_address() const noexcept { return peer_address_; }
    [[nodiscard]] std::uint16_t peer_port() const noexcept { return peer_port_; }
    [[nodiscard]] tcp::socket& socket() noexcept { return socket_; }
    [[nodiscard]] auto get_executor() { return socket_.get_executor(); }

  private:
    io_result plain_read(std::span<std::byte> into) noexcept;
    io_result plain_write(std::span<const std::byte> from) noexcept;
    io_result tls_result(int returned, int saved_errno) noexcept;
    handshake_result handshake_failed(int ssl_error, int saved_errno);
    void free_tls() noexcept;

    tcp::socket socket_;
    int fd_ = -1;
    ssl_st* ssl_ = nullptr;
    bool handshake_done_ = false;
    bool tls_broken_ =
        false;  ///< after a fatal TLS error nothing more may be sent, not even close_notify
    std::uint16_t peer_port_ = 0;
    std::string peer_address_;
    std::shared_ptr<const void> keep_alive_;  ///< the TLS snapshot whose callbacks we use
    std::unique_ptr<tls_info> info_;
};

}  // namespace sallyport::proxy::net
