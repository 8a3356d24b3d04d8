#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/types.h"

/// The seam between what surfaces tell of an open transaction (proxy/admin) and who asks the server
/// for it (proxy/catalog). Neither knows the other.
namespace sallyport::proxy {

/// One lock of pg_locks, in PostgreSQL's words.
struct held_lock {
    std::string type;  ///< "relation", "transactionid", "advisory" …
    std::string on;    ///< "public.orders"; "" where the type says all
    std::string mode;  ///< "RowExclusiveLock"
    bool granted = true;
};

/// What a server said of the transaction of one of its processes.
struct lock_report {
    std::string
        unknown_because;  ///< "" exactly when the rest counts; one sentence, no secret in it
    std::vector<held_lock> locks;             ///< the strongest first
    bool cut = false;                         ///< there are more
    std::size_t blocked = 0;                  ///< other processes that wait for it
    std::optional<policy::milliseconds> age;  ///< of the transaction, if the login may see it
};

/// Asks the server of a target about the process `server_pid`. Returns at once; the answer comes
/// once, within seconds, on any thread.
using lock_source = std::function<void(const std::string& target, std::uint32_t server_pid,
                                       std::function<void(lock_report)>)>;

}  // namespace sallyport::proxy
