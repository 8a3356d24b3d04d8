#include "tests/oracle/writer.h"

#include <algorithm>

#include "tests/oracle/fragments.h"

namespace sallyport::tests::oracle {

namespace {

const std::string four_columns = "1 as id, 2 as k, 3 as x, 4 as secret";

}  // namespace

std::string writer::bare_or_not(const std::string& schema, const std::string& name) {
    const bool reachable = std::ranges::find(options_.path, schema) != options_.path.end();
    if (schema == "pg_temp") return percent(70) ? name : "pg_temp." + name;
    return reachable && percent(50) ? name : schema + "." + name;
}
std::string writer::name(const relation_name& r) {
    return bare_or_not(r.schema, r.name);
}
std::string writer::name(const routine_name& r) {
    return bare_or_not(r.schema, r.name);
}

const relation_name& writer::readable() {
    for (int i = 0; i < 50; ++i) {
        const auto& r = random_.pick(world_.relations);
        if (r.level < options_.level && r.kind != 'i') return r;
    }
    return world_.relations.front();
}

const relation_name* writer::writable(bool merge) {
    for (int i = 0; i < 50; ++i) {
        const auto& r = random_.pick(world_.relations);
        if (r.writable && r.level < options_.level && !(merge && r.kind == 'v')) return &r;
    }
    return nullptr;
}

const routine_name* writer::one_of(const std::vector<routine_name>& list) {
    if (list.empty() || !options_.functions) return nullptr;
    for (int i = 0; i < 10; ++i) {
        const auto& r = random_.pick(list);
        if (r.level < options_.level) return &r;
    }
    return nullptr;
}

std::string writer::leaf() {
    if (scope_.empty() || percent(25)) return number();
    const auto& s = random_.pick(scope_);
    static const std::vector<std::string> columns{"id", "k", "x", "x", "secret"};
    const auto& c = percent(20) ? columns.back() : random_.pick(columns);
    // In a view the server wants rights on the whole row for this, and delivers one column.
    const bool whole_row = options_.level == level_all && percent(10);
    return whole_row ? "(" + s.alias + ")." + c : s.alias + "." + c;
}

std::string writer::call(int depth) {
    if (!scope_.empty() && percent(25)) {
        for (const auto& s : scope_)
            for (const auto& f : world_.of_rows)
                if (options_.functions && f.level < options_.level && f.row_of == s.relation)
                    return percent(50) ? name(f) + "(" + s.alias + ")" : s.alias + "." + f.name;
    }
    const auto* f = one_of(options_.writes && percent(15) ? world_.writers : world_.scalars);
    if (f == nullptr) return number();
    return name(*f) + "(" + value(depth - 1) + ")";
}

std::string writer::value(int depth) {
    const auto made = [&]() -> std::string {
        if (depth <= 0) return leaf();
        const auto row = [&] { return random_.pick(scope_).alias; };
        switch (random_.below(17)) {
            case 0:
            case 1:
                return "(" + column(depth - 1) + ")";
            case 2:
                return "coalesce(" + value(depth - 1) + ", " + value(depth - 1) + ")";
            case 3:
                return "(case when " + condition(depth - 1) + " then " + value(depth - 1) +
                       " else 0 end)";
            case 4:
            case 5:
                return call(depth);
            case 6:
                if (!options_.functions || world_.operators.empty()) return leaf();
                return "(" + value(depth - 1) + " operator(alpha." +
                       random_.pick(world_.operators) + ") " + value(depth - 1) + ")";
            case 7: {
                if (!options_.functions || world_.wrappers.empty()) return leaf();
                const auto& w = random_.pick(world_.wrappers);
                return w.before + value(depth - 1) + w.after;
            }
            case 8:
                if (scope_.empty()) return leaf();
                return "length(" + row() + (percent(50) ? "::text)" : ".*::text)");
            case 9:
                return "coalesce((array(" + column(depth - 1) + "))[1], 0)";
            case 10: {
                const auto* f = one_of(world_.aggregates);
                if (f == nullptr) return leaf();
                return "(select " + name(*f) + "(z.x) from (" + query(depth - 1) + ") z)";
            }
            case 11:
                return "(" + value(depth - 1) + " + " + value(depth - 1) + ")";
            default:
                return leaf();
        }
    };
    return mark(part::value, made());
}

std::string writer::condition(int depth) {
    const auto made = [&]() -> std::string {
        switch (depth <= 0 ? random_.below(3) : random_.below(8)) {
            case 0:
                return "true";
            case 1:
            case 2:
                return value(depth - 1) + " >= " + leaf();
            case 3:
                return "exists (" + query(depth - 1) + ")";
            case 4:
                return value(depth - 1) + " in (" + column(depth - 1) + ")";
            case 5:
                return value(depth - 1) + " > any (" + column(depth - 1) + ")";
            case 6:
                return "(" + condition(depth - 1) + " or " + condition(depth - 1) + ")";
            default:
                return "not (" + condition(depth - 1) + ")";
        }
    };
    return mark(part::condition, made());
}

std::string writer::column(int depth) {
    const auto outer = scope_;
    std::string out;
    const auto items = from(depth - 1);
    switch (random_.below(4)) {
        case 0:
            out = "select count(*)::int" + items;
            break;
        case 1:
            out = "select sum(" + scope_.back().alias + ".x)::int" + items;
            break;
        default:
            out = "select " + value(depth - 1) + items;
    }
    if (percent(40)) out += mark(part::optional, " where " + condition(depth - 1));
    scope_ = outer;
    return mark(part::column, out + " limit 1");
}

std::string writer::item(int depth, bool lateral) {
    const auto named = alias();
    std::string out;
    source s{named, ""};
    const auto kind = depth <= 0 ? 0 : random_.below(12);
    if (kind == 7 || kind == 8) {
        const auto outer = scope_;
        if (!lateral) scope_.clear();
        out = "(" + query(depth - 1) + ")";
        scope_ = outer;
        if (lateral) out = "lateral " + out;
    } else if (kind == 9 && one_of(world_.sets) != nullptr) {
        const auto outer = scope_;
        if (!lateral) scope_.clear();
        if (const auto* f = one_of(world_.sets)) {
            const auto called = name(*f) + "(" + value(depth - 2) + ")";
            out = percent(20) ? "rows from (" + called + ")" : called;
        } else {
            out = "(select " + four_columns + ")";
        }
        scope_ = outer;
    } else if (kind == 10 && !ctes_.empty()) {
        out = random_.pick(ctes_);
    } else if (kind == 11) {
        out = "(values (1, 2, 3, 4))";
        scope_.push_back(s);
        return mark(part::item, out) + " as " + named + "(id, k, x, secret)";
    } else {
        const auto& r = readable();
        s.relation = r.qualified();
        const bool only = (r.kind == 'r' || r.kind == 'p') && percent(6);
        out = (only ? "only " : "") + name(r);
        if (r.kind == 'r' && !only && percent(4)) {
            scope_.push_back(s);
            return mark(part::item, out) + " " + named + " tablesample system (100)";
        }
    }
    scope_.push_back(s);
    return mark(part::item, out) + " " + named;
}

std::string writer::from(int depth) {
    std::string out = " from " + item(depth, false);
    int more = 0;
    while (percent(30) && ++more < 3) {
        const bool lateral = percent(40);
        const auto next = item(depth - 1, lateral);
        std::string joined = percent(30)   ? ", " + next
                             : percent(30) ? " cross join " + next
                                           : std::string{percent(30) ? " left" : ""} + " join " +
                                                 next + " on " + condition(depth - 2);
        out += joined;
    }
    return out;
}

std::string writer::with(int depth) {
    // Sometimes under the name of a table, which it then hides from what follows, not from itself.
    const auto& hidden = readable();
    const auto named = percent(25) ? hidden.name : "c" + std::to_string(aliases_++);
    const auto outer = scope_;
    scope_.clear();
    const auto inner = query(depth - 1);
    scope_ = outer;
    ctes_.push_back(named);
    const char* how = percent(20) ? " as materialized (" : " as (";
    if (percent(10))
        return "with recursive " + named + "(id, k, x, secret) as (" + inner + " union select " +
               "y.id + 1, y.k, y.x, y.secret from " + named + " y where y.id < 3) ";
    return "with " + named + how + inner + ") ";
}

std::string writer::select(int depth) {
    const auto outer = scope_;
    const auto items = from(depth - 1);
    const auto& s = scope_[outer.size() + random_.below(scope_.size() - outer.size())];
    std::string list;
    if (percent(25)) {
        list = s.alias + ".id, " + s.alias + ".k, " + s.alias + ".x, " + s.alias + ".secret";
    } else {
        const bool plain_secret = percent(80);
        list = value(depth - 1) + " as id, " + leaf() + " as k, " + value(depth - 1) + " as x, " +
               (plain_secret ? number() : leaf()) + " as secret";
    }
    std::string out = "select " + std::string{percent(8) ? "distinct " : ""} + list + items;
    if (percent(50)) out += mark(part::optional, " where " + condition(depth - 1));
    if (percent(10)) out += mark(part::optional, " order by " + leaf() + " + 1");
    if (percent(10)) out += mark(part::optional, " limit 2");
    scope_ = outer;
    return out;
}

std::string writer::query(int depth) {
    const auto ctes = ctes_;
    std::string out;
    if (depth <= 0 && percent(40)) {
        const auto& r = readable();
        out = "select id, k, x, secret from " + mark(part::item, name(r)) + " t";
    } else if (percent(10)) {
        const auto left = select(depth);
        const char* how = percent(60) ? " union all " : percent(50) ? " except " : " intersect ";
        out = "(" + left + ")" + how + "(" + select(depth - 1) + ")";
    } else if (depth > 1 && percent(12)) {
        const auto outer = scope_;
        out = with(depth);
        out += select(depth);
        scope_ = outer;
    } else {
        out = select(depth);
    }
    ctes_ = ctes;
    return mark(part::query, out);
}

std::string writer::returning(int depth, const source& of) {
    if (!percent(30)) return "";
    const auto outer = scope_;
    scope_ = {of};
    const auto out = mark(part::optional, " returning " + value(depth));
    scope_ = outer;
    return out;
}

std::string writer::insert(int depth) {
    const auto* r = writable(false);
    if (r == nullptr) return "select 1";
    std::string out =
        "insert into " + name(*r) + " as w (id, k, x" + std::string{percent(20) ? ", secret" : ""};
    const bool secret = out.ends_with("secret");
    out += ") ";
    const auto outer = scope_;
    scope_.clear();
    const std::string id = std::to_string(1'000 + random_.below(1'000'000));
    if (percent(40))
        out += "values (" + id + ", " + number() + ", " + value(depth) +
               (secret ? ", " + value(depth) : "") + ")";
    else
        out += "select q.id + " + id + ", q.k, q.x" + (secret ? ", q.secret" : "") + " from (" +
               query(depth) + ") q";
    if (percent(20) && r->kind != 'v') out += " on conflict do nothing";
    out += returning(depth - 1, {"w", r->qualified()});
    scope_ = outer;
    return out;
}

std::string writer::change(int depth) {
    const auto outer = scope_;
    scope_.clear();
    std::string out;
    const auto kind = random_.below(10);
    const auto* r = writable(kind == 9);
    if (r == nullptr) return "select 1";
    const source target{"w", r->qualified()};
    if (kind < 3) {
        out = insert(depth);
    } else if (kind < 6) {
        std::string items;
        if (percent(40)) items = from(depth - 1);
        scope_.push_back(target);
        out = "update " + name(*r) + " w set x = " + value(depth) + items;
        if (percent(70)) out += mark(part::optional, " where " + condition(depth - 1));
        out += returning(depth - 1, target);
    } else if (kind < 9) {
        std::string items;
        if (percent(40)) items = " using" + from(depth - 1).substr(5);
        scope_.push_back(target);
        out = "delete from " + name(*r) + " w" + items;
        if (percent(70)) out += mark(part::optional, " where " + condition(depth - 1));
        out += returning(depth - 1, target);
    } else {
        const auto items = item(depth, false);
        scope_.push_back(target);
        out = "merge into " + name(*r) + " w using " + items + " on w.id = " + leaf();
        if (percent(60)) out += " when matched and w.k > 1 then update set x = " + value(depth - 1);
        if (percent(30)) out += " when matched then delete";
        scope_.pop_back();
        out += " when not matched then insert (id, k, x) values (7, 1, " + value(depth - 1) + ")";
    }
    scope_ = outer;
    return out;
}

}  // namespace sallyport::tests::oracle
