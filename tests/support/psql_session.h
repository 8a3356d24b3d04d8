#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "tests/support/child_process.h"

/// A person at psql.
namespace sallyport::tests {

struct psql_options {
    std::uint16_t port = 0;
    std::string user = "alice";
    std::string password = "alice-password";
    std::string database = "shop";
    std::string options{};  ///< PGOPTIONS
    std::string sslmode = "disable";
    std::map<std::string, std::string> env{};
};

/// What psql showed for one input, and the state it had afterwards.
struct psql_answer {
    std::string text{};      ///< rows (unaligned), notices and errors as printed
    std::string sqlstate{};  ///< "00000" = fine
    bool complete = false;   ///< false: the deadline passed before psql was done
};

/// psql kept open on a terminal (it ends a script at Ctrl-C, a session not): -X -A -t, verbose
/// errors.
class psql_session {
  public:
    explicit psql_session(const psql_options& o);
    /// Runs and waits to the end.
    psql_answer ask(const std::string& sql, milliseconds deadline = patience);
    /// Sends and does not wait; finish() waits for the answer.
    void send(const std::string& sql);
    psql_answer finish(milliseconds deadline = patience);
    /// Waits for text after the newest send(); false if it did not come.
    bool shows(const std::string& text, milliseconds deadline = patience);
    void interrupt();  ///< Ctrl-C
    void kill();       ///< SIGKILL
    void quit();       ///< \q
    std::optional<int> wait_exit(milliseconds deadline = patience) {
        return process_.wait_exit(deadline);
    }
    [[nodiscard]] std::string output() const { return process_.output(); }

  private:
    child_process process_;
    std::size_t mark_ = 0;
    int number_ = 0;
};

/// psql -c, to its end.
[[nodiscard]] command_result psql_once(const psql_options& o, const std::string& sql);

}  // namespace sallyport::tests
