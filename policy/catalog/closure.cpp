#include <algorithm>
#include <deque>
#include <unordered_map>

#include "policy/catalog/graph.h"

/// The closure of one object: everything behind it, each with the shortest road to it.
namespace sallyport::policy::catalog {

namespace {

constexpr std::size_t nodes_max = 20'000;  // behind one object; more: opaque
constexpr std::size_t late_max = 2'000;
constexpr std::size_t road_bytes_max = 240;

/// Adds columns to a set in which empty means "all". True if it grew.
bool merge_columns(std::vector<std::string>& into, const std::vector<std::string>& more) {
    if (into.empty()) return false;
    if (more.empty()) {
        into.clear();
        return true;
    }
    bool grew = false;
    for (const auto& c : more)
        if (std::ranges::find(into, c) == into.end()) {
            into.push_back(c);
            grew = true;
        }
    return grew;
}

}  // namespace

reach graph::closure(node from) const {
    struct visit {
        node came_from = 0;
        bool inherits = false;
        bool same_columns = false;
        bool only_itself = false;
        std::vector<std::string> columns;
        std::vector<std::string> if_columns;
        bool from_root = false;
        bool by_code = false;
    };
    reach out;
    std::unordered_map<node, visit> seen;
    std::deque<node> todo;
    std::vector<node> order;

    const auto road_to = [&](node n) {
        std::vector<node> way;
        for (node at = n; at != from && way.size() < 64;) {
            at = seen.at(at).came_from;
            way.push_back(at);
        }
        std::string text;
        for (auto i = way.rbegin(); i != way.rend(); ++i) {
            const auto step = label(*i);
            if (text.size() + step.size() > road_bytes_max) {
                text += " → …";
                break;
            }
            if (text.ends_with(step)) continue;  // the same relation under another verb
            text += (text.empty() ? "" : " → ") + step;
        }
        return text;
    };
    // Comes to a node, again if more columns of it are reached than before.
    const auto enter = [&](node to, const visit& v) {
        const auto [at, fresh] = seen.emplace(to, v);
        if (fresh) {
            order.push_back(to);
            todo.push_back(to);
            return;
        }
        auto& known = at->second;
        bool more = false;
        if (!known.if_columns.empty() && known.if_columns != v.if_columns) {
            known.if_columns.clear();
            more = true;
        }
        if (known.same_columns != v.same_columns && known.same_columns) {
            known.same_columns = false;
            known.columns = {};
            more = true;
        } else if (!known.same_columns) {
            more = merge_columns(known.columns,
                                 v.same_columns ? std::vector<std::string>{} : v.columns) ||
                   more;
        }
        if (!known.by_code && v.by_code) known.by_code = more = true;
        if (known.inherits && !v.inherits) {
            known.inherits = false;
            more = true;
        }
        if (known.only_itself && !v.only_itself) {
            known.only_itself = false;
            more = true;
        }
        if (more) todo.push_back(to);
    };

    // What reads a relation may have to read more of it than was asked for.
    for (const auto& e : own_[from].edges) {
        const auto relation = relation_of(from);
        if (e.to != from || !relation) continue;
        reached r;
        r.relation = *relation;
        r.columns = e.columns;
        r.by_code = true;
        r.road = label(from);
        out.relations.push_back(std::move(r));
    }
    seen.emplace(from, visit{from, false, true, false, {}, {}, true});
    todo.push_back(from);
    order.push_back(from);
    while (!todo.empty()) {
        const node at = todo.front();
        todo.pop_front();
        const visit v = seen.at(at);
        if (v.only_itself) continue;
        if (seen.size() > nodes_max) {
            out.opaque.push_back({"it reaches too much", {}});
            break;
        }
        for (const auto& e : own_[at].edges) {
            visit next;
            next.came_from = at;
            next.by_code = v.by_code || (at >= functions_ && at < end_);
            next.inherits = at == from ? e.inherits : v.inherits;
            next.only_itself = e.only_itself;
            next.same_columns = e.same_columns && v.same_columns;
            next.columns = e.same_columns ? v.columns : e.columns;
            next.if_columns = at == from ? e.if_columns : v.if_columns;
            if (e.to != from) enter(e.to, next);
        }
    }

    for (const node n : order) {
        const auto& v = seen.at(n);
        const auto& o = own_[n];
        const auto road = n == from ? std::string{} : road_to(n);
        if (const auto relation = relation_of(n)) {
            reached r;
            r.relation = *relation;
            r.how = n >= end_ || n % verb_count == 0 ? access::read : access::write;
            r.same_columns = v.same_columns;
            r.columns = v.columns;
            r.if_columns = v.if_columns;
            r.inherits = v.inherits;
            r.by_code = v.by_code;
            r.road = road;
            out.relations.push_back(std::move(r));
        }
        if (n >= functions_ && n < types_) out.functions.push_back(n - functions_);
        if (n >= types_ && n < operators_) out.types.push_back(n - types_);
        if (v.only_itself) continue;
        const auto whole = n == from ? label(n) : road + " → " + label(n);
        for (const auto& d : o.opaque)
            out.opaque.push_back({whole + ": " + d.why, d.unless});
        for (const auto& l : o.late) {
            if (out.late.size() >= late_max) {
                out.opaque.push_back({whole + ": it names too much", {}});
                break;
            }
            out.late.push_back(l);
            out.late.back().road = whole;
        }
        for (const auto& schema : o.schemas)
            if (std::ranges::find(out.schemas, schema) == out.schemas.end())
                out.schemas.push_back(schema);
        out.changes_settings = out.changes_settings || o.changes_settings;
        out.strings_matter = out.strings_matter || o.strings_matter;
        out.literals_run_code = out.literals_run_code || o.literals_run_code;
        out.effects |= o.effects;
    }
    return out;
}

}  // namespace sallyport::policy::catalog
