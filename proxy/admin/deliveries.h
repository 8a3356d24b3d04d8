#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proxy/admin/console_rows.h"
#include "proxy/approval/delivery.h"
#include "proxy/notify/status.h"

/// How notices reach people, as the surfaces show it.
namespace sallyport::proxy::admin {

/// `{"channels": […], "deliveries": […]}`: every channel, then what waits after a failure and what
/// was given up. Nobody's URL or secret is in it.
[[nodiscard]] std::string deliveries_json(const delivery_overview& d);

/// One row for each channel, in the order of the columns of SHOW DELIVERIES.
[[nodiscard]] console_row row_of(const notify::channel_status& s);
/// A sentence for each delivery in trouble, at most a few.
[[nodiscard]] std::vector<std::string> troubles_of(const delivery_overview& d);

}  // namespace sallyport::proxy::admin
