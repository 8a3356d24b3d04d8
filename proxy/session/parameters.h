#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "protocol/startup.h"

/// What a client may set when it connects.
namespace sallyport::proxy::session {

/// What kind of session the parameter `replication` asks for.
enum class replication_mode : std::uint8_t {
    none,
    physical,  ///< `true`: commands of the replication protocol, no SQL, no database
    logical    ///< `database`: those and SQL
};

struct startup_settings {
    std::vector<protocol::parameter> upstream;  ///< go on as startup parameters
    std::vector<protocol::parameter> options;   ///< go on in `options`
    std::string application;
    std::string search_path;  ///< "" = not set
    std::string reason;       ///< sallyport.reason
    std::string target;       ///< sallyport.target: for physical replication, which has no database
    replication_mode replication = replication_mode::none;
    bool refuse_holds = false;
    std::uint64_t hold =
        0;              ///< sallyport.hold: what was approved ahead for this session; 0: nothing
    std::string fault;  ///< non-empty: refuse the login; one sentence
    std::string hint;
};

/// Sorts startup parameters (and what is inside `options`) by an allowlist. What changes who the
/// session is or how its SQL is read is refused: it would act before any statement was inspected.
[[nodiscard]] startup_settings sort_parameters(const protocol::startup_message& m);

}  // namespace sallyport::proxy::session
