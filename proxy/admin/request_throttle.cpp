#include "proxy/admin/request_throttle.h"

#include <algorithm>
#include <cmath>

#include "proxy/admin/login_throttle.h"

namespace sallyport::proxy::admin {

policy::milliseconds request_throttle::take(std::map<std::string, bucket>& all,
                                            const std::string& key, std::size_t per_second,
                                            policy::instant now) {
    const auto rate = static_cast<double>(std::max<std::size_t>(per_second, 1)) / 1000.0;
    const auto room = rate * 1000.0 * static_cast<double>(burst_seconds);
    const auto filled = [&](const bucket& b) {
        const auto elapsed = now > b.at ? static_cast<double>((now - b.at).count()) : 0.0;
        return std::min(room, b.tokens + elapsed * rate);
    };
    auto at = all.find(key);
    if (at == all.end() && all.size() >= entries_max) {
        std::erase_if(all, [&](const auto& e) { return filled(e.second) >= room; });
        at = all.find(all.size() >= entries_max ? std::string("*") : key);
    }
    if (at == all.end())
        at = all.emplace(all.size() >= entries_max ? std::string("*") : key, bucket{room, now})
                 .first;
    auto& b = at->second;
    b.tokens = filled(b);
    b.at = std::max(b.at, now);
    if (b.tokens < 1.0)
        return policy::milliseconds(static_cast<std::int64_t>(std::ceil((1.0 - b.tokens) / rate)));
    b.tokens -= 1.0;
    return policy::milliseconds::zero();
}

policy::milliseconds request_throttle::admit_address(const std::string& address,
                                                     std::size_t per_second, policy::instant now) {
    const std::scoped_lock lock(mutex_);
    return take(addresses_, network_of(address), per_second, now);
}

policy::milliseconds request_throttle::admit_caller(const std::string& caller,
                                                    std::size_t per_second, policy::instant now) {
    const std::scoped_lock lock(mutex_);
    return take(callers_, caller, per_second, now);
}

std::size_t request_throttle::size() const {
    const std::scoped_lock lock(mutex_);
    return addresses_.size() + callers_.size();
}

}  // namespace sallyport::proxy::admin
