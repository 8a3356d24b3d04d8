#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "policy/catalog/attributes.h"
#include "policy/catalog/dependents.h"
#include "policy/catalog/graph.h"
#include "policy/catalog/resolve.h"
#include "policy/catalog/row_code.h"
#include "policy/sql/functions_table.h"

namespace sallyport::policy::catalog {

inline constexpr std::size_t relations_max = 20'000;  // of one statement
inline constexpr std::size_t reasons_max = 16;

inline bool is_server_schema(std::string_view schema) noexcept {
    return schema == "pg_catalog" || schema == "information_schema";
}
inline bool is_temporary(std::string_view schema) noexcept {
    return schema == "pg_temp" || schema.starts_with("pg_temp_");
}

/// One statement on its way to its resolved form. Internal to policy/catalog.
class resolver {
  public:
    resolver(const statement_facts& in, const std::vector<oid>& parameter_types, const snapshot& s,
             const session_names& names, resolution& out)
        : in_(in), parameter_types_(parameter_types), s_(s), names_(names), whole_(out) {}

    statement_facts run() {
        out_ = in_;
        out_.relations.clear();
        answer_opaque();
        // What the statement itself may change holds for its own later parts.
        path_ = in_.settings.empty() ? names_.path : nullptr;
        const attribute_calls dots{in_, s_, &names_};
        for (const auto& u : in_.relations)
            relation(dots.widened(u));
        for (const auto* a : dots.calls())
            attribute(*a);
        for (const auto& f : in_.functions)
            function(f);
        for (const auto& t : in_.types) {
            named(late_name::of::type, t.schema, t.name, "type");
            inherit_all(t.name, {});
        }
        if (in_.command == "alter domain" || in_.command == "alter type")
            for (const auto& t : in_.types)
                columns_of_type(t, in_.command == "alter type");
        namesakes();
        for (const auto& o : in_.operators) {
            named(late_name::of::operator_, o.schema, o.name, "operator");
            inherit_all(o.name, {});
        }
        if (names_.own_ddl) inherit_all(own_objects::anywhere, {});
        for (const auto& m : in_.mentions) {
            mention(m);
            // Of a body that is run, not one that is made.
            if (!in_.has(kind::ddl)) out_.effects |= effect_of_word(m.name);
        }
        for (const auto& p : parameter_types_)
            for (const index t : s_.type_of(p))
                add(s_.of_type(t), "parameter");
        if (in_.transaction == statement_facts::transaction_control::none)
            add(s_.everywhere(), "any statement");
        if (names_.own != nullptr && names_.own->lost())
            opaque("the transaction has defined more than is followed");
        for (const auto& f : in_.functions)
            if (hides_arguments(in_, f.name)) opaque("it gives " + f.name + " another name");
        event_triggers();
        inherit_what_is_left();
        if ((out_.effects & code_effect::tells_errors) != 0) read_what_is_written(out_);
        settle_kinds(out_);
        return std::move(out_);
    }

  private:
    void event_triggers() {
        const bool fired = in_.has(kind::ddl) || in_.has(kind::grant) ||
                           in_.command == "refresh materialized view" ||
                           (out_.effects & code_effect::defines) != 0;
        if (!fired) return;
        for (const index f : s_.event_triggers())
            add(s_.of_function(f), "event trigger");
    }

    void answer_opaque() {
        std::erase_if(out_.opaque_reasons, [&](const std::string& why) {
            return std::ranges::find(in_.opaque_without_catalog, why) !=
                   in_.opaque_without_catalog.end();
        });
        if (in_.command.starts_with("drop ") && !in_.opaque_without_catalog.empty() &&
            !drops_nothing(in_, s_, names_.own))
            for (const auto& why : in_.opaque_without_catalog)
                opaque(why);
    }

    void opaque(std::string why) {
        if (!out_.has(kind::opaque)) out_.kinds.push_back(kind::opaque);
        auto& reasons = out_.opaque_reasons;
        if (reasons.size() < reasons_max && std::ranges::find(reasons, why) == reasons.end())
            reasons.push_back(std::move(why));
    }

    [[nodiscard]] bool is_harmless(const std::string& what) const {
        return names_.harmless != nullptr && std::ranges::binary_search(*names_.harmless, what);
    }

    [[nodiscard]] bool in_path(std::string_view schema) const {
        return std::ranges::find(*path_, schema) != path_->end();
    }

