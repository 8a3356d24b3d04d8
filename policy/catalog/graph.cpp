#include "policy/catalog/graph.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/in_session.h"
#include "policy/sql/analyse.h"
#include "policy/sql/functions_table.h"
#include "policy/sql/lexer.h"

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
constexpr oid first_own_oid = 16'384;  // before: the server's own

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

bool is_harmless_extension(std::string_view name) noexcept {
    return std::ranges::binary_search(harmless_extensions, name);
}

std::uint8_t effect_of_word(std::string_view word) noexcept {
    using namespace code_effect;
    if (word == "alter") return defines | takes_names | retells;
    if (word == "drop") return defines | takes_names;
    if (word == "discard") return takes_names | prepares;
    if (word == "prepare" || word == "deallocate") return prepares;
    if (word == "pg_exception_detail") return tells_errors;
    static constexpr std::array defining{
        std::string_view{"comment"}, std::string_view{"create"},   std::string_view{"grant"},
        std::string_view{"import"},  std::string_view{"reassign"}, std::string_view{"refresh"},
        std::string_view{"revoke"},  std::string_view{"security"}};
    return std::ranges::find(defining, word) != defining.end() ? defines : 0;
}

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
    everywhere_ = operators_ + static_cast<node>(r_.operators.size());
    end_ = everywhere_ + 1;
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
    if (n == everywhere_) return "types of the server";
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
    add_row_code();
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
    s_.operator_reach_ = all(operators_, everywhere_);
    s_.everywhere_ = closure(everywhere_);
    for (const auto& [view, first] : outputs_)
        s_.output_reach_[view] =
            all(first, first + static_cast<node>(r_.relations[view].columns.size()) + 1);
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
    if (runs_as_another(f, names)) {
        if (names.mode == naming::how::fixed &&
            std::ranges::find(names.path, "$user") != names.path.end())
            names = {};
        own_[n].schemas.emplace_back(any_schema);
    }
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
        own_[n].strings_matter = sql::has_plain_backslash(f.source);
        add_text(n, f.source, names);
    } else if (f.language == "plpgsql") {
        own_[n].strings_matter = sql::has_plain_backslash(f.source);
        add_code(n, f.source, names);
    } else if (f.language == "internal") {
        add_symbol(n, f.source);
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
    for (const auto& c : r_.casts) {
        bool ours = false;
        for (const oid side : {c.source, c.target})
            if (const auto at = s_.types_by_oid_.find(side); at != s_.types_by_oid_.end()) {
                add_call(type_node(at->second), c.function);
                ours = true;
            }
        if (!ours) add_everywhere(c.function);
    }
}

// A cast or a comparison between types of the server's own: only a superuser makes one, and any
// statement may use it. What extensions bring in C is no code of a user.
void graph::add_everywhere(oid function) {
    if (const auto at = s_.functions_by_oid_.find(function); at != s_.functions_by_oid_.end()) {
        const auto& f = r_.functions[at->second];
        if (f.language == "c" && !f.extension.empty()) return;
    }
    add_call(everywhere_, function);
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
        else if (s.type != 0) {
            of_type[s.type].push_back(s.function);
            add_everywhere(s.function);
        }
        // Rows of a partition are compared with the bounds of those above it.
        for (const index i : with_descendants(s.relation))
            for (const verb v : all_verbs)
                add_call(relation_node(i, v), s.function);
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
    if (const auto at = s_.types_by_oid_.find(type); at != s_.types_by_oid_.end()) {
        if (type_node(at->second) != from)
            own_[from].edges.push_back({type_node(at->second), false, false, false, {}, {}});
    } else if (type >= first_own_oid && !s_.row_types_.contains(type)) {
        opaque(from, "a type of it is a temporary one of some session");
    }
}

/// A function that something calls without its name in any text.
void graph::add_call(node from, oid function) {
    if (const auto at = s_.functions_by_oid_.find(function); at != s_.functions_by_oid_.end()) {
        own_[from].edges.push_back({function_node(at->second), false, false, false, {}, {}});
        const auto& f = r_.functions[at->second];
        if (!f.extension.empty()) add_unnamed(from, f.name);
    } else if (const auto known = s_.builtins_by_oid_.find(function);
               known != s_.builtins_by_oid_.end()) {
        add_unnamed(from, r_.builtins[known->second].name);
    } else if (function >= first_own_oid) {
        opaque(from, "a function that it calls is a temporary one of some session");
    }
}

// Where the text has the name, its arguments are looked at; here there is none to look at.
void graph::add_unnamed(node from, std::string_view name) {
    using role = sql::function_role;
    const auto* const e = sql::find_function(name);
    if (e == nullptr) return;
    switch (e->role) {
        case role::none:
        case role::harmless_name:
        case role::notifies:
        case role::maintains:
            return;
        case role::sets_config:
            own_[from].changes_settings = true;
            return;
        default:
            opaque(from, "it calls " + std::string{name});
    }
}

/// LANGUAGE internal: a function of the server under another name.
void graph::add_symbol(node from, std::string_view symbol) {
    bool known = false;
    for (const auto& b : r_.builtins) {
        if (b.symbol != symbol) continue;
        known = true;
        add_unnamed(from, b.name);
    }
    if (!known) opaque(from, "what " + std::string{symbol} + " of the server does is not known");
}

/// "$user" of a path is whoever the function runs as, who may not see every schema of it either.
bool graph::runs_as_another(const function_row& f, const naming& names) {
    const bool sets_role = std::ranges::any_of(f.settings, [](const std::string& s) {
        return s.starts_with("role=") || s.starts_with("session_authorization=");
    });
    const bool fixed = names.mode == naming::how::fixed;
    const bool follows_user = fixed && std::ranges::find(names.path, "$user") != names.path.end();
    return follows_user || (!fixed && (sets_role || f.security_definer));
}

}  // namespace sallyport::policy::catalog
