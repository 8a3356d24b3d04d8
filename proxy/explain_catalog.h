#pragma once

#include "proxy/catalog/service.h"
#include "proxy/config.h"
#include "proxy/explain.h"

/// Where an explanation's catalog comes from.
namespace sallyport::proxy {

/// Not asked: the target has no login for it, or nobody wants it.
[[nodiscard]] explain_catalog catalog_unasked(const target_settings& t);

/// Reads it from the target with its `catalog:` login. `t.catalog` must be set. Every wait is
/// bounded: at most a minute in all. `names_file`: see proxy/catalog/names_file.h; only read.
/// Errors: in about.why, state unreachable; state followed: what is not known although it was read.
[[nodiscard]] explain_catalog catalog_from_target(const target_settings& t,
                                                  const std::string& names_file);

/// The running proxy's own, after a check if the last one is older than `max_staleness`, as a
/// statement would wait for it; at most two seconds. Blocks.
[[nodiscard]] explain_catalog catalog_from_service(const catalog::service& s,
                                                   const target_settings& t);

}  // namespace sallyport::proxy
