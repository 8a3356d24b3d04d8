#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

/// Keys and certificates made when a test runs, in a folder that goes away with it.
namespace sallyport::proxy::net::testing {

/// A fresh folder, removed at the end.
class temporary_folder {
  public:
    temporary_folder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "sallyport-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp");
        path_ = pattern;
    }
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;

    [[nodiscard]] std::string file(std::string_view name) const {
        return path_ + "/" + std::string(name);
    }
    std::string write(std::string_view name, std::string_view text, mode_t mode = 0600) const {
        const auto path = file(name);
        std::ofstream(path, std::ios::binary) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

struct name_part {
    const char* type;
    std::string value;
};

/// What a certificate is to say; the defaults make a server for 127.0.0.1 and localhost.
struct certificate_options {
    std::vector<name_part> subject{{"O", "Example"}, {"CN", "localhost"}};
    std::string alternative_names = "DNS:localhost,IP:127.0.0.1";
    long valid_from_s = -3600;
    long valid_until_s = 3600;
    bool is_ca = false;
    std::string key_type = "EC";    ///< or RSA, RSA-PSS, ED25519, ED448
    std::string digest = "SHA256";  ///< of the signature; no meaning for ED25519 and ED448
};

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using certificate_ptr = std::unique_ptr<X509, decltype(&X509_free)>;

/// A key with its certificate.
struct identity {
    key_ptr key{nullptr, EVP_PKEY_free};
    certificate_ptr certificate{nullptr, X509_free};
};

inline void add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    auto* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    if (extension == nullptr) throw std::runtime_error("extension " + value);
    X509_add_ext(to, extension, -1);
    X509_EXTENSION_free(extension);
}

inline key_ptr make_key(const std::string& type) {
    std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> c(
        EVP_PKEY_CTX_new_from_name(nullptr, type.c_str(), nullptr), EVP_PKEY_CTX_free);
    EVP_PKEY* key = nullptr;
    if (!c || EVP_PKEY_keygen_init(c.get()) != 1 ||
        (type == "EC" && EVP_PKEY_CTX_set_group_name(c.get(), "P-256") != 1) ||
        (type.starts_with("RSA") && EVP_PKEY_CTX_set_rsa_keygen_bits(c.get(), 2048) != 1) ||
        EVP_PKEY_generate(c.get(), &key) != 1)
        throw std::runtime_error("no key of type " + type);
    return {key, EVP_PKEY_free};
}

/// Signed by `issuer`, or by itself.
inline identity make_identity(const certificate_options& o, const identity* issuer = nullptr) {
    identity made;
    made.key = make_key(o.key_type);
    made.certificate.reset(X509_new());
    auto* x = made.certificate.get();
    X509_set_version(x, 2);
    static long serial = 1;
    ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x), o.valid_from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), o.valid_until_s);
    X509_set_pubkey(x, made.key.get());
    auto* name = X509_get_subject_name(x);
    for (const auto& [type, value] : o.subject)
        X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(value.data()),
                                   static_cast<int>(value.size()), -1, 0);
    auto* signer = issuer != nullptr ? issuer->certificate.get() : x;
    X509_set_issuer_name(x, X509_get_subject_name(signer));
    add_extension(x, signer, NID_basic_constraints,
                  o.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (!o.is_ca && !o.alternative_names.empty())
        add_extension(x, signer, NID_subject_alt_name, o.alternative_names);
    auto* signing = issuer != nullptr ? issuer->key.get() : made.key.get();
    const bool hashless = EVP_PKEY_is_a(signing, "ED25519") || EVP_PKEY_is_a(signing, "ED448");
    if (X509_sign(x, signing, hashless ? nullptr : EVP_get_digestbyname(o.digest.c_str())) == 0)
        throw std::runtime_error("X509_sign");
    return made;
}

inline std::string pem_of(X509* certificate) {
    std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_X509(out.get(), certificate);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

inline std::string pem_of(EVP_PKEY* key) {
    std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

/// A CA and what it signed, as files: ca.crt, NAME.crt, NAME.key.
class certificate_folder {
  public:
    certificate_folder() : ca_(make_identity({{{"CN", "Test CA"}}, "", -3600, 3600, true})) {
        folder_.write("ca.crt", pem_of(ca_.certificate.get()));
    }
    void issue(const std::string& name, const certificate_options& o = {}) const {
        save(name, make_identity(o, &ca_));
    }
    void self_sign(const std::string& name, const certificate_options& o = {}) const {
        save(name, make_identity(o));
    }
    [[nodiscard]] std::string ca() const { return folder_.file("ca.crt"); }
    [[nodiscard]] std::string certificate(const std::string& name) const {
        return folder_.file(name + ".crt");
    }
    [[nodiscard]] std::string key(const std::string& name) const {
        return folder_.file(name + ".key");
    }
    [[nodiscard]] const temporary_folder& folder() const { return folder_; }

  private:
    void save(const std::string& name, const identity& made) const {
        folder_.write(name + ".crt", pem_of(made.certificate.get()));
        folder_.write(name + ".key", pem_of(made.key.get()));
    }
    temporary_folder folder_;
    identity ca_;
};

}  // namespace sallyport::proxy::net::testing
