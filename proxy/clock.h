#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "policy/types.h"

/// Time as the proxy believes it.
namespace sallyport::proxy {

/// UTC that never runs backwards: the later of the system clock and the system clock at start plus
/// elapsed steady time, and never earlier than any instant already given out. A clock stepped back
/// lengthens nothing; a clock stepped forward ends things early, which is the safe side.
class clock {
  public:
    virtual ~clock() = default;
    [[nodiscard]] virtual policy::instant now() const noexcept = 0;
};

class system_clock final : public clock {
  public:
    system_clock() noexcept
        : start_steady_(std::chrono::steady_clock::now()), start_utc_(wall()), last_(start_utc_) {}

    [[nodiscard]] policy::instant now() const noexcept override {
        const auto elapsed = std::chrono::duration_cast<policy::milliseconds>(
                                 std::chrono::steady_clock::now() - start_steady_)
                                 .count();
        const auto candidate = std::max(wall(), start_utc_ + elapsed);
        auto seen = last_.load(std::memory_order_relaxed);
        while (seen < candidate &&
               !last_.compare_exchange_weak(seen, candidate, std::memory_order_relaxed)) {
        }
        return policy::instant(policy::milliseconds(std::max(seen, candidate)));
    }

  private:
    static std::int64_t wall() noexcept {
        return std::chrono::time_point_cast<policy::milliseconds>(std::chrono::system_clock::now())
            .time_since_epoch()
            .count();
    }
    std::chrono::steady_clock::time_point start_steady_;
    std::int64_t start_utc_;
    mutable std::atomic<std::int64_t> last_;
};

}  // namespace sallyport::proxy