    /// Of the candidates (rows of one name), those that the name can mean here.
    template <class Row>
    std::vector<index> meant(std::span<const index> candidates, const std::vector<Row>& rows,
                             std::string_view schema, bool overloads) {
        std::vector<index> out;
        const bool moved = names_.own != nullptr && names_.own->schemas_moved();
        if (moved && names_.own_ddl) return {candidates.begin(), candidates.end()};
        if (!schema.empty()) {
            for (const index i : candidates)
                if (s_.schema_of(rows[i]) == schema) out.push_back(i);
            return out;
        }
        if (path_ == nullptr) {
            if (!candidates.empty()) whole_.path_matters = true;
            return {candidates.begin(), candidates.end()};
        }
        for (const auto& p : *path_) {
            for (const index i : candidates)
                if (s_.schema_of(rows[i]) == p) out.push_back(i);
            if (!out.empty() && !overloads && !names_.own_ddl) break;
        }
        return out;
    }

    void relation(const relation_use& u) {
        if (const char* why = reveals_any_table(u.schema, u.name)) opaque(why);
        if (const char* why = shows_statements(u)) opaque(why);
        const auto& rows = s_.source().relations;
        if (u.name == "*") return whole_schema(u);
        if (is_temporary_here(u)) {
            relation_use hidden = u;
            hidden.schema = "pg_temp";
            return relation(hidden);
        }
        const auto found = is_temporary(u.schema)
                               ? std::vector<index>{}
                               : meant(s_.relations(u.name), rows, u.schema, false);
        if (found.empty() && is_server_schema(u.schema)) return keep(u);
        bool own = false;
        if (u.schema.empty() || is_temporary(u.schema) || found.empty() || names_.own_ddl)
            for (const auto& made : own_of(u.name)) {
                if (!is_temporary(u.schema) && !found.empty() && !may_be(made, u)) continue;
                own = true;
                inherit(made, found.empty() ? placed(u) : u);
            }
        for (const index i : found)
            for (const verb v : verbs_of(in_, u))
                add_use(i, v, u);
        if (in_.command.starts_with("drop ") && u.how == access::write) drops_dependents(found);
        for (const index i : found)
            alters_dependents(i, u);
        if (!found.empty()) return;
        if (own) return;
        if (makes(in_, u)) return keep(placed(u));
        keep(u);
        const bool may_be_server = u.schema.empty() && u.name.starts_with("pg_");
        if (may_be_server) return;
        if (in_.has(kind::ddl) && (is_temporary(u.schema) || in_.command.starts_with("drop ")))
            return;  // nothing of that name is there to be dropped
        whole_.unknown_name = true;
        opaque("no relation " + (u.schema.empty() ? "" : u.schema + ".") + u.name + " is known");
    }

    void drops_dependents(const std::vector<index>& dropped) {
        dependents_of_drop(
            s_, dropped, [&](index i) { write_of(i, "drop"); },
            [&](index f) {
                opaque("it takes along " + call_place(f) + ", and whatever uses that");
            });
    }

    /// DDL on something else changes this relation.
    void write_of(index i, const std::string& place) {
        const auto& row = s_.source().relations[i];
        relation_use u;
        u.how = access::write;
        u.place = place;
        u.schema = s_.schema_of(row);
        u.name = row.name;
        keep(std::move(u));
    }

    /// What ALTER of one relation does to others.
    void alters_dependents(index i, const relation_use& u) {
        if (!in_.command.starts_with("alter ") || u.how != access::write) return;
        const auto& row = s_.source().relations[i];
        for (const index other : keys_on(s_, i, in_.taken_apart))
            write_of(other, "a foreign key on " + row.name);
        if (row.kind == 'c') columns_of_type({std::string{s_.schema_of(row)}, row.name}, true);
    }

    /// A bare name that a temporary relation takes: its schema stands first in the path.
    [[nodiscard]] bool is_temporary_here(const relation_use& u) const {
        return u.schema.empty() && path_ != nullptr && names_.temporary != nullptr &&
               !path_->empty() && is_temporary(path_->front()) &&
               std::ranges::find(*names_.temporary, u.name) != names_.temporary->end();
    }

    /// What the session itself makes, by the schema where it is made; not known under an unknown
    /// path.
    [[nodiscard]] relation_use placed(relation_use u) const {
        if (!u.schema.empty() || path_ == nullptr) return u;
        const auto first = std::ranges::find_if(
            *path_, [](const auto& p) { return !is_server_schema(p) && !is_temporary(p); });
        u.schema = first == path_->end() ? "pg_temp" : *first;
        return u;
    }

