#include <algorithm>

#include "policy/sql/identifier.h"
#include "policy/sql/walker.h"

/// Statements that read and write rows.
namespace sallyport::policy::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

std::vector<std::string> names_in(std::size_t n, PgQuery__Node* const* list) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < n; ++i) {
        if (list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
            out.push_back(cut_identifier(list[i]->res_target->name));
        else
            out.push_back(cut_identifier(string_of(list[i])));
    }
    return out;
}

/// Both lists; empty is all.
std::vector<std::string> joined(std::vector<std::string> a, std::vector<std::string> b) {
    if (a.empty() || b.empty()) return {};
    for (auto& name : b)
        if (std::ranges::find(a, name) == a.end()) a.push_back(std::move(name));
    if (a.size() > 1) std::erase(a, no_column);
    return a;
}

}  // namespace

/// Enters a WITH: its queries see what comes before them, all of it under RECURSIVE.
void walker::with(const PgQuery__WithClause* clause, with_scope& scope) {
    scope_ = &scope;
    const char* const place = std::exchange(place_, "with");
    for (std::size_t i = 0; i < clause->n_ctes; ++i) {
        scope.see(clause->recursive != 0 ? clause->n_ctes : i);
        node(clause->ctes[i]);
    }
    scope.see(clause->n_ctes);
    place_ = place;
}

namespace {

/// The scope of a statement's WITH, for as long as the statement is walked.
class scoped_with {
  public:
    scoped_with(const with_scope*& current, const PgQuery__WithClause* clause)
        : current_(current), outer_(current) {
        if (clause != nullptr) scope_.emplace(*clause, outer_);
    }
    ~scoped_with() { current_ = outer_; }
    scoped_with(const scoped_with&) = delete;
    scoped_with& operator=(const scoped_with&) = delete;
    [[nodiscard]] with_scope* get() noexcept { return scope_ ? &*scope_ : nullptr; }

  private:
    const with_scope*& current_;
    const with_scope* outer_;
    std::optional<with_scope> scope_;
};

}  // namespace

namespace {

/// The setting that `… FROM pg_settings WHERE name = '…'` looks at; "" for any other statement.
/// pg_dump asks so whether the server knows a setting.
std::string one_setting(const PgQuery__SelectStmt& s) {
    if (s.n_from_clause != 1 || s.from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR)
        return {};
    const PgQuery__RangeVar& from = *s.from_clause[0]->range_var;
    const std::string_view schema = from.schemaname == nullptr ? "" : from.schemaname;
    if (std::string_view{from.relname} != "pg_settings" || from.alias != nullptr ||
        (!schema.empty() && schema != "pg_catalog"))
        return {};
    if (s.where_clause == nullptr || s.where_clause->node_case != PG_QUERY__NODE__NODE_A_EXPR)
        return {};
    const PgQuery__AExpr& e = *s.where_clause->a_expr;
    const bool equals =
        e.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP && e.n_name == 1 && string_of(e.name[0]) == "=";
    if (!equals || e.lexpr == nullptr || e.lexpr->node_case != PG_QUERY__NODE__NODE_COLUMN_REF)
        return {};
    const auto column = strings_of(e.lexpr->column_ref->n_fields, e.lexpr->column_ref->fields);
    const auto text = constant_text(e.rexpr);
    if (column.size() != 1 || column[0] != "name" || !text) return {};
    return std::string{*text};
}

}  // namespace

void walker::visit_select(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__SelectStmt>(m);
    scoped_with scope{scope_, s.with_clause};
    if (scope.get() != nullptr) with(s.with_clause, *scope.get());
    std::string row = std::exchange(setting_row_, one_setting(s));
    const access how = std::exchange(access_, access::read);
    const char* const place = place_;
    if (std::string_view{place_} != "with") place_ = "from";
    if (s.n_locking_clause > 0) add_kind(kind::lock);
    if (s.into_clause != nullptr) {
        add_kind(kind::ddl);
        if (out_.command == "select") out_.command = "select into";
        target(s.into_clause->rel, access::write, "select into");
    }
    // DISTINCT without ON is a list of one empty place.
    const bool plain_distinct =
        s.n_distinct_clause == 1 && inside(*s.distinct_clause[0]) == nullptr;
    if (!plain_distinct) nodes(s.n_distinct_clause, s.distinct_clause);
    members(m, {offsetof(PgQuery__SelectStmt, with_clause),
                offsetof(PgQuery__SelectStmt, distinct_clause),
                offsetof(PgQuery__SelectStmt, into_clause),
                offsetof(PgQuery__SelectStmt, locking_clause)});
    place_ = place;
    access_ = how;
    setting_row_ = std::move(row);
}

/// Each function of FROM is a list of the call and its column definitions, an empty place without
/// any.
void walker::range_function(const PgQuery__RangeFunction& f) {
    for (std::size_t i = 0; i < f.n_functions; ++i) {
        const PgQuery__Node* item = f.functions[i];
        if (item->node_case != PG_QUERY__NODE__NODE_LIST || item->list->n_items != 2) {
            node(item);
            continue;
        }
        node(item->list->items[0]);
        if (inside(*item->list->items[1]) != nullptr) node(item->list->items[1]);
    }
    members(f.base, {offsetof(PgQuery__RangeFunction, functions)});
}

void walker::insert_source(const PgQuery__Node* source) {
    if (source == nullptr) return;
    // The VALUES of an INSERT stand in the tree as a SELECT, but reveal nothing.
    if (source->node_case == PG_QUERY__NODE__NODE_SELECT_STMT &&
        source->select_stmt->n_values_lists > 0 && source->select_stmt->with_clause == nullptr)
        members(source->select_stmt->base);
    else
        node(source);
}

