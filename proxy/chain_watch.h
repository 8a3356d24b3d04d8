#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "proxy/audit/log.h"

/// The proxy reads its own audit log again and says when the chain is broken.
namespace sallyport::proxy {

/// Verifies the whole log at the start and once per interval, on a thread of its own with the
/// lowest priority. Files that were archived from the log's beginning are no fault here; the head
/// that the writer knows must be there, so a cut tail is found too.
class chain_watch {
  public:
    struct result {
        std::uint64_t runs = 0;     ///< 0: none has ended yet
        bool ok = true;             ///< of the newest
        std::uint64_t records = 0;  ///< that were good
        std::int64_t at = 0;        ///< when it ended, s since the epoch
        double seconds = 0;         ///< what it took
        std::string where;          ///< file, line and what is wrong; "" when ok
    };
    /// `log` outlives this. `on_broken` hears the place, on the watch's thread.
    chain_watch(const audit::log& log, std::string directory, std::chrono::milliseconds interval,
                std::function<void(const std::string&)> on_broken);
    ~chain_watch();  ///< interrupts its waiting, not a verification
    chain_watch(const chain_watch&) = delete;
    chain_watch& operator=(const chain_watch&) = delete;

    [[nodiscard]] result newest() const;  ///< any thread

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy
