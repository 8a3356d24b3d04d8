#include <array>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/admin/server.h"
#include "tests/unit/admin/world.h"
#include "tests/unit/net/certificates.h"

namespace sallyport::proxy::admin::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What a TLS client that offers these protocols gets for one request; "" when there is no session.
std::string ask(std::uint16_t port, const std::string& alpn, int version_max = 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::string seen;
    auto* const context = SSL_CTX_new(TLS_client_method());
    if (version_max != 0) {
        SSL_CTX_set_security_level(context, 0);
        SSL_CTX_set_max_proto_version(context, version_max);
    }
    auto* const ssl = SSL_new(context);
    const std::string wire = std::string(1, static_cast<char>(alpn.size())) + alpn;
    if (!alpn.empty())
        SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(wire.data()),
                            static_cast<unsigned>(wire.size()));
    SSL_set_fd(ssl, fd);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
        SSL_connect(ssl) == 1) {
        const std::string request =
            "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        SSL_write(ssl, request.data(), static_cast<int>(request.size()));
        std::array<char, 4096> part{};
        for (int got = 0; (got = SSL_read(ssl, part.data(), static_cast<int>(part.size()))) > 0;)
            seen.append(part.data(), static_cast<std::size_t>(got));
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    ::close(fd);
    return seen;
}

/// What a new connection is shown, as PEM; "" = no handshake.
std::string certificate_of(std::uint16_t port) {
    const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* const context = SSL_CTX_new(TLS_client_method());
    auto* const ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    std::string seen;
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0 &&
        SSL_connect(ssl) == 1)
        seen = net::testing::pem_of(SSL_get0_peer_certificate(ssl));
    SSL_free(ssl);
    SSL_CTX_free(context);
    ::close(fd);
    return seen;
}

struct tls_world : world {
    tls_world() {
        const auto made = net::testing::make_identity({});
        options.tls.certificate =
            folder.write("a.crt", net::testing::pem_of(made.certificate.get()));
        options.tls.key = folder.write("a.key", net::testing::pem_of(made.key.get()));
        options.port = 0;
    }
    net::testing::temporary_folder folder;
    event_hub hub;
    server_options options;
};

TEST(admin_tls, speaks_http_and_asks_browsers_to_stay_with_tls) {
    tls_world w;
    server s(w.options, w.make(), w.hub);
    s.start();

    const auto answer = ask(s.port(), "http/1.1");

    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_THAT(answer, HasSubstr("Strict-Transport-Security"));
    EXPECT_THAT(ask(s.port(), ""), StartsWith("HTTP/1.1 200"));
}

TEST(admin_tls, client_of_another_protocol_and_old_versions_are_refused) {
    tls_world w;
    server s(w.options, w.make(), w.hub);
    s.start();

    EXPECT_EQ(ask(s.port(), "postgresql"), "");
    EXPECT_EQ(ask(s.port(), "http/1.1", TLS1_1_VERSION), "");
}

TEST(admin_tls, unreadable_files_are_named_and_a_bad_reload_changes_nothing) {
    tls_world w;
    server s(w.options, w.make(), w.hub);
    s.start();
    EXPECT_EQ(s.reload_tls(w.options.tls.certificate, w.options.tls.key), "");

    w.folder.write("a.key", "nonsense");

    EXPECT_THAT(s.reload_tls(w.options.tls.certificate, w.options.tls.key), HasSubstr("a.key"));
    EXPECT_THAT(ask(s.port(), "http/1.1"), StartsWith("HTTP/1.1 200"));
    EXPECT_THROW(server(w.options, w.make(), w.hub), std::runtime_error);
}

TEST(admin_tls, other_files_are_shown_to_connections_from_then_on) {
    tls_world w;
    server s(w.options, w.make(), w.hub);
    s.start();
    const auto before = certificate_of(s.port());
    const auto made = net::testing::make_identity({});
    const auto certificate = w.folder.write("b.crt", net::testing::pem_of(made.certificate.get()));
    const auto key = w.folder.write("b.key", net::testing::pem_of(made.key.get()));

    EXPECT_EQ(s.reload_tls(certificate, key), "");

    EXPECT_EQ(certificate_of(s.port()), net::testing::pem_of(made.certificate.get()));
    EXPECT_NE(before, certificate_of(s.port()));
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
