#pragma once

#include <chrono>
#include <optional>
#include <string>

/// What systemd wants to hear of a service with Type=notify. Without a NOTIFY_SOCKET in the
/// environment nothing is said. Any thread.
namespace sallyport::proxy::service_manager {

/// Everything that was asked for is bound: who connects now is served.
void ready(const std::string& status);
/// The files are being read again; ready() ends it.
void reloading();
/// Sessions are being drained, for at most so long.
void stopping(std::chrono::milliseconds at_most);
/// How often still_alive() is wanted (half of what the unit allows); nullopt: there is no watchdog.
[[nodiscard]] std::optional<std::chrono::milliseconds> watchdog_interval();
void still_alive();

}  // namespace sallyport::proxy::service_manager
