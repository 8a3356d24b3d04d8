#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "policy/catalog/snapshot.h"
#include "proxy/catalog/connection.h"
#include "proxy/catalog/reader.h"

/// The newest catalog of each target, and whether it is still true.
///
/// A thread per target holds one connection and makes *checks*. A check looks in two steps: what
/// transactions have ended (one round trip, next to nothing for the server), and, if any has, the
/// fingerprint of the catalog (some milliseconds: it goes through pg_attribute and its kin). If
/// that changed, all is read and understood again. What a check began to look at is at least as new
/// as the moment it began.
///
/// **The budget.** A database that is written to all the time ends transactions all the time, and
/// each check would take a fingerprint. So the fingerprints of a target may take 5 % of the time on
/// average, after a burst of some tens since the last change that one found. While that is used up,
/// a check that finds ended transactions answers with the snapshot there is, without calling it
/// checked (checked_at() stays), and the fingerprint follows by itself as soon as the budget
/// allows: a fingerprint of 5 ms is then 100 ms late at most. A change that is *known* is always
/// read before anybody is answered.
///
/// **Down.** A target that cannot be asked is tried again for those who wait, but not more often
/// than 20 times a second. In its first seconds, which a restart or a database made anew takes,
/// they wait for the next try; later only those who say that they have patience do, and the others
/// are answered null at once.
///
/// A definition that PostgreSQL could not write out, for a lock say, is opaque; as long as there
/// are such, all is read again after `interval`, but not before ten times as long as reading takes.
namespace sallyport::proxy::catalog {

struct target {
    std::string name;
    server_address where;
    std::chrono::milliseconds interval{5'000};  ///< of the checks that nobody asks for
    std::string names_file{};                   ///< see names_file.h; "": nothing is kept
};
[[nodiscard]] bool operator==(const target& a, const target& b);

enum class severity : std::uint8_t { debug, info, warning };
/// Called on the service's threads; must not throw.
using log_function = std::function<void(severity, const std::string&)>;

/// Of somebody who waits for a target that has been down for long: whether for one more try.
enum class patience : std::uint8_t { none, one_try };

/// How a target's catalog does, for /readyz, metrics and explain.
struct status {
    std::string target;
    bool has_snapshot = false;
    bool down = false;                                   ///< the last check failed
    std::string error;                                   ///< why; stays until a check succeeds
    std::chrono::steady_clock::time_point checked_at{};  ///< begin of the last good check
    double read_seconds = 0;                             ///< the last read, with its analysis
    double fingerprint_seconds = 0;                      ///< the last fingerprint
    std::size_t relations = 0;
    std::size_t functions = 0;
    std::size_t unreadable = 0;  ///< objects whose text PostgreSQL could not write out
    std::uint64_t reads = 0;
    std::uint64_t fingerprints = 0;
    std::uint64_t checks = 0;
    std::uint64_t checks_cut_short = 0;  ///< answered without a fingerprint: no budget
    std::uint64_t changes_outside = 0;   ///< found by a check that nobody asked for
};

class watcher;

/// Thread-safe. Lifecycle: set_targets() starts what is new and stops what is gone; the destructor
/// stops all: those who wait are answered null, waits for servers end at once.
class service {
  public:
    using on_snapshot = std::function<void(policy::catalog::snapshot_ptr)>;

    explicit service(log_function log, read_limits limits = {});
    ~service();
    service(const service&) = delete;
    service& operator=(const service&) = delete;

    /// The targets that have a catalog login. One that is equal to one of before keeps its thread
    /// and its snapshot. Errors: std::runtime_error if a thread cannot be had; nothing has changed
    /// then.
    void set_targets(const std::vector<target>& targets);

    [[nodiscard]] bool configured(std::string_view target) const;
    /// The newest snapshot; null if there is none.
    [[nodiscard]] policy::catalog::snapshot_ptr current(std::string_view target) const;
    /// When the newest good check began; time_point::min() without one. Cheap.
    [[nodiscard]] std::chrono::steady_clock::time_point checked_at(std::string_view target) const;
    /// The same, checks that the budget cut short counted: what refresh() would answer with is no
    /// older than this.
    [[nodiscard]] std::chrono::steady_clock::time_point answered_at(std::string_view target) const;
    /// `done` gets the newest snapshot after a check that began after this call (or, out of budget,
    /// its first step); null when the catalog cannot be had: not configured, the check failed, or
    /// the target is known to be down (above). Those who wait share one check. `done` is called
    /// exactly once, on the service's thread or before refresh() returns; it must only post, and
    /// not throw.
    void refresh(std::string_view target, on_snapshot done, patience p = patience::none) const;

    /// Every connection is given up for some seconds, unless somebody waits for a catalog: DROP
    /// DATABASE and its kin want a database that nobody uses.
    void leave_databases() const;

    /// In the order of their names.
    [[nodiscard]] std::vector<status> statuses() const;

  private:
    [[nodiscard]] std::shared_ptr<watcher> find(std::string_view target) const;
    log_function log_;
    read_limits limits_;
    std::uint64_t seed_;
    mutable std::shared_mutex mutex_;
    std::map<std::string, std::shared_ptr<watcher>, std::less<>> watchers_;
};

}  // namespace sallyport::proxy::catalog
