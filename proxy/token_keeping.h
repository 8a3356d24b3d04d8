#pragma once

#include "proxy/admin/token_table.h"
#include "proxy/approval/steward.h"

/// The admin surfaces' way to the API tokens of the store.
namespace sallyport::proxy {

/// All three must outlive the result; load() is for the time before the steward starts.
[[nodiscard]] admin::token_keeper keep_tokens(approval::steward& steward, store::store& state,
                                              const clock& time);

}  // namespace sallyport::proxy
