#pragma once

#include <string>

#include "policy/rule.h"
#include "proxy/admin/dependencies.h"
#include "proxy/auth/users.h"
#include "proxy/config.h"

namespace sallyport::proxy {

/// Says what would be decided and why: the one answer behind `sallyport explain`, the API's
/// /decisions and the console. Without grants: what the rules alone say.
/// Errors: in explained::error (unknown user without groups, unknown target).
/// Concurrency: any thread; blocks for the analysis, which has a thread of its own.
[[nodiscard]] admin::explained explain(const settings& config, const auth::user_directory& users,
                                       const policy::rule_set& rules, policy::instant now,
                                       const admin::explain_question& question);

/// For a terminal.
[[nodiscard]] std::string format_explained(const admin::explained& e);
/// For programs.
[[nodiscard]] std::string json_explained(const admin::explained& e);

}  // namespace sallyport::proxy
