#include "proxy/net/tls.h"

#include <array>
#include <cstring>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "proxy/net/secret_file.h"

namespace sallyport::proxy::net {
namespace {

struct context_deleter {
    void operator()(SSL_CTX* c) const noexcept { SSL_CTX_free(c); }
};
using context_ptr = std::unique_ptr<SSL_CTX, context_deleter>;

// Forward secrecy and authenticated encryption only; TLS 1.3 suites are all of that kind.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

std::string openssl_cause() {
    // The oldest entry names the cause; later ones only say who was passing it on.
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "unknown cause";
    if (const char* reason = ERR_reason_error_string(code); reason != nullptr) return reason;
    std::array<char, 160> text{};
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

[[noreturn]] void fail(const std::string& what) {
    ERR_clear_error();
    throw tls_error(what);
}

// Without a passphrase callback OpenSSL would ask on the terminal of a daemon.
int no_passphrase(char*, int, int, void*) {
    return -1;
}

context_ptr make_context(const SSL_METHOD* method) {
    ERR_clear_error();
    context_ptr c(SSL_CTX_new(method));
    if (!c) fail("cannot set up TLS: " + openssl_cause());
    SSL_CTX_set_min_proto_version(c.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(c.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(c.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_clear_mode(c.get(), SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(c.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(c.get(), no_passphrase);
    if (SSL_CTX_set_cipher_list(c.get(), tls12_ciphers) != 1)
        fail("cannot set up TLS: no cipher is available");
    return c;
}

void load_identity(SSL_CTX* c, const std::string& certificate, const std::string& key) {
    if (certificate.empty() || key.empty())
        fail("TLS needs both a certificate and a key; give certificate: and key:");
    if (SSL_CTX_use_certificate_chain_file(c, certificate.c_str()) != 1)
        fail("cannot use certificate " + certificate + ": " + openssl_cause() +
             "; it must be a PEM file, own certificate first");
    if (auto fault = secret_file_fault(key); !fault.empty()) fail("TLS key: " + fault);
    if (SSL_CTX_use_PrivateKey_file(c, key.c_str(), SSL_FILETYPE_PEM) != 1) {
        const auto code = ERR_peek_last_error();
        if (ERR_GET_REASON(code) == X509_R_KEY_VALUES_MISMATCH)
            fail("TLS key " + key + " does not belong to certificate " + certificate +
                 "; give the pair that was made together");
        fail("cannot use TLS key " + key + ": " + openssl_cause() +
             "; it must be a PEM file without a passphrase");
    }
    if (SSL_CTX_check_private_key(c) != 1)
        fail("TLS key " + key + " does not belong to certificate " + certificate +
             "; give the pair that was made together");
}

void load_ca(SSL_CTX* c, const std::string& ca, const char* what) {
    if (SSL_CTX_load_verify_file(c, ca.c_str()) != 1)
        fail(std::string("cannot use ") + what + " " + ca + ": " + openssl_cause() +
             "; it must be a PEM file of CA certificates");
}

// A client that names protocols must name ours: this is what stops a browser or a mail client from
// being talked into speaking to us by somebody in the middle (ALPACA). Naming none is fine; the
// caller decides whether direct TLS may do so.
int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                unsigned in_size, void* arg) {
    const auto& ours = *static_cast<const std::string*>(arg);
    for (unsigned at = 0; at < in_size;) {
        const unsigned size = in[at];
        if (size == 0 || size > in_size - at - 1) break;
        if (size == ours.size() && std::memcmp(in + at + 1, ours.data(), size) == 0) {
            *out = in + at + 1;
            *out_size = static_cast<unsigned char>(size);
            return SSL_TLSEXT_ERR_OK;
        }
        at += size + 1;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

std::shared_ptr<const server_tls> server_tls::load(const server_tls_options& o) {
    if (o.mode == server_tls_mode::disable) fail("TLS is disabled here");
    auto c = make_context(TLS_server_method());
    load_identity(c.get(), o.certificate, o.key);
    SSL_CTX_set_num_tickets(c.get(), 0);
    // Small records: a client can begin to work on a row before 16 KiB of them have arrived.
    SSL_CTX_set_max_send_fragment(c.get(), 8192);
    static constexpr unsigned char session_context[] = "sallyport";
    SSL_CTX_set_session_id_context(c.get(), session_context, sizeof session_context - 1);
    if (o.mode == server_tls_mode::mutual) {
        if (o.client_ca.empty())
            fail("TLS mode mutual needs client_ca: the CA that signs client certificates");
        load_ca(c.get(), o.client_ca, "client_ca");
        if (auto* names = SSL_load_client_CA_file(o.client_ca.c_str()); names != nullptr)
            SSL_CTX_set_client_CA_list(c.get(), names);
        SSL_CTX_set_verify(c.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    std::shared_ptr<server_tls> made(new server_tls(o, c.release()));
    // The callback's argument must outlive every handshake: streams keep the server_tls alive.
    SSL_CTX_set_alpn_select_cb(made->context_, select_alpn, &made->options_.alpn);
    return made;
}

bool server_tls::can_bind() const {
    return !end_point_digest(SSL_CTX_get0_certificate(context_)).empty();
}

server_tls::~server_tls() {
    SSL_CTX_free(context_);
}

std::shared_ptr<const client_tls> client_tls::load(const client_tls_options& o) {
    if (o.mode == client_tls_mode::disable) fail("TLS is disabled here");
    auto c = make_context(TLS_client_method());
    if (!o.certificate.empty() || !o.key.empty()) load_identity(c.get(), o.certificate, o.key);
    const bool verify = !o.ca.empty() || o.mode == client_tls_mode::verify_ca ||
                        o.mode == client_tls_mode::verify_full;
    if (!o.ca.empty())
        load_ca(c.get(), o.ca, "ca");
    else if (verify && SSL_CTX_set_default_verify_paths(c.get()) != 1)
        fail("cannot read the system's CA certificates: " + openssl_cause() + "; give ca:");
    SSL_CTX_set_verify(c.get(), verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    // Servers before PostgreSQL 17 ignore it; later ones insist on nothing else.
    static constexpr unsigned char alpn[] = "\x0apostgresql";
    SSL_CTX_set_alpn_protos(c.get(), alpn, sizeof alpn - 1);
    std::shared_ptr<client_tls> made(new client_tls(o, c.release()));
    return made;
}

client_tls::~client_tls() {
    SSL_CTX_free(context_);
}

bool client_tls::verifies() const noexcept {
    return (SSL_CTX_get_verify_mode(context_) & SSL_VERIFY_PEER) != 0;
}

namespace {

// Fills subject and common_name; false if the name is not fit to be an identity.
bool read_subject(X509* certificate, tls_info& out) {
    const auto* name = X509_get_subject_name(certificate);
    for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
        const auto* entry = X509_NAME_get_entry(name, i);
        unsigned char* utf8 = nullptr;
        const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));
        if (size < 0) return false;
        const std::string text(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
        OPENSSL_free(utf8);
        if (text.find('\0') != std::string::npos) return false;
        if (OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)) == NID_commonName)
            out.common_name = text;
    }
    std::unique_ptr<BIO, int (*)(BIO*)> memory(BIO_new(BIO_s_mem()), BIO_free);
    // UTF-8 stays as it is, so that a configuration can name people as they write themselves.
    constexpr unsigned long flags =
        XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB);
    if (!memory || X509_NAME_print_ex(memory.get(), name, 0, flags) < 0) return false;
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory.get(), &data);
    if (size < 0) return false;
    out.subject.assign(data, static_cast<std::size_t>(size));
    return true;
}

}  // namespace

std::string end_point_digest(const X509* certificate) {
    int hash = NID_undef;
    // For RSA-PSS the hash stands in the parameters of the signature, which this call looks into.
    if (certificate == nullptr || X509_get_signature_info(const_cast<X509*>(certificate), &hash,
                                                          nullptr, nullptr, nullptr) != 1) {
        ERR_clear_error();
        return {};
    }
    if (hash == NID_undef) return {};
    const EVP_MD* digest =
        hash == NID_md5 || hash == NID_sha1 ? EVP_sha256() : EVP_get_digestbynid(hash);
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    if (digest == nullptr || X509_digest(certificate, digest, out.data(), &size) != 1) {
        ERR_clear_error();
        return {};
    }
    return {reinterpret_cast<const char*>(out.data()), size};
}

std::optional<tls_info> inspect_peer(SSL* ssl) {
    tls_info info;
    info.version = SSL_get_version(ssl);
    info.cipher = SSL_get_cipher_name(ssl);
    const unsigned char* alpn = nullptr;
    unsigned alpn_size = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &alpn_size);
    if (alpn != nullptr) info.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
    info.end_point = end_point_digest(SSL_is_server(ssl) == 1 ? SSL_get_certificate(ssl)
                                                              : SSL_get0_peer_certificate(ssl));
    if (auto* certificate = SSL_get0_peer_certificate(ssl); certificate != nullptr) {
        const bool asked = (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) != 0;
        info.verified = asked && SSL_get_verify_result(ssl) == X509_V_OK;
        if (!read_subject(certificate, info)) return std::nullopt;
    }
    return info;
}

}  // namespace sallyport::proxy::net
