#include "proxy/session/gate.h"

#include <utility>

namespace sallyport::proxy::session {

gate::gate(const gate_environment& env, policy::subject subject, gate_limits limits,
           std::shared_ptr<const protocol::frame_limits> client_limits)
    : env_(&env),
      subject_(std::move(subject)),
      limits_(limits),
      client_limits_(std::move(client_limits)),
      names_(limits.prepared_statements) {}

const char* to_string(gate::state s) noexcept {
    switch (s) {
        case gate::state::open:
            return "open";
        case gate::state::analysing:
            return "analysing";
        case gate::state::draining:
            return "draining";
        case gate::state::opening:
            return "opening";
        case gate::state::held:
            return "held";
        case gate::state::recording:
            return "recording";
        case gate::state::probing:
            return "probing";
        case gate::state::refreshing:
            return "refreshing";
        case gate::state::asking:
            return "asking";
        case gate::state::leaving:
            return "leaving";
        case gate::state::closed:
            return "closed";
    }
    return "?";
}

const char* to_string(action::type t) noexcept {
    switch (t) {
        case action::type::to_server:
            return "to_server";
        case action::type::to_client:
            return "to_client";
        case action::type::analyse:
            return "analyse";
        case action::type::refresh_catalog:
            return "refresh_catalog";
        case action::type::ask_console:
            return "ask_console";
        case action::type::leave_databases:
            return "leave_databases";
        case action::type::open_hold:
            return "open_hold";
        case action::type::ask_hold:
            return "ask_hold";
        case action::type::withdraw_hold:
            return "withdraw_hold";
        case action::type::use_opt_outs:
            return "use_opt_outs";
        case action::type::record:
            return "record";
        case action::type::end_transaction:
            return "end_transaction";
        case action::type::close:
            return "close";
    }
    return "?";
}

}  // namespace sallyport::proxy::session
