#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "policy/types.h"

/// The seam between the `sallyport` database on the PostgreSQL port (spoken by proxy/session) and
/// the commands behind it (proxy/admin). Neither knows the other.
namespace sallyport::proxy {

/// Type OIDs of pg_type that console results use.
enum class console_type : std::uint32_t { boolean = 16, int8 = 20, text = 25, timestamptz = 1184 };

struct console_column {
    std::string name;
    console_type type = console_type::text;
};

struct console_result {
    std::vector<console_column> columns;  ///< empty: a command without rows
    std::vector<std::vector<std::optional<std::string>>> rows;
    std::string tag;  ///< CommandComplete tag: "SHOW", "APPROVE" …
    std::vector<std::string> notices;
    // An error: sqlstate non-empty, the rest above is ignored.
    std::string sqlstate;
    std::string message;
    std::string detail;
    std::string hint;
};

struct console_user {
    policy::principal principal;
    std::string address;
};

class console_backend {
  public:
    virtual ~console_backend() = default;
    /// Runs one statement (no trailing ';'). `done` is called exactly once, on any thread.
    virtual void execute(console_user user, std::string statement,
                         std::function<void(console_result)> done) = 0;
    /// Columns that `statement` would return, without running it; empty if none or unknown.
    virtual std::vector<console_column> describe(const std::string& statement) = 0;
};

/// What surfaces may know of a live session.
struct session_info {
    policy::session_id id;
    std::string user;
    std::string address;
    std::string application;
    std::string target;
    std::string state;  ///< "login", "held", "idle", "active", "idle in transaction"
    policy::instant started_at;
    std::string statement;  ///< newest one, redacted, at most 1 KiB
    policy::hold_id hold;   ///< 0 = none
    std::string grant;      ///< "opt-out 3", "pass 9" or ""
    std::uint32_t server_pid = 0;
    bool tls = false;
    policy::instant transaction_since{};  ///< as the proxy saw it begin; zero: none is open
};

class session_directory {
  public:
    virtual ~session_directory() = default;
    /// `done` is called once, on any thread.
    virtual void list(std::function<void(std::vector<session_info>)> done) = 0;
    /// Ends a session: cancels what runs upstream, FATAL SP003 to the client. `done(found)`.
    virtual void kill(policy::session_id id, std::string by, std::string reason,
                      std::function<void(bool)> done) = 0;
};

}  // namespace sallyport::proxy
