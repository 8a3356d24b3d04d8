#pragma once

#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::proxy {

/// What `sallyport passwd NAME [-] [--groups a,b] [--service]` was told.
struct passwd_options {
    std::string name;
    std::vector<std::string> groups;
    bool from_stdin = false;  ///< "-": one line from stdin instead of asking twice on the terminal
    bool service = false;
};

/// Asks for a password (twice, without echo) and prints the user's line for users.yaml to `out`.
/// Returns the exit code: 0, or 2 with one line on `err`.
[[nodiscard]] int run_passwd(const passwd_options& o, std::istream& in, std::ostream& out,
                             std::ostream& err);

/// The line itself: `  alice: { scram: "SCRAM-SHA-256$…", groups: [dev] }`.
[[nodiscard]] std::string users_line(const passwd_options& o, std::string_view password);

}  // namespace sallyport::proxy
