#include "proxy/app_telemetry.h"

#include <algorithm>

#include <spdlog/spdlog.h>

#include "protocol/backend.h"
#include "proxy/log_ids.h"

namespace sallyport::proxy {

namespace {

constexpr std::size_t shown_bytes_max = 200;

// What tells one event from another; the rest is in the audit log, under the same sequence number.
constexpr std::string_view told[] = {"user", "application", "address", "target",
                                     "rule", "effect",      "opt_out", "voter",
                                     "vote", "reason",      "error"};
constexpr std::string_view ids[] = {"session", "hold", "trace_id", "span_id"};

bool is_id(std::string_view text) {
    return !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
    });
}

}  // namespace

void log_event(const telemetry::audit_event& e) {
    log_ids::list about{{"audit_sequence", std::to_string(e.sequence)}};
    std::string line = e.what.event;
    for (const auto& [name, value] : e.what.fields) {
        const auto is = [&, &given = name](std::string_view known) { return given == known; };
        if (const auto* id = std::find_if(std::begin(ids), std::end(ids), is);
            id != std::end(ids) && is_id(value))
            about.emplace_back(*id, value);
        if (!value.empty() && std::any_of(std::begin(told), std::end(told), is))
            line += " " + name + "=" + value.substr(0, shown_bytes_max);
    }
    const log_ids scope(std::move(about));
    spdlog::info("audit {} {}", e.sequence, line);
}

std::unique_ptr<telemetry::exporter> make_exporter(const settings& s, const std::string& version) {
    telemetry::exporter::world w;
    w.version = version;
    w.log = [](telemetry::exporter::severity how, const std::string& line) {
        const auto safe = protocol::backend::sanitize_text(line, 500);
        if (how == telemetry::exporter::severity::warning)
            spdlog::warn("{}", safe);
        else
            spdlog::info("{}", safe);
    };
    if (s.log_audit) w.on_event = log_event;
    return std::make_unique<telemetry::exporter>(std::move(w));
}

void use_telemetry(const settings_ptr& config, telemetry::exporter& e) {
    e.set({config, &config->telemetry});
}

std::vector<std::string> telemetry_notes(const telemetry::exporter& e) {
    std::vector<std::string> notes;
    if (e.exports_logs() && e.logs().failing())
        notes.emplace_back("audit events do not reach the OpenTelemetry collector");
    if (e.exports_traces() && e.traces().failing())
        notes.emplace_back("statements do not reach the OpenTelemetry collector");
    return notes;
}

}  // namespace sallyport::proxy
