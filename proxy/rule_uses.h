#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

/// How often rules that enforce nothing, or let somebody round others, had a say.
namespace sallyport::proxy {

/// Counts since the proxy's start, by rule id: they go on over a reload. Any thread; taken only
/// where such a rule matched, which is not the way of every statement.
class rule_uses {
  public:
    struct count {
        std::uint64_t observed = 0;  ///< decisions that a rule with `observe` would have changed
        std::uint64_t excepted = 0;  ///< decisions that rested on it as an exception
    };
    void observed(const std::string& rule) {
        const std::lock_guard lock(mutex_);
        ++counts_[rule].observed;
    }
    void excepted(const std::string& rule) {
        const std::lock_guard lock(mutex_);
        ++counts_[rule].excepted;
    }
    [[nodiscard]] std::map<std::string, count> counts() const {
        const std::lock_guard lock(mutex_);
        return counts_;
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, count> counts_;
};

}  // namespace sallyport::proxy
