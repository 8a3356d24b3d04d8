#include "policy/sql/columns.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "policy/facts.h"
#include "policy/sql/functions_table.h"
#include "policy/sql/identifier.h"

/// The server's rules for names of columns, without its catalog: levels of queries, each with the
/// items of its FROM.
namespace sallyport::policy::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

constexpr std::size_t mentions_max = 200'000;  // of columns, in one statement
constexpr std::size_t steps_max = 20'000'000;  // in looking names up

/// As the server compares names.
std::string_view cut(const char* name) {
    if (name == nullptr) return {};
    const std::string_view whole = name;
    return whole.size() < identifier_bytes_max ? whole
                                               : whole.substr(0, cut_identifier(whole).size());
}
std::string_view cut(std::string_view name) {
    return name.size() < identifier_bytes_max ? name : name.substr(0, cut_identifier(name).size());
}

/// Names in the order in which they are first met.
struct name_list {
    std::vector<std::string_view> order;
    std::unordered_set<std::string_view> seen;

    bool add(std::string_view name) {
        if (!seen.insert(name).second) return false;
        order.push_back(name);
        return true;
    }
};

/// Something in FROM that a name can stand for.
struct item {
    std::string_view name;
    const PgQuery__RangeVar* table = nullptr;  // null: a subquery, a function, a join
    std::size_t first = 0, last = 0;           // of a join: the items that it joins
    /// Its name may be invisible where the level's others are not.
    bool hidden = false;
    bool all = false;  // columns of the table
    name_list columns = {};
    const PgQuery__Node* source = nullptr;  // of a subquery or a function
    const PgQuery__Alias* alias = nullptr;
};

/// One query: the items whose columns can be seen in it, and what surrounds it.
struct level {
    level* outer = nullptr;
    std::vector<item> items;
    std::unordered_multimap<std::string_view, std::size_t> by_name;
    name_list names;  // unqualified
    /// While FROM itself is read its items see each other only in part, so that a name may be one
    /// of an outer level although an item has it.
    bool in_from = false;
};

/// The name that the server gives a target, where that is plain.
std::string_view output_name(const PgQuery__Node* n) {
    if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET) return {};
    const PgQuery__ResTarget& t = *n->res_target;
    if (t.name != nullptr && *t.name != '\0') return cut(t.name);
    if (t.val == nullptr) return {};
    if (t.val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF) {
        const PgQuery__ColumnRef& c = *t.val->column_ref;
        return c.n_fields == 0 ? std::string_view{} : cut(string_of(c.fields[c.n_fields - 1]));
    }
    if (t.val->node_case == PG_QUERY__NODE__NODE_FUNC_CALL) {
        const PgQuery__FuncCall& f = *t.val->func_call;
        return f.n_funcname == 0 ? std::string_view{}
                                 : cut(string_of(f.funcname[f.n_funcname - 1]));
    }
    return {};
}

bool has_output(const PgQuery__SelectStmt* s, std::string_view name) {
    while (s != nullptr && s->op != PG_QUERY__SET_OPERATION__SETOP_NONE)
        s = s->larg;
    return s != nullptr &&
           std::any_of(s->target_list, s->target_list + s->n_target_list,
                       [&](const PgQuery__Node* n) { return output_name(n) == name; });
}

/// The text gives the item a column of that name.
bool says(const item& i, std::string_view column) {
    const auto is = [&](const PgQuery__Node* n) { return cut(string_of(n)) == column; };
    if (i.alias != nullptr && i.alias->n_colnames > 0)
        return std::any_of(i.alias->colnames, i.alias->colnames + i.alias->n_colnames, is);
    if (i.source == nullptr) return false;
    if (i.source->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION) {
        const PgQuery__RangeFunction& f = *i.source->range_function;
        return std::any_of(f.coldeflist, f.coldeflist + f.n_coldeflist, [&](const auto* n) {
            return n->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF &&
                   cut(n->column_def->colname) == column;
        });
    }
    const PgQuery__Node* q = i.source->range_subselect->subquery;
    return q != nullptr && q->node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
           has_output(q->select_stmt, column);
}

std::vector<std::string> strings(const name_list& a, const name_list* b) {
    std::vector<std::string> out{a.order.begin(), a.order.end()};
    if (b != nullptr)
        for (const std::string_view name : b->order)
            if (!a.seen.contains(name)) out.emplace_back(name);
    if (out.empty()) out.emplace_back(no_column);
    return out;
}

}  // namespace

