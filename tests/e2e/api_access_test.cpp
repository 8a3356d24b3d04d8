#include <csignal>

#include <gtest/gtest.h>

#include "tests/e2e/api_fixture.h"
#include "tests/support/certificates.h"
#include "tests/support/jwt.h"

/// The ways into the API beside a password: tokens, JWTs, certificates.
namespace sallyport::tests {
namespace {

using nlohmann::json;

class api_access : public described_api {
  protected:
    [[nodiscard]] http_response with(const std::string& token, const std::string& method,
                                     const std::string& path, const std::string& body = {}) const {
        http_headers headers{{"Authorization", "Bearer " + token}};
        if (method == "POST") headers.emplace_back("Content-Type", "application/json");
        return http_request(proxy->admin_port(), method, path, headers, body);
    }
    /// The binary with this environment and nothing else of ours.
    [[nodiscard]] command_result sallyport(std::vector<std::string> arguments,
                                           std::map<std::string, std::string> env) const {
        arguments.insert(arguments.begin(), sallyport_binary());
        env.emplace("SALLYPORT_URL", "http://127.0.0.1:" + std::to_string(proxy->admin_port()));
        return run({.argv = std::move(arguments),
                    .env = std::move(env),
                    .input = "",
                    .user = "",
                    .directory = proxy->folder()});
    }
    static std::string first_line(const std::string& text) {
        return text.substr(0, text.find('\n'));
    }
};

TEST_F(api_access, token_of_the_command_line_works_until_it_is_revoked_also_after_a_restart) {
    start();
    const auto token = first_line(cli("bob", {"token", "create", "--name", "night watch", "--scope",
                                              "see-holds,vote-hold", "--for", "30d"}));
    ASSERT_EQ(token.rfind("spt_", 0), 0U) << token;
    proxy->restart();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = std::to_string(pending_hold_of("alice"));

    const auto seen = sallyport({"holds"}, {{"SALLYPORT_TOKEN", token}});
    EXPECT_EQ(seen.exit_code, 0) << seen.err;
    EXPECT_NE(seen.out.find("alice"), std::string::npos) << seen.out;
    const auto refused = sallyport({"opt-out", "list"}, {{"SALLYPORT_TOKEN", token}});
    EXPECT_EQ(refused.exit_code, 1) << refused.out;
    EXPECT_EQ(sallyport({"approve", id}, {{"SALLYPORT_TOKEN", token}}).exit_code, 0);
    EXPECT_EQ(c.read_exchange().types(), "TDCZ");

    const auto list = cli("bob", {"token", "list"});
    EXPECT_NE(list.find("night watch"), std::string::npos) << list;
    const auto number = token.substr(4, token.find('_', 4) - 4);
    cli("bob", {"token", "revoke", number});
    EXPECT_EQ(sallyport({"holds"}, {{"SALLYPORT_TOKEN", token}}).exit_code, 4);
    proxy->restart();
    EXPECT_EQ(with(token, "GET", "/api/v1/holds").status, 401);
    EXPECT_TRUE(eventually([&] {
        return audit_records("token.created").size() == 1 &&
               audit_records("token.revoked").size() == 1;
    }));
}

// Four eyes are two people: a person and her token are one.
TEST_F(api_access, votes_by_token_and_by_browser_are_one_persons) {
    start();
    const auto make = [&](const char* scope) {
        return post("carol", "/api/v1/tokens",
                    {{"name", "vote"}, {"scopes", {scope}}, {"for", "1h"}})
            .at("token")
            .get<std::string>();
    };
    const auto token = make("vote-hold");
    psql_session s(psql_as("alice", "hr"));
    const auto id = pending_hold_of("alice", "carol");
    const auto path = "/api/v1/holds/" + std::to_string(id) + "/approve";

    approve(id, "carol");
    const auto again = with(token, "POST", path, "{}");

    EXPECT_EQ(again.status, 409) << again.body;
    EXPECT_EQ(state_of_hold(id, "carol"), "pending") << "two approvals of one person are one";
    const auto own = with(
        post("alice", "/api/v1/tokens", {{"name", "own"}, {"scopes", {"vote-hold"}}, {"for", "1h"}})
            .at("token")
            .get<std::string>(),
        "POST", path, "{}");
    EXPECT_EQ(own.status, 403) << "her own request, by her token: " << own.body;
    approve(id, "dave");
    EXPECT_TRUE(eventually([&] { return state_of_hold(id, "carol") == "approved"; }));
}

TEST_F(api_access, token_of_a_program_cannot_vote) {
    start();
    const auto refused = api("root").post(
        "/api/v1/tokens", R"({"name":"ci","owner":"ci","scopes":["vote-hold"],"for":"1h"})");
    EXPECT_EQ(refused.status, 422) << refused.body;

    const auto token =
        post("root", "/api/v1/tokens",
             {{"name", "ci"}, {"owner", "ci"}, {"scopes", {"see-holds"}}, {"for", "1h"}})
            .at("token")
            .get<std::string>();
    EXPECT_EQ(with(token, "GET", "/api/v1/holds").status, 200);
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = std::to_string(pending_hold_of("alice"));
    EXPECT_EQ(with(token, "POST", "/api/v1/holds/" + id + "/approve", "{}").status, 403);
    EXPECT_EQ(state_of_hold(std::stoull(id)), "pending");
}

TEST_F(api_access,
       token_of_a_program_votes_where_the_rule_names_it_but_not_for_who_made_the_token) {
    auto policy = example_policy();
    for (auto at = policy.find("{ groups: [security], approvals: 1 }"); at != std::string::npos;
         at = policy.find("{ groups: [security], approvals: 1 }"))
        policy.replace(at, 2, "{ services: [ci], ");
    start_with_policy(policy);
    const auto token = post("root", "/api/v1/tokens",
                            {{"name", "ci"},
                             {"owner", "ci"},
                             {"scopes", {"see-holds", "vote-hold", "vote-opt-out"}},
                             {"for", "1h"}})
                           .at("token")
                           .get<std::string>();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");
    const auto seen = get("bob", "/api/v1/holds/" + std::to_string(id));
    EXPECT_EQ(seen.at("approvals").at("services"), json({"ci"})) << seen;
    const auto path = "/api/v1/holds/" + std::to_string(id) + "/approve";
    const auto approved = with(token, "POST", path, "{}");
    EXPECT_EQ(approved.status, 200) << approved.body;
    EXPECT_EQ(c.read_exchange().types(), "TDCZ");
    const auto on_record = audit_records("hold.approved");
    ASSERT_EQ(on_record.size(), 1U);
    EXPECT_EQ(on_record[0].at("approved_by"), "ci");

    auto own = client_as("root");
    own.send(wire::query(held_sql));
    const auto of_root = std::to_string(pending_hold_of("root"));
    const auto refused = with(token, "POST", "/api/v1/holds/" + of_root + "/approve", "{}");
    EXPECT_EQ(refused.status, 403) << refused.body;
    EXPECT_NE(refused.body.find("made by root"), std::string::npos) << refused.body;
    EXPECT_EQ(state_of_hold(std::stoull(of_root)), "pending");
}

class api_jwt : public api_access {
  protected:
    void start_with_keys(const std::string& key_set) {
        // The file must be there before the proxy, and its folder comes with the proxy.
        write_file(keys.file("jwks.json"), key_set, 0644);
        options.admin_more = "jwt: { jwks_file: " + keys.file("jwks.json") +
                             ", issuer: \"https://login.example\", audience: sallyport, "
                             "user_claim: name, groups_claim: groups, groups: { approvers: "
                             "security } }";
        start();
    }
    [[nodiscard]] static std::string of(const jwt_signer& key, const std::string& user,
                                        const json& groups = json::array()) {
        const auto now = std::chrono::duration_cast<std::chrono::seconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
        return key.token(json{{"iss", "https://login.example"},
                              {"aud", {"sallyport"}},
                              {"name", user},
                              {"groups", groups},
                              {"iat", now},
                              {"nbf", now},
                              {"exp", now + 300}});
    }
    temp_dir keys{"sallyport-keys"};
};

TEST_F(api_jwt, person_of_the_login_service_approves_by_her_mapped_group) {
    const jwt_signer key("first", "EC");
    start_with_keys(key_set_of(key));
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = std::to_string(pending_hold_of("alice"));
    const auto path = "/api/v1/holds/" + id + "/approve";

    EXPECT_EQ(with(of(key, "erin"), "POST", path, "{}").status, 404) << "erin is no approver";
    EXPECT_EQ(with(of(key, "alice", {"approvers"}), "POST", path, "{}").status, 403);
    EXPECT_EQ(with(of(key, "mallory", {"approvers"}), "POST", path, "{}").status, 401);
    const auto r = with(of(key, "erin", {"approvers"}), "POST", path, "{}");

    EXPECT_EQ(r.status, 200) << r.body;
    EXPECT_EQ(c.read_exchange().types(), "TDCZ");
    const auto me = sallyport({"whoami", "--json"}, {{"SALLYPORT_TOKEN", of(key, "erin")}});
    EXPECT_EQ(me.exit_code, 0) << me.err;
    EXPECT_NE(me.out.find("\"jwt\""), std::string::npos) << me.out;
}

TEST_F(api_jwt, keys_are_read_again_with_the_configuration) {
    const jwt_signer first("first", "RSA");
    const jwt_signer second("second", "ED25519");
    start_with_keys(key_set_of(first));
    EXPECT_EQ(with(of(second, "bob"), "GET", "/api/v1/me").status, 401);

    write_file(keys.file("jwks.json"), key_set_of(second), 0644);
    proxy->signal(SIGHUP);

    EXPECT_TRUE(
        eventually([&] { return with(of(second, "bob"), "GET", "/api/v1/me").status == 200; }));
    EXPECT_EQ(with(of(first, "bob"), "GET", "/api/v1/me").status, 401);
    write_file(keys.file("jwks.json"), "{}", 0644);
    const auto refused = api("root").post("/api/v1/reload", "{}");
    EXPECT_EQ(refused.status, 422) << refused.body;
    EXPECT_NE(refused.body.find("jwks.json cannot be used"), std::string::npos) << refused.body;
    EXPECT_EQ(with(of(second, "bob"), "GET", "/api/v1/me").status, 200) << "nothing has changed";
}

TEST_F(api_jwt, faults_of_its_configuration_have_their_place) {
    options.admin_more =
        "jwt: { jwks_file: missing.json, issuer: x, audience: y, groups_claim: g }";
    proxy = std::make_unique<proxy_process>(options);
    const auto checked = proxy->run_tool({"check", "--config", proxy->config_path()});

    EXPECT_EQ(checked.exit_code, 2);
    EXPECT_NE(checked.err.find("'groups_claim' needs groups:"), std::string::npos) << checked.err;
    EXPECT_NE(checked.err.find("sallyport.yaml:3:"), std::string::npos) << checked.err;
}

TEST_F(api_access, certificate_is_the_login_where_the_listener_asks_for_one) {
    const temp_dir files("sallyport-mutual");
    const certificate_authority ca(files.path());
    const auto server_pair = ca.issue({.file = "server"});
    const auto bobs = ca.issue({.file = "bob", .common_name = "bob", .organisation = "Example"});
    const auto strangers = ca.issue({.file = "zoe", .common_name = "zoe"});
    options.users["bob"] = "{ scram: \"" + verifier_of("bob") +
                           "\", certificate: \"CN=bob,O=Example\", groups: [dev, security] }";
    options.admin_tls = "{ mode: mutual, certificate: " + server_pair.certificate +
                        ", key: " + server_pair.key + ", client_ca: " + ca.certificate() + " }";
    start();
    const auto as = [&](const key_pair& pair, std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"--ca", ca.certificate()});
        if (!pair.certificate.empty())
            arguments.insert(arguments.end(),
                             {"--certificate", pair.certificate, "--key", pair.key});
        return sallyport(
            std::move(arguments),
            {{"SALLYPORT_URL", "https://localhost:" + std::to_string(proxy->admin_port())},
             {"SALLYPORT_PASSWORD", "bob-password"},
             {"SALLYPORT_USER", "bob"}});
    };

