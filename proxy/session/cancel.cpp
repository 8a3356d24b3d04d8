#include "proxy/session/cancel.h"

#include <utility>

#include "proxy/auth/scram.h"

namespace sallyport::proxy::session {

std::string cancel_registry::add(std::uint32_t number, policy::session_id session,
                                 std::size_t secret_bytes, deliver to) {
    std::string secret(secret_bytes, '\0');
    auth::random_bytes(std::as_writable_bytes(std::span(secret.data(), secret.size())));
    const std::lock_guard lock(mutex_);
    keys_[number].push_back({session, secret, std::move(to)});
    return secret;
}

void cancel_registry::remove(policy::session_id session, std::uint32_t number) {
    const std::lock_guard lock(mutex_);
    const auto at = keys_.find(number);
    if (at == keys_.end()) return;
    std::erase_if(at->second, [&](const entry& e) { return e.session == session; });
    if (at->second.empty()) keys_.erase(at);
}

bool cancel_registry::cancel(std::uint32_t number, std::string_view secret,
                             std::function<void()> done) {
    deliver to;
    {
        const std::lock_guard lock(mutex_);
        const auto at = keys_.find(number);
        if (at == keys_.end()) return false;
        for (const auto& e : at->second)
            if (auth::equal_constant_time(e.secret, secret)) to = e.to;
    }
    if (!to) return false;
    to(std::move(done));
    return true;
}

}  // namespace sallyport::proxy::session
