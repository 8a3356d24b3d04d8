#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/auth/methods.h"
#include "proxy/net/tls_options.h"
#include "proxy/secret.h"

struct pg_conn;
struct pg_result;

/// A session with a server whose every wait has an end. libpqxx hands out neither a connection that
/// can be given up while it waits nor rows before the last one is in memory, so this stands on
/// libpq itself: non-blocking, row by row, nothing of a server's answer piled up.
namespace sallyport::proxy::catalog {

/// Where and as whom. As the target's settings, for the catalog's login.
struct server_address {
    std::string host;
    std::uint16_t port = 5432;
    std::string dbname;
    std::string user;
    std::optional<secret> password;
    net::client_tls_options tls;
    auth::channel_binding channel_binding = auth::channel_binding::prefer;
    auth::method_set require_auth{auth::method::none, auth::method::password, auth::method::md5,
                                  auth::method::scram_sha_256};
    std::chrono::milliseconds connect_timeout{10'000};
};
[[nodiscard]] bool operator==(const server_address& a, const server_address& b);

/// Told from another thread that no wait is worth while any more.
class stop_signal {
  public:
    stop_signal();
    ~stop_signal();
    stop_signal(const stop_signal&) = delete;
    stop_signal& operator=(const stop_signal&) = delete;
    void set() noexcept;  ///< any thread
    [[nodiscard]] int descriptor() const noexcept { return fd_; }

  private:
    int fd_;
};

/// The server refused one statement, or the connection is gone; `what()` is one line, shown to
/// operators, without a password.
class failure : public std::runtime_error {
  public:
    failure(const std::string& what, std::string sqlstate)
        : std::runtime_error(what), sqlstate_(std::move(sqlstate)) {}
    explicit failure(const std::string& what) : failure(what, {}) {}
    /// "" if it is not the server's answer to a statement: the connection is unusable then.
    [[nodiscard]] const std::string& sqlstate() const noexcept { return sqlstate_; }

  private:
    std::string sqlstate_;
};

/// One row of an answer, valid while the callback runs.
class row {
  public:
    explicit row(const pg_result* r) noexcept : result_(r) {}
    [[nodiscard]] bool null(int column) const noexcept;
    [[nodiscard]] std::string_view text(int column) const noexcept;  ///< "" for null
    [[nodiscard]] std::uint32_t number(int column) const noexcept;   ///< 0 for what is none
    [[nodiscard]] bool truth(int column) const noexcept;             ///< a boolean's t
    [[nodiscard]] char letter(int column) const noexcept;            ///< of type "char"; '\0': none

  private:
    const pg_result* result_;
};

/// Not thread-safe; blocks the calling thread, for a bounded time.
class connection {
  public:
    /// Connects. Errors: failure (not in time, refused, told to stop). The name is looked up by
    /// libpq, for as long as the system's resolver takes. `stop` must outlive the connection.
    connection(const server_address& where, const stop_signal& stop);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// Runs one statement whose rows have `columns` columns. Errors: failure, and what `on_row`
    /// throws (the connection is unusable then).
    void query(const std::string& sql, int columns, std::chrono::milliseconds timeout,
               const std::function<void(const row&)>& on_row);
    /// A statement without rows.
    void execute(const std::string& sql, std::chrono::milliseconds timeout);

    [[nodiscard]] bool usable() const noexcept { return usable_; }
    [[nodiscard]] int server_version() const noexcept;  ///< 150004
    [[nodiscard]] const std::string& dbname() const noexcept { return dbname_; }

  private:
    using deadline = std::chrono::steady_clock::time_point;
    void connect(const server_address& where);
    void wait(short events, deadline until);
    void flush(deadline until);
    pg_result* next_result(deadline until);
    [[noreturn]] void give_up(const std::string& why);

    pg_conn* conn_ = nullptr;
    const stop_signal& stop_;
    std::string dbname_;
    bool usable_ = false;
};

/// `text` on one line, without what acts on a terminal.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace sallyport::proxy::catalog
