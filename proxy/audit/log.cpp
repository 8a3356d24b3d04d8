#include "proxy/audit/log.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>

#include "proxy/audit/chain.h"
#include "proxy/audit/keys.h"
#include "proxy/audit/segment_writer.h"

namespace sallyport::proxy::audit {

namespace {

using steady = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds lazy_delay{150};  // a record without a waiter is promised within 200 ms
constexpr milliseconds retry_delay{1000};
constexpr std::size_t batch_bytes_max = 4u << 20;
constexpr std::size_t lazy_bytes_max = 1u << 20;  // this much is written without waiting for more

struct pending {
    record what;
    log::on_durable done;
    std::size_t bytes = 0;
    steady::time_point since{};
};

std::size_t size_of(const record& r) {
    std::size_t bytes = 160 + r.event.size();
    for (const auto& [name, value] : r.fields)
        bytes += 80 + name.size() + value.size();
    return bytes;
}

policy::instant wall_now() {
    return std::chrono::time_point_cast<milliseconds>(std::chrono::system_clock::now());
}

}  // namespace

struct log::impl {
    explicit impl(log_options o)
        : options(std::move(o)),
          key(signing_key::load_or_create(options.signing_key)),
          files(options.directory, key, options.fault_hook),
          published_head(files.head()) {
        thread = std::thread([this] { run(); });
    }

    ~impl() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        wake.notify_one();
        thread.join();
    }

    void append(record r, on_durable done);
    void run();
    bool work_is_due(steady::time_point now) const;
    steady::time_point next_look(steady::time_point now) const;
    std::vector<pending> take_batch();
    void process(std::vector<pending> batch);
    std::error_code write(const std::vector<pending>& batch, std::vector<std::uint64_t>& sequences);
    void add_line(std::string& lines, const record& r, head_info& head);
    std::string add_checkpoint(std::string& lines, head_info& head);
    void succeed(std::vector<pending>& batch, const std::vector<std::uint64_t>& sequences);
    void fail(std::vector<pending>& batch, std::error_code error);
    [[nodiscard]] bool checkpoint_is_due(std::size_t more) const;

    log_options options;
    signing_key key;

    mutable std::mutex mutex;
    std::condition_variable wake;
    std::deque<pending> queue;             // guarded by mutex
    std::vector<on_durable> rejected;      // guarded by mutex: the queue had no room
    std::size_t queue_bytes = 0;           // guarded by mutex
    std::size_t waiters = 0;               // guarded by mutex: queued with a `done`
    std::uint64_t lost = 0;                // guarded by mutex: without a waiter and without room
    steady::time_point oldest{};           // guarded by mutex: when the queue began to fill
    bool stopping = false;                 // guarded by mutex
    std::size_t in_flight = 0;             // guarded by mutex: taken out, not durable yet
    steady::time_point in_flight_since{};  // guarded by mutex
    own_counter lost_ever;                 // written under mutex
    std::atomic<bool> healthy{true};
    own_counter written;  // by the writer thread, as the next two
    own_counter failures;
    own_histogram commit_time{own_histogram::of_disk};

    // The writer thread's own.
    segment_writer files;
    std::uint64_t since_checkpoint = 0;
    steady::time_point last_checkpoint = steady::now();
    steady::time_point next_retry{};
    std::error_code last_error;
    policy::instant failed_at{};

    head_info published_head;  // guarded by mutex
    std::thread thread;
};

void log::impl::append(record r, on_durable done) {
    const auto bytes = size_of(r);
    bool notify = false;
    {
        const std::lock_guard lock(mutex);
        if (stopping || queue_bytes + bytes > options.queue_bytes_max) {
            if (done) {
                rejected.push_back(std::move(done));
                notify = true;
            } else {
                ++lost;
                lost_ever.add();
            }
        } else {
            if (queue.empty()) {
                oldest = steady::now();
                notify = true;
            }
            if (done) {
                notify = notify || waiters == 0;
                ++waiters;
            }
            notify = notify || queue_bytes + bytes > lazy_bytes_max;
            queue_bytes += bytes;
            queue.push_back({std::move(r), std::move(done), bytes, steady::now()});
        }
    }
    if (notify) wake.notify_one();
}

