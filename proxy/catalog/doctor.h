#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/rule.h"
#include "proxy/catalog/connection.h"

/// How a target could be reached around the proxy, as far as the catalog's login can see.
namespace sallyport::proxy::catalog {

enum class risk : std::uint8_t { note, low, medium, high };
[[nodiscard]] const char* to_string(risk r) noexcept;

struct finding {
    risk how_bad = risk::note;
    std::string check;  ///< "direct-login", "hba" …: stable, for programs
    std::string what;   ///< one line
    std::string fix;    ///< what shuts it, one line
};

/// What is to be examined of one target.
struct examination {
    struct pattern {
        std::string resource;
        policy::relation_pattern relation;
    };
    std::vector<pattern> resources;   ///< every pattern of the policy for this target
    std::vector<pattern> sensitive;   ///< those that a rule holds or denies
    std::vector<std::string> logins;  ///< the roles that sessions of the proxy log in as
    std::string catalog_login;
};

/// Worst first. A check that the login may not make is a finding of its own. Errors: failure, if
/// the connection does not last.
[[nodiscard]] std::vector<finding> examine(connection& c, const examination& e);

}  // namespace sallyport::proxy::catalog
