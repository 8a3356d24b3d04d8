#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "policy/notice.h"
#include "policy/opt_out.h"
#include "proxy/approval/steward.h"
#include "proxy/approval/tally.h"

/// What the desks of the steward (holds, opt-outs) stand on. Internal to this folder.
namespace sallyport::proxy::approval {

/// Who voted, as they came. Not in the store: after a restart groups that only a login service gave
/// are gone, and such a vote counts no more until it is taken back and cast again.
using voters = std::map<std::string, policy::principal>;

[[nodiscard]] std::vector<policy::vote> votes_left_out(const std::vector<policy::vote>& all,
                                                       const std::vector<policy::vote>& counting);

/// "hold 7: 1 of 2 approvals", and of how many the rule takes no account any more.
[[nodiscard]] std::string counted_text(const std::string& name, int have, int needed,
                                       std::size_t no_more);

/// Something with deadlines, looked at before every task: a deadline that has passed wins over what
/// is asked after it.
class timed {
  public:
    virtual ~timed() = default;
    [[nodiscard]] virtual std::optional<policy::instant> next_deadline() const = 0;
    virtual void run_due(policy::instant now) = 0;
    /// About once a second while retry_wanted(): tries again what the disk did not take.
    virtual void retry() = 0;
    [[nodiscard]] virtual bool retry_wanted() const = 0;
};

/// The steward's thread, its queue, and its way to store, audit log and clock.
/// Everything but post(), the grants, health and rules' arrival belongs to that thread.
class core {
  public:
    using task = std::function<void()>;
    using on_recorded = std::function<void(std::unique_ptr<audit::receipt>)>;

    core(steward::dependencies d, policy::rule_set_ptr rules);
    ~core();
    core(const core&) = delete;
    core& operator=(const core&) = delete;

    void attach(timed& t) { timed_.push_back(&t); }  ///< before start()
    void start();
    /// Runs `last`, then what is queued and what waits for the audit log; joins.
    void stop(task last);
    void post(task t);  ///< any thread
    void time_moved();  ///< any thread

    [[nodiscard]] policy::instant now() const noexcept { return deps_.time->now(); }
    [[nodiscard]] store::store& db() noexcept { return *deps_.store; }
    [[nodiscard]] const policy::rule_set_ptr& rules() const noexcept { return rules_; }
    void set_rules(policy::rule_set_ptr r) { rules_ = std::move(r); }
    /// See steward::dependencies::who_now.
    [[nodiscard]] std::optional<policy::principal> who_now(const policy::principal& then) const;
    /// "" unless a lock means the person.
    [[nodiscard]] std::string check_locked(const std::string& person) const;
    /// The approvals among `votes` that `objection` ("" = none) lets count, asked with their voters
    /// as they are now.
    template <class Objection>
    [[nodiscard]] std::vector<policy::vote> votes_that_count(const std::vector<policy::vote>& votes,
                                                             const voters& came_as,
                                                             Objection objection) const {
        std::vector<policy::vote> all;
        for (const auto& v : votes) {
            const auto then = came_as.find(v.person);
            const auto voter = who_now(
                then == came_as.end() ? policy::principal{v.person, {}, false} : then->second);
            if (v.approve && voter && check_locked(v.person).empty() && objection(*voter).empty())
                all.push_back(v);
        }
        return all;
    }

    /// Runs a store operation: false if the store could not do it, which is then known to health.
    template <class F>
    [[nodiscard]] bool stored(F f) {
        const auto began = std::chrono::steady_clock::now();
        try {
            f();
            counts.store_time.observe(std::chrono::steady_clock::now() - began);
            store_ok_.store(true);
            return true;
        } catch (const store::store_error& e) {
            counts.store_failures.add();
            note_trouble(e.what());
            store_ok_.store(false);
            return false;
        }
    }
    /// The same, and what `f` tell()s is in the same transaction as what it changes.
    template <class F>
    [[nodiscard]] bool stored_and_told(F f) {
        return stored([&] {
            in_transaction_ = true;
            try {
                db().atomically(f);
            } catch (...) {
                in_transaction_ = false;
                throw;
            }
            in_transaction_ = false;
        });
    }
    /// Puts a notice into the outbox.
    void tell(const policy::notice& n) const {
        if (teller_) teller_(n);
    }
    void set_teller(std::function<void(const policy::notice&)> f) { teller_ = std::move(f); }
    [[nodiscard]] bool in_transaction() const noexcept { return in_transaction_; }

    /// Appends a record; `done` runs on the steward's thread, with nullptr if it is not durable.
    void record(audit::record r, on_recorded done);
    /// Appends a record of something that has happened whatever the disk says.
    void record(audit::record r);

    // Grants: written by the steward's thread, read by any.
    void publish(policy::grants_ptr g);
    [[nodiscard]] policy::grants_ptr grants() const noexcept;
    [[nodiscard]] std::uint64_t grants_version() const noexcept { return version_.load(); }

    [[nodiscard]] bool healthy() const noexcept {
        return store_ok_.load() && deps_.audit->healthy();
    }
    [[nodiscard]] std::string trouble() const;

    std::vector<steward::on_ended> ended;      ///< filled before start()
    std::vector<steward::on_change> changed;   ///< filled before start()
    std::vector<steward::on_nearing> nearing;  ///< filled before start()
    std::vector<steward::on_locked> locked;    ///< filled before start()
    void tell_change(const char* what, std::uint64_t id, const char* state) const;

    tally counts;  ///< written by the steward's thread

  private:
    /// Shared with the callbacks that the audit log still holds.
    struct mailbox {
        std::mutex mutex;
        std::condition_variable wake;
        std::deque<task> tasks;
        std::size_t in_flight = 0;  // records whose receipt is awaited
        bool moved = false;
        bool stopping = false;
    };

    void run();
    void run_due();
    void run_retries();
    void wait_for_work(std::unique_lock<std::mutex>& lock);
    [[nodiscard]] bool retry_wanted() const;
    [[nodiscard]] std::optional<policy::instant> next_deadline() const;
    void note_trouble(const std::string& text);

    steward::dependencies deps_;
    policy::rule_set_ptr rules_;
    std::vector<timed*> timed_;
    std::function<void(const policy::notice&)> teller_;
    bool in_transaction_ = false;  // of stored_and_told()
    std::shared_ptr<mailbox> mailbox_;
    std::chrono::steady_clock::time_point next_retry_{};
    std::atomic<bool> store_ok_{true};
    mutable std::mutex published_mutex_;  // guards grants_ and trouble_
    policy::grants_ptr grants_;
    std::string trouble_;
    std::atomic<std::uint64_t> version_{1};
    std::thread thread_;
};

}  // namespace sallyport::proxy::approval
