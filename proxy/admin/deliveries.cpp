#include "proxy/admin/deliveries.h"

#include <nlohmann/json.hpp>

#include "proxy/admin/text.h"
#include "proxy/visible.h"

namespace sallyport::proxy::admin {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t sentences_max = 20;

std::string flat(const std::string& text) {
    return visible(text, line_breaks::escape);
}

json time_or_null(policy::instant t) {
    const auto text = iso_time(t);
    return text.empty() ? json() : json(text);
}

}  // namespace

std::string deliveries_json(const delivery_overview& d) {
    json out{{"channels", json::array()}, {"deliveries", json::array()}};
    for (const auto& s : d.channels)
        out["channels"].push_back({{"channel", s.name},
                                   {"to", s.to},
                                   {"failing", s.failing()},
                                   {"failing_since", time_or_null(s.failing_since)},
                                   {"error", s.failing() ? json(flat(s.error)) : json()},
                                   {"waiting", s.waiting},
                                   {"delivered", s.delivered},
                                   {"failed_attempts", s.failures},
                                   {"given_up", s.given_up},
                                   {"last_delivered", time_or_null(s.last_delivered)}});
    for (const auto& one : d.report.troubled) {
        const bool waits = one.state == store::delivery_state::waiting;
        out["deliveries"].push_back({{"delivery", one.key},
                                     {"channel", one.channel},
                                     {"state", store::to_string(one.state)},
                                     {"event", policy::to_string(one.what.event)},
                                     {"subject", one.what.subject()},
                                     {"at", iso_time(one.what.at)},
                                     {"attempts", one.attempts},
                                     {"next_at", waits ? time_or_null(one.next_at) : json()},
                                     {"ended_at", time_or_null(one.ended_at)},
                                     {"error", flat(one.error)}});
    }
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

console_row row_of(const notify::channel_status& s) {
    return {s.name,
            flat(s.to),
            s.failing() ? "failing" : "good",
            std::to_string(s.waiting),
            std::to_string(s.delivered),
            std::to_string(s.failures),
            std::to_string(s.given_up),
            sql_time(s.failing_since),
            sql_time(s.last_delivered),
            s.failing() ? std::optional(flat(s.error)) : std::nullopt};
}

std::vector<std::string> troubles_of(const delivery_overview& d) {
    std::vector<std::string> all;
    for (const auto& one : d.report.troubled) {
        if (all.size() == sentences_max) break;
        const bool waits = one.state == store::delivery_state::waiting;
        all.push_back(one.channel + ": " + policy::to_string(one.what.event) + " of " +
                      one.what.subject() + (waits ? " waits after " : " was given up after ") +
                      std::to_string(one.attempts) + " attempt(s): " + flat(one.error));
    }
    return all;
}

}  // namespace sallyport::proxy::admin
