#include "proxy/audit/keys.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sallyport::proxy::audit {

namespace {

using key_ptr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using bio_ptr = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string errno_text() {
    return std::error_code(errno, std::generic_category()).message();
}

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw std::runtime_error("audit signing key " + path + ": " + what);
}

/// Closes a descriptor when the scope ends.
struct descriptor {
    int fd = -1;
    ~descriptor() {
        if (fd >= 0) ::close(fd);
    }
};

void write_new_file(const std::string& path, const std::string& text, mode_t mode) {
    const descriptor file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)};
    if (file.fd < 0) fail(path, "cannot be made: " + errno_text());
    std::size_t written = 0;
    while (written < text.size()) {
        const auto n = ::write(file.fd, text.data() + written, text.size() - written);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) fail(path, "cannot be written: " + errno_text());
        written += static_cast<std::size_t>(n);
    }
    if (::fsync(file.fd) != 0) fail(path, "cannot be synced: " + errno_text());
}

std::string bio_text(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

/// The first 16 hex digits of SHA-256 over the raw public key.
std::string key_id(EVP_PKEY* key) {
    std::array<unsigned char, 32> raw{};
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != raw.size())
        throw std::runtime_error("not an Ed25519 key");
    std::array<unsigned char, 32> digest{};
    if (EVP_Digest(raw.data(), raw.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("SHA-256 is not available from OpenSSL");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string id;
    for (std::size_t i = 0; i < 8; ++i) {
        id += digits[digest[i] >> 4];
        id += digits[digest[i] & 0xFu];
    }
    return id;
}

std::string public_text(EVP_PKEY* key) {
    const bio_ptr bio(BIO_new(BIO_s_mem()), &BIO_free);
    if (!bio || PEM_write_bio_PUBKEY(bio.get(), key) != 1)
        throw std::runtime_error("cannot write the public key as PEM");
    return bio_text(bio.get());
}

key_ptr read_secret(const std::string& path, int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) fail(path, errno_text());
    if (!S_ISREG(info.st_mode)) fail(path, "is not a regular file");
    if ((info.st_mode & 077) != 0)
        fail(path, "can be read or written by others than its owner; run: chmod 600 " + path);
    std::array<char, 4096> text{};
    const auto size = ::read(fd, text.data(), text.size());
    if (size < 0) fail(path, errno_text());
    const bio_ptr bio(BIO_new_mem_buf(text.data(), static_cast<int>(size)), &BIO_free);
    // An empty pass phrase instead of the prompt OpenSSL would otherwise show on the terminal.
    char no_pass_phrase[] = "";
    key_ptr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, no_pass_phrase),
                &EVP_PKEY_free);
    OPENSSL_cleanse(text.data(), text.size());
    if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
        fail(path, "is not an unencrypted Ed25519 key in PEM; move it away and one will be made");
    return key;
}

key_ptr make_secret(const std::string& path) {
    key_ptr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), &EVP_PKEY_free);
    const bio_ptr bio(BIO_new(BIO_s_secmem()), &BIO_free);
    if (!key || !bio ||
        PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        fail(path, "OpenSSL cannot make an Ed25519 key");
    auto text = bio_text(bio.get());
    write_new_file(path, text, 0600);
    OPENSSL_cleanse(text.data(), text.size());
    return key;
}

}  // namespace

struct signing_key::impl {
    key_ptr key;
    std::string id;
};

signing_key::signing_key(std::unique_ptr<impl> i) noexcept : impl_(std::move(i)) {}
signing_key::signing_key(signing_key&&) noexcept = default;
signing_key& signing_key::operator=(signing_key&&) noexcept = default;
signing_key::~signing_key() = default;

signing_key signing_key::load_or_create(const std::string& path) {
    if (path.empty()) throw std::runtime_error("audit signing key: no path is configured");
    const descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    key_ptr key(nullptr, &EVP_PKEY_free);
    if (file.fd >= 0) {
        key = read_secret(path, file.fd);
    } else if (errno == ENOENT) {
        key = make_secret(path);
    } else if (errno == ELOOP) {
        fail(path, "is a symbolic link; name the file itself");
    } else {
        fail(path, "cannot be opened: " + errno_text());
    }
    const auto public_path = path + ".pub";
    // Made when missing (also after a crash between the two files), never overwritten: a public key
    // that somebody has copied must not change behind her back.
    std::error_code ignored;
    if (!std::filesystem::exists(public_path, ignored))
        write_new_file(public_path, public_text(key.get()), 0644);
    auto id = key_id(key.get());
    return signing_key(std::make_unique<impl>(impl{std::move(key), std::move(id)}));
}

std::string signing_key::sign(std::string_view message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    std::array<unsigned char, 64> signature{};
    std::size_t size = signature.size();
    if (!context ||
        EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, impl_->key.get()) != 1 ||
        EVP_DigestSign(context.get(), signature.data(), &size,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) != 1)
        throw std::runtime_error("OpenSSL cannot sign with the audit key");
    std::array<unsigned char, 89> text{};  // 64 bytes are 88 digits, and a NUL
    EVP_EncodeBlock(text.data(), signature.data(), static_cast<int>(size));
    return {text.begin(), text.begin() + 88};
}

std::string signing_key::public_pem() const {
    return public_text(impl_->key.get());
}
const std::string& signing_key::id() const noexcept {
    return impl_->id;
}

struct public_key::impl {
    key_ptr key;
    std::string id;
};

public_key::public_key(std::string_view pem) {
    const bio_ptr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free);
    key_ptr key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr) : nullptr,
                &EVP_PKEY_free);
    if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
        throw std::runtime_error(
            "the public key is not an Ed25519 key in PEM (\"-----BEGIN PUBLIC KEY-----\"); it "
            "stands "
            "beside the signing key as PATH.pub");
    auto id = key_id(key.get());
    impl_ = std::make_unique<impl>(impl{std::move(key), std::move(id)});
}
public_key::public_key(public_key&&) noexcept = default;
public_key& public_key::operator=(public_key&&) noexcept = default;
public_key::~public_key() = default;

bool public_key::verify(std::string_view message, std::string_view signature_base64) const {
    if (signature_base64.size() != 88) return false;
    std::array<unsigned char, 66> signature{};  // 88 digits decode to 66 bytes, 2 of them padding
    const auto decoded = EVP_DecodeBlock(
        signature.data(), reinterpret_cast<const unsigned char*>(signature_base64.data()), 88);
    if (decoded != 66 || !signature_base64.ends_with("==")) return false;
    // The last digit has four bits to spare: only one text is a signature's.
    std::array<unsigned char, 89> again{};
    EVP_EncodeBlock(again.data(), signature.data(), 64);
    if (std::memcmp(again.data(), signature_base64.data(), 88) != 0) return false;
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    return context &&
           EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, impl_->key.get()) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), 64,
                            reinterpret_cast<const unsigned char*>(message.data()),
                            message.size()) == 1;
}

const std::string& public_key::id() const noexcept {
    return impl_->id;
}

}  // namespace sallyport::proxy::audit
