#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/types.h"
#include "proxy/store/tokens.h"

/// API tokens while the proxy runs.
namespace sallyport::proxy::admin {

inline constexpr std::string_view api_token_prefix = "spt_";
inline constexpr std::size_t api_tokens_max = 10'000;
inline constexpr std::size_t api_tokens_per_owner_max = 50;  ///< live ones
inline constexpr policy::milliseconds api_token_note_interval = std::chrono::minutes(1);

/// Where tokens are kept; the callbacks come once, on any thread.
struct token_keeper {
    std::function<std::vector<store::api_token>()> load;  ///< once, at the start; may throw
    std::function<void(store::api_token, std::function<void(std::optional<std::uint64_t>)>)> add;
    /// Whether it is stored that the token is revoked (also if it was before).
    std::function<void(std::uint64_t, std::string by, policy::instant, std::function<void(bool)>)>
        revoke;
    std::function<void(std::vector<std::pair<std::uint64_t, policy::instant>>)> note_uses;
};

/// A new secret: 256 random bits as text, and its SHA-256 in hex.
struct token_secret {
    std::string text;  ///< to be wiped by whom it was given to
    std::string sha256;
};
/// Errors: std::runtime_error when the system has no random bytes.
[[nodiscard]] token_secret new_token_secret();
/// "spt_7_SECRET".
[[nodiscard]] std::string token_text(std::uint64_t id, std::string_view secret);

/// All tokens that have not expired, found by their number; the secret is compared by its hash, in
/// a time that does not depend on where they differ, also when there is no such number.
/// Concurrency: any thread.
class token_table {
  public:
    void load(std::vector<store::api_token> all);
    void add(store::api_token t);
    void set_revoked(std::uint64_t id, const std::string& by, policy::instant at);

    /// The live token of a bearer, whose last use is now.
    [[nodiscard]] std::optional<store::api_token> find(std::string_view bearer,
                                                       policy::instant now);
    [[nodiscard]] bool live(std::uint64_t id, policy::instant now) const;
    [[nodiscard]] std::optional<store::api_token> get(std::uint64_t id) const;
    /// Unexpired ones, oldest first. "": everybody's.
    [[nodiscard]] std::vector<store::api_token> list(const std::string& owner, policy::instant now);
    [[nodiscard]] std::size_t live_of(const std::string& owner, policy::instant now) const;
    [[nodiscard]] std::size_t size() const;
    /// Uses that have not been handed out before and are due to be written; most often nothing.
    [[nodiscard]] std::vector<std::pair<std::uint64_t, policy::instant>> uses_to_note(
        policy::instant now);

  private:
    struct entry {
        store::api_token token;
        policy::instant noted_at{};
        [[nodiscard]] bool live(policy::instant now) const noexcept {
            return token.revoked_at == policy::instant{} && now < token.expires_at;
        }
    };
    mutable std::mutex mutex_;
    std::map<std::uint64_t, entry> by_id_;
    policy::instant noted_at_{};
};

}  // namespace sallyport::proxy::admin
