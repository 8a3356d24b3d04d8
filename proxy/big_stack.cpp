#include "proxy/big_stack.h"

#include <exception>
#include <stdexcept>

#include <pthread.h>

#include "policy/sql/analyse.h"

namespace sallyport::proxy {

void run_on_big_stack(const std::function<void()>& f) {
    std::exception_ptr failed;
    std::function<void()> work = [&] {
        try {
            f();
        } catch (...) {
            failed = std::current_exception();
        }
    };
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    // Only the pages that are touched cost memory.
    pthread_attr_setstacksize(&attributes, policy::sql::big_stack_bytes);
    pthread_t thread{};
    const int made = pthread_create(
        &thread, &attributes,
        [](void* w) -> void* {
            (*static_cast<std::function<void()>*>(w))();
            return nullptr;
        },
        &work);
    pthread_attr_destroy(&attributes);
    if (made != 0)
        throw std::runtime_error(
            "cannot start a thread with 1 GiB of address space for its stack; raise the limit on "
            "virtual memory (ulimit -v)");
    pthread_join(thread, nullptr);
    if (failed) std::rethrow_exception(failed);
}

}  // namespace sallyport::proxy
