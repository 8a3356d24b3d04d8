#include "proxy/notify/hook.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/descriptor.h"
#include "proxy/visible.h"

namespace sallyport::proxy::notify {
namespace {

constexpr std::size_t output_kept_max = 300;
constexpr int look_again_ms = 50;

struct pipe_ends {
    descriptor read;
    descriptor write;
    [[nodiscard]] bool open() {
        std::array<int, 2> fds{};
        if (::pipe2(fds.data(), O_CLOEXEC) != 0) return false;
        read.set(fds[0]);
        write.set(fds[1]);
        return true;
    }
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    for (auto& t : texts)
        out.push_back(t.data());
    out.push_back(nullptr);
    return out;
}

/// What posix_spawn is told; freed with it.
class plan {
  public:
    plan(int in, int out) {
        posix_spawn_file_actions_init(&files_);
        posix_spawn_file_actions_adddup2(&files_, in, STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&files_, out, STDOUT_FILENO);
        posix_spawn_file_actions_adddup2(&files_, out, STDERR_FILENO);
        // No socket of a client, no file of the state.
        posix_spawn_file_actions_addclosefrom_np(&files_, STDERR_FILENO + 1);
        posix_spawn_file_actions_addchdir_np(&files_, "/");
        posix_spawnattr_init(&attributes_);
        sigset_t none;
        sigemptyset(&none);
        posix_spawnattr_setsigmask(&attributes_, &none);
        sigset_t usual;
        sigfillset(&usual);
        posix_spawnattr_setsigdefault(&attributes_, &usual);
        posix_spawnattr_setpgroup(&attributes_, 0);
        posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    }
    ~plan() {
        posix_spawn_file_actions_destroy(&files_);
        posix_spawnattr_destroy(&attributes_);
    }
    plan(const plan&) = delete;
    plan& operator=(const plan&) = delete;

    [[nodiscard]] int start(pid_t& child, const hook_run& r) const {
        auto arguments = r.command;
        std::vector<std::string> env{"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"};
        env.insert(env.end(), r.env.begin(), r.env.end());
        return posix_spawn(&child, arguments.front().c_str(), &files_, &attributes_,
                           pointers(arguments).data(), pointers(env).data());
    }

  private:
    posix_spawn_file_actions_t files_{};
    posix_spawnattr_t attributes_{};
};

/// Feeds the child and listens to it until it has closed its output, or until `deadline`.
class conversation {
  public:
    conversation(const hook_run& r, descriptor& to, descriptor& from)
        : run_(r), to_(to), from_(from) {
        for (const int fd : {to.get(), from.get()})
            ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    }

    void step() {
        std::array<pollfd, 2> fds{pollfd{from_.get(), POLLIN, 0}, pollfd{to_.get(), POLLOUT, 0}};
        if (::poll(fds.data(), fds.size(), look_again_ms) <= 0) return;
        if (fds[0].revents != 0) listen();
        if (fds[1].revents != 0) feed();
    }
    [[nodiscard]] std::string heard() const { return visible(heard_, line_breaks::escape); }

  private:
    void listen() {
        std::array<char, 4096> buffer{};
        const auto n = ::read(from_.get(), buffer.data(), buffer.size());
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n <= 0) return from_.close();
        const auto room = output_kept_max - heard_.size();
        heard_.append(buffer.data(), std::min(room, static_cast<std::size_t>(n)));
    }
    void feed() {
        const auto n = ::write(to_.get(), run_.input.data() + sent_, run_.input.size() - sent_);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n > 0) sent_ += static_cast<std::size_t>(n);
        // Written, or the child does not want to know.
        if (n < 0 || sent_ == run_.input.size()) to_.close();
    }

    const hook_run& run_;
    descriptor& to_;
    descriptor& from_;
    std::size_t sent_ = 0;
    std::string heard_;
};

std::string end_of(int status, const std::string& heard) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    auto text = WIFEXITED(status) ? "exit code " + std::to_string(WEXITSTATUS(status))
                                  : "ended by signal " + std::to_string(WTERMSIG(status));
    return heard.empty() ? text : text + ": " + heard;
}

}  // namespace

std::string run_hook(const hook_run& r) {
    if (r.command.empty()) return "no command is configured";
    pipe_ends input;
    pipe_ends output;
    if (!input.open() || !output.open()) return std::string("no pipe: ") + std::strerror(errno);
    pid_t child = -1;
    const int failed = plan(input.read.get(), output.write.get()).start(child, r);
    if (failed != 0) return r.command.front() + " cannot be run: " + std::strerror(failed);
    input.read.close();
    output.write.close();
    conversation talk(r, input.write, output.read);
    const auto deadline = std::chrono::steady_clock::now() + r.timeout;
    int status = 0;
    for (;;) {
        // Looked at, and not taken away: its number stays its own until the group is ended.
        siginfo_t seen{};
        ::waitid(P_PID, static_cast<id_t>(child), &seen, WEXITED | WNOHANG | WNOWAIT);
        const bool ended = seen.si_pid == child;
        const bool late = std::chrono::steady_clock::now() >= deadline;
        const bool stop = r.stop != nullptr && r.stop->load();
        talk.step();
        if (!ended && !late && !stop) continue;
        // Also what it left behind ends.
        ::kill(-child, SIGKILL);
        ::waitpid(child, &status, 0);
        if (ended) return end_of(status, talk.heard());
        return stop ? "the proxy is stopping"
                    : "it did not end within " + std::to_string(r.timeout.count()) + " ms";
    }
}

}  // namespace sallyport::proxy::notify
