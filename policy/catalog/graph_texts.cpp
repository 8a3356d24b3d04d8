#include <algorithm>

#include "policy/catalog/attributes.h"
#include "policy/catalog/graph.h"
#include "policy/sql/analyse.h"
#include "policy/sql/code.h"
#include "policy/sql/functions_table.h"

/// What the texts in a catalog name: definitions of views, bodies of functions, expressions.
namespace sallyport::policy::catalog {

namespace {

constexpr verb all_verbs[] = {verb::read,   verb::insert,   verb::update,
                              verb::remove, verb::truncate, verb::define};

/// Of a statement in a body of SQL.
std::uint8_t effects_of(const statement_facts& s) noexcept {
    using namespace code_effect;
    if (!s.has(kind::ddl) && !s.has(kind::grant)) return 0;
    const bool takes = s.command.starts_with("drop ") || s.command.starts_with("alter ");
    return defines | (takes ? takes_names : 0) | (s.effects & retells);
}

bool is_other_temporary(std::string_view schema) noexcept {
    return schema.starts_with("pg_temp_");
}

}  // namespace

void graph::add_text(std::span<const node> from, std::string_view sql, const naming& names) {
    const auto f = sql::analyse(sql, {});
    for (const auto& s : f->statements)
        for (const node n : from)
            add_facts(n, s, names);
}

void graph::add_text(node from, std::string_view sql, const naming& names) {
    add_text(std::span{&from, 1}, sql, names);
}

void graph::add_code(node from, std::string_view body, const naming& names) {
    auto f = sql::analyse_code(body, true);
    for (const auto& m : f.mentions) {
        add_mention(from, m, names);
        own_[from].effects |= effect_of_word(m.name);
    }
    for (const auto& o : f.operators)
        add_named(from, late_name::of::operator_, o, names);
    for (auto& why : f.opaque_reasons)
        opaque(from, std::move(why));
    own_[from].changes_settings = own_[from].changes_settings || f.changes_settings;
}

void graph::add_facts(node from, const statement_facts& s, const naming& names) {
    const attribute_calls dots{s, s_, nullptr};
    // The server writes a call as a call.
    const bool written = names.mode == naming::how::qualified;
    for (const auto& use : s.relations)
        add_relation_use(from, s, written ? use : dots.widened(use), names);
    if (!written)
        for (const auto* a : dots.calls())
            add_attribute(from, *a, names);
    for (const auto& f : s.functions)
        add_named(from, late_name::of::function, f, names);
    for (const auto& o : s.operators)
        add_named(from, late_name::of::operator_, o, names);
    for (const auto& t : s.types)
        add_named(from, late_name::of::type, t, names);
    for (const auto& m : s.mentions) {
        add_mention(from, m, names);
        own_[from].effects |= effect_of_word(m.name);
    }
    own_[from].effects |= effects_of(s);
    for (const auto& why : s.opaque_reasons)
        if (std::ranges::find(s.opaque_without_catalog, why) == s.opaque_without_catalog.end())
            opaque(from, why);
    own_[from].changes_settings = own_[from].changes_settings || !s.settings.empty();
}

std::vector<graph::node> graph::nodes_named(late_name::of what, std::string_view schema,
                                            std::string_view name, verb how) const {
    using of = late_name::of;
    std::vector<node> out;
    const bool any = what == of::any;
    if (any || what == of::relation)
        for (const index i : s_.relations(name))
            if (s_.schema_of(r_.relations[i]) == schema) {
                if (!any)
                    out.push_back(relation_node(i, how));
                else
                    for (const verb v : all_verbs)
                        out.push_back(relation_node(i, v));
            }
    if (any || what == of::function)
        for (const index i : s_.functions(name))
            if (s_.schema_of(r_.functions[i]) == schema) out.push_back(function_node(i));
    if (any || what == of::type)
        for (const index i : s_.types(name))
            if (s_.schema_of(r_.types[i]) == schema) out.push_back(type_node(i));
    if (what == of::operator_)
        for (const index i : s_.operators(name))
            if (s_.schema_of(r_.operators[i]) == schema) out.push_back(operator_node(i));
    return out;
}

void graph::add_relation_use(node from, const statement_facts& s, const relation_use& use,
                             const naming& names) {
    if (const char* why = reveals_any_table(use.schema, use.name)) opaque(from, why);
    if (const char* why = shows_statements(use)) opaque(from, why);
    if (use.name == "pg_settings" && (use.schema.empty() || use.schema == "pg_catalog"))
        own_[from].shows_settings = true;
    if (is_other_temporary(use.schema)) return opaque(from, "it names a temporary table");
    for (const verb v : verbs_of(s, use)) {
        const auto add = [&](std::string_view schema) {
            for (const node to : nodes_named(late_name::of::relation, schema, use.name, v))
                own_[from].edges.push_back({to, false, false, false, use.columns, {}});
        };
        if (use.schema == "pg_temp") {
            late(from, {late_name::of::relation, use.name, v, use.columns, {}, true});
        } else if (!use.schema.empty()) {
            add(use.schema);
        } else if (names.mode == naming::how::qualified) {
            add("pg_catalog");
        } else if (names.mode == naming::how::fixed) {
            add("pg_catalog");
            for (const auto& schema : names.path)
                add(schema);
            late(from, {late_name::of::relation, use.name, v, use.columns, {}, true});
        } else if (names.mode == naming::how::late) {
            late(from, {late_name::of::relation, use.name, v, use.columns, {}, false});
        }
    }
}

void graph::add_named(node from, late_name::of what, const function_use& use, const naming& names) {
    // Of the view of that name it is the source: there the columns tell.
    const auto of = relation_of(from);
    if (what == late_name::of::function && !(of && r_.relations[*of].name == use.name))
        if (const char* why = shows_statements(use)) opaque(from, why);
    const auto add = [&](std::string_view schema) {
        for (const node to : nodes_named(what, schema, use.name, verb::read))
            own_[from].edges.push_back({to, false, false, false, {}, {}});
    };
    if (is_other_temporary(use.schema)) return opaque(from, "it calls something temporary");
    if (use.schema == "pg_temp") {
        late(from, {what, use.name, verb::read, {}, {}, true});
    } else if (!use.schema.empty()) {
        add(use.schema);
    } else if (names.mode == naming::how::qualified) {
        add("pg_catalog");
    } else if (names.mode == naming::how::fixed) {
        add("pg_catalog");
        for (const auto& schema : names.path)
            add(schema);
    } else if (names.mode == naming::how::late) {
        late(from, {what, use.name, verb::read, {}, {}, false});
    }
}

/// `a.b` that may be b(a), a call or a cast.
void graph::add_attribute(node from, const attribute_use& a, const naming& names) {
    if (sql::is_telling_attribute(a.name)) opaque(from, a.name + " may be called by a dot");
    if (s_.has_function_of_one(a.name))
        add_named(from, late_name::of::function, {"", a.name}, names);
    if (!s_.types(a.name).empty()) add_named(from, late_name::of::type, {"", a.name}, names);
}

void graph::add_mention(node from, const function_use& m, const naming& names) {
    const auto add = [&](std::string_view schema) {
        for (const node to : nodes_named(late_name::of::any, schema, m.name, verb::read))
            own_[from].edges.push_back({to, false, false, false, {}, {}});
    };
    if (const char* why = reveals_any_table(m.schema, m.name)) opaque(from, why);
    if (const char* why = shows_statements(m)) opaque(from, why);
    if (m.schema == "pg_temp") late(from, {late_name::of::any, m.name, verb::read, {}, {}, true});
    if (!m.schema.empty()) {
        add(m.schema);
        return;
    }
    // Only names that something has are kept: most words of a body are none.
    const bool known =
        !s_.relations(m.name).empty() || !s_.functions(m.name).empty() || !s_.types(m.name).empty();
    if (!known) return;
    const bool fixed = names.mode == naming::how::fixed;
    if (fixed)
        for (const auto& schema : names.path)
            add(schema);
    late(from, {late_name::of::any, m.name, verb::read, {}, {}, fixed});
}

}  // namespace sallyport::policy::catalog
