#include "proxy/metrics.h"

#include <algorithm>
#include <mutex>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "proxy/metrics_families.h"

namespace sallyport::proxy {

namespace {

using gauges = prometheus::Family<prometheus::Gauge>;
using counters = prometheus::Family<prometheus::Counter>;

gauges& gauge(prometheus::Registry& r, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(r);
}
counters& counter(prometheus::Registry& r, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(r);
}

/// A counter that is kept elsewhere; one that begins anew there goes on here.
void follow(prometheus::Counter& c, std::uint64_t now, std::uint64_t& before) {
    c.Increment(static_cast<double>(now >= before ? now - before : now));
    before = now;
}

double seconds(std::chrono::steady_clock::duration d) {
    return std::chrono::duration<double>(d).count();
}

}  // namespace

struct metrics::impl {
    explicit impl(sources from) : from_(from) {}

    struct of_catalog {
        std::uint64_t reads = 0;
        std::uint64_t checks = 0;
        std::uint64_t cut_short = 0;
        std::uint64_t outside = 0;
    };

    void look_at_grants() {
        const auto g = from_.steward->grants();
        healthy.Add({}).Set(from_.steward->healthy() ? 1 : 0);
        opt_outs.Add({}).Set(static_cast<double>(g->opt_outs.size()));
        passes.Add({}).Set(static_cast<double>(g->passes.size()));
        for (const auto kind : {policy::flag_kind::flag, policy::flag_kind::lock})
            flags.Add({{"kind", policy::to_string(kind)}})
                .Set(static_cast<double>(std::ranges::count(g->flags, kind, &policy::flag::kind)));
    }

    void look_at_connections() {
        const auto n = from_.connections->now();
        connections.Add({{"state", "authenticated"}})
            .Set(static_cast<double>(n.connections - n.unauthenticated));
        connections.Add({{"state", "login"}}).Set(static_cast<double>(n.unauthenticated));
    }

    void look_at_catalogs() {
        const auto now = std::chrono::steady_clock::now();
        for (const auto& s : from_.catalogs->statuses()) {
            const prometheus::Labels of{{"target", s.target}};
            auto& before = seen[s.target];
            catalog_up.Add(of).Set(s.has_snapshot && !s.down ? 1 : 0);
            const bool ever = s.checked_at > std::chrono::steady_clock::time_point{};
            catalog_age.Add(of).Set(ever ? seconds(now - s.checked_at) : -1);
            catalog_read.Add(of).Set(s.read_seconds);
            catalog_relations.Add(of).Set(static_cast<double>(s.relations));
            catalog_unreadable.Add(of).Set(static_cast<double>(s.unreadable));
            follow(catalog_reads.Add(of), s.reads, before.reads);
            follow(catalog_checks.Add(of), s.checks, before.checks);
            follow(catalog_cut_short.Add(of), s.checks_cut_short, before.cut_short);
            follow(catalog_outside.Add(of), s.changes_outside, before.outside);
        }
    }

    void look_at_notices() {
        for (const auto& s : from_.courier->statuses()) {
            const prometheus::Labels of{{"channel", s.name}};
            auto& before = seen_notices[s.name];
            notices_failing.Add(of).Set(s.failing() ? 1 : 0);
            notices_waiting.Add(of).Set(static_cast<double>(s.waiting));
            follow(notices_delivered.Add(of), s.delivered, before.delivered);
            follow(notices_failed.Add(of), s.failures, before.failures);
            follow(notices_given_up.Add(of), s.given_up, before.given_up);
        }
    }

    sources from_;
    std::mutex mutex;
    prometheus::Registry registry;
    std::map<std::string, of_catalog> seen;
    std::map<std::string, notify::channel_status> seen_notices;

    gauges& build = gauge(registry, "sallyport_build_info", "Always 1; the version is a label.");
    gauges& healthy = gauge(registry, "sallyport_store_and_audit_up",
                            "1 if state and audit log could both be written when last tried.");
    gauges& connections = gauge(registry, "sallyport_connections", "Client connections.");
    gauges& opt_outs = gauge(registry, "sallyport_opt_outs_live", "Opt-outs that are active.");
    gauges& passes =
        gauge(registry, "sallyport_passes_live", "Passes for a shape, transaction or session.");
    gauges& flags = gauge(registry, "sallyport_flags_live", "Flags and locks in force.");
    gauges& catalog_up = gauge(registry, "sallyport_catalog_up",
                               "1 if the target's catalog is known and could be checked.");
    gauges& catalog_age = gauge(registry, "sallyport_catalog_age_seconds",
                                "Since the newest good check began; -1: there was none.");
    gauges& catalog_read = gauge(registry, "sallyport_catalog_read_seconds",
                                 "What the newest read took, with its analysis.");
    gauges& catalog_relations =
        gauge(registry, "sallyport_catalog_relations", "Relations in the newest catalog.");
    gauges& catalog_unreadable =
        gauge(registry, "sallyport_catalog_unreadable_objects",
              "Objects whose definition the server could not write out: they count as opaque.");
    counters& catalog_reads = counter(registry, "sallyport_catalog_reads_total", "Whole reads.");
    counters& catalog_checks =
        counter(registry, "sallyport_catalog_checks_total", "Checks for changes.");
    counters& catalog_cut_short =
        counter(registry, "sallyport_catalog_checks_cut_short_total",
                "Checks that the budget ended before the catalog was compared.");
    counters& catalog_outside =
        counter(registry, "sallyport_catalog_changes_outside_total",
                "Changes of the catalog that did not pass through this proxy.");
    gauges& notices_failing = gauge(registry, "sallyport_notices_failing",
                                    "1 if the newest delivery to the channel failed.");
    gauges& notices_waiting =
        gauge(registry, "sallyport_notices_waiting", "Notices that wait for their delivery.");
    counters& notices_delivered =
        counter(registry, "sallyport_notices_delivered_total", "Notices that were delivered.");
    counters& notices_failed = counter(registry, "sallyport_notices_failed_attempts_total",
                                       "Attempts that failed; they are made again.");
    counters& notices_given_up = counter(registry, "sallyport_notices_given_up_total",
                                         "Notices that nobody will get any more.");
};

metrics::metrics(sources from, const std::string& version) : impl_(std::make_unique<impl>(from)) {
    impl_->build.Add({{"version", version}}).Set(1);
}

metrics::~metrics() = default;

std::string metrics::text() {
    const std::lock_guard lock(impl_->mutex);
    impl_->look_at_grants();
    impl_->look_at_connections();
    impl_->look_at_catalogs();
    impl_->look_at_notices();
    auto all = impl_->registry.Collect();
    add_statement_families(impl_->from_, all);
    add_approval_families(impl_->from_, all);
    add_storage_families(impl_->from_, all);
    add_telemetry_families(impl_->from_, all);
    return prometheus::TextSerializer().Serialize(all);
}

}  // namespace sallyport::proxy
