#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "policy/notice.h"
#include "proxy/store/outbox.h"

/// What passes between the steward, who owns the outbox, and whoever delivers.
namespace sallyport::proxy::approval {

/// Which channels are told of a notice.
struct notice_routes {
    std::vector<std::string> channels;  ///< all there are
    std::function<std::vector<std::string>(const policy::notice&)> of;
};

struct delivery_exchange {
    std::vector<store::delivery_outcome> outcomes;            ///< to be written first
    std::vector<std::pair<std::string, std::size_t>> wanted;  ///< channel, at most so many
};

struct delivery_work {
    bool stored = false;  ///< false: nothing was written or read; come again later
    std::vector<store::delivery> due;
    std::map<std::string, policy::instant> next;   ///< by channel; absent: none waits
    std::map<std::string, std::uint64_t> waiting;  ///< by channel
};

/// For lists: what waits after a failure, and what was given up.
struct delivery_report {
    bool read = false;
    std::vector<store::channel_backlog> backlog;
    std::vector<store::delivery> troubled;
};

}  // namespace sallyport::proxy::approval