bool log::impl::work_is_due(steady::time_point now) const {
    if (stopping || waiters > 0 || !rejected.empty()) return true;
    if (!healthy.load(std::memory_order_relaxed)) return now >= next_retry;
    if (!queue.empty() && (queue_bytes > lazy_bytes_max || now >= oldest + lazy_delay)) return true;
    return since_checkpoint > 0 && now >= last_checkpoint + options.checkpoint_interval;
}

steady::time_point log::impl::next_look(steady::time_point now) const {
    if (!healthy.load(std::memory_order_relaxed)) return next_retry;
    auto next = now + std::chrono::hours(1);
    if (!queue.empty()) next = std::min(next, oldest + lazy_delay);
    if (since_checkpoint > 0) next = std::min(next, last_checkpoint + options.checkpoint_interval);
    return next;
}

std::vector<pending> log::impl::take_batch() {
    std::vector<pending> batch;
    std::size_t bytes = 0;
    while (!queue.empty() && (batch.empty() || bytes + queue.front().bytes <= batch_bytes_max)) {
        auto& front = queue.front();
        bytes += front.bytes;
        if (front.done) --waiters;
        batch.push_back(std::move(front));
        queue.pop_front();
    }
    queue_bytes -= bytes;
    in_flight = batch.size();
    if (!batch.empty()) in_flight_since = batch.front().since;
    return batch;
}

void log::impl::run() {
    // Signals belong to the main thread; and SIGXFSZ, blocked, leaves write() to return EFBIG.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, nullptr);
    std::unique_lock lock(mutex);
    while (true) {
        for (auto now = steady::now(); !work_is_due(now); now = steady::now())
            wake.wait_until(lock, next_look(now));
        auto refused = std::move(rejected);
        rejected.clear();
        auto batch = take_batch();
        const bool last = stopping && queue.empty();
        lock.unlock();
        for (auto& done : refused)
            done(nullptr, std::make_error_code(std::errc::no_buffer_space));
        process(std::move(batch));
        lock.lock();
        if (last || (stopping && !healthy)) break;
    }
    // The disk failed while stopping: who still waits is told.
    auto left = take_batch();
    while (!left.empty()) {
        lock.unlock();
        for (auto& p : left)
            if (p.done) p.done(nullptr, last_error);
        lock.lock();
        left = take_batch();
    }
    const auto refused = std::move(rejected);
    lock.unlock();
    for (const auto& done : refused)
        done(nullptr, std::make_error_code(std::errc::operation_canceled));
}

bool log::impl::checkpoint_is_due(std::size_t more) const {
    const auto records = since_checkpoint + more;
    if (records == 0) return false;
    bool last = false;
    {
        const std::lock_guard lock(mutex);
        last = stopping && queue.empty();
    }
    return last || records >= options.checkpoint_records ||
           steady::now() >= last_checkpoint + options.checkpoint_interval;
}

void log::impl::add_line(std::string& lines, const record& r, head_info& head) {
    const auto begin = lines.size();
    encode_line(lines, r, head.sequence + 1, head.hash);
    head = {head.sequence + 1, hash_line(std::string_view(lines).substr(begin))};
    lines += '\n';
}

std::string log::impl::add_checkpoint(std::string& lines, head_info& head) {
    record r;
    r.event = checkpoint_event;
    r.at = wall_now();
    const auto message = checkpoint_message(head.sequence, head.hash, format_time(r.at));
    r.with("head_seq", std::to_string(head.sequence));
    r.with("head", head.hash);
    r.with("key", key.id());
    r.with("signature", key.sign(message));
    const auto begin = lines.size();
    add_line(lines, r, head);
    return lines.substr(begin, lines.size() - begin - 1);
}

