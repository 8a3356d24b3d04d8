#include "proxy/net/limiter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <list>
#include <utility>

#include <arpa/inet.h>

namespace sallyport::proxy::net {

std::string address_key(std::string_view address) {
    const std::string text(address.substr(0, 64));
    std::array<unsigned char, 16> v6{};
    if (text.find(':') == std::string::npos || ::inet_pton(AF_INET6, text.c_str(), v6.data()) != 1)
        return text;
    std::string key = "6:";
    key.append(reinterpret_cast<const char*>(v6.data()), 8);
    return key;
}

// Connections -------------------------------------------------------------------------------------

connection_limiter::ticket::ticket(ticket&& other) noexcept
    : owner_(std::exchange(other.owner_, nullptr)),
      key_(std::move(other.key_)),
      unauthenticated_(other.unauthenticated_) {}

connection_limiter::ticket& connection_limiter::ticket::operator=(ticket&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(key_, other.key_);
    std::swap(unauthenticated_, other.unauthenticated_);
    return *this;
}

connection_limiter::ticket::~ticket() {
    if (owner_ != nullptr) owner_->release(key_, unauthenticated_);
}

void connection_limiter::ticket::authenticated() noexcept {
    if (owner_ == nullptr || !unauthenticated_) return;
    unauthenticated_ = false;
    owner_->promote(key_);
}

namespace {

bool at_cap(std::size_t count, std::size_t cap) noexcept {
    return cap != 0 && count >= cap;
}

std::string refusal_text(const char* what, std::size_t cap) {
    return std::string("too many ") + what + " (limit " + std::to_string(cap) + ")";
}

}  // namespace

std::variant<connection_limiter::ticket, connection_limiter::refusal> connection_limiter::admit(
    std::string_view address) {
    ticket t;
    t.key_ = address_key(address);
    const std::lock_guard lock(mutex_);
    const auto known = by_address_.find(t.key_);
    const share here = known == by_address_.end() ? share{} : known->second;
    if (caps_.connections != 0 && total_.connections >= caps_.connections + caps_.reserve)
        return refusal{refusal_text("connections", caps_.connections)};
    if (at_cap(here.connections, caps_.connections_per_address))
        return refusal{
            refusal_text("connections from your address", caps_.connections_per_address)};
    if (at_cap(total_.unauthenticated, caps_.unauthenticated))
        return refusal{refusal_text("connections that have not logged in", caps_.unauthenticated)};
    if (at_cap(here.unauthenticated, caps_.unauthenticated_per_address))
        return refusal{refusal_text("connections from your address that have not logged in",
                                    caps_.unauthenticated_per_address)};
    auto& entry = by_address_[t.key_];
    ++entry.connections;
    ++entry.unauthenticated;
    ++total_.connections;
    ++total_.unauthenticated;
    t.owner_ = this;
    return t;
}

bool connection_limiter::in_reserve() const {
    const std::lock_guard lock(mutex_);
    return caps_.connections != 0 && total_.connections > caps_.connections;
}

void connection_limiter::set_caps(connection_caps caps) {
    const std::lock_guard lock(mutex_);
    caps_ = caps;
}

connection_limiter::counts connection_limiter::now() const {
    const std::lock_guard lock(mutex_);
    return {total_.connections, total_.unauthenticated, by_address_.size()};
}

void connection_limiter::promote(const std::string& key) noexcept {
    const std::lock_guard lock(mutex_);
    --total_.unauthenticated;
    if (const auto it = by_address_.find(key); it != by_address_.end())
        --it->second.unauthenticated;
}

void connection_limiter::release(const std::string& key, bool unauthenticated) noexcept {
    const std::lock_guard lock(mutex_);
    --total_.connections;
    if (unauthenticated) --total_.unauthenticated;
    const auto it = by_address_.find(key);
    if (it == by_address_.end()) return;
    if (unauthenticated) --it->second.unauthenticated;
    if (--it->second.connections == 0) by_address_.erase(it);
}

// Failures ----------------------------------------------------------------------------------------

struct failure_limiter::impl {
    struct bucket {
        std::string key;
        double tokens = 0;
        policy::instant at;
    };
    using entries = std::list<bucket>;

