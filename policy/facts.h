#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

/// Everything a rule may know about SQL text. Values without behaviour: made by policy/sql, read by
/// decide(), the gate, the audit log and the surfaces.
namespace sallyport::policy {

/// What a statement does, in the words that `do:` accepts (spelled with '-': `copy-program`).
enum class kind : std::uint8_t {
    connect,           ///< opening a session on the target
    read,              ///< reveals rows
    write,             ///< changes rows (insert, update, delete, merge, truncate, copy from)
    ddl,               ///< changes the schema
    grant,             ///< changes rights, roles or ownership
    transaction,       ///< begin, commit, rollback, savepoint, prepare transaction …
    session_setting,   ///< SET, RESET, DISCARD of something harmless to identity
    session_identity,  ///< SET ROLE, SET SESSION AUTHORIZATION, search_path and what changes how
                       ///< SQL is read
    cursor,            ///< DECLARE, FETCH, MOVE, CLOSE
    prepared,          ///< PREPARE, EXECUTE, DEALLOCATE
    notify,            ///< LISTEN, UNLISTEN, NOTIFY
    lock,              ///< LOCK TABLE, SELECT … FOR UPDATE
    explain,           ///< EXPLAIN (of whatever it explains, which counts too)
    show,              ///< SHOW
    maintenance,       ///< VACUUM, ANALYZE, CLUSTER, REINDEX, CHECKPOINT, LOAD …
    copy_in,           ///< COPY … FROM STDIN
    copy_out,          ///< COPY … TO STDOUT
    copy_program,      ///< COPY … PROGRAM
    server_file,       ///< touches files of the server (COPY file, lo_import, pg_read_file …)
    execute_code,      ///< DO, CALL
    replication,       ///< a replication connection
    fastpath,          ///< the FunctionCall message
    opaque,            ///< could not be analysed; see opaque_reasons
    count_
};
inline constexpr std::size_t kind_count = static_cast<std::size_t>(kind::count_);

[[nodiscard]] std::string_view to_string(kind k) noexcept;
/// Parses the spelling used in policies; false if unknown.
[[nodiscard]] bool parse_kind(std::string_view text, kind& out) noexcept;

enum class access : std::uint8_t { read, write };

/// The only entry of relation_use::columns when a statement names a table but none of its columns:
/// `select count(*) from t`. No rule on columns matches it.
inline constexpr const char* no_column = "(none)";

/// A table-like thing that a statement names, and how it is used.
struct relation_use {
    std::string schema;  ///< empty: unqualified, so it may be in any schema
    std::string name;  ///< "*": every relation of the schema (DROP SCHEMA, GRANT … ON ALL TABLES)
    access how = access::read;
    /// Columns that are revealed or changed; empty means "all, or unknown". A rule on columns
    /// matches if this is empty or intersects (the column analysis in depth is policy/sql's to
    /// refine).
    std::vector<std::string> columns;
    std::string place;  ///< where in the statement, for people: "from", "with", "insert into" …
    bool only = false;  ///< ONLY: not the tables that inherit from it
    bool by_code = false;  ///< a function, or what calls one, does it when the statement runs
    bool scanned = false;  ///< by DDL: what it makes is computed from the rows, or tried on them
    friend bool operator==(const relation_use&, const relation_use&) = default;
};

struct function_use {
    std::string schema;  ///< empty: unqualified
    std::string name;
    friend bool operator==(const function_use&, const function_use&) = default;
};

/// `a.b` or `(expression).b`, which may be a column, or a function called with what stands before
/// the dot (`orders.label` is `label(orders)` when there is no such column).
struct attribute_use {
    std::string name;
    /// The relation that stands before the dot; empty when the text alone does not tell.
    std::string relation;
    std::string schema;  ///< of that relation, as it is written
    friend bool operator==(const attribute_use&, const attribute_use&) = default;
};

/// A setting that a statement changes: SET, RESET, SET LOCAL, set_config(literal, …), ALTER ROLE …
/// SET.
struct setting_change {
    std::string name;   ///< lower case; "" when it cannot be known
    std::string value;  ///< literal-free only when the statement is; "" when reset or unknown
    bool local = false;
    friend bool operator==(const setting_change&, const setting_change&) = default;
};

/// What code that a statement runs does besides reading and writing rows. Bits.
namespace code_effect {
inline constexpr std::uint8_t defines = 1;       ///< DDL: event triggers fire
inline constexpr std::uint8_t takes_names = 2;   ///< DROP, ALTER: a name may be another's again
inline constexpr std::uint8_t prepares = 4;      ///< PREPARE, DEALLOCATE
inline constexpr std::uint8_t tells_errors = 8;  ///< PG_EXCEPTION_DETAIL: a row that failed
/// ALTER: a column is, or shows, another; CREATE TRIGGER and its like: code gets the rows.
inline constexpr std::uint8_t retells = 16;
}  // namespace code_effect

struct facts;

/// How a statement uses the shared namespace of prepared statements and of portals (cursors).
struct name_use {
    enum class action : std::uint8_t {
        prepare,
        execute,
        deallocate,
        deallocate_all,
        declare,
        fetch,
        close,
        close_all,
        discard_all
    };
    action what = action::prepare;
    std::string name;                    ///< as the server stores it (folded, cut to 63 bytes)
    std::shared_ptr<const facts> inner;  ///< PREPARE, DECLARE: facts of the inner statement
    bool with_hold = false;              ///< DECLARE … WITH HOLD: outlives its transaction
};

/// One statement of a Query string.
struct statement_facts {
    std::string command;  ///< lower case: "select", "insert", "create table", "copy", "do" …
    /// Commands of the statements inside it (WITH … DELETE, EXPLAIN, PREPARE, CREATE SCHEMA), each
    /// once.
    std::vector<std::string> inner_commands;
    std::vector<kind> kinds;
    std::vector<relation_use> relations;
    std::vector<function_use> functions;
    /// Operators and types by name, each once, the types of `sql::is_builtin_type` left out: both
    /// call functions that no text names. Sorting, grouping and DISTINCT use the operators of the
    /// type's own class, which only a superuser can make: not listed.
    std::vector<function_use> operators;
    std::vector<function_use> types;
    /// Those that the text itself does not show to be columns, each once.
    std::vector<attribute_use> attributes;
    /// Names in a body of code (DO, CREATE FUNCTION …): perhaps of relations, functions or types,
    /// perhaps only variables. Only a catalog can tell.
    std::vector<function_use> mentions;
    std::vector<setting_change> settings;
    std::vector<name_use> names;
    std::vector<std::string> opaque_reasons;  ///< non-empty exactly when kinds has opaque
    /// Those of opaque_reasons that do not hold once a catalog has resolved functions and mentions.
    std::vector<std::string> opaque_without_catalog;
    enum class transaction_control : std::uint8_t {
        none,
        begin,
        commit,
        rollback,
        rollback_to,
        savepoint,
        release,
        prepare,
        commit_prepared,
        rollback_prepared
    } transaction = transaction_control::none;
    /// RENAME: the name that its object has from now on.
    std::vector<std::string> new_names;
    /// CREATE FUNCTION and its like: why it is opaque to run what the statement makes.
    std::vector<std::string> when_called;
    /// ALTER TABLE: columns that it drops or gives another type; "": a constraint goes, with what
    /// hangs on it.
    std::vector<std::string> taken_apart;
    /// What code on the way does to the session, as far as a catalog tells.
    std::uint8_t effects = 0;
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED: its global identifier.
    std::string prepared_transaction;

