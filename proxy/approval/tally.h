#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "policy/hold.h"
#include "proxy/numbers.h"

/// What the steward counts for metrics. Its thread writes, without locks; a scrape reads.
namespace sallyport::proxy::approval {

struct tally {
    std::atomic<std::size_t> holds_waiting{0};
    std::atomic<std::int64_t> oldest_opened_at{0};  ///< ms since the epoch; 0: none waits
    std::array<own_counter, 8> holds_ended;         ///< by policy::hold_state
    own_histogram time_to_decision{own_histogram::of_people};  ///< of approved and denied ones
    own_counter bypasses;                                      ///< uses of opt-outs, on record
    own_counter glass_broken;
    std::atomic<std::size_t> reviews_open{0};
    std::atomic<std::size_t> reviews_overdue{0};
    own_histogram store_time{own_histogram::of_disk};
    own_counter store_failures;

    [[nodiscard]] own_counter& ended(policy::hold_state s) noexcept {
        return holds_ended.at(static_cast<std::size_t>(s));
    }
    [[nodiscard]] std::uint64_t ended(policy::hold_state s) const noexcept {
        return holds_ended.at(static_cast<std::size_t>(s)).get();
    }
};

}  // namespace sallyport::proxy::approval
