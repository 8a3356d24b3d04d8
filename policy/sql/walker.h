#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "policy/facts.h"
#include "policy/sql/columns.h"
#include "policy/sql/tree.h"

/// The walk over one statement's tree. Internal to policy/sql.
namespace sallyport::policy::sql {

class walker;
struct code_facts;

/// Up to two kinds, by value.
class kind_list {
  public:
    constexpr kind_list(std::initializer_list<kind> kinds) {
        for (const kind k : kinds)
            values_.at(size_++) = k;
    }
    [[nodiscard]] constexpr const kind* begin() const noexcept { return values_.data(); }
    [[nodiscard]] constexpr const kind* end() const noexcept { return values_.data() + size_; }

  private:
    std::array<kind, 2> values_{};
    std::size_t size_ = 0;
};

/// What the analysis knows about one type of statement.
struct statement_entry {
    node_case node;
    std::string_view command;
    kind_list kinds;
    void (walker::*visit)(const ProtobufCMessage&);
    /// The facts of such a statement cannot depend on the values of its literals, unless the walk
    /// meets something that makes them.
    bool plain = false;
};

/// The entry of a statement type; null: the type is not known, so the statement is opaque.
[[nodiscard]] const statement_entry* find_statement(node_case c) noexcept;
/// True for a node type of the raw parse tree that may stand inside a statement.
[[nodiscard]] bool is_known_expression(node_case c) noexcept;

/// The names that a WITH brings, and from which of its queries they can be seen.
class with_scope {
  public:
    with_scope(const PgQuery__WithClause& with, const with_scope* outer);
    /// True if an unqualified name means a common table expression here.
    [[nodiscard]] bool has(std::string_view name) const;
    /// In a WITH that is not RECURSIVE a query sees only the names before its own.
    void see(std::size_t n) noexcept { visible_ = n; }

  private:
    const with_scope* outer_;
    std::unordered_map<std::string_view, std::size_t> names_;
    std::size_t visible_;
};

/// Text that a constant argument hands to the server as SQL; analysed after the walk.
struct pending_sql {
    std::string text;
    std::string function;
    bool defines = false;  ///< the body of a function that is made, not run
};

inline constexpr std::size_t pending_texts_max = 64;  ///< of one statement
/// Functions, operators, types and attributes that one statement may name, each.
inline constexpr std::size_t names_max = 4'096;

/// Fills the facts of one statement (or of the inner statement of a PREPARE).
class walker {
  public:
    walker(statement_facts& out, int depth) : out_(out), text_depth_(depth) {}

    /// The whole statement; then literal_sensitive() holds.
    void run(const PgQuery__Node& statement);
    [[nodiscard]] bool literal_sensitive() const noexcept { return sensitive_; }

    // Statements: one function per form, named by the statement table.
    void visit_select(const ProtobufCMessage& m);
    void visit_insert(const ProtobufCMessage& m);
    void visit_update(const ProtobufCMessage& m);
    void visit_delete(const ProtobufCMessage& m);
    void visit_merge(const ProtobufCMessage& m);
    void visit_copy(const ProtobufCMessage& m);
    void visit_explain(const ProtobufCMessage& m);
    void visit_create_table_as(const ProtobufCMessage& m);
    void visit_declare(const ProtobufCMessage& m);
    void visit_fetch(const ProtobufCMessage& m);
    void visit_close(const ProtobufCMessage& m);
    void visit_prepare(const ProtobufCMessage& m);
    void visit_execute(const ProtobufCMessage& m);
    void visit_deallocate(const ProtobufCMessage& m);
    void visit_transaction(const ProtobufCMessage& m);
    void visit_set(const ProtobufCMessage& m);
    void visit_alter_set(const ProtobufCMessage& m);
    void visit_discard(const ProtobufCMessage& m);
    void visit_do(const ProtobufCMessage& m);
    void visit_call(const ProtobufCMessage& m);
    void visit_lock(const ProtobufCMessage& m);
    void visit_maintenance(const ProtobufCMessage& m);
    void visit_definition(const ProtobufCMessage& m);
    void visit_view(const ProtobufCMessage& m);
    void visit_function(const ProtobufCMessage& m);
    void visit_alter_function(const ProtobufCMessage& m);
    void visit_define(const ProtobufCMessage& m);
    void visit_foreign_table(const ProtobufCMessage& m);
    void visit_role(const ProtobufCMessage& m);
    void visit_trigger(const ProtobufCMessage& m);
    void visit_sequence(const ProtobufCMessage& m);
    void visit_drop(const ProtobufCMessage& m);
    void visit_object(const ProtobufCMessage& m);
    void visit_grant(const ProtobufCMessage& m);
    void visit_publication(const ProtobufCMessage& m);
    void visit_create_database(const ProtobufCMessage& m);
    void visit_unbounded(const ProtobufCMessage& m);
    void visit_nothing(const ProtobufCMessage& m);
    void visit_members(const ProtobufCMessage& m);

