#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/rule.h"
#include "policy/types.h"

/// The answer of explain as values: what a statement does, what that reaches and by which road,
/// which rules were looked at, and the decision. `sallyport explain` and POST /api/v1/decisions
/// give the same.
namespace sallyport::proxy::admin {

/// The catalog that names were followed through.
struct explained_catalog {
    enum class state : std::uint8_t {
        followed,    ///< with the snapshot below
        none,        ///< the target has no catalog: login; only names count
        off,         ///< it has one, and it was not to be asked
        unreachable  ///< it has one, and it could not be had
    };
    state how = state::none;
    std::string why;     ///< unreachable: the server's words, one line
    std::string server;  ///< "127.0.0.1:5432"
    std::string database;
    std::uint64_t server_version = 0;           ///< 150014; 0: not known
    std::optional<policy::milliseconds> age{};  ///< since the check that says it is true
    bool stale = false;  ///< the newest check failed: it may have changed since
    std::size_t relations = 0;
    std::size_t functions = 0;
    std::size_t unreadable = 0;  ///< objects whose definition could not be had: opaque
};
[[nodiscard]] const char* to_string(explained_catalog::state s) noexcept;

/// What bare names were looked up in.
struct explained_path {
    std::vector<std::string> schemas;  ///< in order; empty: not known, every schema counts
    std::string from;                  ///< "--search-path", "the setting of role app" …
    bool matters = false;              ///< a bare name could mean something else under another
    /// What is decided where the path cannot be known, if that is not the same.
    std::optional<policy::effect> otherwise;
    std::string otherwise_rule;
};

struct explained_relation {
    bool write = false;
    std::string schema;  ///< "" = not known
    std::string name;
    std::vector<std::string> columns;  ///< empty: all, or not known
    bool named = false;                ///< by the text itself; else only reached
    std::string place;                 ///< "from", "insert into" …; "" = not told
    std::string road;                  ///< "view public.v3 → view public.v2"; "" when named
    std::vector<std::string> rules;    ///< those that hold or deny it
};

struct explained_statement {
    std::string command;
    std::vector<std::string> kinds;
    std::vector<explained_relation> relations;
    std::vector<std::string> functions;  ///< "pg_catalog.count", as far as the text says
    std::vector<std::string> operators;  ///< those that the text names with a schema
    std::vector<std::string> types;
    std::vector<std::string> settings;  ///< "search_path = pii"
    std::vector<std::string> opaque;    ///< why it cannot be told what the statement does
};

struct explained_rule {
    std::string id;
    int tier = 0;
    policy::effect effect = policy::effect::deny;
    std::string state;  ///< decides, observes, yields …: policy::rule_standing
    std::vector<std::string> why;
};

/// One token of the text as the lexer splits it. Literals and comments without their words.
struct explained_token {
    const char* kind = "";  ///< "word", "string" …: policy::sql::to_string(token_kind)
    std::string text;       ///< "" for a literal or a comment
    std::size_t at = 0;     ///< bytes from the beginning of the text
};

struct explained {
    std::string
        error;  ///< non-empty: it could not be explained (unknown target …); the rest is empty
    policy::effect effect = policy::effect::deny;
    std::string rule;
    std::vector<std::string> reasons;
    std::vector<std::string> facts;  ///< "read pii.customers (from)", "opaque: DO block" …
    std::string policy_hash;

    std::string user;
    std::vector<std::string> groups;
    std::string target;
    std::string application;
    std::string address;
    policy::instant at{};

    bool session = false;  ///< the opening of a session: there is no text
    std::string text;      ///< without its literals
    std::string shape;     ///< hex SHA-256; "" = none, no approval of a shape covers it
    std::vector<explained_token> tokens;  ///< the first ones
    std::size_t token_count = 0;          ///< of all, up to where the text can be read
    explained_catalog catalog;
    explained_path path;
    std::vector<explained_statement> statements;
    std::vector<explained_rule> rules;  ///< every rule, in the order of their tiers
    policy::effect default_effect = policy::effect::deny;
    policy::effect opaque_effect = policy::effect::hold;
    std::string message;                    ///< the rule's own words for the client
    std::optional<policy::hold_spec> hold;  ///< effect hold: who approves; absent = nobody can
    std::vector<std::string> notes;         ///< what the proxy would do besides, in sentences
    std::vector<std::string> touches;       ///< policy::touches_of(); not in the JSON
};

struct explain_question {
    std::string user;
    std::vector<std::string> groups;  ///< empty and the user is known: that user's groups
    std::string target;
    std::string sql;  ///< "" = the session itself
    std::string application;
    std::string address;
    /// "pii, public", as SET takes it; absent: that of a session's start, as far as the catalog
    /// tells.
    std::optional<std::string> search_path;
    std::optional<policy::instant> at;  ///< absent: now
    /// Whoever asks may know what is in a target's catalog even if the user may not open a session
    /// there.
    bool sees_all = false;
};

/// The documented JSON (proxy/README.md); ASCII, so that it is safe on a terminal. `indent` < 0:
/// one line. Long lists and texts are cut, and `cut` says so.
[[nodiscard]] std::string explained_json(const explained& e, int indent = -1);

}  // namespace sallyport::proxy::admin
