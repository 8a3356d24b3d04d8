#include <algorithm>
#include <unordered_set>
#include <utility>

#include "policy/catalog/graph.h"
#include "policy/sql/analyse.h"

/// What reading, changing and defining a relation reaches.
namespace sallyport::policy::catalog {

namespace {

constexpr verb all_verbs[] = {verb::read,   verb::insert,   verb::update,
                              verb::remove, verb::truncate, verb::define};
constexpr verb writes[] = {verb::insert, verb::update, verb::remove, verb::truncate};

}  // namespace

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
        children_[h.parent].push_back(h.child);
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
        index place = at->second;
        const auto to = [&](std::initializer_list<verb> verbs) {
            std::vector<node> nodes;
            for (const verb v : verbs)
                nodes.push_back(relation_node(place, v));
            if (e.unreadable.empty()) {
                add_text(nodes, "SELECT " + e.text, {naming::how::qualified, {}});
                return;
            }
            for (const node n : nodes)
                opaque(n, "an expression of it cannot be read: " + e.unreadable);
        };
        const bool guarded = r_.relations[at->second].row_security;
        if (e.unreadable.empty()) add_columns_read(at->second, e);
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
                // Rows that go into a partition are held against the bounds of those above it.
                for (const index i : with_descendants(e.relation)) {
                    place = i;
                    to({verb::read, verb::insert, verb::update, verb::remove, verb::define});
                }
                break;
            // Row security may be turned on, which defines the table anew.
            case use::policy_using:
                // Without a WITH CHECK of its own it is one, too.
                if (guarded)
                    to({verb::read, verb::insert, verb::update, verb::remove, verb::define});
                else
                    to({verb::define});
                break;
            case use::policy_check:
                if (guarded)
                    to({verb::insert, verb::update, verb::define});
                else
                    to({verb::define});
                break;
        }
    }
}

void graph::add_triggers() {
    for (const auto& t : r_.triggers) {
        const auto add = [&](node from) {
            add_call(from, t.function);
            // Deferred, it looks its names up under the path of COMMIT.
            if (t.deferrable) own_[from].schemas.emplace_back(any_schema);
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
                 key_columns(from->second, k.referenced_columns)});
        // It runs as the owner of the table, whom "$user" of the path then means.
        if (k.delete_reaches) runs_as_owner(from->second, verb::remove);
        if (k.update_reaches) runs_as_owner(from->second, verb::update);
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

/// The relation and all that inherit from it, partitions of partitions too.
std::vector<index> graph::with_descendants(oid relation) const {
    std::vector<index> out;
    std::vector<oid> found{relation};
    std::unordered_set<oid> seen{relation};
    for (std::size_t k = 0; k < found.size(); ++k) {
        if (const auto at = s_.relations_by_oid_.find(found[k]); at != s_.relations_by_oid_.end())
            out.push_back(at->second);
        if (const auto at = children_.find(found[k]); at != children_.end())
            for (const oid child : at->second)
                if (seen.insert(child).second) found.push_back(child);
    }
    return out;
}

/// Late names behind this may be looked up as somebody else.
void graph::runs_as_owner(index relation, verb v) {
    auto& schemas = own_[relation_node(relation, v)].schemas;
    if (std::ranges::find(schemas, any_schema) == schemas.end()) schemas.emplace_back(any_schema);
}

}  // namespace sallyport::policy::catalog
