#include "proxy/catalog/watcher.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <iterator>
#include <utility>

#include "proxy/catalog/names_file.h"

namespace sallyport::proxy::catalog {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds back_off_min{100};
// Somebody who waits makes a server that is down be tried again, this often at most.
constexpr milliseconds retry_interval{50};
constexpr milliseconds back_off_max{5'000};
// How long everybody waits for the next try: a restart, or a database that is made anew.
constexpr milliseconds patient_at_first{5'000};
// As long as the server itself waits for others to leave a database.
constexpr milliseconds stay_away{5'000};

double seconds(steady_clock::duration d) {
    return std::chrono::duration<double>(d).count();
}

template <class T>
void count_unreadable(const std::vector<T>& rows, std::size_t& out, std::string& first) {
    for (const auto& r : rows) {
        if (r.unreadable.empty()) continue;
        if (out++ == 0) first = r.unreadable;
    }
}

/// How many objects are opaque, and why the first of them is.
std::pair<std::size_t, std::string> unreadable(const policy::catalog::rows& r) {
    std::size_t n = 0;
    std::string first;
    count_unreadable(r.relations, n, first);
    count_unreadable(r.expressions, n, first);
    count_unreadable(r.functions, n, first);
    count_unreadable(r.types, n, first);
    count_unreadable(r.triggers, n, first);
    count_unreadable(r.rules, n, first);
    return {n, first};
}

}  // namespace

watcher::watcher(target t, log_function log, read_limits limits, std::uint64_t seed)
    : target_(std::move(t)), log_(std::move(log)), limits_(limits), seed_(seed), thread_([this] {
          run();
      }) {}

watcher::~watcher() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.set();
    wake_.notify_all();
}

policy::catalog::snapshot_ptr watcher::current() const {
    const std::lock_guard lock(mutex_);
    return newest_;
}

status watcher::state() const {
    const std::lock_guard lock(mutex_);
    status s = status_;
    s.target = target_.name;
    s.has_snapshot = newest_ != nullptr;
    s.checked_at = checked_at();
    return s;
}

void watcher::refresh(service::on_snapshot done, patience p) {
    {
        const std::lock_guard lock(mutex_);
        const bool now = !status_.down || steady_clock::now() - failed_at_ >= retry_interval;
        if (!stopping_ && (now || waits_for_another_try(p))) {
            waiting_.push_back({std::move(done), p});
            wake_.notify_one();
            return;
        }
    }
    done(nullptr);
}

void watcher::leave() {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
    wake_.notify_one();
}

void watcher::answer(std::vector<waiter> waiting, const policy::catalog::snapshot_ptr& s) {
    for (const auto& w : waiting)
        w.done(s);
}

watcher::time_point watcher::due() const {
    if (waiting_.empty()) return next_check_;
    return status_.down ? failed_at_ + retry_interval : time_point::min();
}

bool watcher::waits_for_another_try(patience p) const {
    return p == patience::one_try || steady_clock::now() - down_since_ < patient_at_first;
}

std::vector<watcher::waiter> watcher::take_those_who_do_not_wait() {
    const auto stay = std::ranges::stable_partition(
        waiting_, [this](const waiter& w) { return !waits_for_another_try(w.how); });
    std::vector<waiter> out(std::make_move_iterator(waiting_.begin()),
                            std::make_move_iterator(stay.begin()));
    waiting_.erase(waiting_.begin(), stay.begin());
    return out;
}

void watcher::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (std::exchange(leaving_, false)) {
            connection_.reset();
            next_check_ = steady_clock::now() + stay_away;
        }
        if (const auto when = due(); steady_clock::now() < when) {
            wake_.wait_until(lock, when);
            continue;
        }
        // Whoever comes from here on waits for the next check: this one begins now.
        auto batch = std::exchange(waiting_, {});
        ++status_.checks;
        lock.unlock();
        policy::catalog::snapshot_ptr result;
        try {
            check(batch.empty() ? asked::no : asked::yes, steady_clock::now());
            result = current();
        } catch (const std::exception& e) {
            failed(e.what());
        }
        answer(std::move(batch), std::move(result));
        keep_names();
        lock.lock();
        if (!status_.down) continue;
        batch = take_those_who_do_not_wait();
        lock.unlock();
        answer(std::move(batch), nullptr);
        lock.lock();
    }
    auto left = std::exchange(waiting_, {});
    lock.unlock();
    answer(std::move(left), nullptr);
    connection_.reset();
}

look watcher::look_or_reconnect() {
    if (connection_ && connection_->usable()) {
        try {
            return take_look(*connection_, limits_);
        } catch (const failure&) {
            if (connection_->usable()) throw;  // an answer; otherwise the server may be back
        }
    }
    connection_.reset();
    connection_ = std::make_unique<connection>(target_.where, stop_);
    return take_look(*connection_, limits_);
}