/// Fills a column_map.
class column_pass {
  public:
    explicit column_pass(column_map& out) : out_(out) {}

    void message(const ProtobufCMessage& m) {
        if (full_) return;
        if (m.descriptor != &pg_query__node__descriptor) return expression(case_of(m), m);
        const auto& n = as<PgQuery__Node>(m);
        if (const ProtobufCMessage* in = inside(n)) expression(n.node_case, *in);
    }

  private:
    using columns_of = std::optional<name_list>;  // nothing: all of them

    void node(const PgQuery__Node* n) {
        if (n != nullptr) message(n->base);
    }
    void nodes(std::size_t n, PgQuery__Node* const* list) {
        for (std::size_t i = 0; i < n; ++i)
            node(list[i]);
    }
    void members(const ProtobufCMessage& m, std::initializer_list<std::size_t> except = {}) {
        for_each_member(m, except, [this](const ProtobufCMessage& member) { message(member); });
    }

    void expression(node_case c, const ProtobufCMessage& m) {
        switch (c) {
            case PG_QUERY__NODE__NODE_SELECT_STMT:
                return select(as<PgQuery__SelectStmt>(m), false);
            case PG_QUERY__NODE__NODE_INSERT_STMT:
                return insert(as<PgQuery__InsertStmt>(m));
            case PG_QUERY__NODE__NODE_UPDATE_STMT:
                return update(as<PgQuery__UpdateStmt>(m));
            case PG_QUERY__NODE__NODE_DELETE_STMT:
                return remove(as<PgQuery__DeleteStmt>(m));
            case PG_QUERY__NODE__NODE_MERGE_STMT:
                return merge(as<PgQuery__MergeStmt>(m));
            case PG_QUERY__NODE__NODE_COLUMN_REF:
                return column(as<PgQuery__ColumnRef>(m));
            case PG_QUERY__NODE__NODE_SUB_LINK:
                return sub_link(as<PgQuery__SubLink>(m));
            case PG_QUERY__NODE__NODE_RANGE_SUBSELECT: {
                const auto& r = as<PgQuery__RangeSubselect>(m);
                level* const here = current_;
                if (here != nullptr && r.lateral == 0) current_ = here->outer;
                node(r.subquery);
                current_ = here;
                return;
            }
            case PG_QUERY__NODE__NODE_INDEX_ELEM:
                unqualified(cut(as<PgQuery__IndexElem>(m).name));
                return members(m);
            case PG_QUERY__NODE__NODE_TYPE_NAME:  // its modifiers look like columns
            case PG_QUERY__NODE__NODE_RANGE_VAR:
            case PG_QUERY__NODE__NODE_STRING:
            case PG_QUERY__NODE__NODE_A_CONST:
            case PG_QUERY__NODE__NODE_LOCKING_CLAUSE:
            case PG_QUERY__NODE__NODE_INTO_CLAUSE:
                return;
            default:
                return members(m);
        }
    }

    // ---- statements ----------------------------------------------------------------------------

    void select(const PgQuery__SelectStmt& s, bool star_is_nothing) {
        if (s.with_clause != nullptr) members(s.with_clause->base);
        if (s.op != PG_QUERY__SET_OPERATION__SETOP_NONE) {
            if (s.larg != nullptr) select(*s.larg, false);
            if (s.rarg != nullptr) select(*s.rarg, false);
        }
        level here;
        enter(here);
        collect(s.n_from_clause, s.from_clause);
        nodes(s.n_distinct_clause, s.distinct_clause);
        for (std::size_t i = 0; i < s.n_target_list; ++i)
            if (!star_is_nothing || !is_star(s.target_list[i])) node(s.target_list[i]);
        from(s.n_from_clause, s.from_clause);
        members(s.base,
                {offsetof(PgQuery__SelectStmt, with_clause), offsetof(PgQuery__SelectStmt, larg),
                 offsetof(PgQuery__SelectStmt, rarg), offsetof(PgQuery__SelectStmt, from_clause),
                 offsetof(PgQuery__SelectStmt, target_list),
                 offsetof(PgQuery__SelectStmt, distinct_clause)});
        leave();
    }

