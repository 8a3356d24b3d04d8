#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

/// The sallyport binary under test, with a configuration of its own.
namespace sallyport::tests {

struct target_options {
    std::uint16_t port = 0;
    std::string dbname{};
    std::string login = "{ user: app, password_file: secrets/app }";
    std::string tls{};  ///< YAML flow map; "" = { mode: disable }
    std::string connect_timeout = "10s";
    std::string more{};  ///< further lines of the target, "    key: value\n" each
};

/// A field that a test does not set has a value that does not matter to it.
struct proxy_options {
    std::map<std::string, target_options> targets{};
    std::string policy{};           ///< policy.yaml; "" = example_policy()
    std::string postgres_tls{};     ///< YAML flow map; "" = { mode: disable }
    std::string channel_binding{};  ///< of listen.postgres; "" = not said
    std::string admin_tls{};        ///< YAML flow map; "" = none
    std::string limits{};           ///< YAML flow map; "" = {}
    std::string drain_timeout = "1s";
    std::string audit_directory{};  ///< "" = var/audit in the folder
    std::string more{};             ///< further lines of sallyport.yaml
    std::string roles{};            ///< YAML flow map; "" = { admin: { groups: [admin] } }
    std::string admin_more{};  ///< further members of listen.admin; "" = a rate above any test's
    std::map<std::string, std::string> users{};  ///< further users: name → YAML flow map
    std::map<std::string, std::string> env{};
    std::optional<std::size_t> file_bytes_max{};
};

/// The policy that most tests use: DESIGN.md's example with short waits.
[[nodiscard]] std::string example_policy();

/// Users (password = NAME-password): alice (dev, oncall), bob (dev, security), carol (security,
/// hr-owners), dave (hr-owners), erin (dev), dba (dba), root (admin), ci (pipelines, a service).
class proxy_process {
  public:
    explicit proxy_process(proxy_options options);
    ~proxy_process();
    proxy_process(const proxy_process&) = delete;
    proxy_process& operator=(const proxy_process&) = delete;

    /// Starts and waits until both ports accept. Errors: throws std::runtime_error with the log.
    void start();
    /// Starts without waiting; for configurations that must not work.
    void launch();
    /// SIGTERM and the exit code; nullopt if it did not end in time.
    std::optional<int> stop();
    void kill();
    void restart() {
        stop();
        start();
    }
    void signal(int number) { process_->signal(number); }
    [[nodiscard]] child_process& process() { return *process_; }
    [[nodiscard]] int pid() const { return process_->pid(); }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::uint16_t admin_port() const noexcept { return admin_port_; }
    [[nodiscard]] std::string folder() const { return dir_.path(); }
    [[nodiscard]] std::string file(std::string_view name) const { return dir_.file(name); }
    [[nodiscard]] std::string config_path() const { return dir_.file("sallyport.yaml"); }
    [[nodiscard]] std::string audit_directory() const;
    [[nodiscard]] std::string audit_public_key() const { return dir_.file("var/audit.key.pub"); }
    [[nodiscard]] std::string log() const { return process_ ? process_->output() : ""; }
    void set_policy(const std::string& text) const { write_file(file("policy.yaml"), text, 0644); }

    /// Runs a subcommand that needs no login (check, explain, audit …).
    [[nodiscard]] command_result run_tool(std::vector<std::string> arguments) const;
    /// Runs a subcommand as a person of users.yaml.
    [[nodiscard]] command_result cli(const std::string& user,
                                     std::vector<std::string> arguments) const;

  private:
    void write_configuration() const;
    proxy_options options_;
    temp_dir dir_{"sallyport-proxy"};
    std::uint16_t port_ = 0;
    std::uint16_t admin_port_ = 0;
    std::unique_ptr<child_process> process_;
};

/// SALLYPORT_BINARY, or the one of this build.
[[nodiscard]] std::string sallyport_binary();

}  // namespace sallyport::tests
