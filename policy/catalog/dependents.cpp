#include "policy/catalog/dependents.h"

#include <algorithm>
#include <array>
#include <unordered_set>

#include "policy/catalog/graph.h"
#include "policy/sql/functions_table.h"

namespace sallyport::policy::catalog {

namespace {

/// Views, and partitions and children, of what is dropped; that itself too.
std::unordered_set<oid> gone_with(const rows& r, const std::vector<index>& dropped) {
    std::unordered_set<oid> gone;
    for (const index i : dropped)
        gone.insert(r.relations[i].id);
    for (bool more = !gone.empty(); more;) {
        more = false;
        for (const auto& h : r.inheritance)
            if (gone.contains(h.parent)) more = gone.insert(h.child).second || more;
        for (const auto& c : r.view_columns)
            if (gone.contains(c.relation)) more = gone.insert(c.view).second || more;
    }
    return gone;
}

}  // namespace

void dependents_of_drop(const snapshot& s, const std::vector<index>& dropped,
                        const std::function<void(index other)>& other,
                        const std::function<void(index function)>& function) {
    const auto& r = s.source();
    const auto gone = gone_with(r, dropped);
    const auto looks_into_it = [&](const reached& x) {
        return gone.contains(r.relations[x.relation].id);
    };
    std::unordered_set<oid> row_types;
    for (const auto& row : r.relations)
        if (gone.contains(row.id)) row_types.insert(row.row_type);
    for (index i = 0; i < r.functions.size(); ++i) {
        const auto& f = r.functions[i];
        const bool typed =
            row_types.contains(f.return_type) ||
            std::ranges::any_of(f.argument_types, [&](oid t) { return row_types.contains(t); });
        if (typed || (f.atomic && std::ranges::any_of(s.of_function(i).relations, looks_into_it)))
            function(i);
    }
    const bool sequence =
        std::ranges::any_of(dropped, [&](index i) { return r.relations[i].kind == 'S'; });
    for (index i = 0; i < r.relations.size(); ++i) {
        const auto& row = r.relations[i];
        const bool looks =
            (row.row_security || sequence) &&
            std::ranges::any_of(s.of_relation(i, verb::define).relations, looks_into_it);
        if ((gone.contains(row.id) || looks) && std::ranges::find(dropped, i) == dropped.end())
            other(i);
    }
}

std::vector<index> keys_on(const snapshot& s, index relation,
                           const std::vector<std::string>& taken_apart) {
    const auto& r = s.source();
    std::vector<index> out;
    for (const auto& k : r.foreign_keys) {
        if (k.referenced != r.relations[relation].id || k.referencing == k.referenced) continue;
        const bool hit = std::ranges::any_of(taken_apart, [&](const std::string& c) {
            return c.empty() ||
                   std::ranges::find(k.referenced_columns, c) != k.referenced_columns.end();
        });
        if (!hit) continue;
        for (index i = 0; i < r.relations.size(); ++i)
            if (r.relations[i].id == k.referencing) out.push_back(i);
    }
    return out;
}

bool makes(const statement_facts& s, const relation_use& u) {
    if (u.how != access::write || !s.has(kind::ddl)) return false;
    static constexpr std::array creating{
        std::string_view{"create table"}, std::string_view{"select into"},
        std::string_view{"create view"}, std::string_view{"create"}};
    return std::ranges::any_of(creating, [&](std::string_view c) {
        return s.command.starts_with(c) || std::string_view{u.place}.starts_with(c);
    });
}

bool hides_arguments(const statement_facts& s, const std::string& function) {
    static constexpr std::array makers{
        std::string_view{"create aggregate"}, std::string_view{"create cast"},
        std::string_view{"create operator"}, std::string_view{"create type"}};
    if (std::ranges::find(makers, s.command) == makers.end()) return false;
    const auto* const e = sql::find_function(function);
    return e != nullptr && e->role != sql::function_role::none &&
           e->role != sql::function_role::harmless_name;
}

bool may_be(const statement_facts& own, const relation_use& u) {
    if (u.schema.empty() || own.command.starts_with("alter ")) return true;
    return std::ranges::any_of(own.relations, [&](const relation_use& made) {
        return made.name == u.name && made.schema == u.schema;
    });
}

std::vector<verb> verbs_of_own(const statement_facts& own, const relation_use& made,
                               const statement_facts& s, const relation_use& u) {
    auto out = verbs_of(own, made);
    if (made.how != access::write || !own.command.starts_with("alter ")) return out;
    for (const verb v : verbs_of(s, u))
        if (std::ranges::find(out, v) == out.end()) out.push_back(v);
    return out;
}

}  // namespace sallyport::policy::catalog
