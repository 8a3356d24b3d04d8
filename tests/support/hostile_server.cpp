#include "tests/support/hostile_server.h"

#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/wire_client.h"

namespace sallyport::tests {
namespace {

std::uint32_t read_int32(std::string_view bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i)
        value = value << 8 | static_cast<unsigned char>(bytes[i]);
    return value;
}

int answer_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char*,
                unsigned, void* arg) {
    const auto& name = *static_cast<const std::string*>(arg);
    if (name.empty()) return SSL_TLSEXT_ERR_NOACK;
    *out = static_cast<const unsigned char*>(static_cast<const void*>(name.data()));
    *out_size = static_cast<unsigned char>(name.size());
    return SSL_TLSEXT_ERR_OK;
}

constexpr std::uint32_t ssl_code = 80877103;
constexpr std::uint32_t gssenc_code = 80877104;

}  // namespace

struct hostile_connection::tls {
    SSL_CTX* context = nullptr;
    SSL* ssl = nullptr;
    std::string protocol{};
    tls() = default;
    ~tls() {
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
    tls(const tls&) = delete;
    tls& operator=(const tls&) = delete;
};

void hostile_connection::accept_tls(const key_pair& identity, const std::string& protocol) {
    auto t = std::make_shared<tls>();
    t->protocol = protocol;
    t->context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_alpn_select_cb(t->context, answer_alpn, &t->protocol);
    if (SSL_CTX_use_certificate_chain_file(t->context, identity.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(t->context, identity.key.c_str(), SSL_FILETYPE_PEM) != 1)
        throw std::runtime_error("the hostile server cannot use its certificate");
    const timeval limit{patience.count() / 1000, 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    t->ssl = SSL_new(t->context);
    SSL_set_fd(t->ssl, socket_.fd());
    if (SSL_accept(t->ssl) != 1) throw std::runtime_error("the TLS handshake failed");
    tls_ = std::move(t);
}

unsigned char hostile_connection::peek() const {
    if (!socket_.wait(POLLIN, patience)) throw wire_timeout("nothing came");
    unsigned char first = 0;
    if (::recv(socket_.fd(), &first, 1, MSG_PEEK) != 1) throw wire_closed("the proxy left");
    return first;
}

std::string hostile_connection::receive() {
    if (!tls_) return socket_.receive(65536);
    std::string bytes(16384, '\0');
    const int n = SSL_read(tls_->ssl, bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
}

std::string hostile_connection::read_exact(std::size_t bytes) {
    while (buffer_.size() < bytes) {
        const std::string more = receive();
        if (more.empty()) throw wire_closed("the proxy closed the upstream connection");
        buffer_ += more;
    }
    const std::string out = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return out;
}

std::string hostile_connection::read_startup() {
    const std::string head = read_exact(4);
    return head + read_exact(read_int32(head) - 4);
}

std::string hostile_connection::read_startup_refusing_tls() {
    for (;;) {
        std::string packet = read_startup();
        const auto code = read_int32(std::string_view(packet).substr(4));
        if (code != ssl_code && code != gssenc_code) return packet;
        send("N");
    }
}

std::pair<char, std::string> hostile_connection::read_message() {
    const std::string head = read_exact(5);
    return {head[0], read_exact(read_int32(std::string_view(head).substr(1)) - 4)};
}

void hostile_connection::send(std::string_view bytes) {
    if (!tls_)
        socket_.send_all(bytes);
    else if (SSL_write(tls_->ssl, bytes.data(), static_cast<int>(bytes.size())) <= 0)
        throw wire_closed("the proxy closed the upstream connection");
}

void hostile_connection::accept_login() {
    std::string bytes = wire::frame('R', wire::int32(0));
    for (const auto& [name, value] : parameters{{"server_version", "15.0"},
                                                {"server_encoding", "UTF8"},
                                                {"client_encoding", "UTF8"},
                                                {"is_superuser", "off"},
                                                {"session_authorization", "app"},
                                                {"DateStyle", "ISO, MDY"},
                                                {"IntervalStyle", "postgres"},
                                                {"TimeZone", "Etc/UTC"},
                                                {"integer_datetimes", "on"},
                                                {"standard_conforming_strings", "on"}}) {
        bytes += wire::frame('S', name + std::string(1, '\0') + value + std::string(1, '\0'));
    }
    bytes += wire::frame('K', wire::int32(4711) + wire::int32(0x01020304));
    bytes += wire::frame('Z', "I");
    send(bytes);
}

void hostile_connection::drain() {
    while (!receive().empty()) {
    }
}

std::pair<char, std::uint64_t> hostile_connection::skip_message() {
    const std::string head = read_exact(5);
    const std::uint64_t whole = read_int32(std::string_view(head).substr(1)) - 4;
    for (std::uint64_t left = whole; left > 0;)
        left -= read_exact(std::min<std::uint64_t>(left, 65536)).size();
    return {head[0], whole};
}

hostile_server::hostile_server(script s) : script_(std::move(s)), port_(free_port()) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const auto* generic = static_cast<const sockaddr*>(static_cast<const void*>(&address));
    if (::bind(listener_, generic, sizeof address) != 0 || ::listen(listener_, 16) != 0 ||
        ::pipe2(wake_, O_CLOEXEC) != 0)
        throw std::runtime_error("the hostile server cannot listen");
    acceptor_ = std::thread([this] { serve(); });
}

hostile_server::~hostile_server() {
    if (::write(wake_[1], "x", 1) != 1) std::terminate();
    acceptor_.join();
    for (auto& t : sessions_)
        t.join();
    ::close(listener_);
    ::close(wake_[0]);
    ::close(wake_[1]);
}

void hostile_server::serve() {
    for (;;) {
        std::array<pollfd, 2> fds{pollfd{listener_, POLLIN, 0}, pollfd{wake_[0], POLLIN, 0}};
        ::poll(fds.data(), fds.size(), -1);
        if (fds[1].revents != 0) return;
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        connections_.fetch_add(1);
        sessions_.emplace_back([this, fd] {
            hostile_connection c{tcp_socket(fd)};
            try {
                script_(c);
            } catch (const std::exception&) {
                // The proxy hung up on us, which is what many scripts are meant to reach.
            }
        });
    }
}

}  // namespace sallyport::tests
