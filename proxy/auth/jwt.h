#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/types.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

/// Signed tokens of somebody else's login service (RFC 7519), verified against a file of its public
/// keys (RFC 7517). Only RS256, ES256 and EdDSA (Ed25519): never `none`, never a shared secret. The
/// algorithm belongs to the key, not to the token. Debian's JWT libraries know either no key sets
/// or no Ed25519, so the few steps stand here, on OpenSSL's signatures.
namespace sallyport::proxy::auth {

inline constexpr std::size_t jwt_bytes_max = 8u << 10;
inline constexpr std::size_t jwks_bytes_max = 256u << 10;
inline constexpr std::size_t jwks_keys_max = 64;
inline constexpr policy::milliseconds jwt_leeway = std::chrono::seconds(30);

enum class jwt_algorithm : std::uint8_t { rs256, es256, eddsa };

/// The public keys of one load, immutable.
class jwk_set {
  public:
    struct key {
        std::string kid;  ///< "" = it has none
        jwt_algorithm algorithm;
        std::shared_ptr<evp_pkey_st> handle;
    };
    struct parsed {
        std::shared_ptr<const jwk_set> keys;  ///< null exactly when `error` says why
        std::string error;                    ///< one sentence
    };
    /// Keys of other kinds or other uses are left out; a set without a usable key, or with a
    /// private or a shared one, is refused.
    [[nodiscard]] static parsed parse(std::string_view text);
    [[nodiscard]] static parsed load(const std::string& path);

    /// The key of this name for this algorithm; without a name only if there is no choice.
    [[nodiscard]] const key* find(std::string_view kid, jwt_algorithm algorithm) const;
    [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

  private:
    std::vector<key> keys_;
};

struct jwt_options {
    std::string jwks_file;
    std::string issuer;
    std::string audience;
    std::string user_claim = "sub";             ///< a name, or a JSON pointer ("/a/b")
    std::string groups_claim;                   ///< likewise; "" = no groups are taken
    std::map<std::string, std::string> groups;  ///< value of the claim → group of ours
    bool any_user = false;                      ///< also people whom users.yaml does not know
    policy::milliseconds max_age = std::chrono::hours(1);  ///< since the earlier of nbf and iat
    std::shared_ptr<const jwk_set> keys;
};

struct jwt_identity {
    std::string user;
    std::vector<std::string> groups;  ///< mapped, no value of the claim itself
    policy::instant expires_at;       ///< the earlier of exp and max_age, with the leeway
};

struct jwt_verdict {
    std::optional<jwt_identity> who;
    std::string why;  ///< for the log of the proxy, when there is nobody; no part of the token
};

/// Whether `text` has the form of a JWT; everything else is verify_jwt()'s.
[[nodiscard]] bool looks_like_jwt(std::string_view text) noexcept;
/// Never throws for content. Concurrency: any thread.
[[nodiscard]] jwt_verdict verify_jwt(const jwt_options& o, std::string_view text,
                                     policy::instant now);

}  // namespace sallyport::proxy::auth
