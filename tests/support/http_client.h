#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/child_process.h"

/// HTTP for the admin API: one connection per request, nothing clever.
namespace sallyport::tests {

using http_headers = std::vector<std::pair<std::string, std::string>>;

struct http_response {
    int status = 0;
    std::map<std::string, std::string> headers;  ///< names in lower case; last of a name wins
    std::string body;
};

/// Errors: throws std::runtime_error when there is no well-formed answer.
[[nodiscard]] http_response http_request(std::uint16_t port, const std::string& method,
                                         const std::string& path, const http_headers& headers = {},
                                         std::string_view body = {});

/// A person logged in to the admin API: keeps the cookie and the CSRF token.
class admin_session {
  public:
    explicit admin_session(std::uint16_t port) : port_(port) {}
    /// The answer to the login, whatever it was.
    http_response login(const std::string& user, const std::string& password);
    [[nodiscard]] http_response get(const std::string& path) const;
    [[nodiscard]] http_response post(const std::string& path, std::string_view json) const;
    /// With the cookie, but without the token: as another site's page would.
    [[nodiscard]] http_response post_without_token(const std::string& path,
                                                   std::string_view json) const;

  private:
    std::uint16_t port_;
    std::string cookie_;
    std::string token_;
};

}  // namespace sallyport::tests
