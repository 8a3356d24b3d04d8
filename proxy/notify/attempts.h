#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "policy/types.h"

/// When a delivery is tried again, and how many run at once. Pure.
namespace sallyport::proxy::notify {

/// Half a second, doubled with each attempt, five minutes at most; of that the second half is by
/// chance: `jitter` is from 0 to 1. `attempts`: failed ones, 1 at least.
[[nodiscard]] policy::milliseconds retry_delay(std::uint64_t attempts, double jitter) noexcept;

/// What runs for one channel. While it fails, one attempt at a time finds out whether it works
/// again, so that a receiver that is down is not hammered with all that waits.
class lane {
  public:
    static constexpr std::size_t at_once_max = 4;
    static constexpr std::uint64_t failing_after = 4;  ///< failures in a row

    /// How many more may begin now.
    [[nodiscard]] std::size_t room(policy::instant now) const noexcept;
    /// Nothing begins before this; zero: at once.
    [[nodiscard]] policy::instant not_before() const noexcept { return pause_until_; }
    /// False: it runs already, or there is no room.
    bool begin(std::uint64_t delivery, policy::instant now);
    void succeeded(std::uint64_t delivery) noexcept;
    void failed(std::uint64_t delivery, policy::instant now, double jitter) noexcept;

    [[nodiscard]] std::size_t running() const noexcept { return running_.size(); }
    [[nodiscard]] bool runs(std::uint64_t delivery) const { return running_.contains(delivery); }
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }

  private:
    std::set<std::uint64_t> running_;
    std::uint64_t failures_ = 0;  // in a row
    policy::instant pause_until_{};
};

}  // namespace sallyport::proxy::notify
