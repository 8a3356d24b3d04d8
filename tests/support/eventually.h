#pragma once

#include <chrono>

#include <poll.h>

#include "tests/support/child_process.h"

namespace sallyport::tests {

/// Asks `condition` again and again until it is true or the deadline has passed; its last answer.
/// For facts that no callback announces (another program's state); never a fixed wait.
template <class F>
[[nodiscard]] bool eventually(F condition, milliseconds deadline = patience) {
    const auto end = std::chrono::steady_clock::now() + deadline;
    for (;;) {
        if (condition()) return true;
        if (std::chrono::steady_clock::now() >= end) return false;
        ::poll(nullptr, 0, 5);
    }
}

}  // namespace sallyport::tests
