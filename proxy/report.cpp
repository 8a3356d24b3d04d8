#include "proxy/report.h"

#include <cstdint>
#include <iostream>
#include <optional>
#include <stdexcept>

#include <unistd.h>

#include "proxy/audit/overuse.h"

namespace sallyport::proxy {

namespace {

/// With or without milliseconds.
std::optional<policy::instant> time_of(const char* option, const std::string& text) {
    if (text.empty()) return std::nullopt;
    auto whole = text;
    if (whole.size() == 20 && whole.ends_with('Z')) whole.replace(19, 1, ".000Z");
    if (whole.size() == 10) whole += "T00:00:00.000Z";
    const auto t = audit::parse_time(whole);
    if (!t)
        throw std::runtime_error(std::string(option) +
                                 " is a time such as 2026-03-01 or 2026-03-01T09:30:00Z, in UTC");
    return t;
}

}  // namespace

std::string report_from_files(const std::string& directory, const std::string& from,
                              const std::string& to) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    bool said = false;
    const auto r = audit::count_overuse(
        directory, time_of("--from", from), time_of("--to", to), [&](std::uint64_t read) {
            if (terminal) {
                std::cerr << '\r' << read << " records" << std::flush;
                said = true;
            }
            return true;
        });
    if (said) std::cerr << "\r                        \r" << std::flush;
    return audit::overuse_json(r);
}

}  // namespace sallyport::proxy
