#include "tests/support/certificates.h"

#include <stdexcept>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/support/temp_dir.h"

namespace sallyport::tests {
namespace {

template <auto F>
struct deleter {
    template <class T>
    void operator()(T* p) const noexcept {
        F(p);
    }
};
using key_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, deleter<X509_free>>;
using bio_ptr = std::unique_ptr<BIO, deleter<BIO_free_all>>;

void must(bool ok, const char* what) {
    if (ok) return;
    throw std::runtime_error(std::string("certificates: ") + what);
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    must(e != nullptr, value.c_str());
    X509_add_ext(certificate, e, -1);
    X509_EXTENSION_free(e);
}

void add_name(X509_NAME* name, const char* field, const std::string& value) {
    if (value.empty()) return;
    std::string bytes = value;
    X509_NAME_add_entry_by_txt(
        name, field, MBSTRING_UTF8,
        static_cast<const unsigned char*>(static_cast<const void*>(bytes.data())),
        static_cast<int>(bytes.size()), -1, 0);
}

certificate_ptr blank(EVP_PKEY* key, long valid_days) {
    certificate_ptr c(X509_new());
    static long serial = 1000;
    X509_set_version(c.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.get()), ++serial);
    constexpr long day_seconds = 24L * 3600;
    // Expired certificates began earlier still, so that only the end is wrong with them.
    X509_gmtime_adj(X509_getm_notBefore(c.get()), -30 * day_seconds);
    X509_gmtime_adj(X509_getm_notAfter(c.get()), valid_days * day_seconds);
    X509_set_pubkey(c.get(), key);
    return c;
}

key_ptr make_key(const std::string& type) {
    const std::unique_ptr<EVP_PKEY_CTX, deleter<EVP_PKEY_CTX_free>> c(
        EVP_PKEY_CTX_new_from_name(nullptr, type.c_str(), nullptr));
    EVP_PKEY* key = nullptr;
    must(c != nullptr && EVP_PKEY_keygen_init(c.get()) == 1, type.c_str());
    if (type == "EC") must(EVP_PKEY_CTX_set_group_name(c.get(), "P-256") == 1, type.c_str());
    if (type.starts_with("RSA"))
        must(EVP_PKEY_CTX_set_rsa_keygen_bits(c.get(), 2048) == 1, type.c_str());
    must(EVP_PKEY_generate(c.get(), &key) == 1, type.c_str());
    return key_ptr(key);
}

std::string pem_of(X509* c) {
    bio_ptr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(bio.get(), c);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(EVP_PKEY* k) {
    bio_ptr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PrivateKey(bio.get(), k, nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

}  // namespace

struct certificate_authority::impl {
    key_ptr key;
    certificate_ptr certificate;
};

certificate_authority::certificate_authority(std::string directory, const std::string& name)
    : directory_(std::move(directory)), impl_(std::make_unique<impl>()) {
    impl_->key.reset(EVP_EC_gen("P-256"));
    must(impl_->key != nullptr, "no key");
    impl_->certificate = blank(impl_->key.get(), 2);
    X509* c = impl_->certificate.get();
    add_name(X509_get_subject_name(c), "CN", "Sallyport test authority " + name);
    X509_set_issuer_name(c, X509_get_subject_name(c));
    add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign");
    must(X509_sign(c, impl_->key.get(), EVP_sha256()) > 0, "cannot sign");
    certificate_path_ = directory_ + "/" + name + ".crt";
    write_file(certificate_path_, pem_of(c), 0644);
}

certificate_authority::~certificate_authority() = default;

key_pair certificate_authority::issue(const certificate_request& request) const {
    const key_ptr key = make_key(request.key_type);
    const certificate_ptr certificate = blank(key.get(), request.valid_days);
    X509* c = certificate.get();
    add_name(X509_get_subject_name(c), "O", request.organisation);
    add_name(X509_get_subject_name(c), "CN", request.common_name);
    X509* issuer = request.self_signed ? c : impl_->certificate.get();
    EVP_PKEY* signing = request.self_signed ? key.get() : impl_->key.get();
    X509_set_issuer_name(c, X509_get_subject_name(issuer));
    add_extension(c, issuer, NID_basic_constraints, "critical,CA:FALSE");
    if (!request.alternative_names.empty())
        add_extension(c, issuer, NID_subject_alt_name, request.alternative_names);
    const EVP_MD* hash = EVP_PKEY_is_a(signing, "ED25519") == 1 ? nullptr : EVP_sha256();
    must(X509_sign(c, signing, hash) > 0, "cannot sign");

    const std::string stem = directory_ + "/" + request.file;
    write_file(stem + ".crt", pem_of(c), 0644);
    write_file(stem + ".key", pem_of(key.get()), 0600);
    return {stem + ".crt", stem + ".key"};
}

}  // namespace sallyport::tests
