#include "proxy/admin/api.h"

#include <algorithm>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {
namespace {

using refusal = std::optional<problem>;

bool changes_state(std::string_view method) {
    return method != "GET" && method != "HEAD";
}

/// A page of another site whose name was made to point at us (DNS rebinding) still sends its own
/// name in Host.
refusal check_host(const http_request& r, const api_options& o) {
    if (r.header_count("host") != 1)
        return problem{400, "host", "A request has exactly one Host header.", "Send one."};
    const auto host = host_of(r.header("host"));
    if (host.empty()) return problem{400, "host", "The Host header is malformed.", "Correct it."};
    const auto named = [&](std::string_view name) { return !name.empty() && host == lower(name); };
    const auto configured = origin_of(o.url);
    const auto url_host =
        configured.empty() ? std::string{} : host_of(configured.substr(configured.find("//") + 2));
    if (named("localhost") || named("127.0.0.1") || named("[::1]") || named(url_host) ||
        named(o.address) || named("[" + o.address + "]"))
        return std::nullopt;
    if (!o.loopback && configured.empty()) return std::nullopt;
    return problem{421, "host", "This proxy is not reached under the name in the Host header.",
                   "Use the configured address, or set the admin url in the configuration."};
}

/// What another site's page asks a browser to send is refused before anything else is looked at.
refusal check_origin(const http_request& r, const api_options& o) {
    if (!changes_state(r.method)) return std::nullopt;
    const problem refused{403, "origin", "The request comes from a page of another site.",
                          "Use the proxy's own page, or a program that sends no Origin."};
    const auto site = r.header("sec-fetch-site");
    if (site == "cross-site" || site == "same-site") return refused;
    const auto origin = r.header("origin");
    if (r.header_count("origin") == 0) return std::nullopt;
    const auto own = std::string(o.tls ? "https://" : "http://") + lower(r.header("host"));
    const auto configured = origin_of(o.url);
    if (r.header_count("origin") == 1 &&
        (lower(origin) == own || (!configured.empty() && lower(origin) == configured)))
        return std::nullopt;
    return refused;
}

refusal check_media_type(const http_request& r, std::string_view wanted) {
    if (r.method != "POST") return std::nullopt;
    const auto type = lower(r.header("content-type"));
    const auto plain = type.substr(0, type.find(';'));
    const auto end = plain.find_last_not_of(' ');
    if (end != std::string::npos && plain.substr(0, end + 1) == wanted) return std::nullopt;
    return problem{415, "media-type", "The body is not of the type that this path takes.",
                   "Send Content-Type: " + std::string(wanted) + "."};
}

problem not_logged_in() {
    return {401, "not-logged-in", "There is no login with this request, or it has ended.",
            "POST user and password to /api/v1/login and send its token."};
}

problem too_many_requests(policy::milliseconds wait) {
    const auto seconds = std::to_string((wait.count() + 999) / 1000);
    return {429, "too-many-requests", "Too many requests came from here.",
            "Wait " + seconds + " s, and ask less often."};
}

enum class credential : std::uint8_t { none, bearer, cookie };

/// The token of a request. A bearer token is never sent by a browser on its own, so it wins and
/// needs no CSRF token; two of a kind are none.
std::pair<credential, std::string> token_of(const http_request& r, const api_context& c) {
    const auto authorization = r.header("authorization");
    if (r.header_count("authorization") == 1) {
        constexpr std::string_view scheme = "bearer ";
        if (lower(authorization.substr(0, scheme.size())) != scheme) return {};
        return {credential::bearer, std::string(authorization.substr(scheme.size()))};
    }
    if (r.header_count("authorization") > 1 || r.header_count("cookie") != 1) return {};
    auto cookie = find_cookie(r.header("cookie"), c.cookie_name());
    if (!cookie) return {};
    return {credential::cookie, std::move(*cookie)};
}

/// A login: the actor as users.yaml has her now.
refusal by_login(call& c, const std::string& token) {
    const auto context = c.context;
    const auto login = context->logins.find(token, context->business->now());
    if (!login) return not_logged_in();
    auto person = context->world().find_user(login->user);
    if (!person) {
        context->logins.close_all(login->user);
        return not_logged_in();
    }
    c.actor.who = std::move(*person);
    c.csrf = login->csrf;
    c.login_expires_at = login->expires_at;
    c.token = token;
    c.still_valid = [context, token, user = c.actor.who.name] {
        return context->logins.live(token, context->business->now()) &&
               context->world().find_user(user).has_value();
    };
    return std::nullopt;
}

/// An API token: its owner as of now, within its scopes.
refusal by_api_token(call& c, const std::string& token) {
    const auto context = c.context;
    const auto now = context->business->now();
    const auto found = context->tokens.find(token, now);
    if (!found) return not_logged_in();
    auto owner = context->world().find_user(found->owner);
    if (!owner) return not_logged_in();
    c.actor.who = std::move(*owner);
    c.actor.by = proof::token;
    c.actor.token = found->id;
    c.actor.made_by = found->made_by;
    c.actor.scopes.emplace();
    for (const auto& name : found->scopes)
        if (const auto what = parse_action(name))
            c.actor.scopes->set(static_cast<std::size_t>(*what));
    c.login_expires_at = found->expires_at;
    c.still_valid = [context, id = found->id, user = found->owner] {
        return context->tokens.live(id, context->business->now()) &&
               context->world().find_user(user).has_value();
    };
    const auto& keeper = context->world().tokens;
    if (auto uses = context->tokens.uses_to_note(now); !uses.empty() && keeper.note_uses)
        keeper.note_uses(std::move(uses));
    return std::nullopt;
}

/// The person that a JWT names, with the groups that are mapped beside her own.
std::optional<policy::principal> person_of(const api_context& context, const auth::jwt_options& o,
                                           const auth::jwt_identity& who) {
    auto person = context.world().find_user(who.user);
    if (!person) {
        // Somebody whom users.yaml has shut out does not come back by another door.
        const auto& knows = context.world().knows_user;
        if (!o.any_user || (knows && knows(who.user))) return std::nullopt;
        person.emplace();
        person->name = who.user;
    }
    for (const auto& g : who.groups)
        if (!person->in_group(g)) person->groups.push_back(g);
    return person;
}

refusal by_jwt(call& c, const std::string& token) {
    const auto context = c.context;
    const auto access = context->access();
    if (!access->jwt) return not_logged_in();
    auto verdict = auth::verify_jwt(*access->jwt, token, context->business->now());
    if (!verdict.who)
        return problem{401, "not-logged-in", "The JWT is refused: " + verdict.why + ".",
                       "Get a fresh one from the login service, for this proxy's audience."};
    auto person = person_of(*context, *access->jwt, *verdict.who);
    if (!person)
        return problem{401, "not-logged-in", "The JWT is of nobody whom this proxy knows.",
                       "Ask for an entry in users.yaml."};
    c.actor.who = std::move(*person);
    c.actor.by = proof::jwt;
    c.login_expires_at = verdict.who->expires_at;
    c.still_valid = [context, token] {
        const auto now_in_force = context->access();
        if (!now_in_force->jwt) return false;
        const auto again = auth::verify_jwt(*now_in_force->jwt, token, context->business->now());
        return again.who && person_of(*context, *now_in_force->jwt, *again.who).has_value();
    };
    return std::nullopt;
}

/// Where TLS asks for certificates, whatever else proves somebody must be the certificate's.
refusal check_certificate(const call& c) {
    if (!c.context->options.mutual) return std::nullopt;
    const auto& find = c.context->world().find_certificate;
    const auto owner = find && c.request.certificate ? find(*c.request.certificate) : std::nullopt;
    if (owner && owner->name == c.actor.who.name) return std::nullopt;
    return problem{401, "not-logged-in", "The login is not of whom the client's certificate names.",
                   "Use the certificate of the same person, or log in with this one."};
}

/// Who asks; a problem when nobody, or too often, or not allowed, or forged.
refusal authenticate(call& c, const route& to, policy::milliseconds& wait) {
    auto& context = *c.context;
    const auto [kind, token] = token_of(c.request, context);
    if (kind == credential::none) return not_logged_in();
    refusal bad;
    if (kind == credential::bearer && token.starts_with(api_token_prefix))
        bad = by_api_token(c, token);
    else if (kind == credential::bearer && auth::looks_like_jwt(token))
        bad = by_jwt(c, token);
    else
        bad = by_login(c, token);
    if (!bad) bad = check_certificate(c);
    if (bad) return bad;
    c.actor.role = roles_of(context.world().roles, c.actor.who);
    const auto caller = c.actor.token != 0 ? "token " + std::to_string(c.actor.token)
                                           : "person " + c.actor.who.name;
    wait = context.requests.admit_caller(caller, context.access()->requests_per_person,
                                         context.business->now());
    if (wait > policy::milliseconds::zero()) return too_many_requests(wait);
    if (auto why = check_scope(to.needs, c.actor); !why.empty())
        return problem{403, "scope", std::move(why), "Make a token with that scope."};
    if (auto why = check_action(to.needs, c.actor.role); !why.empty())
        return problem{403, "role", std::move(why),
                       "Ask somebody who may; GET /api/v1/me shows your roles."};
    if (kind == credential::cookie && changes_state(c.request.method) &&
        (c.request.header_count("x-csrf-token") != 1 ||
         !same_secret(c.request.header("x-csrf-token"), c.csrf)))
        return problem{403, "csrf", "The header X-CSRF-Token is missing or wrong.",
                       "Send the csrf value that login and GET /api/v1/me return."};
    return std::nullopt;
}

problem no_such_method(const std::vector<std::string>& allowed) {
    std::string list;
    for (const auto& m : allowed)
        list += (list.empty() ? "" : ", ") + m;
    return {405, "method", "This path does not have that method.", "Use " + list + "."};
}

}  // namespace

