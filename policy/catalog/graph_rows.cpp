#include <algorithm>
#include <utility>

#include "policy/catalog/graph.h"
#include "policy/catalog/row_code.h"
#include "policy/sql/analyse.h"

/// Which columns of a row the code gets that stands with its relation: triggers, rules, policies,
/// CHECKs. What it is given it can tell.
namespace sallyport::policy::catalog {

namespace {

std::string quoted(std::string_view name) {
    std::string out = "\"";
    for (const char c : name)
        out += c == '"' ? std::string{"\"\""} : std::string{c};
    return out + '"';
}

bool is_server_schema(std::string_view schema) noexcept {
    return schema.empty() || schema == "pg_catalog" || schema == "information_schema";
}

}  // namespace

/// Empty `columns`: all of them.
void graph::add_row_read(index relation, verb v, std::vector<std::string> columns) {
    own_[relation_node(relation, v)].edges.push_back(
        {relation_node(relation, verb::read), false, false, false, std::move(columns), {}});
}

/// Code that a user wrote and that may tell its arguments. Of a text that the server printed, so
/// every name that is not its own has a schema.
bool graph::calls_own_code(const statement_facts& s) const {
    const auto is_ours = [&](late_name::of what, const function_use& u) {
        if (is_server_schema(u.schema)) return false;
        const auto nodes = nodes_named(what, u.schema, u.name, verb::read);
        return std::ranges::any_of(nodes, [&](node n) {
            if (n >= operators_)
                return !is_harmless_extension(r_.operators[n - operators_].extension);
            if (n >= types_) {
                const auto& t = r_.types[n - types_];
                return t.kind != 'e' && t.kind != 'c' && !is_harmless_extension(t.extension);
            }
            return !is_harmless_extension(r_.functions[n - functions_].extension);
        });
    };
    using of = late_name::of;
    return std::ranges::any_of(s.functions, [&](auto& u) { return is_ours(of::function, u); }) ||
           std::ranges::any_of(s.operators, [&](auto& u) { return is_ours(of::operator_, u); }) ||
           std::ranges::any_of(s.types, [&](auto& u) { return is_ours(of::type, u); });
}

// A policy shows by the rows that it lets through what its columns hold. A CHECK or an index of the
// server's own functions shows nothing; one that calls a user's gives it the values.
void graph::add_columns_read(index relation, const expression_row& e) {
    using use = expression_row::use;
    const auto& r = r_.relations[relation];
    const bool policy = e.what == use::policy_using || e.what == use::policy_check;
    if (policy ? !r.row_security : e.what == use::default_value) return;
    const auto f = sql::analyse(
        "SELECT " + e.text + " FROM " + quoted(s_.schema_of(r)) + '.' + quoted(r.name), {});
    for (const auto& s : f->statements) {
        if (!policy && !calls_own_code(s)) continue;
        for (const auto& u : s.relations) {
            if (u.name != r.name || u.schema != s_.schema_of(r)) continue;
            if (u.columns.size() == 1 && u.columns.front() == no_column) continue;
            add_row_read(relation, verb::update, u.columns);
            // ANALYZE, REINDEX and what writes the table anew evaluate it for every row.
            if (e.what == use::index || e.what == use::statistics)
                add_row_read(relation, verb::define, u.columns);
            if (!policy || e.what == use::policy_check) continue;
            add_row_read(relation, verb::remove, u.columns);
            add_row_read(relation, verb::read, u.columns);
        }
    }
}

/// Triggers and rules, which get rows that were there before: what an INSERT brings is known to who
/// brings it.
void graph::add_row_code() {
    const auto add = [&](index relation, verb v, const row_use& row) {
        if (row.whole)
            add_row_read(relation, v, {});
        else if (!row.columns.empty())
            add_row_read(relation, v, row.columns);
    };
    for (const auto& t : r_.triggers) {
        const auto at = s_.relations_by_oid_.find(t.relation);
        if (at == s_.relations_by_oid_.end() || (!t.sees_rows && t.condition.empty())) continue;
        row_use row;
        const auto f = s_.functions_by_oid_.find(t.function);
        if (f != s_.functions_by_oid_.end() && t.sees_rows) {
            const auto& code = r_.functions[f->second];
            row = columns_read(code.source);
            if (code.language != "plpgsql") row = {};
            row.whole = row.whole || t.transition || code.extension == "tcn";
        }
        if (!t.condition.empty()) {
            const auto condition = sql::analyse("SELECT " + t.condition, {});
            const auto tested = columns_read(t.condition);
            if (std::ranges::any_of(condition->statements,
                                    [&](const auto& s) { return calls_own_code(s); })) {
                row.whole = row.whole || tested.whole;
                row.columns.insert(row.columns.end(), tested.columns.begin(), tested.columns.end());
            }
        }
        if (t.on_update) add(at->second, verb::update, row);
        if (t.on_delete) add(at->second, verb::remove, row);
    }
    for (const auto& rule : r_.rules) {
        const auto at = s_.relations_by_oid_.find(rule.relation);
        if (at == s_.relations_by_oid_.end() || r_.relations[at->second].kind == 'v') continue;
        if (rule.event == '2') add(at->second, verb::update, columns_read(rule.definition));
        if (rule.event == '4') add(at->second, verb::remove, columns_read(rule.definition));
    }
}

/// A trigger may give one of these columns of a row that is updated another value.
bool graph::a_trigger_sets(index relation, const std::vector<std::string>& columns) const {
    return std::ranges::any_of(r_.triggers, [&](const trigger_row& t) {
        if (t.relation != r_.relations[relation].id || !t.before || !t.on_update) return false;
        const auto f = s_.functions_by_oid_.find(t.function);
        if (f == s_.functions_by_oid_.end()) return false;  // the server's own set no key
        const auto& code = r_.functions[f->second];
        return code.language != "plpgsql" ||
               std::ranges::any_of(columns, [&](const auto& c) { return may_set(code.source, c); });
    });
}

/// Columns that an UPDATE has to set to change one of these; empty: any UPDATE may.
std::vector<std::string> graph::key_columns(index relation,
                                            const std::vector<std::string>& key) const {
    auto out = key;
    for (const auto& c : key) {
        const auto parts = s_.made_of(relation, c);
        out.insert(out.end(), parts.begin(), parts.end());
    }
    if (a_trigger_sets(relation, out)) out.clear();
    return out;
}

}  // namespace sallyport::policy::catalog
