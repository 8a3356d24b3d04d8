#include <nlohmann/json.hpp>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "proxy/auth/base64url.h"
#include "proxy/auth/jwt.h"
#include "proxy/file.h"

/// Key sets: JSON → OpenSSL's keys.
namespace sallyport::proxy::auth {
namespace {

using nlohmann::json;
using pkey_ptr = std::shared_ptr<EVP_PKEY>;
using bn_ptr = std::unique_ptr<BIGNUM, decltype(&BN_free)>;

constexpr int rsa_bits_min = 2048;
constexpr int rsa_bits_max = 8192;

std::string member(const json& j, const char* name) {
    const auto at = j.find(name);
    return at != j.end() && at->is_string() ? at->get<std::string>() : std::string();
}

bn_ptr number(const std::string& bytes) {
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    return {BN_bin2bn(data, static_cast<int>(bytes.size()), nullptr), &BN_free};
}

/// Makes a key of its parameters and has OpenSSL check that it is a sound one; null otherwise.
pkey_ptr make_key(const char* type, OSSL_PARAM_BLD* build) {
    const std::unique_ptr<OSSL_PARAM, decltype(&OSSL_PARAM_free)> parameters(
        OSSL_PARAM_BLD_to_param(build), &OSSL_PARAM_free);
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(
        EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr), &EVP_PKEY_CTX_free);
    EVP_PKEY* made = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1) {
        ERR_clear_error();
        return nullptr;
    }
    pkey_ptr key(made, &EVP_PKEY_free);
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> check(
        EVP_PKEY_CTX_new(made, nullptr), &EVP_PKEY_CTX_free);
    const bool sound = check && EVP_PKEY_public_check(check.get()) == 1;
    ERR_clear_error();
    return sound ? key : nullptr;
}

pkey_ptr rsa_key(const json& j) {
    const auto n = from_base64url(member(j, "n"));
    const auto e = from_base64url(member(j, "e"));
    if (!n || !e || n->empty() || e->empty() || e->size() > 8) return nullptr;
    const auto modulus = number(*n);
    const auto exponent = number(*e);
    if (!modulus || !exponent || BN_num_bits(modulus.get()) < rsa_bits_min ||
        BN_num_bits(modulus.get()) > rsa_bits_max)
        return nullptr;
    const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> build(
        OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free);
    if (!build || OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(build.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get()) != 1)
        return nullptr;
    return make_key("RSA", build.get());
}

pkey_ptr p256_key(const json& j) {
    const auto x = from_base64url(member(j, "x"));
    const auto y = from_base64url(member(j, "y"));
    if (member(j, "crv") != "P-256" || !x || !y || x->size() != 32 || y->size() != 32)
        return nullptr;
    const auto point = "\x04" + *x + *y;
    const std::unique_ptr<OSSL_PARAM_BLD, decltype(&OSSL_PARAM_BLD_free)> build(
        OSSL_PARAM_BLD_new(), &OSSL_PARAM_BLD_free);
    if (!build ||
        OSSL_PARAM_BLD_push_utf8_string(build.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) !=
            1 ||
        OSSL_PARAM_BLD_push_octet_string(build.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1)
        return nullptr;
    return make_key("EC", build.get());
}

pkey_ptr ed25519_key(const json& j) {
    const auto x = from_base64url(member(j, "x"));
    if (member(j, "crv") != "Ed25519" || !x || x->size() != 32) return nullptr;
    return {
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                    reinterpret_cast<const unsigned char*>(x->data()), x->size()),
        &EVP_PKEY_free};
}

/// Whether the key is meant to verify signatures, as far as it says.
bool for_signatures(const json& j) {
    if (j.contains("use") && member(j, "use") != "sig") return false;
    const auto ops = j.find("key_ops");
    if (ops == j.end()) return true;
    return ops->is_array() && std::find(ops->begin(), ops->end(), json("verify")) != ops->end();
}

std::optional<jwk_set::key> read_key(const json& j) {
    struct kind {
        const char* kty;
        const char* alg;
        jwt_algorithm algorithm;
        pkey_ptr (*make)(const json&);
    };
    static constexpr kind kinds[] = {{"RSA", "RS256", jwt_algorithm::rs256, rsa_key},
                                     {"EC", "ES256", jwt_algorithm::es256, p256_key},
                                     {"OKP", "EdDSA", jwt_algorithm::eddsa, ed25519_key}};
    if (!for_signatures(j)) return std::nullopt;
    for (const auto& k : kinds) {
        if (member(j, "kty") != k.kty) continue;
        if (j.contains("alg") && member(j, "alg") != k.alg) return std::nullopt;
        auto handle = k.make(j);
        if (!handle) return std::nullopt;
        return jwk_set::key{member(j, "kid"), k.algorithm, std::move(handle)};
    }
    return std::nullopt;
}

}  // namespace

jwk_set::parsed jwk_set::parse(std::string_view text) {
    const auto refuse = [](std::string why) { return parsed{nullptr, std::move(why)}; };
    if (text.size() > jwks_bytes_max) return refuse("it has more than 256 KiB");
    const auto j = json::parse(text.begin(), text.end(), nullptr, false);
    if (!j.is_object() || !j.contains("keys") || !j.at("keys").is_array())
        return refuse("it is no key set: a JSON object with a list of \"keys\"");
    const auto& keys = j.at("keys");
    if (keys.size() > jwks_keys_max)
        return refuse("it has more than " + std::to_string(jwks_keys_max) + " keys");
    const auto set = std::make_shared<jwk_set>();
    for (const auto& one : keys) {
        if (!one.is_object()) return refuse("one of its keys is no JSON object");
        if (one.contains("d") || one.contains("k"))
            return refuse(
                "it has a private or a shared key, which must stay where tokens are signed; take "
                "the public set");
        if (auto key = read_key(one)) {
            if (set->find(key->kid, key->algorithm) != nullptr && !key->kid.empty())
                return refuse("two of its keys have the same \"kid\"");
            set->keys_.push_back(std::move(*key));
        }
    }
    if (set->keys_.empty())
        return refuse(
            "it has no key for RS256 (2048 bits or more), ES256 or EdDSA (Ed25519) signatures");
    return {set, {}};
}

jwk_set::parsed jwk_set::load(const std::string& path) {
    std::string error;
    const auto text = read_file(path, jwks_bytes_max, error);
    if (!text) return {nullptr, "it cannot be read: " + error};
    return parse(*text);
}

const jwk_set::key* jwk_set::find(std::string_view kid, jwt_algorithm algorithm) const {
    const key* found = nullptr;
    for (const auto& k : keys_) {
        if (k.algorithm != algorithm || (!kid.empty() && k.kid != kid)) continue;
        if (!kid.empty()) return &k;
        if (found != nullptr) return nullptr;
        found = &k;
    }
    return found;
}

}  // namespace sallyport::proxy::auth
