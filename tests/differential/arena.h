#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/differential/peer.h"
#include "tests/support/postgres_server.h"
#include "tests/support/proxy_process.h"

/// The servers, and the workers that play sequences against them.
namespace sallyport::tests::differential {

/// One PostgreSQL and one Sallyport in front of it; per lane one database for each side.
class arena {
  public:
    arena(policy_kind kind, unsigned lanes);

    [[nodiscard]] policy_kind kind() const noexcept { return kind_; }
    [[nodiscard]] std::uint16_t postgres_port() const noexcept { return postgres_.port(); }
    [[nodiscard]] std::uint16_t proxy_port() const noexcept { return proxy_->port(); }
    /// Its newest lines.
    [[nodiscard]] std::string server_log() const;
    /// Notes a session that no proxy stands before.
    void add_direct(std::uint32_t backend_pid) const;
    /// How often PostgreSQL itself has crashed, and under whom for each: true if no proxy stood
    /// before the session that brought it down.
    [[nodiscard]] std::vector<bool> crashes() const;
    [[nodiscard]] static std::string database(unsigned lane, bool proxied) {
        return (proxied ? "proxied_" : "direct_") + std::to_string(lane);
    }

  private:
    policy_kind kind_;
    postgres_server postgres_;
    std::unique_ptr<proxy_process> proxy_;
    mutable std::mutex mutex_;
    mutable std::set<std::uint32_t> direct_pids_;
};

/// One pair of sessions, and the tables behind them. Not thread-safe.
class lane {
  public:
    lane(const arena& home, unsigned number);

    /// Plays a sequence on both sides; the difference in words, nullopt if there is none.
    [[nodiscard]] std::optional<std::string> play(const sequence& s, milliseconds deadline);
    /// Sequences whose session Sallyport gave up, which compares nothing.
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
    /// Leaves out messages while the rest still differs; on connections of their own.
    [[nodiscard]] sequence smaller(sequence s, milliseconds deadline);
    /// New connections for whatever comes next.
    void forget_connections();
    /// Both sides tell a client the same about themselves after a login.
    [[nodiscard]] std::optional<std::string> compare_logins();

  private:
    void connect();
    void reset();
    [[nodiscard]] std::optional<std::string> compare_tables();

    const arena* home_;
    policy_kind kind_;
    peer direct_;
    peer proxied_;
    wire_client direct_tables_;
    wire_client proxied_tables_;
    std::string first_rows_;
    std::uint64_t lost_ = 0;
};

}  // namespace sallyport::tests::differential
