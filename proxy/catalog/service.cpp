#include "proxy/catalog/service.h"

#include <mutex>
#include <stdexcept>
#include <utility>

#include <openssl/rand.h>

#include "proxy/catalog/watcher.h"

namespace sallyport::proxy::catalog {

bool operator==(const target& a, const target& b) {
    return a.name == b.name && a.where == b.where && a.interval == b.interval &&
           a.names_file == b.names_file;
}

service::service(log_function log, read_limits limits) : log_(std::move(log)), limits_(limits) {
    unsigned char random[sizeof seed_];
    if (RAND_bytes(random, sizeof random) != 1) throw std::runtime_error("no random numbers");
    seed_ = 0;
    for (const unsigned char byte : random)
        seed_ = seed_ << 8 | byte;
}

service::~service() = default;

void service::set_targets(const std::vector<target>& targets) {
    decltype(watchers_) next;
    for (const auto& t : targets) {
        auto w = find(t.name);
        if (!w || !(w->what() == t)) w = std::make_shared<watcher>(t, log_, limits_, seed_);
        next[t.name] = std::move(w);
    }
    {
        const std::unique_lock lock(mutex_);
        watchers_.swap(next);
    }
    // Those that are gone end here, outside of the lock: it takes a moment.
}

std::shared_ptr<watcher> service::find(std::string_view target) const {
    const std::shared_lock lock(mutex_);
    const auto it = watchers_.find(target);
    return it == watchers_.end() ? nullptr : it->second;
}

bool service::configured(std::string_view target) const {
    return find(target) != nullptr;
}

policy::catalog::snapshot_ptr service::current(std::string_view target) const {
    const auto w = find(target);
    return w ? w->current() : nullptr;
}

std::chrono::steady_clock::time_point service::checked_at(std::string_view target) const {
    const std::shared_lock lock(mutex_);
    const auto it = watchers_.find(target);
    return it == watchers_.end() ? std::chrono::steady_clock::time_point::min()
                                 : it->second->checked_at();
}

std::chrono::steady_clock::time_point service::answered_at(std::string_view target) const {
    const std::shared_lock lock(mutex_);
    const auto it = watchers_.find(target);
    return it == watchers_.end() ? std::chrono::steady_clock::time_point::min()
                                 : it->second->answered_at();
}

void service::refresh(std::string_view target, on_snapshot done, patience p) const {
    if (const auto w = find(target))
        w->refresh(std::move(done), p);
    else
        done(nullptr);
}

void service::leave_databases() const {
    const std::shared_lock lock(mutex_);
    for (const auto& [name, w] : watchers_)
        w->leave();
}

std::vector<status> service::statuses() const {
    std::vector<status> out;
    const std::shared_lock lock(mutex_);
    for (const auto& [name, w] : watchers_)
        out.push_back(w->state());
    return out;
}

}  // namespace sallyport::proxy::catalog
