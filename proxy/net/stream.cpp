#include "proxy/net/stream.h"

#include <cerrno>
#include <csignal>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace sallyport::proxy::net {
namespace {

std::error_code system_error(int number) {
    return {number, std::system_category()};
}

bool is_abrupt_close(int number) noexcept {
    return number == ECONNRESET || number == EPIPE || number == ETIMEDOUT || number == ENOTCONN;
}

template <class T>
void set_option(int fd, int level, int name, T value) noexcept {
    (void)::setsockopt(fd, level, name, &value, sizeof value);
}

// Removes what older calls left: SSL_get_error looks at the whole queue of the thread.
void clear_errors() noexcept {
    ERR_clear_error();
    errno = 0;
}

std::string handshake_cause(SSL* ssl) {
    const auto verify = SSL_get_verify_result(ssl);
    if (verify != X509_V_OK) {
        ERR_clear_error();
        return std::string("the certificate is not accepted: ") +
               X509_verify_cert_error_string(verify);
    }
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    return reason != nullptr ? reason : "protocol error";
}

// OpenSSL's socket BIO writes without MSG_NOSIGNAL: by default a peer that left would end the
// process.
void ignore_broken_pipes() noexcept {
    static const bool done = [] {
        struct sigaction current {};
        if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL)
            (void)::signal(SIGPIPE, SIG_IGN);
        return true;
    }();
    (void)done;
}

bool is_ip_literal(const std::string& host) {
    error_code ec;
    (void)asio::ip::make_address(host, ec);
    return !ec;
}

}  // namespace

stream::stream(tcp::socket socket) : socket_(std::move(socket)), fd_(socket_.native_handle()) {
    error_code ec;
    socket_.non_blocking(true, ec);
    socket_.native_non_blocking(true, ec);
    set_option(fd_, IPPROTO_TCP, TCP_NODELAY, 1);
    const auto peer = socket_.remote_endpoint(ec);
    if (ec) return;
    peer_port_ = peer.port();
    auto address = peer.address();
    if (address.is_v6()) {
        auto v6 = address.to_v6();
        if (v6.is_v4_mapped()) {
            address = asio::ip::make_address_v4(asio::ip::v4_mapped, v6);
        } else {
            v6.scope_id(0);
            address = v6;
        }
    }
    peer_address_ = address.to_string();
}

stream::stream(stream&& other) noexcept
    : socket_(std::move(other.socket_)),
      fd_(std::exchange(other.fd_, -1)),
      ssl_(std::exchange(other.ssl_, nullptr)),
      handshake_done_(other.handshake_done_),
      tls_broken_(other.tls_broken_),
      peer_port_(other.peer_port_),
      peer_address_(std::move(other.peer_address_)),
      keep_alive_(std::move(other.keep_alive_)),
      info_(std::move(other.info_)) {}

stream& stream::operator=(stream&& other) noexcept {
    if (this == &other) return *this;
    close();
    socket_ = std::move(other.socket_);
    fd_ = std::exchange(other.fd_, -1);
    ssl_ = std::exchange(other.ssl_, nullptr);
    handshake_done_ = other.handshake_done_;
    tls_broken_ = other.tls_broken_;
    peer_port_ = other.peer_port_;
    peer_address_ = std::move(other.peer_address_);
    keep_alive_ = std::move(other.keep_alive_);
    info_ = std::move(other.info_);
    return *this;
}

stream::~stream() {
    close();
}

io_result stream::read_some(std::span<std::byte> into) {
    if (fd_ < 0) return {0, io_status::error, system_error(EBADF)};
    if (into.empty()) return {0, io_status::error, system_error(EINVAL)};
    if (ssl_ == nullptr) return plain_read(into);
    if (!handshake_done_ || tls_broken_) return {0, io_status::error, system_error(EPROTO)};
    clear_errors();
    std::size_t moved = 0;
    const int r = SSL_read_ex(ssl_, into.data(), into.size(), &moved);
    if (r == 1) return {moved, io_status::ok, {}};
    return tls_result(r, errno);
}

