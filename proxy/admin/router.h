#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/admin/authority.h"
#include "proxy/admin/http.h"

/// The table of routes. What is not in it is refused.
namespace sallyport::proxy::admin {

struct api_context;

/// One request that has passed the gate of its route.
struct call {
    std::shared_ptr<api_context> context;
    http_request request;
    std::map<std::string, std::string> query;
    std::vector<std::string> parameters;  ///< what stood for each {} of the pattern
    admin::actor actor;                   ///< without a name on open routes
    std::string token;                    ///< of the login, "" on open routes
    std::string csrf;
    policy::instant login_expires_at;
    std::function<bool()> still_valid;  ///< whether login, token or JWT would still be taken
    respond done;
};

/// What a route asks of the request before its handler sees it.
enum class gate : std::uint8_t {
    open,       ///< nothing: health, the text at /, login
    logged_in,  ///< a login, and the role its action needs
};

struct route {
    std::string_view method;
    std::string_view pattern;  ///< "/api/v1/holds/{}/approve": {} stands for one segment
    gate guard = gate::logged_in;
    action needs = action::count_;  ///< of logged_in; count_ is refused to everybody
    void (*run)(call) = nullptr;
    std::string_view media = "application/json";  ///< of what is POSTed
};

[[nodiscard]] std::span<const route> routes() noexcept;

struct route_match {
    const route* found = nullptr;
    std::vector<std::string> parameters;
    std::vector<std::string> allowed;  ///< when not found: methods that this path does have
};
[[nodiscard]] route_match match(std::span<const route> table, std::string_view method,
                                const std::vector<std::string>& segments);

}  // namespace sallyport::proxy::admin
