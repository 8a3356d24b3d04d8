#include "proxy/catalog/locks.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sallyport::proxy::catalog {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t locks_max = 100;
constexpr std::size_t known_max = 32;

// One lock of its own virtual transaction is always there, and tells whether the process is known.
// A statement's locks on indexes say no more than those on their tables.
std::string locks_of(const std::string& pid) {
    return "SELECT l.locktype,"
           " COALESCE(n.nspname || '.' || c.relname,"
           "  CASE WHEN l.locktype = 'advisory' THEN l.classid::text || ',' || l.objid::text"
           "       ELSE '' END),"
           " l.mode, l.granted"
           " FROM pg_catalog.pg_locks l"
           " LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation AND l.database ="
           "  (SELECT d.oid FROM pg_catalog.pg_database d"
           "    WHERE d.datname = pg_catalog.current_database())"
           " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
           " WHERE l.pid = " +
           pid +
           "  AND l.locktype <> 'virtualxid'"
           "  AND NOT (c.relkind IN ('i', 'I')"
           "           AND l.mode IN ('AccessShareLock', 'RowExclusiveLock'))"
           " ORDER BY l.granted, l.locktype = 'relation' DESC,"
           "  pg_catalog.array_position(ARRAY['AccessExclusiveLock', 'ExclusiveLock',"
           "   'ShareRowExclusiveLock', 'ShareLock', 'ShareUpdateExclusiveLock',"
           "   'RowExclusiveLock', 'RowShareLock', 'AccessShareLock'], l.mode), 2"
           " LIMIT " +
           std::to_string(locks_max + 1);
}

std::string circumstances_of(const std::string& pid) {
    return "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.pid = " + pid +
           "),"
           " (SELECT pg_catalog.count(DISTINCT w.pid) FROM pg_catalog.pg_locks w"
           "   WHERE NOT w.granted AND w.pid <> " +
           pid + " AND " + pid +
           " = ANY (pg_catalog.pg_blocking_pids(w.pid))),"
           " (SELECT (EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start) * 1000)"
           "   ::bigint FROM pg_catalog.pg_stat_activity a WHERE a.pid = " +
           pid + ")";
}

lock_report unknown(std::string why) {
    lock_report r;
    r.unknown_because = std::move(why);
    return r;
}

milliseconds milliseconds_of(std::string_view text) {
    std::int64_t n = 0;
    std::from_chars(text.data(), text.data() + text.size(), n);
    return milliseconds(std::max<std::int64_t>(n, 0));
}

}  // namespace

lock_report read_locks(connection& c, std::uint32_t server_pid, milliseconds patience) {
    const auto until = steady_clock::now() + patience;
    const auto left = [&] {
        return std::max(milliseconds(1),
                        std::chrono::duration_cast<milliseconds>(until - steady_clock::now()));
    };
    const auto pid = std::to_string(server_pid);
    lock_report out;
    bool there = false;
    c.execute("BEGIN READ ONLY", left());
    c.execute("SET LOCAL search_path = ''", left());
    c.execute("SET LOCAL statement_timeout = 1000", left());
    c.query(circumstances_of(pid), 3, left(), [&](const row& r) {
        there = r.truth(0);
        out.blocked = r.number(1);
        if (!r.null(2)) out.age = milliseconds_of(r.text(2));
    });
    c.query(locks_of(pid), 4, left(), [&](const row& r) {
        if (out.locks.size() == locks_max) {
            out.cut = true;
            return;
        }
        out.locks.push_back(
            {std::string(r.text(0)), std::string(r.text(1)), std::string(r.text(2)), r.truth(3)});
    });
    c.execute("COMMIT", left());
    if (!there) return unknown("the server shows no transaction of this session's process");
    return out;
}

lock_reader::lock_reader() : thread_([this] { run(); }) {}

lock_reader::~lock_reader() {
    stop();
}

void lock_reader::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    stop_.set();
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void lock_reader::set_targets(const std::vector<target>& targets) {
    decltype(targets_) next;
    for (const auto& t : targets) {
        auto where = t.where;
        where.connect_timeout = std::min(where.connect_timeout, patience);
        next.emplace(t.name, std::move(where));
    }
    const std::lock_guard lock(mutex_);
    targets_.swap(next);
}

void lock_reader::ask(const std::string& target, std::uint32_t server_pid,
                      std::function<void(lock_report)> done) {
    const auto refusal = [&]() -> std::string {
        const std::lock_guard lock(mutex_);
        if (stopping_) return "the proxy is stopping";
        if (targets_.count(target) == 0) return "target " + target + " has no `catalog:` login";
        if (server_pid == 0) return "the server did not tell the number of the session's process";
        if (waiting_.size() >= waiting_max) return "too many ask at once; ask again in a moment";
        waiting_.push_back({target, server_pid, steady_clock::now(), std::move(done)});
        wake_.notify_one();
        return {};
    }();
    if (!refusal.empty()) done(unknown(refusal));
}

void lock_reader::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (waiting_.empty()) return;  // it stops
        const auto q = std::move(waiting_.front());
        waiting_.pop_front();
        const bool stopping = stopping_;
        lock.unlock();
        q.done(stopping ? unknown("the proxy is stopping") : answer(q));
        lock.lock();
    }
}

lock_report lock_reader::answer(const question& q) {
    const auto now = steady_clock::now();
    std::erase_if(known_, [&](const known& k) { return now - k.read_at >= fresh_for; });
    for (const auto& k : known_)
        if (k.target == q.target && k.server_pid == q.server_pid) return k.report;
    if (now - q.asked_at > 2 * patience) return unknown("the server did not answer in time");
    auto report = read(q);
    if (known_.size() == known_max) known_.pop_front();
    known_.push_back({q.target, q.server_pid, steady_clock::now(), report});
    return report;
}

lock_report lock_reader::read(const question& q) {
    server_address where;
    {
        const std::lock_guard lock(mutex_);
        const auto at = targets_.find(q.target);
        if (at == targets_.end()) return unknown("target " + q.target + " is gone");
        where = at->second;
    }
    try {
        connection c(where, stop_);
        return read_locks(c, q.server_pid, patience);
    } catch (const std::exception&) {
        // Its text is for operators: the catalog's own checks bring it to the log.
        return unknown("the server could not be asked by the target's `catalog:` login");
    }
}

}  // namespace sallyport::proxy::catalog