io_result stream::write_some(std::span<const std::byte> from) {
    if (fd_ < 0) return {0, io_status::error, system_error(EBADF)};
    if (from.empty()) return {0, io_status::error, system_error(EINVAL)};
    if (ssl_ == nullptr) return plain_write(from);
    if (!handshake_done_ || tls_broken_) return {0, io_status::error, system_error(EPROTO)};
    clear_errors();
    std::size_t moved = 0;
    const int r = SSL_write_ex(ssl_, from.data(), from.size(), &moved);
    if (r == 1) return {moved, io_status::ok, {}};
    return tls_result(r, errno);
}

io_result stream::plain_read(std::span<std::byte> into) noexcept {
    for (;;) {
        const auto n = ::recv(fd_, into.data(), into.size(), 0);
        if (n > 0) return {static_cast<std::size_t>(n), io_status::ok, {}};
        if (n == 0) return {0, io_status::eof, {}};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {0, io_status::want_read, {}};
        if (is_abrupt_close(errno)) return {0, io_status::eof, {}};
        return {0, io_status::error, system_error(errno)};
    }
}

io_result stream::plain_write(std::span<const std::byte> from) noexcept {
    for (;;) {
        const auto n = ::send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
        if (n >= 0) return {static_cast<std::size_t>(n), io_status::ok, {}};
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {0, io_status::want_write, {}};
        if (is_abrupt_close(errno)) return {0, io_status::eof, {}};
        return {0, io_status::error, system_error(errno)};
    }
}

io_result stream::tls_result(int returned, int saved_errno) noexcept {
    switch (SSL_get_error(ssl_, returned)) {
        case SSL_ERROR_WANT_READ:
            return {0, io_status::want_read, {}};
        case SSL_ERROR_WANT_WRITE:
            return {0, io_status::want_write, {}};
        case SSL_ERROR_ZERO_RETURN:
            return {0, io_status::eof, {}};
        case SSL_ERROR_SYSCALL:
            tls_broken_ = true;
            ERR_clear_error();
            if (saved_errno == 0 || is_abrupt_close(saved_errno)) return {0, io_status::eof, {}};
            return {0, io_status::error, system_error(saved_errno)};
        default:
            // An alert from the peer (it gave up) and damaged records end here: nothing can follow.
            tls_broken_ = true;
            ERR_clear_error();
            return {0, io_status::error, system_error(EPROTO)};
    }
}

bool stream::has_pending() const noexcept {
    return ssl_ != nullptr && handshake_done_ && SSL_pending(ssl_) > 0;
}

void stream::cancel_waits() noexcept {
    error_code ec;
    if (socket_.is_open()) socket_.cancel(ec);
}

std::size_t stream::buffered_plain_bytes() const noexcept {
    int n = 0;
    if (fd_ < 0 || ::ioctl(fd_, FIONREAD, &n) != 0 || n < 0) return 0;
    return static_cast<std::size_t>(n);
}

bool stream::peer_closed() const noexcept {
    if (fd_ < 0) return true;
    pollfd p{fd_, POLLRDHUP, 0};
    if (::poll(&p, 1, 0) <= 0) return false;
    return (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}

bool stream::peer_reset() const noexcept {
    if (fd_ < 0) return true;
    pollfd p{fd_, 0, 0};
    return ::poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

std::optional<std::byte> stream::peek() const noexcept {
    std::byte first{};
    if (fd_ < 0 || ::recv(fd_, &first, 1, MSG_PEEK | MSG_DONTWAIT) != 1) return std::nullopt;
    return first;
}

void stream::start_tls_server(std::shared_ptr<const server_tls> tls) {
    free_tls();
    ignore_broken_pipes();
    clear_errors();
    ssl_ = SSL_new(tls->native_handle());
    if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1) throw tls_error("out of memory for TLS");
    SSL_set_accept_state(ssl_);
    keep_alive_ = std::move(tls);
}

void stream::start_tls_client(std::shared_ptr<const client_tls> tls, const std::string& host) {
    free_tls();
    ignore_broken_pipes();
    clear_errors();
    ssl_ = SSL_new(tls->native_handle());
    if (ssl_ == nullptr || SSL_set_fd(ssl_, fd_) != 1) throw tls_error("out of memory for TLS");
    SSL_set_connect_state(ssl_);
    const bool literal = is_ip_literal(host);
    // RFC 6066: names only in SNI.
    std::string name = host;  // OpenSSL's macro takes it as void* and copies
    bool good = literal || SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                    name.data()) == 1;
    if (tls->mode() == client_tls_mode::verify_full) {
        auto* parameters = SSL_get0_param(ssl_);
        X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        good = good && !host.empty() &&
               (literal ? X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1
                        : X509_VERIFY_PARAM_set1_host(parameters, host.data(), host.size()) == 1);
    }
    if (!good) throw tls_error("cannot check a certificate for host \"" + host + "\"");
    keep_alive_ = std::move(tls);
}