std::shared_ptr<const access_settings> api_context::access() const {
    const std::scoped_lock lock(access_mutex_);
    return access_;
}

void api_context::set_access(access_settings a) {
    auto made = std::make_shared<const access_settings>(std::move(a));
    const std::scoped_lock lock(access_mutex_);
    access_ = std::move(made);
}

std::string api_context::cookie_name() const {
    // The prefix makes browsers insist on Secure, Path=/ and no Domain.
    return options.tls ? "__Host-sallyport_session" : "sallyport_session";
}

void add_security_headers(http_response& r, const api_options& options) {
    // What the response brings itself is more exact.
    const auto add = [&r](const char* name, const char* value) {
        if (std::none_of(r.headers.begin(), r.headers.end(),
                         [&](const auto& h) { return h.first == name; }))
            r.headers.emplace_back(name, value);
    };
    add("Cache-Control", "no-store");
    add("X-Content-Type-Options", "nosniff");
    add("X-Frame-Options", "DENY");
    add("Referrer-Policy", "no-referrer");
    add("Cross-Origin-Resource-Policy", "same-origin");
    add("Cross-Origin-Opener-Policy", "same-origin");
    add("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    if (options.tls) add("Strict-Transport-Security", "max-age=31536000");
}

api::api(std::shared_ptr<api_context> context) : context_(std::move(context)) {}

void api::handle(http_request request, respond done) const {
    const respond answer = [context = context_, done = std::move(done)](http_response r) {
        add_security_headers(r, context->options);
        done(std::move(r));
    };
    const auto slow_down = [&answer](policy::milliseconds wait) {
        auto r = to_response(too_many_requests(wait));
        r.headers.emplace_back("Retry-After", std::to_string((wait.count() + 999) / 1000));
        answer(std::move(r));
    };
    if (const auto wait = context_->requests.admit_address(
            request.address, context_->access()->requests_per_address, context_->business->now());
        wait > policy::milliseconds::zero())
        return slow_down(wait);
    if (auto bad = check_host(request, context_->options)) return answer(to_response(*bad));
    auto target = parse_target(request.target);
    if (!target)
        return answer(to_response(problem{400, "target", "The path or its query is malformed.",
                                          "Check the percent-encoding; give each key once."}));
    auto matched = match(routes(), request.method, target->segments);
    if (matched.found == nullptr && !matched.allowed.empty()) {
        auto r = to_response(no_such_method(matched.allowed));
        for (const auto& m : matched.allowed)
            r.headers.emplace_back("Allow", m);
        return answer(std::move(r));
    }
    if (matched.found == nullptr)
        return answer(to_response(
            problem{404, "no-route", "There is nothing at this path.", "GET / names the routes."}));
    if (auto bad = check_origin(request, context_->options)) return answer(to_response(*bad));

    const auto& to = *matched.found;
    call c{.context = context_,
           .request = std::move(request),
           .query = std::move(target->query),
           .parameters = std::move(matched.parameters),
           .actor = {},
           .token = {},
           .csrf = {},
           .login_expires_at = {},
           .still_valid = {},
           .done = answer};
    c.actor.address = c.request.address;
    c.actor.surface = "api";
    if (to.guard != gate::open) {
        auto wait = policy::milliseconds::zero();
        if (auto bad = authenticate(c, to, wait)) {
            if (bad->status == 429) return slow_down(wait);
            auto r = to_response(*bad);
            if (bad->status == 401) r.headers.emplace_back("WWW-Authenticate", "Bearer");
            return answer(std::move(r));
        }
    }
    if (auto bad = check_media_type(c.request, to.media)) return answer(to_response(*bad));
    try {
        to.run(std::move(c));
    } catch (const std::exception&) {
        // Only what runs before a handler hands its work on can throw here; it has not answered
        // yet.
        answer(to_response(problem{500, "failure", "The request could not be carried out.",
                                   "See the proxy's log; retry later."}));
    }
}

}  // namespace sallyport::proxy::admin
