#include "policy/catalog/graph.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/in_session.h"
#include "policy/sql/analyse.h"
#include "policy/sql/functions_table.h"

namespace sallyport::policy::catalog {

namespace {

// Extensions whose functions compute from their arguments only.
constexpr std::array harmless_extensions{
    std::string_view{"adminpack"},
    std::string_view{"bloom"},
    std::string_view{"btree_gin"},
    std::string_view{"btree_gist"},
    std::string_view{"citext"},
    std::string_view{"cube"},
    std::string_view{"dict_int"},
    std::string_view{"dict_xsyn"},
    std::string_view{"earthdistance"},
    std::string_view{"fuzzystrmatch"},
    std::string_view{"hstore"},
    std::string_view{"intagg"},
    std::string_view{"intarray"},
    std::string_view{"isn"},
    std::string_view{"lo"},
    std::string_view{"ltree"},
    std::string_view{"pg_buffercache"},
    std::string_view{"pg_freespacemap"},
    std::string_view{"pg_prewarm"},
    std::string_view{"pg_stat_statements"},
    std::string_view{"pg_trgm"},
    std::string_view{"pg_visibility"},
    std::string_view{"pgcrypto"},
    std::string_view{"plpgsql"},
    std::string_view{"postgis"},
    std::string_view{"postgis_raster"},
    std::string_view{"seg"},
    std::string_view{"sslinfo"},
    std::string_view{"tablefunc"},
    std::string_view{"tcn"},
    std::string_view{"tsm_system_rows"},
    std::string_view{"tsm_system_time"},
    std::string_view{"unaccent"},
    std::string_view{"uuid-ossp"},
    std::string_view{"vector"},
    std::string_view{"xml2"},
};
static_assert(std::ranges::is_sorted(harmless_extensions));

// What the server's own relations show of others' rows.
constexpr std::array revealing{
    std::string_view{"pg_largeobject"},        std::string_view{"pg_statistic"},
    std::string_view{"pg_statistic_ext_data"}, std::string_view{"pg_stats"},
    std::string_view{"pg_stats_ext"},          std::string_view{"pg_stats_ext_exprs"},
};
static_assert(std::ranges::is_sorted(revealing));

constexpr verb all_verbs[] = {verb::read,   verb::insert,   verb::update,
                              verb::remove, verb::truncate, verb::define};
constexpr verb writes[] = {verb::insert, verb::update, verb::remove, verb::truncate};

/// Compiled code of an extension that is known. What is written in SQL may name anything by the
/// path of its caller, and ALTER EXTENSION … ADD makes a member of any function.
bool is_trusted(const function_row& f) noexcept {
    return (f.language == "c" || f.language == "internal") &&
           std::ranges::binary_search(harmless_extensions, std::string_view{f.extension});
}

std::string dotted(std::string_view schema, std::string_view name) {
    return std::string{schema} + '.' + std::string{name};
}

}  // namespace

const char* reveals_any_table(std::string_view schema, std::string_view name) noexcept {
    if (!schema.empty() && schema != "pg_catalog") return nullptr;
    if (!std::ranges::binary_search(revealing, name)) return nullptr;
    return name == "pg_largeobject" ? "pg_largeobject holds large objects of any table"
                                    : "statistics show values of any table";
}

const char* shows_statements(const function_use& f) noexcept {
    if (f.name == "pg_stat_activity") return "pg_stat_activity shows statements of others";
    if (f.name == "pg_stat_statements") return "pg_stat_statements shows statements of others";
    return nullptr;
}

const char* shows_statements(const relation_use& u) noexcept {
    const bool query =
        u.columns.empty() || std::ranges::find(u.columns, "query") != u.columns.end();
    return query ? shows_statements(function_use{u.schema, u.name}) : nullptr;
}

bool stands_before(const std::vector<std::string>& path, std::string_view schema) noexcept {
    // Where it is not written, pg_catalog comes first.
    const auto servers = std::ranges::find(path, "pg_catalog");
    return servers != path.end() && std::find(path.begin(), servers, schema) != servers;
}

std::vector<verb> verbs_of(const statement_facts& s, const relation_use& use) {
    const auto ends = [&](std::string_view text) {
        return std::string_view{use.place}.ends_with(text);
    };
    // LIKE … INCLUDING takes over what is evaluated when rows come in.
    if (ends("like")) return {verb::read, verb::insert};
    // ANALYZE evaluates what is indexed and what statistics are kept of.
    if (s.command == "analyze") return {verb::read, verb::define};
    if (use.how == access::read) return {verb::read};
    // DROP … CASCADE reaches what refers to the table.
    if (s.command.starts_with("drop ")) return {verb::define, verb::truncate};
    if (ends("insert into") || ends("copy from") || ends("on conflict")) {
        const bool conflict = std::ranges::any_of(s.relations, [&](const relation_use& u) {
            return u.name == use.name && std::string_view{u.place}.ends_with("on conflict");
        });
        if (conflict) return {verb::insert, verb::update};
        return {verb::insert};
    }
    if (ends("delete from")) return {verb::remove};
    if (ends("merge into")) return {verb::insert, verb::update, verb::remove};
    if (ends("truncate")) return {verb::truncate};
    if (ends("update")) return {verb::update};
    if (s.command == "refresh materialized view") return {verb::define, verb::read};
    return {verb::define};
}

graph::graph(snapshot& s) : s_(s), r_(s.rows_) {
    functions_ = static_cast<node>(r_.relations.size() * verb_count);
    types_ = functions_ + static_cast<node>(r_.functions.size());
    operators_ = types_ + static_cast<node>(r_.types.size());
    end_ = operators_ + static_cast<node>(r_.operators.size());
    own_.resize(end_);
}

graph::node graph::relation_node(index i, verb v) const noexcept {
    return static_cast<node>(i * verb_count + static_cast<std::size_t>(v));
}
graph::node graph::function_node(index i) const noexcept {
    return functions_ + i;
}
graph::node graph::type_node(index i) const noexcept {
    return types_ + i;
}
graph::node graph::operator_node(index i) const noexcept {
    return operators_ + i;
}

std::optional<index> graph::relation_of(node n) const noexcept {
    if (n < functions_) return static_cast<index>(n / verb_count);
    if (n >= end_) return output_owner_[n - end_];
    return std::nullopt;
}

std::string graph::label(node n) const {
    if (n < end_ && n >= operators_) {
        const auto& o = r_.operators[n - operators_];
        return "operator " + dotted(s_.schema_of(o), o.name);
    }
    if (n < end_ && n >= types_) {
        const auto& t = r_.types[n - types_];
        return "type " + dotted(s_.schema_of(t), t.name);
    }
    if (n < end_ && n >= functions_) {
        const auto& f = r_.functions[n - functions_];
        return "function " + dotted(s_.schema_of(f), f.name);
    }
    const auto& r = r_.relations[*relation_of(n)];
    const char* what = r.kind == 'v'   ? "view "
                       : r.kind == 'm' ? "materialized view "
                       : r.kind == 'i' ? "index "
                       : r.kind == 'f' ? "foreign table "
                                       : "table ";
    return what + dotted(s_.schema_of(r), r.name);
}

void graph::opaque(node from, std::string reason) {
    auto& reasons = own_[from].opaque;
    if (std::ranges::find(reasons, reason, &doubt::why) == reasons.end())
        reasons.push_back({std::move(reason), unless_});
}

void graph::late(node from, late_name n) {
    own_[from].late.push_back(std::move(n));
}

void graph::close() {
    add_relations();
    add_inheritance();
    add_expressions();
    add_triggers();
    add_rules();
    add_foreign_keys();
    add_foreign_tables();
    add_functions();
    add_types();
    add_operators();
    add_supports();
    add_outputs();
    const auto all = [this](node first, node last) {
        std::vector<reach> out;
        out.reserve(last - first);
        for (node n = first; n < last; ++n)
            out.push_back(closure(n));
        return out;
    };
    s_.relation_reach_ = all(0, functions_);
    s_.function_reach_ = all(functions_, types_);
    s_.type_reach_ = all(types_, operators_);
    s_.operator_reach_ = all(operators_, end_);
    for (const auto& [view, first] : outputs_)
        s_.output_reach_[view] =
            all(first, first + static_cast<node>(r_.relations[view].columns.size()) + 1);
}

// ---- relations ----------------------------------------------------------------------------------

void graph::add_relations() {
    for (index i = 0; i < r_.relations.size(); ++i) {
        const auto& r = r_.relations[i];
        if (r.kind == 'v' || r.kind == 'm') add_view(i);
        if (r.table != 0 && r.kind != 'S')
            if (const auto at = s_.relations_by_oid_.find(r.table);
                at != s_.relations_by_oid_.end())
                for (const verb v : all_verbs)
                    own_[relation_node(i, v)].edges.push_back(
                        {relation_node(at->second, v), false, false, false, {}, {}});
        for (const auto& c : r.columns)
            for (const verb v : all_verbs)
                add_type(relation_node(i, v), c.type);
    }
}

void graph::add_view(index i) {
    const auto& r = r_.relations[i];
    const node reading = relation_node(i, verb::read);
    if (r.definition.empty())
        opaque(reading, "its definition cannot be read");
    else
        add_text(reading, r.definition, {naming::how::qualified, {}});
    // The server's own list of the columns that the definition uses is the exact one.
    std::unordered_map<oid, std::vector<std::string>> used;
    for (const auto& c : r_.view_columns)
        if (c.view == r.id && !c.column.empty()) used[c.relation].push_back(c.column);
    for (auto& e : own_[reading].edges) {
        if (e.to >= functions_) continue;
        if (r.whole_row) {  // a whole row of any table that it names may be meant
            e.columns.clear();
            continue;
        }
        const auto at = used.find(r_.relations[e.to / verb_count].id);
        if (at != used.end()) e.columns = at->second;
    }
    // Written through, it changes what it is made of; defined anew, it shows something else of it.
    const auto edges = own_[reading].edges;
    for (const verb v : {verb::insert, verb::update, verb::remove, verb::define}) {
        auto& to = own_[relation_node(i, v)];
        to = own_[reading];
        if (r.kind == 'm' || v == verb::define) continue;
        if (v == verb::update && to.shows_settings) to.changes_settings = true;
        for (const auto& e : edges)
            if (e.to < functions_)
                to.edges.push_back(
                    {relation_node(e.to / verb_count, v), false, false, false, {}, {}});
    }
}

void graph::add_inheritance() {
    std::unordered_map<oid, std::vector<oid>> parents;
    for (const auto& h : r_.inheritance) {
        parents[h.child].push_back(h.parent);
        const auto child = s_.relations_by_oid_.find(h.child);
        const auto parent = s_.relations_by_oid_.find(h.parent);
        if (child == s_.relations_by_oid_.end() || parent == s_.relations_by_oid_.end()) continue;
        for (const verb v : all_verbs)
            own_[relation_node(parent->second, v)].edges.push_back(
                {relation_node(child->second, v), true, false, true, {}, {}});
    }
    // Rows of a partition are rows of the table that it is a part of.
    for (const auto& [child, direct] : parents) {
        const auto at = s_.relations_by_oid_.find(child);
        if (at == s_.relations_by_oid_.end()) continue;
        std::vector<oid> above = direct;
        for (std::size_t k = 0; k < above.size() && k < 1'000; ++k) {
            if (const auto more = parents.find(above[k]); more != parents.end())
                for (const oid o : more->second)
                    if (std::ranges::find(above, o) == above.end()) above.push_back(o);
            const auto parent = s_.relations_by_oid_.find(above[k]);
            if (parent == s_.relations_by_oid_.end()) continue;
            for (const verb v : all_verbs)
                own_[relation_node(at->second, v)].edges.push_back(
                    {relation_node(parent->second, v), false, true, true, {}, {}});
        }
    }
}

void graph::add_expressions() {
    using use = expression_row::use;
    for (const auto& e : r_.expressions) {
        const auto at = s_.relations_by_oid_.find(e.relation);
        if (at == s_.relations_by_oid_.end()) continue;
        const auto to = [&](std::initializer_list<verb> verbs) {
            std::vector<node> nodes;
            for (const verb v : verbs)
                nodes.push_back(relation_node(at->second, v));
            if (e.unreadable.empty()) {
                add_text(nodes, "SELECT " + e.text, {naming::how::qualified, {}});
                return;
            }
            for (const node n : nodes)
                opaque(n, "an expression of it cannot be read: " + e.unreadable);
        };
        const bool guarded = r_.relations[at->second].row_security;
        switch (e.what) {
            case use::default_value:
                to({verb::insert, verb::update, verb::define});
                break;
            // The planner takes these apart for every statement, and runs what seems constant.
            case use::check:
            case use::index:
            case use::statistics:
                to({verb::read, verb::insert, verb::update, verb::remove, verb::define});
                break;
            case use::generated: {
                to({verb::insert, verb::update, verb::define});
                const auto f = sql::analyse("SELECT " + e.text + " FROM t", {});
                std::vector<std::string> columns;
                for (const auto& s : f->statements)
                    for (const auto& u : s.relations)
                        columns.insert(columns.end(), u.columns.begin(), u.columns.end());
                s_.made_of_[std::to_string(e.relation) + '.' + e.column] = std::move(columns);
                break;
            }
            case use::partition_key:
                to({verb::read, verb::insert, verb::update, verb::remove, verb::define});
                break;
            case use::policy_using:
                // Without a WITH CHECK of its own it is one, too.
                if (guarded)
                    to({verb::read, verb::insert, verb::update, verb::remove, verb::define});
                break;
            case use::policy_check:
                if (guarded) to({verb::insert, verb::update, verb::define});
                break;
        }
    }
}

void graph::add_triggers() {
    for (const auto& t : r_.triggers) {
        const auto add = [&](node from) {
            add_call(from, t.function);
            if (!t.unreadable.empty())
                opaque(from, "the trigger " + t.name + " cannot be read: " + t.unreadable);
            if (!t.condition.empty())
                add_text(from, "SELECT " + t.condition, {naming::how::qualified, {}});
        };
        const auto at = s_.relations_by_oid_.find(t.relation);
        if (at == s_.relations_by_oid_.end()) continue;
        if (t.on_insert) add(relation_node(at->second, verb::insert));
        if (t.on_update) add(relation_node(at->second, verb::update));
        if (t.on_delete) add(relation_node(at->second, verb::remove));
        if (t.on_truncate) add(relation_node(at->second, verb::truncate));
    }
}

void graph::add_rules() {
    for (const auto& rule : r_.rules) {
        const auto at = s_.relations_by_oid_.find(rule.relation);
        if (at == s_.relations_by_oid_.end()) continue;
        std::vector<node> nodes;
        for (const verb v : writes) {
            const char event = v == verb::update   ? '2'
                               : v == verb::insert ? '3'
                               : v == verb::remove ? '4'
                                                   : '0';
            if (rule.event != 0 && rule.event != event) continue;
            nodes.push_back(relation_node(at->second, v));
            if (!rule.unreadable.empty())
                opaque(nodes.back(), "a rule of it cannot be read: " + rule.unreadable);
        }
        add_text(nodes, rule.definition, {naming::how::qualified, {}});
    }
}

void graph::add_foreign_keys() {
    for (const auto& k : r_.foreign_keys) {
        const auto from = s_.relations_by_oid_.find(k.referenced);
        const auto to = s_.relations_by_oid_.find(k.referencing);
        if (from == s_.relations_by_oid_.end() || to == s_.relations_by_oid_.end()) continue;
        // SET NULL and SET DEFAULT change rows where CASCADE removes them.
        if (k.delete_reaches)
            for (const verb v : {verb::remove, verb::update})
                own_[relation_node(from->second, verb::remove)].edges.push_back(
                    {relation_node(to->second, v), false, false, false, {}, {}});
        if (k.update_reaches)
            own_[relation_node(from->second, verb::update)].edges.push_back(
                {relation_node(to->second, verb::update),
                 false,
                 false,
                 false,
                 {},
                 k.referenced_columns});
        // TRUNCATE … CASCADE empties whatever refers to the table.
        own_[relation_node(from->second, verb::truncate)].edges.push_back(
            {relation_node(to->second, verb::truncate), false, false, false, {}, {}});
    }
}

void graph::add_foreign_tables() {
    std::unordered_map<oid, const foreign_table_row*> known;
    for (const auto& t : r_.foreign_tables)
        known.emplace(t.relation, &t);
    for (index i = 0; i < r_.relations.size(); ++i) {
        if (r_.relations[i].kind != 'f') continue;
        const auto at = known.find(r_.relations[i].id);
        if (at != known.end()) unless_ = {"server:" + at->second->server};
        for (const verb v : all_verbs)
            opaque(relation_node(i, v), "it is a table of another server");
        unless_.clear();
    }
}

// ---- functions, types, operators ----------------------------------------------------------------

void graph::add_functions() {
    for (index i = 0; i < r_.functions.size(); ++i) {
        const auto& f = r_.functions[i];
        unless_ = {"language:" + f.language, "function:" + dotted(s_.schema_of(f), f.name)};
        if (!f.extension.empty()) unless_.push_back("extension:" + f.extension);
        add_function(i);
    }
    unless_.clear();
    for (const auto& a : r_.aggregates)
        if (const auto at = s_.functions_by_oid_.find(a.function); at != s_.functions_by_oid_.end())
            for (const oid f : a.functions)
                add_call(function_node(at->second), f);
}

void graph::add_function(index i) {
    const auto& f = r_.functions[i];
    const node n = function_node(i);
    naming names;
    for (const auto& setting : f.settings) {
        if (setting.starts_with("search_path=")) {
            names = {naming::how::fixed, path_schemas(std::string_view{setting}.substr(12))};
            own_[n].schemas = names.path;
        }
        // Its strings, and those of what it calls, end elsewhere than they seem to.
        if (setting.starts_with("standard_conforming_strings=") && !setting.ends_with("=on"))
            opaque(n, "it reads strings in another way");
    }
    for (const index t : s_.namesakes())
        if (stands_before(names.path, s_.schema_of(r_.types[t])))
            own_[n].edges.push_back({type_node(t), false, false, false, {}, {}});
    if (f.atomic) names = {naming::how::qualified, {}};
    for (const oid t : f.argument_types)
        add_type(n, t);
    add_type(n, f.return_type);
    if (!f.defaults.empty()) add_text(n, "SELECT " + f.defaults, {naming::how::qualified, {}});
    if (!f.unreadable.empty()) opaque(n, "it cannot be read: " + f.unreadable);
    if (f.kind == 'a') return;  // its parts are functions of their own
    if (is_trusted(f)) return;
    if (f.language == "sql" && f.atomic) {
        // A body of this form stands in no other statement.
        add_text(n, "CREATE FUNCTION f() RETURNS int LANGUAGE sql " + f.source, names);
    } else if (f.language == "sql") {
        add_text(n, f.source, names);
    } else if (f.language == "plpgsql") {
        add_code(n, f.source, names);
    } else if (f.language == "internal") {
        const auto* e = sql::find_function(f.source);
        if (e != nullptr && e->role != sql::function_role::harmless_name)
            opaque(n, "it is " + f.source + " under another name");
    } else {
        opaque(n, "its language " + f.language + " is not read");
    }
}

void graph::add_types() {
    for (index i = 0; i < r_.types.size(); ++i) {
        const auto& t = r_.types[i];
        const node n = type_node(i);
        add_type(n, t.base);
        add_type(n, t.element);
        if (t.kind == 'c')
            if (const auto at = s_.relations_by_oid_.find(t.relation);
                at != s_.relations_by_oid_.end())
                for (const auto& c : r_.relations[at->second].columns)
                    add_type(n, c.type);
        if (!t.unreadable.empty()) opaque(n, "it cannot be read: " + t.unreadable);
        for (const oid f : t.functions) {
            const auto at = s_.functions_by_oid_.find(f);
            if (at != s_.functions_by_oid_.end() && !is_trusted(r_.functions[at->second]))
                add_call(n, f);
        }
        for (const auto& e : t.expressions)
            add_text(n, "SELECT " + e, {naming::how::qualified, {}});
        own_[n].literals_run_code = runs_code(n);
        s_.literals_run_code_ = s_.literals_run_code_ || own_[n].literals_run_code;
    }
    for (const auto& c : r_.casts)
        for (const oid side : {c.source, c.target})
            if (const auto at = s_.types_by_oid_.find(side); at != s_.types_by_oid_.end())
                add_call(type_node(at->second), c.function);
}

bool graph::runs_code(node n) const noexcept {
    const auto& o = own_[n];
    return !o.late.empty() || !o.opaque.empty() || o.changes_settings ||
           std::ranges::any_of(o.edges,
                               [&](const edge& e) { return e.to < types_ || e.to >= operators_; });
}

void graph::add_operators() {
    for (index i = 0; i < r_.operators.size(); ++i)
        for (const oid f : r_.operators[i].functions)
            add_call(operator_node(i), f);
}

// Values are compared wherever they are sorted, grouped, joined or put into an index.
void graph::add_supports() {
    std::unordered_map<oid, std::vector<oid>> of_type;
    for (const auto& s : r_.supports) {
        if (const auto at = s_.types_by_oid_.find(s.type); at != s_.types_by_oid_.end())
            add_call(type_node(at->second), s.function);
        else if (s.type != 0)
            of_type[s.type].push_back(s.function);
        if (const auto at = s_.relations_by_oid_.find(s.relation); at != s_.relations_by_oid_.end())
            for (const verb v : all_verbs)
                add_call(relation_node(at->second, v), s.function);
    }
    if (of_type.empty()) return;
    for (index i = 0; i < r_.relations.size(); ++i)
        for (const auto& c : r_.relations[i].columns)
            if (const auto at = of_type.find(c.type); at != of_type.end())
                for (const oid f : at->second)
                    for (const verb v : all_verbs)
                        add_call(relation_node(i, v), f);
}

void graph::add_type(node from, oid type) {
    if (const auto at = s_.types_by_oid_.find(type); at != s_.types_by_oid_.end())
        if (type_node(at->second) != from)
            own_[from].edges.push_back({type_node(at->second), false, false, false, {}, {}});
}

void graph::add_call(node from, oid function) {
    if (const auto at = s_.functions_by_oid_.find(function); at != s_.functions_by_oid_.end())
        own_[from].edges.push_back({function_node(at->second), false, false, false, {}, {}});
}

}  // namespace sallyport::policy::catalog
