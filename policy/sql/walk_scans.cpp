#include <algorithm>
#include <string>
#include <vector>

#include "policy/sql/identifier.h"
#include "policy/sql/walker.h"

/// DDL that looks at the rows there are: what it evaluates over them, and its errors, show values.
namespace sallyport::policy::sql {

namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

/// Columns of the table, each once; `all` once something may be its whole row.
class scanned {
  public:
    explicit scanned(std::string_view table) : table_(table) {}

    void column(std::string_view name) {
        if (name.empty()) return;
        auto stored = cut_identifier(name);
        if (std::ranges::find(names_, stored) == names_.end()) names_.push_back(std::move(stored));
    }
    void columns(std::size_t n, PgQuery__Node* const* list) {
        for (std::size_t i = 0; i < n; ++i)
            column(string_of(list[i]));
    }
    void everything() noexcept { all_ = true; }
    /// What an expression names, wherever in it.
    void in(const ProtobufCMessage& m) {
        if (m.descriptor == &pg_query__column_ref__descriptor) {
            const auto& ref = as<PgQuery__ColumnRef>(m);
            const auto parts = strings_of(ref.n_fields, ref.fields);
            if (parts.empty() || parts.back().empty() || parts.back() == table_)
                everything();
            else
                column(parts.back());
        }
        if (m.descriptor == &pg_query__index_elem__descriptor) {
            const auto& e = as<PgQuery__IndexElem>(m);
            if (e.name != nullptr) column(e.name);
        }
        for_each_member(m, {}, [&](const ProtobufCMessage& member) { in(member); });
    }
    void in(const PgQuery__Node* n) {
        if (n == nullptr) return;
        if (const auto* m = inside(*n)) in(*m);
    }
    [[nodiscard]] bool any() const noexcept { return all_ || !names_.empty(); }
    [[nodiscard]] std::vector<std::string> take() {
        return all_ ? std::vector<std::string>{} : std::move(names_);
    }

  private:
    std::string_view table_;
    std::vector<std::string> names_;
    bool all_ = false;
};

/// A constraint is tried on the rows there are, and the error of one quotes them.
void of_constraint(const PgQuery__Constraint& c, scanned& out) {
    out.in(c.raw_expr);
    out.in(c.where_clause);
    out.columns(c.n_keys, c.keys);
    out.columns(c.n_fk_attrs, c.fk_attrs);
    for (std::size_t i = 0; i < c.n_exclusions; ++i)
        out.in(c.exclusions[i]);
}

void of_command(const PgQuery__AlterTableCmd& c, scanned& out) {
    const std::string_view name = c.name == nullptr ? "" : c.name;
    switch (c.subtype) {
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType:
            out.column(name);
            out.in(c.def);
            return;
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull:
            out.column(name);
            return;
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint:
            out.everything();
            return;
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
            if (c.def != nullptr && c.def->node_case == PG_QUERY__NODE__NODE_CONSTRAINT)
                of_constraint(*c.def->constraint, out);
            return;
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:  // generated, or checked with others
            out.in(c.def);
            return;
        default:
            return;
    }
}

bool is_generated(const PgQuery__Node* n) {
    return n->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
           n->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED;
}

/// What a column of the table holds is what another one held, or rows are shown to more code.
bool retells(const PgQuery__AlterTableCmd& c) {
    switch (c.subtype) {
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrig:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableAlwaysTrig:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableReplicaTrig:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrigAll:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrigUser:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableRule:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableAlwaysRule:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableReplicaRule:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableRowSecurity:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ForceRowSecurity:
            return true;
        default:
            break;
    }
    if (c.def == nullptr || c.def->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF) return false;
    const auto& d = *c.def->column_def;
    if (c.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType)
        return d.raw_default != nullptr;
    return std::any_of(d.constraints, d.constraints + d.n_constraints, is_generated);
}

}  // namespace

void walker::scan(const PgQuery__RangeVar& rv, std::vector<std::string> columns) {
    relation_use use;
    if (rv.schemaname != nullptr) use.schema = cut_identifier(rv.schemaname);
    use.name = cut_identifier(rv.relname);
    use.columns = std::move(columns);
    use.place = "rows";
    use.scanned = true;
    relation(std::move(use));
}

void walker::rows_looked_at(const PgQuery__AlterTableStmt& s) {
    if (s.relation == nullptr) return;
    scanned found(s.relation->relname);
    for (std::size_t i = 0; i < s.n_cmds; ++i) {
        if (s.cmds[i]->node_case != PG_QUERY__NODE__NODE_ALTER_TABLE_CMD) continue;
        const auto& c = *s.cmds[i]->alter_table_cmd;
        of_command(c, found);
        if (retells(c)) out_.effects |= code_effect::retells;
        // Its bounds are tried on every row of what becomes a part.
        if (c.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AttachPartition && c.def != nullptr &&
            c.def->node_case == PG_QUERY__NODE__NODE_PARTITION_CMD)
            if (const auto* part = c.def->partition_cmd->name; part != nullptr) scan(*part, {});
    }
    if (found.any()) scan(*s.relation, found.take());
}

void walker::rows_looked_at(const PgQuery__IndexStmt& s) {
    if (s.relation == nullptr) return;
    const auto is_column = [](const PgQuery__Node* n) {
        return n->node_case == PG_QUERY__NODE__NODE_INDEX_ELEM && n->index_elem->expr == nullptr;
    };
    // Of plain columns that need not be unique nothing is told.
    if (s.unique == 0 && s.where_clause == nullptr &&
        std::all_of(s.index_params, s.index_params + s.n_index_params, is_column))
        return;
    scanned found(s.relation->relname);
    found.in(s.where_clause);
    for (std::size_t i = 0; i < s.n_index_params; ++i)
        found.in(s.index_params[i]);
    if (found.any()) scan(*s.relation, found.take());
}

/// Statistics on an expression: ANALYZE calls its functions with the values of rows.
void walker::rows_looked_at(const PgQuery__CreateStatsStmt& s) {
    if (s.n_relations != 1 || s.relations[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) return;
    scanned found(s.relations[0]->range_var->relname);
    for (std::size_t i = 0; i < s.n_exprs; ++i)
        if (s.exprs[i]->node_case == PG_QUERY__NODE__NODE_STATS_ELEM)
            found.in(s.exprs[i]->stats_elem->expr);
    if (found.any()) scan(*s.relations[0]->range_var, found.take());
}

}  // namespace sallyport::policy::sql
