#include "proxy/admin/login_throttle.h"

#include <algorithm>
#include <cmath>

namespace sallyport::proxy::admin {
namespace {

policy::milliseconds wait_for(double tokens, policy::milliseconds refill) {
    if (tokens >= 1) return policy::milliseconds::zero();
    const auto ms = std::ceil((1 - tokens) * static_cast<double>(refill.count()));
    return policy::milliseconds(static_cast<std::int64_t>(ms));
}

}  // namespace

std::string network_of(const std::string& address) {
    if (address.find(':') == std::string::npos || address == "::1") return address;
    std::size_t groups = 0;
    for (std::size_t i = 0; i < address.size(); ++i) {
        if (address[i] != ':') continue;
        if (++groups == 4 || (i > 0 && address[i - 1] == ':')) return address.substr(0, i + 1);
    }
    return address;
}

void login_throttle::fill(bucket& b, double burst, policy::milliseconds refill,
                          policy::instant now) {
    if (now <= b.at) return;
    const auto elapsed = static_cast<double>((now - b.at).count());
    b.tokens = std::min(burst, b.tokens + elapsed / static_cast<double>(refill.count()));
    b.at = now;
}

login_throttle::bucket& login_throttle::find(std::map<std::string, bucket>& all,
                                             const std::string& key, double burst,
                                             policy::milliseconds refill, policy::instant now) {
    auto at = all.find(key);
    if (at == all.end() && all.size() >= entries_max) {
        std::erase_if(all, [&](const auto& e) {
            auto b = e.second;
            fill(b, burst, refill, now);
            return b.tokens >= burst;
        });
    }
    if (at == all.end())
        at = all.emplace(all.size() >= entries_max ? std::string("*") : key, bucket{burst, now})
                 .first;
    fill(at->second, burst, refill, now);
    return at->second;
}

policy::milliseconds login_throttle::admit(const std::string& address, const std::string& user,
                                           policy::instant now) {
    const std::scoped_lock lock(mutex_);
    const auto network = network_of(address);
    const auto failed_before = failures_.find({network, user});
    if (failed_before != failures_.end() && now < failed_before->second.until)
        return failed_before->second.until - now;
    auto& from = find(addresses_, network, address_burst, address_refill, now);
    auto& of = find(users_, user, user_burst, user_refill, now);
    const auto wait =
        std::max(wait_for(from.tokens, address_refill), wait_for(of.tokens, user_refill));
    if (wait > policy::milliseconds::zero()) return wait;
    from.tokens -= 1;
    of.tokens -= 1;
    return policy::milliseconds::zero();
}

void login_throttle::succeeded(const std::string& address, const std::string& user,
                               policy::instant now) {
    const std::scoped_lock lock(mutex_);
    const auto network = network_of(address);
    failures_.erase({network, user});
    auto& from = find(addresses_, network, address_burst, address_refill, now);
    auto& of = find(users_, user, user_burst, user_refill, now);
    from.tokens = std::min(address_burst, from.tokens + 1);
    of.tokens = std::min(user_burst, of.tokens + 1);
}

void login_throttle::failed(const std::string& address, const std::string& user,
                            policy::instant now) {
    const std::scoped_lock lock(mutex_);
    if (failures_.size() >= entries_max)
        std::erase_if(failures_,
                      [now](const auto& e) { return now >= e.second.last + backoff_max; });
    if (failures_.size() >= entries_max) return;  // the buckets still bound the rate
    auto& f = failures_[{network_of(address), user}];
    if (now >= f.last + 2 * backoff_max) f.count = 0;
    f.last = now;
    ++f.count;
    if (f.count <= failures_free) return;
    const int doublings = std::min(f.count - failures_free - 1, 16);
    f.until = now + std::min(backoff_max, policy::milliseconds(1'000) * (1 << doublings));
}

}  // namespace sallyport::proxy::admin
