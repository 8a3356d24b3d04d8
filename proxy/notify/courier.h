#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/approval/delivery.h"
#include "proxy/clock.h"
#include "proxy/notify/settings.h"
#include "proxy/notify/status.h"

/// Takes notices from the outbox to people.
namespace sallyport::proxy::notify {

/// Which channels of `s` are told of what, for the steward; `s` may be null.
[[nodiscard]] approval::notice_routes routes_of(
    std::shared_ptr<const settings> s, std::map<std::string, std::set<std::string>> members = {});

/// Delivers on a thread of its own, at most a few at once for each channel: at least once, in order
/// for each subject, again after failures until the channel gives up. What is in memory is what
/// runs; everything else waits in the outbox, so that nothing is lost with the process.
/// Concurrency: any thread. Nothing that decides waits for it.
class courier {
  public:
    enum class severity : std::uint8_t { info, warning };
    struct world {
        /// The steward's: writes outcomes, brings work; answers on any thread.
        std::function<void(approval::delivery_exchange,
                           std::function<void(approval::delivery_work)>)>
            exchange;
        /// For the record; on the courier's thread.
        std::function<void(const store::delivery&)> given_up;
        std::function<void(severity, const std::string&)> log;
        const clock* time = nullptr;
    };
    explicit courier(world w);
    ~courier();  ///< stops; what runs is delivered again after the next start
    courier(const courier&) = delete;
    courier& operator=(const courier&) = delete;

    void set(std::shared_ptr<const settings> s);
    void start();
    void stop();
    /// There is something new in the outbox.
    void wake();
    [[nodiscard]] std::vector<channel_status> statuses() const;

  private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

}  // namespace sallyport::proxy::notify
