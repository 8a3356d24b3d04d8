#pragma once

#include <memory>
#include <string>

#include "proxy/approval/steward.h"
#include "proxy/catalog/service.h"
#include "proxy/net/limiter.h"
#include "proxy/notify/courier.h"

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
        const notify::courier* courier = nullptr;
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
