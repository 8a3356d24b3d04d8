#pragma once

#include <map>
#include <mutex>
#include <string>

#include "policy/types.h"

/// How often passwords may be tried.
namespace sallyport::proxy::admin {

/// What one subscriber has: an IPv4 address, or the /64 of an IPv6 one.
[[nodiscard]] std::string network_of(const std::string& address);

/// A token bucket per address and one per user; a good password gives its token back. After
/// failures_free wrong passwords of one user from one address each further one doubles the wait for
/// that pair, up to backoff_max. The pair, not the user alone: somebody else's wrong guesses must
/// not shut a person out for long. Concurrency: any thread.
class login_throttle {
  public:
    static constexpr double address_burst = 20;
    static constexpr double user_burst = 10;
    static constexpr policy::milliseconds address_refill{1'000};  ///< one token each
    static constexpr policy::milliseconds user_refill{6'000};
    static constexpr int failures_free = 4;
    static constexpr policy::milliseconds backoff_max = std::chrono::minutes(5);
    static constexpr std::size_t entries_max = 20'000;  ///< of each kind; beyond, all share one

    /// Takes the tokens of one try. Zero: try now; else how long to wait, and nothing was taken.
    [[nodiscard]] policy::milliseconds admit(const std::string& address, const std::string& user,
                                             policy::instant now);
    void succeeded(const std::string& address, const std::string& user, policy::instant now);
    void failed(const std::string& address, const std::string& user, policy::instant now);

  private:
    struct bucket {
        double tokens = 0;
        policy::instant at;
    };
    struct failures {
        int count = 0;
        policy::instant last;
        policy::instant until;
    };
    static void fill(bucket& b, double burst, policy::milliseconds refill, policy::instant now);
    static bucket& find(std::map<std::string, bucket>& all, const std::string& key, double burst,
                        policy::milliseconds refill, policy::instant now);

    std::mutex mutex_;
    std::map<std::string, bucket> addresses_;
    std::map<std::string, bucket> users_;
    std::map<std::pair<std::string, std::string>, failures> failures_;
};

}  // namespace sallyport::proxy::admin
