#pragma once

#include <map>
#include <mutex>
#include <string>

#include "policy/types.h"

/// How often the API may be asked.
namespace sallyport::proxy::admin {

/// A token bucket per address and one per caller (a person, or an API token), which hold what
/// burst_seconds bring. Concurrency: any thread.
class request_throttle {
  public:
    static constexpr std::size_t burst_seconds = 10;
    static constexpr std::size_t entries_max = 20'000;  ///< of each kind; beyond, all share one

    /// Takes one request's token. Zero: go on; else how long to wait. `per_second` is at least 1.
    [[nodiscard]] policy::milliseconds admit_address(const std::string& address,
                                                     std::size_t per_second, policy::instant now);
    [[nodiscard]] policy::milliseconds admit_caller(const std::string& caller,
                                                    std::size_t per_second, policy::instant now);
    [[nodiscard]] std::size_t size() const;

  private:
    struct bucket {
        double tokens = 0;
        policy::instant at;
    };
    static policy::milliseconds take(std::map<std::string, bucket>& all, const std::string& key,
                                     std::size_t per_second, policy::instant now);

    mutable std::mutex mutex_;
    std::map<std::string, bucket> addresses_;
    std::map<std::string, bucket> callers_;
};

}  // namespace sallyport::proxy::admin
