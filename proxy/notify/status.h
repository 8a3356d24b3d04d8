#pragma once

#include <cstdint>
#include <string>

#include "policy/types.h"

namespace sallyport::proxy::notify {

/// How a channel fares, since the start of the proxy.
struct channel_status {
    std::string name;
    std::string to;               ///< "https://hooks.slack.com", "/usr/local/bin/page"
    std::uint64_t waiting = 0;    ///< of all notices for it
    std::uint64_t delivered = 0;  ///< since the start, likewise the next two
    std::uint64_t failures = 0;   ///< attempts that failed
    std::uint64_t given_up = 0;
    std::uint64_t in_a_row = 0;  ///< failures since the newest success; 0: it works
    policy::instant failing_since{};
    policy::instant last_delivered{};
    std::string error{};  ///< of the newest failure
    [[nodiscard]] bool failing() const noexcept { return in_a_row > 0; }
};

}  // namespace sallyport::proxy::notify
