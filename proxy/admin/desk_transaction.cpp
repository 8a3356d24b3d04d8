#include <algorithm>
#include <utility>

#include "proxy/admin/desk.h"

/// The transaction that a hold keeps open.
namespace sallyport::proxy::admin {

void desk::transaction(const policy::hold& h,
                       std::function<void(std::optional<open_transaction>)> done) {
    if (h.state != policy::hold_state::pending || !h.in_transaction || !h.session ||
        d_.sessions == nullptr)
        return done(std::nullopt);
    d_.sessions->list([self = shared_from_this(), id = h.session,
                       done = std::move(done)](const std::vector<session_info>& all) {
        const auto at =
            std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.id == id; });
        if (at == all.end() || at->transaction_since == policy::instant{})
            return done(std::nullopt);
        open_transaction found;
        found.since = at->transaction_since;
        if (!self->d_.locks) {
            found.locks.unknown_because = "this proxy does not ask servers for locks";
            return done(std::move(found));
        }
        self->d_.locks(at->target, at->server_pid, [self, found, done](lock_report locks) mutable {
            // The server knows when it began; the proxy, when it was told.
            if (locks.age) found.since = self->now() - *locks.age;
            found.locks = std::move(locks);
            done(std::move(found));
        });
    });
}

}  // namespace sallyport::proxy::admin
