#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/policy_sources.h"
#include "proxy/clock.h"
#include "proxy/session/services.h"
#include "proxy/session/worker.h"

namespace sallyport::proxy {

/// What the API tells of the policy's findings, candidates and hits. What is referred to must
/// outlive the result.
[[nodiscard]] admin::policy_sources make_policy_sources(
    const session::services& shared, const std::vector<std::unique_ptr<session::worker>>& workers,
    std::string config_path, std::string audit_directory, const clock& time);

}  // namespace sallyport::proxy
