#include "proxy/store/sqlite.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <utility>

#include <sys/random.h>

namespace sallyport::proxy::store {

namespace {

constexpr std::size_t passes_listed_max = 100'000;
constexpr std::int64_t trimmed_max = 1000;

}  // namespace

// holds -------------------------------------------------------------------------------------

policy::hold_id sqlite_store::add_hold(const policy::hold& h) {
    return in_transaction([&] {
        db_.prepare(
               "INSERT INTO holds (kind, state, person, target, rule, session_id, opened_at, "
               "expires_at, approvals_needed, statement, shape, details) "
               "VALUES (?, 'pending', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(std::string_view(policy::to_string(h.kind)))
            .bind(h.person)
            .bind(h.target)
            .bind(h.rule)
            .bind(to_column(h.session.value))
            .bind(to_column(h.opened_at))
            .bind(to_column(h.expires_at))
            .bind(std::int64_t{h.who.approvals})
            .bind(h.statement)
            .bind(h.shape)
            .bind(hold_details(h))
            .run();
        return policy::hold_id{to_number(db_.last_id())};
    });
}

void sqlite_store::insert_hold_vote(policy::hold_id id, const policy::vote& v) {
    db_.prepare(
           "INSERT INTO hold_votes (hold_id, person, approve, reason, at, surface) "
           "VALUES (?, ?, ?, ?, ?, ?)")
        .bind(to_column(id.value))
        .bind(v.person)
        .bind(std::int64_t{v.approve})
        .bind(v.reason)
        .bind(to_column(v.at))
        .bind(v.surface)
        .run();
}

void sqlite_store::add_hold_vote(policy::hold_id id, const policy::vote& v) {
    in_transaction([&] { insert_hold_vote(id, v); });
}

void sqlite_store::insert_pass(policy::pass& p) {
    db_.prepare(
           "INSERT INTO passes (hold_id, scope, rule, person, target, shape, session_id, until, "
           "approved_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(to_column(p.from_hold.value))
        .bind(std::string_view(policy::to_string(p.scope)))
        .bind(p.rule)
        .bind(p.person)
        .bind(p.target)
        .bind(p.shape)
        .bind(to_column(p.session.value))
        .bind(to_column(p.until))
        .bind(p.approved_by)
        .run();
    p.id.value = to_number(db_.last_id());
}

bool sqlite_store::move_hold(policy::hold_id id, policy::hold_state from, policy::hold_state to,
                             const std::string& reason, policy::instant at, const policy::vote* v,
                             policy::pass* granted) {
    return in_transaction([&] {
        {
            auto s = db_.prepare("SELECT 1 FROM holds WHERE id = ? AND state = ?");
            s.bind(to_column(id.value)).bind(std::string_view(policy::to_string(from)));
            if (!s.step()) return false;
        }
        // The vote first: the schema counts the votes when the state moves, and takes none
        // afterwards.
        if (v) insert_hold_vote(id, *v);
        const auto scope = granted ? granted->scope : policy::pass_scope::statement;
        const auto lasts = granted ? (granted->until - at).count() : 0;
        db_.prepare(
               "UPDATE holds SET state = ?, ended_at = ?, ended_reason = ?, granted = ?, "
               "granted_for = ? WHERE id = ? AND state = ?")
            .bind(std::string_view(policy::to_string(to)))
            .bind(to_column(at))
            .bind(reason)
            .bind(std::string_view(policy::to_string(scope)))
            .bind(std::int64_t{lasts})
            .bind(to_column(id.value))
            .bind(std::string_view(policy::to_string(from)))
            .run();
        if (granted) insert_pass(*granted);
        return true;
    });
}

bool sqlite_store::assign_hold(policy::hold_id id, const policy::hold::assignment& a) {
    return in_transaction([&] {
        {
            auto s = db_.prepare("SELECT 1 FROM holds WHERE id = ? AND state = 'pending'");
            s.bind(to_column(id.value));
            if (!s.step()) return false;
        }
        db_.prepare(
               "UPDATE holds SET assigned_to = ?, assigned_by = ?, assigned_reason = ?, "
               "assigned_at = ? WHERE id = ?")
            .bind(a.to)
            .bind(a.by)
            .bind(a.reason)
            .bind(to_column(a.at))
            .bind(to_column(id.value))
            .run();
        return true;
    });
}

std::vector<policy::vote> sqlite_store::hold_votes(policy::hold_id id) {
    auto s = db_.prepare(
        "SELECT person, approve, reason, at, surface FROM hold_votes WHERE hold_id = ? "
        "ORDER BY at, rowid");
    s.bind(to_column(id.value));
    std::vector<policy::vote> votes;
    while (s.step())
        votes.push_back(read_vote(s));
    return votes;
}

std::optional<policy::hold> sqlite_store::get_hold(policy::hold_id id) {
    static const std::string sql = std::string(hold_select) + "WHERE id = ?";
    return guarded([&]() -> std::optional<policy::hold> {
        std::optional<policy::hold> h;
        {
            auto s = db_.prepare(sql.c_str());
            s.bind(to_column(id.value));
            if (s.step()) h = read_hold(s);
        }
        if (h) h->votes = hold_votes(id);
        return h;
    });
}

std::vector<policy::hold> sqlite_store::holds_in(std::optional<policy::hold_state> state,
                                                 std::int64_t limit) {
    static const std::string all = std::string(hold_select) + "ORDER BY id DESC LIMIT ?";
    static const std::string some =
        std::string(hold_select) + "WHERE state = ? ORDER BY id DESC LIMIT ?";
    std::vector<policy::hold> result;
    {
        auto s = db_.prepare(state ? some.c_str() : all.c_str());
        if (state) s.bind(std::string_view(policy::to_string(*state)));
        s.bind(limit);
        while (s.step())
            result.push_back(read_hold(s));
    }
    for (auto& h : result)
        h.votes = hold_votes(h.id);
    return result;
}

std::vector<policy::hold> sqlite_store::list_holds(std::optional<policy::hold_state> state,
                                                   std::size_t limit) {
    return guarded([&] {
        return holds_in(state, static_cast<std::int64_t>(std::min(limit, holds_listed_max)));
    });
}

std::vector<policy::hold> sqlite_store::withdraw_orphans(policy::instant at,
                                                         const std::string& reason) {
    return in_transaction([&] {
        auto orphans = holds_in(policy::hold_state::pending, -1);
        std::erase_if(orphans, [](const policy::hold& h) { return h.ahead(); });
        db_.prepare(
               "UPDATE holds SET state = 'withdrawn', ended_at = ?, ended_reason = ? "
               "WHERE state = 'pending' AND session_id <> 0")
            .bind(to_column(at))
            .bind(reason)
            .run();
        for (auto& h : orphans) {
            h.state = policy::hold_state::withdrawn;
            h.ended_at = at;
            h.ended_reason = reason;
        }
        return orphans;
    });
}

std::vector<policy::hold> sqlite_store::list_ahead(policy::instant now) {
    static const std::string sql =
        std::string(hold_select) +
        "WHERE session_id = 0 AND (state = 'pending' OR (state = 'approved' "
        "AND ended_at + expires_at - opened_at > ? "
        "AND id NOT IN (SELECT hold_id FROM passes))) ORDER BY id LIMIT ?";
    return guarded([&] {
        std::vector<policy::hold> result;
        {
            auto s = db_.prepare(sql.c_str());
            s.bind(to_column(now)).bind(static_cast<std::int64_t>(holds_listed_max));
            while (s.step())
                result.push_back(read_hold(s));
        }
        for (auto& h : result)
            h.votes = hold_votes(h.id);
        return result;
    });
}

void sqlite_store::add_pass(policy::pass& p) {
    in_transaction([&] { insert_pass(p); });
}

// opt-outs ----------------------------------------------------------------------------------

policy::opt_out_id sqlite_store::add_opt_out(const policy::opt_out& o) {
    return in_transaction([&] {
        db_.prepare(
               "INSERT INTO opt_outs (state, rule, person, requested_by, reason, ticket, target, "
               "duration, requested_at, request_expires_at, max_uses, approvals_needed, "
               "policy_hash, role, kind, starts_at, extends, for_group, details) "
               "VALUES ('requested', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
            .bind(o.rule)
            .bind(o.person)
            .bind(o.requested_by)
            .bind(o.reason)
            .bind(o.ticket)
            .bind(o.target)
            .bind(std::int64_t{o.duration.count()})
            .bind(to_column(o.requested_at))
            .bind(to_column(o.request_expires_at))
            .bind(to_column(o.max_uses))
            .bind(std::int64_t{o.approvals_needed})
            .bind(o.policy_hash)
            .bind(o.role)
            .bind(std::string_view(policy::to_string(o.kind)))
            .bind(to_column(o.starts_at))
            .bind(to_column(o.extends.value))
            .bind(o.group)
            .bind(opt_out_details(o))
            .run();
        return policy::opt_out_id{to_number(db_.last_id())};
    });
}

void sqlite_store::insert_opt_out_vote(policy::opt_out_id id, const policy::vote& v) {
    db_.prepare(
           "INSERT INTO opt_out_votes (opt_out_id, person, approve, reason, at, surface) "
           "VALUES (?, ?, ?, ?, ?, ?)")
        .bind(to_column(id.value))
        .bind(v.person)
        .bind(std::int64_t{v.approve})
        .bind(v.reason)
        .bind(to_column(v.at))
        .bind(v.surface)
        .run();
}

void sqlite_store::add_opt_out_vote(policy::opt_out_id id, const policy::vote& v) {
    in_transaction([&] { insert_opt_out_vote(id, v); });
}

bool sqlite_store::move_opt_out(policy::opt_out_id id, const opt_out_change& c) {
    return in_transaction([&] {
        {
            auto s = db_.prepare("SELECT 1 FROM opt_outs WHERE id = ? AND state = ?");
            s.bind(to_column(id.value)).bind(std::string_view(policy::to_string(c.from)));
            if (!s.step()) return false;
        }
        if (c.vote) insert_opt_out_vote(id, *c.vote);
        if (c.to == policy::opt_out_state::active) {
            db_.prepare(
                   "UPDATE opt_outs SET state = 'active', live_from = ?, live_until = ? "
                   "WHERE id = ? AND state = ?")
                .bind(to_column(c.live_from))
                .bind(to_column(c.live_until))
                .bind(to_column(id.value))
                .bind(std::string_view(policy::to_string(c.from)))
                .run();
        } else {
            db_.prepare(
                   "UPDATE opt_outs SET state = ?, ended_at = ?, ended_reason = ? "
                   "WHERE id = ? AND state = ?")
                .bind(std::string_view(policy::to_string(c.to)))
                .bind(to_column(c.at))
                .bind(c.reason)
                .bind(to_column(id.value))
                .bind(std::string_view(policy::to_string(c.from)))
                .run();
        }
        if (c.from == policy::opt_out_state::active && c.review_due != policy::instant{})
            db_.prepare(
                   "INSERT INTO reviews (opt_out_id, opened_at, due_at) SELECT id, ?, ? "
                   "FROM opt_outs WHERE id = ? AND (uses > 0 OR kind = 'break_glass')")
                .bind(to_column(c.at))
                .bind(to_column(c.review_due))
                .bind(to_column(id.value))
                .run();
        return true;
    });
}

std::optional<std::uint64_t> sqlite_store::count_use(policy::opt_out_id id, policy::instant now) {
    auto s = db_.prepare(
        "UPDATE opt_outs SET uses = uses + 1 WHERE id = ? AND state = 'active' AND live_from <= ? "
        "AND live_until > ? AND (max_uses = 0 OR uses < max_uses) RETURNING uses");
    s.bind(to_column(id.value)).bind(to_column(now)).bind(to_column(now));
    if (!s.step()) return std::nullopt;
    const auto uses = to_number(s.integer(0));
    s.run();
    return uses;
}

std::optional<std::uint64_t> sqlite_store::use_opt_out(policy::opt_out_id id, policy::instant now) {
    return in_transaction([&] { return count_use(id, now); });
}

std::vector<std::optional<std::vector<std::uint64_t>>> sqlite_store::use_opt_outs(
    const std::vector<std::vector<policy::opt_out_id>>& requests, policy::instant now) {
    return in_transaction([&] {
        std::vector<std::optional<std::vector<std::uint64_t>>> results;
        results.reserve(requests.size());
        for (const auto& ids : requests) {
            std::optional<std::vector<std::uint64_t>> counts(std::in_place);
            db_.execute("SAVEPOINT one_request");
            for (const auto id : ids) {
                const auto uses = count_use(id, now);
                if (!uses) {
                    counts.reset();
                    break;
                }
                counts->push_back(*uses);
            }
            if (!counts) db_.execute("ROLLBACK TO one_request");
            db_.execute("RELEASE one_request");
            results.push_back(std::move(counts));
        }
        return results;
    });
}

std::vector<policy::vote> sqlite_store::opt_out_votes(policy::opt_out_id id) {
    auto s = db_.prepare(
        "SELECT person, approve, reason, at, surface FROM opt_out_votes WHERE opt_out_id = ? "
        "ORDER BY at, rowid");
    s.bind(to_column(id.value));
    std::vector<policy::vote> votes;
    while (s.step())
        votes.push_back(read_vote(s));
    return votes;
}

std::optional<policy::opt_out> sqlite_store::get_opt_out(policy::opt_out_id id) {
    static const std::string sql = std::string(opt_out_select) + "WHERE id = ?";
    return guarded([&]() -> std::optional<policy::opt_out> {
        std::optional<policy::opt_out> o;
        {
            auto s = db_.prepare(sql.c_str());
            s.bind(to_column(id.value));
            if (s.step()) o = read_opt_out(s);
        }
        if (o) o->votes = opt_out_votes(id);
        return o;
    });
}

std::vector<policy::opt_out> sqlite_store::list_opt_outs(std::optional<policy::opt_out_state> state,
                                                         std::size_t limit) {
    static const std::string all = std::string(opt_out_select) + "ORDER BY id DESC LIMIT ?";
    static const std::string some =
        std::string(opt_out_select) + "WHERE state = ? ORDER BY id DESC LIMIT ?";
    return guarded([&] {
        std::vector<policy::opt_out> result;
        {
            auto s = db_.prepare(state ? some.c_str() : all.c_str());
            if (state) s.bind(std::string_view(policy::to_string(*state)));
            s.bind(static_cast<std::int64_t>(std::min(limit, opt_outs_listed_max)));
            while (s.step())
                result.push_back(read_opt_out(s));
        }
        for (auto& o : result)
            o.votes = opt_out_votes(o.id);
        return result;
    });
}

std::vector<policy::opt_out> sqlite_store::opt_outs_since(const std::string& rule,
                                                          policy::instant since) {
    static const std::string sql =
        std::string(opt_out_select) +
        "WHERE rule = ?1 AND (live_from >= ?2 OR ended_at >= ?2) ORDER BY id LIMIT ?3";
    return guarded([&] {
        std::vector<policy::opt_out> result;
        auto s = db_.prepare(sql.c_str());
        s.bind(rule).bind(to_column(since)).bind(static_cast<std::int64_t>(opt_outs_listed_max));
        while (s.step())
            result.push_back(read_opt_out(s));
        return result;
    });
}

// passes ------------------------------------------------------------------------------------

std::vector<policy::pass> sqlite_store::list_passes(policy::instant now) {
    static const std::string sql = std::string(pass_select) + "WHERE until > ? ORDER BY id LIMIT ?";
    return guarded([&] {
        std::vector<policy::pass> result;
        auto s = db_.prepare(sql.c_str());
        s.bind(to_column(now)).bind(static_cast<std::int64_t>(passes_listed_max));
        while (s.step())
            result.push_back(read_pass(s));
        return result;
    });
}

void sqlite_store::end_session_passes(policy::session_id session, policy::instant at) {
    in_transaction([&] {
        db_.prepare(
               "UPDATE passes SET until = ?1 WHERE session_id = ?2 AND until > ?1 "
               "AND scope IN ('session', 'transaction')")
            .bind(to_column(at))
            .bind(to_column(session.value))
            .run();
    });
}

void sqlite_store::end_transaction_passes(policy::session_id session, policy::instant at) {
    in_transaction([&] {
        db_.prepare(
               "UPDATE passes SET until = ?1 WHERE session_id = ?2 AND until > ?1 "
               "AND scope = 'transaction'")
            .bind(to_column(at))
            .bind(to_column(session.value))
            .run();
    });
}

void sqlite_store::end_pass(policy::pass_id id, policy::instant at) {
    in_transaction([&] {
        db_.prepare("UPDATE passes SET until = ?1 WHERE id = ?2 AND until > ?1")
            .bind(to_column(at))
            .bind(to_column(id.value))
            .run();
    });
}

void sqlite_store::end_bound_passes(policy::instant at) {
    in_transaction([&] {
        db_.prepare("UPDATE passes SET until = ?1 WHERE until > ?1 AND scope <> 'shape'")
            .bind(to_column(at))
            .run();
    });
}

// upkeep and numbers ------------------------------------------------------------------------

std::size_t sqlite_store::trim(policy::instant before) {
    return in_transaction([&] {
        std::size_t rows = 0;
        db_.prepare(
               "DELETE FROM passes WHERE id IN "
               "(SELECT id FROM passes WHERE until < ? LIMIT ?)")
            .bind(to_column(before))
            .bind(trimmed_max)
            .run();
        rows += static_cast<std::size_t>(db_.changes());
        db_.prepare(
               "DELETE FROM holds WHERE id IN (SELECT id FROM holds WHERE state <> 'pending' "
               "AND ended_at < ? AND id NOT IN (SELECT hold_id FROM passes) LIMIT ?)")
            .bind(to_column(before))
            .bind(trimmed_max)
            .run();
        rows += static_cast<std::size_t>(db_.changes());
        return rows + trim_outbox(before);
    });
}

void sqlite_store::probe() {
    in_transaction([&] {
        db_.prepare(
               "INSERT INTO meta (name, value) VALUES ('probe', randomblob(8)) "
               "ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .run();
    });
}

std::uint64_t sqlite_store::next_boot_number() {
    return in_transaction([&] {
        std::uint64_t number = 0;
        {
            auto s = db_.prepare("SELECT value FROM meta WHERE name = 'boot_number'");
            if (s.step()) {
                const auto text = s.text(0);
                const auto [end, error] =
                    std::from_chars(text.data(), text.data() + text.size(), number);
                if (error != std::errc{} || end != text.data() + text.size())
                    throw store_error(
                        "state: the start number cannot be read; the file was "
                        "changed by another program");
            }
        }
        ++number;
        db_.prepare(
               "INSERT INTO meta (name, value) VALUES ('boot_number', ?) "
               "ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind_blob(std::to_string(number))
            .run();
        return number;
    });
}

std::string sqlite_store::mock_secret() {
    return in_transaction([&] {
        {
            auto s = db_.prepare("SELECT value FROM meta WHERE name = 'mock_secret'");
            if (s.step()) return s.text(0);
        }
        std::string secret(32, '\0');
        if (::getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size()))
            throw store_error("state: the kernel gives no random bytes");
        db_.prepare("INSERT INTO meta (name, value) VALUES ('mock_secret', ?)")
            .bind_blob(secret)
            .run();
        return secret;
    });
}

std::unique_ptr<store> open_sqlite(const std::string& path) {
    return std::make_unique<sqlite_store>(path);
}

}  // namespace sallyport::proxy::store
