#include "proxy/session/analyst.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <pthread.h>

#include "policy/sql/analyse.h"

namespace sallyport::proxy::session {

namespace {

constexpr std::size_t queue_bytes_max = 64u << 20;

policy::facts_ptr busy_facts() {
    auto f = std::make_shared<policy::facts>();
    auto& s = f->statements.emplace_back();
    s.command = "query";
    s.kinds.push_back(policy::kind::opaque);
    s.opaque_reasons.emplace_back("too many long statements are being analysed; try again");
    f->literal_sensitive = true;
    f->redacted = "<not analysed>";
    return f;
}

}  // namespace

struct analyst::impl {
    struct job {
        std::string sql;
        std::size_t bytes_max;
        bool conforming;
        std::function<void(policy::facts_ptr)> done;
    };
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<job> jobs;
    std::size_t queued_bytes = 0;
    bool stopping = false;
    pthread_t thread{};

    static void* run(void* self) {
        static_cast<impl*>(self)->loop();
        return nullptr;
    }
    void loop() {
        for (;;) {
            std::unique_lock lock(mutex);
            wake.wait(lock, [this] { return stopping || !jobs.empty(); });
            if (stopping) return;
            auto j = std::move(jobs.front());
            jobs.pop_front();
            queued_bytes -= j.sql.size();
            lock.unlock();
            policy::sql::analyse_options options;
            options.bytes_max = j.bytes_max;
            options.standard_conforming_strings = j.conforming;
            j.done(policy::sql::analyse(j.sql, options));
        }
    }
};

analyst::analyst() : impl_(std::make_unique<impl>()) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    // Only the pages that are touched cost memory.
    const int sized = pthread_attr_setstacksize(&attributes, policy::sql::big_stack_bytes);
    const int made =
        sized == 0 ? pthread_create(&impl_->thread, &attributes, &impl::run, impl_.get()) : sized;
    pthread_attr_destroy(&attributes);
    if (made != 0)
        throw std::runtime_error(
            "cannot start the analysis thread with a stack of 1 GiB of address space; raise the "
            "limit on virtual memory (ulimit -v)");
}

analyst::~analyst() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->wake.notify_all();
    pthread_join(impl_->thread, nullptr);
}

void analyst::analyse(std::string sql, std::size_t bytes_max, bool standard_conforming_strings,
                      std::function<void(policy::facts_ptr)> done) {
    {
        const std::lock_guard lock(impl_->mutex);
        if (impl_->queued_bytes + sql.size() <= queue_bytes_max) {
            impl_->queued_bytes += sql.size();
            impl_->jobs.push_back(
                {std::move(sql), bytes_max, standard_conforming_strings, std::move(done)});
            impl_->wake.notify_one();
            return;
        }
    }
    done(busy_facts());
}

}  // namespace sallyport::proxy::session
