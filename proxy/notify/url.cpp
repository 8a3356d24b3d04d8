#include "proxy/notify/url.h"

#include <algorithm>

#include <arpa/inet.h>

namespace sallyport::proxy::notify {

bool parse_webhook_url(std::string_view text, webhook_url& out) {
    const bool plain =
        text.size() <= 2048 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
            return c > ' ' && c < 0x7F && c != '"' && c != '\\' && c != '<' && c != '>';
        });
    if (!plain) return false;
    if (text.starts_with("https://")) {
        out.tls = true;
        text.remove_prefix(8);
    } else if (text.starts_with("http://")) {
        out.tls = false;
        text.remove_prefix(7);
    } else {
        return false;
    }
    text = text.substr(0, text.find('#'));
    const auto end = text.find_first_of("/?");
    auto authority = text.substr(0, end);
    out.path.clear();
    if (end == std::string_view::npos || text[end] == '?') out.path.push_back('/');
    if (end != std::string_view::npos) out.path += text.substr(end);
    if (authority.find('@') != std::string_view::npos) return false;
    const auto colon = authority.rfind(':');
    const auto bracket = authority.rfind(']');
    const bool has_port =
        colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
    out.port = has_port ? std::string(authority.substr(colon + 1)) : out.tls ? "443" : "80";
    if (has_port) authority = authority.substr(0, colon);
    if (authority.size() > 2 && authority.front() == '[' && authority.back() == ']')
        authority = authority.substr(1, authority.size() - 2);
    out.host = std::string(authority);
    return !out.host.empty() && out.host.find_first_of("[]") == std::string::npos &&
           !out.port.empty() && out.port.size() <= 5 &&
           out.port.find_first_not_of("0123456789") == std::string::npos;
}

bool webhook_url::loopback() const {
    in_addr v4{};
    in6_addr v6{};
    if (host == "localhost") return true;
    if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
    return inet_pton(AF_INET6, host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

std::string webhook_url::shown() const {
    const auto name = host.find(':') == std::string::npos ? host : "[" + host + "]";
    const bool usual = port == (tls ? "443" : "80");
    return (tls ? "https://" : "http://") + (usual ? name : name + ":" + port);
}

}  // namespace sallyport::proxy::notify
