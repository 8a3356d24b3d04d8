#include <algorithm>
#include <array>

#include "policy/sql/builtin_functions.h"
#include "policy/sql/functions_table.h"
#include "policy/sql/walker.h"

/// Expressions that mean more than their parts: calls, operators, casts.
namespace sallyport::policy::sql {
namespace {

constexpr std::array identity_settings{
    std::string_view{"allow_system_table_mods"},
    std::string_view{"backslash_quote"},
    std::string_view{"client_encoding"},
    std::string_view{"dynamic_library_path"},
    std::string_view{"is_superuser"},
    std::string_view{"local_preload_libraries"},
    std::string_view{"role"},
    std::string_view{"row_security"},
    std::string_view{"search_path"},
    std::string_view{"server_encoding"},
    std::string_view{"session_authorization"},
    std::string_view{"session_preload_libraries"},
    std::string_view{"session_replication_role"},
    std::string_view{"standard_conforming_strings"},
    std::string_view{"transform_null_equals"},
};
static_assert(std::ranges::is_sorted(identity_settings));

// Types whose input from text cannot run code of users nor name an object.
constexpr std::array builtin_types{
    std::string_view{"bit"},       std::string_view{"bool"},        std::string_view{"bpchar"},
    std::string_view{"bytea"},     std::string_view{"char"},        std::string_view{"cidr"},
    std::string_view{"date"},      std::string_view{"float4"},      std::string_view{"float8"},
    std::string_view{"inet"},      std::string_view{"int2"},        std::string_view{"int4"},
    std::string_view{"int8"},      std::string_view{"interval"},    std::string_view{"json"},
    std::string_view{"jsonb"},     std::string_view{"name"},        std::string_view{"numeric"},
    std::string_view{"oid"},       std::string_view{"text"},        std::string_view{"time"},
    std::string_view{"timestamp"}, std::string_view{"timestamptz"}, std::string_view{"timetz"},
    std::string_view{"tsquery"},   std::string_view{"tsvector"},    std::string_view{"uuid"},
    std::string_view{"varbit"},    std::string_view{"varchar"},     std::string_view{"xml"},
};
static_assert(std::ranges::is_sorted(builtin_types));

// Types whose values are names of objects.
constexpr std::array reg_types{
    std::string_view{"regclass"},     std::string_view{"regcollation"},
    std::string_view{"regconfig"},    std::string_view{"regdictionary"},
    std::string_view{"regnamespace"}, std::string_view{"regoper"},
    std::string_view{"regoperator"},  std::string_view{"regproc"},
    std::string_view{"regprocedure"}, std::string_view{"regrole"},
    std::string_view{"regtype"},
};
static_assert(std::ranges::is_sorted(reg_types));

std::string_view last_name(const PgQuery__TypeName* t) noexcept {
    return t == nullptr || t->n_names == 0 ? "" : string_of(t->names[t->n_names - 1]);
}

bool in_pg_catalog_or_bare(const PgQuery__TypeName* t) noexcept {
    return t != nullptr &&
           (t->n_names == 1 || (t->n_names == 2 && string_of(t->names[0]) == "pg_catalog"));
}

const PgQuery__Node* argument(const PgQuery__FuncCall& f, std::size_t i) noexcept {
    return i < f.n_args ? f.args[i] : nullptr;
}

bool is_constant_without_text(const PgQuery__Node* n) noexcept {
    return n != nullptr && n->node_case == PG_QUERY__NODE__NODE_A_CONST &&
           n->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL;
}

bool has_named_arguments(const PgQuery__FuncCall& f) noexcept {
    if (f.func_variadic != 0) return true;
    for (std::size_t i = 0; i < f.n_args; ++i)
        if (f.args[i]->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) return true;
    return false;
}

}  // namespace

bool is_identity_setting(std::string_view name) noexcept {
    return std::ranges::binary_search(identity_settings, name);
}

bool is_reg_type(const PgQuery__TypeName* t) noexcept {
    return in_pg_catalog_or_bare(t) && std::ranges::binary_search(reg_types, last_name(t));
}

bool is_builtin_type_name(std::string_view name) noexcept {
    return std::ranges::binary_search(builtin_types, name) ||
           std::ranges::binary_search(reg_types, name) || name == "unknown";
}

bool is_builtin_type(const PgQuery__TypeName* t) noexcept {
    return in_pg_catalog_or_bare(t) && std::ranges::binary_search(builtin_types, last_name(t));
}

namespace {

/// Neither cut to a length nor an array.
bool is_unmodified(const PgQuery__TypeName& t) noexcept {
    return t.n_typmods == 0 && t.n_array_bounds == 0 && t.setof == 0;
}

/// A cast to it leaves a constant as it is written.
bool keeps_text(const PgQuery__TypeName* t) noexcept {
    if (!in_pg_catalog_or_bare(t) || !is_unmodified(*t)) return false;
    const std::string_view name = last_name(t);
    return name == "text" || name == "varchar" || name == "unknown";
}

/// A constant, whatever casts make of it.
bool is_constant(const PgQuery__Node* n) noexcept {
    while (n != nullptr && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST)
        n = n->type_cast->arg;
    return n != nullptr && n->node_case == PG_QUERY__NODE__NODE_A_CONST;
}

/// pg_get_serial_sequence('table', 'column'): the table and the column; null: it is no such call.
const PgQuery__FuncCall* own_sequence(const PgQuery__Node* n) noexcept {
    if (n == nullptr || n->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) return nullptr;
    const PgQuery__FuncCall& f = *n->func_call;
    const bool named =
        f.n_funcname > 0 && string_of(f.funcname[f.n_funcname - 1]) == "pg_get_serial_sequence";
    const bool servers =
        f.n_funcname == 1 || (f.n_funcname == 2 && string_of(f.funcname[0]) == "pg_catalog");
    const bool told = f.n_args == 2 && constant_text(f.args[0]) && constant_text(f.args[1]);
    return named && servers && told ? &f : nullptr;
}

/// The text that names an object: 'pii.customers', or a cast of it to such a type.
std::optional<std::string_view> constant_name(const PgQuery__Node* n) noexcept {
    const bool cast = n != nullptr && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST;
    if (cast && is_reg_type(n->type_cast->type_name) && is_unmodified(*n->type_cast->type_name))
        n = n->type_cast->arg;
    return constant_text(n);
}

}  // namespace

std::optional<std::string_view> constant_text(const PgQuery__Node* n) noexcept {
    while (n != nullptr && n->node_case == PG_QUERY__NODE__NODE_TYPE_CAST &&
           keeps_text(n->type_cast->type_name))
        n = n->type_cast->arg;
    if (n == nullptr || n->node_case != PG_QUERY__NODE__NODE_A_CONST ||
        n->a_const->val_case != PG_QUERY__A__CONST__VAL_SVAL || n->a_const->isnull != 0)
        return std::nullopt;
    return n->a_const->sval->sval;
}

/// `relation = 'pii.customers'::regclass` in a look at the catalog names no table that is read.
bool walker::skip_harmless_name(const PgQuery__Node* n) {
    if (n == nullptr || n->node_case != PG_QUERY__NODE__NODE_TYPE_CAST ||
        !is_reg_type(n->type_cast->type_name) || !constant_name(n))
        return false;
    sensitive_ = true;
    return true;
}

void walker::operator_expression(const PgQuery__AExpr& e) {
    switch (e.kind) {
        // The grammar keeps the keyword here; the server looks these up by name.
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
            operator_name({">="});
            operator_name({"<="});
            break;
        case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
            operator_name({"<"});
            operator_name({">"});
            break;
        default:
            named_operator(e.n_name, e.name);
    }
    const std::string_view name = e.n_name == 1 ? string_of(e.name[0]) : "";
    const bool compares = name == "=" || name == "<>" || name == "!=";
    for (const PgQuery__Node* side : {e.lexpr, e.rexpr})
        if (!compares || !skip_harmless_name(side)) node(side);
}

void walker::type_cast(const PgQuery__TypeCast& c) {
    // By itself a name reads nothing; what takes it as an argument and reads is in the table.
    if (is_constant(c.arg) && !is_builtin_type(c.type_name)) sensitive_ = true;
    node(c.arg);
    if (c.type_name != nullptr) type_name(*c.type_name);
}

void walker::constraint(const PgQuery__Constraint& c) {
    target(c.pktable, access::read, "references");
    for (std::size_t i = 0; i < c.n_exclusions; ++i) {
        // EXCLUDE: pairs of a column and its operator.
        const PgQuery__Node* pair = c.exclusions[i];
        if (pair->node_case != PG_QUERY__NODE__NODE_LIST || pair->list->n_items != 2) continue;
        const PgQuery__Node* op = pair->list->items[1];
        if (op->node_case == PG_QUERY__NODE__NODE_LIST)
            named_operator(op->list->n_items, op->list->items);
    }
    members(c.base, {offsetof(PgQuery__Constraint, pktable)});
}

void walker::function_call(const PgQuery__FuncCall& f) {
    const auto names = strings_of(f.n_funcname, f.funcname);
    function(names);
    const std::string_view name = names.empty() ? std::string_view{} : names.back();
    const function_entry* e = find_function(name);
    if (e == nullptr) {
        members(f.base, {offsetof(PgQuery__FuncCall, funcname)});
        return;
    }
    sensitive_ = true;
    const bool by_position = e->arguments == 0 || !has_named_arguments(f);
    if (!by_position) opaque(std::string{name} + " with named arguments");
    switch (e->role) {
        case function_role::sets_config:
            set_config_call(f);
            break;
        case function_role::server_file:
            add_kind(kind::server_file);
            opaque(std::string{name} + " reaches files of the server");
            break;
        case function_role::notifies:
            add_kind(kind::notify);
            break;
        case function_role::maintains:
            add_kind(kind::maintenance);
            break;
        case function_role::replicates:
            add_kind(kind::replication);
            opaque(std::string{name} + " reads the log stream of any table");
            break;
        case function_role::schedules:
            opaque_without_catalog(std::string{name} + " reaches what its text does not tell");
            break;
        case function_role::opaque:
            opaque(std::string{name} + " reaches what its text does not tell");
            break;
        default:
            for (std::size_t i = 0; by_position && i < f.n_args && i < 8; ++i)
                if ((e->arguments >> i & 1u) != 0) switch (e->role) {
                        case function_role::sql_text:
                            text_argument(f, name, i);
                            break;
                        case function_role::reads_relation:
                            relation_argument(f, name, access::read, i);
                            break;
                        case function_role::writes_relation:
                            relation_argument(f, name, access::write, i);
                            break;
                        case function_role::cursor_name:
                        case function_role::names_relation:
                            name_argument(f, name, static_cast<std::uint8_t>(e->role));
                            break;
                        default:
                            break;
                    }
    }
    for (std::size_t i = 0; i < f.n_args; ++i) {
        const bool told = e->role == function_role::harmless_name ||
                          e->role == function_role::reads_relation ||
                          e->role == function_role::writes_relation;
        if (!told || !skip_harmless_name(f.args[i])) node(f.args[i]);
    }
    members(f.base, {offsetof(PgQuery__FuncCall, funcname), offsetof(PgQuery__FuncCall, args)});
}

void walker::text_argument(const PgQuery__FuncCall& f, std::string_view name, std::size_t i) {
    const PgQuery__Node* n = argument(f, i);
    if (is_constant_without_text(n)) return;
    // ts_rewrite(query, target, substitute) takes no SQL.
    if (name == "ts_rewrite" && f.n_args != 2) return;
    if (const auto text = constant_text(n)) {
        // One more than allowed is enough to be refused later.
        if (pending_.size() <= pending_texts_max)
            pending_.push_back({std::string{*text}, std::string{name}});
    } else {
        opaque(std::string{name} + " runs SQL that is computed");
    }
}

void walker::relation_argument(const PgQuery__FuncCall& f, std::string_view name, access how,
                               std::size_t i) {
    if (const auto text = constant_name(argument(f, i)))
        relation_text(*text, how, std::string{name});
    else if (const auto* call = own_sequence(argument(f, i));
             call != nullptr && is_of_sequences(name))
        // A sequence stands and falls with the table that owns it.
        relation_text(*constant_text(call->args[0]), how, std::string{name});
    else
        opaque(std::string{name} + " of a table that is computed");
}

void walker::name_argument(const PgQuery__FuncCall& f, std::string_view name, std::uint8_t role) {
    const auto text = constant_text(argument(f, 0));
    if (role == static_cast<std::uint8_t>(function_role::names_relation)) return;  // reads nothing
    if (text)
        cursor_or_statement(name_use::action::fetch, *text);
    else
        opaque(std::string{name} + " of a cursor that is computed");
    add_kind(kind::cursor);
}

/// `name`, of the one row of pg_settings that the statement looks at.
bool walker::names_the_setting(const PgQuery__Node* n) const {
    if (setting_row_.empty() || n->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) return false;
    const auto parts = strings_of(n->column_ref->n_fields, n->column_ref->fields);
    return parts.size() == 1 && parts[0] == "name";
}

void walker::set_config_call(const PgQuery__FuncCall& f) {
    if (f.n_args != 3 || has_named_arguments(f)) {
        setting_changed("", "", false, true);
        opaque("set_config with unusual arguments");
        return;
    }
    auto name = constant_text(f.args[0]);
    if (!name && names_the_setting(f.args[0])) name = setting_row_;
    if (!name) {
        setting_changed("", "", false, true);
        opaque("set_config of a setting whose name is computed");
        return;
    }
    const PgQuery__Node* local = f.args[2];
    const bool is_local = local->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                          local->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL &&
                          local->a_const->boolval->boolval != 0;
    setting_changed(std::string{*name}, std::string{constant_text(f.args[1]).value_or("")},
                    is_local, true);
}

}  // namespace sallyport::policy::sql
