#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

/// How logins at the targets' servers went, for metrics.
namespace sallyport::proxy {

/// Any thread; taken when a session begins or loses its server, not on a statement's way.
class upstream_health {
  public:
    struct state {
        bool up = false;             ///< the newest login there went well
        std::uint64_t logins = 0;    ///< that went well
        std::uint64_t no_login = 0;  ///< could not be reached, or refused
        std::uint64_t lost = 0;      ///< connections that broke off in a session
    };
    void reached(const std::string& target) {
        const std::lock_guard lock(mutex_);
        auto& s = states_[target];
        s.up = true;
        ++s.logins;
    }
    void failed(const std::string& target) {
        const std::lock_guard lock(mutex_);
        auto& s = states_[target];
        s.up = false;
        ++s.no_login;
    }
    void lost(const std::string& target) {
        const std::lock_guard lock(mutex_);
        ++states_[target].lost;
    }
    [[nodiscard]] std::map<std::string, state> states() const {
        const std::lock_guard lock(mutex_);
        return states_;
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, state> states_;  // targets of the configuration: few
};

}  // namespace sallyport::proxy
