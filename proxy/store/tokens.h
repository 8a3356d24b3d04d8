#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "policy/types.h"

/// API tokens as they are kept: without their secrets.
namespace sallyport::proxy::store {

struct api_token {
    std::uint64_t id = 0;
    std::string owner;                ///< as whom it acts
    std::string made_by;              ///< the owner, or the admin who made it for a program
    std::string name;                 ///< what it is for
    std::vector<std::string> scopes;  ///< names of actions
    std::string secret_sha256;        ///< hex
    policy::instant made_at;
    policy::instant expires_at;
    policy::instant used_at{};     ///< last use, to about a minute; zero: never
    policy::instant revoked_at{};  ///< zero: it is not
    std::string revoked_by{};
};

/// The part of the state that keeps them; threads and errors as store's.
class token_store {
  public:
    virtual ~token_store() = default;
    /// Its number.
    virtual std::uint64_t add_token(const api_token& t) = 0;
    /// False if it was revoked already.
    virtual bool revoke_token(std::uint64_t id, const std::string& by, policy::instant at) = 0;
    /// Notes last uses; those of revoked tokens, or earlier than what is known, change nothing.
    virtual void note_token_uses(
        const std::vector<std::pair<std::uint64_t, policy::instant>>& uses) = 0;
    /// Those that expire after `now`, revoked ones too, oldest first.
    virtual std::vector<api_token> list_tokens(policy::instant now) = 0;
};

}  // namespace sallyport::proxy::store
