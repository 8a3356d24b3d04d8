#include "proxy/admin/token_desk.h"

#include <algorithm>

#include <openssl/crypto.h>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {

using approval::answer;
using approval::verdict;

namespace {

answer refuse(verdict what, std::string text) {
    return {.what = what, .text = std::move(text), .id = 0};
}

answer ok() {
    return {.what = verdict::done, .text = {}, .id = 0};
}

/// "" if a program may try this; whether it may decide one request is for that request's rule.
std::string check_program(action a, const std::string& name, const policy::rule_set* rules) {
    if (a == action::review) return "Programs do not review, nor do their tokens.";
    const bool hold = a == action::vote_hold;
    if (!hold && a != action::vote_opt_out) return {};
    const auto names = [&](const policy::approvers& who) {
        return std::find(who.services.begin(), who.services.end(), name) != who.services.end();
    };
    const auto lets = [&](const policy::rule& r) {
        if (!hold) return r.opt_out && names(r.opt_out->approved_by);
        return r.hold && (names(r.hold->who) || (r.hold->escalate && names(r.hold->escalate->to)));
    };
    if (rules != nullptr && std::any_of(rules->rules.begin(), rules->rules.end(), lets)) return {};
    return "Programs cannot vote, nor can their tokens, unless a rule names them in 'services' of "
           "its approvers.";
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : " ") + w;
    return out;
}

std::vector<std::string> action_names() {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < action_count; ++i)
        out.emplace_back(to_string(static_cast<action>(i)));
    return out;
}

/// "" if a token of `owner` may have this scope.
std::string check_scope_of(const std::string& name, const policy::principal& owner, roles role,
                           const policy::rule_set* rules) {
    const auto what = parse_action(name);
    if (!what) {
        const auto near = nearest(name, action_names());
        return "\"" + name.substr(0, 64) + "\" is no action" +
               (near.empty() ? "." : " (did you mean \"" + near + "\"?).");
    }
    if (*what == action::create_token) return "A token cannot make tokens.";
    auto why = owner.service ? check_program(*what, owner.name, rules) : std::string();
    if (!why.empty()) return why;
    why = check_action(*what, role);
    return why.empty() ? why : "The owner may not " + name + ": " + why;
}

audit::record token_record(const char* event, const actor& a, const store::api_token& t) {
    audit::record r;
    r.event = event;
    r.with("token", std::to_string(t.id))
        .with("user", t.owner)
        .with("by", a.who.name)
        .with("address", a.address)
        .with("surface", a.surface)
        .with("name", t.name)
        .with("scopes", joined(t.scopes))
        .with("until", audit::format_time(t.expires_at));
    return r;
}

}  // namespace

answer token_desk::check(const actor& a, const token_wish& w, policy::milliseconds life_max,
                         policy::principal& owner) const {
    if (auto may = business_->permit(action::create_token, a); may.what != verdict::done)
        return may;
    if (a.by != proof::login)
        return refuse(verdict::forbidden,
                      "Tokens are made by somebody who has logged in, not by another token.");
    owner = a.who;
    if (!w.owner.empty() && w.owner != a.who.name) {
        if (!a.role.admin)
            return refuse(verdict::forbidden, "Only admins make tokens for programs.");
        const auto found = business_->world().find_user(w.owner);
        if (!found)
            return refuse(verdict::invalid, "There is no user of the name that shall own it.");
        if (!found->service)
            return refuse(verdict::forbidden,
                          "A person makes her own tokens: what they do counts as hers.");
        owner = *found;
    }
    if (blank(w.name)) return refuse(verdict::invalid, "A token needs a name: what it is for.");
    if (auto why = check_text("name", w.name, name_bytes_max); !why.empty())
        return refuse(verdict::invalid, std::move(why));
    if (w.scopes.empty() || w.scopes.size() > action_count)
        return refuse(verdict::invalid, "A token needs scopes: what it may be used for.");
    const auto role = roles_of(business_->world().roles, owner);
    const auto rules = business_->world().rules();
    for (const auto& s : w.scopes)
        if (auto why = check_scope_of(s, owner, role, rules.get()); !why.empty())
            return refuse(verdict::invalid, std::move(why));
    if (w.life < std::chrono::minutes(1) || w.life > life_max)
        return refuse(verdict::invalid,
                      "A token lasts from 1m to " + format_duration(life_max) + " here.");
    if (table_.live_of(owner.name, business_->now()) >= api_tokens_per_owner_max)
        return refuse(verdict::conflict, "That owner has " +
                                             std::to_string(api_tokens_per_owner_max) +
                                             " live tokens already; revoke one.");
    if (table_.size() >= api_tokens_max)
        return refuse(verdict::unavailable, "There are too many tokens; revoke some.");
    if (!business_->world().tokens.add || !business_->world().approval.healthy())
        return refuse(verdict::unavailable, "Tokens cannot be stored or recorded now.");
    return ok();
}

