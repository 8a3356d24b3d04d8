#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// The HTTP API and the tools that need no proxy.
namespace sallyport::tests {
namespace {

class admin : public e2e {
  protected:
    [[nodiscard]] http_response plain(const std::string& method, const std::string& path,
                                      const http_headers& headers = {},
                                      std::string_view body = {}) const {
        return http_request(proxy->admin_port(), method, path, headers, body);
    }
};

TEST_F(admin, health_and_readiness_answer_without_a_login) {
    start();

    EXPECT_EQ(plain("GET", "/healthz").status, 200);
    EXPECT_EQ(plain("GET", "/readyz").status, 200);
}

TEST_F(admin, page_is_served_to_browsers_compressed_and_once) {
    start();

    const auto page = plain("GET", "/", {{"Accept", "text/html"}, {"Accept-Encoding", "gzip"}});
    EXPECT_EQ(page.status, 200);
    EXPECT_EQ(page.body.substr(0, 2), "\x1f\x8b");
    EXPECT_NE(page.headers.at("content-security-policy").find("script-src 'self'"),
              std::string::npos);

    const auto again =
        plain("GET", "/", {{"Accept", "text/html"}, {"If-None-Match", page.headers.at("etag")}});
    EXPECT_EQ(again.status, 304);
    EXPECT_EQ(again.body, "");
    EXPECT_EQ(plain("GET", "/").body.substr(0, 10), "Sallyport ");
}

TEST_F(admin, everything_else_asks_for_a_login) {
    start();

    for (const char* path : {"/api/v1/holds", "/api/v1/opt-outs", "/api/v1/sessions",
                             "/api/v1/audit", "/api/v1/rules", "/api/v1/events"})
        EXPECT_EQ(plain("GET", path).status, 401) << path;
    EXPECT_EQ(plain("POST", "/api/v1/holds/1/approve", {{"Content-Type", "application/json"}}, "{}")
                  .status,
              401);
}

TEST_F(admin, wrong_password_and_unknown_user_get_the_same_answer) {
    start();
    admin_session a(proxy->admin_port());

    const auto wrong = a.login("bob", "wrong");
    const auto unknown = a.login("mallory", "wrong");

    EXPECT_EQ(wrong.status, 401);
    EXPECT_EQ(unknown.status, 401);
    EXPECT_EQ(wrong.body, unknown.body);
    EXPECT_TRUE(eventually([&] { return audit_records("admin.login_refused").size() == 2; }));
}

TEST_F(admin, many_wrong_passwords_are_slowed_down_with_429) {
    start();
    admin_session a(proxy->admin_port());

    int status = 0;
    for (int i = 0; i < 40 && status != 429; ++i)
        status = a.login("bob", "wrong").status;

    EXPECT_EQ(status, 429);
}

TEST_F(admin, post_with_the_cookie_but_without_the_token_is_refused) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");

    const auto r = api("bob").post_without_token("/api/v1/holds/" + std::to_string(id) + "/approve",
                                                 R"({"reason":"from elsewhere"})");

    EXPECT_EQ(r.status, 403) << r.body;
    EXPECT_EQ(state_of_hold(id), "pending");
}

TEST_F(admin, request_for_another_host_is_refused) {
    start();

    const auto r = plain("GET", "/api/v1/holds", {{"Origin", "https://evil.example"}});

    EXPECT_NE(r.status, 200);
}

TEST_F(admin, cookie_is_out_of_reach_for_scripts_and_other_sites) {
    start();
    admin_session a(proxy->admin_port());

    const auto cookie = a.login("bob", "bob-password").headers.at("set-cookie");

    EXPECT_NE(cookie.find("HttpOnly"), std::string::npos);
    EXPECT_NE(cookie.find("SameSite=Strict"), std::string::npos);
}

TEST_F(admin, malformed_bodies_are_400_and_harm_nothing) {
    start();

    for (const char* body : {"", "{", "[]", "null", "{\"rule\":7}", "{\"for\":\"-1h\"}",
                             "{\"surprise\":true}", "\xff\xfe"})
        EXPECT_EQ(api("alice").post("/api/v1/opt-outs", body).status / 100, 4) << body;
    EXPECT_EQ(plain("GET", "/healthz").status, 200);
}

TEST_F(admin, sessions_are_listed_and_killed_by_an_admin_only) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    const auto sessions = get("root", "/api/v1/sessions").at("sessions");
    ASSERT_EQ(sessions.size(), 1u) << sessions;
    const std::string path = "/api/v1/sessions/" + sessions[0].at("id").dump() + "/kill";

