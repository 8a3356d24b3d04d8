#include "tests/e2e/api_fixture.h"

#include <algorithm>
#include <sstream>

#include "tests/support/scram.h"

namespace sallyport::tests {

std::string described_api::verifier_of(const std::string& user) {
    return scram_verifier(user + "-password");
}

http_response described_api::read_answer(const tcp_socket& socket) {
    std::string bytes;
    auto end = std::string::npos;
    while (end == std::string::npos) {
        const auto more = socket.receive(65536);
        if (more.empty()) break;
        bytes += more;
        end = bytes.find("\r\n\r\n");
    }
    http_response r;
    if (end == std::string::npos || bytes.size() < 12) return r;
    r.status = std::stoi(bytes.substr(9, 3));
    std::istringstream head(bytes.substr(0, end));
    std::string line;
    std::getline(head, line);
    while (std::getline(head, line)) {
        const auto colon = line.find(": ");
        if (colon == std::string::npos) continue;
        auto name = line.substr(0, colon);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        auto value = line.substr(colon + 2);
        if (!value.empty() && value.back() == '\r') value.pop_back();
        r.headers[name] = value;
    }
    r.body = bytes.substr(end + 4);
    const auto length = r.headers.find("content-length");
    const auto size = length == r.headers.end() ? r.body.size() : std::stoul(length->second);
    while (r.body.size() < size) {
        const auto more = socket.receive(65536);
        if (more.empty()) break;
        r.body += more;
    }
    return r;
}

http_response described_api::first_of_stream(const http_headers& headers) const {
    const auto socket = tcp_socket::connect(proxy->admin_port());
    std::string request =
        "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(proxy->admin_port()) +
        "\r\n";
    for (const auto& [name, value] : headers)
        request += name + ": " + value + "\r\n";
    socket.send_all(request + "\r\n");
    return read_answer(socket);
}

}  // namespace sallyport::tests