    void whole_schema(const relation_use& u) {
        const auto& rows = s_.source().relations;
        for (index i = 0; i < rows.size(); ++i)
            if (u.schema == "*" || s_.schema_of(rows[i]) == u.schema)
                for (const verb v : verbs_of(in_, u))
                    add_use(i, v, u);
        keep(u);
    }

    void add_use(index i, verb v, const relation_use& u) {
        relation_use use = u;
        if (names_.retold) use.columns.clear();
        const auto& row = s_.source().relations[i];
        use.schema = s_.schema_of(row);
        use.name = row.name;
        // A generated column shows the columns that it is made of.
        for (const auto& c : names_.retold ? use.columns : u.columns)
            for (const auto& part : s_.made_of(i, c))
                use.columns.push_back(part);
        s_.add_former_names(i, use.columns);
        for (const auto& former : s_.former_names(i)) {
            relation_use was = use;
            was.schema = former.schema;
            was.name = former.name;
            was.place += " (now " + use.schema + "." + use.name + ")";
            keep(std::move(was));
        }
        keep(use);
        if (names_.retold && (v == verb::update || v == verb::remove))
            shown_to_code(use.schema, use.name);
        read_literals(s_.of_relation(i, v).literals_run_code);
        if (v == verb::read && add_outputs(i, use)) return;
        add(s_.of_relation(i, v), u.place, &use);
    }

    /// A view of which only some columns are read; false: it is reached as a whole.
    bool add_outputs(index i, const relation_use& u) {
        const auto outputs = s_.of_outputs(i);
        if (outputs.empty() || u.columns.empty()) return false;
        const auto& all = s_.source().relations[i].columns;
        std::vector<std::size_t> used{0};
        for (const auto& c : u.columns) {
            if (c == no_column) continue;
            const auto at = std::ranges::find(all, c, &column_row::name);
            if (at == all.end()) return false;
            used.push_back(1 + static_cast<std::size_t>(at - all.begin()));
        }
        for (const auto k : used)
            add(outputs[k], u.place);
        return true;
    }

    /// `of`: the use of the relation whose reach it is; null: it is something else's.
    void add(const reach& r, const std::string& place, const relation_use* of = nullptr) {
        const auto& rows = s_.source().relations;
        for (const auto& x : r.relations) {
            // The thing itself, and what ONLY leaves out.
            if (x.road.empty() || (of != nullptr && of->only && x.inherits)) continue;
            if (!x.if_columns.empty() && of != nullptr && !of->columns.empty() &&
                std::ranges::none_of(x.if_columns, [&](const auto& c) {
                    return std::ranges::find(of->columns, c) != of->columns.end();
                }))
                continue;
            relation_use use;
            use.schema = s_.schema_of(rows[x.relation]);
            use.name = rows[x.relation].name;
            use.how = x.how;
            use.by_code = x.by_code;
            use.place = place.empty() ? x.road : place + ": " + x.road;
            use.scanned = of != nullptr && of->scanned && x.how == access::read;
            if (x.same_columns && of != nullptr)
                use.columns = of->columns;
            else if (!x.same_columns)
                use.columns = x.columns;
            s_.add_former_names(x.relation, use.columns);
            for (const auto& former : s_.former_names(x.relation)) {
                relation_use was = use;
                was.schema = former.schema;
                was.name = former.name;
                keep(std::move(was));
            }
            keep(std::move(use));
        }
        for (const auto& d : r.opaque)
            if (std::ranges::none_of(d.unless, [&](const auto& x) { return is_harmless(x); }))
                opaque(d.why);
        if (r.changes_settings) may_change_settings();
        if (r.strings_matter && !names_.strings_conform)
            opaque("a \\ in a string of code, and standard_conforming_strings was off");
        out_.effects |= r.effects;
        read_literals(r.literals_run_code);
        inherit_on_the_way(r, of);
        for (const auto& l : r.late)
            late(l, r.schemas);
    }

    void read_literals(bool run_code) noexcept {
        whole_.literals_run_code = whole_.literals_run_code || run_code;
    }

