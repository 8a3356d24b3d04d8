#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/config.h"
#include "proxy/telemetry/exporter.h"

/// Telemetry and the running proxy.
namespace sallyport::proxy {

/// Not started; nothing is exported before use_telemetry().
[[nodiscard]] std::unique_ptr<telemetry::exporter> make_exporter(const settings& s,
                                                                 const std::string& version);
/// At the start and after each reload.
void use_telemetry(const settings_ptr& config, telemetry::exporter& e);
/// An audit event as a line of the log, with its ids.
void log_event(const telemetry::audit_event& e);
/// For /readyz: no error's text, since everybody may read it.
[[nodiscard]] std::vector<std::string> telemetry_notes(const telemetry::exporter& e);

}  // namespace sallyport::proxy
