#pragma once

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/model/terms.h"
#include "tests/unit/approval/support.h"

/// A machine for the steward: its files outlive it, its power can fail in the middle of anything,
/// and its clock can be set.
namespace sallyport::model {

using namespace std::chrono_literals;
using policy::instant;
using policy::milliseconds;
using proxy::approval::answer;
using proxy::approval::hold_outcome;
using proxy::approval::steward;
using proxy::approval::verdict;

class machine {
  public:
    machine() {
        std::string name = (std::filesystem::temp_directory_path() / "model_test.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory_ = name;
        utc_ = 1'772'357'400'000;
        elapsed_ = 0;
    }
    ~machine() {
        s_.reset();
        log_.reset();
        state_.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory_, ignored);
    }
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    void boot(policy::rule_set_ptr rules) {
        power_left_ = -1;
        off_ = false;
        proxy::audit::log_options o;
        o.directory = log_directory();
        o.signing_key = directory_ + "/audit.key";
        o.fault_hook = [this](std::string_view, std::string_view) {
            return dies() ? std::make_error_code(std::errc::io_error) : std::error_code();
        };
        log_ = std::make_unique<proxy::audit::log>(o);
        clock_ = std::make_unique<proxy::system_clock>(&utc, &elapsed);
        if (const auto seen = proxy::audit::newest_instant(log_directory()))
            clock_->not_before(*seen);
        state_ = std::make_unique<proxy::approval::testing::failing_store>(
            proxy::store::open_sqlite(directory_ + "/state.db"));
        state_->before = [this] {
            if (dies()) throw proxy::store::store_error("state: no power");
        };
        s_ = std::make_unique<steward>(
            steward::dependencies{
                state_.get(), log_.get(), clock_.get(),
                [](const policy::principal& then) { return called(then.name).principal(); }},
            std::move(rules));
        s_->start();
    }
    /// In good order.
    void shut() {
        s_.reset();
        log_.reset();
        state_.reset();
        clock_.reset();
    }
    /// The power fails when store and log have done `operations` more; at once with 0.
    void fail_after(long operations) {
        if (operations == 0) off_ = true;
        power_left_ = operations;
    }
    /// What is left after a crash: what was written until the power failed. With `torn` the log's
    /// last line was being written.
    void crash(bool torn) {
        off_ = true;
        shut();
        if (!torn) return;
        std::filesystem::path newest;
        for (const auto& e : std::filesystem::directory_iterator(log_directory()))
            if (e.path().extension() == ".jsonl" && e.path() > newest) newest = e.path();
        if (newest.empty()) return;
        std::ofstream(newest, std::ios::app) << R"({"seq":99999999,"prev":"0123)";
    }
    [[nodiscard]] bool off() const { return off_; }

    [[nodiscard]] instant now() const { return clock_->now(); }
    /// Time that has really gone by, whatever the clock says.
    [[nodiscard]] static milliseconds gone_by() { return milliseconds(elapsed_.load()); }
    void pass(milliseconds by) {
        elapsed_ += by.count();
        utc_ += by.count();
        if (s_) s_->time_moved();
    }
    void set_clock(milliseconds by) {
        utc_ += by.count();
        if (s_) s_->time_moved();
    }

    [[nodiscard]] steward& s() { return *s_; }
    [[nodiscard]] std::string log_directory() const { return directory_ + "/audit"; }
    [[nodiscard]] std::string public_pem() const { return log_->public_pem(); }

    /// Everything that was asked is done, with what followed from it.
    void settle() {
        for (int i = 0; i < 3; ++i) {
            std::promise<void> asked;
            s_->list_passes([&](const auto&) { asked.set_value(); });
            asked.get_future().wait();
            if (i == 2) return;
            std::promise<void> recorded;
            proxy::audit::record r;
            r.event = "model.settled";
            r.at = now();
            log_->append(std::move(r), [&](auto, auto) { recorded.set_value(); });
            recorded.get_future().wait();
        }
    }
    /// Waits for the answer of a call that gives one.
    template <class T, class F>
    [[nodiscard]] static T ask(F call) {
        auto p = std::make_shared<std::promise<T>>();
        auto f = p->get_future();
        call([p](T t) { p->set_value(std::move(t)); });
        return f.get();
    }

  private:
    static std::int64_t utc() noexcept { return utc_.load(); }
    static std::int64_t elapsed() noexcept { return elapsed_.load(); }
    bool dies() {
        if (off_) return true;
        if (power_left_ >= 0 && power_left_.fetch_sub(1) <= 0) off_ = true;
        return off_;
    }

    static inline std::atomic<std::int64_t> utc_{0};
    static inline std::atomic<std::int64_t> elapsed_{0};
    std::string directory_;
    std::atomic<long> power_left_{-1};
    std::atomic<bool> off_{false};
    std::unique_ptr<proxy::system_clock> clock_;
    std::unique_ptr<proxy::approval::testing::failing_store> state_;
    std::unique_ptr<proxy::audit::log> log_;
    std::unique_ptr<steward> s_;
};

}  // namespace sallyport::model
