#include "tests/support/child_process.h"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

extern char** environ;

namespace sallyport::tests {
namespace {

using clock = std::chrono::steady_clock;

struct pipe_pair {
    int read = -1;
    int write = -1;
    pipe_pair() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
        read = ends[0];
        write = ends[1];
    }
    ~pipe_pair() {
        close_read();
        close_write();
    }
    pipe_pair(const pipe_pair&) = delete;
    pipe_pair& operator=(const pipe_pair&) = delete;
    void close_read() { close_one(read); }
    void close_write() { close_one(write); }
    int release_read() { return std::exchange(read, -1); }
    int release_write() { return std::exchange(write, -1); }

  private:
    static void close_one(int& fd) {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
};

/// A pseudo-terminal in raw mode: no echo, no translation. The master is the caller's.
struct terminal_pair {
    int master = -1;
    int slave = -1;
    terminal_pair() {
        master = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        std::array<char, 64> name{};
        if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0 ||
            ::ptsname_r(master, name.data(), name.size()) != 0)
            throw std::runtime_error("no pseudo-terminal");
        slave = ::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC);
        termios settings{};
        ::tcgetattr(slave, &settings);
        ::cfmakeraw(&settings);
        ::tcsetattr(slave, TCSANOW, &settings);
    }
    ~terminal_pair() { ::close(slave); }
    terminal_pair(const terminal_pair&) = delete;
    terminal_pair& operator=(const terminal_pair&) = delete;
};

/// Everything that exec needs, made before fork: between fork and exec nothing may allocate.
class prepared {
  public:
    explicit prepared(const command& c) : command_(c) {
        for (const auto& a : command_.argv)
            argv_.push_back(const_cast<char*>(a.c_str()));
        argv_.push_back(nullptr);
        for (char** e = environ; *e != nullptr; ++e) {
            const std::string entry = *e;
            if (c.env.count(entry.substr(0, entry.find('='))) == 0) env_texts_.push_back(entry);
        }
        for (const auto& [name, value] : c.env)
            env_texts_.push_back(name + "=" + value);
        for (auto& e : env_texts_)
            env_.push_back(e.data());
        env_.push_back(nullptr);
        if (!c.user.empty()) find_user();
    }

    [[noreturn]] void exec(int in, int out, int err) noexcept {
        ::dup2(in, 0);
        ::dup2(out, 1);
        ::dup2(err, 2);
        ::setpgid(0, 0);
        if (has_user_ && (::setgroups(groups_count_, groups_.data()) != 0 || ::setgid(gid_) != 0 ||
                          ::setuid(uid_) != 0))
            ::_exit(126);
        // After setuid, which clears it: nothing outlives the tests.
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!command_.directory.empty() && ::chdir(command_.directory.c_str()) != 0) ::_exit(126);
        if (command_.file_bytes_max) {
            const rlimit limit{*command_.file_bytes_max, *command_.file_bytes_max};
            ::setrlimit(RLIMIT_FSIZE, &limit);
        }
        ::signal(SIGPIPE, SIG_DFL);
        ::execvpe(argv_[0], argv_.data(), env_.data());
        ::_exit(127);
    }

  private:
    void find_user() {
        const passwd* entry = ::getpwnam(command_.user.c_str());
        if (entry == nullptr) throw std::runtime_error("there is no user " + command_.user);
        uid_ = entry->pw_uid;
        gid_ = entry->pw_gid;
        int count = static_cast<int>(groups_.size());
        ::getgrouplist(entry->pw_name, gid_, groups_.data(), &count);
        groups_count_ = static_cast<std::size_t>(std::max(count, 0));
        has_user_ = true;
    }

    command command_;
    std::vector<char*> argv_;
    std::vector<std::string> env_texts_;
    std::vector<char*> env_;
    bool has_user_ = false;
    uid_t uid_ = 0;
    gid_t gid_ = 0;
    std::array<gid_t, 64> groups_{};
    std::size_t groups_count_ = 0;
};

int spawn(const command& c, int in, int out, int err) {
    prepared p(c);
    const int pid = ::fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid == 0) p.exec(in, out, err);
    return pid;
}

int exit_code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        text.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

/// Reads what is there; false at the end of the stream.
bool drain(int fd, std::string& into) {
    std::array<char, 65536> chunk{};
    const auto n = ::read(fd, chunk.data(), chunk.size());
    if (n < 0) return errno == EINTR;
    into.append(chunk.data(), static_cast<std::size_t>(n));
    return n > 0;
}

struct ignore_sigpipe {
    ignore_sigpipe() noexcept { ::signal(SIGPIPE, SIG_IGN); }
};
const ignore_sigpipe pipes_report_errors;

}  // namespace

