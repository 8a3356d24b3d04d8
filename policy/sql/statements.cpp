#include <algorithm>
#include <array>

#include "policy/sql/walker.h"

/// The two tables that make the analysis fail closed: a type of statement or syntax that is in
/// neither makes the statement opaque. A test walks the parser's own list of types against them.
namespace sallyport::policy::sql {
namespace {

using enum kind;
using w = walker;
#define NODE(name) PG_QUERY__NODE__NODE_##name

// clang-format off
const std::array table{
    // rows
    statement_entry{NODE(SELECT_STMT), "select", {read}, &w::visit_select, true},
    statement_entry{NODE(INSERT_STMT), "insert", {write}, &w::visit_insert, true},
    statement_entry{NODE(UPDATE_STMT), "update", {write}, &w::visit_update, true},
    statement_entry{NODE(DELETE_STMT), "delete", {write}, &w::visit_delete, true},
    statement_entry{NODE(MERGE_STMT), "merge", {write}, &w::visit_merge, true},
    statement_entry{NODE(TRUNCATE_STMT), "truncate", {write}, &w::visit_definition},
    statement_entry{NODE(COPY_STMT), "copy", {}, &w::visit_copy},
    statement_entry{NODE(EXPLAIN_STMT), "explain", {explain}, &w::visit_explain},
    statement_entry{NODE(CREATE_TABLE_AS_STMT), "create table as",
                    {ddl}, &w::visit_create_table_as},
    statement_entry{NODE(REFRESH_MAT_VIEW_STMT), "refresh materialized view",
                    {write}, &w::visit_definition},
    statement_entry{NODE(RETURN_STMT), "return", {}, &w::visit_members},
    // cursors and prepared statements
    statement_entry{NODE(DECLARE_CURSOR_STMT), "declare", {cursor}, &w::visit_declare},
    statement_entry{NODE(FETCH_STMT), "fetch", {cursor}, &w::visit_fetch, true},
    statement_entry{NODE(CLOSE_PORTAL_STMT), "close", {cursor}, &w::visit_close, true},
    statement_entry{NODE(PREPARE_STMT), "prepare", {prepared}, &w::visit_prepare},
    statement_entry{NODE(EXECUTE_STMT), "execute", {prepared}, &w::visit_execute},
    statement_entry{NODE(DEALLOCATE_STMT), "deallocate", {prepared}, &w::visit_deallocate},
    // session and transaction
    statement_entry{NODE(TRANSACTION_STMT), "transaction",
                    {transaction}, &w::visit_transaction, true},
    statement_entry{NODE(CONSTRAINTS_SET_STMT), "set constraints",
                    {transaction}, &w::visit_nothing},
    statement_entry{NODE(VARIABLE_SET_STMT), "set", {}, &w::visit_set},
    statement_entry{NODE(VARIABLE_SHOW_STMT), "show", {show}, &w::visit_nothing},
    statement_entry{NODE(DISCARD_STMT), "discard", {}, &w::visit_discard},
    statement_entry{NODE(LISTEN_STMT), "listen", {notify}, &w::visit_nothing},
    statement_entry{NODE(UNLISTEN_STMT), "unlisten", {notify}, &w::visit_nothing},
    statement_entry{NODE(NOTIFY_STMT), "notify", {notify}, &w::visit_nothing},
    statement_entry{NODE(LOCK_STMT), "lock table", {lock}, &w::visit_lock},
    // code
    statement_entry{NODE(DO_STMT), "do", {execute_code}, &w::visit_do},
    statement_entry{NODE(CALL_STMT), "call", {execute_code}, &w::visit_call},
    statement_entry{NODE(LOAD_STMT), "load", {maintenance, server_file}, &w::visit_unbounded},
    // upkeep
    statement_entry{NODE(VACUUM_STMT), "vacuum", {maintenance}, &w::visit_maintenance},
    statement_entry{NODE(CLUSTER_STMT), "cluster", {maintenance}, &w::visit_maintenance},
    statement_entry{NODE(REINDEX_STMT), "reindex", {maintenance}, &w::visit_maintenance},
    statement_entry{NODE(CHECK_POINT_STMT), "checkpoint", {maintenance}, &w::visit_nothing},
    statement_entry{NODE(ALTER_SYSTEM_STMT), "alter system",
                    {ddl, maintenance}, &w::visit_alter_set},
    // relations
    statement_entry{NODE(CREATE_STMT), "create table", {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_FOREIGN_TABLE_STMT), "create foreign table",
                    {ddl}, &w::visit_foreign_table},
    statement_entry{NODE(ALTER_TABLE_STMT), "alter table", {ddl}, &w::visit_definition},
    statement_entry{NODE(ALTER_TABLE_MOVE_ALL_STMT), "alter", {ddl}, &w::visit_unbounded},
    statement_entry{NODE(DROP_STMT), "drop", {ddl}, &w::visit_drop},
    statement_entry{NODE(VIEW_STMT), "create view", {ddl}, &w::visit_view},
    statement_entry{NODE(INDEX_STMT), "create index", {ddl}, &w::visit_definition},
    statement_entry{NODE(RULE_STMT), "create rule", {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_TRIG_STMT), "create trigger", {ddl}, &w::visit_trigger},
    statement_entry{NODE(CREATE_STATS_STMT), "create statistics", {ddl}, &w::visit_definition},
    statement_entry{NODE(ALTER_STATS_STMT), "alter statistics", {ddl}, &w::visit_nothing},
    statement_entry{NODE(CREATE_SEQ_STMT), "create sequence", {ddl}, &w::visit_sequence},
    statement_entry{NODE(ALTER_SEQ_STMT), "alter sequence", {ddl}, &w::visit_sequence},
    statement_entry{NODE(COMMENT_STMT), "comment", {ddl}, &w::visit_object},
    statement_entry{NODE(RENAME_STMT), "alter", {ddl}, &w::visit_object},
    statement_entry{NODE(ALTER_OBJECT_SCHEMA_STMT), "alter", {ddl}, &w::visit_object},
    statement_entry{NODE(ALTER_OBJECT_DEPENDS_STMT), "alter", {ddl}, &w::visit_object},
    statement_entry{NODE(ALTER_EXTENSION_CONTENTS_STMT), "alter extension",
                    {ddl}, &w::visit_object},
    statement_entry{NODE(CREATE_SCHEMA_STMT), "create schema", {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_PUBLICATION_STMT), "create publication",
                    {ddl, replication}, &w::visit_publication},
    statement_entry{NODE(ALTER_PUBLICATION_STMT), "alter publication",
                    {ddl, replication}, &w::visit_publication},
    statement_entry{NODE(CREATE_SUBSCRIPTION_STMT), "create subscription",
                    {ddl, replication}, &w::visit_unbounded},
    statement_entry{NODE(ALTER_SUBSCRIPTION_STMT), "alter subscription",
                    {ddl, replication}, &w::visit_unbounded},
    statement_entry{NODE(DROP_SUBSCRIPTION_STMT), "drop subscription",
                    {ddl, replication}, &w::visit_nothing},
    // rights
    statement_entry{NODE(GRANT_STMT), "grant", {grant}, &w::visit_grant},
    statement_entry{NODE(GRANT_ROLE_STMT), "grant", {grant}, &w::visit_role},
    statement_entry{NODE(ALTER_DEFAULT_PRIVILEGES_STMT), "alter default privileges",
                    {grant}, &w::visit_nothing},
    statement_entry{NODE(ALTER_OWNER_STMT), "alter", {ddl, grant}, &w::visit_object},
    statement_entry{NODE(CREATE_POLICY_STMT), "create policy", {ddl, grant}, &w::visit_definition},
    statement_entry{NODE(ALTER_POLICY_STMT), "alter policy", {ddl, grant}, &w::visit_definition},
    statement_entry{NODE(SEC_LABEL_STMT), "security label", {ddl, grant}, &w::visit_object},
    statement_entry{NODE(CREATE_ROLE_STMT), "create role", {grant}, &w::visit_role},
    statement_entry{NODE(ALTER_ROLE_STMT), "alter role", {grant}, &w::visit_role},
    statement_entry{NODE(DROP_ROLE_STMT), "drop role", {grant}, &w::visit_nothing},
    statement_entry{NODE(ALTER_ROLE_SET_STMT), "alter role", {grant}, &w::visit_alter_set},
    statement_entry{NODE(DROP_OWNED_STMT), "drop owned", {ddl, grant}, &w::visit_unbounded},
    statement_entry{NODE(REASSIGN_OWNED_STMT), "reassign owned", {grant}, &w::visit_unbounded},
    // functions, types and the rest of the catalog
    statement_entry{NODE(CREATE_FUNCTION_STMT), "create function", {ddl}, &w::visit_function},
    statement_entry{NODE(ALTER_FUNCTION_STMT), "alter function", {ddl}, &w::visit_alter_function},
    statement_entry{NODE(DEFINE_STMT), "create", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_DOMAIN_STMT), "create domain", {ddl}, &w::visit_definition},
    statement_entry{NODE(ALTER_DOMAIN_STMT), "alter domain", {ddl}, &w::visit_define},
    statement_entry{NODE(COMPOSITE_TYPE_STMT), "create type", {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_ENUM_STMT), "create type", {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_ENUM_STMT), "alter type", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_RANGE_STMT), "create type", {ddl}, &w::visit_define},
    statement_entry{NODE(ALTER_TYPE_STMT), "alter type", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_CAST_STMT), "create cast", {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_CONVERSION_STMT), "create conversion", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_OP_CLASS_STMT), "create operator class",
                    {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_OP_FAMILY_STMT), "create operator family",
                    {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_OP_FAMILY_STMT), "alter operator family",
                    {ddl}, &w::visit_definition},
    statement_entry{NODE(ALTER_OPERATOR_STMT), "alter operator", {ddl}, &w::visit_define},
    statement_entry{NODE(ALTER_COLLATION_STMT), "alter collation", {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_TSDICTIONARY_STMT), "alter text search dictionary",
                    {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_TSCONFIGURATION_STMT), "alter text search configuration",
                    {ddl}, &w::visit_nothing},
    statement_entry{NODE(CREATE_AM_STMT), "create access method", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_PLANG_STMT), "create language", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_TRANSFORM_STMT), "create transform", {ddl}, &w::visit_definition},
    statement_entry{NODE(CREATE_EVENT_TRIG_STMT), "create event trigger", {ddl}, &w::visit_define},
    statement_entry{NODE(ALTER_EVENT_TRIG_STMT), "alter event trigger", {ddl}, &w::visit_nothing},
    statement_entry{NODE(CREATE_EXTENSION_STMT), "create extension", {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_EXTENSION_STMT), "alter extension", {ddl}, &w::visit_nothing},
    statement_entry{NODE(CREATE_FDW_STMT), "create foreign data wrapper", {ddl}, &w::visit_define},
    statement_entry{NODE(ALTER_FDW_STMT), "alter foreign data wrapper", {ddl}, &w::visit_define},
    statement_entry{NODE(CREATE_FOREIGN_SERVER_STMT), "create server", {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_FOREIGN_SERVER_STMT), "alter server", {ddl}, &w::visit_nothing},
    statement_entry{NODE(CREATE_USER_MAPPING_STMT), "create user mapping",
                    {ddl, grant}, &w::visit_nothing},
    statement_entry{NODE(ALTER_USER_MAPPING_STMT), "alter user mapping",
                    {ddl, grant}, &w::visit_nothing},
    statement_entry{NODE(DROP_USER_MAPPING_STMT), "drop user mapping",
                    {ddl, grant}, &w::visit_nothing},
    statement_entry{NODE(IMPORT_FOREIGN_SCHEMA_STMT), "import foreign schema",
                    {ddl}, &w::visit_unbounded},
    statement_entry{NODE(CREATEDB_STMT), "create database", {ddl}, &w::visit_create_database},
    statement_entry{NODE(DROPDB_STMT), "drop database", {ddl}, &w::visit_unbounded},
    statement_entry{NODE(ALTER_DATABASE_STMT), "alter database", {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_DATABASE_SET_STMT), "alter database", {ddl}, &w::visit_alter_set},
    statement_entry{NODE(ALTER_DATABASE_REFRESH_COLL_STMT), "alter database",
                    {ddl}, &w::visit_nothing},
    statement_entry{NODE(CREATE_TABLE_SPACE_STMT), "create tablespace",
                    {ddl, server_file}, &w::visit_nothing},
    statement_entry{NODE(DROP_TABLE_SPACE_STMT), "drop tablespace", {ddl}, &w::visit_nothing},
    statement_entry{NODE(ALTER_TABLE_SPACE_OPTIONS_STMT), "alter tablespace",
                    {ddl}, &w::visit_nothing},
};

