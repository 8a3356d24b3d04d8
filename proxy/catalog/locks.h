#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/catalog/service.h"
#include "proxy/locks.h"

/// What a transaction that waits for a person holds on its server.
namespace sallyport::proxy::catalog {

/// Reads the locks of one server process, for this long at most. Errors: failure.
[[nodiscard]] lock_report read_locks(connection& c, std::uint32_t server_pid,
                                     std::chrono::milliseconds patience);

/// Asks targets through their catalog logins, on a thread of its own: one question after another,
/// each over a connection of its own that is closed behind it.
///
/// Units:  an answer is at most `fresh_for` old; connecting and reading take `patience` at most
///         each; at most `waiting_max` questions wait, none longer than twice `patience`.
/// Concurrency: any thread. `done` comes once, on this thread or before ask() returns.
class lock_reader {
  public:
    static constexpr std::chrono::milliseconds patience{1'500};
    static constexpr std::chrono::milliseconds fresh_for{1'000};
    static constexpr std::size_t waiting_max = 32;

    lock_reader();
    ~lock_reader();
    lock_reader(const lock_reader&) = delete;
    lock_reader& operator=(const lock_reader&) = delete;

    /// Those who wait are answered, and those who ask from then on at once.
    void stop();
    void set_targets(const std::vector<target>& targets);
    void ask(const std::string& target, std::uint32_t server_pid,
             std::function<void(lock_report)> done);

  private:
    using time_point = std::chrono::steady_clock::time_point;
    struct question {
        std::string target;
        std::uint32_t server_pid = 0;
        time_point asked_at{};
        std::function<void(lock_report)> done;
    };
    struct known {
        std::string target;
        std::uint32_t server_pid = 0;
        time_point read_at{};
        lock_report report;
    };

    void run();
    [[nodiscard]] lock_report answer(const question& q);
    [[nodiscard]] lock_report read(const question& q);

    stop_signal stop_;
    std::deque<known> known_;  ///< the thread's own: the newest answers

    std::mutex mutex_;
    std::condition_variable wake_;
    std::map<std::string, server_address> targets_;
    std::deque<question> waiting_;
    bool stopping_ = false;

    std::thread thread_;  ///< last: begins when the rest stands, and ends before it falls
};

}  // namespace sallyport::proxy::catalog