  private:
    // The generic walk.
    void message(const ProtobufCMessage& m);
    void node(const PgQuery__Node* n);
    void nodes(std::size_t n, PgQuery__Node* const* list);
    void members(const ProtobufCMessage& m, std::initializer_list<std::size_t> except = {});
    void expression(node_case c, const ProtobufCMessage& m);
    void statement(const statement_entry& e, const ProtobufCMessage& m);

    // Expressions that mean more than their parts.
    void function_call(const PgQuery__FuncCall& f);
    void operator_expression(const PgQuery__AExpr& e);
    void type_cast(const PgQuery__TypeCast& c);
    void constraint(const PgQuery__Constraint& c);
    void set_config_call(const PgQuery__FuncCall& f);
    [[nodiscard]] bool names_the_setting(const PgQuery__Node* n) const;
    void text_argument(const PgQuery__FuncCall& f, std::string_view name, std::size_t i);
    void relation_argument(const PgQuery__FuncCall& f, std::string_view name, access how,
                           std::size_t i);
    void name_argument(const PgQuery__FuncCall& f, std::string_view name, std::uint8_t bits);
    void named_operator(std::size_t n, PgQuery__Node* const* name);
    void names_in_expression(node_case c, const ProtobufCMessage& m);
    void type_name(const PgQuery__TypeName& t);
    void definition_element(const PgQuery__DefElem& e);
    void column_reference(const PgQuery__ColumnRef& c);
    void selections(const PgQuery__AIndirection& i);
    bool skip_harmless_name(const PgQuery__Node* n);

    // Statements' parts.
    void with(const PgQuery__WithClause* clause, with_scope& scope);
    void range_function(const PgQuery__RangeFunction& f);
    void insert_source(const PgQuery__Node* source);
    void target(const PgQuery__RangeVar* rv, access how, const char* place,
                std::vector<std::string> columns = {});
    void target_read(const PgQuery__RangeVar* rv, const char* place);
    void target_written(const PgQuery__RangeVar* rv, const char* place);
    void setting(const PgQuery__VariableSetStmt& s, bool session);
    void taken_apart(const PgQuery__AlterTableCmd& c);
    void rows_looked_at(const PgQuery__AlterTableStmt& s);
    void rows_looked_at(const PgQuery__IndexStmt& s);
    void rows_looked_at(const PgQuery__CreateStatsStmt& s);
    void scan(const PgQuery__RangeVar& rv, std::vector<std::string> columns);
    void named_object(int type, const PgQuery__Node* object, const char* place);
    void other_object(int type_of_object, const PgQuery__Node& object);
    void object_with_args(const PgQuery__ObjectWithArgs& o);
    void definition_entries(std::size_t n, PgQuery__Node* const* list);
    void whole_schema(std::string_view name, access how);
    void code_names(const code_facts& f);
    facts_ptr inner_facts(const PgQuery__Node* query);

    // What is known.
    void add_kind(kind k);
    void opaque(std::string reason);
    void opaque_without_catalog(std::string reason);
    void code(const PgQuery__Node* body);
    void relation(const PgQuery__RangeVar& rv, access how, const char* place);
    void relation(relation_use use);
    void relation_text(std::string_view text, access how, const std::string& place);
    void function(const std::vector<std::string_view>& name);
    void operator_name(const std::vector<std::string_view>& name);
    void type(const std::vector<std::string_view>& name);
    void attribute(attribute_use use);
    void mention(const function_use& use);
    bool first_time(char kind, const function_use& use, std::size_t known);
    void setting_changed(std::string name, std::string value, bool local, bool session);
    void cursor_or_statement(name_use::action what, std::string_view name, facts_ptr inner = {});
    void run_pending();
    void inner_command(std::string_view name);
    void merge(const statement_facts& inner, const std::string& where);

    statement_facts& out_;
    int text_depth_;  // how many query texts deep this statement stands
    int depth_ = 0;
    bool sensitive_ = false;
    const char* command_ = "";  // of the statement being walked, for places
    const char* place_ = "from";
    access access_ = access::read;
    const with_scope* scope_ = nullptr;
    std::optional<column_map> columns_;  // of the statement's tables
    std::unordered_map<std::string, std::size_t> seen_relations_;
    std::unordered_set<std::string> seen_names_;  // of functions, operators, types, attributes
    std::vector<pending_sql> pending_;
    std::string setting_row_;  ///< SELECT … FROM pg_settings WHERE name = '…': that name
};

/// True for settings that change who one is, which tables names mean, or how SQL is read.
[[nodiscard]] bool is_identity_setting(std::string_view name) noexcept;
/// The value of a constant string, through casts that leave it as it is; nothing for anything else.
[[nodiscard]] std::optional<std::string_view> constant_text(const PgQuery__Node* n) noexcept;
[[nodiscard]] bool is_reg_type(const PgQuery__TypeName* t) noexcept;
[[nodiscard]] bool is_builtin_type(const PgQuery__TypeName* t) noexcept;

/// The analysis of a text that stands `depth` query texts deep.
[[nodiscard]] facts_ptr analyse_text(std::string_view sql, int depth);

}  // namespace sallyport::policy::sql
