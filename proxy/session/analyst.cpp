#include "proxy/session/analyst.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "policy/sql/analyse.h"
#include "proxy/big_stack.h"

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
    std::optional<big_thread> thread;

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
    impl_->thread.emplace([self = impl_.get()] { self->loop(); });
}

analyst::~analyst() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->wake.notify_all();
    impl_->thread.reset();
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
