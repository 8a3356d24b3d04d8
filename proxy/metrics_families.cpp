#include "proxy/metrics_families.h"

#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <utility>

#include "policy/hold.h"
#include "proxy/approval/tally.h"
#include "proxy/numbers.h"
#include "proxy/session/counters.h"

namespace sallyport::proxy {

namespace {

using labels = std::vector<prometheus::ClientMetric::Label>;

class family {
  public:
    family(families& out, prometheus::MetricType type, const char* name, const char* help)
        : family_(out.emplace_back()) {
        family_.name = name;
        family_.help = help;
        family_.type = type;
    }
    family& add(labels of, double value) {
        auto& m = family_.metric.emplace_back();
        m.label = std::move(of);
        if (family_.type == prometheus::MetricType::Counter)
            m.counter.value = value;
        else
            m.gauge.value = value;
        return *this;
    }
    family& add(labels of, std::uint64_t value) {
        return add(std::move(of), static_cast<double>(value));
    }
    void add(const own_histogram::reading& r) {
        auto& m = family_.metric.emplace_back();
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < r.buckets.size(); ++i) {
            below += r.buckets[i];
            const bool last = i == r.upper.size();
            m.histogram.bucket.push_back({below, last ? INFINITY : r.upper[i]});
        }
        m.histogram.sample_count = below;
        m.histogram.sample_sum = r.sum_seconds;
    }

  private:
    prometheus::MetricFamily& family_;
};

family counter(families& out, const char* name, const char* help) {
    return {out, prometheus::MetricType::Counter, name, help};
}
family gauge(families& out, const char* name, const char* help) {
    return {out, prometheus::MetricType::Gauge, name, help};
}
family histogram(families& out, const char* name, const char* help) {
    return {out, prometheus::MetricType::Histogram, name, help};
}

using worker_list = std::vector<std::unique_ptr<session::worker>>;

std::uint64_t sum(const worker_list& workers, own_counter session::worker_counters::*which) {
    std::uint64_t all = 0;
    for (const auto& w : workers)
        all += (w->counters().*which).get();
    return all;
}

void add_statements(const worker_list& workers, families& out) {
    std::map<std::pair<std::string, std::string>, std::uint64_t> all;
    for (const auto& w : workers)
        w->counters().statements.each(
            [&](auto outcome, std::string_view rule, std::uint64_t count) {
                all[{session::to_string(outcome), std::string(rule)}] += count;
            });
    auto statements =
        counter(out, "sallyport_statements_total",
                "Statements by what became of them (allow, pass, bypass, hold, refuse, deny) and "
                "the rule that decided; one that is held counts again when it goes.");
    for (const auto& [key, count] : all)
        statements.add({{"effect", key.first}, {"rule", key.second}}, count);
}

void add_workers(const worker_list& workers, families& out) {
    gauge(out, "sallyport_workers", "Worker threads.")
        .add({}, static_cast<std::uint64_t>(workers.size()));
    const auto each = [&](family f, auto value) {
        for (std::size_t i = 0; i < workers.size(); ++i)
            f.add({{"worker", std::to_string(i)}}, value(*workers[i]));
    };
    each(counter(out, "sallyport_worker_cpu_seconds_total", "Processor time of each worker."),
         [](const session::worker& w) { return w.cpu_seconds(); });
    each(gauge(out, "sallyport_sessions", "Connections by worker, from accept to the end."),
         [](const session::worker& w) {
             return static_cast<std::uint64_t>(w.counters().sessions.load());
         });
}

void add_upstreams(const upstream_health& health, families& out) {
    const auto all = health.states();
    auto up =
        gauge(out, "sallyport_upstream_up",
              "1 if the newest session found its server; a target nobody asked for has none.");
    for (const auto& [target, s] : all)
        up.add({{"target", target}}, std::uint64_t{s.up});
    auto logins = counter(out, "sallyport_upstream_logins_total", "Logins at servers that worked.");
    for (const auto& [target, s] : all)
        logins.add({{"target", target}}, s.logins);
    auto errors = counter(out, "sallyport_upstream_errors_total",
                          "login: a server was not reached or refused us; lost: a session's "
                          "connection broke off.");
    for (const auto& [target, s] : all)
        errors.add({{"target", target}, {"kind", "login"}}, s.no_login)
            .add({{"target", target}, {"kind", "lost"}}, s.lost);
}

}  // namespace

void add_statement_families(const metrics::sources& from, families& out) {
    using counted = session::worker_counters;
    const auto& workers = *from.workers;
    add_statements(workers, out);
    counter(out, "sallyport_bytes_total", "Bytes of sessions that reached their server.")
        .add({{"peer", "client"}, {"direction", "in"}}, sum(workers, &counted::bytes_from_clients))
        .add({{"peer", "client"}, {"direction", "out"}}, sum(workers, &counted::bytes_to_clients))
        .add({{"peer", "server"}, {"direction", "in"}}, sum(workers, &counted::bytes_from_servers))
        .add({{"peer", "server"}, {"direction", "out"}}, sum(workers, &counted::bytes_to_servers));
    counter(out, "sallyport_template_cache_lookups_total",
            "Texts whose facts were known already (hit) or had to be parsed (miss).")
        .add({{"result", "hit"}}, sum(workers, &counted::facts_hits))
        .add({{"result", "miss"}}, sum(workers, &counted::facts_misses));
    counter(out, "sallyport_logins_total", "Logins of clients.")
        .add({{"result", "accepted"}}, sum(workers, &counted::logins_accepted))
        .add({{"result", "refused"}}, sum(workers, &counted::logins_refused));
    counter(out, "sallyport_sessions_begun_total", "Sessions that reached their server.")
        .add({}, sum(workers, &counted::sessions_begun));
    add_workers(workers, out);
    add_upstreams(*from.upstreams, out);
    const auto uses = from.uses->counts();
    auto observed = counter(out, "sallyport_rule_observed_total",
                            "Decisions that a rule with observe would have changed.");
    for (const auto& [rule, n] : uses)
        observed.add({{"rule", rule}}, n.observed);
    auto excepted = counter(out, "sallyport_exceptions_used_total",
                            "Decisions that rested on an allow rule as an exception.");
    for (const auto& [rule, n] : uses)
        excepted.add({{"rule", rule}}, n.excepted);
}