void token_desk::create(const actor& a, token_wish w, policy::milliseconds life_max,
                        std::function<void(new_token)> done) const {
    policy::principal owner;
    auto may = check(a, w, life_max, owner);
    if (may.what != verdict::done) return done({std::move(may), {}, {}});
    std::sort(w.scopes.begin(), w.scopes.end());
    w.scopes.erase(std::unique(w.scopes.begin(), w.scopes.end()), w.scopes.end());
    auto secret = std::make_shared<token_secret>(new_token_secret());
    store::api_token t;
    t.owner = owner.name;
    t.made_by = a.who.name;
    t.name = std::move(w.name);
    t.scopes = std::move(w.scopes);
    t.secret_sha256 = secret->sha256;
    t.made_at = business_->now();
    t.expires_at = t.made_at + w.life;
    business_->world().tokens.add(
        t, [business = business_, &table = table_, a, t, secret,
            done = std::move(done)](std::optional<std::uint64_t> id) mutable {
            new_token out;
            if (!id) {
                out.answer = refuse(verdict::unavailable, "The token could not be stored.");
            } else {
                t.id = *id;
                out.text = token_text(t.id, secret->text);
                out.answer = ok();
                out.answer.id = t.id;
                business->record(token_record("token.created", a, t));
                table.add(t);
                out.token = t;
            }
            OPENSSL_cleanse(secret->text.data(), secret->text.size());
            done(std::move(out));
        });
}

listing<store::api_token> token_desk::list(const actor& a) const {
    if (auto why = check_action(action::see_tokens, a); !why.empty())
        return {refuse(verdict::forbidden, std::move(why)), {}};
    return {ok(), table_.list(a.role.admin ? std::string() : a.who.name, business_->now())};
}

void token_desk::revoke(const actor& a, std::uint64_t id, desk::on_answer done) const {
    if (auto may = business_->permit(action::revoke_token, a); may.what != verdict::done)
        return done(std::move(may));
    const auto found = table_.get(id);
    if (!found || (found->owner != a.who.name && !a.role.admin))
        return done(refuse(verdict::not_found,
                           "There is no token " + std::to_string(id) + " that you can see."));
    if (found->revoked_at != policy::instant{})
        return done(
            refuse(verdict::conflict, "Token " + std::to_string(id) + " was revoked already."));
    const auto at = business_->now();
    // Ended here first: whatever the disk says, it lets nobody in any more.
    table_.set_revoked(id, a.who.name, at);
    business_->record(token_record("token.revoked", a, *found));
    business_->world().tokens.revoke(id, a.who.name, at, [id, done = std::move(done)](bool stored) {
        if (!stored)
            return done(refuse(verdict::unavailable,
                               "The token is refused from now on, but that could not be "
                               "stored yet: it is tried again until it is; after a restart "
                               "before that the token would be live again."));
        done({.what = verdict::done,
              .text = "Token " + std::to_string(id) + " is revoked.",
              .id = id});
    });
}

}  // namespace sallyport::proxy::admin
