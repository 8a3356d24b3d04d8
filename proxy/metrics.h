#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/approval/steward.h"
#include "proxy/audit/log.h"
#include "proxy/catalog/service.h"
#include "proxy/chain_watch.h"
#include "proxy/clock.h"
#include "proxy/net/limiter.h"
#include "proxy/notify/courier.h"
#include "proxy/rule_uses.h"
#include "proxy/session/worker.h"
#include "proxy/telemetry/exporter.h"
#include "proxy/upstream_health.h"

/// What the proxy tells Prometheus.
namespace sallyport::proxy {

/// The parts keep their own numbers; they are looked at when somebody scrapes. Thread-safe; what it
/// looks at outlives it.
class metrics {
  public:
    struct sources {
        const approval::steward* steward = nullptr;
        const catalog::service* catalogs = nullptr;
        const net::connection_limiter* connections = nullptr;
        const audit::log* audit = nullptr;
        const chain_watch* chain = nullptr;
        const rule_uses* uses = nullptr;
        const upstream_health* upstreams = nullptr;
        const std::vector<std::unique_ptr<session::worker>>* workers = nullptr;
        const clock* time = nullptr;
        const notify::courier* courier = nullptr;
        const telemetry::exporter* exporter = nullptr;
    };
    metrics(sources from, const std::string& version);
    ~metrics();
    metrics(const metrics&) = delete;
    metrics& operator=(const metrics&) = delete;

    /// The text format of Prometheus, version 0.0.4. Costs some microseconds; never blocks on I/O.
    [[nodiscard]] std::string text();

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace sallyport::proxy
