#include <algorithm>

#include "policy/sql/code.h"
#include "policy/sql/identifier.h"
#include "policy/sql/walker.h"

/// Statements about everything but rows: settings, transactions, rights, definitions.
namespace sallyport::policy::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& m) noexcept {
    return reinterpret_cast<const T&>(m);
}

bool equals(const char* a, std::string_view b) noexcept {
    return a != nullptr && b == a;
}

std::string lower(std::string_view s) {
    std::string out{s};
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return out;
}

}  // namespace

void walker::setting_changed(std::string name, std::string value, bool local, bool session) {
    sensitive_ = true;
    name = lower(name);
    if (name.empty() || is_identity_setting(name))
        add_kind(kind::session_identity);
    else if (session)
        add_kind(kind::session_setting);
    out_.settings.push_back({std::move(name), std::move(value), local});
}

void walker::setting(const PgQuery__VariableSetStmt& s, bool session) {
    if (s.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI) {
        add_kind(kind::transaction);
        return;
    }
    std::string value;
    for (std::size_t i = 0; i < s.n_args; ++i) {
        const PgQuery__Node* n = s.args[i];
        if (!value.empty()) value += ", ";
        if (const auto text = constant_text(n)) {
            value += *text;
        } else if (n->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                   n->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL) {
            value += std::to_string(n->a_const->ival->ival);
        } else if (n->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                   n->a_const->val_case == PG_QUERY__A__CONST__VAL_FVAL) {
            value += n->a_const->fval->fval;
        }
    }
    setting_changed(s.name == nullptr ? "" : s.name, std::move(value), s.is_local != 0, session);
}

void walker::visit_set(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__VariableSetStmt>(m);
    if (s.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET ||
        s.kind == PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL)
        if (out_.command == "set") out_.command = "reset";
    setting(s, true);
}

void walker::visit_alter_set(const ProtobufCMessage& m) {
    for_each_member(m, {}, [this](const ProtobufCMessage& member) {
        if (member.descriptor == &pg_query__variable_set_stmt__descriptor)
            setting(as<PgQuery__VariableSetStmt>(member), false);
    });
}

void walker::visit_discard(const ProtobufCMessage& m) {
    if (as<PgQuery__DiscardStmt>(m).target != PG_QUERY__DISCARD_MODE__DISCARD_ALL) {
        add_kind(kind::session_setting);
        return;
    }
    cursor_or_statement(name_use::action::discard_all, "");
    setting_changed("", "", false, true);
}

void walker::visit_transaction(const ProtobufCMessage& m) {
    using control = statement_facts::transaction_control;
    const auto& s = as<PgQuery__TransactionStmt>(m);
    const auto set = [this](control c, const char* command) {
        out_.transaction = c;
        out_.command = command;
    };
    if (s.gid != nullptr) out_.prepared_transaction = s.gid;
    switch (s.kind) {
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
            set(control::begin, "begin");
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
            set(control::commit, "commit");
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
            set(control::rollback, "rollback");
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
            set(control::savepoint, "savepoint");
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
            set(control::release, "release");
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
            set(control::rollback_to, "rollback to");
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE:
            set(control::prepare, "prepare transaction");
            sensitive_ = true;  // the literal says which transaction
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED:
            set(control::commit_prepared, "commit prepared");
            sensitive_ = true;
            break;
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED:
            set(control::rollback_prepared, "rollback prepared");
            sensitive_ = true;
            break;
        default:
            opaque("transaction control that is not known to the analysis");
    }
}

void walker::visit_do(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__DoStmt>(m);
    std::string_view language = "plpgsql";
    const PgQuery__Node* body = nullptr;
    for (std::size_t i = 0; i < s.n_args; ++i) {
        if (s.args[i]->node_case != PG_QUERY__NODE__NODE_DEF_ELEM) continue;
        const PgQuery__DefElem& e = *s.args[i]->def_elem;
        if (equals(e.defname, "language")) language = string_of(e.arg);
        if (equals(e.defname, "as")) body = e.arg;
    }
    if (language != "plpgsql") return opaque("DO runs code in another language");
    opaque_without_catalog("DO runs code in another language");
    code(body);
}

void walker::visit_call(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__CallStmt>(m);
    opaque_without_catalog("CALL runs a procedure whose body is not in the text");
    if (s.funccall != nullptr) function_call(*s.funccall);
}

void walker::visit_lock(const ProtobufCMessage& m) {
    access_ = access::read;
    place_ = "lock table";
    members(m);
}