    void late(const late_name& l, const std::vector<std::string>& schemas) {
        std::string key = l.name;
        key += static_cast<char>(l.what);
        key += static_cast<char>(l.how);
        if (l.temporary) key += 't';
        if (!late_seen_.insert(key).second) return;
        if (l.temporary) {
            inherit_all(l.name, {});
            return;
        }
        // A body may set its own path, or be about to be given one.
        const auto* const before = std::exchange(path_, late_path());
        std::vector<std::string> wider;
        if (std::ranges::find(schemas, any_schema) != schemas.end()) {
            path_ = nullptr;
        } else if (path_ != nullptr && !schemas.empty()) {
            wider = *path_;
            wider.insert(wider.end(), schemas.begin(), schemas.end());
            path_ = &wider;
        }
        if (l.what == late_name::of::relation) {
            const auto how = l.how == verb::read ? access::read : access::write;
            const relation_use u{{}, l.name, how, l.columns, l.road, false, true};
            for (const index i :
                 meant(s_.relations(l.name), s_.source().relations, "", !schemas.empty()))
                add_use(i, l.how, u);
            inherit_all(l.name, u);
        } else if (l.what == late_name::of::any) {
            any("", l.name, l.road);
        } else {
            named(l.what, "", l.name, l.road);
        }
        // What the session made may stand before what the snapshot has.
        if (l.what != late_name::of::relation) inherit_all(l.name, {});
        path_ = before;
    }

    /// DDL may put another path before what it defines.
    [[nodiscard]] const std::vector<std::string>* late_path() const {
        // What a cursor WITH HOLD has left, COMMIT runs under the path of then.
        const bool held = std::ranges::any_of(in_.names, &name_use::with_hold);
        return in_.has(kind::ddl) || may_change_settings_ || held ? nullptr : path_;
    }

    void may_change_settings() {
        if (may_change_settings_) return;
        may_change_settings_ = true;
        const bool told = std::ranges::any_of(
            out_.settings, [](const setting_change& c) { return c.name.empty(); });
        if (!told) out_.settings.push_back({});
    }

    /// `a.b` that may be b(a), a call or a cast.
    void attribute(const attribute_use& a) {
        const std::string place = "." + a.name;
        if (sql::is_telling_attribute(a.name)) opaque(a.name + " may be called by a dot");
        if (s_.has_function_of_one(a.name)) named(late_name::of::function, "", a.name, place);
        named(late_name::of::type, "", a.name, place);
        inherit_all(a.name, {});
    }

    /// ALTER DOMAIN looks through every column of the domain; ALTER TYPE changes what those of an
    /// enum or a composite type say.
    void columns_of_type(const function_use& t, bool changes) {
        const auto& r = s_.source();
        for (const index k : meant(s_.types(t.name), r.types, t.schema, true))
            for (index i = 0; i < r.relations.size(); ++i)
                for (const auto& c : r.relations[i].columns)
                    if (c.type == r.types[k].id) {
                        const auto how = changes ? access::write : access::read;
                        const relation_use u{
                            {}, {}, how, {c.name}, "a column of the type", false, false, !changes};
                        add_use(i, changes ? verb::define : verb::read, u);
                    }
    }

    /// Types that the path puts before the server's of the same name, which no facts list.
    void namesakes() {
        const bool runs = in_.has(kind::read) || in_.has(kind::write) || in_.has(kind::ddl) ||
                          in_.has(kind::execute_code);
        if (!runs) return;
        for (const index t : s_.namesakes())
            if (path_ == nullptr || stands_before(*path_, s_.schema_of(s_.source().types[t])))
                namesake(t);
    }

    void namesake(index t) {
        const auto& name = s_.source().types[t].name;
        if (path_ == nullptr) whole_.path_matters = true;
        add(s_.of_type(t), "type " + name);
        // Constants were read as if their casts were the server's.
        if (name == "text" || name == "varchar" || name == "unknown" || name.starts_with("reg"))
            opaque("the type " + name + " may not be the server's");
    }

    [[nodiscard]] std::string call_place(index f) const {
        const auto& row = s_.source().functions[f];
        return "function " + std::string{s_.schema_of(row)} + "." + row.name;
    }

