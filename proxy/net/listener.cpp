#include "proxy/net/listener.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sallyport::proxy::net {
namespace {

// Per turn, so that a storm of connections does not starve the sessions of the same worker.
constexpr int accepts_per_turn = 64;
constexpr std::chrono::milliseconds back_off{100};
constexpr std::chrono::seconds trouble_interval{1};

tcp::endpoint endpoint_of(const listen_options& o) {
    error_code ec;
    const auto address =
        asio::ip::make_address(o.address == "localhost" ? "127.0.0.1" : o.address, ec);
    if (ec)
        throw listen_error("cannot listen on \"" + o.address + "\" port " + std::to_string(o.port) +
                           ": not an IP address; write one, such as 127.0.0.1 or ::1");
    return {address, o.port};
}

std::string advice(int cause) {
    switch (cause) {
        case EADDRINUSE:
            return "something else listens there: stop it or choose another port";
        case EACCES:
            return "ports below 1024 need a privilege: choose another port";
        case EADDRNOTAVAIL:
            return "this machine does not have that address: choose one that `ip address` shows";
        case EMFILE:
        case ENFILE:
            return "raise the limit of open files";
        default:
            return "choose another address or port";
    }
}

[[noreturn]] void fail(const listen_options& o, int cause) {
    throw listen_error("cannot listen on " + o.address + " port " + std::to_string(o.port) + ": " +
                       std::strerror(cause) + "; " + advice(cause));
}

/// Owns an fd until it is handed on.
struct descriptor {
    int fd = -1;
    descriptor() = default;
    explicit descriptor(int f) : fd(f) {}
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() { reset(); }
    void reset(int other = -1) noexcept {
        if (fd >= 0) ::close(fd);
        fd = other;
    }
    int release() noexcept { return std::exchange(fd, -1); }
};

int open_reserve() noexcept {
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

enum class sharing : std::uint8_t { exclusive, among_workers };

int bind_socket(const listen_options& o, const tcp::endpoint& at, sharing s) {
    descriptor d(::socket(at.protocol().family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (d.fd < 0) fail(o, errno);
    const int on = 1;
    (void)::setsockopt(d.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s == sharing::among_workers &&
        ::setsockopt(d.fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
        fail(o, errno);
    if (::bind(d.fd, at.data(), static_cast<socklen_t>(at.size())) != 0) fail(o, errno);
    if (::listen(d.fd, o.backlog) != 0) fail(o, errno);
    return d.release();
}

}  // namespace

struct listener::impl : std::enable_shared_from_this<impl> {
    impl(asio::io_context& context, on_accept a, on_trouble t)
        : io(context),
          acceptor(context),
          timer(context),
          accepted(std::move(a)),
          trouble(std::move(t)) {}

    void wait() {
        acceptor.async_wait(tcp::acceptor::wait_read, [self = shared_from_this()](error_code ec) {
            if (!ec && !self->stopped) self->turn();
        });
    }

    void turn() {
        for (int i = 0; i < accepts_per_turn && !stopped; ++i) {
            sockaddr_storage from{};
            socklen_t size = sizeof from;
            const int fd = ::accept4(acceptor.native_handle(), reinterpret_cast<sockaddr*>(&from),
                                     &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd >= 0) {
                hand_on(fd);
                continue;
            }
            const int cause = errno;
            if (cause == EAGAIN || cause == EWOULDBLOCK) break;
            // The peer gave up while it was queued: not ours to worry about.
            if (cause == EINTR || cause == ECONNABORTED || cause == EPROTO) continue;
            no_room(cause);
            return;
        }
        if (!stopped) wait();
    }

    void hand_on(int fd) {
        descriptor owned(fd);
        tcp::socket s(io);
        error_code ec;
        s.assign(protocol, owned.fd, ec);
        if (ec) {
            say("cannot take a connection: " + ec.message());
            return;
        }
        (void)owned.release();
        accepted(std::move(s));
    }

    // Out of descriptors: the waiting connection would keep the socket readable and this loop
    // spinning. The reserve lets us take one and close it, so that its client knows at once.
    void no_room(int cause) {
        if (cause == EMFILE || cause == ENFILE) {
            reserve.reset();
            const int fd = ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
            if (fd >= 0) ::close(fd);
            reserve.reset(open_reserve());
        }
        say(std::string("cannot accept connections: ") + std::strerror(cause) +
            (cause == EMFILE || cause == ENFILE ? "; raise the limit of open files (LimitNOFILE)"
                                                : ""));
        timer.expires_after(back_off);
        timer.async_wait([self = shared_from_this()](error_code ec) {
            if (!ec && !self->stopped) self->wait();
        });
    }

    void say(const std::string& text) {
        const auto now = std::chrono::steady_clock::now();
        if (!trouble || (said && now - said_at < trouble_interval)) return;
        said = true;
        said_at = now;
        trouble(text);
    }

    void stop() noexcept {
        stopped = true;
        error_code ec;
        acceptor.close(ec);
        timer.cancel();
    }

    asio::io_context& io;
    tcp::acceptor acceptor;
    asio::steady_timer timer;
    on_accept accepted;
    on_trouble trouble;
    tcp protocol = tcp::v4();
    descriptor reserve{open_reserve()};
    std::uint16_t port = 0;
    bool stopped = false;
    bool said = false;
    std::chrono::steady_clock::time_point said_at{};
};

listener::listener(asio::io_context& io, const listen_options& o, on_accept accepted,
                   on_trouble trouble)
    : impl_(std::make_shared<impl>(io, std::move(accepted), std::move(trouble))) {
    const auto at = endpoint_of(o);
    descriptor d(bind_socket(o, at, sharing::among_workers));
    impl_->protocol = at.protocol();
    error_code ec;
    impl_->acceptor.assign(at.protocol(), d.fd, ec);
    if (ec) fail(o, ec.value());
    (void)d.release();
    impl_->port = impl_->acceptor.local_endpoint(ec).port();
    impl_->wait();
}

listener::~listener() {
    stop();
}

std::uint16_t listener::port() const noexcept {
    return impl_->port;
}

void listener::stop() noexcept {
    impl_->stop();
}

void require_free_port(const listen_options& o) {
    if (o.port == 0) return;
    ::close(bind_socket(o, endpoint_of(o), sharing::exclusive));
}

}  // namespace sallyport::proxy::net
