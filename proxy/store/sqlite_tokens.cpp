#include <sstream>

#include "proxy/store/sqlite.h"

/// API tokens.
namespace sallyport::proxy::store {
namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : " ") + w;
    return out;
}

std::vector<std::string> split(const std::string& text) {
    std::istringstream in(text);
    std::vector<std::string> out;
    for (std::string word; in >> word;)
        out.push_back(word);
    return out;
}

}  // namespace

std::uint64_t sqlite_store::add_token(const api_token& t) {
    return in_transaction([&] {
        db_.prepare(
               "INSERT INTO api_tokens (owner, made_by, name, scopes, secret_sha256, made_at, "
               "expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)")
            .bind(t.owner)
            .bind(t.made_by)
            .bind(t.name)
            .bind(joined(t.scopes))
            .bind(t.secret_sha256)
            .bind(to_column(t.made_at))
            .bind(to_column(t.expires_at))
            .run();
        return to_number(db_.last_id());
    });
}

bool sqlite_store::revoke_token(std::uint64_t id, const std::string& by, policy::instant at) {
    return in_transaction([&] {
        db_.prepare(
               "UPDATE api_tokens SET revoked_at = ?, revoked_by = ? "
               "WHERE id = ? AND revoked_at = 0")
            .bind(to_column(at))
            .bind(by)
            .bind(to_column(id))
            .run();
        return db_.changes() == 1;
    });
}

void sqlite_store::note_token_uses(
    const std::vector<std::pair<std::uint64_t, policy::instant>>& uses) {
    in_transaction([&] {
        for (const auto& [id, at] : uses)
            db_.prepare(
                   "UPDATE api_tokens SET used_at = ? "
                   "WHERE id = ? AND revoked_at = 0 AND used_at < ?")
                .bind(to_column(at))
                .bind(to_column(id))
                .bind(to_column(at))
                .run();
    });
}

std::vector<api_token> sqlite_store::list_tokens(policy::instant now) {
    return guarded([&] {
        auto s = db_.prepare(
            "SELECT id, owner, made_by, name, scopes, secret_sha256, made_at, expires_at, "
            "used_at, revoked_at, revoked_by FROM api_tokens WHERE expires_at > ? ORDER BY id");
        s.bind(to_column(now));
        std::vector<api_token> out;
        while (s.step())
            out.push_back({.id = to_number(s.integer(0)),
                           .owner = s.text(1),
                           .made_by = s.text(2),
                           .name = s.text(3),
                           .scopes = split(s.text(4)),
                           .secret_sha256 = s.text(5),
                           .made_at = to_instant(s.integer(6)),
                           .expires_at = to_instant(s.integer(7)),
                           .used_at = to_instant(s.integer(8)),
                           .revoked_at = to_instant(s.integer(9)),
                           .revoked_by = s.text(10)});
        return out;
    });
}

}  // namespace sallyport::proxy::store
