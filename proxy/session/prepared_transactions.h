#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "policy/types.h"

namespace sallyport::proxy::session {

/// What somebody's statements of one transaction passed by that rules hold.
struct exceptions_used {
    bool any = false;
    std::set<policy::opt_out_id> opt_outs;
};

/// The transactions that were prepared through Sallyport and are neither committed nor rolled back,
/// by target and global identifier. Thread-safe; bounded: beyond its size it forgets, and what is
/// forgotten is opaque to who commits it.
class prepared_transactions {
  public:
    struct prepared {
        std::string person;
        exceptions_used by;
    };

    void note(std::string_view target, std::string_view id, prepared p) {
        const std::scoped_lock lock{mutex_};
        if (known_.size() < known_max)
            known_.insert_or_assign({std::string{target}, std::string{id}}, std::move(p));
    }
    void forget(std::string_view target, std::string_view id) {
        const std::scoped_lock lock{mutex_};
        known_.erase({std::string{target}, std::string{id}});
    }
    [[nodiscard]] std::optional<prepared> find(std::string_view target, std::string_view id) const {
        const std::scoped_lock lock{mutex_};
        const auto at = known_.find({std::string{target}, std::string{id}});
        return at == known_.end() ? std::nullopt : std::optional(at->second);
    }

  private:
    static constexpr std::size_t known_max = 10'000;

    mutable std::mutex mutex_;
    std::map<std::pair<std::string, std::string>, prepared> known_;
};

}  // namespace sallyport::proxy::session