    const auto me = as(bobs, {"whoami", "--json"});
    EXPECT_EQ(me.exit_code, 0) << me.err;
    EXPECT_EQ(json::parse(me.out).at("user"), "bob");
    const auto stranger = as(strangers, {"whoami"});
    EXPECT_EQ(stranger.exit_code, 4) << stranger.err;
    const auto without = as({}, {"whoami"});
    EXPECT_EQ(without.exit_code, 3) << without.err;

    // A login that leaks is of no use behind somebody else's certificate.
    const auto token = first_line(as(bobs, {"login"}).out);
    auto stolen =
        sallyport({"whoami", "--ca", ca.certificate(), "--certificate", strangers.certificate,
                   "--key", strangers.key},
                  {{"SALLYPORT_URL", "https://localhost:" + std::to_string(proxy->admin_port())},
                   {"SALLYPORT_TOKEN", token}});
    EXPECT_EQ(stolen.exit_code, 4) << stolen.out << stolen.err;
}

TEST_F(api_access, whoever_asks_too_often_is_told_to_wait) {
    options.admin_more = "rate: { person: 1, address: 1000, event_streams: 2 }";
    start();
    const auto token = token_of("bob");

    http_response last;
    for (int i = 0; i < 30 && last.status != 429; ++i)
        last = with(token, "GET", "/api/v1/me");

    EXPECT_EQ(last.status, 429) << last.body;
    EXPECT_EQ(last.headers.at("retry-after"), "1");
    EXPECT_EQ(send("carol", "GET", "/api/v1/me").status, 200) << "another person is not affected";
}

}  // namespace
}  // namespace sallyport::tests
