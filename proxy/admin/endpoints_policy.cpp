#include <memory>
#include <utility>

#include "proxy/admin/dto.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"

/// A policy looked at before it is in force.
namespace sallyport::proxy::admin::endpoints {
namespace {

http_response not_here() {
    return to_response(problem{503, "unavailable", "The policy's files cannot be looked at here.",
                               "Use `sallyport lint` and `sallyport diff` beside the files."});
}

/// Over with the comparison, or with the request if that is never run.
class comparison_turn {
  public:
    explicit comparison_turn(std::shared_ptr<api_context> c) : context_(std::move(c)) {}
    ~comparison_turn() { end(); }
    comparison_turn(const comparison_turn&) = delete;
    comparison_turn& operator=(const comparison_turn&) = delete;
    void end() {
        if (context_) context_->comparing.store(false);
        context_.reset();
    }

  private:
    std::shared_ptr<api_context> context_;
};

}  // namespace

void policy_findings(call c) {
    if (auto why = check_keys(c, {}); !why.empty()) return c.done(bad_query(why));
    const auto context = c.context;
    if (!context->world().policies.findings) return c.done(not_here());
    elsewhere(c, [context] { return json_response(context->world().policies.findings()); });
}

void try_candidate(call c) {
    auto body = parse_candidate(c.request.body);
    if (!body.error.empty()) return c.done(bad_body(body.error));
    const auto context = c.context;
    if (!context->world().policies.candidate) return c.done(not_here());
    if (context->comparing.exchange(true)) {
        auto r = to_response(
            problem{503, "busy", "Another candidate is being compared.", "Retry in some seconds."});
        r.headers.emplace_back("Retry-After", "5");
        return c.done(std::move(r));
    }
    const auto turn = std::make_shared<comparison_turn>(context);
    policy_candidate wish;
    wish.text = std::move(body.value);
    wish.with_audit = check_action(action::see_audit, c.actor).empty();
    elsewhere(c, [context, turn, wish = std::move(wish)] {
        auto text = context->world().policies.candidate(wish);
        turn->end();
        return json_response(std::move(text));
    });
}

}  // namespace sallyport::proxy::admin::endpoints
