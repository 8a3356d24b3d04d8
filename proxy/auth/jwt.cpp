#include "proxy/auth/jwt.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "proxy/auth/base64url.h"
#include "proxy/auth/users.h"

namespace sallyport::proxy::auth {
namespace {

using nlohmann::json;

constexpr std::size_t groups_read_max = 1000;
constexpr std::size_t audiences_max = 64;
constexpr double time_max = 253'402'300'799.0;  // the year 9999, in seconds

/// One JSON object without a member that is there twice: two readers would see two things.
std::optional<json> parse_object(std::string_view text) {
    std::vector<std::set<std::string>> seen;
    bool doubled = false;
    const json::parser_callback_t watch = [&](int, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::object_start) seen.emplace_back();
        if (event == json::parse_event_t::object_end) seen.pop_back();
        if (event == json::parse_event_t::key && !seen.empty())
            doubled = !seen.back().insert(value.get<std::string>()).second || doubled;
        return true;
    };
    auto j = json::parse(text.begin(), text.end(), watch, false);
    if (!j.is_object() || doubled) return std::nullopt;
    return j;
}

/// ES256 signs as two numbers of 32 bytes; OpenSSL wants them in DER.
std::optional<std::string> to_der(const std::string& raw) {
    if (raw.size() != 64) return std::nullopt;
    const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
    const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> both(ECDSA_SIG_new(),
                                                                     &ECDSA_SIG_free);
    BIGNUM* r = BN_bin2bn(bytes, 32, nullptr);
    BIGNUM* s = BN_bin2bn(bytes + 32, 32, nullptr);
    if (!both || r == nullptr || s == nullptr || ECDSA_SIG_set0(both.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return std::nullopt;
    }
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(both.get(), &der);
    if (size <= 0) return std::nullopt;
    std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return out;
}

bool signed_by(const jwk_set::key& key, std::string_view text, std::string signature) {
    if (key.algorithm == jwt_algorithm::es256) {
        auto der = to_der(signature);
        if (!der) return false;
        signature = std::move(*der);
    }
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    const auto* digest = key.algorithm == jwt_algorithm::eddsa ? nullptr : EVP_sha256();
    const bool good =
        context &&
        EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.handle.get()) == 1 &&
        EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                         signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                         text.size()) == 1;
    ERR_clear_error();
    return good;
}

std::optional<jwt_algorithm> algorithm_of(const json& header) {
    const auto at = header.find("alg");
    if (at == header.end() || !at->is_string()) return std::nullopt;
    if (*at == "RS256") return jwt_algorithm::rs256;
    if (*at == "ES256") return jwt_algorithm::es256;
    if (*at == "EdDSA") return jwt_algorithm::eddsa;
    return std::nullopt;
}

