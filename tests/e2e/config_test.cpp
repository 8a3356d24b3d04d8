#include <csignal>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Configuration and policy: checked with every fault at once, reloaded whole or not at all.
namespace sallyport::tests {
namespace {

class config : public e2e {
  protected:
    void prepare(const std::string& policy = "") {
        options.policy = policy;
        proxy = std::make_unique<proxy_process>(options);
    }
    [[nodiscard]] command_result check() const {
        return proxy->run_tool({"check", "--config", proxy->config_path()});
    }
};

TEST_F(config, good_files_pass_the_check) {
    prepare();

    const auto r = check();

    EXPECT_EQ(r.exit_code, 0) << r.out << r.err;
}

TEST_F(config, check_names_every_fault_with_file_line_and_column) {
    prepare(
        "version: 1\n"
        "default: allow\n"
        "opaque: hold\n"
        "resources:\n"
        "  pii: { target: shopp, relations: [\"pii.*\"] }\n"
        "rules:\n"
        "  - id: one\n"
        "    tier: 10\n"
        "    on: [piii]\n"
        "    do: [raed]\n"
        "    efect: hold\n");

    const auto r = check();

    EXPECT_EQ(r.exit_code, 2);
    const std::string said = r.out + r.err;
    for (const char* part : {"policy.yaml:5:", "shopp", "policy.yaml:9:", "piii", "policy.yaml:10:",
                             "raed", "read", "policy.yaml:11:", "efect", "effect"})
        EXPECT_NE(said.find(part), std::string::npos) << part << " is missing in\n" << said;
}

TEST_F(config, unknown_key_in_the_configuration_is_refused_with_the_nearest_one) {
    prepare();
    auto text = read_file(proxy->config_path());
    write_file(proxy->config_path(), text + "polcy: other.yaml\n");

    const auto r = check();

    EXPECT_EQ(r.exit_code, 2);
    EXPECT_NE((r.out + r.err).find("polcy"), std::string::npos);
    EXPECT_NE((r.out + r.err).find("policy"), std::string::npos);
}

TEST_F(config, policy_s_own_tests_are_run_by_the_check) {
    prepare(example_policy() +
            "tests:\n"
            "  - { as: alice, groups: [dev], on: shop, sql: \"select ssn from customers\", expect: "
            "hold, rule: pii-needs-approval }\n"
            "  - { as: alice, groups: [dev], on: shop, sql: \"select 1\", expect: deny }\n");

    const auto r = check();

    EXPECT_EQ(r.exit_code, 2) << "the second test is wrong";
    EXPECT_NE((r.out + r.err).find("select 1"), std::string::npos) << r.out << r.err;
}

TEST_F(config, serve_refuses_what_check_refuses) {
    prepare("version: 1\nrules: []\n");

    proxy->launch();

    EXPECT_EQ(proxy->process().wait_exit(), 2) << proxy->log();
    EXPECT_NE(proxy->log().find("default"), std::string::npos) << proxy->log();
}

TEST_F(config, bad_reload_changes_nothing_and_says_so) {
    start();
    proxy->set_policy("version: 1\ndefault: maybe\n");

    proxy->signal(SIGHUP);

    ASSERT_TRUE(eventually([&] { return audit_records("policy.refused").size() == 1; }));
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("CREATE TABLE sneaky (id int)").sqlstate(), "42501");
    EXPECT_NE(proxy->log().find("policy.yaml:2"), std::string::npos) << proxy->log();
}

TEST_F(config, good_reload_takes_effect_for_live_sessions) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    std::string policy = example_policy();
    policy.insert(policy.find("rules:"), "  orders: { target: shop, relations: [orders] }\n");
    proxy->set_policy(policy +
                      "  - id: orders-are-closed\n    tier: 5\n    on: [orders]\n    do: [read]\n"
                      "    effect: deny\n");

    proxy->signal(SIGHUP);

    EXPECT_TRUE(eventually([&] { return c.ask("SELECT * FROM orders").sqlstate() == "42501"; }));
}

TEST_F(config, port_in_use_is_one_clear_line) {
    start();
    const auto log_folder = proxy->folder();
    proxy_process second(options);
    auto text = read_file(second.config_path());
    const std::string own = "port: " + std::to_string(second.port());
    text.replace(text.find(own), own.size(), "port: " + std::to_string(proxy->port()));
    write_file(second.config_path(), text);

    second.launch();

    const auto code = second.process().wait_exit();
    EXPECT_TRUE(code.has_value() && *code != 0);
    EXPECT_NE(second.log().find(std::to_string(proxy->port())), std::string::npos) << second.log();
}

TEST_F(config, explain_prints_the_decision_with_its_reasons) {
    prepare();

    const auto r = proxy->run_tool({"explain", "--config", proxy->config_path(), "--as", "alice",
                                    "--on", "shop", "select ssn from customers"});

    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_NE(r.out.find("hold"), std::string::npos) << r.out;
    EXPECT_NE(r.out.find("pii-needs-approval"), std::string::npos) << r.out;
}

TEST_F(config, explain_speaks_json_too) {
    prepare();

    const auto r = proxy->run_tool({"explain", "--config", proxy->config_path(), "--as", "alice",
                                    "--on", "shop", "create table t (id int)", "--json"});

    const auto answer = nlohmann::json::parse(r.out, nullptr, false);
    ASSERT_TRUE(answer.is_object()) << r.out << r.err;
    EXPECT_EQ(answer.value("effect", ""), "deny");
    EXPECT_EQ(answer.value("rule", ""), "no-ddl-outside-dba");
}

TEST_F(config, passwd_makes_a_line_that_lets_its_user_in) {
    prepare();
    const auto r = run({.argv = {sallyport_binary(), "passwd", "zoe", "-", "--groups", "dev"},
                        .input = "zoe-password\n"});
    ASSERT_EQ(r.exit_code, 0) << r.err;
    EXPECT_EQ(r.out.find("zoe-password"), std::string::npos);
    auto users = read_file(proxy->file("users.yaml"));
    write_file(proxy->file("users.yaml"), users + r.out);
    proxy->start();

    EXPECT_EQ(client_as("zoe").ask("SELECT 1").types(), "TDCZ");
}

}  // namespace
}  // namespace sallyport::tests
