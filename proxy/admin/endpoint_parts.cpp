#include "proxy/admin/endpoint_parts.h"

#include <algorithm>
#include <utility>

#include "proxy/admin/api.h"
#include "proxy/admin/dto.h"
#include "proxy/admin/text.h"

namespace sallyport::proxy::admin::endpoints {

using approval::answer;
using approval::verdict;

namespace {

http_response busy() {
    auto r = to_response(problem{503, "busy", "Too many requests wait already.", "Retry in 1 s."});
    r.headers.emplace_back("Retry-After", "1");
    return r;
}

}  // namespace

http_response json_response(std::string body, unsigned status) {
    http_response r;
    r.status = status;
    r.body = std::move(body);
    return r;
}

http_response bad_body(std::string why) {
    return to_response(problem{400, "body", std::move(why), "Correct the body and send it again."});
}

http_response bad_query(std::string why) {
    return to_response(problem{400, "query", std::move(why), "Correct the query."});
}

desk::on_answer reply(const call& c, unsigned status) {
    return [done = c.done, status](answer a) {
        if (a.what != verdict::done && a.what != verdict::counted) return done(to_response(a));
        done(json_response(answer_json(a), status));
    };
}

std::optional<std::uint64_t> number(const call& c) {
    const auto id = parse_id(c.parameters.front());
    if (!id)
        c.done(to_response(problem{404, "not-found", "That is not a number of anything.",
                                   "Use a number from the list."}));
    return id;
}

std::string check_keys(const call& c, const std::vector<std::string>& known) {
    for (const auto& [key, value] : c.query) {
        if (std::find(known.begin(), known.end(), key) != known.end()) continue;
        const auto near = nearest(key, known);
        return "The query has a key that is not known here" +
               (near.empty() ? std::string(".") : " (did you mean \"" + near + "\"?).");
    }
    return {};
}

std::string value_of(const call& c, const std::string& key) {
    const auto at = c.query.find(key);
    return at == c.query.end() ? std::string{} : at->second;
}

void elsewhere(const call& c, std::function<http_response()> f) {
    const bool taken = c.context->run_blocking([done = c.done, f = std::move(f)] {
        http_response r;
        try {
            r = f();
        } catch (const std::exception&) {
            r = to_response(problem{500, "failure", "The request could not be carried out.",
                                    "See the proxy's log; retry later."});
        }
        done(std::move(r));
    });
    if (!taken) c.done(busy());
}

}  // namespace sallyport::proxy::admin::endpoints
