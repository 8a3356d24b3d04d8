#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "proxy/auth/base64url.h"

/// A login service in a few lines: keys, key sets and the tokens that it signs.
namespace sallyport::tests {

using proxy::auth::to_base64url;

/// One signing key; `type` is RSA, EC (P-256) or ED25519.
class jwt_signer {
  public:
    jwt_signer(std::string kid, const std::string& type, unsigned rsa_bits = 2048)
        : kid_(std::move(kid)), type_(type) {
        EVP_PKEY* made = type == "RSA"  ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA",
                                                            static_cast<std::size_t>(rsa_bits))
                         : type == "EC" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                                        : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
        if (made == nullptr) throw std::runtime_error("no key of type " + type);
        key_.reset(made, &EVP_PKEY_free);
    }

    [[nodiscard]] std::string algorithm() const {
        return type_ == "RSA" ? "RS256" : type_ == "EC" ? "ES256" : "EdDSA";
    }

    /// The public half as a member of a key set.
    [[nodiscard]] nlohmann::json jwk() const {
        nlohmann::json j{{"kid", kid_}, {"use", "sig"}, {"alg", algorithm()}};
        if (type_ == "RSA") {
            j["kty"] = "RSA";
            j["n"] = to_base64url(number(OSSL_PKEY_PARAM_RSA_N));
            j["e"] = to_base64url(number(OSSL_PKEY_PARAM_RSA_E));
        } else if (type_ == "EC") {
            j["kty"] = "EC";
            j["crv"] = "P-256";
            j["x"] = to_base64url(padded(number(OSSL_PKEY_PARAM_EC_PUB_X)));
            j["y"] = to_base64url(padded(number(OSSL_PKEY_PARAM_EC_PUB_Y)));
        } else {
            std::string raw(32, '\0');
            std::size_t size = raw.size();
            EVP_PKEY_get_raw_public_key(key_.get(), bytes_of(raw), &size);
            j["kty"] = "OKP";
            j["crv"] = "Ed25519";
            j["x"] = to_base64url(raw);
        }
        return j;
    }

    [[nodiscard]] std::string token(const nlohmann::json& claims) const {
        return token({{"alg", algorithm()}, {"kid", kid_}, {"typ", "JWT"}}, claims.dump());
    }
    [[nodiscard]] std::string token(const nlohmann::json& header, const std::string& claims) const {
        const auto text = to_base64url(header.dump()) + "." + to_base64url(claims);
        return text + "." + to_base64url(sign(text));
    }

    [[nodiscard]] std::string sign(const std::string& text) const {
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                              &EVP_MD_CTX_free);
        std::size_t size = 0;
        const auto* data = reinterpret_cast<const unsigned char*>(text.data());
        EVP_DigestSignInit(context.get(), nullptr, type_ == "ED25519" ? nullptr : EVP_sha256(),
                           nullptr, key_.get());
        EVP_DigestSign(context.get(), nullptr, &size, data, text.size());
        std::string out(size, '\0');
        if (EVP_DigestSign(context.get(), bytes_of(out), &size, data, text.size()) != 1)
            throw std::runtime_error("cannot sign");
        out.resize(size);
        return type_ == "EC" ? two_numbers(out) : out;
    }

  private:
    static unsigned char* bytes_of(std::string& s) {
        return reinterpret_cast<unsigned char*>(s.data());
    }
    [[nodiscard]] std::string number(const char* name) const {
        BIGNUM* value = nullptr;
        if (EVP_PKEY_get_bn_param(key_.get(), name, &value) != 1)
            throw std::runtime_error(std::string("no ") + name);
        std::string out(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
        BN_bn2bin(value, bytes_of(out));
        BN_free(value);
        return out;
    }
    static std::string padded(const std::string& bytes) {
        return std::string(32 - bytes.size(), '\0') + bytes;
    }
    static std::string two_numbers(const std::string& der) {
        const auto* at = reinterpret_cast<const unsigned char*>(der.data());
        const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> both(
            d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())), &ECDSA_SIG_free);
        std::string out(64, '\0');
        BN_bn2binpad(ECDSA_SIG_get0_r(both.get()), bytes_of(out), 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(both.get()), bytes_of(out) + 32, 32);
        return out;
    }

    std::string kid_;
    std::string type_;
    std::shared_ptr<EVP_PKEY> key_;
};

/// The key set of these signers as text.
template <class... Signers>
[[nodiscard]] std::string key_set_of(const Signers&... all) {
    nlohmann::json keys = nlohmann::json::array();
    (keys.push_back(all.jwk()), ...);
    return nlohmann::json{{"keys", keys}}.dump();
}

}  // namespace sallyport::tests
