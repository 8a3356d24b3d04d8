#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "policy/rule.h"
#include "proxy/approval/steward.h"
#include "proxy/audit/log.h"
#include "proxy/auth/scram.h"
#include "proxy/auth/users.h"
#include "proxy/catalog/service.h"
#include "proxy/clock.h"
#include "proxy/config.h"
#include "proxy/console.h"
#include "proxy/net/limiter.h"
#include "proxy/net/tls.h"
#include "proxy/rule_uses.h"
#include "proxy/session/analyst.h"
#include "proxy/session/cancel.h"
#include "proxy/session/prepared_transactions.h"
#include "proxy/telemetry/statement.h"
#include "proxy/upstream_health.h"

namespace boost::asio {
class thread_pool;
}

/// What all sessions share. Made by the application, outlives every worker.
namespace sallyport::proxy::session {

/// Configuration as of one load: swapped whole on a reload; live sessions keep the one they began
/// with, except for the rules.
struct configuration {
    settings_ptr config;
    auth::user_directory_ptr users;
    policy::rule_set_ptr rules;
    std::shared_ptr<const net::server_tls> server_tls;  ///< null: TLS disabled
    std::map<std::string, std::shared_ptr<const net::client_tls>> client_tls;  ///< by target
    /// Keys derived from each target's password, shared by its logins.
    std::map<std::string, std::shared_ptr<auth::scram_key_cache>> keys;
};
using configuration_ptr = std::shared_ptr<const configuration>;

struct services {
    net::snapshot<configuration> current;
    std::atomic<std::uint64_t> version{1};  ///< grows with each swap of `current`
    approval::steward* steward = nullptr;
    audit::log* audit = nullptr;
    const clock* time = nullptr;
    net::connection_limiter* limiter = nullptr;
    net::failure_limiter* failures = nullptr;
    cancel_registry* cancels = nullptr;
    analyst* analysis = nullptr;
    const catalog::service* catalog = nullptr;
    prepared_transactions prepared;
    boost::asio::thread_pool* blocking = nullptr;     ///< for PBKDF2
    console_backend* console = nullptr;               ///< null: no console
    telemetry::statement_sink* statements = nullptr;  ///< null: no telemetry
    std::string mock_secret;
    std::uint64_t boot = 0;  ///< session ids are boot << 32 | counter
    std::atomic<std::uint32_t> next_session{1};
    std::atomic<bool> draining{false};
    rule_uses uses;
    upstream_health upstreams;
};

}  // namespace sallyport::proxy::session
