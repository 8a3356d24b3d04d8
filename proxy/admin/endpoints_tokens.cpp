#include <openssl/crypto.h>

#include "proxy/admin/dto.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/token_desk.h"

/// API tokens.
namespace sallyport::proxy::admin::endpoints {

using approval::verdict;

namespace {

token_desk desk_of(const call& c) {
    return {c.context->business, c.context->tokens};
}

}  // namespace

void list_tokens(call c) {
    if (auto why = check_keys(c, {}); !why.empty()) return c.done(bad_query(why));
    auto all = desk_of(c).list(c.actor);
    if (all.answer.what != verdict::done) return c.done(to_response(all.answer));
    c.done(json_response(tokens_json(all.items, c.context->business->now())));
}

void create_token(call c) {
    auto body = parse_token(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    const auto life_max = c.context->access()->token_life_max;
    // The context stays until the answer: its table takes the token in.
    desk_of(c).create(c.actor, std::move(body.value), life_max,
                      [done = c.done, context = c.context](new_token made) {
                          if (made.answer.what != verdict::done)
                              return done(to_response(made.answer));
                          auto r = json_response(new_token_json(made.token, made.text), 201);
                          OPENSSL_cleanse(made.text.data(), made.text.size());
                          done(std::move(r));
                      });
}

void revoke_token(call c) {
    const auto id = number(c);
    if (!id) return;
    desk_of(c).revoke(c.actor, *id, reply(c));
}

}  // namespace sallyport::proxy::admin::endpoints
