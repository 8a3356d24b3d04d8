#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "policy/types.h"

/// Who is logged in to the HTTP API.
namespace sallyport::proxy::admin {

inline constexpr policy::milliseconds login_life_max = std::chrono::hours(8);
inline constexpr policy::milliseconds login_idle_max = std::chrono::minutes(30);
inline constexpr std::size_t logins_max = 10'000;
inline constexpr std::size_t logins_per_user_max = 32;  ///< one more ends her oldest

/// Tokens of logins: 256 random bits each, kept only as SHA-256, in memory alone: a restart ends
/// them all. A login ends after login_life_max, or login_idle_max without a request.
/// Concurrency: any thread.
class login_table {
  public:
    struct issued {
        std::string token;  ///< "" when logins_max are live
        std::string csrf;
        policy::instant expires_at;
    };
    struct login {
        std::string user;
        std::string csrf;
        policy::instant expires_at;
    };

    [[nodiscard]] issued open(const std::string& user, policy::instant now);
    /// Counts as a request of the login: the idle time starts anew.
    [[nodiscard]] std::optional<login> find(std::string_view token, policy::instant now);
    /// The same without counting as a request.
    [[nodiscard]] bool live(std::string_view token, policy::instant now) const;
    /// False when there was none.
    bool close(std::string_view token);
    void close_all(const std::string& user);
    [[nodiscard]] std::size_t size() const;

  private:
    struct entry {
        std::string user;
        std::string csrf;
        policy::instant opened_at;
        policy::instant seen_at;
        [[nodiscard]] bool live(policy::instant now) const noexcept {
            return now < opened_at + login_life_max && now < seen_at + login_idle_max;
        }
    };
    void sweep(const std::string& user, policy::instant now);

    mutable std::mutex mutex_;
    std::map<std::string, entry, std::less<>> by_hash_;
};

/// Whether two secrets are equal, in a time that does not depend on where they differ.
[[nodiscard]] bool same_secret(std::string_view a, std::string_view b) noexcept;

}  // namespace sallyport::proxy::admin
