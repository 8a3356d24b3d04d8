#include "proxy/notify/courier.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "proxy/notify/attempts.h"
#include "proxy/notify/hook.h"
#include "proxy/notify/render.h"
#include "proxy/notify/send.h"
#include "proxy/notify/sign.h"

namespace sallyport::proxy::notify {
namespace {

namespace asio = boost::asio;
using approval::delivery_exchange;
using approval::delivery_work;
using store::delivery;
using store::delivery_outcome;
using store::delivery_state;

constexpr std::size_t hooks_at_once = 2;
constexpr std::chrono::seconds store_retry{1};

struct active_channel {
    channel what;
    lane runs;
    channel_status status;
};

}  // namespace

approval::notice_routes routes_of(std::shared_ptr<const settings> s,
                                  std::map<std::string, std::set<std::string>> members) {
    approval::notice_routes r;
    if (!s || s->channels.empty()) return r;
    for (const auto& c : s->channels)
        r.channels.push_back(c.name);
    r.of = [s = std::move(s), members = std::move(members)](const policy::notice& n) {
        std::vector<std::string> names;
        for (const auto& c : s->channels)
            if (c.wants(n, members)) names.push_back(c.name);
        return names;
    };
    return r;
}

struct courier::impl : std::enable_shared_from_this<impl> {
    explicit impl(world w) : world_(std::move(w)), random_(std::random_device{}()) {}

    void adopt(const std::shared_ptr<const settings>& s);
    void pump();
    void take(const std::vector<delivery_outcome>& written, delivery_work work);
    void arm(policy::instant now, const delivery_work& work);
    void launch(active_channel& c, const delivery& d);
    void launch_hook(const channel& c, const delivery& d, std::string body);
    void finished(const delivery& d, const posted& result);
    void count(active_channel& c, bool ok, const std::string& error, policy::instant now);
    void publish();
    [[nodiscard]] double jitter() { return std::uniform_real_distribution<>(0, 1)(random_); }
    [[nodiscard]] policy::instant now() const { return world_.time->now(); }
    /// What runs `f` on the courier's thread, unless the courier is gone by then.
    template <class... A, class F>
    auto back(F f) {
        return [weak = weak_from_this(), f = std::move(f)](A... a) {
            const auto self = weak.lock();
            if (!self) return;
            asio::post(self->loop_, [weak, f, ... args = std::move(a)]() mutable {
                if (const auto s = weak.lock()) f(*s, std::move(args)...);
            });
        };
    }

    const world world_;
    asio::io_context loop_{1};
    asio::executor_work_guard<asio::io_context::executor_type> alive_{loop_.get_executor()};
    asio::steady_timer timer_{loop_};
    asio::thread_pool hooks_{hooks_at_once};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
    std::mt19937 random_;

    // The courier's thread alone.
    std::shared_ptr<const settings> settings_;
    std::map<std::string, active_channel> channels_;
    std::vector<delivery_outcome> outcomes_;  // to be written
    std::set<std::uint64_t> settling_;        // of these, and of those that are being written
    bool asking_ = false;
    bool again_ = false;

