#pragma once

#include <string>
#include <string_view>

#include "proxy/init_command.h"

/// The files that `sallyport init` writes. Pure.
namespace sallyport::proxy {

/// What stands in a password file until somebody writes the password.
inline constexpr const char* init_placeholder = "REPLACE-ME";

struct init_places {
    std::string state;           ///< folder, as the configuration names it
    std::string login_secret;    ///< likewise
    std::string catalog_secret;  ///< "": none
};
[[nodiscard]] std::string init_configuration(const init_options& o, const init_places& p);
[[nodiscard]] std::string init_policy(const init_options& o);
/// `line`: of one user, as `sallyport passwd` prints it.
[[nodiscard]] std::string init_users(std::string_view line);

}  // namespace sallyport::proxy
