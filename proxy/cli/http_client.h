#pragma once

#include <chrono>
#include <stdexcept>
#include <string>

#include "proxy/cli/cli.h"

/// One request to the API and its answer.
namespace sallyport::proxy::cli {

/// What ends a command: one line, the next step, and the exit status.
class failure : public std::runtime_error {
  public:
    failure(exit_status status, const std::string& what, std::string next)
        : std::runtime_error(what), status_(status), next_(std::move(next)) {}
    [[nodiscard]] exit_status status() const noexcept { return status_; }
    [[nodiscard]] const std::string& next() const noexcept { return next_; }

  private:
    exit_status status_;
    std::string next_;
};

struct endpoint {
    bool tls = false;
    std::string host;  ///< without brackets
    std::string port;
    [[nodiscard]] bool loopback() const;
    [[nodiscard]] std::string host_header() const;
    [[nodiscard]] std::string url() const;
};
/// "http://127.0.0.1:6480", "https://sallyport.example". Throws failure(usage).
[[nodiscard]] endpoint parse_url(const std::string& url);

struct http_question {
    std::string method;
    std::string path;
    std::string body;   ///< JSON; sent with POST
    std::string token;  ///< "" = none
};
struct http_answer {
    unsigned status = 0;
    std::string body;
};

/// PEM files; "" = none.
struct tls_files {
    std::string ca;           ///< of the server; none: the system's store
    std::string certificate;  ///< ours, for a proxy that asks for one
    std::string key;
};

/// Blocks. The server's certificate is always verified. Throws failure(unreachable).
[[nodiscard]] http_answer ask(const endpoint& to, const tls_files& files,
                              const http_question& question,
                              std::chrono::seconds limit = std::chrono::seconds(40));

}  // namespace sallyport::proxy::cli
