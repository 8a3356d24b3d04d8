#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "policy/types.h"
#include "proxy/secret.h"

/// `telemetry:` of sallyport.yaml as values.
namespace sallyport::proxy::telemetry {

/// Where OTLP goes, and what of it. Names as in OpenTelemetry's own settings.
struct otlp_settings {
    std::string endpoint;  ///< base URL without a slash at its end; /v1/logs, /v1/traces follow
    std::string shown;     ///< "https://collector:4318"
    std::string ca;        ///< PEM file; "" = the system's authorities
    std::vector<std::pair<std::string, secret>> headers;  ///< such as Authorization
    std::string service_name = "sallyport";
    std::vector<std::pair<std::string, std::string>> resource_attributes;
    bool logs = true;           ///< audit events as log records
    bool traces = true;         ///< statements as spans
    double sampling_ratio = 1;  ///< of traces that begin here; others say it themselves
    policy::milliseconds timeout{std::chrono::seconds(10)};
    policy::milliseconds schedule_delay{std::chrono::seconds(1)};
    std::size_t queue_size = 8192;  ///< log records, and as many spans; then they are dropped
    std::size_t batch_size = 512;   ///< in one request
};

struct settings {
    bool enabled = false;  ///< there is an `otlp:`
    otlp_settings otlp;
};

}  // namespace sallyport::proxy::telemetry
