#include "proxy/admin/events.h"

#include <utility>

namespace sallyport::proxy::admin {

std::uint64_t event_hub::subscribe(listener f) {
    const std::scoped_lock lock(mutex_);
    const auto id = next_++;
    listeners_.emplace(id, std::move(f));
    return id;
}

void event_hub::unsubscribe(std::uint64_t id) {
    const std::scoped_lock lock(mutex_);
    listeners_.erase(id);
}

void event_hub::publish(const approval::steward::change_event& e) {
    // Called with the lock held, so that unsubscribe() can promise that nothing comes after it.
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, f] : listeners_)
        f(e);
}

}  // namespace sallyport::proxy::admin
