#include "proxy/admin/endpoints.h"

#include <algorithm>

#include "proxy/admin/api.h"
#include "proxy/admin/dto.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/text.h"

namespace sallyport::proxy::admin::endpoints {

using approval::verdict;

namespace {

void vote_opt_out(call c, bool approve) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_reason(c.request.body, approve ? reason_is::optional : reason_is::needed);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->vote(c.actor, policy::opt_out_id{*id}, approve,
                              std::move(body.value.reason), reply(c));
}

}  // namespace

void list_holds(call c) {
    if (auto why = check_keys(c, {"state"}); !why.empty()) return c.done(bad_query(why));
    std::optional<policy::hold_state> state;
    if (const auto text = value_of(c, "state"); !text.empty() && text != "all") {
        state.emplace();
        if (!policy::parse_hold_state(text, *state))
            return c.done(bad_query(
                "\"state\" must be pending, approved, denied, expired, withdrawn or all."));
    }
    c.context->business->holds(c.actor, state,
                               [done = c.done, a = c.actor](listing<policy::hold> all) {
                                   if (all.answer.what != verdict::done)
                                       return done(to_response(all.answer));
                                   done(json_response(holds_json(all.items, a)));
                               });
}

void show_hold(call c) {
    const auto id = number(c);
    if (!id) return;
    if (auto why = check_keys(c, {"transaction"}); !why.empty()) return c.done(bad_query(why));
    const auto text = value_of(c, "transaction");
    if (!text.empty() && text != "no" && text != "yes")
        return c.done(bad_query("\"transaction\" must be yes or no."));
    c.context->business->hold(
        c.actor, policy::hold_id{*id},
        [done = c.done, a = c.actor, business = c.context->business,
         short_one = text == "no"](listing<policy::hold> found) {
            if (found.answer.what != verdict::done) return done(to_response(found.answer));
            const auto& h = found.items.front();
            if (short_one) return done(json_response(hold_json(h, a)));
            business->transaction(h, [done, a, h](const std::optional<open_transaction>& open) {
                done(json_response(hold_json(h, a, with_transaction::yes, open)));
            });
        });
}

