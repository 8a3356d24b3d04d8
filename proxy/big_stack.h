#pragma once

#include <exception>
#include <functional>
#include <stdexcept>
#include <utility>

#include <pthread.h>

#include "policy/sql/analyse.h"

/// Threads that PostgreSQL's grammar cannot exhaust: a text must not be able to end the process.
namespace sallyport::proxy {

/// A thread with policy::sql::big_stack_bytes of stack; the destructor waits for it. `f` must not
/// throw. Errors: throws std::runtime_error if there is not so much address space.
class big_thread {
  public:
    explicit big_thread(std::function<void()> f) : work_(std::move(f)) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        // Only the pages that are touched cost memory.
        int failed = pthread_attr_setstacksize(&attributes, policy::sql::big_stack_bytes);
        if (failed == 0) failed = pthread_create(&thread_, &attributes, &big_thread::run, this);
        pthread_attr_destroy(&attributes);
        if (failed != 0)
            throw std::runtime_error(
                "cannot start a thread with 1 GiB of address space for its stack; raise the limit "
                "on virtual memory (ulimit -v)");
    }
    ~big_thread() { pthread_join(thread_, nullptr); }
    big_thread(const big_thread&) = delete;
    big_thread& operator=(const big_thread&) = delete;

  private:
    static void* run(void* self) {
        static_cast<big_thread*>(self)->work_();
        return nullptr;
    }
    std::function<void()> work_;
    pthread_t thread_{};
};

/// Runs `f` on such a thread and waits for it; what it throws is thrown here. For analysis outside
/// of the workers.
inline void run_on_big_stack(const std::function<void()>& f) {
    std::exception_ptr failed;
    {
        const big_thread thread([&] {
            try {
                f();
            } catch (...) {
                failed = std::current_exception();
            }
        });
    }
    if (failed) std::rethrow_exception(failed);
}

}  // namespace sallyport::proxy