    mutable std::mutex published_mutex_;
    std::vector<channel_status> published_;
};

void courier::impl::adopt(const std::shared_ptr<const settings>& s) {
    settings_ = s;
    std::map<std::string, active_channel> next;
    if (s)
        for (const auto& c : s->channels) {
            auto& entry = next[c.name];
            if (const auto old = channels_.find(c.name); old != channels_.end())
                entry = std::move(old->second);
            entry.what = c;
            entry.status.name = c.name;
            entry.status.to = c.hook ? c.hook->shown : c.command.front();
        }
    channels_ = std::move(next);
    publish();
    pump();
}

void courier::impl::pump() {
    if (asking_) {
        again_ = true;
        return;
    }
    delivery_exchange e;
    const auto at = now();
    for (const auto& [name, c] : channels_)
        if (const auto room = c.runs.room(at); room > 0)
            e.wanted.emplace_back(name, room + c.runs.running() + settling_.size());
    e.outcomes = std::exchange(outcomes_, {});
    if (e.wanted.empty() && e.outcomes.empty()) return arm(at, {});
    asking_ = true;
    auto written = e.outcomes;
    world_.exchange(std::move(e), back<delivery_work>([written = std::move(written)](
                                                          impl& self, delivery_work work) {
                        self.take(written, std::move(work));
                    }));
}

void courier::impl::take(const std::vector<delivery_outcome>& written, delivery_work work) {
    asking_ = false;
    if (!work.stored) {
        // The outcomes are kept, and what they are about is not tried again before.
        outcomes_.insert(outcomes_.begin(), written.begin(), written.end());
        timer_.expires_after(store_retry);
        timer_.async_wait([this](boost::system::error_code ec) {
            if (!ec) pump();
        });
        return;
    }
    for (const auto& o : written)
        settling_.erase(o.id);
    const auto at = now();
    for (const auto& d : work.due) {
        const auto found = channels_.find(d.channel);
        if (found == channels_.end() || settling_.contains(d.id)) continue;
        if (found->second.runs.begin(d.id, at)) launch(found->second, d);
    }
    for (auto& [name, c] : channels_) {
        const auto waiting = work.waiting.find(name);
        c.status.waiting = waiting == work.waiting.end() ? 0 : waiting->second;
    }
    publish();
    if (std::exchange(again_, false) || !outcomes_.empty()) return pump();
    arm(at, work);
}

/// The next look at the outbox, if nothing happens before.
void courier::impl::arm(policy::instant at, const delivery_work& work) {
    std::optional<policy::instant> first;
    const auto consider = [&](policy::instant t) {
        if (t > at && (!first || t < *first)) first = t;
    };
    for (const auto& [name, c] : channels_) {
        consider(c.runs.not_before());
        if (const auto next = work.next.find(name); next != work.next.end()) consider(next->second);
    }
    timer_.cancel();
    if (!first) return;
    // A clock that is stepped is noticed after a while; far instants would overflow.
    const auto wait = std::min<policy::milliseconds>(*first - at, std::chrono::minutes(1));
    timer_.expires_after(wait + std::chrono::milliseconds(1));
    timer_.async_wait([this](boost::system::error_code ec) {
        if (!ec) pump();
    });
}

void courier::impl::launch(active_channel& c, const delivery& d) {
    auto body =
        render(c.what.hook ? c.what.hook->as : form::generic, d.what, d.key, settings_->url);
    if (!c.what.hook) return launch_hook(c.what, d, std::move(body));
    posting p;
    p.to = *c.what.hook;
    p.timeout = c.what.timeout;
    p.headers = {{"Sallyport-Delivery", d.key},
                 {"Sallyport-Event", policy::to_string(d.what.event)}};
    if (p.to.key) {
        const auto seconds = std::chrono::floor<std::chrono::seconds>(now().time_since_epoch());
        p.headers.emplace_back("Sallyport-Signature",
                               signature(p.to.key->view(), seconds.count(), body));
    }
    p.body = std::move(body);
    post_webhook(loop_.get_executor(), std::move(p),
                 back<posted>([d](impl& self, const posted& result) { self.finished(d, result); }));
}

void courier::impl::launch_hook(const channel& c, const delivery& d, std::string body) {
    auto done = back<posted>([d](impl& self, const posted& r) { self.finished(d, r); });
    hook_run run{c.command,
                 std::move(body) + "\n",
                 {std::string("SALLYPORT_EVENT=") + policy::to_string(d.what.event),
                  "SALLYPORT_SUBJECT=" + d.what.subject(), "SALLYPORT_DELIVERY=" + d.key},
                 c.timeout,
                 &stopping_};
    // The pool is joined before this object goes, so that `stop` stays valid.
    asio::post(hooks_, [run = std::move(run), done = std::move(done)]() mutable {
        auto error = run_hook(run);
        const bool ok = error.empty();
        done(posted{ok, std::move(error), {}});
    });
}

void courier::impl::finished(const delivery& d, const posted& result) {
    const auto at = now();
    delivery_outcome o;
    o.id = d.id;
    o.channel = d.channel;
    o.at = at;
    o.error = result.error;
    o.to = result.ok ? delivery_state::delivered : delivery_state::waiting;
    const auto found = channels_.find(d.channel);
    if (found != channels_.end()) {
        auto& c = found->second;
        if (!result.ok && at - d.what.at >= c.what.give_up_after) {
            o.to = delivery_state::given_up;
            ++c.status.given_up;
        }
        count(c, result.ok, result.error, at);
        if (result.ok)
            c.runs.succeeded(d.id);
        else
            c.runs.failed(d.id, at, jitter());
    }
    o.next_at = at + std::max(retry_delay(d.attempts + 1, jitter()), result.wait_for);
    settling_.insert(d.id);
    outcomes_.push_back(o);
    if (o.to == delivery_state::given_up) {
        auto lost = d;
        lost.state = o.to;
        lost.attempts = d.attempts + 1;
        lost.error = result.error;
        world_.given_up(lost);
    }
    publish();
    pump();
}

void courier::impl::count(active_channel& c, bool ok, const std::string& error,
                          policy::instant at) {
    auto& s = c.status;
    if (ok) {
        if (s.failing()) world_.log(severity::info, "notices reach channel " + s.name + " again");
        ++s.delivered;
        s.last_delivered = at;
        s.in_a_row = 0;
        s.failing_since = {};
        return;
    }
    if (!s.failing()) {
        s.failing_since = at;
        world_.log(severity::warning, "notices do not reach channel " + s.name + " (" + s.to +
                                          "): " + error + "; they are tried again");
    }
    ++s.failures;
    ++s.in_a_row;
    s.error = error;
}

void courier::impl::publish() {
    std::vector<channel_status> all;
    for (const auto& [name, c] : channels_)
        all.push_back(c.status);
    const std::lock_guard lock(published_mutex_);
    published_ = std::move(all);
}

courier::courier(world w) : impl_(std::make_shared<impl>(std::move(w))) {}

courier::~courier() {
    stop();
}

void courier::set(std::shared_ptr<const settings> s) {
    asio::post(impl_->loop_, [i = impl_.get(), s = std::move(s)] { i->adopt(s); });
}

void courier::start() {
    impl_->thread_ = std::thread([i = impl_.get()] { i->loop_.run(); });
}

void courier::stop() {
    impl_->stopping_.store(true);
    impl_->hooks_.join();
    impl_->loop_.stop();
    if (!impl_->thread_.joinable()) return;
    impl_->thread_.join();
    // What was delivered and is not written yet would be delivered twice.
    if (!impl_->outcomes_.empty())
        impl_->world_.exchange({std::exchange(impl_->outcomes_, {}), {}},
                               [](const delivery_work&) {});
}

void courier::wake() {
    asio::post(impl_->loop_, [i = impl_.get()] { i->pump(); });
}

std::vector<channel_status> courier::statuses() const {
    const std::lock_guard lock(impl_->published_mutex_);
    return impl_->published_;
}

}  // namespace sallyport::proxy::notify
