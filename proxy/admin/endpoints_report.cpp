#include <utility>

#include "proxy/admin/api.h"
#include "proxy/admin/endpoint_parts.h"
#include "proxy/admin/endpoints.h"
#include "proxy/admin/text.h"

/// Numbers against overuse.
namespace sallyport::proxy::admin::endpoints {

void show_report(call c) {
    if (auto why = check_keys(c, {"from", "to"}); !why.empty()) return c.done(bad_query(why));
    std::optional<policy::instant> from;
    std::optional<policy::instant> to;
    for (const auto& [key, field] : {std::pair{"from", &from}, std::pair{"to", &to}}) {
        const auto text = value_of(c, key);
        *field = parse_iso_time(text);
        if (!text.empty() && !*field)
            return c.done(bad_query("Times look like 2026-03-01T09:30:00Z, in UTC."));
    }
    elsewhere(c, [context = c.context, a = c.actor, from, to] {
        auto [outcome, json] = context->business->report(a, from, to);
        if (outcome.what != approval::verdict::done) return to_response(outcome);
        return json_response(std::move(json));
    });
}

}  // namespace sallyport::proxy::admin::endpoints
