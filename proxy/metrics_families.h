#pragma once

#include <vector>

#include <prometheus/metric_family.h>

#include "proxy/metrics.h"

/// The parts of what a scrape finds; private to metrics*.cpp. These are kept as plain numbers where
/// they arise, so they are written out anew each time.
namespace sallyport::proxy {

using families = std::vector<prometheus::MetricFamily>;

/// What the workers count: statements, bytes, caches, sessions, processor time; and the servers.
void add_statement_families(const metrics::sources& from, families& out);
/// Holds, opt-outs, reviews.
void add_approval_families(const metrics::sources& from, families& out);
/// Audit log and state.
void add_storage_families(const metrics::sources& from, families& out);
/// What goes to a collector, while something does.
void add_telemetry_families(const metrics::sources& from, families& out);

}  // namespace sallyport::proxy
