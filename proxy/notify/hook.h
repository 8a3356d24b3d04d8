#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "policy/types.h"

/// One run of a command that is told of a notice.
namespace sallyport::proxy::notify {

struct hook_run {
    std::vector<std::string> command;  ///< absolute path and arguments
    std::string input;                 ///< on its standard input
    std::vector<std::string> env;      ///< "NAME=value", besides PATH and LANG; nothing of ours
    policy::milliseconds timeout{};
    const std::atomic<bool>* stop = nullptr;  ///< true: it is ended early
};

/// Runs it without a shell, in "/", as a process group of its own that is killed when the time is
/// over and after its end. Of what it prints the first bytes are kept, the rest is read and
/// dropped. Blocks. "" if it exited with 0, else one line: why not.
[[nodiscard]] std::string run_hook(const hook_run& r);

}  // namespace sallyport::proxy::notify
