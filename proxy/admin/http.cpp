#include "proxy/admin/http.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {
namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// nullopt for a bad escape, a control character or text that is not UTF-8.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else if (text[i] == '%') {
            if (i + 2 >= text.size()) return std::nullopt;
            const int high = hex_digit(text[i + 1]);
            const int low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            out += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            out += text[i];
        }
    }
    if (!check_text("target", out, 64U << 10U).empty()) return std::nullopt;
    return out;
}

std::string_view trim(std::string_view text) {
    const auto from = text.find_first_not_of(" \t");
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

const char* title(unsigned status) {
    switch (status) {
        case 400:
            return "Bad request";
        case 401:
            return "Not logged in";
        case 403:
            return "Forbidden";
        case 404:
            return "Not found";
        case 405:
            return "Method not allowed";
        case 408:
            return "Request timeout";
        case 409:
            return "Already ended";
        case 413:
            return "Too large";
        case 415:
            return "Unsupported media type";
        case 421:
            return "Misdirected request";
        case 422:
            return "Outside the bounds";
        case 429:
            return "Too many requests";
        case 431:
            return "Header too large";
        case 503:
            return "Unavailable";
        case 504:
            return "No answer in time";
        default:
            return "Failure";
    }
}

}  // namespace

std::string_view http_request::header(std::string_view name) const noexcept {
    for (const auto& [key, value] : headers)
        if (key.size() == name.size() && lower(key) == lower(name)) return value;
    return {};
}

std::size_t http_request::header_count(std::string_view name) const noexcept {
    return static_cast<std::size_t>(
        std::count_if(headers.begin(), headers.end(), [&](const auto& h) {
            return h.first.size() == name.size() && lower(h.first) == lower(name);
        }));
}

http_response to_response(const problem& p) {
    nlohmann::ordered_json body;
    body["type"] = "urn:sallyport:problem:" + p.kind;
    body["title"] = title(p.status);
    body["status"] = p.status;
    body["detail"] = p.detail;
    body["next"] = p.next;
    return {.status = p.status,
            .content_type = "application/problem+json",
            .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
            .headers = {},
            .stream = nullptr};
}

http_response to_response(const approval::answer& refused) {
    using approval::verdict;
    switch (refused.what) {
        case verdict::not_found:
            return to_response(problem{404, "not-found", refused.text,
                                       "List what you can see and check the number."});
        case verdict::forbidden:
            return to_response(problem{403, "forbidden", refused.text,
                                       "Ask somebody who may; GET /api/v1/me shows your roles."});
        case verdict::conflict:
            return to_response(
                problem{409, "conflict", refused.text, "Look at it again: it has changed."});
        case verdict::invalid:
            return to_response(
                problem{422, "invalid", refused.text, "Change the request so that it fits."});
        case verdict::unavailable:
        case verdict::done:
        case verdict::counted:
            break;
    }
    return to_response(
        problem{503, "unavailable",
                refused.text.empty() ? "Store or audit log cannot write." : refused.text,
                "Nothing was changed. See /readyz and the proxy's log, then retry."});
}

std::optional<target_parts> parse_target(std::string_view target) {
    target_parts out;
    if (target.empty() || target.front() != '/') return std::nullopt;
    const auto question = target.find('?');
    auto path = target.substr(1, question == std::string_view::npos ? question : question - 1);
    while (!path.empty()) {
        const auto slash = path.find('/');
        auto segment = percent_decode(path.substr(0, slash), false);
        // "." and ".." and encoded slashes would mean other paths to other readers.
        if (!segment || segment->empty() || segment->find('/') != std::string::npos ||
            *segment == "." || *segment == "..")
            return std::nullopt;
        out.segments.push_back(std::move(*segment));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
        if (path.empty()) return std::nullopt;
    }
    if (question == std::string_view::npos) return out;
    auto query = target.substr(question + 1);
    while (!query.empty()) {
        const auto end = query.find('&');
        const auto pair = query.substr(0, end);
        const auto equals = pair.find('=');
        auto key = percent_decode(pair.substr(0, equals), true);
        auto value = equals == std::string_view::npos
                         ? std::optional<std::string>(std::string{})
                         : percent_decode(pair.substr(equals + 1), true);
        if (!key || !value) return std::nullopt;
        if (!pair.empty() && !out.query.emplace(std::move(*key), std::move(*value)).second)
            return std::nullopt;
        if (end == std::string_view::npos) break;
        query.remove_prefix(end + 1);
    }
    return out;
}

std::optional<std::string> find_cookie(std::string_view header, std::string_view name) {
    std::optional<std::string> found;
    while (!header.empty()) {
        const auto end = header.find(';');
        const auto pair = trim(header.substr(0, end));
        const auto equals = pair.find('=');
        if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
            if (found) return std::nullopt;
            found = std::string(pair.substr(equals + 1));
        }
        if (end == std::string_view::npos) break;
        header.remove_prefix(end + 1);
    }
    return found;
}

std::string host_of(std::string_view host_header) {
    const auto text = lower(host_header);
    std::string host;
    std::string_view rest;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string::npos) return {};
        host = text.substr(0, close + 1);
        rest = std::string_view(text).substr(close + 1);
    } else {
        const auto colon = text.find(':');
        host = text.substr(0, colon);
        if (colon != std::string::npos) rest = std::string_view(text).substr(colon);
    }
    if (!rest.empty()) {
        if (rest.front() != ':' || rest.size() > 6) return {};
        rest.remove_prefix(1);
        if (rest.find_first_not_of("0123456789") != std::string_view::npos) return {};
    }
    const auto bad = host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_[]:");
    return bad == std::string::npos ? host : std::string{};
}

std::string origin_of(std::string_view url) {
    const auto text = lower(url);
    for (const std::string_view scheme : {"https://", "http://"}) {
        if (!text.starts_with(scheme)) continue;
        const auto authority =
            text.substr(scheme.size(), text.find('/', scheme.size()) - scheme.size());
        if (host_of(authority).empty()) return {};
        return std::string(scheme) + authority;
    }
    return {};
}

}  // namespace sallyport::proxy::admin
