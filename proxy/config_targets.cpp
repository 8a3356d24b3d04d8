#include <algorithm>
#include <cstdlib>
#include <utility>

#include "policy/address.h"
#include "proxy/auth/scram.h"
#include "proxy/config_reader.h"
#include "proxy/file.h"
#include "proxy/net/secret_file.h"
#include "proxy/net/tls.h"

namespace sallyport::proxy {
namespace {

using policy::yaml_reader;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t name_bytes_max = 63;  // PostgreSQL cuts longer names
constexpr std::string_view console_name = "sallyport";

// Empty if `name` can be a database's or a role's name on the wire.
std::string name_fault(std::string_view name) {
    if (name.empty() || name.size() > name_bytes_max) return "must have 1 to 63 bytes";
    for (const char c : name)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            return "must not have control characters";
    return {};
}

bool is_host(std::string_view host) {
    if (host.empty() || host.size() > 253) return false;
    if (policy::parse_address(host)) return true;
    return std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '.' || c == '_';
    });
}

}  // namespace

void config_reader::read_targets(const YAML::Node& root) {
    const auto targets = yaml_reader::member(root, "targets");
    if (!targets.IsDefined() || !targets.IsMap() || targets.size() == 0) {
        reader_.fail(targets.IsDefined() ? targets : root,
                     "'targets' must be a map of names to upstream databases, at least one");
        return;
    }
    for (const auto& entry : targets)
        if (entry.first.IsScalar()) read_target(entry.first, entry.second);
}

void config_reader::read_target(const YAML::Node& key, const YAML::Node& node) {
    target_settings t;
    t.name = key.Scalar();
    out_.target_names.insert(t.name);
    if (const auto fault = name_fault(t.name); !fault.empty())
        reader_.fail(key, "a target's name " + fault);
    if (t.name == console_name)
        reader_.fail(key, "the name sallyport is the console's; choose another for this target");
    if (!reader_.keys(node, "a target",
                      {"host", "port", "dbname", "tls", "login", "catalog", "unapproved_role",
                       "connect_timeout", "channel_binding", "require_auth"}))
        return;
    t.host = required_text(node, "host", "a name or an IP address");
    if (t.host.starts_with('/'))
        reader_.fail(yaml_reader::member(node, "host"),
                     "Unix sockets are not supported; give a name or an IP address");
    else if (!t.host.empty() && !is_host(t.host))
        reader_.fail(yaml_reader::member(node, "host"),
                     "'host' must be a name or an IP address, without port");
    std::size_t port = t.port;
    count(node, "port", 1, 65535, port);
    t.port = static_cast<std::uint16_t>(port);
    t.dbname = reader_.text(node, "dbname").value_or(t.name);
    if (const auto fault = name_fault(t.dbname); !fault.empty())
        reader_.fail(yaml_reader::member(node, "dbname"), "'dbname' " + fault);
    time(node, "connect_timeout", seconds(1), minutes(5), t.connect_timeout);
    read_client_tls(node, t);
    read_channel_binding(node, t.channel_binding);
    read_require_auth(node, t);
    check_methods(node, t);

    const auto login = yaml_reader::member(node, "login");
    if (login.IsDefined()) {
        if (reader_.keys(login, "login",
                         {"user", "as", "password_file", "password_env", "password"}))
            t.login = read_login(login, "login");
    } else {
        reader_.fail(key,
                     "'login' is missing: { user: app, password_file: … }, or { as: client } "
                     "for a role named like the client");
    }
    if (const auto role = reader_.text(node, "unapproved_role")) {
        if (const auto fault = name_fault(*role); !fault.empty())
            reader_.fail(yaml_reader::member(node, "unapproved_role"),
                         "'unapproved_role' " + fault);
        else if (*role == "none")
            reader_.fail(yaml_reader::member(node, "unapproved_role"),
                         "'unapproved_role' must be a role; none is no name of one");
        t.unapproved_role = *role;
    }
    if (const auto catalog = yaml_reader::member(node, "catalog"); catalog.IsDefined())
        read_catalog(catalog, t);
    settings_.targets.emplace(t.name, std::move(t));
}

