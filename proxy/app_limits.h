#pragma once

#include <cstddef>

#include "proxy/audit/log.h"
#include "proxy/config.h"
#include "proxy/net/limiter.h"

/// Limits and places of a configuration, for those who keep to them.
namespace sallyport::proxy {

[[nodiscard]] net::connection_caps caps_of(const limit_settings& l);

/// As many file descriptors as the system lets us have, and no core dumps.
void raise_limits(std::size_t connections);

[[nodiscard]] audit::log_options audit_options(const settings& s);

}  // namespace sallyport::proxy
