#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/big_stack.h"
#include "proxy/catalog/budget.h"
#include "proxy/catalog/service.h"

/// One target's thread; private to proxy/catalog.
namespace sallyport::proxy::catalog {

class watcher {
  public:
    using time_point = std::chrono::steady_clock::time_point;

    watcher(target t, log_function log, read_limits limits, std::uint64_t seed);
    ~watcher();
    watcher(const watcher&) = delete;
    watcher& operator=(const watcher&) = delete;

    [[nodiscard]] const target& what() const noexcept { return target_; }
    [[nodiscard]] policy::catalog::snapshot_ptr current() const;
    /// When the newest check began that ended in an answer, one cut short by the budget, too.
    [[nodiscard]] time_point answered_at() const noexcept {
        return time_point(time_point::duration(answered_at_.load(std::memory_order_acquire)));
    }
    [[nodiscard]] time_point checked_at() const noexcept {
        return time_point(time_point::duration(checked_at_.load(std::memory_order_acquire)));
    }
    void refresh(service::on_snapshot done, patience p);
    void leave();  ///< see service::leave_databases()
    [[nodiscard]] status state() const;

  private:
    enum class asked : std::uint8_t { no, yes };

    struct waiter {
        service::on_snapshot done;
        patience how = patience::none;
    };

    void run();
    // With mutex_ held:
    [[nodiscard]] time_point due() const;
    [[nodiscard]] bool waits_for_another_try(patience p) const;
    [[nodiscard]] std::vector<waiter> take_those_who_do_not_wait();

    void check(asked a, time_point began);
    void failed(const std::string& why);
    void succeeded(time_point began);
    look look_or_reconnect();
    void keep(reading r, asked a);
    [[nodiscard]] policy::catalog::past_names names_before();
    void keep_names();
    static void answer(std::vector<waiter> waiting, const policy::catalog::snapshot_ptr& s);

    const target target_;
    const log_function log_;
    const read_limits limits_;
    const std::uint64_t seed_;
    stop_signal stop_;

    // The thread's own.
    std::unique_ptr<connection> connection_;
    look looked_;                       ///< at the newest good check; empty: none on this server
    std::string fingerprint_;           ///< of the newest snapshot
    policy::catalog::past_names kept_;  ///< what stands in the names file
    bool names_loaded_ = false;
    bool names_changed_ = false;
    budget budget_;
    bool cut_short_ = false;  ///< somebody was answered without a fingerprint
    std::chrono::milliseconds back_off_{0};
    time_point next_check_{};
    std::size_t missing_ = 0;  ///< objects of the newest snapshot that are unreadable
    time_point retry_at_{};    ///< when they may be tried again

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::vector<waiter> waiting_;
    bool stopping_ = false;
    bool leaving_ = false;
    policy::catalog::snapshot_ptr newest_;
    status status_;
    time_point failed_at_{};
    time_point down_since_{};
    std::atomic<time_point::rep> answered_at_{time_point::min().time_since_epoch().count()};
    std::atomic<time_point::rep> checked_at_{time_point::min().time_since_epoch().count()};

    big_thread thread_;  ///< last: begins when the rest stands, and ends before it falls
};

}  // namespace sallyport::proxy::catalog
