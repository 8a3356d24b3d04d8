#include <algorithm>

#include "proxy/admin/api.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/text.h"
#include "proxy/page/assets.h"

/// The web page: its bytes, and who gets them how.
namespace sallyport::proxy::admin::endpoints {
namespace {

// No inline script or style, nothing from elsewhere, and the page can send nowhere but here.
constexpr const char* page_security =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string_view trimmed(std::string_view text) {
    const auto from = text.find_first_not_of(" \t");
    if (from == std::string_view::npos) return {};
    return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

/// Calls `f(item, its parameters)` for each member of a list such as "gzip;q=0.5, br".
template <class F>
void for_each_item(std::string_view list, F&& f) {
    while (!list.empty()) {
        const auto comma = list.find(',');
        const auto item = list.substr(0, comma);
        const auto semicolon = item.find(';');
        f(lower(trimmed(item.substr(0, semicolon))),
          semicolon == std::string_view::npos ? std::string_view{} : item.substr(semicolon + 1));
        if (comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

/// "q=0" and "q=0.000" say that it is not wanted.
bool wanted(std::string_view parameters) {
    const auto text = lower(trimmed(parameters));
    if (!text.starts_with("q=")) return true;
    return text.find_first_not_of("0.", 2) != std::string::npos;
}

bool accepts(std::string_view header, std::string_view name) {
    bool named = false;
    bool good = false;
    bool any = false;
    for_each_item(header, [&](const std::string& item, std::string_view parameters) {
        if (item == name) named = true, good = wanted(parameters);
        if (item == "*") any = wanted(parameters);
    });
    return named ? good : any;
}

bool is_current(std::string_view if_none_match, std::string_view etag) {
    bool same = false;
    for_each_item(if_none_match, [&](std::string_view item, std::string_view) {
        if (item.starts_with("w/")) item.remove_prefix(2);
        same = same || item == etag || item == "*";
    });
    return same;
}

std::string bytes_of(std::span<const unsigned char> bytes) {
    return {bytes.begin(), bytes.end()};
}

http_response serve(const http_request& request, const page::asset& a) {
    const bool is_page = &a == page::assets().data();
    http_response r;
    r.content_type = a.type;
    r.headers.emplace_back("ETag", a.etag);
    // The name of an asset changes with its bytes; the page names the assets.
    r.headers.emplace_back("Cache-Control",
                           is_page ? "no-cache" : "public, max-age=31536000, immutable");
    r.headers.emplace_back("Vary", is_page ? "Accept, Accept-Encoding" : "Accept-Encoding");
    if (is_page) r.headers.emplace_back("Content-Security-Policy", page_security);
    if (is_current(request.header("if-none-match"), a.etag)) {
        r.status = 304;
        return r;
    }
    if (accepts(request.header("accept-encoding"), "gzip")) {
        r.headers.emplace_back("Content-Encoding", "gzip");
        r.body = bytes_of(a.gzip);
    } else {
        r.body = bytes_of(a.plain);
    }
    return r;
}

}  // namespace

void front(call c) {
    if (accepts(c.request.header("accept"), "text/html")) return page(std::move(c));
    http_response r;
    r.content_type = "text/plain; charset=utf-8";
    r.headers.emplace_back("Vary", "Accept, Accept-Encoding");
    r.body = "Sallyport " + c.context->world().version +
             ": a PostgreSQL access proxy.\n"
             "With a browser, this address is its page.\n"
             "The API is at /api/v1/: login, logout, me, holds, opt-outs, reviews, flags, locks, "
             "sessions, audit, decisions, reload, rules, events.\n"
             "Log in with POST /api/v1/login {\"user\":…,\"password\":…}. "
             "Health: /healthz, /readyz. Numbers: /metrics.\n";
    c.done(std::move(r));
}

void page(call c) {
    c.done(serve(c.request, page::assets().front()));
}

void asset(call c) {
    const auto all = page::assets();
    const auto at = std::find_if(all.begin(), all.end(), [&](const page::asset& a) {
        return a.path == "/assets/" + c.parameters.front();
    });
    if (at == all.end())
        return c.done(to_response(problem{404, "not-found", "There is no such part of the page.",
                                          "Reload the page: it names its parts."}));
    c.done(serve(c.request, *at));
}

}  // namespace sallyport::proxy::admin::endpoints
