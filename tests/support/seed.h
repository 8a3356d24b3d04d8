#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>

namespace sallyport::tests {

/// Where a random test begins: anywhere, or in CI (the variable CI is set) always at the same
/// place, so that a run that fails speaks of the change and not of its luck.
inline std::uint64_t first_seed() {
    return std::getenv("CI") == nullptr ? std::random_device{}() : 20'261'122;
}

}  // namespace sallyport::tests