void watcher::check(asked a, time_point began) {
    const auto seen = look_or_reconnect();
    // Another run of the server: what it calls by the same numbers may be something else.
    const bool known = seen.server == looked_.server && current() != nullptr;
    // What could not be written out for a lock can be once the lock is gone, without any change.
    const bool again = missing_ > 0 && began >= retry_at_;
    if (known && !again && seen.transactions == looked_.transactions) return succeeded(began);
    if (known && !again && !budget_.available(steady_clock::now())) {
        cut_short_ = cut_short_ || a == asked::yes;
        next_check_ = budget_.available_at(steady_clock::now());
        answered_at_.store(began.time_since_epoch().count(), std::memory_order_release);
        const std::lock_guard lock(mutex_);
        ++status_.checks_cut_short;
        return;
    }
    auto r = read_if_changed(*connection_, seed_, known && !again ? fingerprint_ : "", limits_);
    budget_.spend(r.fingerprint_took, steady_clock::now());
    {
        const std::lock_guard lock(mutex_);
        ++status_.fingerprints;
        status_.fingerprint_seconds = seconds(r.fingerprint_took);
    }
    const bool changed = r.fingerprint != fingerprint_;
    if (changed) budget_.refill(steady_clock::now());
    if (r.rows) keep(std::move(r), changed && !cut_short_ ? a : asked::yes);
    cut_short_ = false;
    looked_ = seen;
    succeeded(began);
}

policy::catalog::past_names watcher::names_before() {
    if (const auto before = current()) return before->past();
    if (target_.names_file.empty() || std::exchange(names_loaded_, true)) return kept_;
    try {
        kept_ = load_names(target_.names_file);
    } catch (const std::exception& e) {
        log_(severity::warning, "catalog of " + target_.name + ": " + one_line(e.what()) +
                                    "; tables that were renamed are known by their new names only. "
                                    "Check that the policy names them so");
    }
    return kept_;
}

/// Nobody waits for it: a crash before it leaves names that are older still.
void watcher::keep_names() {
    const auto s = current();
    if (!s || !std::exchange(names_changed_, false) || target_.names_file.empty()) return;
    auto now = s->past();
    const bool other = now.database != kept_.database || now.identity != kept_.identity;
    if (other && !kept_.identity.empty())
        log_(severity::warning, "catalog of " + target_.name +
                                    ": this is another database than before; tables that were "
                                    "renamed there before are known by their new names only");
    // Without it the same number may mean another table.
    if (now.identity.empty() || now == kept_) return;
    try {
        save_names(target_.names_file, now);
        kept_ = std::move(now);
    } catch (const std::exception& e) {
        log_(severity::warning,
             "catalog of " + target_.name +
                 ": what its tables are called is not kept over a restart: " + one_line(e.what()));
    }
}

void watcher::keep(reading r, asked a) {
    const auto [missing, why] = unreadable(*r.rows);
    const std::size_t relations = r.rows->relations.size();
    const std::size_t functions = r.rows->functions.size();
    auto made = policy::catalog::build(std::move(*r.rows), names_before());
    names_changed_ = true;
    fingerprint_ = std::move(r.fingerprint);
    const double took = seconds(steady_clock::now() - r.began);
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        first = newest_ == nullptr;
        std::swap(newest_, made);  // the old one dies below, outside of the lock
        status_.relations = relations;
        status_.functions = functions;
        status_.unreadable = missing;
        status_.read_seconds = took;
        ++status_.reads;
        if (!first && a == asked::no) ++status_.changes_outside;
    }
    made.reset();
    retry_at_ =
        steady_clock::now() + std::max<time_point::duration>(
                                  target_.interval, std::chrono::ceil<time_point::duration>(
                                                        std::chrono::duration<double>(took * 10)));
    char text[96];
    std::snprintf(text, sizeof text, "%zu relations, %zu functions, read in %.3f s", relations,
                  functions, took);
    if (!first && a == asked::no)
        log_(severity::warning,
             "catalog of " + target_.name + " changed outside of what passed here: " + text);
    else
        log_(first ? severity::info : severity::debug, "catalog of " + target_.name + ": " + text);
    if (missing != missing_ && missing > 0)
        log_(severity::warning,
             "catalog of " + target_.name + ": " + std::to_string(missing) +
                 " definitions could not be read and count as opaque; the first: " + why);
    missing_ = missing;
}

void watcher::succeeded(time_point began) {
    checked_at_.store(began.time_since_epoch().count(), std::memory_order_release);
    answered_at_.store(began.time_since_epoch().count(), std::memory_order_release);
    next_check_ = steady_clock::now() + target_.interval;
    back_off_ = milliseconds(0);
    bool was_down = false;
    {
        const std::lock_guard lock(mutex_);
        was_down = std::exchange(status_.down, false);
        status_.error.clear();
    }
    if (was_down) log_(severity::info, "catalog of " + target_.name + " can be read again");
}

void watcher::failed(const std::string& why) {
    back_off_ = std::clamp(back_off_ * 2, back_off_min, back_off_max);
    next_check_ = steady_clock::now() + back_off_;
    bool news = false;
    bool running = false;
    {
        const std::lock_guard lock(mutex_);
        running = newest_ != nullptr;
        news = !std::exchange(status_.down, true) && !stopping_;
        failed_at_ = steady_clock::now();
        if (news) down_since_ = failed_at_;
        status_.error = why;
    }
    if (news)
        log_(severity::warning, "catalog of " + target_.name + " cannot be read: " + one_line(why) +
                                    (running ? "; its map is from before" : "; it has no map"));
}

}  // namespace sallyport::proxy::catalog
