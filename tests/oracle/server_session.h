#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct pg_conn;

/// A session with PostgreSQL that tells what its statements touched.
namespace sallyport::tests::oracle {

struct answer {
    std::string sqlstate = "00000";
    std::string message;
    std::vector<std::vector<std::string>> rows;  ///< of the last statement that had some
    [[nodiscard]] bool fine() const noexcept { return sqlstate == "00000"; }
};

/// A relation that a transaction has locked beyond the look-up of its name.
struct touch {
    std::uint32_t relation = 0;  ///< oid
    bool written = false;        ///< more than for reading and for locking rows
};

class server_session {
  public:
    explicit server_session(const std::string& connection_string);
    ~server_session();
    server_session(const server_session&) = delete;
    server_session& operator=(const server_session&) = delete;

    /// Any text, COPY inside of it too: one row of ones goes in, what comes out is dropped.
    answer run(const std::string& sql);
    /// As run(); throws std::runtime_error with the server's words if it fails.
    answer must(const std::string& sql);

    struct outcome {
        answer said;
        std::vector<touch> touched;  ///< nothing if it failed: the locks are gone then
    };
    /// In a transaction of its own as `role`, rolled back.
    outcome probe(const std::string& sql, const std::string& role);

  private:
    pg_conn* connection_;
};

}  // namespace sallyport::tests::oracle
