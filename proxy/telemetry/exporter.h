#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "proxy/telemetry/encode.h"
#include "proxy/telemetry/settings.h"

/// Takes audit events and statements to an OpenTelemetry collector.
namespace sallyport::proxy::telemetry {

/// How one kind of signal fares, since the start of the proxy.
struct signal_status {
    std::uint64_t exported = 0;  ///< that a collector took
    std::uint64_t dropped = 0;   ///< for which there was no room
    std::uint64_t failed = 0;    ///< that a collector did not take, in the end
    std::uint64_t queued = 0;
    std::uint64_t in_a_row = 0;  ///< failed attempts since the newest success; 0: it works
    std::string error{};         ///< of the newest failure
    [[nodiscard]] bool failing() const noexcept { return in_a_row > 0; }
};

/// Exports on a thread of its own, one request at a time for each signal: batches every
/// `schedule_delay`, again after failures that may pass (no answer, 429, 502, 503, 504), for five
/// minutes at most. Nothing is kept on disk: the audit log is the record, this is a copy of it.
/// Concurrency: any thread. Nothing that decides waits for it.
class exporter final : public statement_sink {
  public:
    enum class severity : std::uint8_t { info, warning };
    struct world {
        std::function<void(severity, const std::string&)> log;
        /// Each audit event, on the exporter's thread; may be empty.
        std::function<void(const audit_event&)> on_event;
        std::string version;
    };
    explicit exporter(world w);
    ~exporter() override;  ///< as stop()
    exporter(const exporter&) = delete;
    exporter& operator=(const exporter&) = delete;

    void set(std::shared_ptr<const settings> s);
    void start();
    /// Tries once more to export what there is, for two seconds at most.
    void stop();

    /// An audit event is on disk.
    void event(const audit::record& r, std::uint64_t sequence) noexcept;
    [[nodiscard]] bool watches() const noexcept override;
    [[nodiscard]] bool samples(const trace_id& id) const noexcept override;
    void put(std::unique_ptr<statement_span> span) noexcept override;

    [[nodiscard]] bool exports_logs() const noexcept;
    [[nodiscard]] bool exports_traces() const noexcept;
    [[nodiscard]] signal_status logs() const;
    [[nodiscard]] signal_status traces() const;

  private:
    struct impl;
    std::shared_ptr<impl> impl_;
};

/// Asks the collector to take nothing, by each signal that is exported; sentences about what is
/// wrong, none if all is well. Blocks for the settings' timeout at most, twice.
[[nodiscard]] std::vector<std::string> examine(const otlp_settings& s);

}  // namespace sallyport::proxy::telemetry
