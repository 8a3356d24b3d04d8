#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/approval/steward.h"

/// HTTP requests and responses as plain values, so that everything but moving bytes can be tested
/// without a socket.
namespace sallyport::proxy::admin {

struct http_request {
    std::string method;  ///< "GET", "POST" … as received
    std::string target;  ///< as received: path and query, percent-encoded
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::string address;  ///< of the client, no port
    /// Subject of the verified certificate of the client; absent: TLS asked for none.
    std::optional<std::string> certificate{};

    /// The first value of a header, "" if there is none. Names compare without regard to case.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
    [[nodiscard]] std::size_t header_count(std::string_view name) const noexcept;
};

/// What an event stream asks while it is open.
struct event_stream {
    /// Whether the person may see what this event is about; answers once, on any thread.
    std::function<void(const approval::steward::change_event&, std::function<void(bool)>)> visible;
    std::function<bool()> still_logged_in;
    std::string person;              ///< whose it is
    std::size_t per_person_max = 0;  ///< open ones of hers; 0 = no limit
};

struct http_response {
    unsigned status = 200;
    std::string content_type = "application/json";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;
    std::shared_ptr<const event_stream> stream;  ///< set: text/event-stream follows the header
};

using respond = std::function<void(http_response)>;

/// A problem of the API, RFC 9457. `type` is stable: "urn:sallyport:problem:" and `kind`.
struct problem {
    unsigned status = 500;
    std::string kind;    ///< "not-found", "csrf" …
    std::string detail;  ///< one sentence: what is wrong with this request
    std::string next;    ///< one sentence: what to do
};
[[nodiscard]] http_response to_response(const problem& p);
/// The problem for a verdict that is not done or counted.
[[nodiscard]] http_response to_response(const approval::answer& refused);

/// Path and query of a request target, percent-decoded. nullopt when it is malformed: no leading
/// '/', a bad escape, an encoded '/' or NUL in the path, or a key given twice.
struct target_parts {
    std::vector<std::string> segments;
    std::map<std::string, std::string> query;
};
[[nodiscard]] std::optional<target_parts> parse_target(std::string_view target);

/// The value of a cookie in a Cookie header; nullopt if absent or there twice.
[[nodiscard]] std::optional<std::string> find_cookie(std::string_view header,
                                                     std::string_view name);

/// Host without port, lower case, brackets of an IPv6 address kept; "" if it is none.
[[nodiscard]] std::string host_of(std::string_view host_header);
/// Scheme, host and port of "https://host:6480/path": "https://host:6480"; "" if it is no such URL.
[[nodiscard]] std::string origin_of(std::string_view url);

}  // namespace sallyport::proxy::admin
