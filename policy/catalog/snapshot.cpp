#include "policy/catalog/snapshot.h"

#include <algorithm>
#include <utility>

#include "policy/catalog/graph.h"
#include "policy/sql/builtin_functions.h"

namespace sallyport::policy::catalog {

namespace {

constexpr std::size_t former_names_max = 8;  // of one relation or column

template <class Map>
std::span<const index> found(const Map& map, std::string_view name) noexcept {
    const auto at = map.find(name);
    return at == map.end() ? std::span<const index>{} : std::span<const index>{at->second};
}

std::string column_key(oid relation, std::string_view column) {
    return std::to_string(relation) + '.' + std::string{column};
}

/// The names that something had before `now`. The oldest stay: they are what the policy was
/// written about.
template <class Past, class Name>
auto former(const Past& was, const Name& now) {
    auto names = was.former;
    if (was.last != now && std::ranges::find(names, was.last) == names.end())
        names.push_back(was.last);
    std::erase(names, now);
    if (names.size() > former_names_max) names.resize(former_names_max);
    return names;
}

}  // namespace

snapshot::snapshot(rows r, const past_names& before) : rows_(std::move(r)) {
    index_rows();
    if (before.database == rows_.database && before.identity == rows_.identity) remember(before);
    graph{*this}.close();
}

void snapshot::index_rows() {
    const auto size = [](const auto& v) { return static_cast<index>(v.size()); };
    for (const auto& s : rows_.schemas)
        schema_names_.emplace(s.id, s.name);
    for (index i = 0; i < size(rows_.relations); ++i) {
        const auto& r = rows_.relations[i];
        relations_by_name_[r.name].push_back(i);
        relations_by_oid_.emplace(r.id, i);
    }
    for (index i = 0; i < size(rows_.functions); ++i) {
        functions_by_name_[rows_.functions[i].name].push_back(i);
        functions_by_oid_.emplace(rows_.functions[i].id, i);
    }
    for (index i = 0; i < size(rows_.types); ++i) {
        types_by_name_[rows_.types[i].name].push_back(i);
        types_by_oid_.emplace(rows_.types[i].id, i);
        if (sql::is_builtin_type_name(rows_.types[i].name)) namesakes_.push_back(i);
    }
    for (index i = 0; i < size(rows_.operators); ++i)
        operators_by_name_[rows_.operators[i].name].push_back(i);
    std::ranges::sort(rows_.builtin_functions);
    for (const auto& t : rows_.triggers)
        if (t.relation == 0)
            if (const auto at = functions_by_oid_.find(t.function); at != functions_by_oid_.end())
                event_triggers_.push_back(at->second);
    for (index i = 0; i < size(rows_.builtins); ++i)
        builtins_by_oid_.emplace(rows_.builtins[i].id, i);
    for (const auto& r : rows_.relations)
        if (r.row_type != 0) row_types_.insert(r.row_type);
    for (const auto& t : rows_.types)
        if (t.kind == 'c') row_types_.insert(t.id);
}

// A table that was renamed or moved is the table that it was, as long as its oid lives, and a
// column as long as its number does.
void snapshot::remember(const past_names& before) {
    for (const auto& was : before.relations) {
        const auto at = relations_by_oid_.find(was.id);
        if (at == relations_by_oid_.end()) continue;
        const auto& row = rows_.relations[at->second];
        const relation_name now{std::string{schema_of(row)}, row.name};
        if (auto names = former(was, now); !names.empty())
            former_names_.emplace(at->second, std::move(names));
        auto column = row.columns.begin();
        for (const auto& c : was.columns) {
            // Both are in the order of their numbers.
            while (column != row.columns.end() && column->number < c.number)
                ++column;
            if (column == row.columns.end()) break;
            if (column->number != c.number) continue;
            if (auto names = former(c, column->name); !names.empty())
                former_columns_.emplace(column_key(row.id, column->name), std::move(names));
        }
    }
}

past_names snapshot::past() const {
    past_names out;
    out.database = rows_.database;
    out.identity = rows_.identity;
    out.relations.reserve(rows_.relations.size());
    for (index i = 0; i < static_cast<index>(rows_.relations.size()); ++i) {
        const auto& row = rows_.relations[i];
        const auto names = former_names(i);
        auto& r = out.relations.emplace_back();
        r.id = row.id;
        r.last = {std::string{schema_of(row)}, row.name};
        r.former = {names.begin(), names.end()};
        for (const auto& c : row.columns) {
            if (c.number == 0) continue;
            const auto old = former_names(i, c.name);
            r.columns.push_back({c.number, c.name, {old.begin(), old.end()}});
        }
    }
    return out;
}

std::string_view snapshot::schema_name(oid schema) const noexcept {
    const auto at = schema_names_.find(schema);
    return at == schema_names_.end() ? std::string_view{"pg_catalog"} : at->second;
}
std::string_view snapshot::schema_of(const relation_row& r) const noexcept {
    return schema_name(r.schema);
}
std::string_view snapshot::schema_of(const function_row& f) const noexcept {
    return schema_name(f.schema);
}
std::string_view snapshot::schema_of(const type_row& t) const noexcept {
    return schema_name(t.schema);
}
std::string_view snapshot::schema_of(const operator_row& o) const noexcept {
    return schema_name(o.schema);
}

std::span<const index> snapshot::relations(std::string_view name) const noexcept {
    return found(relations_by_name_, name);
}
std::span<const index> snapshot::functions(std::string_view name) const noexcept {
    return found(functions_by_name_, name);
}
std::span<const index> snapshot::types(std::string_view name) const noexcept {
    return found(types_by_name_, name);
}
std::span<const index> snapshot::operators(std::string_view name) const noexcept {
    return found(operators_by_name_, name);
}
std::span<const index> snapshot::type_of(oid id) const noexcept {
    const auto at = types_by_oid_.find(id);
    return at == types_by_oid_.end() ? std::span<const index>{} : std::span{&at->second, 1};
}
bool snapshot::has_schema(std::string_view name) const noexcept {
    return std::ranges::any_of(rows_.schemas, [&](const auto& s) { return s.name == name; });
}
bool snapshot::is_builtin_function(std::string_view name) const noexcept {
    return std::ranges::binary_search(rows_.builtin_functions, name);
}

const reach& snapshot::of_relation(index i, verb v) const noexcept {
    return relation_reach_[i * verb_count + static_cast<std::size_t>(v)];
}
std::span<const reach> snapshot::of_outputs(index i) const noexcept {
    const auto at = output_reach_.find(i);
    return at == output_reach_.end() ? std::span<const reach>{} : std::span{at->second};
}
const reach& snapshot::of_function(index i) const noexcept {
    return function_reach_[i];
}
const reach& snapshot::of_type(index i) const noexcept {
    return type_reach_[i];
}
const reach& snapshot::of_operator(index i) const noexcept {
    return operator_reach_[i];
}

bool snapshot::has_function_of_one(std::string_view name) const noexcept {
    return std::ranges::any_of(
        functions(name), [this](index f) { return !rows_.functions[f].argument_types.empty(); });
}

bool snapshot::has_column(std::string_view schema, std::string_view relation,
                          std::string_view column) const noexcept {
    bool found = false;
    for (const index i : relations(relation)) {
        const auto& r = rows_.relations[i];
        if (!schema.empty() && schema_of(r) != schema) continue;
        if (std::ranges::find(r.columns, column, &column_row::name) == r.columns.end())
            return false;
        found = true;
    }
    return found;
}

std::span<const std::string> snapshot::made_of(index relation,
                                               std::string_view column) const noexcept {
    const auto at = made_of_.find(column_key(rows_.relations[relation].id, column));
    return at == made_of_.end() ? std::span<const std::string>{}
                                : std::span<const std::string>{at->second};
}

std::span<const std::string> snapshot::former_names(index relation, std::string_view column) const {
    if (former_columns_.empty()) return {};
    const auto at = former_columns_.find(column_key(rows_.relations[relation].id, column));
    return at == former_columns_.end() ? std::span<const std::string>{}
                                       : std::span<const std::string>{at->second};
}
void snapshot::add_former_names(index relation, std::vector<std::string>& columns) const {
    for (std::size_t k = 0, n = columns.size(); k < n; ++k)
        for (const auto& old : former_names(relation, columns[k]))
            columns.push_back(old);
}
std::span<const relation_name> snapshot::former_names(index relation) const noexcept {
    const auto at = former_names_.find(relation);
    return at == former_names_.end() ? std::span<const relation_name>{}
                                     : std::span<const relation_name>{at->second};
}

std::vector<index> snapshot::relations_once_named(std::string_view schema,
                                                  std::string_view name) const {
    std::vector<index> out;
    for (const auto& [relation, names] : former_names_)
        if (std::ranges::any_of(
                names, [&](const auto& n) { return n.schema == schema && n.name == name; }))
            out.push_back(relation);
    return out;
}

snapshot_ptr build(rows r, const past_names& before) {
    return std::make_shared<const snapshot>(std::move(r), before);
}

}  // namespace sallyport::policy::catalog
