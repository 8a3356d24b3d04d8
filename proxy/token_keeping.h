#pragma once

#include <memory>

#include "proxy/admin/revocations.h"
#include "proxy/admin/token_table.h"
#include "proxy/approval/steward.h"

/// The admin surfaces' way to the API tokens of the store.
namespace sallyport::proxy {

/// Writes revocations through the steward, who must outlive it; retry() is the owner's to call.
[[nodiscard]] std::unique_ptr<admin::revocations> keep_revocations(approval::steward& steward);
/// All must outlive the result; load() is for the time before the steward starts.
[[nodiscard]] admin::token_keeper keep_tokens(approval::steward& steward, store::store& state,
                                              const clock& time, admin::revocations& revoked);

}  // namespace sallyport::proxy
