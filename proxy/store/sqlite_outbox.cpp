#include <array>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "proxy/store/sqlite.h"

/// Notices and their deliveries.
namespace sallyport::proxy::store {

namespace {

constexpr std::size_t error_bytes_max = 500;
constexpr std::int64_t trimmed_max = 1000;
constexpr std::size_t closed_max = 10'000;

using text_field = std::pair<const char*, std::string policy::notice::*>;
constexpr std::array texts{text_field{"person", &policy::notice::person},
                           text_field{"by", &policy::notice::by},
                           text_field{"rule", &policy::notice::rule},
                           text_field{"target", &policy::notice::target},
                           text_field{"reason", &policy::notice::reason},
                           text_field{"ticket", &policy::notice::ticket},
                           text_field{"note", &policy::notice::note},
                           text_field{"kind", &policy::notice::kind},
                           text_field{"what", &policy::notice::what},
                           text_field{"asked", &policy::notice::asked},
                           text_field{"application", &policy::notice::application},
                           text_field{"address", &policy::notice::address},
                           text_field{"statement", &policy::notice::statement}};

std::string details_of(const policy::notice& n) {
    nlohmann::json j{{"event", policy::to_string(n.event)},
                     {"about", policy::to_string(n.about)},
                     {"id", n.id},
                     {"at", to_column(n.at)},
                     {"until", to_column(n.until)},
                     {"uses", n.uses},
                     {"statement_bytes", n.statement_bytes}};
    for (const auto& [name, field] : texts)
        if (!(n.*field).empty()) j[name] = n.*field;
    // A client's bytes need not be UTF-8.
    return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

policy::notice notice_of(const std::string& details) {
    policy::notice n;
    const auto j = nlohmann::json::parse(details, nullptr, false);
    const bool known = j.is_object() && policy::parse_notice_event(j.value("event", ""), n.event) &&
                       policy::parse_notice_about(j.value("about", ""), n.about);
    if (!known)
        throw store_error(
            "state: a notice cannot be read; the file was changed by another program");
    n.id = j.value("id", std::uint64_t{0});
    n.at = to_instant(j.value("at", std::int64_t{0}));
    n.until = to_instant(j.value("until", std::int64_t{0}));
    n.uses = j.value("uses", std::uint64_t{0});
    n.statement_bytes = j.value("statement_bytes", std::uint64_t{0});
    for (const auto& [name, field] : texts)
        n.*field = j.value(name, "");
    return n;
}

constexpr const char* delivery_select =
    "SELECT d.id, d.key, d.channel, n.details, d.state, d.attempts, d.next_at, d.ended_at, d.error "
    "FROM deliveries d JOIN notices n ON n.id = d.notice_id ";

delivery read_delivery(const statement& row) {
    delivery d;
    d.id = to_number(row.integer(0));
    d.key = row.text(1);
    d.channel = row.text(2);
    d.what = notice_of(row.text(3));
    const auto state = row.text(4);
    d.state = state == "delivered"  ? delivery_state::delivered
              : state == "given_up" ? delivery_state::given_up
                                    : delivery_state::waiting;
    d.attempts = to_number(row.integer(5));
    d.next_at = to_instant(row.integer(6));
    d.ended_at = to_instant(row.integer(7));
    d.error = row.text(8);
    return d;
}

}  // namespace

const char* to_string(delivery_state s) noexcept {
    switch (s) {
        case delivery_state::waiting:
            return "waiting";
        case delivery_state::delivered:
            return "delivered";
        case delivery_state::given_up:
            return "given_up";
    }
    return "unknown";
}

void sqlite_store::atomically(const std::function<void()>& f) {
    in_transaction([&] { f(); });
}

void sqlite_store::add_notice(const policy::notice& n, const std::vector<std::string>& channels) {
    if (channels.empty()) return;
    auto bounded = n;
    policy::bound(bounded);
    const auto subject = bounded.subject();
    in_transaction([&] {
        db_.prepare("INSERT INTO notices (event, subject, at, details) VALUES (?, ?, ?, ?)")
            .bind(std::string_view(policy::to_string(bounded.event)))
            .bind(subject)
            .bind(to_column(bounded.at))
            .bind(details_of(bounded))
            .run();
        const auto id = db_.last_id();
        for (const auto& channel : channels)
            db_.prepare(
                   "INSERT INTO deliveries (notice_id, key, channel, subject, next_at) VALUES "
                   "(?1, lower(hex(randomblob(16))), ?2, ?3, CASE WHEN EXISTS (SELECT 1 FROM "
                   "deliveries WHERE channel = ?2 AND subject = ?3 AND state = 'waiting') "
                   "THEN 9223372036854775807 ELSE ?4 END)")
                .bind(id)
                .bind(channel)
                .bind(subject)
                .bind(to_column(bounded.at))
                .run();
    });
}

std::vector<delivery> sqlite_store::due(const std::string& channel, policy::instant now,
                                        std::size_t limit) {
    static const std::string sql = std::string(delivery_select) +
                                   "WHERE d.channel = ? AND d.state = 'waiting' AND d.next_at <= ? "
                                   "ORDER BY d.next_at, d.id LIMIT ?";
    return guarded([&] {
        std::vector<delivery> all;
        auto s = db_.prepare(sql.c_str());
        s.bind(channel).bind(to_column(now)).bind(static_cast<std::int64_t>(limit));
        while (s.step())
            all.push_back(read_delivery(s));
        return all;
    });
}

policy::instant sqlite_store::next_due(const std::string& channel) {
    return guarded([&] {
        auto s = db_.prepare(
            "SELECT next_at FROM deliveries WHERE channel = ? AND state = 'waiting' "
            "ORDER BY next_at LIMIT 1");
        s.bind(channel);
        return s.step() ? to_instant(s.integer(0)) : policy::instant{};
    });
}

void sqlite_store::settle_one(const delivery_outcome& o) {
    const auto error = std::string_view(o.error).substr(0, error_bytes_max);
    if (o.to == delivery_state::waiting) {
        db_.prepare(
               "UPDATE deliveries SET attempts = attempts + 1, next_at = ?, error = ? "
               "WHERE id = ? AND state = 'waiting'")
            .bind(to_column(o.next_at))
            .bind(error)
            .bind(to_column(o.id))
            .run();
        return;
    }
    db_.prepare(
           "UPDATE deliveries SET state = ?, attempts = attempts + 1, ended_at = ?, error = ? "
           "WHERE id = ? AND state = 'waiting'")
        .bind(std::string_view(to_string(o.to)))
        .bind(to_column(o.at))
        .bind(error)
        .bind(to_column(o.id))
        .run();
    // The next one of the subject has its turn.
    db_.prepare(
           "UPDATE deliveries SET next_at = ?1 WHERE id = (SELECT min(w.id) FROM deliveries w "
           "JOIN deliveries d ON d.id = ?2 WHERE w.channel = d.channel AND w.subject = d.subject "
           "AND w.state = 'waiting') AND next_at > ?1")
        .bind(to_column(o.at))
        .bind(to_column(o.id))
        .run();
}

void sqlite_store::settle(const std::vector<delivery_outcome>& outcomes) {
    if (outcomes.empty()) return;
    in_transaction([&] {
        for (const auto& o : outcomes)
            settle_one(o);
    });
}

std::vector<delivery> sqlite_store::close_channels(const std::vector<std::string>& but,
                                                   const std::string& why, policy::instant at) {
    static const std::string sql =
        std::string(delivery_select) +
        "WHERE d.state = 'waiting' AND d.channel NOT IN (SELECT value FROM json_each(?)) "
        "ORDER BY d.id LIMIT ?";
    const auto known = nlohmann::json(but).dump();
    return in_transaction([&] {
        std::vector<delivery> all;
        {
            auto s = db_.prepare(sql.c_str());
            s.bind(known).bind(static_cast<std::int64_t>(closed_max));
            while (s.step())
                all.push_back(read_delivery(s));
        }
        for (auto& d : all) {
            settle_one({d.id, d.channel, delivery_state::given_up, at, {}, why});
            d.state = delivery_state::given_up;
            d.ended_at = at;
            d.error = why;
        }
        return all;
    });
}

std::vector<channel_backlog> sqlite_store::backlog() {
    return guarded([&] {
        std::vector<channel_backlog> all;
        auto s = db_.prepare(
            "SELECT d.channel, sum(d.state = 'waiting'), sum(d.state = 'given_up'), "
            "coalesce(min(CASE WHEN d.state = 'waiting' THEN n.at END), 0) FROM deliveries d "
            "JOIN notices n ON n.id = d.notice_id WHERE d.state <> 'delivered' GROUP BY d.channel");
        while (s.step())
            all.push_back({s.text(0), to_number(s.integer(1)), to_number(s.integer(2)),
                           to_instant(s.integer(3))});
        return all;
    });
}

std::vector<delivery> sqlite_store::troubled(std::size_t limit) {
    static const std::string sql =
        std::string(delivery_select) +
        "WHERE d.state <> 'delivered' AND (d.state = 'given_up' OR d.attempts > 0) "
        "ORDER BY d.id DESC LIMIT ?";
    return guarded([&] {
        std::vector<delivery> all;
        auto s = db_.prepare(sql.c_str());
        s.bind(static_cast<std::int64_t>(limit));
        while (s.step())
            all.push_back(read_delivery(s));
        return all;
    });
}

std::size_t sqlite_store::trim_outbox(policy::instant before) {
    db_.prepare(
           "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE "
           "state <> 'waiting' AND ended_at < ? LIMIT ?)")
        .bind(to_column(before))
        .bind(trimmed_max)
        .run();
    auto rows = static_cast<std::size_t>(db_.changes());
    db_.prepare(
           "DELETE FROM notices WHERE id IN (SELECT id FROM notices n WHERE at < ? AND NOT EXISTS "
           "(SELECT 1 FROM deliveries WHERE notice_id = n.id) ORDER BY id LIMIT ?)")
        .bind(to_column(before))
        .bind(trimmed_max)
        .run();
    rows += static_cast<std::size_t>(db_.changes());
    db_.prepare(
           "DELETE FROM withdrawn_votes WHERE rowid IN (SELECT rowid FROM withdrawn_votes WHERE "
           "about = 'hold' AND subject_id NOT IN (SELECT id FROM holds) LIMIT ?)")
        .bind(trimmed_max)
        .run();
    return rows + static_cast<std::size_t>(db_.changes());
}

}  // namespace sallyport::proxy::store
