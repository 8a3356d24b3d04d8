#include "tests/support/wire_client.h"

#include <array>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/support/scram.h"

namespace sallyport::tests {
namespace {

std::string openssl_reason(const char* what) {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_get_error(), text.data(), text.size());
    return std::string(what) + ": " + text.data();
}

constexpr std::uint32_t auth_ok = 0;
constexpr std::uint32_t auth_sasl = 10;
constexpr std::uint32_t auth_sasl_continue = 11;
constexpr std::uint32_t auth_sasl_final = 12;

}  // namespace

struct wire_client::tls {
    SSL_CTX* context = nullptr;
    SSL* ssl = nullptr;
    tls() = default;
    ~tls() {
        SSL_free(ssl);
        SSL_CTX_free(context);
    }
    tls(const tls&) = delete;
    tls& operator=(const tls&) = delete;
};

wire_client::wire_client(std::uint16_t port, const std::string& source_address)
    : socket_(tcp_socket::connect(port, source_address)) {}
wire_client::~wire_client() = default;
wire_client::wire_client(wire_client&&) noexcept = default;
wire_client& wire_client::operator=(wire_client&&) noexcept = default;

bool wire_client::try_send(std::string_view bytes) {
    if (!tls_) return socket_.send_all(bytes);
    while (!bytes.empty()) {
        const int n = SSL_write(tls_->ssl, bytes.data(), static_cast<int>(bytes.size()));
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

void wire_client::send(std::string_view bytes) {
    if (!try_send(bytes)) throw wire_closed("the peer closed the connection while we sent");
}

std::string wire_client::receive_some(milliseconds deadline) {
    if (!tls_) return socket_.receive(65536, deadline);
    std::string bytes(16384, '\0');
    if (SSL_pending(tls_->ssl) == 0 && !socket_.wait(POLLIN, deadline))
        throw wire_timeout("nothing came over TLS");
    const int n = SSL_read(tls_->ssl, bytes.data(), static_cast<int>(bytes.size()));
    bytes.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return bytes;
}

void wire_client::fill(std::size_t bytes, milliseconds deadline) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    while (buffer_.size() < bytes) {
        const auto left = std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now());
        const std::string more = receive_some(std::max(left, milliseconds(0)));
        if (more.empty()) throw wire_closed("the peer closed the connection");
        buffer_ += more;
    }
}

char wire_client::read_byte(milliseconds deadline) {
    fill(1, deadline);
    const char c = buffer_[0];
    buffer_.erase(0, 1);
    return c;
}

message wire_client::read(milliseconds deadline) {
    fill(5, deadline);
    const auto length = wire::int32_at(buffer_, 1);
    if (length < 4 || length > (1U << 30))
        throw std::runtime_error("the server sent a message of a bad length");
    fill(1 + length, deadline);
    message m{buffer_[0], buffer_.substr(5, length - 4)};
    buffer_.erase(0, 1 + length);
    note(m);
    return m;
}

void wire_client::note(const message& m) {
    if (m.type == 'S') {
        const auto split = m.body.find('\0');
        server_parameters_[m.body.substr(0, split)] =
            m.body.substr(split + 1, m.body.size() - split - 2);
    } else if (m.type == 'K') {
        pid_ = wire::int32_at(m.body, 0);
        key_ = m.body.substr(4);
        secret_ = wire::int32_at(m.body, 4);
    }
}

message wire_client::read_until(char type, milliseconds deadline) {
    skipped_.clear();
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        message m = read(std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now()));
        if (m.type == type) return m;
        skipped_.push_back(std::move(m));
    }
}

exchange wire_client::read_exchange(milliseconds deadline) {
    exchange x;
    const auto end = std::chrono::steady_clock::now() + deadline;
    do {
        message m = read(std::chrono::ceil<milliseconds>(end - std::chrono::steady_clock::now()));
        if (m.type == 'D') x.rows.push_back(values_of(m));
        if (m.type == 'C') x.tags.push_back(m.body.substr(0, m.body.find('\0')));
        if (m.type == 'E') x.errors.push_back(fields_of(m));
        if (m.type == 'N') x.notices.push_back(fields_of(m));
        if (m.type == 'Z') x.status = m.body.at(0);
        x.messages.push_back(std::move(m));
    } while (x.messages.back().type != 'Z');
    return x;
}

std::vector<message> wire_client::read_to_end(milliseconds deadline) {
    std::vector<message> all;
    try {
        for (;;)
            all.push_back(read(deadline));
    } catch (const wire_closed&) {
        return all;
    }
}

void wire_client::start_tls(const tls_client_options& options) {
    send(wire::ssl_request());
    const char answer = read_byte();
    if (answer != 'S')
        throw std::runtime_error(std::string("the server answered SSLRequest with ") + answer);
    handshake(options);
}

