#include "proxy/cli/login.h"

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <openssl/crypto.h>
#include <termios.h>
#include <unistd.h>

#include "proxy/cli/kept_login.h"
#include "proxy/cli/views.h"

namespace sallyport::proxy::cli {
namespace {

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? std::string{} : std::string(value);
}

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

/// Echo is off as long as this lives.
class silent_terminal {
  public:
    silent_terminal() {
        if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
        auto quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }
    ~silent_terminal() {
        if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }
    silent_terminal(const silent_terminal&) = delete;
    silent_terminal& operator=(const silent_terminal&) = delete;
    [[nodiscard]] bool works() const noexcept { return changed_; }

  private:
    termios before_{};
    bool changed_ = false;
};

std::string ask_password(const std::string& user) {
    if (isatty(STDIN_FILENO) == 0)
        throw failure(not_logged_in, "there is no password and no terminal to ask for it",
                      "Set SALLYPORT_PASSWORD or SALLYPORT_TOKEN.");
    const silent_terminal silence;
    if (!silence.works())
        throw failure(not_logged_in, "the terminal would show the password",
                      "Set SALLYPORT_PASSWORD or SALLYPORT_TOKEN.");
    std::cerr << "Password of " << user << ": " << std::flush;
    std::string line;
    std::getline(std::cin, line);
    std::cerr << "\n";
    return line;
}

std::string address(const connection_options& o) {
    if (!o.url.empty()) return o.url;
    auto url = environment("SALLYPORT_URL");
    return url.empty() ? default_url : url;
}

tls_files files_of(const connection_options& o) {
    tls_files out{o.ca, o.certificate, o.key};
    if (out.certificate.empty()) out.certificate = environment("SALLYPORT_CERTIFICATE");
    if (out.key.empty()) out.key = environment("SALLYPORT_KEY");
    if (out.certificate.empty() != out.key.empty())
        throw failure(usage, "a certificate needs its key, and a key its certificate",
                      "Give --certificate and --key, or set SALLYPORT_CERTIFICATE and "
                      "SALLYPORT_KEY.");
    return out;
}

failure refusal_of(const http_answer& a) {
    auto said = read_problem(a.status, a.body);
    return {a.status == 401 ? not_logged_in : cli::refused, said.detail, std::move(said.next)};
}

std::string credentials_of(std::string user) {
    if (user.empty()) user = environment("USER");
    if (user.empty())
        throw failure(not_logged_in, "it is not said who you are",
                      "Give --user NAME, or set SALLYPORT_TOKEN.");
    auto password = environment("SALLYPORT_PASSWORD");
    if (password.empty()) password = ask_password(user);
    auto body = login_body(user, password);
    wipe(password);
    return body;
}

}  // namespace

login::login(const connection_options& o) : to_(parse_url(address(o))), files_(files_of(o)) {
    if (!to_.tls && !to_.loopback())
        throw failure(usage,
                      "password and token would cross the network in the clear to " + to_.url(),
                      "Use https://, or a tunnel to the proxy's loopback address.");
    auto user = o.user;
    if (user.empty()) user = environment("SALLYPORT_USER");
    if (!o.fresh && take_token(user)) return;
    log_in(std::move(user));
}

bool login::take_token(const std::string& user) {
    token_ = environment("SALLYPORT_TOKEN");
    if (!token_.empty()) {
        if (token_.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-_.") != std::string::npos)
            throw failure(not_logged_in, "SALLYPORT_TOKEN is not a token of the proxy",
                          "Get one with `sallyport login --print` or `sallyport token create`.");
        return true;
    }
    // A password or a certificate that is given is meant.
    if (!environment("SALLYPORT_PASSWORD").empty() || !files_.certificate.empty()) return false;
    auto kept = read_kept_login(to_.url());
    if (!kept || (!user.empty() && user != kept->user)) return false;
    token_ = std::move(kept->token);
    kept_ = true;
    return true;
}

std::string login::address_of(const connection_options& o) {
    return parse_url(address(o)).url();
}

void login::log_in(std::string user) {
    http_question q{"POST", "/api/v1/login", "{}", {}};
    if (files_.certificate.empty()) q.body = credentials_of(std::move(user));
    const auto answer = cli::ask(to_, files_, q);
    wipe(q.body);
    if (answer.status != 200) throw refusal_of(answer);
    token_ = member(answer.body, "token");
    if (token_.empty())
        throw failure(cli::refused, "the proxy's answer has no token",
                      "Check that --url is the proxy's admin address.");
    own_ = true;
    user_ = member(answer.body, "user");
}

login::~login() {
    if (!own_) return;
    try {
        static_cast<void>(
            cli::ask(to_, files_, {"POST", "/api/v1/logout", {}, token_}, std::chrono::seconds(5)));
    } catch (const std::exception&) {
        // It ends by itself when idle.
    }
}

std::string login::ask(const std::string& method, const std::string& path,
                       const std::string& body) const {
    auto answer = cli::ask(to_, files_, {method, path, body, token_});
    if (answer.status == 401 && kept_)
        throw failure(not_logged_in, "the login that was kept has ended",
                      "Log in again: sallyport login");
    if (answer.status < 200 || answer.status > 299) throw refusal_of(answer);
    return std::move(answer.body);
}

std::string login::keep() {
    own_ = false;
    return token_;
}

}  // namespace sallyport::proxy::cli
