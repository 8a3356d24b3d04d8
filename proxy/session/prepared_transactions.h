#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport::proxy::session {

/// The transactions that were prepared through Sallyport and are neither committed nor rolled back,
/// by target and global identifier. Thread-safe; bounded: beyond its size it forgets, and what is
/// forgotten is opaque to who commits it.
class prepared_transactions {
  public:
    void note(std::string_view target, std::string_view id) {
        const std::scoped_lock lock{mutex_};
        if (known_.size() < known_max) known_.emplace(target, id);
    }
    void forget(std::string_view target, std::string_view id) {
        const std::scoped_lock lock{mutex_};
        known_.erase({std::string{target}, std::string{id}});
    }
    [[nodiscard]] bool known(std::string_view target, std::string_view id) const {
        const std::scoped_lock lock{mutex_};
        return known_.contains({std::string{target}, std::string{id}});
    }

  private:
    static constexpr std::size_t known_max = 10'000;

    mutable std::mutex mutex_;
    std::set<std::pair<std::string, std::string>> known_;
};

}  // namespace sallyport::proxy::session
