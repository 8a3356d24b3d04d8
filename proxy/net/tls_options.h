#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// What a configuration says about TLS: plain values without OpenSSL.
namespace sallyport::proxy::net {

/// disable: SSLRequest is answered N. prefer: TLS if the client asks. require: no startup in clear.
/// mutual: require, and the client's certificate is the identity.
enum class server_tls_mode : std::uint8_t { disable, prefer, require, mutual };

/// As libpq's sslmode. With a `ca`, the chain is verified in every mode but disable.
enum class client_tls_mode : std::uint8_t { disable, prefer, require, verify_ca, verify_full };

/// How TLS begins towards a server, as libpq's sslnegotiation. postgres: an SSLRequest and its
/// answer come first. direct: with the first byte (PostgreSQL 17), and ALPN is a must.
enum class tls_negotiation : std::uint8_t { postgres, direct };

[[nodiscard]] const char* to_string(server_tls_mode m) noexcept;
[[nodiscard]] const char* to_string(client_tls_mode m) noexcept;
[[nodiscard]] bool parse_server_tls_mode(std::string_view text, server_tls_mode& out) noexcept;
[[nodiscard]] bool parse_client_tls_mode(std::string_view text, client_tls_mode& out) noexcept;

struct server_tls_options {
    server_tls_mode mode = server_tls_mode::disable;
    std::string certificate;          ///< PEM file, leaf first, then its chain
    std::string key;                  ///< PEM file, see secret_file_fault()
    std::string client_ca;            ///< PEM file; mutual only
    std::string alpn = "postgresql";  ///< the one protocol accepted when the client names any
};

struct client_tls_options {
    client_tls_mode mode = client_tls_mode::verify_full;
    std::string ca;           ///< PEM file; "" = the system's store for verify_ca and verify_full
    std::string certificate;  ///< our own certificate towards the server, "" = none
    std::string key;
    tls_negotiation negotiation = tls_negotiation::postgres;
};

}  // namespace sallyport::proxy::net
