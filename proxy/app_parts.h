#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/catalog/service.h"
#include "proxy/config.h"
#include "proxy/session/services.h"

/// From settings to what the parts of the proxy are made with.
namespace sallyport::proxy {

/// Loads certificates and keys. Throws net::tls_error.
[[nodiscard]] session::configuration_ptr make_configuration(const loaded_all& loaded);
/// See approval::steward::dependencies::who_now.
[[nodiscard]] std::optional<policy::principal> who_now(const session::configuration& c,
                                                       const policy::principal& then,
                                                       policy::instant now);
/// What a reload cannot change, because it was bound or opened at the start; one sentence each.
[[nodiscard]] std::vector<std::string> needs_restart(const settings& now, const settings& then);
/// The targets whose catalog is read.
[[nodiscard]] std::vector<catalog::target> catalog_targets(const settings& s);
void log_of_catalog(catalog::severity s, const std::string& line);
/// For /readyz: no error's text, since everybody may read it.
[[nodiscard]] std::vector<std::string> catalog_notes(const catalog::service& catalogs);

}  // namespace sallyport::proxy