void wire_client::handshake(const tls_client_options& options) {
    auto t = std::make_unique<tls>();
    t->context = SSL_CTX_new(TLS_client_method());
    if (!options.ca.empty()) {
        SSL_CTX_load_verify_file(t->context, options.ca.c_str());
        SSL_CTX_set_verify(t->context, SSL_VERIFY_PEER, nullptr);
    }
    if (!options.certificate.empty()) {
        if (SSL_CTX_use_certificate_chain_file(t->context, options.certificate.c_str()) != 1 ||
            SSL_CTX_use_PrivateKey_file(t->context, options.key.c_str(), SSL_FILETYPE_PEM) != 1)
            throw std::runtime_error(openssl_reason("client certificate"));
    }
    std::string protocols;
    for (const auto& name : options.alpn)
        protocols += static_cast<char>(name.size()) + name;
    if (!protocols.empty())
        SSL_CTX_set_alpn_protos(
            t->context,
            static_cast<const unsigned char*>(static_cast<const void*>(protocols.data())),
            static_cast<unsigned>(protocols.size()));
    // A server that stops in the middle of the handshake must not stop the test.
    const timeval limit{patience.count() / 1000, 0};
    ::setsockopt(socket_.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    t->ssl = SSL_new(t->context);
    SSL_set_fd(t->ssl, socket_.fd());
    if (SSL_connect(t->ssl) != 1) throw std::runtime_error(openssl_reason("TLS handshake"));
    tls_ = std::move(t);
}

std::string wire_client::end_point() const {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509* certificate = tls_ ? SSL_get0_peer_certificate(tls_->ssl) : nullptr;
    if (certificate == nullptr || X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1)
        throw std::runtime_error("no certificate to bind to");
    return {digest.begin(), digest.begin() + size};
}

std::string wire_client::agreed_protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    if (tls_) SSL_get0_alpn_selected(tls_->ssl, &name, &size);
    return name == nullptr ? std::string() : std::string(name, name + size);
}

void wire_client::begin_login(const login_options& o) {
    parameters p{{"user", o.user}, {"database", o.database}};
    p.insert(p.end(), o.more.begin(), o.more.end());
    send(wire::startup(p, o.version));
    negotiated_.reset();
    const message m = read_until_auth();
    if (wire::int32_at(m.body, 0) == auth_ok) {
        mechanisms_.clear();
        return;
    }
    if (wire::int32_at(m.body, 0) != auth_sasl)
        throw std::runtime_error("unexpected authentication request");
    mechanisms_.clear();
    std::string_view names = std::string_view(m.body).substr(4);
    while (!names.empty() && names[0] != '\0') {
        const auto end = names.find('\0');
        mechanisms_.emplace_back(names.substr(0, end));
        names.remove_prefix(end + 1);
    }
}

message wire_client::read_until_auth() {
    message m = read();
    if (m.type == 'v' && !negotiated_) {
        negotiated_ = m.body;
        m = read();
    }
    if (m.type == 'E') throw login_refused(fields_of(m));
    if (m.type != 'R') throw std::runtime_error(std::string("unexpected before login: ") + m.type);
    return m;
}

void wire_client::prove(const login_options& o) {
    if (mechanisms_.empty()) return;  // let in without a password
    scram_client scram(o.password);
    const bool bound = o.gs2_header.rfind("p=", 0) == 0;
    scram.bind(o.gs2_header, o.end_point.empty() && bound ? end_point() : o.end_point);
    send(wire::sasl_initial(o.mechanism, scram.first()));
    for (;;) {
        const message m = read_until_auth();
        const std::string data = m.body.substr(4);
        switch (wire::int32_at(m.body, 0)) {
            case auth_ok:
                return;
            case auth_sasl_continue:
                server_first_ = data;
                send(wire::frame('p', scram.final(data)));
                break;
            case auth_sasl_final:
                if (!scram.verify(data)) throw std::runtime_error("the server's proof is wrong");
                break;
            default:
                throw std::runtime_error("unexpected authentication request");
        }
    }
}

void wire_client::authenticate(const login_options& o) {
    begin_login(o);
    prove(o);
}

void wire_client::finish_login(const login_options& o) {
    prove(o);
    for (;;) {
        const message m = read();
        if (m.type == 'E') throw login_refused(fields_of(m));
        if (m.type == 'Z') return;
    }
}

void wire_client::login(const login_options& o) {
    begin_login(o);
    finish_login(o);
}

void wire_client::half_close() {
    socket_.half_close();
}
void wire_client::close() {
    socket_.close();
}
void wire_client::reset() {
    socket_.reset();
}
int wire_client::fd() const noexcept {
    return socket_.fd();
}

void send_cancel(std::uint16_t port, std::uint32_t pid, std::uint32_t secret) {
    wire_client c(port);
    c.send(wire::cancel_request(pid, secret));
    static_cast<void>(c.read_to_end());
}

void send_cancel(std::uint16_t port, std::uint32_t pid, std::string_view key) {
    wire_client c(port);
    c.send(wire::cancel_request(pid, key));
    static_cast<void>(c.read_to_end());
}

}  // namespace sallyport::tests
