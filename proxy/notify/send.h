#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "policy/types.h"
#include "proxy/notify/settings.h"
#include "proxy/notify/url.h"

/// One HTTP request: of a webhook, or of telemetry.
namespace sallyport::proxy::notify {

struct posting {
    webhook to;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    policy::milliseconds timeout{};
    bool read_answer = false;  ///< of a success, too
};

struct posted {
    bool ok = false;                  ///< 2xx
    std::string error;                ///< one line for people, never with the URL
    policy::milliseconds wait_for{};  ///< what Retry-After asks, an hour at most
    unsigned status = 0;              ///< 0: there was no answer
    std::string body{};               ///< with read_answer: the beginning of the answer
};

/// Connects, verifies the server (https), posts, reads status and the beginning of the body; all
/// within `timeout`. Redirects are failures. `done` is called once, on `on`.
void post_webhook(const boost::asio::any_io_executor& on, posting p,
                  std::function<void(posted)> done);

}  // namespace sallyport::proxy::notify