    explicit impl(options given) : o(given) {}

    // What a bucket holds at `now`; a bucket not in the table is full.
    [[nodiscard]] static double tokens_at(const bucket& b, policy::instant now, double burst,
                                          policy::milliseconds refill) {
        const auto passed = std::max<std::int64_t>(0, (now - b.at).count());
        const auto per_token = static_cast<double>(std::max<std::int64_t>(1, refill.count()));
        return std::min(burst, b.tokens + static_cast<double>(passed) / per_token);
    }
    [[nodiscard]] policy::milliseconds wait(const std::string& key, policy::instant now,
                                            double burst, policy::milliseconds refill) const {
        const auto it = index.find(key);
        if (it == index.end()) return policy::milliseconds{0};
        const double tokens = tokens_at(*it->second, now, burst, refill);
        if (tokens >= 1.0) return policy::milliseconds{0};
        const double missing = (1.0 - tokens) * static_cast<double>(refill.count());
        return policy::milliseconds{std::max<std::int64_t>(1, std::llround(std::ceil(missing)))};
    }
    void take(const std::string& key, policy::instant now, double burst,
              policy::milliseconds refill) {
        auto it = index.find(key);
        if (it == index.end()) {
            while (!table.empty() && index.size() >= o.entries_max) {
                index.erase(table.back().key);
                table.pop_back();
            }
            table.push_front({key, burst, now});
            it = index.emplace(key, table.begin()).first;
        }
        auto& b = *it->second;
        b.tokens = std::max(0.0, tokens_at(b, now, burst, refill) - 1.0);
        b.at = std::max(b.at, now);
        table.splice(table.begin(), table, it->second);
    }

    static std::string pair_key(std::string_view address, std::string_view user) {
        std::string key = "u";
        key += address_key(address);
        key += '\0';
        key += user.substr(0, 64);
        return key;
    }
    static std::string all_key(std::string_view address) { return "a" + address_key(address); }

    const options o;
    mutable std::mutex mutex;
    entries table;  // most recently used first
    std::unordered_map<std::string, entries::iterator> index;
};

failure_limiter::failure_limiter() : failure_limiter(options{}) {}
failure_limiter::failure_limiter(options o) : impl_(std::make_unique<impl>(o)) {}
failure_limiter::~failure_limiter() = default;

policy::milliseconds failure_limiter::retry_after(std::string_view address, std::string_view user,
                                                  policy::instant now) const {
    const auto& o = impl_->o;
    const std::lock_guard lock(impl_->mutex);
    return std::max(
        impl_->wait(impl::pair_key(address, user), now, o.burst_per_user, o.refill_per_user),
        impl_->wait(impl::all_key(address), now, o.burst_per_address, o.refill_per_address));
}

void failure_limiter::failed(std::string_view address, std::string_view user, policy::instant now) {
    const auto& o = impl_->o;
    const std::lock_guard lock(impl_->mutex);
    impl_->take(impl::pair_key(address, user), now, o.burst_per_user, o.refill_per_user);
    // Last, so that a flood of invented users pushes out pairs before the address's own bucket.
    impl_->take(impl::all_key(address), now, o.burst_per_address, o.refill_per_address);
}

void failure_limiter::succeeded(std::string_view address, std::string_view user) {
    const std::lock_guard lock(impl_->mutex);
    const auto it = impl_->index.find(impl::pair_key(address, user));
    if (it == impl_->index.end()) return;
    impl_->table.erase(it->second);
    impl_->index.erase(it);
}

std::size_t failure_limiter::entries() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->index.size();
}

}  // namespace sallyport::proxy::net
