#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>

#include "proxy/approval/steward.h"

/// Change events of the steward, spread to whoever listens.
namespace sallyport::proxy::admin {

/// Made before the steward starts and outlives it and the server: the steward publishes (through
/// subscribe_change), open event streams listen.
/// Concurrency: any thread. After unsubscribe() has returned its listener is never called again.
class event_hub {
  public:
    using listener = std::function<void(const approval::steward::change_event&)>;

    /// The listener must only post and must not call the hub.
    std::uint64_t subscribe(listener f);
    void unsubscribe(std::uint64_t id);
    void publish(const approval::steward::change_event& e);

  private:
    std::mutex mutex_;
    std::uint64_t next_ = 1;
    std::map<std::uint64_t, listener> listeners_;
};

}  // namespace sallyport::proxy::admin
