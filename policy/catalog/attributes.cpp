#include "policy/catalog/attributes.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "policy/sql/functions_table.h"

namespace sallyport::policy::catalog {

namespace {

// Columns that every table has.
constexpr std::array system_columns{std::string_view{"cmax"}, std::string_view{"cmin"},
                                    std::string_view{"ctid"}, std::string_view{"tableoid"},
                                    std::string_view{"xmax"}, std::string_view{"xmin"}};

bool may_be_same(std::string_view a, std::string_view b) noexcept {
    return a.empty() || b.empty() || a == b;
}

}  // namespace

attribute_calls::attribute_calls(const statement_facts& s, const snapshot& map,
                                 const session_names* names)
    : map_(map), names_(names) {
    for (const auto& a : s.attributes)
        if (!is_column(a)) calls_.push_back(&a);
}

/// A temporary table hides what the snapshot knows by that name, and may have other columns.
bool attribute_calls::may_be_temporary(const attribute_use& a) const {
    if (names_ == nullptr) return false;
    if (names_->own != nullptr && names_->own->find(a.relation) != nullptr) return true;
    if (!a.schema.empty()) return false;
    return names_->temporary == nullptr ||
           std::ranges::find(*names_->temporary, a.relation) != names_->temporary->end();
}

bool attribute_calls::is_column(const attribute_use& a) const {
    if (a.relation.empty() || may_be_temporary(a)) return false;
    return std::ranges::find(system_columns, a.name) != system_columns.end() ||
           map_.has_column(a.schema, a.relation, a.name);
}

relation_use attribute_calls::widened(relation_use u) const {
    if (u.how == access::read && !u.columns.empty() &&
        std::ranges::any_of(calls_, [&](const auto* a) { return shows_row_of(*a, u); }))
        u.columns.clear();
    return u;
}

bool attribute_calls::shows_row_of(const attribute_use& a, const relation_use& u) const {
    if (!a.relation.empty() && (a.relation != u.name || !may_be_same(a.schema, u.schema)))
        return false;
    if (sql::shows_whole_row(a.name) || map_.has_function_of_one(a.name)) return true;
    // Of a known table without such a column only a function can be meant.
    return !a.relation.empty() && !map_.relations(a.relation).empty() && !may_be_temporary(a);
}

bool drops_nothing(const statement_facts& s, const snapshot& map, const own_objects* own) {
    const auto is_free = [&](const function_use& u) {
        return map.functions(u.name).empty() && map.types(u.name).empty() &&
               (own == nullptr || own->find(u.name) == nullptr);
    };
    const bool by_name = !s.functions.empty() || !s.types.empty();
    return by_name && s.operators.empty() && std::ranges::all_of(s.functions, is_free) &&
           std::ranges::all_of(s.types, is_free);
}

bool names_column(const statement_facts& s, const snapshot& map, std::string_view column) {
    return std::ranges::any_of(s.relations, [&](const relation_use& u) {
        return std::ranges::any_of(map.relations(u.name), [&](index i) {
            return std::ranges::any_of(map.source().relations[i].columns,
                                       [&](const column_row& c) { return c.name == column; });
        });
    });
}

}  // namespace sallyport::policy::catalog