    void insert(const PgQuery__InsertStmt& s) {
        if (s.with_clause != nullptr) members(s.with_clause->base);
        node(s.select_stmt);  // sees nothing of the target
        if (s.relation == nullptr) return;
        columns_of written;
        if (s.n_cols > 0) {
            written.emplace();
            names_of_targets(s.n_cols, s.cols, *written);
        }
        level here;
        enter(here);
        table(*s.relation, false);
        if (const auto* conflict = s.on_conflict_clause) {
            here.by_name.emplace("excluded", here.items.size());
            here.items.push_back({.name = "excluded", .first = 0, .last = 1, .hidden = true});
            if (written) names_of_targets(conflict->n_target_list, conflict->target_list, *written);
            members(conflict->base);
        }
        nodes(s.n_returning_list, s.returning_list);
        // Subscripts of the columns.
        nodes(s.n_cols, s.cols);
        write(*s.relation, written);
        leave();
    }

    void update(const PgQuery__UpdateStmt& s) {
        if (s.with_clause != nullptr) members(s.with_clause->base);
        if (s.relation == nullptr) return;
        columns_of written{std::in_place};
        names_of_targets(s.n_target_list, s.target_list, *written);
        level here;
        enter(here);
        table(*s.relation, false);
        collect(s.n_from_clause, s.from_clause);
        from(s.n_from_clause, s.from_clause);
        members(s.base, {offsetof(PgQuery__UpdateStmt, with_clause),
                         offsetof(PgQuery__UpdateStmt, relation),
                         offsetof(PgQuery__UpdateStmt, from_clause)});
        write(*s.relation, written);
        leave();
    }

    void remove(const PgQuery__DeleteStmt& s) {
        if (s.with_clause != nullptr) members(s.with_clause->base);
        level here;
        enter(here);
        if (s.relation != nullptr) table(*s.relation, false);
        collect(s.n_using_clause, s.using_clause);
        from(s.n_using_clause, s.using_clause);
        members(s.base, {offsetof(PgQuery__DeleteStmt, with_clause),
                         offsetof(PgQuery__DeleteStmt, relation),
                         offsetof(PgQuery__DeleteStmt, using_clause)});
        leave();
    }

    void merge(const PgQuery__MergeStmt& s) {
        if (s.with_clause != nullptr) members(s.with_clause->base);
        if (s.relation == nullptr) return;
        columns_of written{std::in_place};
        for (std::size_t i = 0; i < s.n_merge_when_clauses; ++i) {
            const PgQuery__Node* n = s.merge_when_clauses[i];
            if (n->node_case != PG_QUERY__NODE__NODE_MERGE_WHEN_CLAUSE) continue;
            const PgQuery__MergeWhenClause& w = *n->merge_when_clause;
            const bool names_none = w.n_target_list == 0;
            if (w.command_type == PG_QUERY__CMD_TYPE__CMD_NOTHING) continue;
            if (names_none) written.reset();
            if (written) names_of_targets(w.n_target_list, w.target_list, *written);
        }
        level here;
        enter(here);
        table(*s.relation, false);
        if (s.source_relation != nullptr) collect(1, &s.source_relation);
        here.in_from = true;  // a branch hides the target or the source
        members(s.base, {offsetof(PgQuery__MergeStmt, with_clause),
                         offsetof(PgQuery__MergeStmt, relation)});
        write(*s.relation, written);
        leave();
    }

    // ---- levels --------------------------------------------------------------------------------

    void enter(level& here) {
        here.outer = current_;
        current_ = &here;
    }

    /// INVARIANT: a level is left once, by the function that entered it.
    void leave() {
        level& here = *current_;
        current_ = here.outer;
        for (item& i : here.items) {
            if (i.table == nullptr || i.all) continue;
            spend(i.columns.order.size() + here.names.order.size());
            if (full_) return;
            out_.read_.emplace(i.table, strings(i.columns, &here.names));
        }
        if (current_ == nullptr) return;
        for (const std::string_view name : here.names.order)
            unqualified(name);
    }

    /// The items of FROM.
    void collect(std::size_t n, PgQuery__Node* const* list) {
        for (std::size_t i = 0; i < n; ++i)
            collect(list[i], false);
    }

    void collect(const PgQuery__Node* n, bool hidden) {
        if (n == nullptr) return;
        switch (n->node_case) {
            case PG_QUERY__NODE__NODE_RANGE_VAR:
                return table(*n->range_var, hidden);
            case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE:
                return collect(n->range_table_sample->relation, hidden);
            case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
                return other(n->range_subselect->alias, hidden, n);
            case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
                return other(n->range_function->alias, hidden, n);
            case PG_QUERY__NODE__NODE_RANGE_TABLE_FUNC:
                return other(n->range_table_func->alias, hidden);
            case PG_QUERY__NODE__NODE_JOIN_EXPR:
                return join(*n->join_expr, hidden);
            default:
                return;
        }
    }

