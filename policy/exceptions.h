#pragma once

#include <vector>

#include "policy/load.h"
#include "policy/rule.h"

namespace sallyport::policy {

/// A warning for each rule whose `review_by` has passed or is near: what a load says, for a proxy
/// that has run since.
[[nodiscard]] std::vector<fault> exceptions_that_end(const rule_set& p, instant now);

}  // namespace sallyport::policy