void config_reader::read_catalog(const YAML::Node& node, target_settings& out) {
    if (!reader_.keys(node, "catalog",
                      {"user", "as", "password_file", "password_env", "password", "interval",
                       "max_staleness"}))
        return;
    auto& c = out.catalog.emplace();
    c.login = read_login(node, "catalog");
    if (c.login.as_client) reader_.fail(node, "the catalog is read without a client; give user:");
    time(node, "interval", std::chrono::milliseconds(100), minutes(60), c.interval);
    time(node, "max_staleness", std::chrono::milliseconds(1), minutes(1), c.max_staleness);
}

void config_reader::read_client_tls(const YAML::Node& target, target_settings& out) {
    const auto faults_before = reader_.faults().size();
    // What crosses a network is verified unless somebody wrote down that it is not to be.
    out.tls.mode =
        is_loopback(out.host) ? net::client_tls_mode::prefer : net::client_tls_mode::verify_full;
    const auto node = yaml_reader::member(target, "tls");
    if (node.IsDefined()) {
        if (!reader_.keys(node, "tls", {"mode", "ca", "certificate", "key", "negotiation"})) return;
        const auto mode = reader_.word(
            node, "mode", {"disable", "prefer", "require", "verify-ca", "verify-full"});
        if (mode) (void)net::parse_client_tls_mode(*mode, out.tls.mode);
        out.tls.ca = resolve(reader_.text(node, "ca").value_or(std::string()));
        out.tls.certificate = resolve(reader_.text(node, "certificate").value_or(std::string()));
        out.tls.key = resolve(reader_.text(node, "key").value_or(std::string()));
        if (out.tls.certificate.empty() != out.tls.key.empty())
            reader_.fail(node, "our own certificate needs both certificate: and key:");
        const auto negotiation = reader_.word(node, "negotiation", {"postgres", "direct"});
        if (negotiation && *negotiation == "direct") {
            out.tls.negotiation = net::tls_negotiation::direct;
            if (out.tls.mode == net::client_tls_mode::disable ||
                out.tls.mode == net::client_tls_mode::prefer)
                reader_.fail(yaml_reader::member(node, "negotiation"),
                             "'negotiation: direct' begins with TLS and cannot go on without: give "
                             "mode: require, verify-ca or verify-full");
        }
    }
    const bool verifies = !out.tls.ca.empty() || out.tls.mode == net::client_tls_mode::verify_ca ||
                          out.tls.mode == net::client_tls_mode::verify_full;
    if (!is_loopback(out.host) && (!verifies || out.tls.mode == net::client_tls_mode::disable))
        warn(
            node.IsDefined() ? node : target,
            "the connection to this target does not verify who answers; tls mode verify-full does");
    if (out.tls.mode == net::client_tls_mode::disable || secrets_ != secrets::read ||
        reader_.faults().size() != faults_before)
        return;
    try {
        (void)net::client_tls::load(out.tls);
    } catch (const net::tls_error& e) {
        reader_.fail(node.IsDefined() ? node : target, e.what());
    }
}

void config_reader::read_require_auth(const YAML::Node& target, target_settings& out) {
    const auto node = yaml_reader::member(target, "require_auth");
    if (!node.IsDefined()) return;
    out.require_auth = {};
    const auto faults_before = reader_.faults().size();
    const auto items = reader_.list(target, "require_auth");
    for (const auto& [at, name] : items) {
        auth::method m{};
        if (auth::parse_method(name, m)) {
            out.require_auth.add(m);
            continue;
        }
        reader_.fail(at, "'" + name + "' is no authentication method" +
                             policy::did_you_mean(name, {"scram-sha-256-plus", "scram-sha-256",
                                                         "md5", "password", "none"}));
    }
    if (items.empty() && reader_.faults().size() == faults_before)
        reader_.fail(node,
                     "'require_auth' is empty: no server could let us in; give [scram-sha-256]");
}

