#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "policy/types.h"

/// Time as the proxy believes it.
namespace sallyport::proxy {

/// UTC that never runs backwards and never stands still: what has gone by on a steady clock since
/// the latest UTC that the system clock ever named, or that earlier runs left on record. A clock
/// stepped back lengthens nothing; a clock stepped forward ends things early, which is the safe
/// side.
class clock {
  public:
    virtual ~clock() = default;
    [[nodiscard]] virtual policy::instant now() const noexcept = 0;
};

class system_clock final : public clock {
  public:
    /// Milliseconds, of UTC or of a clock that is never set.
    using reading = std::int64_t (*)() noexcept;

    system_clock() noexcept : system_clock(wall, steady) {}
    /// For tests of clocks that are set.
    system_clock(reading utc, reading elapsed) noexcept
        : utc_(utc), elapsed_(elapsed), ahead_(utc() - elapsed()) {}

    [[nodiscard]] policy::instant now() const noexcept override {
        // UTC first: a thread that is stopped in between does not run ahead by it.
        const auto utc = utc_();
        const auto elapsed = elapsed_();
        return policy::instant(policy::milliseconds(elapsed + raise(utc - elapsed)));
    }
    /// It goes on from there, if the system clock was set back behind it.
    void not_before(policy::instant seen) noexcept {
        raise(seen.time_since_epoch().count() - elapsed_());
    }

  private:
    static std::int64_t wall() noexcept {
        return std::chrono::time_point_cast<policy::milliseconds>(std::chrono::system_clock::now())
            .time_since_epoch()
            .count();
    }
    static std::int64_t steady() noexcept {
        return std::chrono::duration_cast<policy::milliseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }
    std::int64_t raise(std::int64_t candidate) const noexcept {
        auto ahead = ahead_.load(std::memory_order_relaxed);
        while (ahead < candidate &&
               !ahead_.compare_exchange_weak(ahead, candidate, std::memory_order_relaxed)) {
        }
        return std::max(ahead, candidate);
    }
    reading utc_;
    reading elapsed_;
    mutable std::atomic<std::int64_t> ahead_;  // of UTC over the steady clock; only grows
};

}  // namespace sallyport::proxy
