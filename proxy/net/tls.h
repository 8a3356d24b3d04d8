#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "proxy/net/tls_options.h"

struct ssl_ctx_st;  // OpenSSL's SSL_CTX
struct ssl_st;      // OpenSSL's SSL
struct x509_st;     // OpenSSL's X509

/// TLS contexts for both sides: immutable once loaded, shared by all workers.
namespace sallyport::proxy::net {

/// A certificate, key or CA that cannot be used; what() is one line: which file, why, what to do.
class tls_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// What a finished handshake established about the peer.
struct tls_info {
    std::string version;      ///< "TLSv1.3"
    std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
    std::string alpn;         ///< agreed protocol, "" = the peer named none
    bool verified = false;    ///< the peer presented a certificate and its chain was verified
    std::string subject;      ///< RFC 2253, UTF-8 not escaped; "" = no certificate
    std::string common_name;  ///< the last CN of the subject, "" = none
    /// end_point_digest() of the certificate that the server of THIS connection showed, whatever
    /// has been loaded since. "" = none to bind to.
    std::string end_point;
};

/// The certificate in DER, hashed as RFC 5929 says for `tls-server-end-point`: with the hash of its
/// own signature, and SHA-256 where that is MD5 or SHA-1. Raw bytes; "" if the signature has no
/// hash of its own (Ed25519, Ed448): nothing can be bound to such a certificate.
[[nodiscard]] std::string end_point_digest(const x509_st* certificate);

/// The server's side (towards clients): TLS >= 1.2, no renegotiation, compression, tickets or
/// session cache, records of at most 8 KiB, ALPN `postgresql` or none. Concurrency: immutable; any
/// thread.
class server_tls {
  public:
    /// Loads and checks certificate, key (match, permissions) and CA. `mode` must not be disable.
    /// Errors: throws tls_error.
    [[nodiscard]] static std::shared_ptr<const server_tls> load(const server_tls_options& o);
    ~server_tls();
    server_tls(const server_tls&) = delete;
    server_tls& operator=(const server_tls&) = delete;

    [[nodiscard]] server_tls_mode mode() const noexcept { return options_.mode; }
    [[nodiscard]] const server_tls_options& options() const noexcept { return options_; }
    /// False if SCRAM cannot be bound to the certificate: see end_point_digest().
    [[nodiscard]] bool can_bind() const;
    /// Owned by this object; SSL objects made of it keep their own reference.
    [[nodiscard]] ssl_ctx_st* native_handle() const noexcept { return context_; }

  private:
    server_tls(server_tls_options o, ssl_ctx_st* c) : options_(std::move(o)), context_(c) {}
    server_tls_options options_;
    ssl_ctx_st* context_;
};

/// The client's side (towards upstreams).
class client_tls {
  public:
    /// Errors: throws tls_error. `mode` must not be disable.
    [[nodiscard]] static std::shared_ptr<const client_tls> load(const client_tls_options& o);
    ~client_tls();
    client_tls(const client_tls&) = delete;
    client_tls& operator=(const client_tls&) = delete;

    [[nodiscard]] client_tls_mode mode() const noexcept { return options_.mode; }
    /// True if the chain is verified: only then may a cleartext password be sent over it.
    [[nodiscard]] bool verifies() const noexcept;
    [[nodiscard]] const client_tls_options& options() const noexcept { return options_; }
    [[nodiscard]] ssl_ctx_st* native_handle() const noexcept { return context_; }

  private:
    client_tls(client_tls_options o, ssl_ctx_st* c) : options_(std::move(o)), context_(c) {}
    client_tls_options options_;
    ssl_ctx_st* context_;
};

/// Reads what a handshake established.
/// Errors: nullopt if the peer's certificate has a NUL in its subject (an old trick to end a name
///         early) or a subject that cannot be printed: close the connection.
[[nodiscard]] std::optional<tls_info> inspect_peer(ssl_st* ssl);

/// The newest snapshot of something that is reloaded whole; live connections keep the one they
/// have.
template <class T>
class snapshot {
  public:
    explicit snapshot(std::shared_ptr<const T> value = nullptr) : value_(std::move(value)) {}
    [[nodiscard]] std::shared_ptr<const T> get() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }
    void set(std::shared_ptr<const T> value) {
        const std::lock_guard lock(mutex_);
        value_.swap(value);
    }

  private:
    mutable std::mutex mutex_;
    std::shared_ptr<const T> value_;
};

}  // namespace sallyport::proxy::net
