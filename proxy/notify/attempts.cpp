#include "proxy/notify/attempts.h"

#include <algorithm>

namespace sallyport::proxy::notify {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds first_delay{500};
constexpr milliseconds longest_delay{std::chrono::minutes(5)};
constexpr milliseconds longest_pause{std::chrono::seconds(30)};

milliseconds doubled(std::uint64_t attempts, double jitter, milliseconds most) noexcept {
    auto delay = first_delay;
    for (std::uint64_t i = 1; i < attempts && delay < most; ++i)
        delay *= 2;
    delay = std::min(delay, most);
    const auto half = delay / 2;
    return half + milliseconds(static_cast<std::int64_t>(static_cast<double>(half.count()) *
                                                         std::clamp(jitter, 0.0, 1.0)));
}

}  // namespace

policy::milliseconds retry_delay(std::uint64_t attempts, double jitter) noexcept {
    return doubled(attempts, jitter, longest_delay);
}

std::size_t lane::room(policy::instant now) const noexcept {
    if (now < pause_until_) return 0;
    const std::size_t most = failures_ >= failing_after ? 1 : at_once_max;
    return most > running_.size() ? most - running_.size() : 0;
}

bool lane::begin(std::uint64_t delivery, policy::instant now) {
    return room(now) > 0 && running_.insert(delivery).second;
}

void lane::succeeded(std::uint64_t delivery) noexcept {
    running_.erase(delivery);
    failures_ = 0;
    pause_until_ = {};
}

void lane::failed(std::uint64_t delivery, policy::instant now, double jitter) noexcept {
    running_.erase(delivery);
    ++failures_;
    if (failures_ >= failing_after)
        pause_until_ = now + doubled(failures_ - failing_after + 1, jitter, longest_pause);
}

}  // namespace sallyport::proxy::notify
