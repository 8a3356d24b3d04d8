#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/audit/record.h"
#include "proxy/telemetry/statement.h"

/// OTLP 1.x in its JSON form. Pure.
///
/// Names are lowerCamelCase, ids hexadecimal, 64-bit numbers strings. Texts become valid UTF-8
/// (U+FFFD in the place of what is not) and are written in ASCII with \u escapes, so that a payload
/// is safe to print; longer ones are cut.
namespace sallyport::proxy::telemetry {

/// What everything comes from.
struct resource {
    std::string service_name;
    std::string service_version;
    std::string service_instance;  ///< another one after each start
    std::vector<std::pair<std::string, std::string>> attributes;
};

/// An audit event that is on disk.
struct audit_event {
    std::uint64_t sequence = 0;
    audit::record what;
};

inline constexpr std::size_t text_bytes_max = 16u << 10;  ///< of one attribute; NAME.bytes if cut

/// ExportLogsServiceRequest, for POST /v1/logs.
[[nodiscard]] std::string encode_logs(const resource& from,
                                      const std::vector<const audit_event*>& events);
/// ExportTraceServiceRequest, for POST /v1/traces.
[[nodiscard]] std::string encode_traces(const resource& from,
                                        const std::vector<const statement_span*>& spans);

/// What a collector that took a request says of parts that it did not take.
struct partial_success {
    std::uint64_t rejected = 0;
    std::string message;  ///< for people
};
/// Of ExportLogsServiceResponse and ExportTraceServiceResponse alike; nothing where it says none.
[[nodiscard]] partial_success read_partial_success(std::string_view body);

/// "SELECT public.orders": few different ones.
[[nodiscard]] std::string span_name(const statement_span& s);

}  // namespace sallyport::proxy::telemetry