    EXPECT_EQ(api("alice").post(path, R"({"reason":"x"})").status, 403);
    post("root", path, {{"reason", "maintenance"}});

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "SP003");
}

TEST_F(admin, decisions_explain_without_running_anything) {
    start();

    const auto d =
        post("alice", "/api/v1/decisions", {{"on", "shop"}, {"sql", "select ssn from customers"}});

    EXPECT_EQ(d.value("effect", ""), "hold") << d;
    EXPECT_EQ(d.value("rule", ""), "pii-needs-approval") << d;
}

TEST_F(admin, developer_does_not_see_the_statements_of_others) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    static_cast<void>(pending_hold_of("alice"));

    const auto seen = api("dba").get("/api/v1/holds?state=pending");

    EXPECT_EQ(seen.body.find("ssn"), std::string::npos) << seen.body;
}

TEST_F(admin, event_stream_announces_a_hold) {
    start();
    admin_session bob(proxy->admin_port());
    const auto login = nlohmann::json::parse(bob.login("bob", "bob-password").body);
    const auto socket = tcp_socket::connect(proxy->admin_port());
    socket.send_all(
        "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(proxy->admin_port()) +
        "\r\nAuthorization: Bearer " + login.at("token").get<std::string>() + "\r\n\r\n");
    std::string seen = socket.receive(4096);
    ASSERT_NE(seen.find("text/event-stream"), std::string::npos) << seen;

    auto c = client_as("alice");
    c.send(wire::query(held_sql));

    while (seen.find("hold") == std::string::npos)
        seen += socket.receive(4096);
    EXPECT_NE(seen.find("data:"), std::string::npos) << seen;
}

TEST_F(admin, cli_says_which_login_is_missing) {
    start();

    const auto r =
        run({.argv = {sallyport_binary(), "holds", "--user", "bob"},
             .env = {{"SALLYPORT_URL", "http://127.0.0.1:" + std::to_string(proxy->admin_port())},
                     {"SALLYPORT_PASSWORD", "wrong"}}});

    EXPECT_EQ(r.exit_code, 4) << r.out << r.err;
    EXPECT_FALSE(r.err.empty());
}

TEST_F(admin, cli_says_when_nobody_is_there) {
    const auto r =
        run({.argv = {sallyport_binary(), "holds", "--user", "bob"},
             .env = {{"SALLYPORT_URL", "http://127.0.0.1:" + std::to_string(free_port())},
                     {"SALLYPORT_PASSWORD", "x"}}});

    EXPECT_EQ(r.exit_code, 3) << r.out << r.err;
    EXPECT_NE(r.err.find("127.0.0.1"), std::string::npos) << r.err;
}

TEST_F(admin, cli_takes_who_and_where_before_the_command_too) {
    start();
    const auto ask = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), sallyport_binary());
        return run(
            {.argv = std::move(arguments),
             .env = {{"SALLYPORT_URL", "http://127.0.0.1:" + std::to_string(proxy->admin_port())},
                     {"SALLYPORT_PASSWORD", "bob-password"}}});
    };

    const auto before = ask({"--user", "bob", "--json", "whoami"});
    EXPECT_EQ(before.exit_code, 0) << before.err;
    EXPECT_NE(before.out.find("\"bob\""), std::string::npos) << before.out;

    const auto elsewhere = ask({"--user", "bob", "check"});
    EXPECT_EQ(elsewhere.exit_code, 2);
    EXPECT_NE(elsewhere.err.find("--user"), std::string::npos) << elsewhere.err;
}

TEST_F(admin, cli_prints_json_for_programs) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");

    const auto printed = nlohmann::json::parse(cli("bob", {"holds", "--json"}), nullptr, false);

    EXPECT_NE(printed.dump().find("\"id\":" + std::to_string(id)), std::string::npos) << printed;
}

TEST_F(admin, cli_lists_sessions_for_an_admin) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");

    EXPECT_NE(cli("root", {"sessions"}).find("alice"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tests