command_result run(const command& c) {
    pipe_pair in;
    pipe_pair out;
    pipe_pair err;
    const int pid = spawn(c, in.read, out.write, err.write);
    in.close_read();
    out.close_write();
    err.close_write();
    // A thread of its own, so that a program that writes before it has read cannot block us.
    std::thread feeder([&c, fd = in.release_write()] {
        write_all(fd, c.input);
        ::close(fd);
    });

    command_result result;
    const auto end = clock::now() + c.deadline;
    bool out_open = true;
    bool err_open = true;
    while ((out_open || err_open) && !result.timed_out) {
        const auto left = std::chrono::duration_cast<milliseconds>(end - clock::now()).count();
        std::array<pollfd, 2> fds{pollfd{out_open ? out.read : -1, POLLIN, 0},
                                  pollfd{err_open ? err.read : -1, POLLIN, 0}};
        if (left <= 0 || ::poll(fds.data(), fds.size(), static_cast<int>(left)) == 0) {
            result.timed_out = true;
            ::kill(-pid, SIGKILL);
        }
        if (fds[0].revents != 0) out_open = drain(out.read, result.out);
        if (fds[1].revents != 0) err_open = drain(err.read, result.err);
    }
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    feeder.join();
    result.exit_code = exit_code_of(status);
    return result;
}

struct child_process::impl {
    int pid = -1;
    int input = -1;
    int output = -1;
    std::thread reader;
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::string text;
    bool ended = false;  ///< end of output
    std::optional<int> exit_code;

    void read_all() {
        std::string piece;
        for (;;) {
            piece.clear();
            const bool more = drain(output, piece);
            const std::lock_guard lock(mutex);
            text += piece;
            if (!more) ended = true;
            changed.notify_all();
            if (!more) return;
        }
    }

    bool reap() {
        if (exit_code) return true;
        int status = 0;
        const int got = ::waitpid(pid, &status, WNOHANG);
        if (got == pid) exit_code = exit_code_of(status);
        return exit_code.has_value();
    }
};

child_process::child_process(const command& c) : impl_(std::make_unique<impl>()) {
    if (c.terminal) {
        const terminal_pair t;
        impl_->pid = spawn(c, t.slave, t.slave, t.slave);
        impl_->output = t.master;
        impl_->input = ::fcntl(t.master, F_DUPFD_CLOEXEC, 0);
        impl_->reader = std::thread([this] { impl_->read_all(); });
        return;
    }
    pipe_pair in;
    pipe_pair out;
    impl_->pid = spawn(c, in.read, out.write, out.write);
    impl_->input = in.release_write();
    impl_->output = out.release_read();
    out.close_write();
    impl_->reader = std::thread([this] { impl_->read_all(); });
}

child_process::~child_process() {
    close_input();
    if (!impl_->reap()) {
        ::kill(-impl_->pid, SIGKILL);
        ::kill(impl_->pid, SIGKILL);
        int status = 0;
        while (::waitpid(impl_->pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    // Grandchildren may still hold the pipe; they go with the group.
    ::kill(-impl_->pid, SIGKILL);
    impl_->reader.join();
    ::close(impl_->output);
}

void child_process::send(std::string_view text) {
    write_all(impl_->input, text);
}

void child_process::close_input() {
    if (impl_->input >= 0) ::close(impl_->input);
    impl_->input = -1;
}

void child_process::signal(int number) {
    if (!impl_->reap()) ::kill(impl_->pid, number);
}

int child_process::pid() const noexcept {
    return impl_->pid;
}

bool child_process::alive() {
    return !impl_->reap();
}

std::string child_process::output() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->text;
}

std::size_t child_process::wait_for(std::string_view text, std::size_t from,
                                    milliseconds deadline) {
    const auto end = clock::now() + deadline;
    std::unique_lock lock(impl_->mutex);
    for (;;) {
        const auto at = impl_->text.find(text, from);
        if (at != std::string::npos) return at + text.size();
        if (impl_->ended) return std::string::npos;
        if (impl_->changed.wait_until(lock, end) == std::cv_status::timeout)
            return std::string::npos;
    }
}

std::optional<int> child_process::wait_exit(milliseconds deadline) {
    const auto end = clock::now() + deadline;
    while (!impl_->reap()) {
        if (clock::now() >= end) return std::nullopt;
        ::poll(nullptr, 0, 5);
    }
    // What it wrote last may not have been read yet; a grandchild may keep the output open.
    std::unique_lock lock(impl_->mutex);
    impl_->changed.wait_for(lock, std::chrono::seconds(1), [this] { return impl_->ended; });
    return impl_->exit_code;
}

}  // namespace sallyport::tests
