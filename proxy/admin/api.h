#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "proxy/access_settings.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/http.h"
#include "proxy/admin/login_table.h"
#include "proxy/admin/login_throttle.h"
#include "proxy/admin/request_throttle.h"
#include "proxy/admin/router.h"
#include "proxy/admin/slack.h"
#include "proxy/admin/token_table.h"

/// From an HTTP request to its response, without sockets.
namespace sallyport::proxy::admin {

struct api_options {
    bool mutual = false;                ///< every client shows a certificate, which says who she is
    bool tls = false;                   ///< cookies are Secure, Strict-Transport-Security is sent
    bool loopback = true;               ///< bound to loopback: Host must be one of its names
    std::string address = "127.0.0.1";  ///< as bound; accepted in Host
    std::string url;                    ///< its host is accepted in Host and its origin in Origin
    std::size_t logins_in_progress_max = 8;
};

/// What the routes share; lives as long as any call.
struct api_context {
    api_options options;
    std::shared_ptr<desk> business;
    login_table logins;
    login_throttle throttle;
    request_throttle requests;
    token_table tokens;
    verification chain;
    insight_cache insights;
    std::atomic<std::size_t> logins_in_progress{0};
    std::atomic<bool> ready{true};
    std::atomic<bool> comparing{false};  ///< a candidate of the policy, one at a time
    replay_guard slack_seen;
    /// Runs something that may block, elsewhere; false when too much waits already.
    std::function<bool(std::function<void()>)> run_blocking;

    [[nodiscard]] const dependencies& world() const noexcept { return business->world(); }
    [[nodiscard]] std::string cookie_name() const;
    /// Who gets in and how often, as of now. Any thread.
    [[nodiscard]] std::shared_ptr<const access_settings> access() const;
    void set_access(access_settings a);

  private:
    mutable std::mutex access_mutex_;
    std::shared_ptr<const access_settings> access_ = std::make_shared<const access_settings>();
};

/// The gate of every request, in this order: size and form of the target, Host, route, origin of
/// what changes state, login, role, CSRF token, media type; only then the handler.
class api {
  public:
    explicit api(std::shared_ptr<api_context> context);
    /// `done` is called exactly once, on any thread.
    void handle(http_request request, respond done) const;
    [[nodiscard]] api_context& context() const noexcept { return *context_; }

  private:
    std::shared_ptr<api_context> context_;
};

/// Adds the headers that every response has.
void add_security_headers(http_response& r, const api_options& options);

}  // namespace sallyport::proxy::admin
