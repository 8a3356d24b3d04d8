#pragma once

#include <cstdint>
#include <string>
#include <vector>

/// One database's system catalogs as plain values: read by proxy/catalog, understood by
/// policy/catalog. Names are as the server stores them, unquoted. Source: PostgreSQL's
/// documentation, "System Catalogs"; the members carry the names of the columns they come from.
///
/// What PostgreSQL has to write out (a view's definition, an expression) it writes from the newest
/// catalog, waits for locks while it does, and may fail at: then the text is "" and the row's
/// `unreadable` says why. Such an object is opaque: nothing is known of what it reaches.
namespace sallyport::policy::catalog {

using oid = std::uint32_t;  ///< 0: none

struct schema_row {
    oid id = 0;
    std::string name;
};

struct column_row {
    std::string name;
    oid type = 0;
    bool generated = false;  ///< its expression is one of the relation's expressions
    int number = 0;          ///< attnum, which stays when it is renamed; 0: not known
};

struct relation_row {
    oid id = 0;
    oid schema = 0;
    std::string name;
    char kind = 'r';  ///< pg_class.relkind: r p v m f S i I c t
    oid row_type = 0;
    bool row_security = false;  ///< relrowsecurity
    oid table = 0;  ///< of an index, a TOAST table, an owned sequence: what it belongs to
    /// Of attnum > 0, without dropped ones, in order; none for indexes and TOAST tables.
    std::vector<column_row> columns;
    /// Views and materialized views: pg_get_viewdef under an empty search_path, so that every name
    /// outside pg_catalog is qualified.
    std::string definition;
    /// A view's rule has a Var for a whole row, which pg_depend does not tell apart.
    bool whole_row = false;
    std::string unreadable;  ///< why `definition` is not known
};

/// What stands in a relation besides its columns and can run or read something.
struct expression_row {
    enum class use : std::uint8_t {
        default_value,  ///< pg_attrdef, not generated: evaluated by INSERT, UPDATE … SET x =
                        ///< DEFAULT
        generated,      ///< pg_attrdef of a generated column
        check,          ///< pg_constraint of type c (what an EXCLUDE evaluates is its index')
        index,          ///< indexprs, indpred: a row each; `relation` is the table
        partition_key,  ///< pg_partitioned_table.partexprs
        statistics,     ///< pg_statistic_ext.stxexprs
        policy_using,   ///< pg_policy.polqual
        policy_check    ///< pg_policy.polwithcheck
    };
    use what = use::check;
    oid relation = 0;
    std::string column;  ///< of a default or a generated column
    /// pg_get_expr under an empty search_path: an expression, not a statement; of index,
    /// partition_key and statistics a list of them, with commas.
    std::string text;
    std::string unreadable;  ///< why `text` is not known
};

struct function_row {
    oid id = 0;
    oid schema = 0;
    std::string name;
    char kind = 'f';       ///< prokind: f p a w
    std::string language;  ///< pg_language.lanname
    std::string source;    ///< prosrc; for a BEGIN ATOMIC body pg_get_function_sqlbody
    bool atomic = false;   ///< source is a parsed body: bound at creation, names qualified
    std::vector<std::string> settings;  ///< proconfig, "search_path=…"
    std::vector<oid> argument_types;    ///< all of them, OUT too
    oid return_type = 0;
    std::string defaults;   ///< pg_get_expr(proargdefaults), a comma-separated list; "" = none
    std::string extension;  ///< the extension that it belongs to; "" = none
    bool trigger = false;   ///< returns trigger or event_trigger
    bool security_definer = false;
    std::string unreadable;  ///< why `source` (of an atomic one) or `defaults` is not known
};

struct aggregate_row {
    oid function = 0;            ///< the pg_proc row of the aggregate
    std::vector<oid> functions;  ///< aggtransfn, aggfinalfn, aggcombinefn … those that are set
};

struct operator_row {
    oid id = 0;
    oid schema = 0;
    std::string name;
    /// oprcode, oprrest, oprjoin, and oprcode of its negator and its commutator, which the planner
    /// puts in its place.
    std::vector<oid> functions;
    std::string extension;
};

struct cast_row {
    oid source = 0;
    oid target = 0;
    oid function = 0;  ///< 0: binary coercible or by input and output functions
    std::string extension;
};

struct type_row {
    oid id = 0;
    oid schema = 0;
    std::string name;
    char kind = 'b';             ///< typtype: b c d e p r m
    oid base = 0;                ///< typbasetype of a domain
    oid element = 0;             ///< of an array, a range (its subtype), a multirange (its range)
    oid relation = 0;            ///< of a composite type
    std::vector<oid> functions;  ///< input, output, receive, send, typmod, subscript, canonical …
    /// CHECKs and default of a domain, as expressions.
    std::vector<std::string> expressions;
    std::string extension;
    std::string unreadable;  ///< why one of `expressions` is not known
};

struct trigger_row {
    std::string name;
    oid relation = 0;  ///< 0: an event trigger, and then none of the four below is set
    oid function = 0;
    bool on_insert = false;
    bool on_update = false;
    bool on_delete = false;
    bool on_truncate = false;
    bool before = false;      ///< it may change the row
    bool sees_rows = false;   ///< for each row, or with transition tables
    bool transition = false;  ///< with transition tables
    bool deferrable = false;  ///< a constraint trigger that may run as late as COMMIT
    std::string condition;    ///< inside the WHEN (…) of pg_get_triggerdef, "" = none
    std::string unreadable;   ///< why `condition` is not known
};

/// CREATE RULE, the ON SELECT rules of views apart.
struct rule_row {
    oid relation = 0;
    char event = 0;          ///< pg_rewrite.ev_type: 2 update, 3 insert, 4 delete; 0: any of them
    std::string definition;  ///< pg_get_ruledef under an empty search_path: a CREATE RULE statement
    std::string unreadable;  ///< why `definition` is not known
};

struct inheritance_row {  ///< partitions too
    oid child = 0;
    oid parent = 0;
};

struct foreign_key_row {
    oid referencing = 0;
    oid referenced = 0;
    std::vector<std::string> referenced_columns;  ///< confkey
    bool update_reaches = false;                  ///< ON UPDATE CASCADE, SET NULL or SET DEFAULT
    bool delete_reaches = false;                  ///< ON DELETE CASCADE, SET NULL or SET DEFAULT
};

/// A view's or a rule's use of a column (pg_depend from pg_rewrite to pg_class).
struct view_column_row {
    oid view = 0;
    oid relation = 0;
    std::string column;  ///< "" = the relation as such
};

/// A search_path set for a role, a database, or both (pg_db_role_setting).
struct setting_row {
    std::string role;            ///< "" = every role
    bool this_database = false;  ///< false: of every database
    std::string name;
    std::string value;
};

/// A function that indexes and sorts call, where it is not the server's own: of operator classes
/// and families (pg_amproc, and pg_amop by its operator).
struct support_row {
    oid relation = 0;  ///< whose index or partition key has such a class; 0: see `type`
    oid type = 0;      ///< whose values it compares
    oid function = 0;
};

struct foreign_table_row {
    oid relation = 0;
    std::string server;
    std::string wrapper;
    std::vector<std::string> options;         ///< ftoptions, "schema_name=pii"
    std::vector<std::string> server_options;  ///< "dbname=…"
};

/// A function of the server itself.
struct builtin_row {
    oid id = 0;
    std::string name;
    std::string symbol;  ///< prosrc: what LANGUAGE internal knows it by
};

struct relation_name {
    std::string schema;
    std::string name;
    friend bool operator==(const relation_name&, const relation_name&) = default;
};

struct past_column {
    int number = 0;
    std::string last;
    std::vector<std::string> former;  ///< oldest first
    friend bool operator==(const past_column&, const past_column&) = default;
};

/// A relation as an earlier snapshot knew it.
struct past_relation {
    oid id = 0;
    relation_name last;
    std::vector<relation_name> former;  ///< oldest first
    std::vector<past_column> columns;
    friend bool operator==(const past_relation&, const past_relation&) = default;
};

/// Names of an earlier snapshot of the same database, so that a table or column that was renamed is
/// still the one that the rules speak of.
struct past_names {
    std::string database;
    std::string identity;  ///< see rows::identity
    std::vector<past_relation> relations;
    friend bool operator==(const past_names&, const past_names&) = default;
};

struct rows {
    std::uint64_t server_version = 0;  ///< server_version_num
    std::string database;
    /// The cluster's system identifier and the database's oid, "7301…/16384": the same oid means
    /// the same thing. "": the login may not know it.
    std::string identity;
    std::vector<schema_row> schemas;  ///< without the sessions' temporary ones and their TOAST
    /// Those that are not of the server itself, and those of its own that have triggers or rules.
    std::vector<relation_row> relations;
    std::vector<expression_row> expressions;
    /// Those that are not of the server itself (oid from 16384 on, or not in pg_catalog and
    /// information_schema), and those of its own that are written in a language: a superuser can
    /// write them anew.
    std::vector<function_row> functions;
    std::vector<aggregate_row> aggregates;  ///< those of `functions`
    std::vector<operator_row> operators;    ///< those that are not of the server itself
    std::vector<cast_row> casts;            ///< those that are not of the server itself
    std::vector<type_row> types;            ///< those that are not of the server itself
    std::vector<trigger_row> triggers;
    std::vector<rule_row> rules;
    std::vector<inheritance_row> inheritance;
    std::vector<foreign_key_row> foreign_keys;
    std::vector<view_column_row> view_columns;
    std::vector<setting_row> settings;
    std::vector<foreign_table_row> foreign_tables;
    std::vector<support_row> supports;
    /// Names of the server's own functions, each once, sorted: in pg_catalog and
    /// information_schema.
    std::vector<std::string> builtin_functions;
    std::vector<builtin_row> builtins;
};

}  // namespace sallyport::policy::catalog
