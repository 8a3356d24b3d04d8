#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

/// A receiver of webhooks that answers as a test wants it.
namespace sallyport::tests {

struct received_hook {
    std::string path;
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;
    [[nodiscard]] nlohmann::json json() const {
        return nlohmann::json::parse(body, nullptr, false);
    }
    /// "hold 7" of the generic form.
    [[nodiscard]] std::string subject() const;
    [[nodiscard]] std::string event() const;
};

/// What one request gets. status 0: the connection is closed without an answer.
struct hook_answer {
    int status = 200;
    bool hang = false;  ///< no answer until the receiver ends
    std::string headers{};
    std::string body{};
};

/// Listens on 127.0.0.1; every request is on the list before it is answered.
class webhook_receiver {
  public:
    using script = std::function<hook_answer(const received_hook&)>;
    webhook_receiver();
    ~webhook_receiver();
    webhook_receiver(const webhook_receiver&) = delete;
    webhook_receiver& operator=(const webhook_receiver&) = delete;

    void answer_with(script s);
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::string url(const std::string& path = "/hook") const;
    /// All requests so far, in the order of their arrival.
    [[nodiscard]] std::vector<received_hook> received() const;
    /// Those that were answered with 2xx.
    [[nodiscard]] std::vector<received_hook> accepted() const;

  private:
    void serve();
    void converse(int fd);

    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    script script_;
    std::vector<received_hook> received_;
    std::vector<received_hook> accepted_;
    std::vector<std::thread> sessions_;
    std::thread acceptor_;
};

}  // namespace sallyport::tests
