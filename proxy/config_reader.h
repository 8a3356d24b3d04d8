#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/yaml_reader.h"
#include "proxy/config.h"

/// The parts of reading sallyport.yaml; private to config*.cpp.
namespace sallyport::proxy {

/// Reads one text into settings; each member reads one block and records its faults.
class config_reader {
  public:
    config_reader(std::string_view text, const std::string& path, secrets s);
    [[nodiscard]] loaded_settings run();

  private:
    void read_root();
    void read_listen(const YAML::Node& root);
    void read_listener(const YAML::Node& node, const char* where, listen_settings& out);
    void read_server_tls(const YAML::Node& node, bool is_admin, listen_settings& out);
    void read_channel_binding(const YAML::Node& node, auth::channel_binding& out);
    void check_binding(const YAML::Node& node, const listen_settings& l, bool certificate_can_bind);
    void check_exposure(const YAML::Node& node, bool is_admin, const listen_settings& l);
    // config_access.cpp
    void read_access(const YAML::Node& admin);
    void read_jwt(const YAML::Node& node);
    void read_jwt_groups(const YAML::Node& node, auth::jwt_options& out);

    void read_admin_url(const YAML::Node& root);
    void read_state(const YAML::Node& root);
    void read_audit(const YAML::Node& root);
    void read_limits(const YAML::Node& root);
    void read_roles(const YAML::Node& root);
    role_settings read_role(const YAML::Node& roles, const char* key);
    void read_log(const YAML::Node& root);
    void read_times(const YAML::Node& root);

    // config_notify.cpp
    void read_notify(const YAML::Node& root);
    void read_channel(const YAML::Node& key, const YAML::Node& node);
    void read_channel_people(const YAML::Node& node, notify::channel& out);
    void read_channel_filter(const YAML::Node& node, notify::channel& out);
    void read_webhook(const YAML::Node& node, notify::channel& out);
    void read_command(const YAML::Node& node, notify::channel& out);
    void read_slack_app(const YAML::Node& node);
    /// The one line of a file that is ours alone; nullopt and a fault if it is none, nullopt alone
    /// where secrets are not read.
    std::optional<secret> secret_line(const YAML::Node& map, const char* key, std::size_t least);

    // config_telemetry.cpp
    void read_telemetry(const YAML::Node& root);
    void read_otlp(const YAML::Node& node);
    void read_otlp_endpoint(const YAML::Node& node);
    void read_otlp_headers(const YAML::Node& node);
    void read_resource_attributes(const YAML::Node& node);
    void ratio(const YAML::Node& map, const char* key, double& out);

    // config_targets.cpp
    void read_targets(const YAML::Node& root);
    void read_target(const YAML::Node& key, const YAML::Node& node);
    void read_client_tls(const YAML::Node& target, target_settings& out);
    void read_require_auth(const YAML::Node& target, target_settings& out);
    void check_methods(const YAML::Node& target, const target_settings& t);
    void read_catalog(const YAML::Node& node, target_settings& out);
    /// What `node` says of a login; its keys are the caller's to check.
    login_settings read_login(const YAML::Node& node, std::string_view where);
    std::optional<secret> read_password(const YAML::Node& login, std::string_view where);
    std::optional<secret> password_from_file(const YAML::Node& at, const std::string& path);

    /// A member that must be there; a fault at `map` otherwise.
    std::string required_text(const YAML::Node& map, const char* key, std::string_view meaning);
    std::string required_path(const YAML::Node& map, const char* key, std::string_view meaning);
    /// Relative to the configuration's folder; "" stays "".
    [[nodiscard]] std::string resolve(const std::string& path) const;
    void count(const YAML::Node& map, const char* key, std::int64_t min, std::int64_t max,
               std::size_t& out);
    void size(const YAML::Node& map, const char* key, std::uint64_t min, std::uint64_t max,
              std::uint64_t& out);
    void time(const YAML::Node& map, const char* key, policy::milliseconds min,
              policy::milliseconds max, policy::milliseconds& out);
    void warn(const YAML::Node& at, std::string what);

    std::string path_;
    secrets secrets_;
    policy::yaml_reader reader_;
    settings settings_;
    loaded_settings out_;
};

/// True for 127.0.0.0/8, ::1 and "localhost".
[[nodiscard]] bool is_loopback(std::string_view host);

}  // namespace sallyport::proxy
