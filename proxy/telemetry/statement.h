#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "policy/facts.h"
#include "policy/hold.h"
#include "proxy/telemetry/trace_context.h"

/// What telemetry is told of a statement, as values.
namespace sallyport::proxy::telemetry {

using wall_time = std::chrono::system_clock::time_point;

/// Who asks whom, for all statements of a session.
struct session_identity {
    std::uint64_t session = 0;
    std::string user;
    std::string address;
    std::string application;
    std::string target;
    std::string server_address;
    std::uint16_t server_port = 0;
    std::string database;
};

/// One wait for a person.
struct hold_wait {
    policy::hold_id id;
    wall_time from;
    wall_time to;                                              ///< zero: it has not ended
    policy::hold_state ended = policy::hold_state::withdrawn;  ///< how
};

/// One statement that a client sent and that has its answer.
struct statement_span {
    span_ids ids;
    std::shared_ptr<const session_identity> who;
    policy::facts_ptr facts;  ///< what it is, without literals; null: it was not read
    wall_time start;          ///< when its turn came
    wall_time end;            ///< its CommandComplete or ErrorResponse
    std::string outcome;      ///< allow, pass, bypass, refuse, deny; "" = left to the server
    std::string rule;
    std::string error;  ///< SQLSTATE, or "skipped", "connection_lost", "withdrawn"; "" = none
    std::vector<hold_wait> holds;
};

/// Takes finished statements. Called on workers.
class statement_sink {
  public:
    virtual ~statement_sink() = default;
    /// Sessions that begin now are watched.
    [[nodiscard]] virtual bool watches() const noexcept = 0;
    /// Whether a trace that begins with us is kept.
    [[nodiscard]] virtual bool samples(const trace_id& id) const noexcept = 0;
    /// Never waits; what there is no room for is dropped and counted.
    virtual void put(std::unique_ptr<statement_span> span) noexcept = 0;
};

}  // namespace sallyport::proxy::telemetry
