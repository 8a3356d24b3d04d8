#include <algorithm>

#include "proxy/store/sqlite.h"

/// Votes taken back, reviews, flags and locks.
namespace sallyport::proxy::store {

bool sqlite_store::withdraw_vote(policy::hold_id id, const std::string& person,
                                 policy::instant at) {
    return in_transaction([&] {
        db_.prepare(
               "INSERT INTO withdrawn_votes SELECT 'hold', hold_id, person, reason, at, ? "
               "FROM hold_votes WHERE hold_id = ? AND person = ? AND approve = 1")
            .bind(to_column(at))
            .bind(to_column(id.value))
            .bind(person)
            .run();
        if (db_.changes() == 0) return false;
        db_.prepare("DELETE FROM hold_votes WHERE hold_id = ? AND person = ?")
            .bind(to_column(id.value))
            .bind(person)
            .run();
        return true;
    });
}

bool sqlite_store::withdraw_vote(policy::opt_out_id id, const std::string& person,
                                 policy::instant at) {
    return in_transaction([&] {
        db_.prepare(
               "INSERT INTO withdrawn_votes SELECT 'opt_out', opt_out_id, person, reason, at, ? "
               "FROM opt_out_votes WHERE opt_out_id = ? AND person = ? AND approve = 1")
            .bind(to_column(at))
            .bind(to_column(id.value))
            .bind(person)
            .run();
        if (db_.changes() == 0) return false;
        db_.prepare("DELETE FROM opt_out_votes WHERE opt_out_id = ? AND person = ?")
            .bind(to_column(id.value))
            .bind(person)
            .run();
        return true;
    });
}

// reviews -----------------------------------------------------------------------------------

std::vector<policy::review> sqlite_store::list_reviews(std::optional<policy::review_state> state,
                                                       std::size_t limit) {
    static const std::string all = std::string(review_select) + "ORDER BY due_at DESC LIMIT ?";
    static const std::string some =
        std::string(review_select) + "WHERE r.state = ? ORDER BY due_at LIMIT ?";
    return guarded([&] {
        std::vector<policy::review> result;
        auto s = db_.prepare(state ? some.c_str() : all.c_str());
        if (state) s.bind(std::string_view(policy::to_string(*state)));
        s.bind(static_cast<std::int64_t>(std::min(limit, opt_outs_listed_max)));
        while (s.step())
            result.push_back(read_review(s));
        return result;
    });
}

std::optional<policy::review> sqlite_store::get_review(policy::opt_out_id id) {
    static const std::string sql = std::string(review_select) + "WHERE r.opt_out_id = ?";
    return guarded([&]() -> std::optional<policy::review> {
        auto s = db_.prepare(sql.c_str());
        s.bind(to_column(id.value));
        if (!s.step()) return std::nullopt;
        return read_review(s);
    });
}

bool sqlite_store::close_review(policy::opt_out_id id, policy::review_state to,
                                const std::string& reviewer, const std::string& note,
                                policy::instant at) {
    return in_transaction([&] {
        db_.prepare(
               "UPDATE reviews SET state = ?, closed_at = ?, reviewer = ?, note = ? "
               "WHERE opt_out_id = ? AND state = 'open'")
            .bind(std::string_view(policy::to_string(to)))
            .bind(to_column(at))
            .bind(reviewer)
            .bind(note)
            .bind(to_column(id.value))
            .run();
        return db_.changes() == 1;
    });
}

void sqlite_store::note_overdue(policy::opt_out_id id, policy::instant at) {
    in_transaction([&] {
        db_.prepare("UPDATE reviews SET overdue_at = ? WHERE opt_out_id = ? AND overdue_at = 0")
            .bind(to_column(at))
            .bind(to_column(id.value))
            .run();
    });
}

// flags and locks ---------------------------------------------------------------------------

policy::flag_id sqlite_store::add_flag(const policy::flag& f) {
    return in_transaction([&] {
        db_.prepare(
               "INSERT INTO flags (kind, about, subject, reason, set_by, set_at, until) "
               "VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(std::string_view(policy::to_string(f.kind)))
            .bind(std::string_view(policy::to_string(f.on)))
            .bind(f.subject)
            .bind(f.reason)
            .bind(f.set_by)
            .bind(to_column(f.set_at))
            .bind(to_column(f.until))
            .run();
        return policy::flag_id{to_number(db_.last_id())};
    });
}

bool sqlite_store::lift_flag(policy::flag_id id, const std::string& by, const std::string& reason,
                             policy::instant at) {
    return in_transaction([&] {
        db_.prepare(
               "UPDATE flags SET lifted_at = ?, lifted_by = ?, lifted_reason = ? "
               "WHERE id = ? AND lifted_at = 0")
            .bind(to_column(at))
            .bind(by)
            .bind(reason)
            .bind(to_column(id.value))
            .run();
        return db_.changes() == 1;
    });
}

std::vector<policy::flag> sqlite_store::list_flags(std::optional<policy::instant> live_at,
                                                   std::size_t limit) {
    static const std::string all = std::string(flag_select) + "ORDER BY id DESC LIMIT ?";
    static const std::string some =
        std::string(flag_select) + "WHERE until > ? AND lifted_at = 0 ORDER BY id DESC LIMIT ?";
    return guarded([&] {
        std::vector<policy::flag> result;
        auto s = db_.prepare(live_at ? some.c_str() : all.c_str());
        if (live_at) s.bind(to_column(*live_at));
        s.bind(static_cast<std::int64_t>(std::min(limit, opt_outs_listed_max)));
        while (s.step())
            result.push_back(read_flag(s));
        return result;
    });
}

}  // namespace sallyport::proxy::store