    /// COMMIT, ROLLBACK, PREPARE TRANSACTION, also AND CHAIN: nothing behind it is in the same
    /// transaction.
    [[nodiscard]] bool ends_transaction() const noexcept {
        return transaction == transaction_control::commit ||
               transaction == transaction_control::rollback ||
               transaction == transaction_control::prepare;
    }
    /// Also a text that was not read, whatever it says.
    [[nodiscard]] bool may_end_transaction() const noexcept {
        const bool unread = command == "unknown" || command == "query" || command == "parse" ||
                            command == "execute";
        return ends_transaction() || (unread && has(kind::opaque));
    }
    /// What the transaction did to the session's settings may be taken back by it.
    [[nodiscard]] bool may_end_settings() const noexcept {
        return ends_transaction() || transaction == transaction_control::rollback_to;
    }
    [[nodiscard]] bool has(kind k) const noexcept {
        for (auto x : kinds)
            if (x == k) return true;
        return false;
    }
    /// True if the text itself names code to run: a function, an operator of some schema, or an
    /// attribute of what is no relation.
    [[nodiscard]] bool names_code() const noexcept {
        for (const auto& o : operators)
            if (!o.schema.empty() && o.schema != "pg_catalog") return true;
        for (const auto& a : attributes)
            if (a.relation.empty()) return true;
        return !functions.empty();
    }
};

/// Makes the kinds say what the statement does to rows, also by code alone: a rule on read or write
/// means DO, CALL and the function that a query or an index calls as well. Takes `opaque` away when
/// no reason is left.
void settle_kinds(statement_facts& s);

/// Facts of one SQL text (a Query or Parse message).
struct facts {
    std::vector<statement_facts> statements;  ///< empty: an empty query
    /// Literals of the text decide what it does (SET, set_config, 'x'::regclass …): texts that
    /// differ only in literals may not share these facts, and no approval may cover "the same
    /// shape".
    bool literal_sensitive = false;
    /// Opaque for one reason only: the text is not grammatical for our parser. A server of the same
    /// or an older major version will refuse it too, and can be asked.
    bool syntax_error = false;
    /// Of a Parse: the oids of types that are not the server's own.
    std::vector<std::uint32_t> parameter_types;
    std::string shape;  ///< hex SHA-256 of the literal-free token sequence; "" when there is none
    std::string redacted;  ///< the text without its literals, whole; for log and audit

    [[nodiscard]] bool ends_transaction() const noexcept {
        for (const auto& s : statements)
            if (s.ends_transaction()) return true;
        return false;
    }
    [[nodiscard]] bool may_end_transaction() const noexcept {
        for (const auto& s : statements)
            if (s.may_end_transaction()) return true;
        return false;
    }
    /// Something may stand behind what ends the transaction. What EXECUTE runs is at the end here,
    /// wherever that stands.
    [[nodiscard]] bool leaves_transaction() const noexcept {
        bool by_name = false;
        for (const auto& s : statements)
            by_name = by_name || !s.names.empty();
        const auto last = statements.empty() ? nullptr : &statements.back();
        for (const auto& s : statements)
            if (s.may_end_transaction() && (&s != last || (by_name && statements.size() > 1)))
                return true;
        return false;
    }
};

using facts_ptr = std::shared_ptr<const facts>;

}  // namespace sallyport::policy
