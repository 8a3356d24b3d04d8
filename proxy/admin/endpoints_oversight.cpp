#include <utility>

#include "proxy/admin/api.h"
#include "proxy/admin/dto.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/text.h"

/// Extensions, votes taken back, reviews, flags and locks.
namespace sallyport::proxy::admin::endpoints {

using approval::verdict;

namespace {

void close_review(call c, policy::review_state to) {
    const auto id = number(c);
    if (!id) return;
    auto body =
        parse_note(c.request.body,
                   to == policy::review_state::finding ? reason_is::needed : reason_is::optional);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->review(c.actor, policy::opt_out_id{*id}, to, std::move(body.value.reason),
                                reply(c));
}

void restrain(call c, policy::flag_kind k) {
    auto body = parse_flag(c.request.body, k);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->set_flag(c.actor, std::move(body.value), reply(c, 201));
}

}  // namespace

void extend_opt_out(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_extension(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->extend(c.actor, policy::opt_out_id{*id}, std::move(body.value),
                                reply(c, 201));
}

void withdraw_hold_vote(call c) {
    const auto id = number(c);
    if (!id) return;
    if (auto body = parse_nothing(c.request.body); !body.error.empty())
        return c.done(bad_body(body.error));
    c.context->business->withdraw_vote(c.actor, policy::hold_id{*id}, reply(c));
}

void withdraw_opt_out_vote(call c) {
    const auto id = number(c);
    if (!id) return;
    if (auto body = parse_nothing(c.request.body); !body.error.empty())
        return c.done(bad_body(body.error));
    c.context->business->withdraw_vote(c.actor, policy::opt_out_id{*id}, reply(c));
}

void list_uses(call c) {
    const auto id = number(c);
    if (!id) return;
    if (auto why = check_keys(c, {"before"}); !why.empty()) return c.done(bad_query(why));
    const auto text = value_of(c, "before");
    const auto before = parse_id(text);
    if (!text.empty() && !before) return c.done(bad_query("\"before\" is a number."));
    c.context->business->opt_out(
        c.actor, policy::opt_out_id{*id},
        [c, id = *id, before = before.value_or(0)](const listing<policy::opt_out>& visible) {
            if (visible.answer.what != verdict::done) return c.done(to_response(visible.answer));
            elsewhere(c, [context = c.context, id, before] {
                auto found = context->business->uses(policy::opt_out_id{id}, before);
                if (found.answer.what != verdict::done) return to_response(found.answer);
                return json_response(audit_json(found.items));
            });
        });
}

void list_reviews(call c) {
    if (auto why = check_keys(c, {"state"}); !why.empty()) return c.done(bad_query(why));
    std::optional<policy::review_state> state;
    if (const auto text = value_of(c, "state"); !text.empty() && text != "all") {
        state.emplace();
        if (!policy::parse_review_state(text, *state))
            return c.done(bad_query("\"state\" must be open, signed_off, finding or all."));
    }
    c.context->business->reviews(
        c.actor, state,
        [done = c.done, a = c.actor, rules = c.context->business->rules(),
         now = c.context->business->now()](listing<policy::review> all) {
            if (all.answer.what != verdict::done) return done(to_response(all.answer));
            done(json_response(reviews_json(all.items, a, rules.get(), now)));
        });
}

void sign_off_review(call c) {
    close_review(std::move(c), policy::review_state::signed_off);
}

void raise_finding(call c) {
    close_review(std::move(c), policy::review_state::finding);
}

void list_flags(call c) {
    if (auto why = check_keys(c, {"state"}); !why.empty()) return c.done(bad_query(why));
    const auto state = value_of(c, "state");
    if (!state.empty() && state != "live" && state != "all")
        return c.done(bad_query("\"state\" must be live or all."));
    c.context->business->flags(
        c.actor, state != "all",
        [done = c.done, now = c.context->business->now()](listing<policy::flag> all) {
            if (all.answer.what != verdict::done) return done(to_response(all.answer));
            done(json_response(flags_json(all.items, now)));
        });
}

void set_flag(call c) {
    restrain(std::move(c), policy::flag_kind::flag);
}

void set_lock(call c) {
    restrain(std::move(c), policy::flag_kind::lock);
}

void lift_flag(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_reason(c.request.body, reason_is::needed);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->lift_flag(c.actor, policy::flag_id{*id}, std::move(body.value.reason),
                                   reply(c));
}

}  // namespace sallyport::proxy::admin::endpoints
