#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

/// The only source of chance of the differential test: one seed, one sequence, on every machine.
namespace sallyport::tests::differential {

/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
class random_source {
  public:
    explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

    std::uint64_t next() noexcept {
        std::uint64_t z = (state_ += 0x9e37'79b9'7f4a'7c15u);
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9u;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebu;
        return z ^ (z >> 31);
    }
    /// 0 … n-1; n must not be 0.
    std::size_t below(std::size_t n) noexcept { return static_cast<std::size_t>(next() % n); }
    [[nodiscard]] bool percent(unsigned p) noexcept { return below(100) < p; }
    [[nodiscard]] bool per_mille(unsigned p) noexcept { return below(1000) < p; }
    template <class T>
    const T& pick(const std::vector<T>& from) noexcept {
        return from[below(from.size())];
    }

  private:
    std::uint64_t state_;
};

}  // namespace sallyport::tests::differential
