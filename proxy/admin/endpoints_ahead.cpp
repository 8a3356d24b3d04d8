#include "proxy/admin/api.h"
#include "proxy/admin/dto.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"

namespace sallyport::proxy::admin::endpoints {

void request_hold(call c) {
    auto body = parse_hold_wish(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    // What it is about is explained first, which reads the target's catalog.
    const bool taken = c.context->run_blocking(
        [context = c.context, a = c.actor, wish = std::move(body.value), answer = reply(c, 201)] {
            context->business->request_hold(a, wish, answer);
        });
    if (!taken)
        c.done(
            to_response(problem{503, "busy", "Too many requests wait already.", "Retry in 1 s."}));
}

void escalate_hold(call c) {
    const auto id = number(c);
    if (!id) return;
    if (auto body = parse_nothing(c.request.body); !body.error.empty())
        return c.done(bad_body(body.error));
    c.context->business->escalate(c.actor, policy::hold_id{*id}, reply(c));
}

void reassign_hold(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_assignment(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->reassign(c.actor, policy::hold_id{*id}, std::move(body.value), reply(c));
}

}  // namespace sallyport::proxy::admin::endpoints