void walker::visit_maintenance(const ProtobufCMessage& m) {
    access_ = access::write;
    place_ = command_;
    if (m.descriptor == &pg_query__vacuum_stmt__descriptor &&
        as<PgQuery__VacuumStmt>(m).is_vacuumcmd == 0) {
        out_.command = "analyze";
        access_ = access::read;
    }
    const bool vacuums = m.descriptor == &pg_query__vacuum_stmt__descriptor;
    const bool clusters = m.descriptor == &pg_query__cluster_stmt__descriptor;
    if ((vacuums && as<PgQuery__VacuumStmt>(m).n_rels == 0) ||
        (clusters && as<PgQuery__ClusterStmt>(m).relation == nullptr))
        whole_schema("", access_);
    if (m.descriptor == &pg_query__reindex_stmt__descriptor) {
        const auto& s = as<PgQuery__ReindexStmt>(m);
        const bool one = s.kind == PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_SCHEMA;
        if (s.relation == nullptr) whole_schema(one ? s.name : "", access_);
    }
    members(m);
}

void walker::visit_definition(const ProtobufCMessage& m) {
    if (m.descriptor == &pg_query__alter_table_stmt__descriptor) {
        // ALTER TYPE … ADD ATTRIBUTE changes every table of the type.
        const auto& s = as<PgQuery__AlterTableStmt>(m);
        if (s.objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE && s.relation != nullptr)
            type({s.relation->schemaname == nullptr ? "" : s.relation->schemaname,
                  s.relation->relname});
        for (std::size_t i = 0; i < s.n_cmds; ++i)
            if (s.cmds[i]->node_case == PG_QUERY__NODE__NODE_ALTER_TABLE_CMD)
                taken_apart(*s.cmds[i]->alter_table_cmd);
        rows_looked_at(s);
    }
    if (m.descriptor == &pg_query__index_stmt__descriptor)
        rows_looked_at(as<PgQuery__IndexStmt>(m));
    if (m.descriptor == &pg_query__create_stats_stmt__descriptor)
        rows_looked_at(as<PgQuery__CreateStatsStmt>(m));
    if (m.descriptor == &pg_query__create_domain_stmt__descriptor) {
        const auto name = strings_of(as<PgQuery__CreateDomainStmt>(m).n_domainname,
                                     as<PgQuery__CreateDomainStmt>(m).domainname);
        if (!name.empty()) out_.new_names.push_back(cut_identifier(name.back()));
    }
    // Code that it puts on a table gets its rows.
    if (m.descriptor == &pg_query__rule_stmt__descriptor ||
        m.descriptor == &pg_query__create_policy_stmt__descriptor ||
        m.descriptor == &pg_query__alter_policy_stmt__descriptor)
        out_.effects |= code_effect::retells;
    const access how = std::exchange(access_, access::write);
    const char* const place = std::exchange(place_, command_);
    members(m);
    access_ = how;
    place_ = place;
}

/// What other tables' foreign keys may stand on.
void walker::taken_apart(const PgQuery__AlterTableCmd& c) {
    const char* column = c.name == nullptr ? "" : c.name;
    if (c.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn ||
        c.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType)
        out_.taken_apart.emplace_back(column);
    if (c.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint &&
        c.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE)
        out_.taken_apart.emplace_back();
}

void walker::visit_view(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__ViewStmt>(m);
    target(s.view, access::write, "create view");
    node(s.query);
}

void walker::visit_trigger(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__CreateTrigStmt>(m);
    out_.effects |= code_effect::retells;
    target(s.relation, access::write, "create trigger");
    target(s.constrrel, access::read, "create trigger");
    function(strings_of(s.n_funcname, s.funcname));
    node(s.when_clause);
}

void walker::visit_sequence(const ProtobufCMessage& m) {
    visit_definition(m);
    const bool creates = m.descriptor == &pg_query__create_seq_stmt__descriptor;
    const std::size_t n =
        creates ? as<PgQuery__CreateSeqStmt>(m).n_options : as<PgQuery__AlterSeqStmt>(m).n_options;
    PgQuery__Node* const* options =
        creates ? as<PgQuery__CreateSeqStmt>(m).options : as<PgQuery__AlterSeqStmt>(m).options;
    for (std::size_t i = 0; i < n; ++i)
        if (options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            equals(options[i]->def_elem->defname, "owned_by"))
            named_object(PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN, options[i]->def_elem->arg,
                         "owned by");
}

void walker::visit_create_database(const ProtobufCMessage& m) {
    const auto& s = as<PgQuery__CreatedbStmt>(m);
    for (std::size_t i = 0; i < s.n_options; ++i)
        if (s.options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM &&
            equals(s.options[i]->def_elem->defname, "template"))
            opaque("CREATE DATABASE … TEMPLATE copies every table of a database");
}

void walker::visit_unbounded(const ProtobufCMessage& m) {
    opaque(std::string{case_name(case_of(m))} + " reaches objects that its text does not name");
}

void walker::visit_nothing(const ProtobufCMessage& /*m*/) {}

void walker::visit_members(const ProtobufCMessage& m) {
    members(m);
}

}  // namespace sallyport::policy::sql
