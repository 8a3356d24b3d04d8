#include "proxy/explain_catalog.h"

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <string>
#include <utility>

#include "proxy/big_stack.h"
#include "proxy/catalog/names_file.h"
#include "proxy/catalog/reader.h"
#include "proxy/catalog_settings.h"

namespace sallyport::proxy {

namespace {

using state = admin::explained_catalog::state;
using std::chrono::steady_clock;

// Whoever is logged in may ask, and a thread of the admin surfaces waits.
constexpr std::chrono::seconds refresh_wait_max{2};

explain_catalog about(const target_settings& t, state how) {
    explain_catalog out;
    out.about.how = how;
    const bool v6 = t.host.find(':') != std::string::npos;
    out.about.server = (v6 ? "[" + t.host + "]" : t.host) + ":" + std::to_string(t.port);
    out.about.database = t.dbname;
    return out;
}

}  // namespace

explain_catalog catalog_unasked(const target_settings& t) {
    return about(t, t.catalog ? state::off : state::none);
}

explain_catalog catalog_from_target(const target_settings& t, const std::string& names_file) {
    auto out = about(t, state::followed);
    catalog::read_limits limits;
    limits.query_timeout = std::chrono::seconds(20);
    limits.total_timeout = std::chrono::seconds(45);
    try {
        const catalog::stop_signal never;
        catalog::connection c(catalog_address(t), never);
        auto read = catalog::read_if_changed(c, 0, "", limits);
        policy::catalog::past_names before;
        try {
            if (!names_file.empty()) before = catalog::load_names(names_file);
        } catch (const std::exception& e) {
            out.about.why = "tables that were renamed count by their new names only (" +
                            catalog::one_line(e.what()) + ")";
        }
        run_on_big_stack(
            [&] { out.newest = policy::catalog::build(std::move(*read.rows), before); });
        out.about.age = policy::milliseconds::zero();
        return out;
    } catch (const std::exception& e) {
        out = about(t, state::unreachable);
        out.about.why = catalog::one_line(e.what());
        return out;
    }
}

explain_catalog catalog_from_service(const catalog::service& s, const target_settings& t) {
    if (!t.catalog) return catalog_unasked(t);
    auto out = about(t, state::followed);
    const auto fresh = [&] {
        const auto at = s.answered_at(t.name);
        return at != steady_clock::time_point::min() &&
               steady_clock::now() - at <= t.catalog->max_staleness;
    };
    if (!fresh()) {
        // Owned by whoever comes last: the answer may be later than the wait.
        const auto answered = std::make_shared<std::promise<void>>();
        auto done = answered->get_future();
        s.refresh(t.name,
                  [answered](const policy::catalog::snapshot_ptr&) { answered->set_value(); });
        static_cast<void>(done.wait_for(refresh_wait_max));
    }
    out.newest = s.current(t.name);
    std::string error = "the proxy has not read it yet";
    for (const auto& x : s.statuses()) {
        if (x.target != t.name) continue;
        out.about.stale = x.down;
        if (!x.error.empty()) error = catalog::one_line(x.error);
    }
    if (!out.newest) {
        out.about.how = state::unreachable;
        out.about.why = std::move(error);
        return out;
    }
    const auto answered = s.answered_at(t.name);
    if (answered != steady_clock::time_point::min())
        out.about.age =
            std::chrono::duration_cast<policy::milliseconds>(steady_clock::now() - answered);
    return out;
}

}  // namespace sallyport::proxy
