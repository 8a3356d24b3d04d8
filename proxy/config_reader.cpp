#include "proxy/config_reader.h"

#include <algorithm>
#include <filesystem>
#include <thread>
#include <tuple>
#include <utility>

#include "policy/address.h"
#include "proxy/net/tls.h"

namespace sallyport::proxy {
namespace {

using policy::yaml_reader;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::uint64_t kib = 1u << 10;
constexpr std::uint64_t mib = 1u << 20;
constexpr std::uint64_t gib = 1u << 30;
constexpr std::int64_t connections_max = 1'000'000;
constexpr std::int64_t workers_max = 256;

std::string with_port(const std::string& address, std::uint16_t port) {
    const bool v6 = address.find(':') != std::string::npos;
    return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(port);
}

}  // namespace

config_reader::config_reader(std::string_view text, const std::string& path, secrets s)
    : path_(path), secrets_(s), reader_(path, text) {}

loaded_settings config_reader::run() {
    settings_.path = path_;
    if (reader_.ok()) read_root();
    out_.faults = std::move(reader_.faults());
    std::stable_sort(out_.faults.begin(), out_.faults.end(), [](const auto& a, const auto& b) {
        return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    out_.users_path = settings_.users_path;
    out_.policy_path = settings_.policy_path;
    out_.opt_outs_path = settings_.opt_outs_path;
    if (out_.faults.empty()) out_.config = std::make_shared<const settings>(std::move(settings_));
    return std::move(out_);
}

void config_reader::read_root() {
    const auto& root = reader_.root();
    if (!reader_.keys(root, "the configuration",
                      {"listen", "admin", "state", "audit", "users", "policy", "opt_outs",
                       "targets", "limits", "workers", "roles", "log", "hold", "drain_timeout",
                       "watch", "notify", "telemetry"}))
        return;
    read_listen(root);
    read_admin_url(root);
    read_state(root);
    read_audit(root);
    settings_.users_path = required_path(root, "users", "the file of users");
    settings_.policy_path = required_path(root, "policy", "the file of rules");
    if (yaml_reader::member(root, "opt_outs").IsDefined())
        settings_.opt_outs_path = required_path(root, "opt_outs", "the file of opt-outs");
    read_targets(root);
    read_limits(root);
    read_roles(root);
    read_log(root);
    read_times(root);
    read_notify(root);
    read_telemetry(root);
    settings_.workers = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1,
                                                static_cast<std::size_t>(workers_max));
    count(root, "workers", 1, workers_max, settings_.workers);
}

// Listeners ---------------------------------------------------------------------------------------

void config_reader::read_listen(const YAML::Node& root) {
    const auto listen = yaml_reader::member(root, "listen");
    if (!listen.IsDefined()) {
        reader_.fail(root,
                     "'listen' is missing: where clients connect, such as "
                     "listen: { postgres: { address: 127.0.0.1, port: 6432 } }");
        return;
    }
    if (!reader_.keys(listen, "listen", {"postgres", "admin"})) return;
    const auto postgres = yaml_reader::member(listen, "postgres");
    if (postgres.IsDefined()) {
        settings_.postgres.port = 6432;
        read_listener(postgres, "listen.postgres", settings_.postgres);
    } else {
        reader_.fail(listen, "'postgres' is missing in listen: where clients connect");
    }
    const auto admin = yaml_reader::member(listen, "admin");
    if (!admin.IsDefined()) return;
    listen_settings l;
    l.port = 6480;
    l.tls.alpn = "http/1.1";
    read_listener(admin, "listen.admin", l);
    settings_.admin = std::move(l);
    if (admin.IsMap()) read_access(admin);
}

void config_reader::read_listener(const YAML::Node& node, const char* where, listen_settings& out) {
    const bool is_admin = std::string_view(where) == "listen.admin";
    if (is_admin ? !reader_.keys(node, where, {"address", "port", "tls", "tokens", "rate", "jwt"})
                 : !reader_.keys(node, where, {"address", "port", "tls", "channel_binding"}))
        return;
    if (auto address = reader_.text(node, "address")) {
        if (*address == "localhost") *address = "127.0.0.1";
        if (!policy::parse_address(*address))
            reader_.fail(yaml_reader::member(node, "address"),
                         "'address' must be an IP address, such as 127.0.0.1, ::1 or 0.0.0.0");
        out.address = *address;
    }
    std::size_t port = out.port;
    count(node, "port", 1, 65535, port);
    out.port = static_cast<std::uint16_t>(port);
    if (!is_admin) read_channel_binding(node, out.channel_binding);
    const auto tls = yaml_reader::member(node, "tls");
    if (tls.IsDefined()) read_server_tls(tls, is_admin, out);
    if (out.tls.mode == net::server_tls_mode::disable &&
        out.channel_binding == auth::channel_binding::require)
        reader_.fail(yaml_reader::member(node, "channel_binding"),
                     "'channel_binding: require' binds to TLS, which is disabled here; give tls: "
                     "{ mode: require, certificate: …, key: … }");
    check_exposure(node, is_admin, out);
}

void config_reader::read_channel_binding(const YAML::Node& node, auth::channel_binding& out) {
    if (const auto word = reader_.word(node, "channel_binding", {"off", "prefer", "require"}))
        (void)auth::parse_channel_binding(*word, out);
}

// A certificate that nothing can be bound to would lock every libpq out if PLUS were offered.
void config_reader::check_binding(const YAML::Node& node, const listen_settings& l,
                                  bool certificate_can_bind) {
    using auth::channel_binding;
    if (l.tls.mode == net::server_tls_mode::mutual) {
        if (l.channel_binding == channel_binding::require)
            reader_.fail(node,
                         "'channel_binding: require' is about passwords, and mode mutual asks for "
                         "none: leave it out");
        return;
    }
    if (certificate_can_bind || l.channel_binding == channel_binding::off) return;
    const std::string why =
        "the signature of " + l.tls.certificate +
        " has no hash that SCRAM-SHA-256-PLUS could bind to (Ed25519 and Ed448 have none); ";
    if (l.channel_binding == channel_binding::require)
        reader_.fail(node, why + "give a certificate signed with RSA or ECDSA");
    else
        warn(node, why +
                       "it is not offered: give a certificate signed with RSA or ECDSA, or say "
                       "channel_binding: off");
}

void config_reader::read_server_tls(const YAML::Node& node, bool is_admin,
                                    listen_settings& listener) {
    auto& out = listener.tls;
    const auto faults_before = reader_.faults().size();
    if (!reader_.keys(node, "tls", {"mode", "certificate", "key", "client_ca"})) return;
    // HTTP has no way to change to TLS in the middle, so there is nothing to prefer.
    const auto mode = is_admin
                          ? reader_.word(node, "mode", {"disable", "require", "mutual"})
                          : reader_.word(node, "mode", {"disable", "prefer", "require", "mutual"});
    if (reader_.faults().size() != faults_before) return;
    const auto fallback = is_admin ? "require" : "prefer";
    (void)net::parse_server_tls_mode(mode.value_or(fallback), out.mode);
    if (out.mode == net::server_tls_mode::disable) return;
    out.certificate = required_path(node, "certificate", "a PEM file");
    out.key = required_path(node, "key", "a PEM file");
    const auto ca = yaml_reader::member(node, "client_ca");
    if (out.mode == net::server_tls_mode::mutual)
        out.client_ca = required_path(node, "client_ca", "the CA of client certificates");
    else if (ca.IsDefined())
        reader_.fail(ca, "'client_ca' has a meaning in mode mutual only");
    if (secrets_ != secrets::read || reader_.faults().size() != faults_before) return;
    try {
        const auto loaded = net::server_tls::load(out);
        if (!is_admin) check_binding(node, listener, loaded->can_bind());
    } catch (const net::tls_error& e) {
        reader_.fail(node, e.what());
    }
}

void config_reader::check_exposure(const YAML::Node& node, bool is_admin,
                                   const listen_settings& l) {
    if (is_loopback(l.address) || l.tls.mode == net::server_tls_mode::require ||
        l.tls.mode == net::server_tls_mode::mutual)
        return;
    if (is_admin)
        reader_.fail(node,
                     "the admin listener takes passwords and is reachable beyond this "
                     "machine: give tls: { certificate: …, key: … } or address: 127.0.0.1");
    else
        warn(node, "clients beyond this machine may connect in clear; tls mode require stops that");
}

void config_reader::read_admin_url(const YAML::Node& root) {
    if (settings_.admin) {
        const bool tls = settings_.admin->tls.mode != net::server_tls_mode::disable;
        settings_.admin_url = (tls ? "https://" : "http://") +
                              with_port(settings_.admin->address, settings_.admin->port);
    }
    const auto admin = yaml_reader::member(root, "admin");
    if (!admin.IsDefined() || !reader_.keys(admin, "admin", {"url"})) return;
    auto url = reader_.text(admin, "url");
    if (!url) return;
    // It stands in notices to clients, which are cut at 1 KiB and must be plain.
    const bool plain = std::all_of(url->begin(), url->end(),
                                   [](char c) { return c > ' ' && c < 0x7f && c != '"'; });
    if (!plain || url->size() > 200 ||
        !(url->starts_with("http://") || url->starts_with("https://"))) {
        reader_.fail(yaml_reader::member(admin, "url"),
                     "'url' must be an address such as https://sallyport.example.com");
        return;
    }
    while (url->ends_with('/'))
        url->pop_back();
    settings_.admin_url = *url;
}

// State, audit ------------------------------------------------------------------------------------

void config_reader::read_state(const YAML::Node& root) {
    const auto state = yaml_reader::member(root, "state");
    if (!state.IsDefined()) {
        reader_.fail(root,
                     "'state' is missing: where holds and opt-outs are kept, such as "
                     "state: { sqlite: var/sallyport.db }");
        return;
    }
    if (!reader_.keys(state, "state", {"sqlite", "postgres", "keep"})) return;
    time(state, "keep", hours(24), hours(24 * 3660), settings_.state_keep);
    const auto sqlite = reader_.text(state, "sqlite");
    auto postgres = reader_.text(state, "postgres");
    const bool one = sqlite.has_value() != postgres.has_value();
    if (!one || (sqlite && sqlite->empty()) || (postgres && postgres->empty())) {
        reader_.fail(state,
                     "'state' needs exactly one of sqlite: PATH and postgres: \"host=… "
                     "dbname=…\"");
        return;
    }
    if (sqlite) settings_.state_sqlite = resolve(*sqlite);
    if (postgres) {
        settings_.state_postgres.emplace(*postgres);
        wipe(*postgres);
    }
}

void config_reader::read_audit(const YAML::Node& root) {
    const auto audit = yaml_reader::member(root, "audit");
    if (!audit.IsDefined()) {
        reader_.fail(root,
                     "'audit' is missing: where the log is written, such as "
                     "audit: { directory: var/audit, signing_key: var/audit.key }");
        return;
    }
    if (!reader_.keys(audit, "audit", {"directory", "signing_key", "verify_interval"})) return;
    settings_.audit_directory = required_path(audit, "directory", "a folder");
    settings_.audit_signing_key =
        required_path(audit, "signing_key", "a file, made at the first start");
    time(audit, "verify_interval", seconds(1), hours(24 * 31), settings_.audit_verify_interval);
}

// Limits, roles, log ------------------------------------------------------------------------------

void config_reader::read_limits(const YAML::Node& root) {
    const auto node = yaml_reader::member(root, "limits");
    if (!node.IsDefined() ||
        !reader_.keys(node, "limits",
                      {"connections", "admin_reserve", "connections_per_address", "unauthenticated",
                       "unauthenticated_per_address", "login_timeout", "inspect_bytes",
                       "message_bytes", "prepared_statements", "pipeline_bytes", "held_sessions"}))
        return;
    auto& l = settings_.limits;
    count(node, "connections", 1, connections_max, l.connections);
    count(node, "admin_reserve", 0, 1'000, l.admin_reserve);
    count(node, "connections_per_address", 0, connections_max, l.connections_per_address);
    count(node, "unauthenticated", 1, connections_max, l.unauthenticated);
    count(node, "unauthenticated_per_address", 1, connections_max, l.unauthenticated_per_address);
    time(node, "login_timeout", seconds(1), minutes(10), l.login_timeout);
    size(node, "inspect_bytes", kib, 64 * mib, l.inspect_bytes);
    size(node, "message_bytes", 64 * kib, gib, l.message_bytes);
    count(node, "prepared_statements", 1, 1'000'000, l.prepared_statements);
    size(node, "pipeline_bytes", kib, gib, l.pipeline_bytes);
    count(node, "held_sessions", 1, connections_max, l.held_sessions);
    if (l.inspect_bytes > l.message_bytes)
        reader_.fail(node,
                     "'inspect_bytes' is larger than 'message_bytes': no such message is "
                     "ever taken; lower it");
}

void config_reader::read_roles(const YAML::Node& root) {
    const auto roles = yaml_reader::member(root, "roles");
    if (!roles.IsDefined() || !reader_.keys(roles, "roles", {"admin", "auditor", "monitor"}))
        return;
    settings_.admins = read_role(roles, "admin");
    settings_.auditors = read_role(roles, "auditor");
    settings_.monitors = read_role(roles, "monitor");
}

role_settings config_reader::read_role(const YAML::Node& roles, const char* key) {
    role_settings out;
    const auto node = yaml_reader::member(roles, key);
    if (!node.IsDefined() || !reader_.keys(node, "roles." + std::string(key), {"groups", "users"}))
        return out;
    for (const bool is_group : {true, false})
        for (const auto& [at, name] : reader_.list(node, is_group ? "groups" : "users")) {
            (is_group ? out.groups : out.users).push_back(name);
            out_.role_names.push_back(
                {name, is_group, {path_, at.Mark().line + 1, at.Mark().column + 1, {}}});
        }
    if (out.groups.empty() && out.users.empty())
        reader_.fail(node,
                     "this role is nobody's; give groups: […] or users: […], or leave it out");
    return out;
}

void config_reader::read_log(const YAML::Node& root) {
    const auto log = yaml_reader::member(root, "log");
    if (!log.IsDefined() || !reader_.keys(log, "log", {"level", "format", "audit"})) return;
    settings_.log_audit = reader_.boolean(log, "audit").value_or(false);
    if (const auto level = reader_.word(log, "level", {"trace", "debug", "info", "warn", "error"}))
        settings_.level = *level == "trace"   ? log_level::trace
                          : *level == "debug" ? log_level::debug
                          : *level == "info"  ? log_level::info
                          : *level == "warn"  ? log_level::warn
                                              : log_level::error;
    if (const auto format = reader_.word(log, "format", {"text", "json"}))
        settings_.format = *format == "json" ? log_format::json : log_format::text;
}

void config_reader::read_times(const YAML::Node& root) {
    const auto hold = yaml_reader::member(root, "hold");
    if (hold.IsDefined() && reader_.keys(hold, "hold", {"remind"}))
        time(hold, "remind", seconds(1), hours(1), settings_.hold_remind);
    settings_.watch = reader_.boolean(root, "watch").value_or(false);
    time(root, "drain_timeout", seconds(1), hours(24), settings_.drain_timeout);
}

// Members -----------------------------------------------------------------------------------------

std::string config_reader::required_text(const YAML::Node& map, const char* key,
                                         std::string_view meaning) {
    const auto at = yaml_reader::member(map, key);
    if (!at.IsDefined()) {
        reader_.fail(map, "'" + std::string(key) + "' is missing: " + std::string(meaning));
        return {};
    }
    auto text = reader_.text(map, key);
    if (text && text->empty())
        reader_.fail(at, "'" + std::string(key) + "' is empty: it is " + std::string(meaning));
    return text.value_or(std::string());
}

std::string config_reader::required_path(const YAML::Node& map, const char* key,
                                         std::string_view meaning) {
    return resolve(required_text(map, key, meaning));
}

std::string config_reader::resolve(const std::string& path) const {
    if (path.empty()) return {};
    const std::filesystem::path given(path);
    if (given.is_absolute()) return given.lexically_normal().string();
    return (std::filesystem::path(path_).parent_path() / given).lexically_normal().string();
}

void config_reader::count(const YAML::Node& map, const char* key, std::int64_t min,
                          std::int64_t max, std::size_t& out) {
    if (const auto n = reader_.integer(map, key, min, max)) out = static_cast<std::size_t>(*n);
}

void config_reader::size(const YAML::Node& map, const char* key, std::uint64_t min,
                         std::uint64_t max, std::uint64_t& out) {
    const auto n = reader_.bytes(map, key);
    if (!n) return;
    const auto shown = [](std::uint64_t bytes) {
        return bytes % gib == 0   ? std::to_string(bytes / gib) + "GiB"
               : bytes % mib == 0 ? std::to_string(bytes / mib) + "MiB"
                                  : std::to_string(bytes / kib) + "KiB";
    };
    if (*n < min || *n > max)
        reader_.fail(yaml_reader::member(map, key),
                     "'" + std::string(key) + "' must be from " + shown(min) + " to " + shown(max));
    else
        out = *n;
}

void config_reader::time(const YAML::Node& map, const char* key, policy::milliseconds min,
                         policy::milliseconds max, policy::milliseconds& out) {
    const auto t = reader_.duration(map, key);
    if (!t) return;
    if (*t < min || *t > max)
        reader_.fail(yaml_reader::member(map, key), "'" + std::string(key) + "' must be from " +
                                                        policy::format_duration(min) + " to " +
                                                        policy::format_duration(max));
    else
        out = *t;
}

void config_reader::warn(const YAML::Node& at, std::string what) {
    out_.warnings.push_back({path_, at.Mark().line + 1, at.Mark().column + 1, std::move(what)});
}

}  // namespace sallyport::proxy
