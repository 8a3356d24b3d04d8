#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/catalog/rows.h"
#include "policy/catalog/snapshot.h"
#include "policy/decide.h"
#include "proxy/admin/explained.h"
#include "proxy/config.h"

/// The parts of an explanation; private to explain.cpp and its tests.
namespace sallyport::proxy {

/// The roles that a session of this person begins with on the server.
struct session_roles {
    std::string login;    ///< its settings are the session's
    std::string current;  ///< `"$user"`
};
[[nodiscard]] session_roles roles_of(const target_settings& t, const policy::principal& p);

/// The effective search_path of a session at its start: `given`, or the setting of the role in the
/// database, of the role, of the database, of every role, or PostgreSQL's default, in this order;
/// pg_catalog first where it is not named, without schemas that do not exist. What stands in
/// postgresql.conf, and rights on schemas, are not known here.
[[nodiscard]] admin::explained_path path_of_session(const policy::catalog::rows& r,
                                                    const session_roles& roles,
                                                    const std::optional<std::string>& given);

/// Fills `tokens` and `token_count` from a text with its literals.
void add_tokens(std::string_view sql, admin::explained& out);

void say_catalog(const policy::catalog::snapshot& s, admin::explained_catalog& out);

/// Fills `statements` and `facts`: what `resolved` has, and what of it `text` names itself.
void say_facts(const policy::facts& text, const policy::facts& resolved, const policy::decision& d,
               const policy::rule_set& rules, admin::explained& out);

}  // namespace sallyport::proxy