/// Why a header is refused; "" = it is fine, and `alg` and `kid` are filled.
std::string read_header(const json& header, jwt_algorithm& alg, std::string& kid) {
    const auto algorithm = algorithm_of(header);
    if (!algorithm) return "its algorithm is none of RS256, ES256 and EdDSA";
    alg = *algorithm;
    // What must be understood and is not, must not be passed over.
    if (header.contains("crit")) return "it has critical extensions";
    if (const auto at = header.find("typ"); at != header.end()) {
        auto typ = at->is_string() ? at->get<std::string>() : std::string();
        std::transform(typ.begin(), typ.end(), typ.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        if (typ != "jwt" && typ != "at+jwt") return "its type is none of JWT and at+jwt";
    }
    if (const auto at = header.find("kid"); at != header.end()) {
        if (!at->is_string() || at->get_ref<const std::string&>().empty())
            return "its kid is no string";
        kid = at->get<std::string>();
    }
    return {};
}

const json* claim(const json& claims, const std::string& name) {
    if (name.starts_with('/')) {
        try {
            const json::json_pointer at(name);
            return claims.contains(at) ? &claims.at(at) : nullptr;
        } catch (const json::exception&) {
            return nullptr;
        }
    }
    const auto at = claims.find(name);
    return at == claims.end() ? nullptr : &*at;
}

/// A NumericDate: seconds since 1970, with or without a fraction.
std::optional<policy::instant> time_of(const json& claims, const char* name) {
    const auto* at = claim(claims, name);
    if (at == nullptr || !at->is_number()) return std::nullopt;
    const auto seconds = at->get<double>();
    if (!std::isfinite(seconds) || seconds < 0 || seconds > time_max) return std::nullopt;
    return policy::instant(policy::milliseconds(static_cast<std::int64_t>(seconds * 1000)));
}

bool is_for(const json& claims, const std::string& audience) {
    const auto* at = claim(claims, "aud");
    if (at == nullptr) return false;
    if (at->is_string()) return *at == audience;
    if (!at->is_array() || at->size() > audiences_max) return false;
    return std::find(at->begin(), at->end(), json(audience)) != at->end();
}

/// Why the claims are not good now; "" = they are, and `until` is filled.
std::string check_claims(const jwt_options& o, const json& claims, policy::instant now,
                         policy::instant& until) {
    const auto* issuer = claim(claims, "iss");
    if (issuer == nullptr || *issuer != o.issuer) return "its issuer is another";
    if (!is_for(claims, o.audience)) return "it is for another audience";
    const auto exp = time_of(claims, "exp");
    if (!exp) return "it has no exp, or one that is no time";
    const auto nbf = time_of(claims, "nbf");
    const auto iat = time_of(claims, "iat");
    if ((claims.contains("nbf") && !nbf) || (claims.contains("iat") && !iat))
        return "its nbf or iat is no time";
    if (!nbf && !iat) return "it has neither nbf nor iat";
    const auto begin = nbf.value_or(iat.value_or(*exp));
    if (now >= *exp + jwt_leeway) return "it has expired";
    if (begin > now + jwt_leeway || (iat && *iat > now + jwt_leeway)) return "it is not valid yet";
    const auto issued = iat ? std::min(*iat, begin) : begin;
    if (now >= issued + o.max_age + jwt_leeway) return "it is older than max_age";
    until = std::min(*exp, issued + o.max_age) + jwt_leeway;
    return {};
}

void read_groups(const jwt_options& o, const json& claims, std::vector<std::string>& out) {
    if (o.groups_claim.empty()) return;
    const auto* at = claim(claims, o.groups_claim);
    if (at == nullptr) return;
    const auto add = [&](const json& value) {
        if (!value.is_string()) return;
        const auto mapped = o.groups.find(value.get_ref<const std::string&>());
        if (mapped == o.groups.end()) return;
        if (std::find(out.begin(), out.end(), mapped->second) == out.end())
            out.push_back(mapped->second);
    };
    if (!at->is_array()) return add(*at);
    for (std::size_t i = 0; i < std::min(at->size(), groups_read_max); ++i)
        add((*at)[i]);
}

}  // namespace

bool looks_like_jwt(std::string_view text) noexcept {
    return std::count(text.begin(), text.end(), '.') == 2;
}

jwt_verdict verify_jwt(const jwt_options& o, std::string_view text, policy::instant now) {
    const auto refuse = [](std::string why) { return jwt_verdict{std::nullopt, std::move(why)}; };
    if (!o.keys) return refuse("there are no keys to verify it");
    if (text.size() > jwt_bytes_max) return refuse("it is longer than 8 KiB");
    if (!looks_like_jwt(text)) return refuse("it is no JWT");
    const auto first = text.find('.');
    const auto second = text.find('.', first + 1);
    const auto head = from_base64url(text.substr(0, first));
    const auto body = from_base64url(text.substr(first + 1, second - first - 1));
    auto signature = from_base64url(text.substr(second + 1));
    if (!head || !body || !signature) return refuse("it is no JWT");

    const auto header = parse_object(*head);
    if (!header) return refuse("its header is no JSON object");
    jwt_algorithm algorithm{};
    std::string kid;
    if (auto why = read_header(*header, algorithm, kid); !why.empty()) return refuse(why);
    const auto* key = o.keys->find(kid, algorithm);
    if (key == nullptr) return refuse("no key of the set is the one that it names");
    // Nothing of the claims is looked at before this.
    if (!signed_by(*key, text.substr(0, second), std::move(*signature)))
        return refuse("its signature is not of that key");

    const auto claims = parse_object(*body);
    if (!claims) return refuse("its claims are no JSON object");
    jwt_identity who;
    if (auto why = check_claims(o, *claims, now, who.expires_at); !why.empty()) return refuse(why);
    const auto* user = claim(*claims, o.user_claim);
    if (user == nullptr || !user->is_string()) return refuse("it names nobody");
    who.user = user->get<std::string>();
    if (const auto fault = user_name_fault(who.user); !fault.empty()) return refuse(fault);
    read_groups(o, *claims, who.groups);
    return {std::move(who), {}};
}

}  // namespace sallyport::proxy::auth
