#pragma once

#include <string>

#include "proxy/cli/http_client.h"

/// A login for the length of one command.
namespace sallyport::proxy::cli {

constexpr const char* default_url = "http://127.0.0.1:6480";

struct connection_options {
    std::string url;  ///< "": SALLYPORT_URL, or the default
    std::string user;
    std::string ca;
    bool fresh = false;  ///< by user and password, whatever is kept
    std::string certificate{};  ///< "": SALLYPORT_CERTIFICATE, or none
    std::string key{};          ///< likewise SALLYPORT_KEY
};

/// SALLYPORT_TOKEN when it is set; else what `sallyport login` has kept for this proxy (and this
/// user, if one is named; not if SALLYPORT_PASSWORD is set); else user and password
/// (SALLYPORT_PASSWORD, or asked on the terminal without echo) give a login that ends with this
/// object.
/// Errors: failure with not_logged_in, unreachable or usage.
class login {
  public:
    explicit login(const connection_options& o);
    ~login();
    login(const login&) = delete;
    login& operator=(const login&) = delete;
    /// The proxy's address that these options and the environment mean.
    [[nodiscard]] static std::string address_of(const connection_options& o);
    [[nodiscard]] const std::string& user() const noexcept { return user_; }

    /// The answer's body; anything but 2xx throws failure.
    [[nodiscard]] std::string ask(const std::string& method, const std::string& path,
                                  const std::string& body = {}) const;
    /// Leaves the login open and hands out its token.
    [[nodiscard]] std::string keep();

  private:
    bool take_token(const std::string& user);
    void log_in(std::string user);

    std::string user_;
    bool kept_ = false;  ///< the token is one of `sallyport login`
    endpoint to_;
    tls_files files_;
    std::string token_;
    bool own_ = false;  ///< ours to end
};

}  // namespace sallyport::proxy::cli
