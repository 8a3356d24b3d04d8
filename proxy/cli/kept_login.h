#pragma once

#include <optional>
#include <string>

/// What `sallyport login` keeps on disk between commands: one token per proxy.
namespace sallyport::proxy::cli {

struct kept_login {
    std::string user;
    std::string token;
};

/// The file for a proxy's address: in $XDG_STATE_HOME/sallyport, else ~/.local/state/sallyport.
/// Throws failure(usage) when neither is known.
[[nodiscard]] std::string kept_login_path(const std::string& url);

/// nullopt: nothing is kept. Throws failure(not_logged_in) for a file or folder that others could
/// read or write, or that belongs to somebody else: it is not used.
[[nodiscard]] std::optional<kept_login> read_kept_login(const std::string& url);
/// The folder 0700, the file 0600, replaced whole. Throws failure(refused).
void keep_login(const std::string& url, const kept_login& l);
/// False: nothing was kept.
bool forget_login(const std::string& url);

}  // namespace sallyport::proxy::cli
