#include "tests/support/sockets.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/wire_client.h"

namespace sallyport::tests {
namespace {

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

const sockaddr* generic(const sockaddr_in& a) {
    return static_cast<const sockaddr*>(static_cast<const void*>(&a));
}

}  // namespace

// Below the ports that the system gives to whoever connects: one of those may be taken before it is
// used. Programs that run side by side begin at different places.
std::uint16_t free_port() {
    constexpr unsigned first = 10'240;
    constexpr unsigned count = 20'000;
    static std::atomic<unsigned> next{static_cast<unsigned>(::getpid()) * 263U};
    for (unsigned tries = 0; tries < count; ++tries) {
        const auto port = static_cast<std::uint16_t>(first + next++ % count);
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(port);
        const bool ok = ::bind(fd, generic(address), sizeof address) == 0;
        ::close(fd);
        if (ok) return port;
    }
    throw std::runtime_error("no free port on 127.0.0.1");
}

bool accepts(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port);
    const bool ok = ::connect(fd, generic(address), sizeof address) == 0;
    ::close(fd);
    return ok;
}

tcp_socket tcp_socket::connect(std::uint16_t port, const std::string& source_address) {
    tcp_socket s(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in source = loopback(0);
    ::inet_pton(AF_INET, source_address.c_str(), &source.sin_addr);
    const sockaddr_in address = loopback(port);
    if (::bind(s.fd_, generic(source), sizeof source) != 0 ||
        ::connect(s.fd_, generic(address), sizeof address) != 0)
        throw std::runtime_error("cannot connect to 127.0.0.1:" + std::to_string(port) + ": " +
                                 std::strerror(errno));
    const int on = 1;
    ::setsockopt(s.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return s;
}

tcp_socket& tcp_socket::operator=(tcp_socket&& other) noexcept {
    if (this != &other) {
        close();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

bool tcp_socket::wait(short events, milliseconds deadline) const {
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
        pollfd p{fd_, events, 0};
        const int n = ::poll(&p, 1, static_cast<int>(std::max<long>(left.count(), 0)));
        if (n > 0) return true;
        if (n == 0 || errno != EINTR) return false;
    }
}

bool tcp_socket::send_all(std::string_view bytes, milliseconds deadline) const {
    while (!bytes.empty()) {
        const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (errno == EAGAIN) {
            if (!wait(POLLOUT, deadline)) throw wire_timeout("the peer does not read");
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

std::string tcp_socket::receive(std::size_t max, milliseconds deadline) const {
    if (!wait(POLLIN, deadline)) throw wire_timeout("nothing came");
    std::string bytes(max, '\0');
    const auto n = ::recv(fd_, bytes.data(), max, 0);
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
}

void tcp_socket::half_close() const noexcept {
    ::shutdown(fd_, SHUT_WR);
}

void tcp_socket::close() noexcept {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void tcp_socket::reset() noexcept {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
}

}  // namespace sallyport::tests
