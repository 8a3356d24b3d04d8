#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

/// Numbers that one thread writes and any may read: plain loads and stores, no lock, no contention.
namespace sallyport::proxy {

/// Grows only. One thread adds; any reads.
class own_counter {
  public:
    void add(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    [[nodiscard]] std::uint64_t get() const noexcept {
        return value_.load(std::memory_order_relaxed);
    }

  private:
    std::atomic<std::uint64_t> value_{0};
};

/// How long something took, in buckets. One thread observes; any reads.
class own_histogram {
  public:
    using duration = std::chrono::steady_clock::duration;
    static constexpr std::size_t bounds_max = 12;
    using bounds = std::array<double, bounds_max>;  ///< seconds, ascending
    /// From 100 µs to 10 s: what a disk takes.
    static constexpr bounds of_disk{0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005,
                                    0.01,   0.025,   0.1,    0.5,   2,      10};
    /// From 5 s to a day: what people take.
    static constexpr bounds of_people{5,   15,   30,   60,   120,    300,
                                      600, 1200, 1800, 3600, 14'400, 86'400};

    explicit own_histogram(const bounds& b) noexcept : bounds_(b) {}

    void observe(duration d) noexcept {
        const double seconds = std::chrono::duration<double>(d).count();
        std::size_t i = 0;
        while (i < bounds_max && seconds > bounds_[i])
            ++i;
        buckets_[i].add();
        const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(d).count();
        microseconds_.add(whole > 0 ? static_cast<std::uint64_t>(whole) : 0);
    }

    struct reading {
        bounds upper{};
        std::array<std::uint64_t, bounds_max + 1> buckets{};  ///< the last: beyond every bound
        double sum_seconds = 0;
    };
    [[nodiscard]] reading read() const noexcept {
        reading r;
        r.upper = bounds_;
        for (std::size_t i = 0; i < buckets_.size(); ++i)
            r.buckets[i] = buckets_[i].get();
        r.sum_seconds = static_cast<double>(microseconds_.get()) / 1e6;
        return r;
    }

  private:
    bounds bounds_;
    std::array<own_counter, bounds_max + 1> buckets_;
    own_counter microseconds_;
};

}  // namespace sallyport::proxy