std::error_code log::impl::write(const std::vector<pending>& batch,
                                 std::vector<std::uint64_t>& sequences) {
    if (const auto e = files.prepare(options.segment_bytes_max)) return e;
    const bool was_healthy = healthy.load(std::memory_order_relaxed);
    const bool with_checkpoint = checkpoint_is_due(batch.size());
    if (batch.empty() && was_healthy && !with_checkpoint) return {};
    auto head = files.head();
    std::string lines;
    std::string newest_checkpoint;
    if (files.segment_bytes() == 0) newest_checkpoint = add_checkpoint(lines, head);
    if (!was_healthy) {
        record r;
        r.event = "audit.recovered";
        r.at = wall_now();
        r.with("failed_at", format_time(failed_at));
        r.with("cause", last_error.message());
        {
            const std::lock_guard lock(mutex);
            r.with("records_lost", std::to_string(lost));
        }
        add_line(lines, r, head);
    }
    for (const auto& p : batch) {
        add_line(lines, p.what, head);
        sequences.push_back(head.sequence);
    }
    if (with_checkpoint) newest_checkpoint = add_checkpoint(lines, head);
    const auto began = steady::now();
    if (const auto e = files.commit(lines, head)) return e;
    commit_time.observe(steady::now() - began);
    since_checkpoint += batch.size();
    if (!newest_checkpoint.empty()) {
        if (with_checkpoint) since_checkpoint = 0;
        last_checkpoint = steady::now();
        files.publish_head(newest_checkpoint);
    }
    return {};
}

void log::impl::process(std::vector<pending> batch) {
    std::vector<std::uint64_t> sequences;
    std::error_code error;
    try {
        error = write(batch, sequences);
    } catch (const std::exception&) {
        // Out of memory or OpenSSL failing: the same to a waiter as a disk that fails.
        error = std::make_error_code(std::errc::not_enough_memory);
    }
    if (error)
        fail(batch, error);
    else
        succeed(batch, sequences);
}

void log::impl::succeed(std::vector<pending>& batch, const std::vector<std::uint64_t>& sequences) {
    {
        const std::lock_guard lock(mutex);
        in_flight = 0;
        published_head = files.head();
        if (!healthy.load(std::memory_order_relaxed)) lost = 0;
    }
    healthy.store(true);
    written.add(batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i)
        if (batch[i].done) batch[i].done(std::unique_ptr<receipt>(new receipt(sequences[i])), {});
    for (std::size_t i = 0; i < batch.size() && options.on_written; ++i)
        options.on_written(batch[i].what, sequences[i]);
}

void log::impl::fail(std::vector<pending>& batch, std::error_code error) {
    if (healthy.exchange(false)) failed_at = wall_now();
    last_error = error;
    next_retry = steady::now() + retry_delay;
    failures.add();
    {
        // What nobody waits for has happened all the same: it goes back to the front of the queue.
        const std::lock_guard lock(mutex);
        in_flight = 0;
        for (auto p = batch.rbegin(); p != batch.rend(); ++p) {
            if (p->done) continue;
            if (queue_bytes + p->bytes > options.queue_bytes_max) {
                ++lost;
                lost_ever.add();
                continue;
            }
            queue_bytes += p->bytes;
            queue.push_front(std::move(*p));
        }
        // Who waits further back hears it now, not after everything in front has been tried again.
        const auto waiting = std::stable_partition(queue.begin(), queue.end(),
                                                   [](const pending& p) { return !p.done; });
        for (auto p = waiting; p != queue.end(); ++p) {
            queue_bytes -= p->bytes;
            batch.push_back(std::move(*p));
        }
        queue.erase(waiting, queue.end());
        waiters = 0;
    }
    for (auto& p : batch)
        if (p.done) p.done(nullptr, error);
}

log::log(log_options options) : impl_(std::make_unique<impl>(std::move(options))) {}
log::~log() = default;

void log::append(record r, on_durable done) {
    impl_->append(std::move(r), std::move(done));
}
bool log::healthy() const noexcept {
    return impl_->healthy.load();
}

std::string log::public_pem() const {
    return impl_->key.public_pem();
}

log::numbers log::counts() const {
    numbers n;
    n.records = impl_->written.get();
    n.failures = impl_->failures.get();
    n.commit_time = impl_->commit_time.read();
    const std::lock_guard lock(impl_->mutex);
    n.lost = impl_->lost_ever.get();
    n.queued = impl_->queue.size() + impl_->in_flight;
    auto since = steady::now();
    if (impl_->in_flight > 0) since = std::min(since, impl_->in_flight_since);
    if (!impl_->queue.empty()) since = std::min(since, impl_->queue.front().since);
    n.lag = steady::now() - since;
    if (n.queued == 0) n.lag = {};
    return n;
}

log::head_info log::head() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->published_head;
}

}  // namespace sallyport::proxy::audit
