#include "tests/support/proxy_process.h"

#include <csignal>
#include <filesystem>
#include <stdexcept>

#include <gtest/gtest.h>

#include "tests/support/eventually.h"
#include "tests/support/scram.h"
#include "tests/support/sockets.h"

namespace sallyport::tests {
namespace {

struct user_entry {
    const char* name;
    const char* groups;
    bool service;
};

constexpr user_entry people[] = {
    {"alice", "dev, oncall", false},
    {"bob", "dev, security", false},
    {"carol", "security, hr-owners", false},
    {"dave", "hr-owners", false},
    {"erin", "dev, oncall", false},
    {"dba", "dba", false},
    {"root", "admin", false},
    {"ci", "pipelines, security", true},
};

std::string users_yaml(const std::map<std::string, std::string>& more) {
    std::string text = "users:\n";
    for (const auto& p : people) {
        if (more.count(p.name) != 0) continue;
        text += std::string("  ") + p.name + ": { scram: \"" +
                scram_verifier(std::string(p.name) + "-password") + "\", groups: [" + p.groups +
                "]" + (p.service ? ", service: true" : "") + " }\n";
    }
    for (const auto& [name, map] : more)
        text += "  " + name + ": " + map + "\n";
    return text;
}

bool sanitizer_spoke(const std::string& log) {
    return log.find("Sanitizer") != std::string::npos ||
           log.find("runtime error:") != std::string::npos;
}

}  // namespace

std::string sallyport_binary() {
    const std::string given = environment("SALLYPORT_BINARY");
    return given.empty() ? SALLYPORT_BINARY_DIR "/sallyport" : given;
}

std::string example_policy() {
    return R"yaml(version: 1
default: allow
opaque: { effect: hold, hold: { approvers: { groups: [security] }, wait: 30s } }
resources:
  customer-pii: { target: shop, relations: ["pii.*", "public.customers(email, ssn)"] }
  payroll:      { target: hr }
rules:
  - id: no-ddl-outside-dba
    tier: 10
    who: { not: { groups: [dba] } }
    do: [ddl, grant]
    effect: deny
    message: Schema changes go through the migrations pipeline.
  - id: pii-needs-approval
    tier: 20
    on: [customer-pii]
    do: [read, write]
    effect: hold
    hold:
      approvers: { groups: [security], approvals: 1 }
      wait: 60s
      pass: { statement: true, shape: 30m, transaction: 5m, session: 1h }
    opt_out:
      who: { groups: [oncall] }
      approvers: { groups: [security], approvals: 1 }
      max_duration: 4h
      max_uses: 200
      max_live: { per_person: 1, in_all: 5 }
      ticket: "INC-[0-9]+"
      at_end: hold
      review_within: 72h
  - id: payroll-sessions
    tier: 20
    on: [payroll]
    effect: hold
    hold: { approvers: { groups: [hr-owners], approvals: 2 }, wait: 60s }
)yaml";
}

proxy_process::proxy_process(proxy_options options) : options_(std::move(options)) {
    port_ = free_port();
    do {
        admin_port_ = free_port();
    } while (admin_port_ == port_);
    write_configuration();
}

proxy_process::~proxy_process() {
    if (process_ && process_->alive()) {
        const auto code = stop();
        if (!code) ADD_FAILURE() << "sallyport did not end within the deadline after SIGTERM";
    }
    if (sanitizer_spoke(log())) ADD_FAILURE() << "a sanitizer reported:\n" << log();
    if (testing::Test::HasFailure())
        std::fprintf(stderr, "--- sallyport's log\n%s---\n", log().c_str());
}

std::string proxy_process::audit_directory() const {
    return options_.audit_directory.empty() ? dir_.file("var/audit") : options_.audit_directory;
}

void proxy_process::write_configuration() const {
    const auto or_default = [](const std::string& s, const char* d) { return s.empty() ? d : s; };
    std::string text;
    text +=
        "listen:\n  postgres: { address: 127.0.0.1, port: " + std::to_string(port_) +
        ", tls: " + or_default(options_.postgres_tls, "{ mode: disable }") +
        (options_.channel_binding.empty() ? "" : ", channel_binding: " + options_.channel_binding) +
        " }\n  admin: { address: 127.0.0.1, port: " + std::to_string(admin_port_) +
        (options_.admin_tls.empty() ? "" : ", tls: " + options_.admin_tls) + ", " +
        or_default(options_.admin_more, "rate: { person: 100000, address: 100000 }") + " }\n";
    text += "state: { sqlite: var/sallyport.db }\n";
    text += "audit: { directory: " + audit_directory() + ", signing_key: var/audit.key }\n";
    text += "users: users.yaml\npolicy: policy.yaml\n";
    text += "targets:\n";
    for (const auto& [name, t] : options_.targets) {
        text += "  " + name + ":\n    host: 127.0.0.1\n    port: " + std::to_string(t.port) +
                "\n    dbname: " + t.dbname +
                "\n    tls: " + or_default(t.tls, "{ mode: disable }") + "\n    login: " + t.login +
                "\n    connect_timeout: " + t.connect_timeout + "\n" + t.more;
    }
    if (!options_.limits.empty()) text += "limits: " + options_.limits + "\n";
    text += "roles: " + or_default(options_.roles, "{ admin: { groups: [admin] } }") +
            "\ndrain_timeout: " + options_.drain_timeout + "\n" + options_.more;
    write_file(config_path(), text, 0644);
    write_file(file("users.yaml"), users_yaml(options_.users), 0600);
    set_policy(or_default(options_.policy, example_policy().c_str()));
    for (const char* role : {"app", "app_md5", "app_clear", "alice", "sallyport_catalog"})
        write_file(file(std::string("secrets/") + role), std::string(role) + "-password\n");
    std::filesystem::create_directories(file("var"));
}

void proxy_process::launch() {
    process_ = std::make_unique<child_process>(
        command{.argv = {sallyport_binary(), "serve", "--config", config_path()},
                .env = options_.env,
                .input = "",
                .user = "",
                .directory = dir_.path(),
                .file_bytes_max = options_.file_bytes_max});
}

void proxy_process::start() {
    launch();
    const bool up = eventually(
        [this] { return !process_->alive() || (accepts(port_) && accepts(admin_port_)); });
    if (!up || !process_->alive())
        throw std::runtime_error("sallyport did not start:\n" + process_->output());
}

std::optional<int> proxy_process::stop() {
    process_->signal(SIGTERM);
    return process_->wait_exit();
}

void proxy_process::kill() {
    process_->signal(SIGKILL);
    process_->wait_exit();
}

command_result proxy_process::run_tool(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), sallyport_binary());
    return run({.argv = std::move(arguments),
                .env = {},
                .input = "",
                .user = "",
                .directory = dir_.path()});
}

command_result proxy_process::cli(const std::string& user,
                                  std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), sallyport_binary());
    arguments.insert(arguments.end(), {"--user", user});
    return run({.argv = std::move(arguments),
                .env = {{"SALLYPORT_URL", "http://127.0.0.1:" + std::to_string(admin_port_)},
                        {"SALLYPORT_PASSWORD", user + "-password"}},
                .input = "",
                .user = "",
                .directory = dir_.path()});
}

}  // namespace sallyport::tests
