#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load.h"
#include "policy/types.h"
#include "proxy/access_settings.h"
#include "proxy/auth/methods.h"
#include "proxy/auth/users.h"
#include "proxy/net/tls_options.h"
#include "proxy/notify/settings.h"
#include "proxy/secret.h"
#include "proxy/telemetry/settings.h"

/// sallyport.yaml as typed values. Paths are absolute or relative to the working directory once
/// loaded (in the file they are relative to it). Immutable after loading.
namespace sallyport::proxy {

struct listen_settings {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;
    net::server_tls_options tls;
    auth::channel_binding channel_binding = auth::channel_binding::prefer;  ///< postgres only
};

/// As whom we log in upstream.
struct login_settings {
    std::string user;                ///< "" when as_client
    bool as_client = false;          ///< the upstream role is the client's name
    std::optional<secret> password;  ///< read at load; absent: none (trust, or our certificate)
};

/// The login that reads a target's catalog, and how current its map is kept.
struct catalog_settings {
    login_settings login;                                    ///< never as_client
    policy::milliseconds interval{std::chrono::seconds(5)};  ///< of the checks nobody asks for
    /// A statement waits for a check that began at most this long before it.
    policy::milliseconds max_staleness{2};
};

struct target_settings {
    std::string name;
    std::string host;
    std::uint16_t port = 5432;
    std::string dbname;
    net::client_tls_options tls;
    login_settings login;
    std::optional<catalog_settings> catalog;  ///< absent: the target has no map
    /// The role of statements that no pass and no opt-out stands behind; the login is a member of
    /// it. "": every statement has the login's own.
    std::string unapproved_role;
    auth::channel_binding channel_binding = auth::channel_binding::prefer;
    /// What the server may ask of us. A password in clear needs verified TLS besides.
    auth::method_set require_auth = auth::method_set::all();
    policy::milliseconds connect_timeout{std::chrono::seconds(10)};
};

struct limit_settings {
    std::size_t connections = 10'000;
    std::size_t admin_reserve = 10;           ///< connections beyond that, for admins
    std::size_t connections_per_address = 0;  ///< 0 = no cap of its own
    std::size_t unauthenticated = 1'000;
    std::size_t unauthenticated_per_address = 64;
    policy::milliseconds login_timeout{std::chrono::seconds(15)};
    std::uint64_t inspect_bytes = 4u << 20;   ///< longer SQL is opaque
    std::uint64_t message_bytes = 1u << 30;   ///< longer messages end the session
    std::size_t prepared_statements = 1'000;  ///< names remembered per session
    std::uint64_t pipeline_bytes = 1u << 20;  ///< what a client may send behind a held statement
    std::size_t held_sessions = 1'000;        ///< holds waiting at once
};

struct role_settings {
    std::vector<std::string> groups;
    std::vector<std::string> users;
    [[nodiscard]] bool has(const policy::principal& p) const;
};

enum class log_level : std::uint8_t { trace, debug, info, warn, error };
enum class log_format : std::uint8_t { text, json };

struct settings {
    std::string path;
    listen_settings postgres;
    std::optional<listen_settings> admin;  ///< absent: no admin listener
    bool watch = false;                    ///< a file that changes is loaded by itself
    access_settings access;                ///< of the admin listener
    std::string admin_url;                 ///< shown in notices; "" without admin listener
    std::string state_sqlite;              ///< exactly one of these two
    std::optional<secret> state_postgres;  ///< connection string, may carry a password
    std::string audit_directory;
    std::string audit_signing_key;
    policy::milliseconds audit_verify_interval{std::chrono::hours(24)};
    std::string users_path;
    std::string policy_path;
    std::string opt_outs_path;  ///< "": opt-outs as code stand in the policy, if anywhere
    std::map<std::string, target_settings> targets;  ///< never empty
    limit_settings limits;
    std::size_t workers = 1;
    role_settings admins;
    role_settings auditors;
    role_settings monitors;
    log_level level = log_level::info;
    log_format format = log_format::text;
    policy::milliseconds hold_remind{std::chrono::seconds(60)};
    policy::milliseconds drain_timeout{std::chrono::seconds(30)};
    notify::settings notify;  ///< without channels: nobody is told
    /// How long holds, passes and deliveries that have ended stay in the state.
    policy::milliseconds state_keep{std::chrono::hours(90 * 24)};
    telemetry::settings telemetry;  ///< not enabled: nothing is exported
    bool log_audit = false;         ///< audit events are log lines, too
};
using settings_ptr = std::shared_ptr<const settings>;

/// Whether files that hold secrets are opened at load: passwords, TLS keys and certificates.
/// skip is for checking a configuration on a machine that is not to serve it; catalogs reads what
/// the targets' `catalog:` logins need and no more.
enum class secrets : std::uint8_t { read, skip, catalogs };

struct loaded_settings {
    settings_ptr config;                ///< null when there are faults
    std::vector<policy::fault> faults;  ///< in file order
    std::vector<policy::fault> warnings;

    // What could be read even when there are faults, so that the other files are checked too.
    std::string users_path;
    std::string policy_path;
    std::string opt_outs_path;
    std::set<std::string> target_names;
    /// A user or a group that roles: names; only the users file can confirm it.
    struct role_name {
        std::string name;
        bool is_group = false;
        policy::fault at;  ///< its place; `what` is empty
    };
    std::vector<role_name> role_names;
    /// Rules that notify: names; only the policy can confirm them. `what` of each is the name.
    std::vector<policy::fault> rule_names;
};

/// Reads sallyport.yaml and the secrets it names. Never throws for content.
[[nodiscard]] loaded_settings load_settings(const std::string& path, secrets s = secrets::read);
[[nodiscard]] loaded_settings load_settings_text(std::string_view text, const std::string& path,
                                                 secrets s = secrets::read);

/// Configuration, users and policy together, with the faults of all three files.
struct loaded_all {
    settings_ptr config;
    auth::user_directory_ptr users;
    policy::rule_set_ptr rules;
    std::vector<policy::fault> faults;  ///< empty exactly when all three above are set
    std::vector<policy::fault> warnings;
    [[nodiscard]] bool ok() const noexcept { return faults.empty(); }
};
[[nodiscard]] loaded_all load_all(const std::string& config_path, secrets s = secrets::read);

}  // namespace sallyport::proxy
