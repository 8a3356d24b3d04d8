#include "proxy/approval/core.h"

#include <algorithm>
#include <utility>

namespace sallyport::proxy::approval {

std::vector<policy::vote> votes_left_out(const std::vector<policy::vote>& all,
                                         const std::vector<policy::vote>& counting) {
    std::vector<policy::vote> out;
    for (const auto& v : all)
        if (std::none_of(counting.begin(), counting.end(),
                         [&](const policy::vote& c) { return c.person == v.person; }))
            out.push_back(v);
    return out;
}

std::string counted_text(const std::string& name, int have, int needed, std::size_t no_more) {
    auto text = name + ": " + std::to_string(have) + " of " + std::to_string(needed) + " approvals";
    if (no_more > 0)
        text += "; " + std::to_string(no_more) +
                " more no longer counts, and may be taken back and cast again";
    return text;
}

namespace {

constexpr std::chrono::seconds retry_delay{1};
/// A clock that is stepped forward is noticed after this long at the latest.
constexpr std::chrono::milliseconds longest_wait{1000};

}  // namespace

core::core(steward::dependencies d, policy::rule_set_ptr rules)
    : deps_(std::move(d)),
      rules_(std::move(rules)),
      mailbox_(std::make_shared<mailbox>()),
      grants_(std::make_shared<const policy::grants>()) {}

std::optional<policy::principal> core::who_now(const policy::principal& then) const {
    return deps_.who_now ? deps_.who_now(then) : then;
}

std::string core::check_locked(const std::string& person) const {
    const auto all = grants();
    const auto lock = std::find_if(all->flags.begin(), all->flags.end(), [&](const auto& f) {
        return f.kind == policy::flag_kind::lock && f.on == policy::flag_on::principal &&
               f.subject == person && f.live_at(now());
    });
    return lock == all->flags.end()
               ? std::string()
               : person + " is locked (lock " + std::to_string(lock->id.value) + ")";
}

core::~core() {
    if (thread_.joinable()) stop({});
}

void core::start() {
    next_retry_ = std::chrono::steady_clock::now() + retry_delay;
    thread_ = std::thread([this] { run(); });
}

void core::stop(task last) {
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mailbox_->mutex);
        if (last) mailbox_->tasks.push_back(std::move(last));
        mailbox_->stopping = true;
        mailbox_->wake.notify_all();
    }
    thread_.join();
}

void core::post(task t) {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->tasks.push_back(std::move(t));
    mailbox_->wake.notify_all();
}

void core::time_moved() {
    const std::lock_guard lock(mailbox_->mutex);
    mailbox_->moved = true;
    mailbox_->wake.notify_all();
}

void core::record(audit::record r, on_recorded done) {
    {
        const std::lock_guard lock(mailbox_->mutex);
        ++mailbox_->in_flight;
    }
    // The log's callback must be copyable, a receipt is not: it travels in a shared box.
    deps_.audit->append(
        std::move(r), [this, box = mailbox_, done = std::move(done)](
                          std::unique_ptr<audit::receipt> got, std::error_code error) {
            auto receipt = std::make_shared<std::unique_ptr<audit::receipt>>(std::move(got));
            const std::lock_guard lock(box->mutex);
            --box->in_flight;
            box->tasks.push_back([this, done, receipt, error] {
                if (!*receipt) note_trouble("audit log: " + error.message());
                done(std::move(*receipt));
            });
            box->wake.notify_all();
        });
}

void core::record(audit::record r) {
    deps_.audit->append(std::move(r), {});
}

void core::publish(policy::grants_ptr g) {
    {
        const std::lock_guard lock(published_mutex_);
        grants_ = std::move(g);
    }
    // After the pointer: who sees the new version gets the new grants.
    version_.fetch_add(1);
}

policy::grants_ptr core::grants() const noexcept {
    const std::lock_guard lock(published_mutex_);
    return grants_;
}

std::string core::trouble() const {
    const std::lock_guard lock(published_mutex_);
    return trouble_;
}

void core::note_trouble(const std::string& text) {
    const std::lock_guard lock(published_mutex_);
    trouble_ = text;
}

void core::tell_change(const char* what, std::uint64_t id, const char* state) const {
    for (const auto& f : changed)
        f({what, id, state});
}

std::optional<policy::instant> core::next_deadline() const {
    std::optional<policy::instant> next;
    for (const auto* t : timed_)
        if (const auto d = t->next_deadline(); d && (!next || *d < *next)) next = d;
    return next;
}

bool core::retry_wanted() const {
    return !store_ok_.load() || std::any_of(timed_.begin(), timed_.end(),
                                            [](const timed* t) { return t->retry_wanted(); });
}

void core::run_due() {
    const auto next = next_deadline();
    const auto at = now();
    if (!next || *next > at) return;
    for (auto* t : timed_)
        t->run_due(at);
}

void core::run_retries() {
    if (!retry_wanted() || std::chrono::steady_clock::now() < next_retry_) return;
    next_retry_ = std::chrono::steady_clock::now() + retry_delay;
    for (auto* t : timed_)
        t->retry();
    if (!store_ok_.load()) (void)stored([this] { db().probe(); });
}

void core::wait_for_work(std::unique_lock<std::mutex>& lock) {
    auto& box = *mailbox_;
    while (box.tasks.empty() && !box.moved && !(box.stopping && box.in_flight == 0)) {
        const auto next = next_deadline();
        if (!next && !retry_wanted()) {
            box.wake.wait(lock);
            continue;
        }
        auto wait = longest_wait;
        if (next) {
            const auto left = *next - now();
            if (left <= policy::milliseconds(0)) return;
            wait = std::min(wait, left);
        }
        // Also a plain timeout returns: it may be time to try again.
        if (box.wake.wait_for(lock, wait) == std::cv_status::timeout) return;
    }
}

void core::run() {
    auto& box = *mailbox_;
    std::unique_lock lock(box.mutex);
    while (true) {
        wait_for_work(lock);
        const bool finished = box.stopping && box.tasks.empty() && box.in_flight == 0;
        std::deque<task> tasks;
        tasks.swap(box.tasks);
        box.moved = false;
        lock.unlock();
        if (finished) return;
        run_due();
        run_retries();
        for (const auto& t : tasks) {
            run_due();
            t();
        }
        lock.lock();
    }
}

}  // namespace sallyport::proxy::approval