void config_reader::check_methods(const YAML::Node& target, const target_settings& t) {
    using auth::channel_binding;
    using auth::method;
    if (t.require_auth.empty()) return;  // a fault already
    const auto binding = yaml_reader::member(target, "channel_binding");
    if (t.channel_binding == channel_binding::require &&
        t.tls.mode == net::client_tls_mode::disable)
        reader_.fail(binding,
                     "'channel_binding: require' binds to TLS, which is disabled for this target; "
                     "give tls: { mode: verify-full }");
    if (t.channel_binding == channel_binding::require &&
        !t.require_auth.allows(method::scram_sha_256_plus))
        reader_.fail(binding,
                     "'channel_binding: require' leaves scram-sha-256-plus alone, and require_auth "
                     "does not have it");
    if (t.channel_binding == channel_binding::off &&
        t.require_auth.text() == to_string(method::scram_sha_256_plus))
        reader_.fail(binding,
                     "'channel_binding: off' and require_auth: [scram-sha-256-plus] leave nothing");
}

login_settings config_reader::read_login(const YAML::Node& node, std::string_view where) {
    login_settings out;
    const auto user = reader_.text(node, "user");
    const auto as = reader_.word(node, "as", {"client"});
    const bool has_user = yaml_reader::member(node, "user").IsDefined();
    const bool has_as = yaml_reader::member(node, "as").IsDefined();
    if (has_user == has_as)
        reader_.fail(node, "'" + std::string(where) +
                               "' needs exactly one of user: NAME and "
                               "as: client");
    out.as_client = as.has_value();
    out.user = user.value_or(std::string());
    if (const auto fault = user ? name_fault(*user) : std::string(); !fault.empty())
        reader_.fail(yaml_reader::member(node, "user"), "'user' " + fault);
    out.password = read_password(node, where);
    return out;
}

std::optional<secret> config_reader::read_password(const YAML::Node& login,
                                                   std::string_view where) {
    if (const auto literal = yaml_reader::member(login, "password"); literal.IsDefined()) {
        reader_.fail(literal,
                     "passwords do not stand in this file; put it in a file of its own "
                     "and give password_file: PATH (or password_env: NAME)");
        return std::nullopt;
    }
    const auto file = reader_.text(login, "password_file");
    const auto env = reader_.text(login, "password_env");
    if (file && env) {
        reader_.fail(login, "'" + std::string(where) +
                                "' has both password_file and "
                                "password_env; leave one out");
        return std::nullopt;
    }
    const bool wanted =
        secrets_ == secrets::read || (secrets_ == secrets::catalogs && where == "catalog");
    if (!wanted) return std::nullopt;
    if (file) return password_from_file(yaml_reader::member(login, "password_file"), *file);
    if (!env) return std::nullopt;
    const char* value = std::getenv(env->c_str());
    if (value == nullptr || *value == '\0') {
        reader_.fail(yaml_reader::member(login, "password_env"),
                     "the environment variable " + *env + " is not set");
        return std::nullopt;
    }
    return secret(value);
}

std::optional<secret> config_reader::password_from_file(const YAML::Node& at,
                                                        const std::string& path) {
    const auto full = resolve(path);
    if (full.empty()) {
        reader_.fail(at, "'password_file' is empty");
        return std::nullopt;
    }
    if (const auto fault = net::secret_file_fault(full); !fault.empty()) {
        reader_.fail(at, "the password file: " + fault);
        return std::nullopt;
    }
    std::string error;
    auto text = read_file(full, auth::password_bytes_max + 2, error);
    if (!text) {
        reader_.fail(at, "the password file " + full + " cannot be read: " + error);
        return std::nullopt;
    }
    std::string_view password = *text;
    if (password.ends_with('\n')) password.remove_suffix(1);
    if (password.ends_with('\r')) password.remove_suffix(1);
    const bool fits =
        !password.empty() && password.size() <= auth::password_bytes_max &&
        password.find_first_of(std::string_view("\n\r\0", 3)) == std::string_view::npos;
    std::optional<secret> out;
    if (fits)
        out.emplace(password);
    else
        reader_.fail(at, "the password file " + full + " must hold one line, the password");
    wipe(*text);
    return out;
}

}  // namespace sallyport::proxy