    void table(const PgQuery__RangeVar& rv, bool hidden) {
        item i{.name = cut(rv.alias != nullptr ? rv.alias->aliasname : rv.relname),
               .table = &rv,
               .hidden = hidden};
        // New names for its columns, which the text does not connect with the old ones.
        i.all = rv.alias != nullptr && rv.alias->n_colnames > 0;
        i.alias = rv.alias;
        add(std::move(i));
    }

    void other(const PgQuery__Alias* alias, bool hidden, const PgQuery__Node* source = nullptr) {
        if (alias != nullptr)
            add({.name = cut(alias->aliasname),
                 .hidden = hidden,
                 .source = source,
                 .alias = alias});
    }

    void join(const PgQuery__JoinExpr& j, bool hidden) {
        const std::size_t first = current_->items.size();
        const bool hides = hidden || j.alias != nullptr;
        collect(j.larg, hides);
        collect(j.rarg, hides);
        const std::size_t last = current_->items.size();
        const bool renames = j.alias != nullptr && j.alias->n_colnames > 0;
        if (j.is_natural != 0 || renames) all_of(*current_, first, last);
        for (std::size_t i = 0; i < j.n_using_clause; ++i)
            unqualified(cut(string_of(j.using_clause[i])));
        if (j.join_using_alias != nullptr) other(j.join_using_alias, hides);
        if (j.alias != nullptr)
            add({.name = cut(j.alias->aliasname), .first = first, .last = last, .hidden = hidden});
    }

    void add(item i) {
        current_->by_name.emplace(i.name, current_->items.size());
        current_->items.push_back(std::move(i));
    }

    void from(std::size_t n, PgQuery__Node* const* list) {
        current_->in_from = true;
        nodes(n, list);
        current_->in_from = false;
    }

    // ---- names ---------------------------------------------------------------------------------

