#pragma once

#include <functional>

namespace sallyport::proxy {

/// Runs `f` on a thread with policy::sql::big_stack_bytes of stack and waits for it; what it throws
/// is thrown here. For analysis outside of the workers: a text must not be able to exhaust a stack.
void run_on_big_stack(const std::function<void()>& f);

}  // namespace sallyport::proxy