void walker::visit_insert(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__InsertStmt>(m);
    scoped_with scope{scope_, s.with_clause};
    if (scope.get() != nullptr) with(s.with_clause, *scope.get());
    target_written(s.relation, "insert into");
    // Whether a row is there already tells of the values that were tried.
    if (s.on_conflict_clause != nullptr && s.relation != nullptr)
        target(s.relation, access::read, "on conflict",
               joined(columns_->read(*s.relation), columns_->written(*s.relation)));
    if (s.n_returning_list > 0) {
        add_kind(kind::read);
        target_read(s.relation, "returning");
    }
    nodes(s.n_cols, s.cols);
    insert_source(s.select_stmt);
    members(m, {offsetof(PgQuery__InsertStmt, with_clause), offsetof(PgQuery__InsertStmt, relation),
                offsetof(PgQuery__InsertStmt, cols), offsetof(PgQuery__InsertStmt, select_stmt)});
}

void walker::visit_update(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__UpdateStmt>(m);
    scoped_with scope{scope_, s.with_clause};
    if (scope.get() != nullptr) with(s.with_clause, *scope.get());
    target_written(s.relation, "update");
    if (s.n_returning_list > 0) add_kind(kind::read);
    // As the server's rights have it: an expression over the table's columns reads the table.
    if (reads_a_column(m) || s.where_clause != nullptr || s.n_returning_list > 0)
        target_read(s.relation, "update");
    members(m,
            {offsetof(PgQuery__UpdateStmt, with_clause), offsetof(PgQuery__UpdateStmt, relation)});
}

void walker::visit_delete(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__DeleteStmt>(m);
    scoped_with scope{scope_, s.with_clause};
    if (scope.get() != nullptr) with(s.with_clause, *scope.get());
    // A deleted row takes all its columns along: only what is read can be narrower.
    target(s.relation, access::write, "delete from");
    if (s.n_returning_list > 0) add_kind(kind::read);
    if (s.where_clause != nullptr || s.n_returning_list > 0 || s.n_using_clause > 0)
        target_read(s.relation, "delete from");
    members(m,
            {offsetof(PgQuery__DeleteStmt, with_clause), offsetof(PgQuery__DeleteStmt, relation)});
}

void walker::visit_merge(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__MergeStmt>(m);
    scoped_with scope{scope_, s.with_clause};
    if (scope.get() != nullptr) with(s.with_clause, *scope.get());
    target_written(s.relation, "merge into");
    target_read(s.relation, "merge into");
    members(m, {offsetof(PgQuery__MergeStmt, with_clause), offsetof(PgQuery__MergeStmt, relation)});
}

void walker::visit_copy(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__CopyStmt>(m);
    const bool from = s.is_from != 0;
    const bool file = s.filename != nullptr && *s.filename != '\0';
    add_kind(from ? kind::write : kind::read);
    if (s.is_program != 0) {
        add_kind(kind::copy_program);
        opaque("COPY … PROGRAM runs a program on the server");
    } else if (file) {
        add_kind(kind::server_file);
    } else {
        add_kind(from ? kind::copy_in : kind::copy_out);
    }
    std::vector<std::string> columns;
    if (s.where_clause == nullptr) columns = names_in(s.n_attlist, s.attlist);
    target(s.relation, from ? access::write : access::read, from ? "copy from" : "copy to",
           std::move(columns));
    members(m, {offsetof(PgQuery__CopyStmt, relation), offsetof(PgQuery__CopyStmt, options)});
}

void walker::visit_explain(const ProtobufCMessage& m) {
    node(as<PgQuery__ExplainStmt>(m).query);
}

void walker::visit_create_table_as(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__CreateTableAsStmt>(m);
    if (s.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW)
        if (out_.command == "create table as") out_.command = "create materialized view";
    if (s.into != nullptr) target(s.into->rel, access::write, "create table as");
    node(s.query);
}

void walker::visit_declare(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__DeclareCursorStmt>(m);
    cursor_or_statement(name_use::action::declare, s.portalname, inner_facts(s.query));
    constexpr int option_hold = 0x20;  // CURSOR_OPT_HOLD
    if (!out_.names.empty()) out_.names.back().with_hold = (s.options & option_hold) != 0;
    node(s.query);
}

void walker::visit_fetch(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__FetchStmt>(m);
    if (s.ismove != 0) out_.command = "move";
    cursor_or_statement(name_use::action::fetch, s.portalname);
}

void walker::visit_close(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__ClosePortalStmt>(m);
    const bool all = s.portalname == nullptr || *s.portalname == '\0';
    cursor_or_statement(all ? name_use::action::close_all : name_use::action::close,
                        all ? "" : s.portalname);
}

void walker::visit_prepare(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__PrepareStmt>(m);
    cursor_or_statement(name_use::action::prepare, s.name, inner_facts(s.query));
    nodes(s.n_argtypes, s.argtypes);
}

void walker::visit_execute(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__ExecuteStmt>(m);
    cursor_or_statement(name_use::action::execute, s.name);
    nodes(s.n_params, s.params);
}

void walker::visit_deallocate(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__DeallocateStmt>(m);
    const bool all = s.name == nullptr || *s.name == '\0';
    cursor_or_statement(all ? name_use::action::deallocate_all : name_use::action::deallocate,
                        all ? "" : s.name);
}

}  // namespace sallyport::policy::sql
