// GCC 12 with sanitizers sees an uninitialised member in the moves of its own std::regex states
// (PR 105562); the warning is raised inside <regex>, wherever it is instantiated.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#include <optional>
#include <regex>

#include "policy/loader.h"

namespace sallyport::policy {

namespace {

std::optional<std::regex> compile_pattern(const std::string& pattern, std::string& why) {
    if (pattern.empty() || pattern.size() > ticket_pattern_bytes_max) {
        why = "it must have 1 to " + std::to_string(ticket_pattern_bytes_max) + " bytes";
        return {};
    }
    try {
        // The breadth-first matcher: no pattern can make a request take exponential time. It knows
        // no back-references and refuses them.
        return std::regex(pattern, std::regex::ECMAScript | std::regex_constants::__polynomial);
    } catch (const std::regex_error& e) {
        why = std::string("an ECMAScript pattern without back-references is needed (") + e.what() +
              ")";
        return {};
    }
}

}  // namespace

bool is_ticket_pattern(const std::string& pattern, std::string& why) {
    return compile_pattern(pattern, why).has_value();
}

bool ticket_fits(const std::string& pattern, const std::string& ticket) {
    std::string why;
    const auto regex = compile_pattern(pattern, why);
    // A short ticket also bounds what the matcher can cost.
    if (!regex || ticket.size() > ticket_bytes_max) return false;
    try {
        return std::regex_match(ticket, *regex);
    } catch (const std::regex_error&) {
        return false;
    }
}

}  // namespace sallyport::policy