void add_approval_families(const metrics::sources& from, families& out) {
    const auto& t = from.steward->counts();
    gauge(out, "sallyport_holds_waiting", "Requests that wait for a person.")
        .add({}, static_cast<std::uint64_t>(t.holds_waiting.load()));
    const auto oldest = t.oldest_opened_at.load();
    const auto now = from.time->now().time_since_epoch().count();
    const double age = oldest == 0 || now < oldest ? 0 : static_cast<double>(now - oldest) / 1e3;
    gauge(out, "sallyport_holds_oldest_seconds",
          "How long the oldest of these has waited; 0: none.")
        .add({}, age);
    auto ended = counter(out, "sallyport_holds_ended_total", "Holds by how they ended.");
    for (const auto s : {policy::hold_state::approved, policy::hold_state::denied,
                         policy::hold_state::expired, policy::hold_state::withdrawn})
        ended.add({{"state", policy::to_string(s)}}, t.ended(s));
    histogram(out, "sallyport_hold_decision_seconds",
              "From the opening of a hold to its approval or denial.")
        .add(t.time_to_decision.read());
    counter(out, "sallyport_bypasses_total", "Uses of opt-outs.").add({}, t.bypasses.get());
    counter(out, "sallyport_break_glass_total", "Opt-outs that their holders activated alone.")
        .add({}, t.glass_broken.get());
    const auto grants = from.steward->grants();
    std::uint64_t broken = 0;
    for (const auto& o : grants->opt_outs)
        broken += o.kind == policy::opt_out_kind::break_glass ? 1 : 0;
    gauge(out, "sallyport_break_glass_live", "Of these, how many are active.").add({}, broken);
    gauge(out, "sallyport_reviews_open", "Reviews that nobody has closed.")
        .add({}, static_cast<std::uint64_t>(t.reviews_open.load()));
    gauge(out, "sallyport_reviews_overdue", "Of these, how many are past their time.")
        .add({}, static_cast<std::uint64_t>(t.reviews_overdue.load()));
}

void add_storage_families(const metrics::sources& from, families& out) {
    const auto a = from.audit->counts();
    counter(out, "sallyport_audit_records_total", "Records on disk since the start.")
        .add({}, a.records);
    counter(out, "sallyport_audit_failures_total", "Writes that the disk did not take.")
        .add({}, a.failures);
    counter(out, "sallyport_audit_lost_records_total",
            "Records without a waiter for which the queue had no room while the disk failed.")
        .add({}, a.lost);
    gauge(out, "sallyport_audit_up", "1 if the newest write was taken.")
        .add({}, std::uint64_t{from.audit->healthy()});
    gauge(out, "sallyport_audit_queue_records", "Records that are not on disk yet.")
        .add({}, static_cast<std::uint64_t>(a.queued));
    gauge(out, "sallyport_audit_lag_seconds", "How long the oldest of these has waited; 0: none.")
        .add({}, std::chrono::duration<double>(a.lag).count());
    histogram(out, "sallyport_audit_commit_seconds", "One write with its fdatasync.")
        .add(a.commit_time);
    const auto chain = from.chain->newest();
    if (chain.runs > 0) {
        gauge(out, "sallyport_audit_chain_ok",
              "1 if the proxy's newest verification of the whole log found nothing.")
            .add({}, std::uint64_t{chain.ok});
        gauge(out, "sallyport_audit_chain_verified_timestamp_seconds", "When that ended.")
            .add({}, static_cast<double>(chain.at));
        gauge(out, "sallyport_audit_chain_verify_seconds", "What it took.").add({}, chain.seconds);
    }
    const auto& t = from.steward->counts();
    histogram(out, "sallyport_store_seconds", "Calls of the state's store.")
        .add(t.store_time.read());
    counter(out, "sallyport_store_failures_total", "Calls that it could not do.")
        .add({}, t.store_failures.get());
}

void add_telemetry_families(const metrics::sources& from, families& out) {
    std::vector<std::pair<const char*, telemetry::signal_status>> all;
    if (from.exporter->exports_logs()) all.emplace_back("logs", from.exporter->logs());
    if (from.exporter->exports_traces()) all.emplace_back("traces", from.exporter->traces());
    if (all.empty()) return;
    const auto each = [&](family f, std::uint64_t telemetry::signal_status::*what) {
        for (const auto& [signal, s] : all)
            f.add({{"signal", signal}}, s.*what);
    };
    using status = telemetry::signal_status;
    each(counter(out, "sallyport_otlp_exported_total",
                 "Log records and spans that the collector took."),
         &status::exported);
    each(counter(out, "sallyport_otlp_dropped_total", "Those for which the queue had no room."),
         &status::dropped);
    each(counter(out, "sallyport_otlp_failed_total", "Those that the collector did not take."),
         &status::failed);
    each(gauge(out, "sallyport_otlp_queue", "Those that wait."), &status::queued);
    auto failing =
        gauge(out, "sallyport_otlp_failing", "1 if the newest request to the collector failed.");
    for (const auto& [signal, s] : all)
        failing.add({{"signal", signal}}, std::uint64_t{s.failing()});
}

}  // namespace sallyport::proxy
