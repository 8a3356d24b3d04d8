#include "tests/support/scram.h"

#include <array>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

namespace sallyport::tests {
namespace {

constexpr std::size_t digest_bytes = 32;

const unsigned char* bytes_of(std::string_view s) {
    return static_cast<const unsigned char*>(static_cast<const void*>(s.data()));
}

std::string text_of(const std::array<unsigned char, digest_bytes>& digest) {
    return {digest.begin(), digest.end()};
}

std::string sha256(std::string_view input) {
    std::array<unsigned char, digest_bytes> digest{};
    SHA256(bytes_of(input), input.size(), digest.data());
    return text_of(digest);
}

std::string hmac(std::string_view key, std::string_view input) {
    std::array<unsigned char, digest_bytes> digest{};
    unsigned size = digest_bytes;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(input), input.size(),
         digest.data(), &size);
    return text_of(digest);
}

std::string salted(const std::string& password, const std::string& salt, int iterations) {
    std::array<unsigned char, digest_bytes> digest{};
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                      static_cast<int>(salt.size()), iterations, EVP_sha256(), digest_bytes,
                      digest.data());
    return text_of(digest);
}

std::string attribute(const std::string& message, char name) {
    std::size_t at = 0;
    while (at < message.size()) {
        const auto end = std::min(message.find(',', at), message.size());
        if (message[at] == name && at + 1 < message.size() && message[at + 1] == '=')
            return message.substr(at + 2, end - at - 2);
        at = end + 1;
    }
    throw std::runtime_error(std::string("SCRAM message without ") + name + "=: " + message);
}

}  // namespace

std::string base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int n = EVP_EncodeBlock(static_cast<unsigned char*>(static_cast<void*>(out.data())),
                                  bytes_of(bytes), static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(n));
    return out;
}

std::string from_base64(const std::string& text) {
    std::string out(text.size() / 4 * 3 + 3, '\0');
    const int n = EVP_DecodeBlock(static_cast<unsigned char*>(static_cast<void*>(out.data())),
                                  bytes_of(text), static_cast<int>(text.size()));
    if (n < 0) throw std::runtime_error("not base64: " + text);
    auto size = static_cast<std::size_t>(n);
    for (auto it = text.rbegin(); it != text.rend() && *it == '='; ++it)
        --size;
    out.resize(size);
    return out;
}

std::string scram_verifier(const std::string& password, int iterations) {
    const std::string salt = sha256("salt of " + password).substr(0, 16);
    const std::string key = salted(password, salt, iterations);
    return "SCRAM-SHA-256$" + std::to_string(iterations) + ":" + base64(salt) + "$" +
           base64(sha256(hmac(key, "Client Key"))) + ":" + base64(hmac(key, "Server Key"));
}

scram_client::scram_client(std::string password, std::string nonce)
    : password_(std::move(password)), nonce_(std::move(nonce)) {}

std::string scram_client::first() const {
    return gs2_header_ + "n=,r=" + nonce_;
}

std::string scram_client::final(const std::string& server_first) {
    const std::string nonce = attribute(server_first, 'r');
    if (nonce.rfind(nonce_, 0) != 0) throw std::runtime_error("the server changed the nonce");
    const std::string key = salted(password_, from_base64(attribute(server_first, 's')),
                                   std::stoi(attribute(server_first, 'i')));
    const std::string without_proof = "c=" + base64(gs2_header_ + end_point_) + ",r=" + nonce;
    const std::string all = "n=,r=" + nonce_ + "," + server_first + "," + without_proof;
    std::string proof = hmac(key, "Client Key");
    const std::string signature = hmac(sha256(proof), all);
    for (std::size_t i = 0; i < proof.size(); ++i)
        proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    server_signature_ = hmac(hmac(key, "Server Key"), all);
    return without_proof + ",p=" + base64(proof);
}

bool scram_client::verify(const std::string& server_final) const {
    return server_final.rfind("v=", 0) == 0 &&
           attribute(server_final, 'v') == base64(server_signature_);
}

}  // namespace sallyport::tests
