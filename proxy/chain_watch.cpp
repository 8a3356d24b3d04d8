#include "proxy/chain_watch.h"

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <utility>

#include <pthread.h>
#include <sys/resource.h>

#include "proxy/audit/verify.h"

namespace sallyport::proxy {

namespace {

using steady = std::chrono::steady_clock;

// The log is written while it is read: a line may be half there, a file may be new.
constexpr int tries = 3;
constexpr std::chrono::seconds between_tries{1};

std::string place_of(const audit::verify_report& r) {
    auto text = r.file.empty() ? std::string("the log") : r.file;
    if (r.line != 0) text += " line " + std::to_string(r.line);
    return text + ": " + audit::to_string(r.what) + ": " + r.text;
}

}  // namespace

struct chain_watch::impl {
    impl(const audit::log& l, std::string d, std::chrono::milliseconds i,
         std::function<void(const std::string&)> f)
        : log(l), directory(std::move(d)), interval(i), on_broken(std::move(f)), thread([this] {
              run();
          }) {}
    ~impl() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        wake.notify_all();
        thread.join();
    }

    void run() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, nullptr);
        static_cast<void>(setpriority(PRIO_PROCESS, 0, 19));  // of this thread, on Linux
        do {
            look();
        } while (!stopped_within(interval));
    }

    bool stopped_within(std::chrono::milliseconds time) {
        std::unique_lock lock(mutex);
        return wake.wait_for(lock, time, [this] { return stopping; });
    }

    audit::verify_report verify() const {
        audit::verify_options options;
        options.may_start_later = true;
        const auto head = log.head();
        if (head.sequence != 0) options.expected_head = {head.sequence, head.hash};
        try {
            return audit::verify_directory(directory, log.public_pem(), options);
        } catch (const std::exception& e) {
            audit::verify_report r;
            r.what = audit::damage::unreadable;
            r.text = e.what();
            return r;
        }
    }

    void look() {
        const auto began = steady::now();
        auto report = verify();
        for (int i = 1; !report.ok() && i < tries; ++i) {
            if (stopped_within(between_tries)) return;
            report = verify();
        }
        result r;
        r.ok = report.ok();
        r.records = report.records;
        r.seconds = std::chrono::duration<double>(steady::now() - began).count();
        r.at = std::chrono::duration_cast<std::chrono::seconds>(
                   std::chrono::system_clock::now().time_since_epoch())
                   .count();
        if (!r.ok) {
            r.where = place_of(report);
            on_broken(r.where);
        }
        const std::lock_guard lock(mutex);
        r.runs = known.runs + 1;
        known = std::move(r);
    }

    const audit::log& log;
    const std::string directory;
    const std::chrono::milliseconds interval;
    const std::function<void(const std::string&)> on_broken;
    mutable std::mutex mutex;
    std::condition_variable wake;
    bool stopping = false;  // guarded by mutex
    result known;           // guarded by mutex
    std::thread thread;
};

chain_watch::chain_watch(const audit::log& log, std::string directory,
                         std::chrono::milliseconds interval,
                         std::function<void(const std::string&)> on_broken)
    : impl_(std::make_unique<impl>(log, std::move(directory), interval, std::move(on_broken))) {}

chain_watch::~chain_watch() = default;

chain_watch::result chain_watch::newest() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->known;
}

}  // namespace sallyport::proxy