handshake_result stream::handshake_step() {
    if (fd_ < 0 || ssl_ == nullptr || tls_broken_) return {io_status::error, "no TLS was started"};
    if (handshake_done_) return {io_status::ok, {}};
    clear_errors();
    const int r = SSL_do_handshake(ssl_);
    if (r != 1) return handshake_failed(SSL_get_error(ssl_, r), errno);
    auto info = inspect_peer(ssl_);
    if (!info) {
        tls_broken_ = true;
        return {io_status::error, "the peer's certificate has an unusable subject"};
    }
    info_ = std::make_unique<tls_info>(std::move(*info));
    handshake_done_ = true;
    return {io_status::ok, {}};
}

handshake_result stream::handshake_failed(int ssl_error, int saved_errno) {
    if (ssl_error == SSL_ERROR_WANT_READ) return {io_status::want_read, {}};
    if (ssl_error == SSL_ERROR_WANT_WRITE) return {io_status::want_write, {}};
    tls_broken_ = true;
    if (ssl_error == SSL_ERROR_ZERO_RETURN ||
        (ssl_error == SSL_ERROR_SYSCALL && (saved_errno == 0 || is_abrupt_close(saved_errno)))) {
        ERR_clear_error();
        return {io_status::eof, "the peer closed the connection during the TLS handshake"};
    }
    if (ssl_error == SSL_ERROR_SYSCALL) {
        ERR_clear_error();
        return {io_status::error, "TLS handshake failed: " + system_error(saved_errno).message()};
    }
    return {io_status::error, "TLS handshake failed: " + handshake_cause(ssl_)};
}

void stream::shutdown_write() noexcept {
    if (fd_ < 0) return;
    if (ssl_ != nullptr && handshake_done_ && !tls_broken_) {
        clear_errors();
        (void)SSL_shutdown(ssl_);
        ERR_clear_error();
    }
    (void)::shutdown(fd_, SHUT_WR);
}

void stream::free_tls() noexcept {
    if (ssl_ != nullptr) SSL_free(ssl_);
    ssl_ = nullptr;
    handshake_done_ = false;
    tls_broken_ = false;
}

void stream::close() noexcept {
    free_tls();
    fd_ = -1;
    error_code ec;
    if (socket_.is_open()) socket_.close(ec);
}

void stream::set_options(const socket_options& o) noexcept {
    if (fd_ < 0) return;
    set_option(fd_, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (o.keepalive_idle_s > 0) set_option(fd_, IPPROTO_TCP, TCP_KEEPIDLE, o.keepalive_idle_s);
    if (o.keepalive_interval_s > 0)
        set_option(fd_, IPPROTO_TCP, TCP_KEEPINTVL, o.keepalive_interval_s);
    if (o.keepalive_count > 0) set_option(fd_, IPPROTO_TCP, TCP_KEEPCNT, o.keepalive_count);
    if (o.user_timeout_ms > 0)
        set_option(fd_, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<unsigned>(o.user_timeout_ms));
}

}  // namespace sallyport::proxy::net
