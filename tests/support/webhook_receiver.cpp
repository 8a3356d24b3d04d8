#include "tests/support/webhook_receiver.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <stdexcept>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace sallyport::tests {
namespace {

constexpr int look_again_ms = 20;

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

/// A whole request; nullopt if there is more to come.
std::optional<received_hook> parse(const std::string& bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string::npos) return std::nullopt;
    received_hook r;
    std::size_t at = bytes.find("\r\n");
    const auto line = bytes.substr(0, at);
    const auto first = line.find(' ');
    r.path = line.substr(first + 1, line.rfind(' ') - first - 1);
    while (at < end) {
        const auto next = bytes.find("\r\n", at + 2);
        const auto header = bytes.substr(at + 2, next - at - 2);
        const auto colon = header.find(':');
        if (colon != std::string::npos)
            r.headers[lower(header.substr(0, colon))] = header.substr(colon + 2);
        at = next;
    }
    const auto length = r.headers.find("content-length");
    const auto size = length == r.headers.end() ? 0 : std::stoul(length->second);
    if (bytes.size() < end + 4 + size) return std::nullopt;
    r.body = bytes.substr(end + 4, size);
    return r;
}

}  // namespace

std::string received_hook::subject() const {
    const auto j = json();
    if (!j.is_object() || !j.contains("subject")) return {};
    return j["subject"].value("kind", "") + " " +
           std::to_string(j["subject"].value("id", std::uint64_t{0}));
}

std::string received_hook::event() const {
    const auto j = json();
    return j.is_object() ? j.value("event", "") : "";
}

webhook_receiver::webhook_receiver() : script_([](const auto&) { return hook_answer{}; }) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = static_cast<sockaddr*>(static_cast<void*>(&address));
    if (::bind(listener_, generic, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, generic, &size) != 0)
        throw std::runtime_error("the webhook receiver cannot listen");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { serve(); });
}

webhook_receiver::~webhook_receiver() {
    stopping_ = true;
    acceptor_.join();
    for (auto& s : sessions_)
        s.join();
    ::close(listener_);
}

void webhook_receiver::answer_with(script s) {
    const std::lock_guard lock(mutex_);
    script_ = std::move(s);
}

std::string webhook_receiver::url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
}

std::vector<received_hook> webhook_receiver::received() const {
    const std::lock_guard lock(mutex_);
    return received_;
}

std::vector<received_hook> webhook_receiver::accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
}

void webhook_receiver::serve() {
    while (!stopping_) {
        pollfd p{listener_, POLLIN, 0};
        if (::poll(&p, 1, look_again_ms) <= 0) continue;
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd >= 0) sessions_.emplace_back([this, fd] { converse(fd); });
    }
}

void webhook_receiver::converse(int fd) {
    std::string bytes;
    std::optional<received_hook> request;
    bool open = true;
    while (open && !stopping_ && !request) {
        pollfd p{fd, POLLIN, 0};
        if (::poll(&p, 1, look_again_ms) <= 0) continue;
        std::array<char, 65536> buffer{};
        const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
        open = n > 0;
        if (open) bytes.append(buffer.data(), static_cast<std::size_t>(n));
        request = parse(bytes);
    }
    if (request) {
        script asked;
        {
            const std::lock_guard lock(mutex_);
            received_.push_back(*request);
            asked = script_;
        }
        const auto answer = asked(*request);
        while (answer.hang && !stopping_)
            ::poll(nullptr, 0, look_again_ms);
        if (answer.status / 100 == 2 && !answer.hang) {
            const std::lock_guard lock(mutex_);
            accepted_.push_back(*request);
        }
        const auto text = "HTTP/1.1 " + std::to_string(answer.status) + " Said\r\n" +
                          answer.headers + "Content-Length: " + std::to_string(answer.body.size()) +
                          "\r\n\r\n" + answer.body;
        if (answer.status != 0 && !answer.hang)
            static_cast<void>(::send(fd, text.data(), text.size(), MSG_NOSIGNAL));
    }
    ::close(fd);
}

}  // namespace sallyport::tests
