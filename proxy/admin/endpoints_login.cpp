#include <openssl/crypto.h>

#include "proxy/admin/api.h"
#include "proxy/admin/dto.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/text.h"

namespace sallyport::proxy::admin::endpoints {
namespace {

http_response json_response(std::string body, unsigned status = 200) {
    http_response r;
    r.status = status;
    r.body = std::move(body);
    return r;
}

http_response text_response(std::string body) {
    http_response r;
    r.content_type = "text/plain; charset=utf-8";
    r.body = std::move(body);
    return r;
}

void wipe(std::string& secret) {
    OPENSSL_cleanse(secret.data(), secret.size());
    secret.clear();
}

http_response slow_down(policy::milliseconds wait) {
    const auto seconds = (wait.count() + 999) / 1000;
    auto r = to_response(problem{429, "too-many-logins", "Too many passwords were tried.",
                                 "Wait " + std::to_string(seconds) + " s, then try again."});
    r.headers.emplace_back("Retry-After", std::to_string(seconds));
    return r;
}

http_response busy() {
    auto r = to_response(problem{503, "busy", "Too many requests wait already.", "Retry in 1 s."});
    r.headers.emplace_back("Retry-After", "1");
    return r;
}

void record_login(const call& c, const char* event, const std::string& user, const char* why) {
    audit::record r;
    r.event = event;
    r.with("user", user).with("address", c.request.address).with("surface", "api");
    if (*why != '\0') r.with("reason", why);
    c.context->business->record(std::move(r));
}

std::string cookie(const api_context& c, const std::string& value, std::int64_t age_seconds) {
    return c.cookie_name() + "=" + value +
           "; Path=/; HttpOnly; SameSite=Strict; Max-Age=" + std::to_string(age_seconds) +
           (c.options.tls ? "; Secure" : "");
}

/// The password was right: a login is opened and answered.
void admit(const call& c, policy::principal who) {
    auto& context = *c.context;
    const auto now = context.business->now();
    context.throttle.succeeded(c.request.address, who.name, now);
    auto issued = context.logins.open(who.name, now);
    if (issued.token.empty()) return c.done(busy());
    record_login(c, "admin.login", who.name, "");
    actor a = c.actor;
    a.role = roles_of(context.world().roles, who);
    a.who = std::move(who);
    auto r = json_response(login_json(a, issued.token, issued.csrf, issued.expires_at, now));
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(login_life_max).count();
    r.headers.emplace_back("Set-Cookie", cookie(context, issued.token, age));
    wipe(issued.token);
    c.done(std::move(r));
}

void refuse(const call& c, const std::string& user) {
    c.context->throttle.failed(c.request.address, user, c.context->business->now());
    record_login(c, "admin.login_refused", user, "wrong user or password");
    c.done(to_response(problem{401, "login", "User or password is wrong.",
                               "Use the name and password that you connect to PostgreSQL with."}));
}

/// Runs off the sockets' thread: a verifier is thousands of hash rounds.
void check_password(const call& c, credentials given) {
    std::optional<policy::principal> who;
    bool failed = false;
    try {
        who = c.context->world().authenticate(given.user, given.password);
    } catch (const std::exception&) {
        failed = true;
    }
    wipe(given.password);
    c.context->logins_in_progress.fetch_sub(1);
    if (failed)
        return c.done(to_response(problem{503, "unavailable", "The password could not be checked.",
                                          "See the proxy's log, then retry."}));
    if (!who || who->name != given.user) return refuse(c, given.user);
    admit(c, std::move(*who));
}

}  // namespace

void alive(call c) {
    c.done(text_response("ok\n"));
}

void ready(call c) {
    const auto& world = c.context->world();
    const bool storing = world.approval.healthy();
    const bool serving = c.context->ready.load();
    auto r = json_response(
        health_json({{"store_and_audit", storing}, {"serving", serving}},
                    world.health_notes ? world.health_notes() : std::vector<std::string>()));
    if (!storing || !serving) r.status = 503;
    c.done(std::move(r));
}

void metrics(call c) {
    const auto& world = c.context->world();
    auto r = text_response(world.metrics ? world.metrics() : std::string());
    r.content_type = "text/plain; version=0.0.4; charset=utf-8";
    c.done(std::move(r));
}

namespace {

/// The certificate has said who it is; a name in the body must be the same.
void login_by_certificate(const call& c, const std::string& user) {
    const auto& find = c.context->world().find_certificate;
    auto who = find && c.request.certificate ? find(*c.request.certificate) : std::nullopt;
    if (who && (user.empty() || user == who->name)) return admit(c, std::move(*who));
    record_login(c, "admin.login_refused", user, "certificate of nobody, or of somebody else");
    c.done(to_response(
        problem{401, "login", "The certificate is not that of a user, or of another one.",
                "Ask for its subject to be written into users.yaml (certificate:)."}));
}

}  // namespace

void login(call c) {
    auto& context = *c.context;
    if (context.options.mutual) {
        auto body = parse_nothing(c.request.body).error.empty() ? parsed<credentials>()
                                                                : parse_login(c.request.body);
        wipe(c.request.body);
        wipe(body.value.password);
        if (!body.error.empty())
            return c.done(to_response(problem{400, "body", body.error, "Send {}."}));
        return login_by_certificate(c, body.value.user);
    }
    auto body = parse_login(c.request.body);
    wipe(c.request.body);
    if (body.error.empty()) body.error = check_text("user", body.value.user, name_bytes_max);
    if (!body.error.empty())
        return c.done(to_response(
            problem{400, "body", body.error, R"(Send {"user":"alice","password":"…"}.)"}));
    const auto& user = body.value.user;
    const auto wait = context.throttle.admit(c.request.address, user, context.business->now());
    if (wait > policy::milliseconds::zero()) {
        wipe(body.value.password);
        record_login(c, "admin.login_refused", user, "too many tries");
        return c.done(slow_down(wait));
    }
    if (context.logins_in_progress.fetch_add(1) >= context.options.logins_in_progress_max) {
        context.logins_in_progress.fetch_sub(1);
        wipe(body.value.password);
        return c.done(busy());
    }
    // Shared, because a std::function must be copyable and a password should have one copy.
    auto given = std::make_shared<credentials>(std::move(body.value));
    if (!context.run_blocking([c, given] { check_password(c, std::move(*given)); })) {
        context.logins_in_progress.fetch_sub(1);
        wipe(given->password);
        c.done(busy());
    }
}

void logout(call c) {
    if (auto body = parse_nothing(c.request.body); !body.error.empty())
        return c.done(to_response(problem{400, "body", body.error, "Send {}."}));
    if (c.actor.by != proof::login)
        return c.done(to_response(
            problem{422, "invalid", "What came with this request is a token, not a login.",
                    "Revoke it with DELETE /api/v1/tokens/{id}, or let it expire."}));
    c.context->logins.close(c.token);
    audit::record r;
    r.event = "admin.action";
    r.with("user", c.actor.who.name)
        .with("address", c.actor.address)
        .with("surface", c.actor.surface)
        .with("action", "logout")
        .with("outcome", "done");
    c.context->business->record(std::move(r));
    auto out = json_response(
        answer_json({.what = approval::verdict::done, .text = "You are logged out.", .id = 0}));
    out.headers.emplace_back("Set-Cookie", cookie(*c.context, "", 0));
    c.done(std::move(out));
}

void me(call c) {
    c.done(json_response(
        login_json(c.actor, "", c.csrf, c.login_expires_at, c.context->business->now())));
}

}  // namespace sallyport::proxy::admin::endpoints