    void function(const function_use& f) {
        const auto& rows = s_.source().functions;
        if (const char* why = shows_statements(f)) opaque(why);
        const auto found = meant(s_.functions(f.name), rows, f.schema, true);
        for (const index i : found)
            add(s_.of_function(i), call_place(i));
        if (!found.empty() && names_.own_ddl) inherit_all(f.name, {});
        if (!found.empty()) return;
        if (f.schema == "pg_catalog" || f.schema == "information_schema") return;
        if (f.schema.empty() && s_.is_builtin_function(f.name)) return;
        // `t(x)` is a cast to t, `c(row)` the row's column c.
        const auto types = meant(s_.types(f.name), s_.source().types, f.schema, true);
        for (const index i : types)
            add(s_.of_type(i), "type " + f.name);
        if (!types.empty()) return;
        if (inherit_all(f.name, {})) return;
        if (f.schema.empty() && names_column(in_, s_, f.name)) return;
        if (in_.has(kind::ddl) && in_.command.find("function") != std::string::npos) return;
        whole_.unknown_name = true;
        opaque("no function " + (f.schema.empty() ? "" : f.schema + ".") + f.name + " is known");
    }

    void named(late_name::of what, std::string_view schema, std::string_view name,
               const std::string& place) {
        const auto& r = s_.source();
        if (what == late_name::of::function)
            for (const index i : meant(s_.functions(name), r.functions, schema, true))
                add(s_.of_function(i), place + call_place(i).insert(0, " → "));
        if (what == late_name::of::type)
            for (const index i : meant(s_.types(name), r.types, schema, true))
                add(s_.of_type(i), place);
        if (what == late_name::of::operator_)
            for (const index i : meant(s_.operators(name), r.operators, schema, true))
                add(s_.of_operator(i), place);
    }

    /// A word of a body of code may be anything of that name, and do anything with it.
    void any(std::string_view schema, const std::string& name, const std::string& place) {
        const auto& r = s_.source();
        for (const index i : meant(s_.relations(name), r.relations, schema, true)) {
            relation_use u;
            u.place = place;
            u.by_code = in_.has(kind::execute_code);
            add_use(i, verb::read, u);
            u.how = access::write;
            for (const verb v : {verb::insert, verb::update, verb::remove, verb::truncate})
                add_use(i, v, u);
        }
        for (const index i : meant(s_.functions(name), r.functions, schema, true))
            add(s_.of_function(i), place);
        for (const index i : meant(s_.types(name), r.types, schema, true))
            add(s_.of_type(i), place);
    }

    void mention(const function_use& m) {
        if (const char* why = reveals_any_table(m.schema, m.name)) opaque(why);
        if (const char* why = shows_statements(m)) opaque(why);
        any(m.schema, m.name, "code");
        inherit_all(m.name, {});
    }

    // What the session itself has made or changed (resolve_own.cpp).

    /// Its statements that made or changed something of that name.
    [[nodiscard]] const std::vector<statement_facts>& own_of(std::string_view name) const;
    /// What these reached, the statement reaches; false: there are none. `u`: the use of the name
    /// as a relation; without a name: it is code, or in code, and waits for the end, since one may
    /// lead to the next without bound.
    bool inherit_all(std::string_view name, const relation_use& u);
    void inherit_what_is_left();
    void inherit(const statement_facts& own, const relation_use& u);
    void inherit_relations(const statement_facts& own, const relation_use& u);
    void inherit_code(const statement_facts& own);
    /// The same of what stands on the roads of `r`: its definition may be the session's, and then
    /// rows that are written may be shown to it. `of`: see add().
    void inherit_on_the_way(const reach& r, const relation_use* of);
    void inherit_from_text(index f);
    void shown_to_code(std::string_view schema, const std::string& name);

    void keep(relation_use use) {
        if (use.name.empty()) return;
        std::string key = use.schema + '\0' + use.name + (use.how == access::write ? 'w' : 'r');
        const auto [at, fresh] = seen_.emplace(std::move(key), out_.relations.size());
        if (fresh) {
            if (out_.relations.size() >= relations_max) return opaque("it reaches too much");
            out_.relations.push_back(std::move(use));
            return;
        }
        take_in(out_.relations[at->second], std::move(use));
    }

    const statement_facts& in_;
    const std::vector<oid>& parameter_types_;
    const snapshot& s_;
    const session_names& names_;
    resolution& whole_;
    statement_facts out_;
    const std::vector<std::string>* path_ = nullptr;
    bool may_change_settings_ = false;
    std::unordered_map<std::string, std::size_t> seen_;
    std::unordered_set<std::string> late_seen_;
    std::unordered_set<std::string> inherited_;  // by name, see inherit_all
    std::vector<std::string> to_inherit_;
    std::unordered_set<index> texts_seen_;   // of functions, see inherit_from_text
    std::unordered_set<index> tables_seen_;  // see inherit_on_the_way
    std::size_t text_bytes_ = 0;
};

}  // namespace sallyport::policy::catalog
