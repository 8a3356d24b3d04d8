#pragma once

#include "proxy/cli/login.h"

/// `sallyport approve` without a number: what waits, one by one, with a question each.
namespace sallyport::proxy::cli {

/// On a terminal only. Throws failure.
void vote_one_by_one(const connection_options& o);

}  // namespace sallyport::proxy::cli
