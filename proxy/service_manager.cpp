#include "proxy/service_manager.h"

#include <algorithm>
#include <cstdint>

#include <systemd/sd-daemon.h>

namespace sallyport::proxy::service_manager {

namespace {

// One line each: what stands in it must not end it.
std::string one_line(std::string text) {
    for (auto& c : text)
        if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    return text;
}

void tell(const std::string& state) {
    static_cast<void>(sd_notify(0, state.c_str()));
}

}  // namespace

void ready(const std::string& status) {
    tell("READY=1\nSTATUS=" + one_line(status));
}

void reloading() {
    tell("RELOADING=1\nSTATUS=Reading the configuration again");
}

void stopping(std::chrono::milliseconds at_most) {
    const auto extra = std::chrono::seconds(15);  // the farewells, the last records
    const auto time = std::chrono::duration_cast<std::chrono::microseconds>(at_most + extra);
    tell("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string(time.count()) +
         "\nSTATUS=Waiting for open transactions");
}

std::optional<std::chrono::milliseconds> watchdog_interval() {
    std::uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0) return std::nullopt;
    const std::chrono::microseconds half(usec / 2);
    return std::max(std::chrono::milliseconds(1),
                    std::chrono::duration_cast<std::chrono::milliseconds>(half));
}

void still_alive() {
    tell("WATCHDOG=1");
}

}  // namespace sallyport::proxy::service_manager
