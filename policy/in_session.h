#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/decide.h"
#include "policy/facts.h"
#include "policy/rule.h"

/// What a session adds to the facts of a text before they are decided on. The gate and `explain`
/// both go this way, so that they cannot differ.
namespace sallyport::policy {

/// What EXECUTE or FETCH runs.
struct named_sql {
    facts_ptr facts;    ///< null: no such name
    std::string doubt;  ///< why the facts may not be what runs; "" = they are
};
using find_named = std::function<named_sql(const name_use&)>;

/// Facts in which EXECUTE and FETCH are what their names stand for: made by an earlier statement of
/// the same text, or found by `find`. What is in doubt, or no name at all, is opaque besides.
[[nodiscard]] facts_ptr with_names(const facts_ptr& f, const find_named& find);

/// Facts in which COMMIT PREPARED of a transaction that is not `known` is opaque: what that did was
/// decided by nobody.
[[nodiscard]] facts_ptr with_prepared(const facts_ptr& f,
                                      const std::function<bool(const std::string&)>& known);

/// Facts in which PREPARE is its statement as well, if that may run something as soon as it is
/// parsed. `runs`: whether the facts of a statement do.
[[nodiscard]] facts_ptr with_parsed(const facts_ptr& f,
                                    const std::function<bool(const facts_ptr&)>& runs);

/// The names in a search_path as SQL and pg_db_role_setting write it; `"$user"` stays as it is.
[[nodiscard]] std::vector<std::string> path_schemas(std::string_view text);

/// Adds the schemas of a search_path to those that the session's bare names may be in; every schema
/// that was ever on the path stays. `value`: names with commas, in quotes or not.
void add_search_path(subject& s, std::string_view value);

/// A path that is set in the very text that uses it counts for all of the text. One whose value
/// cannot be known (set_config with a parameter) may hold any schema that a rule speaks of.
void note_search_path(subject& s, const facts& f, const rule_set& rules);

/// Facts for a target whose catalog is meant to be known and is not: what a function of somebody's
/// making reaches cannot be told, so a statement that calls one is opaque.
[[nodiscard]] facts_ptr without_catalog(const facts_ptr& f);

}  // namespace sallyport::policy
