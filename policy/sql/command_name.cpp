#include "policy/sql/command_name.h"

#include <string>

#include "policy/commands.h"

namespace sallyport::policy::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

/// What DROP, ALTER and CREATE call an object of that type; "" for what none of them names.
std::string_view object_word(PgQuery__ObjectType type) noexcept {
    switch (type) {
        case PG_QUERY__OBJECT_TYPE__OBJECT_ACCESS_METHOD:
            return "access method";
        case PG_QUERY__OBJECT_TYPE__OBJECT_AGGREGATE:
            return "aggregate";
        case PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
            return "type";
        case PG_QUERY__OBJECT_TYPE__OBJECT_CAST:
            return "cast";
        case PG_QUERY__OBJECT_TYPE__OBJECT_COLLATION:
            return "collation";
        case PG_QUERY__OBJECT_TYPE__OBJECT_CONVERSION:
            return "conversion";
        case PG_QUERY__OBJECT_TYPE__OBJECT_DATABASE:
            return "database";
        case PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN:
        case PG_QUERY__OBJECT_TYPE__OBJECT_DOMCONSTRAINT:
            return "domain";
        case PG_QUERY__OBJECT_TYPE__OBJECT_EVENT_TRIGGER:
            return "event trigger";
        case PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION:
            return "extension";
        case PG_QUERY__OBJECT_TYPE__OBJECT_FDW:
            return "foreign data wrapper";
        case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_SERVER:
            return "server";
        case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
            return "foreign table";
        case PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION:
            return "function";
        case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
            return "index";
        case PG_QUERY__OBJECT_TYPE__OBJECT_LANGUAGE:
            return "language";
        case PG_QUERY__OBJECT_TYPE__OBJECT_LARGEOBJECT:
            return "large object";
        case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
            return "materialized view";
        case PG_QUERY__OBJECT_TYPE__OBJECT_OPCLASS:
            return "operator class";
        case PG_QUERY__OBJECT_TYPE__OBJECT_OPERATOR:
            return "operator";
        case PG_QUERY__OBJECT_TYPE__OBJECT_OPFAMILY:
            return "operator family";
        case PG_QUERY__OBJECT_TYPE__OBJECT_POLICY:
            return "policy";
        case PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE:
            return "procedure";
        case PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION:
            return "publication";
        case PG_QUERY__OBJECT_TYPE__OBJECT_ROLE:
            return "role";
        case PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE:
            return "routine";
        case PG_QUERY__OBJECT_TYPE__OBJECT_RULE:
            return "rule";
        case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
            return "schema";
        case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
            return "sequence";
        case PG_QUERY__OBJECT_TYPE__OBJECT_STATISTIC_EXT:
            return "statistics";
        case PG_QUERY__OBJECT_TYPE__OBJECT_SUBSCRIPTION:
            return "subscription";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT:
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
            return "table";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLESPACE:
            return "tablespace";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TRANSFORM:
            return "transform";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER:
            return "trigger";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TSCONFIGURATION:
            return "text search configuration";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TSDICTIONARY:
            return "text search dictionary";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TSPARSER:
            return "text search parser";
        case PG_QUERY__OBJECT_TYPE__OBJECT_TSTEMPLATE:
            return "text search template";
        case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
            return "view";
        default:
            return "";
    }
}

std::string_view known(std::string_view verb, PgQuery__ObjectType type, std::string_view wide) {
    const auto object = object_word(type);
    if (object.empty()) return wide;
    std::string text{verb};
    text.append(" ").append(object);
    const auto* const word = find_command(text);
    return word == nullptr ? wide : word->text;
}

}  // namespace

std::string_view command_name(const ProtobufCMessage& m, std::string_view wide) {
    const auto* const type = m.descriptor;
    if (type == &pg_query__drop_stmt__descriptor)
        return known("drop", as<PgQuery__DropStmt>(m).remove_type, wide);
    if (type == &pg_query__define_stmt__descriptor)
        return known("create", as<PgQuery__DefineStmt>(m).kind, wide);
    if (type == &pg_query__rename_stmt__descriptor) {
        const auto& s = as<PgQuery__RenameStmt>(m);
        const bool column = s.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN;
        return known("alter", column ? s.relation_type : s.rename_type, wide);
    }
    if (type == &pg_query__alter_object_schema_stmt__descriptor)
        return known("alter", as<PgQuery__AlterObjectSchemaStmt>(m).object_type, wide);
    if (type == &pg_query__alter_object_depends_stmt__descriptor)
        return known("alter", as<PgQuery__AlterObjectDependsStmt>(m).object_type, wide);
    if (type == &pg_query__alter_owner_stmt__descriptor)
        return known("alter", as<PgQuery__AlterOwnerStmt>(m).object_type, wide);
    if (type == &pg_query__alter_table_stmt__descriptor)
        return known("alter", as<PgQuery__AlterTableStmt>(m).objtype, wide);
    if (type == &pg_query__alter_table_move_all_stmt__descriptor)
        return known("alter", as<PgQuery__AlterTableMoveAllStmt>(m).objtype, wide);
    if (type == &pg_query__alter_function_stmt__descriptor)
        return known("alter", as<PgQuery__AlterFunctionStmt>(m).objtype, wide);
    if (type == &pg_query__create_function_stmt__descriptor)
        return as<PgQuery__CreateFunctionStmt>(m).is_procedure != 0 ? "create procedure" : wide;
    if (type == &pg_query__grant_stmt__descriptor)
        return as<PgQuery__GrantStmt>(m).is_grant != 0 ? wide : "revoke";
    if (type == &pg_query__grant_role_stmt__descriptor)
        return as<PgQuery__GrantRoleStmt>(m).is_grant != 0 ? "grant" : "revoke";
    return wide;
}

}  // namespace sallyport::policy::sql
