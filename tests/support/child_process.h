#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Programs that tests run.
namespace sallyport::tests {

using std::chrono::milliseconds;

/// How long a test waits for something that must happen, before it fails. Generous: a loaded
/// machine under a sanitizer is slow, and a test that passes never waits for it.
inline constexpr milliseconds patience{20'000};

struct command {
    std::vector<std::string> argv{};
    std::map<std::string, std::string> env{};     ///< added to the environment of the tests
    std::string input{};                          ///< run() only: its standard input
    std::string user{};                           ///< run as this user; "" = the same
    std::string directory{};                      ///< "" = the same
    milliseconds deadline = patience * 3;         ///< run() only
    std::optional<std::size_t> file_bytes_max{};  ///< RLIMIT_FSIZE
    bool terminal = false;  ///< child_process only: on a raw pseudo-terminal instead of pipes
};

struct command_result {
    int exit_code = -1;  ///< 128 + signal if a signal ended it
    bool timed_out = false;
    std::string out{};
    std::string err{};
};

/// Runs a program to its end. Errors: throws std::runtime_error if it cannot be started.
[[nodiscard]] command_result run(const command& c);

/// A running program with a pipe to its standard input; both outputs end in one text, in order.
/// It is killed with the object, and with the test process.
class child_process {
  public:
    explicit child_process(const command& c);
    ~child_process();
    child_process(const child_process&) = delete;
    child_process& operator=(const child_process&) = delete;

    void send(std::string_view text);
    void close_input();
    void signal(int number);
    [[nodiscard]] int pid() const noexcept;
    [[nodiscard]] bool alive();

    /// Everything written so far.
    [[nodiscard]] std::string output() const;
    /// Waits until `text` stands in the output at or after `from`; the offset behind it, or npos.
    [[nodiscard]] std::size_t wait_for(std::string_view text, std::size_t from = 0,
                                       milliseconds deadline = patience);
    /// Waits for the end; exit code (128 + signal), or nullopt if it still runs.
    std::optional<int> wait_exit(milliseconds deadline = patience);

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::tests
