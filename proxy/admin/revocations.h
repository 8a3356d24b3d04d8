#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "proxy/admin/token_table.h"

/// Revocations of API tokens that the store did not take.
namespace sallyport::proxy::admin {

/// Writes revocations, and again with each retry() until they are stored: a token that is refused
/// now must not be live again after a restart, only because the disk was full for a moment.
/// Concurrency: any thread; must outlive the answers of `write`.
class revocations {
  public:
    using writer = decltype(token_keeper::revoke);
    explicit revocations(writer write) : write_(std::move(write)) {}
    revocations(const revocations&) = delete;
    revocations& operator=(const revocations&) = delete;

    /// `done` is told how the first attempt went.
    void store(std::uint64_t id, std::string by, policy::instant at,
               std::function<void(bool)> done) {
        {
            const std::scoped_lock lock(mutex_);
            waiting_[id] = {by, at, true};
        }
        write_(id, std::move(by), at, [this, id, done = std::move(done)](bool stored) {
            settle(id, stored);
            done(stored);
        });
    }
    /// Tries again what has failed; what is under way is left alone.
    void retry() {
        std::vector<std::pair<std::uint64_t, entry>> due;
        {
            const std::scoped_lock lock(mutex_);
            for (auto& [id, e] : waiting_)
                if (!std::exchange(e.under_way, true)) due.emplace_back(id, e);
        }
        for (auto& [id, e] : due)
            write_(id, e.by, e.at, [this, number = id](bool stored) { settle(number, stored); });
    }
    /// Not stored yet.
    [[nodiscard]] std::size_t waiting() const {
        const std::scoped_lock lock(mutex_);
        return waiting_.size();
    }

  private:
    struct entry {
        std::string by;
        policy::instant at;
        bool under_way = false;
    };
    void settle(std::uint64_t id, bool stored) {
        const std::scoped_lock lock(mutex_);
        if (stored)
            waiting_.erase(id);
        else if (const auto found = waiting_.find(id); found != waiting_.end())
            found->second.under_way = false;
    }
    writer write_;
    mutable std::mutex mutex_;
    std::map<std::uint64_t, entry> waiting_;
};

}  // namespace sallyport::proxy::admin