    static bool is_star(const PgQuery__Node* n) {
        if (n->node_case != PG_QUERY__NODE__NODE_RES_TARGET) return false;
        const PgQuery__Node* val = n->res_target->val;
        if (val == nullptr || val->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) return false;
        const PgQuery__ColumnRef& c = *val->column_ref;
        return c.n_fields > 0 && c.fields[c.n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
    }

    /// Only whether there is a row matters to EXISTS, as long as its list decides nothing else.
    void sub_link(const PgQuery__SubLink& s) {
        const PgQuery__Node* q = s.subselect;
        const bool exists = s.sub_link_type == PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK &&
                            q != nullptr && q->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
        if (!exists) return members(s.base);
        const PgQuery__SelectStmt& select_stmt = *q->select_stmt;
        select(select_stmt, select_stmt.op == PG_QUERY__SET_OPERATION__SETOP_NONE &&
                                select_stmt.n_distinct_clause == 0 &&
                                select_stmt.n_group_clause == 0 &&
                                select_stmt.having_clause == nullptr);
    }

    void column(const PgQuery__ColumnRef& ref) {
        if (current_ == nullptr || ref.n_fields == 0) return;
        const auto fields = strings_of(ref.n_fields, ref.fields);
        const std::string_view last = cut(fields.back());  // "" is a star
        if (fields.size() == 1) {
            if (last.empty()) return all_of(*current_, 0, current_->items.size());
            unqualified(last);
            for (level* l = current_; l != nullptr && !full_; l = l->outer)  // a whole row
                named(*l, last, [this, l](item& i) { mention(*l, i, {}); });
            return;
        }
        const std::string_view name = cut(fields[fields.size() - 2]);
        const std::string_view schema =
            fields.size() > 2 ? cut(fields[fields.size() - 3]) : std::string_view{};
        const std::string_view shown = shows_whole_row(last) ? std::string_view{} : last;
        std::size_t candidates = 0;
        for (level* l = current_; l != nullptr && !full_; l = l->outer) {
            bool found = false;
            named(*l, name, [&](item& i) {
                if (!schema.empty() && !may_be_of(i, schema)) return;
                mention(*l, i, shown);
                if (++candidates == 1) of_item(ref, *l, i, last);
                found = found || (schema.empty() && !i.hidden);
            });
            if (found && !l->in_from) break;
        }
        if (candidates < 2 && !full_) return;
        out_.owners_.erase(&ref);
        out_.certain_.erase(&ref);
    }

    /// Notes what is known of `a.b` when a is the item.
    void of_item(const PgQuery__ColumnRef& ref, const level& l, const item& i,
                 std::string_view column) {
        if (column.empty()) return;
        if (i.source != nullptr) step(16);
        const item& base =
            i.table == nullptr && i.name == "excluded" && i.last == 1 ? l.items[i.first] : i;
        const bool renamed = base.alias != nullptr && base.alias->n_colnames > 0;
        if (says(i, column))
            out_.certain_.insert(&ref);
        else if (base.table != nullptr && !renamed)
            out_.owners_.emplace(&ref, base.table);
    }

    static bool may_be_of(const item& i, std::string_view schema) {
        if (i.table == nullptr) return i.name == "excluded";
        if (i.table->alias != nullptr) return false;
        const std::string_view own = cut(i.table->schemaname);
        return own.empty() || own == schema;
    }

    template <class F>
    void named(level& l, std::string_view name, F&& f) {
        step(1);
        const auto [begin, end] = l.by_name.equal_range(name);
        for (auto at = begin; at != end && !full_; ++at) {
            step(1);
            f(l.items[at->second]);
        }
    }

    void unqualified(std::string_view name) {
        if (current_ != nullptr && !name.empty() && current_->names.add(name)) spend(1);
    }

    /// `column` empty: all of them.
    void mention(level& l, item& i, std::string_view column) {
        mention(i, column);
        step(i.last - i.first);
        for (std::size_t k = i.first; k < i.last && !full_; ++k)
            mention(l.items[k], column);
    }

    void mention(item& i, std::string_view column) {
        if (i.table == nullptr) return;
        if (column.empty())
            i.all = true;
        else if (i.columns.add(column))
            spend(1);
    }

    void all_of(level& l, std::size_t first, std::size_t last) {
        step(last - first);
        for (std::size_t k = first; k < last && !full_; ++k)
            l.items[k].all = true;
    }

    void names_of_targets(std::size_t n, PgQuery__Node* const* list, name_list& out) {
        for (std::size_t i = 0; i < n; ++i)
            if (list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET) {
                const std::string_view name = cut(list[i]->res_target->name);
                if (!name.empty() && out.add(name)) spend(1);
            }
    }

    void write(const PgQuery__RangeVar& rv, const columns_of& written) {
        if (written && !full_) out_.written_.emplace(&rv, strings(*written, nullptr));
    }

    void spend(std::size_t n) {
        spent_ += n;
        if (spent_ > mentions_max) give_up();
    }
    void step(std::size_t n) {
        steps_ += n;
        if (steps_ > steps_max) give_up();
    }
    void give_up() {
        full_ = true;
        out_.read_.clear();
        out_.written_.clear();
        out_.owners_.clear();
        out_.certain_.clear();
    }

    column_map& out_;
    level* current_ = nullptr;
    std::size_t spent_ = 0, steps_ = 0;
    bool full_ = false;
};

column_map::column_map(const ProtobufCMessage& statement) {
    column_pass{*this}.message(statement);
}

std::vector<std::string> column_map::read(const PgQuery__RangeVar& table) const {
    const auto at = read_.find(&table);
    return at == read_.end() ? std::vector<std::string>{} : at->second;
}

const PgQuery__RangeVar* column_map::owner(const PgQuery__ColumnRef& ref) const {
    const auto at = owners_.find(&ref);
    return at == owners_.end() ? nullptr : at->second;
}

bool column_map::is_column(const PgQuery__ColumnRef& ref) const {
    return certain_.contains(&ref);
}

std::vector<std::string> column_map::written(const PgQuery__RangeVar& table) const {
    const auto at = written_.find(&table);
    return at == written_.end() ? std::vector<std::string>{} : at->second;
}

bool reads_a_column(const ProtobufCMessage& m) {
    bool found = false;
    for_each_member(m, {}, [&found](const ProtobufCMessage& member) {
        if (found) return;
        const ProtobufCMessage* in = &member;
        if (member.descriptor == &pg_query__node__descriptor)
            in = inside(as<PgQuery__Node>(member));
        if (in == nullptr) return;
        found = in->descriptor == &pg_query__column_ref__descriptor ||
                in->descriptor == &pg_query__sub_link__descriptor || reads_a_column(*in);
    });
    return found;
}

}  // namespace sallyport::policy::sql
