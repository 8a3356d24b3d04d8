#include "proxy/telemetry/exporter.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "proxy/notify/attempts.h"
#include "proxy/notify/send.h"
#include "proxy/telemetry/handover.h"

namespace sallyport::proxy::telemetry {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

constexpr std::size_t queue_bytes_max = 32u << 20;  // of each signal
constexpr std::size_t batch_bytes_max = 2u << 20;   // before texts are cut and names added
constexpr milliseconds longest_pause{30'000};
constexpr std::chrono::minutes tried_for{5};
constexpr milliseconds farewell_time{2'000};
constexpr std::size_t lines_only = 8192;  // events that wait for their log line, without otlp

bool may_pass(unsigned status) noexcept {
    return status == 0 || status == 429 || status == 502 || status == 503 || status == 504;
}

notify::posting posting_of(const otlp_settings& s, const char* path, std::string body) {
    notify::posting p;
    p.to.url = secret(s.endpoint + path);
    p.to.shown = s.shown;
    p.to.ca = s.ca;
    p.body = std::move(body);
    for (const auto& [name, value] : s.headers)
        p.headers.emplace_back(name, std::string(value.view()));
    p.timeout = s.timeout;
    p.read_answer = true;
    return p;
}

std::string random_instance() {
    std::random_device source;
    trace_id id{};
    for (auto& b : id)
        b = static_cast<std::uint8_t>(source());
    const auto h = to_hex(id);
    return h.substr(0, 8) + "-" + h.substr(8, 4) + "-4" + h.substr(13, 3) + "-a" + h.substr(17, 3) +
           "-" + h.substr(20);
}

std::size_t bytes_of(const audit_event& e) {
    std::size_t bytes = sizeof e + e.what.event.size();
    for (const auto& [name, value] : e.what.fields)
        bytes += 96 + name.size() + value.size();
    return bytes;
}

std::size_t bytes_of(const statement_span& s) {
    // Facts are mostly shared with the cache; their text is what may be long.
    return sizeof s + 256 + (s.facts ? s.facts->redacted.size() : 0) + s.ids.state.size();
}

/// What waits, what is under way, and how it went. The exporter's thread alone, but for `in` and
/// `status`.
template <class T>
struct lane {
    handover<T> in;
    std::deque<typename handover<T>::item> waiting;
    std::vector<typename handover<T>::item> batch;  // under way, or to be tried again
    std::string body;                               // of it
    bool posting = false;
    std::uint64_t attempts = 0;  // of this batch that failed
    steady::time_point since{};  // its first attempt
    steady::time_point not_before{};

    mutable std::mutex mutex;
    signal_status status;  // guarded by mutex; dropped and queued are `in`'s

    [[nodiscard]] signal_status read() const {
        const std::lock_guard lock(mutex);
        auto s = status;
        s.dropped = in.dropped();
        s.queued = in.queued();
        return s;
    }
    [[nodiscard]] bool idle() const { return batch.empty() && waiting.empty(); }
    /// The next batch, within bounds.
    void fill(std::size_t count_max) {
        std::size_t bytes = 0;
        while (!waiting.empty() && batch.size() < count_max &&
               (batch.empty() || bytes + waiting.front().bytes <= batch_bytes_max)) {
            bytes += waiting.front().bytes;
            batch.push_back(std::move(waiting.front()));
            waiting.pop_front();
        }
    }
    void forget_batch() {
        std::size_t bytes = 0;
        for (const auto& i : batch)
            bytes += i.bytes;
        in.release(batch.size(), bytes);
        batch.clear();
        body.clear();
        attempts = 0;
        since = {};
        not_before = {};
    }
    [[nodiscard]] std::vector<const T*> things() const {
        std::vector<const T*> out;
        for (const auto& i : batch)
            out.push_back(i.what.get());
        return out;
    }
};

}  // namespace

struct exporter::impl : std::enable_shared_from_this<impl> {
    explicit impl(world w) : world_(std::move(w)), random_(std::random_device{}()) {}

    void adopt(std::shared_ptr<const settings> s);
    void tick();
    void arm();
    void collect();
    void farewell();
    template <class T>
    void pump(lane<T>& l, bool wanted, const char* path, const char* what,
              std::string (*encode)(const resource&, const std::vector<const T*>&));
    template <class T>
    void finished(lane<T>& l, const char* what, const notify::posted& p);
    void pump_all();
    [[nodiscard]] bool done() const { return events_.idle() && spans_.idle(); }

    const world world_;
    asio::io_context loop_{1};
    asio::executor_work_guard<asio::io_context::executor_type> alive_{loop_.get_executor()};
    asio::steady_timer timer_{loop_};
    std::thread thread_;
    std::mt19937 random_;
    const std::string instance_ = random_instance();

    // The exporter's thread alone.
    std::shared_ptr<const settings> settings_;
    resource from_;
    bool leaving_ = false;
    steady::time_point leave_at_{};

    // For the others.
    std::atomic<bool> logs_{false};
    std::atomic<bool> traces_{false};
    std::atomic<double> ratio_{1};
    lane<audit_event> events_;
    lane<statement_span> spans_;
};

void exporter::impl::adopt(std::shared_ptr<const settings> s) {
    settings_ = std::move(s);
    const auto& o = settings_->otlp;
    from_ = {o.service_name, world_.version, instance_, o.resource_attributes};
    // What was encoded for another collector is encoded anew.
    events_.body.clear();
    spans_.body.clear();
    events_.not_before = spans_.not_before = {};
    pump_all();
    arm();
}

void exporter::impl::arm() {
    if (leaving_ && (done() || steady::now() >= leave_at_)) return loop_.stop();
    timer_.expires_after(leaving_    ? milliseconds(50)
                         : settings_ ? settings_->otlp.schedule_delay
                                     : milliseconds(1000));
    timer_.async_wait([this](boost::system::error_code ec) {
        if (!ec) tick();
    });
}

void exporter::impl::tick() {
    collect();
    pump_all();
    arm();
}

void exporter::impl::collect() {
    for (auto& i : events_.in.take()) {
        if (world_.on_event) world_.on_event(*i.what);
        if (logs_.load(std::memory_order_relaxed))
            events_.waiting.push_back(std::move(i));
        else
            events_.in.release(1, i.bytes);
    }
    for (auto& i : spans_.in.take())
        spans_.waiting.push_back(std::move(i));
}

void exporter::impl::pump_all() {
    if (!settings_) return;
    pump(events_, logs_.load(), "/v1/logs", "log records", &encode_logs);
    pump(spans_, traces_.load(), "/v1/traces", "spans", &encode_traces);
}

template <class T>
void exporter::impl::pump(lane<T>& l, bool wanted, const char* path, const char* what,
                          std::string (*encode)(const resource&, const std::vector<const T*>&)) {
    if (l.posting) return;
    if (!wanted) {  // switched off meanwhile
        while (!l.idle()) {
            l.fill(l.waiting.size());
            l.forget_batch();
        }
        return;
    }
    if (steady::now() < l.not_before && !leaving_) return;
    if (l.batch.empty()) l.fill(settings_->otlp.batch_size);
    if (l.batch.empty()) return;
    if (l.since == steady::time_point{}) l.since = steady::now();
    if (l.body.empty()) l.body = encode(from_, l.things());
    l.posting = true;
    auto p = posting_of(settings_->otlp, path, l.body);
    if (leaving_) p.timeout = std::min(p.timeout, farewell_time);
    notify::post_webhook(loop_.get_executor(), std::move(p),
                         [weak = weak_from_this(), &l, what](const notify::posted& answer) {
                             if (const auto self = weak.lock()) self->finished(l, what, answer);
                         });
}

template <class T>
void exporter::impl::finished(lane<T>& l, const char* what, const notify::posted& p) {
    l.posting = false;
    const auto shown = settings_->otlp.shown;
    const auto size = l.batch.size();
    if (p.ok) {
        const auto part = read_partial_success(p.body);
        const auto rejected = std::min<std::uint64_t>(part.rejected, size);
        bool again = false;
        {
            const std::lock_guard lock(l.mutex);
            again = l.status.failing();
            l.status.exported += size - rejected;
            l.status.failed += rejected;
            l.status.in_a_row = 0;
            if (rejected > 0) l.status.error = part.message;
        }
        if (again) world_.log(severity::info, "telemetry: " + shown + " takes " + what + " again");
        if (rejected > 0)
            world_.log(severity::warning, "telemetry: " + shown + " rejected " +
                                              std::to_string(rejected) + " " + what + ": " +
                                              part.message);
        l.forget_batch();
        return pump_all();  // there may be more
    }
    ++l.attempts;
    const bool give_up = !may_pass(p.status) || steady::now() - l.since >= tried_for || leaving_;
    bool first = false;
    {
        const std::lock_guard lock(l.mutex);
        first = !l.status.failing();
        ++l.status.in_a_row;
        l.status.error = p.error;
        if (give_up) l.status.failed += size;
    }
    if (first)
        world_.log(severity::warning, "telemetry: " + shown + " does not take " + what + ": " +
                                          p.error + (give_up ? "; they are lost" : ""));
    if (give_up) {
        l.forget_batch();
        if (leaving_) return;
        // One batch at a time finds out whether the next fares better.
        l.not_before = steady::now() + settings_->otlp.schedule_delay;
        return;
    }
    const double jitter = std::uniform_real_distribution<>(0, 1)(random_);
    l.not_before =
        steady::now() + std::max(std::min(notify::retry_delay(l.attempts, jitter), longest_pause),
                                 std::min<milliseconds>(p.wait_for, tried_for));
}

void exporter::impl::farewell() {
    leaving_ = true;
    leave_at_ = steady::now() + farewell_time;
    tick();
}

exporter::exporter(world w) : impl_(std::make_shared<impl>(std::move(w))) {}

exporter::~exporter() {
    stop();
}

void exporter::set(std::shared_ptr<const settings> s) {
    const auto& o = s->otlp;
    const bool lines = static_cast<bool>(impl_->world_.on_event);
    impl_->ratio_.store(o.sampling_ratio);
    impl_->events_.in.set_bounds(s->enabled && o.logs ? o.queue_size
                                 : lines              ? lines_only
                                                      : 0,
                                 queue_bytes_max);
    impl_->spans_.in.set_bounds(o.queue_size, queue_bytes_max);
    impl_->logs_.store(s->enabled && o.logs);
    impl_->traces_.store(s->enabled && o.traces);
    asio::post(impl_->loop_, [i = impl_.get(), s = std::move(s)] { i->adopt(s); });
}

void exporter::start() {
    impl_->thread_ = std::thread([i = impl_.get()] {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, nullptr);
        i->loop_.run();
    });
}

void exporter::stop() {
    if (!impl_->thread_.joinable()) return;
    asio::post(impl_->loop_, [i = impl_.get()] { i->farewell(); });
    impl_->thread_.join();
}

void exporter::event(const audit::record& r, std::uint64_t sequence) noexcept {
    if (!exports_logs() && !impl_->world_.on_event) return;
    try {
        auto e = std::make_unique<audit_event>(audit_event{sequence, r});
        const auto bytes = bytes_of(*e);
        impl_->events_.in.put(std::move(e), bytes);
    } catch (const std::bad_alloc&) {
        impl_->events_.in.count_dropped();
    }
}

bool exporter::watches() const noexcept {
    return exports_logs() || exports_traces();
}

bool exporter::samples(const trace_id& id) const noexcept {
    return exports_traces() && falls_into(id, impl_->ratio_.load(std::memory_order_relaxed));
}

void exporter::put(std::unique_ptr<statement_span> span) noexcept {
    if (!exports_traces()) return;
    const auto bytes = bytes_of(*span);
    impl_->spans_.in.put(std::move(span), bytes);
}

bool exporter::exports_logs() const noexcept {
    return impl_->logs_.load(std::memory_order_relaxed);
}

bool exporter::exports_traces() const noexcept {
    return impl_->traces_.load(std::memory_order_relaxed);
}

signal_status exporter::logs() const {
    return impl_->events_.read();
}

signal_status exporter::traces() const {
    return impl_->spans_.read();
}

std::vector<std::string> examine(const otlp_settings& s) {
    std::vector<std::string> out;
    const auto ask = [&](const char* path, std::string body) {
        asio::io_context loop(1);
        notify::posted answer;
        notify::post_webhook(loop.get_executor(), posting_of(s, path, std::move(body)),
                             [&](const notify::posted& p) { answer = p; });
        loop.run();
        if (!answer.ok)
            out.push_back(s.shown + path + " does not take what is sent: " + answer.error);
    };
    resource from{s.service_name, {}, {}, s.resource_attributes};
    if (s.logs) ask("/v1/logs", encode_logs(from, {}));
    if (s.traces) ask("/v1/traces", encode_traces(from, {}));
    return out;
}

}  // namespace sallyport::proxy::telemetry
