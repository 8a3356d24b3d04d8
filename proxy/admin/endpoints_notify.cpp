#include <utility>

#include "proxy/admin/api.h"
#include "proxy/admin/deliveries.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/text.h"

/// Deliveries of notices, and clicks in Slack.
namespace sallyport::proxy::admin::endpoints {

using approval::verdict;

namespace {

/// A click of somebody we know: where to go on. Nothing is decided here.
struct clicked {
    actor who;
    std::string subject;
    std::string link;
    std::shared_ptr<desk> business;
    respond done;

    void record(const char* outcome) const {
        audit::record r;
        r.event = "slack.click";
        r.with("user", who.who.name)
            .with("address", who.address)
            .with("subject", subject)
            .with("outcome", outcome);
        business->record(std::move(r));
    }
    void answer(bool visible) const {
        record(visible ? "linked" : "not found");
        done(json_response(slack_answer(
            visible ? "A click here decides nothing. Log in and decide on " + subject + ": " + link
                    : "There is nothing of that number that you can see.")));
    }
};

/// "hold 7" → kind and number.
std::pair<std::string, std::uint64_t> parts_of(const std::string& subject) {
    const auto space = subject.find(' ');
    if (space == std::string::npos) return {subject, 0};
    return {subject.substr(0, space), parse_id(subject.substr(space + 1)).value_or(0)};
}

void look_up(clicked c, const std::string& kind, std::uint64_t id) {
    auto business = c.business;
    if (kind == "hold")
        return business->hold(c.who, policy::hold_id{id}, [c](const listing<policy::hold>& found) {
            c.answer(found.answer.what == verdict::done);
        });
    if (kind == "opt_out")
        return business->opt_out(c.who, policy::opt_out_id{id},
                                 [c](const listing<policy::opt_out>& found) {
                                     c.answer(found.answer.what == verdict::done);
                                 });
    c.answer(true);
}

std::string page_of(const std::string& base, const std::string& kind, std::uint64_t id) {
    const auto number = "/" + std::to_string(id);
    if (kind == "hold") return base + "/holds" + number;
    if (kind == "opt_out") return base + "/opt-outs" + number;
    return base + "/";
}

}  // namespace

void list_deliveries(call c) {
    c.context->business->deliveries(
        c.actor, [done = c.done](const approval::answer& a, const delivery_overview& all) {
            if (a.what != verdict::done) return done(to_response(a));
            done(json_response(deliveries_json(all)));
        });
}

void slack_actions(call c) {
    const auto& world = c.context->world();
    const auto settings = world.notify ? world.notify() : nullptr;
    if (!settings || !settings->slack)
        return c.done(to_response(problem{404, "no-route", "There is nothing at this path.",
                                          "Configure notify.slack to take clicks."}));
    const auto now = c.context->business->now();
    const auto& r = c.request;
    const auto refused = [&](std::string why) {
        c.done(to_response(problem{401, "signature", std::move(why),
                                   "Check the signing secret of the app, and the clocks."}));
    };
    if (r.header_count("x-slack-signature") != 1 ||
        r.header_count("x-slack-request-timestamp") != 1)
        return refused("The request is not signed.");
    const std::string signature(r.header("x-slack-signature"));
    if (auto why =
            check_slack_signature(settings->slack->signing_secret.view(),
                                  r.header("x-slack-request-timestamp"), signature, r.body, now);
        !why.empty())
        return refused(std::move(why));
    if (!c.context->slack_seen.first_time(signature, now))
        return refused("This request came before.");
    const auto click = parse_slack_click(r.body);
    if (!click) return c.done(bad_body("That is no click on a button of Sallyport's."));

    const auto [kind, id] = parts_of(click->subject);
    clicked known{c.actor, click->subject, page_of(settings->url, kind, id), c.context->business,
                  c.done};
    known.who.surface = "slack";
    const auto name = settings->slack->people.find(click->user);
    const auto person =
        name == settings->slack->people.end() ? std::nullopt : world.find_user(name->second);
    if (!person) {
        known.record("unknown person");
        return c.done(json_response(
            slack_answer("Sallyport does not know who you are; ask an admin to add your Slack "
                         "user to notify.slack.people.")));
    }
    known.who.who = *person;
    known.who.role = roles_of(world.roles, *person);
    look_up(std::move(known), kind, id);
}

}  // namespace sallyport::proxy::admin::endpoints
