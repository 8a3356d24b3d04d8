#pragma once

#include <algorithm>
#include <chrono>

/// How much of its time something may take.
namespace sallyport::proxy::catalog {

/// A share of the time that passes, saved up to a burst of some tens of runs. A run may begin while
/// anything is left. What a run costs beyond a few times the usual is the machine's hiccup and not
/// charged; a run that was worth it gives back the whole burst.
class budget {
  public:
    using clock = std::chrono::steady_clock;

    explicit budget(double share = 0.05, int burst_runs = 30)
        : share_(share), burst_runs_(burst_runs) {}

    [[nodiscard]] bool available(clock::time_point now) const { return saved(now) > 0; }
    /// When the next run may begin.
    [[nodiscard]] clock::time_point available_at(clock::time_point now) const {
        const double missing = -saved(now);
        if (missing < 0) return now;
        return now + std::chrono::ceil<clock::duration>(
                         std::chrono::duration<double>(missing / share_ + 0.001));
    }
    void spend(clock::duration cost, clock::time_point now) {
        const double seconds = std::chrono::duration<double>(cost).count();
        const bool first = mean_ == 0;
        mean_ = first ? seconds : mean_ + (seconds - mean_) / 8;
        saved_ = first ? burst() : saved(now);
        saved_ = std::min(saved_, burst()) - std::min(seconds, hiccup * mean_);
        at_ = now;
    }
    void refill(clock::time_point now) {
        saved_ = burst();
        at_ = now;
    }

  private:
    static constexpr double hiccup = 4;
    [[nodiscard]] double burst() const { return mean_ * burst_runs_; }
    [[nodiscard]] double saved(clock::time_point now) const {
        if (mean_ == 0) return 1;  // nothing is known of the cost yet
        return std::min(burst(),
                        saved_ + share_ * std::chrono::duration<double>(now - at_).count());
    }
    double share_;
    int burst_runs_;
    double mean_ = 0;   ///< seconds of a run, of late
    double saved_ = 0;  ///< seconds, as of `at_`
    clock::time_point at_{};
};

}  // namespace sallyport::proxy::catalog
