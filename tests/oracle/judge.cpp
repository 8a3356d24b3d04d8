#include "tests/oracle/judge.h"

#include <algorithm>
#include <regex>

#include "policy/sql/analyse.h"

namespace sallyport::tests::oracle {

using policy::access;
using policy::facts;

namespace {

bool is_table_like(char kind) {
    return std::string_view{"rpvmf"}.find(kind) != std::string_view::npos;
}

// Roads on which only running tells whether they are taken.
bool depends_on_running(const std::string& place) {
    static const std::vector<std::string> words{
        "function ", "operator ", "type ", "trigger", "code", "defined by", "materialized view "};
    return std::ranges::any_of(words,
                               [&](const auto& w) { return place.find(w) != std::string::npos; });
}

}  // namespace

bool opaque(const facts& f) {
    return std::ranges::any_of(f.statements,
                               [](const auto& s) { return s.has(policy::kind::opaque); });
}

std::string describe(const facts& f) {
    std::string out;
    for (const auto& s : f.statements) {
        out += "  facts: " + s.command + "\n";
        for (const auto& u : s.relations) {
            out += std::string{"    "} + (u.how == access::write ? "write " : "read ") + u.schema +
                   "." + u.name + " (";
            for (const auto& c : u.columns)
                out += c + " ";
            out += ") " + u.place + "\n";
        }
        for (const auto& why : s.opaque_reasons)
            out += "    opaque: " + why + "\n";
    }
    return out;
}

judge::judge(policy::catalog::snapshot_ptr snapshot) : snapshot_(std::move(snapshot)) {
    const auto& rows = snapshot_->source();
    for (std::size_t i = 0; i < rows.relations.size(); ++i) {
        by_oid_.emplace(rows.relations[i].id, i);
        by_name_.emplace(name_of(i), rows.relations[i].id);
    }
    for (const auto& k : rows.foreign_keys) {
        keys_[k.referenced].push_back(k.referencing);
        keys_[k.referencing].push_back(k.referenced);
    }
    for (const auto& h : rows.inheritance) {
        family_[h.child].push_back(h.parent);
        family_[h.parent].push_back(h.child);
    }
}

std::string judge::name_of(std::size_t relation) const {
    const auto& r = snapshot_->source().relations[relation];
    return std::string{snapshot_->schema_of(r)} + "." + r.name;
}

policy::catalog::resolution judge::resolve(const std::string& sql,
                                           const policy::catalog::session_names& names) const {
    facts whole = *policy::sql::analyse(sql, {});
    // As the gate does for EXECUTE and FETCH: what was prepared or declared counts.
    for (std::size_t i = 0, n = whole.statements.size(); i < n; ++i)
        for (const auto& u : std::vector{whole.statements[i].names})
            if (u.inner)
                whole.statements.insert(whole.statements.end(), u.inner->statements.begin(),
                                        u.inner->statements.end());
    return policy::catalog::resolve(whole, *snapshot_, names);
}

// What a key looks up on its other side is the operator's choice: a rule names that table itself.
bool judge::has_key_with(std::uint32_t oid, const facts& f) const {
    const auto others = keys_.find(oid);
    if (others == keys_.end()) return false;
    return std::ranges::any_of(f.statements, [&](const auto& s) {
        return std::ranges::any_of(s.relations, [&](const auto& u) {
            const auto at = by_name_.find(u.schema + "." + u.name);
            return u.how == access::write && at != by_name_.end() &&
                   std::ranges::find(others->second, at->second) != others->second.end();
        });
    });
}

// A partition that comes or goes changes what its parent's default partition must not hold.
bool judge::is_sibling(std::uint32_t oid, const facts& f) const {
    const auto parents = family_.find(oid);
    if (parents == family_.end()) return false;
    return std::ranges::any_of(f.statements, [&](const auto& s) {
        return std::ranges::any_of(s.relations, [&](const auto& u) {
            const auto at = by_name_.find(u.schema + "." + u.name);
            return at != by_name_.end() &&
                   std::ranges::find(parents->second, at->second) != parents->second.end();
        });
    });
}

std::optional<std::string> judge::missed(const facts& f, const std::vector<touch>& touched) const {
    if (opaque(f)) return std::nullopt;
    for (const auto& t : touched) {
        const auto at = by_oid_.find(t.relation);
        if (at == by_oid_.end()) continue;  // made by the statement itself, or temporary
        const auto& row = snapshot_->source().relations[at->second];
        if (!is_table_like(row.kind)) continue;
        const auto name = name_of(at->second);
        bool named = false;
        bool written = false;
        for (const auto& s : f.statements)
            for (const auto& u : s.relations)
                if ((u.schema == snapshot_->schema_of(row) || u.schema == "*") &&
                    (u.name == row.name || u.name == "*")) {
                    named = true;
                    written = written || u.how == access::write;
                }
        const bool defines = std::ranges::any_of(
            f.statements, [](const auto& s) { return s.has(policy::kind::ddl); });
        // ANALYZE takes a strong lock to read.
        const bool maintains = std::ranges::any_of(
            f.statements, [](const auto& s) { return s.has(policy::kind::maintenance); });
        if ((!named || (t.written && !written)) && has_key_with(t.relation, f) &&
            (!t.written || defines))
            continue;
        if ((!named || !written) && defines && is_sibling(t.relation, f)) continue;
        if (named && maintains) continue;
        if (!named) return "the server touched " + name + ", which is not in the facts";
        if (t.written && !written)
            return "the server wrote " + name + ", the facts have it as read";
    }
    return std::nullopt;
}

// Whether a policy counts depends on who asks: owners are exempt. A view whose triggers stand in
// the place of writing counts as written through. What a key's action reaches depends on rows.
bool judge::may_be_needless(const std::string& place) const {
    static const std::regex table(R"((?:table|view) ([^ ]+))");
    std::uint32_t before = 0;
    for (std::sregex_iterator at(place.begin(), place.end(), table), end; at != end; ++at) {
        const auto oid = by_name_.find((*at)[1].str());
        if (oid == by_name_.end()) continue;
        const auto& rows = snapshot_->source();
        const auto& row = rows.relations[by_oid_.at(oid->second)];
        if (row.row_security) return true;
        if (row.kind == 'v' &&
            std::ranges::any_of(rows.triggers, [&](const auto& t) { return t.relation == row.id; }))
            return true;
        const auto keys = keys_.find(row.id);
        if (keys != keys_.end() && std::ranges::find(keys->second, before) != keys->second.end())
            return true;
        before = row.id;
    }
    return false;
}

std::optional<std::string> judge::needless(const facts& f, const std::vector<touch>& touched,
                                           const policy::catalog::own_objects* own) const {
    for (const auto& s : f.statements) {
        if (s.has(policy::kind::ddl) || s.command == "analyze") return std::nullopt;
        if (!s.settings.empty()) return std::nullopt;  // what it sets holds for what follows
        // What the session made may hide it, or be gone again.
        for (const auto& u : s.relations)
            if (own != nullptr && own->find(u.name) != nullptr) return std::nullopt;
    }
    // Everything that partitions, parents and keys connect with something touched.
    std::unordered_set<std::uint32_t> near;
    std::vector<std::uint32_t> todo;
    for (const auto& t : touched)
        todo.push_back(t.relation);
    while (!todo.empty()) {
        const auto oid = todo.back();
        todo.pop_back();
        if (!near.insert(oid).second) continue;
        for (const auto* map : {&family_, &keys_})
            if (const auto at = map->find(oid); at != map->end())
                todo.insert(todo.end(), at->second.begin(), at->second.end());
    }
    for (const auto& s : f.statements)
        for (const auto& u : s.relations) {
            if (depends_on_running(u.place)) continue;
            const auto at = by_name_.find(u.schema + "." + u.name);
            if (at == by_name_.end() || near.contains(at->second)) continue;
            // The name that something near had before another took it.
            const auto once = snapshot_->relations_once_named(u.schema, u.name);
            if (std::ranges::any_of(once, [&](auto i) {
                    return near.contains(snapshot_->source().relations[i].id);
                }))
                continue;
            if (may_be_needless(u.place)) continue;
            if (s.command == "copy" && !snapshot_->source().rules.empty()) continue;
            return "the facts have " + u.schema + "." + u.name + " (" + u.place +
                   "), which the server did not touch";
        }
    return std::nullopt;
}

std::optional<std::string> judge::missed_column(const facts& f, const answer& said) const {
    if (said.sqlstate != "42501" || opaque(f)) return std::nullopt;
    static const std::regex refused(R"(permission denied for (?:\w+ )?(?:table|view) (\w+))");
    std::smatch m;
    if (!std::regex_search(said.message, m, refused)) return std::nullopt;
    const auto name = m[1].str();
    const auto is_view = [&](const policy::relation_use& u) {
        const auto at = by_name_.find(u.schema + "." + u.name);
        return u.schema == "pg_temp" ||
               (at != by_name_.end() &&
                snapshot_->source().relations[by_oid_.at(at->second)].kind == 'v');
    };
    for (const auto& s : f.statements)
        for (const auto& u : s.relations) {
            // A view's own columns are all asked for, also those that nobody selects from it.
            if (is_view(u)) return std::nullopt;
            if (u.name == name &&
                (u.columns.empty() || std::ranges::find(u.columns, "secret") != u.columns.end()))
                return std::nullopt;
        }
    return "the server refused somebody without rights on the column secret of " + name +
           ", which the facts do not name";
}

}  // namespace sallyport::tests::oracle
