#pragma once

#include <string>

#include "policy/catalog/snapshot.h"
#include "policy/rule.h"
#include "proxy/admin/explained.h"
#include "proxy/auth/users.h"
#include "proxy/config.h"

namespace sallyport::proxy {

/// What the explanation stands on. All outlive the call.
struct explain_world {
    const settings& config;
    const auth::user_directory& users;
    const policy::rule_set& rules;
    policy::instant now;
};

/// The catalog of the question's target, as far as it could be had.
struct explain_catalog {
    admin::explained_catalog about;             ///< without counts and versions, which `newest` has
    policy::catalog::snapshot_ptr newest = {};  ///< set exactly when about.how is followed
};

/// Says what would be decided and why: the one answer behind `sallyport explain` and the API's
/// /decisions. The text takes the way that the gate takes it (policy/in_session.h,
/// policy/catalog/resolve.h, decide()). Without grants: what the rules alone say.
/// Errors: in explained::error (unknown user without groups, unknown target, no address).
/// Concurrency: any thread; blocks for the analysis, which has a thread of its own.
[[nodiscard]] admin::explained explain(const explain_world& world, const explain_catalog& catalog,
                                       const admin::explain_question& question);

/// For a terminal: at most 80 columns where no name is longer, nothing that acts on it.
[[nodiscard]] std::string format_explained(const admin::explained& e);

}  // namespace sallyport::proxy
