#include "proxy/notify/sign.h"

#include <array>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace sallyport::proxy::notify {

std::string hmac_sha256_hex(std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
    unsigned size = 0;
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(),
             &size) == nullptr)
        throw std::runtime_error("HMAC-SHA256 is not available");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
        out += digits[mac[i] >> 4U];
        out += digits[mac[i] & 15U];
    }
    return out;
}

std::string signature(std::string_view key, std::int64_t unix_seconds, std::string_view body) {
    const auto t = std::to_string(unix_seconds);
    std::string signed_text = t + ".";
    signed_text += body;
    return "t=" + t + ",v1=" + hmac_sha256_hex(key, signed_text);
}

}  // namespace sallyport::proxy::notify