void approve_hold(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_approval(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->vote(c.actor, policy::hold_id{*id}, std::move(body.value), reply(c));
}

void deny_hold(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_reason(c.request.body, reason_is::needed);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    hold_ballot ballot;
    ballot.reason = std::move(body.value.reason);
    c.context->business->vote(c.actor, policy::hold_id{*id}, std::move(ballot), reply(c));
}

void list_opt_outs(call c) {
    if (auto why = check_keys(c, {"state"}); !why.empty()) return c.done(bad_query(why));
    std::optional<policy::opt_out_state> state;
    if (const auto text = value_of(c, "state"); !text.empty() && text != "all") {
        state.emplace();
        if (!policy::parse_opt_out_state(text, *state))
            return c.done(
                bad_query("\"state\" must be requested, active, denied, withdrawn, lapsed, "
                          "expired, revoked, used_up or all."));
    }
    c.context->business->opt_outs(
        c.actor, state,
        [done = c.done, a = c.actor,
         rules = c.context->business->rules()](listing<policy::opt_out> all) {
            if (all.answer.what != verdict::done) return done(to_response(all.answer));
            done(json_response(opt_outs_json(all.items, a, rules.get())));
        });
}

void request_opt_out(call c) {
    auto body = parse_opt_out(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->request(c.actor, std::move(body.value), reply(c, 201));
}

void show_opt_out(call c) {
    const auto id = number(c);
    if (!id) return;
    c.context->business->opt_out(
        c.actor, policy::opt_out_id{*id},
        [done = c.done, a = c.actor,
         rules = c.context->business->rules()](listing<policy::opt_out> found) {
            if (found.answer.what != verdict::done) return done(to_response(found.answer));
            done(json_response(opt_out_json(found.items.front(), a, rules.get())));
        });
}

void approve_opt_out(call c) {
    vote_opt_out(std::move(c), true);
}

void deny_opt_out(call c) {
    vote_opt_out(std::move(c), false);
}

void revoke_opt_out(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_reason(c.request.body, reason_is::needed);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->revoke(c.actor, policy::opt_out_id{*id}, std::move(body.value.reason),
                                reply(c));
}

void list_sessions(call c) {
    c.context->business->sessions(c.actor, [done = c.done](listing<session_info> all) {
        if (all.answer.what != verdict::done) return done(to_response(all.answer));
        done(json_response(sessions_json(all.items)));
    });
}

void kill_session(call c) {
    const auto id = number(c);
    if (!id) return;
    auto body = parse_reason(c.request.body, reason_is::needed);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    c.context->business->kill(c.actor, policy::session_id{*id}, std::move(body.value.reason),
                              reply(c));
}

void search_audit(call c) {
    if (auto why = check_keys(c, {"user", "target", "rule", "event", "hold", "opt_out", "session",
                                  "text", "from", "to", "limit", "before"});
        !why.empty())
        return c.done(bad_query(why));
    audit::query q;
    for (const auto& [key, field] : {std::pair{"user", &q.user}, std::pair{"target", &q.target},
                                     std::pair{"rule", &q.rule}, std::pair{"event", &q.event},
                                     std::pair{"hold", &q.hold}, std::pair{"opt_out", &q.opt_out},
                                     std::pair{"session", &q.session}, std::pair{"text", &q.text}})
        *field = value_of(c, key);
    for (const auto& [key, field] : {std::pair{"from", &q.from}, std::pair{"to", &q.to}}) {
        const auto text = value_of(c, key);
        *field = parse_iso_time(text);
        if (!text.empty() && !*field)
            return c.done(bad_query("Times look like 2026-03-01T09:30:00Z, in UTC."));
    }
    std::uint64_t limit = 100;
    std::uint64_t before = 0;
    for (const auto& [key, number_] : {std::pair{"limit", &limit}, std::pair{"before", &before}}) {
        const auto text = value_of(c, key);
        const auto value = parse_id(text);
        if (!text.empty() && !value) return c.done(bad_query("limit and before are numbers."));
        if (value) *number_ = *value;
    }
    if (limit > 1000) return c.done(bad_query("\"limit\" is at most 1000; page with before."));
    elsewhere(c, [context = c.context, a = c.actor, q, limit, before] {
        auto found = context->business->audit(a, q, limit, before);
        if (found.answer.what != verdict::done) return to_response(found.answer);
        return json_response(audit_json(found.items));
    });
}

void explain(call c) {
    auto body = parse_explain(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    elsewhere(c, [context = c.context, a = c.actor, q = std::move(body.value)] {
        auto [outcome, result] = context->business->explain(a, q);
        if (outcome.what != verdict::done) return to_response(outcome);
        return json_response(explained_json(result));
    });
}

void reload(call c) {
    if (auto body = parse_nothing(c.request.body); !body.error.empty())
        return c.done(bad_body(body.error));
    elsewhere(c, [context = c.context, a = c.actor] {
        auto [outcome, result] = context->business->reload(a);
        if (outcome.what == verdict::forbidden) return to_response(outcome);
        auto r = json_response(reload_json(result), result.done ? 200 : 422);
        if (!result.done) r.content_type = "application/problem+json";
        return r;
    });
}

void show_rules(call c) {
    const auto rules = c.context->business->rules();
    if (!rules)
        return c.done(to_response(
            problem{503, "unavailable", "No policy is loaded yet.", "Retry in a moment."}));
    const auto& hits = c.context->world().policies.hits;
    c.done(
        json_response(rules_json(*rules, c.context->business->counts(), c.context->business->now(),
                                 hits ? hits() : std::map<std::string, rule_hits>())));
}

void events(call c) {
    auto stream = std::make_shared<event_stream>();
    stream->still_logged_in = c.still_valid;
    stream->person = c.actor.who.name;
    stream->per_person_max = c.context->access()->event_streams_per_person;
    stream->visible = [context = c.context, a = c.actor](const approval::steward::change_event& e,
                                                         std::function<void(bool)> tell) {
        if (a.role.admin || a.role.auditor) return tell(true);
        if (e.what == "flag") return tell(a.role.monitor);
        if (e.what == "hold")
            return context->business->hold(
                a, policy::hold_id{e.id},
                [tell](const listing<policy::hold>& found) { tell(!found.items.empty()); });
        context->business->opt_out(
            a, policy::opt_out_id{e.id},
            [tell](const listing<policy::opt_out>& found) { tell(!found.items.empty()); });
    };
    http_response r;
    r.content_type = "text/event-stream";
    r.stream = std::move(stream);
    c.done(std::move(r));
}

}  // namespace sallyport::proxy::admin::endpoints
