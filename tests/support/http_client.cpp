#include "tests/support/http_client.h"

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "tests/support/sockets.h"

namespace sallyport::tests {
namespace {

std::string lower(std::string s) {
    std::transform(s.begin(), s.end(), s.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return s;
}

std::string decode_chunks(const std::string& text) {
    std::string out;
    std::size_t at = 0;
    for (;;) {
        const auto end = text.find("\r\n", at);
        if (end == std::string::npos) throw std::runtime_error("chunked body cut short");
        const auto size = std::stoul(text.substr(at, end - at), nullptr, 16);
        if (size == 0) return out;
        out += text.substr(end + 2, size);
        at = end + 2 + size + 2;
    }
}

http_response parse_response(const std::string& bytes) {
    const auto head_end = bytes.find("\r\n\r\n");
    if (bytes.rfind("HTTP/1.", 0) != 0 || head_end == std::string::npos)
        throw std::runtime_error("not an HTTP response: " + bytes.substr(0, 200));
    http_response r;
    std::istringstream head(bytes.substr(0, head_end));
    std::string line;
    std::getline(head, line);
    r.status = std::stoi(line.substr(9, 3));
    while (std::getline(head, line)) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        const auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        const auto value = line.find_first_not_of(' ', colon + 1);
        r.headers[lower(line.substr(0, colon))] =
            value == std::string::npos ? "" : line.substr(value);
    }
    r.body = bytes.substr(head_end + 4);
    const auto coding = r.headers.find("transfer-encoding");
    if (coding != r.headers.end() && coding->second == "chunked") r.body = decode_chunks(r.body);
    return r;
}

}  // namespace

http_response http_request(std::uint16_t port, const std::string& method, const std::string& path,
                           const http_headers& headers, std::string_view body) {
    const auto socket = tcp_socket::connect(port);
    std::string request = method + " " + path +
                          " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port) +
                          "\r\nConnection: close\r\n";
    for (const auto& [name, value] : headers)
        request += name + ": " + value + "\r\n";
    if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    request += "\r\n";
    request += body;
    socket.send_all(request);
    std::string bytes;
    for (;;) {
        const std::string more = socket.receive(65536);
        if (more.empty()) break;
        bytes += more;
    }
    return parse_response(bytes);
}

http_response admin_session::login(const std::string& user, const std::string& password) {
    const nlohmann::json body{{"user", user}, {"password", password}};
    http_response r = http_request(port_, "POST", "/api/v1/login",
                                   {{"Content-Type", "application/json"}}, body.dump());
    if (r.status != 200) return r;
    const auto cookie = r.headers.find("set-cookie");
    if (cookie != r.headers.end()) cookie_ = cookie->second.substr(0, cookie->second.find(';'));
    const auto answer = nlohmann::json::parse(r.body, nullptr, false);
    if (answer.is_object()) token_ = answer.value("csrf", "");
    return r;
}

http_response admin_session::get(const std::string& path) const {
    return http_request(port_, "GET", path, {{"Cookie", cookie_}});
}

http_response admin_session::post(const std::string& path, std::string_view json) const {
    return http_request(
        port_, "POST", path,
        {{"Cookie", cookie_}, {"X-CSRF-Token", token_}, {"Content-Type", "application/json"}},
        json);
}

http_response admin_session::post_without_token(const std::string& path,
                                                std::string_view json) const {
    return http_request(port_, "POST", path,
                        {{"Cookie", cookie_}, {"Content-Type", "application/json"}}, json);
}

}  // namespace sallyport::tests