// Types of the raw parse tree inside statements. What the server's analyser adds later (Var,
// OpExpr,
// Query …) cannot come from the grammar and is left out, so that it would be noticed.
constexpr std::array expressions{
    NODE(ALIAS), NODE(RANGE_VAR), NODE(PARAM_REF), NODE(GROUPING_FUNC), NODE(NAMED_ARG_EXPR),
    NODE(BOOL_EXPR), NODE(SUB_LINK), NODE(CASE_EXPR), NODE(CASE_WHEN), NODE(ROW_EXPR),
    NODE(COALESCE_EXPR), NODE(MIN_MAX_EXPR),
    NODE(SQLVALUE_FUNCTION), NODE(XML_EXPR), NODE(NULL_TEST),
    NODE(BOOLEAN_TEST), NODE(SET_TO_DEFAULT),
    NODE(CURRENT_OF_EXPR), NODE(JOIN_EXPR), NODE(INTO_CLAUSE),
    NODE(ALTER_TABLE_CMD), NODE(REPLICA_IDENTITY_STMT),
    NODE(A_EXPR), NODE(COLUMN_REF), NODE(FUNC_CALL),
    NODE(A_STAR), NODE(A_INDICES), NODE(A_INDIRECTION), NODE(A_ARRAY_EXPR), NODE(RES_TARGET),
    NODE(MULTI_ASSIGN_REF), NODE(TYPE_CAST), NODE(COLLATE_CLAUSE), NODE(SORT_BY), NODE(WINDOW_DEF),
    NODE(RANGE_SUBSELECT), NODE(RANGE_FUNCTION), NODE(RANGE_TABLE_SAMPLE), NODE(RANGE_TABLE_FUNC),
    NODE(RANGE_TABLE_FUNC_COL), NODE(TYPE_NAME),
    NODE(COLUMN_DEF), NODE(INDEX_ELEM), NODE(STATS_ELEM),
    NODE(CONSTRAINT), NODE(DEF_ELEM), NODE(GROUPING_SET), NODE(OBJECT_WITH_ARGS), NODE(ACCESS_PRIV),
    NODE(CREATE_OP_CLASS_ITEM), NODE(TABLE_LIKE_CLAUSE),
    NODE(FUNCTION_PARAMETER), NODE(LOCKING_CLAUSE),
    NODE(XML_SERIALIZE), NODE(WITH_CLAUSE), NODE(INFER_CLAUSE), NODE(ON_CONFLICT_CLAUSE),
    NODE(CTESEARCH_CLAUSE), NODE(CTECYCLE_CLAUSE), NODE(COMMON_TABLE_EXPR), NODE(MERGE_WHEN_CLAUSE),
    NODE(ROLE_SPEC), NODE(TRIGGER_TRANSITION), NODE(PARTITION_ELEM), NODE(PARTITION_SPEC),
    NODE(PARTITION_BOUND_SPEC), NODE(PARTITION_RANGE_DATUM),
    NODE(PARTITION_CMD), NODE(VACUUM_RELATION),
    NODE(PUBLICATION_OBJ_SPEC), NODE(PUBLICATION_TABLE), NODE(INTEGER), NODE(FLOAT), NODE(BOOLEAN),
    NODE(STRING), NODE(BIT_STRING), NODE(LIST), NODE(INT_LIST), NODE(OID_LIST), NODE(A_CONST),
};
// clang-format on
#undef NODE

constexpr std::size_t cases_max = 256;

}  // namespace

const statement_entry* find_statement(node_case c) noexcept {
    static const auto index = [] {
        std::array<const statement_entry*, cases_max> out{};
        for (const auto& e : table)
            out.at(static_cast<std::size_t>(e.node)) = &e;
        return out;
    }();
    const auto i = static_cast<std::size_t>(c);
    return i < index.size() ? index[i] : nullptr;
}

bool is_known_expression(node_case c) noexcept {
    static const auto known = [] {
        std::array<bool, cases_max> out{};
        for (const auto e : expressions)
            out.at(static_cast<std::size_t>(e)) = true;
        return out;
    }();
    const auto i = static_cast<std::size_t>(c);
    return i < known.size() && known[i];
}

}  // namespace sallyport::policy::sql
