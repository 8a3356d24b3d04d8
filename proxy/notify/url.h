#pragma once

#include <string>
#include <string_view>

namespace sallyport::proxy::notify {

/// Scheme, host, port and path of a webhook's URL.
struct webhook_url {
    bool tls = false;
    std::string host;  ///< without brackets
    std::string port;
    std::string path;  ///< with query; "/" at least
    [[nodiscard]] bool loopback() const;
    /// "https://host:port": what may be shown.
    [[nodiscard]] std::string shown() const;
};
/// False: it is no http(s) URL of plain characters, or has a user name in it.
[[nodiscard]] bool parse_webhook_url(std::string_view text, webhook_url& out);

}  // namespace sallyport::proxy::notify
