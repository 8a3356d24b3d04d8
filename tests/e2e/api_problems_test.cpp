#include <filesystem>
#include <functional>

#include <gtest/gtest.h>

#include "tests/e2e/api_fixture.h"

/// Every error that the document of the API names, from the running proxy.
namespace sallyport::tests {
namespace {

using nlohmann::json;

class api_problems : public described_api {
  protected:
    /// The answer must be this problem, and documented for the operation unless that is "".
    void expect_problem(const std::string& kind, const http_response& answer,
                        const std::string& operation = {}) {
        EXPECT_EQ(type_of(answer), kind) << answer.status << " " << answer.body;
        const auto& about = document->raw().at("x-sallyport-problems");
        const auto type = "urn:sallyport:problem:" + kind;
        ASSERT_TRUE(about.contains(type)) << kind;
        // The Host that names another machine has a status of its own.
        if (answer.status != 421) {
            EXPECT_EQ(about.at(type).at("status"), answer.status) << kind;
        }
        const auto body = json::parse(answer.body, nullptr, false);
        const auto& schema = document->schema(kind == "reload" ? "ReloadRefused" : "Problem");
        EXPECT_EQ(document->check(schema, body), std::vector<std::string>()) << answer.body;
        EXPECT_EQ(answer.headers.count("content-type") ? answer.headers.at("content-type") : "",
                  "application/problem+json");
        if (!operation.empty()) {
            const auto space = operation.find(' ');
            EXPECT_EQ(
                document->check(operation.substr(0, space), operation.substr(space + 1), answer),
                std::vector<std::string>());
        }
        provoked.insert(kind);
    }

    [[nodiscard]] std::string line(const std::string& request, const std::string& more = {}) const {
        return request + " HTTP/1.1\r\nHost: localhost:" + std::to_string(proxy->admin_port()) +
               "\r\n" + more + "\r\n";
    }

    void provoke_bytes() {
        expect_problem("http", raw("this is no request\r\n\r\n"), "GET /api/v1/me");
        expect_problem("host", raw("GET /api/v1/me HTTP/1.1\r\n\r\n"), "GET /api/v1/me");
        expect_problem("host", raw("GET /api/v1/me HTTP/1.1\r\nHost: evil.example\r\n\r\n"),
                       "GET /api/v1/me");
        expect_problem("target", raw(line("GET /api/v1/me?x=%zz")), "GET /api/v1/me");
        expect_problem("header-too-large",
                       raw(line("GET /api/v1/me", "X-A: " + std::string(20'000, 'a') + "\r\n")),
                       "GET /api/v1/me");
        expect_problem("body-too-large",
                       raw(line("POST /api/v1/flags", "Content-Length: 2000000\r\n")),
                       "POST /api/v1/flags");
        expect_problem("no-route", send("alice", "GET", "/api/v1/nothing"));
        expect_problem("method", send("alice", "PUT", "/api/v1/holds"));
        expect_problem("media-type",
                       http_request(proxy->admin_port(), "POST", "/api/v1/flags",
                                    {{"Authorization", "Bearer " + token_of("mona")},
                                     {"Content-Type", "text/plain"}},
                                    "{}"),
                       "POST /api/v1/flags");
    }

    void provoke_access() {
        const std::string login = "/api/v1/login";
        expect_problem("login", send("", "POST", login, R"({"user":"alice","password":"wrong"})"),
                       "POST " + login);
        expect_problem("not-logged-in", send("", "GET", "/api/v1/me"), "GET /api/v1/me");
        expect_problem(
            "origin",
            send("bob", "POST", "/api/v1/reload", "{}", {{"Origin", "https://evil.example"}}),
            "POST /api/v1/reload");
        expect_problem("role", send("alice", "POST", "/api/v1/reload", "{}"),
                       "POST /api/v1/reload");
        expect_problem("csrf", api("root").post_without_token("/api/v1/reload", "{}"),
                       "POST /api/v1/reload");
        http_response slowed;
        for (int i = 0; i < 40 && slowed.status != 429; ++i)
            slowed = send("", "POST", login, R"({"user":"dave","password":"wrong"})");
        expect_problem("too-many-logins", slowed, "POST " + login);
        EXPECT_TRUE(slowed.headers.count("retry-after"));
    }

    void provoke_requests() {
        expect_problem("query", send("bob", "GET", "/api/v1/holds?stat=pending"),
                       "GET /api/v1/holds");
        expect_problem("body", send("bob", "POST", "/api/v1/opt-outs", R"({"rul":"x"})"),
                       "POST /api/v1/opt-outs");
        expect_problem("not-found", send("bob", "GET", "/api/v1/holds/999999"),
                       "GET /api/v1/holds/{id}");
        expect_problem(
            "invalid",
            send("alice", "POST", "/api/v1/opt-outs",
                 R"({"rule":"pii-needs-approval","for":"40d","reason":"x","ticket":"INC-1"})"),
            "POST /api/v1/opt-outs");
    }

    void provoke_votes() {
        auto c = client_as("bob");
        c.send(wire::query(held_sql));
        const auto at = "/api/v1/holds/" + std::to_string(pending_hold_of("bob", "carol"));
        const auto as_documented = "POST /api/v1/holds/{id}/approve";
        expect_problem("forbidden", send("bob", "POST", at + "/approve", "{}"), as_documented);
        EXPECT_EQ(send("carol", "POST", at + "/approve", "{}").status, 200);
        static_cast<void>(c.read_exchange());
        expect_problem("conflict", send("carol", "POST", at + "/approve", "{}"), as_documented);
    }

    void provoke_streams() {
        std::vector<tcp_socket> open;
        const auto one_more = [&](const std::string& user) {
            open.push_back(tcp_socket::connect(proxy->admin_port()));
            open.back().send_all(
                line("GET /api/v1/events", "Authorization: Bearer " + token_of(user) + "\r\n"));
            return read_answer(open.back());
        };
        http_response answer;
        for (int i = 0; i < 100 && answer.status != 429; ++i)
            answer = one_more("erin");
        expect_problem("too-many-streams", answer, "GET /api/v1/events");
        for (const auto* user :
             {"alice", "bob", "carol", "dave", "dba", "root", "mona", "otto", "alice"})
            for (int i = 0; i < 8 && answer.status != 503; ++i)
                answer = one_more(user);
        expect_problem("busy", answer, "GET /api/v1/events");
    }

    void provoke_scopes_and_rates() {
        const auto made = send("alice", "POST", "/api/v1/tokens",
                               R"({"name":"x","scopes":["see-holds"],"for":"1h"})");
        const http_headers token{
            {"Authorization", "Bearer " + json::parse(made.body).at("token").get<std::string>()}};
        expect_problem("scope", http_request(proxy->admin_port(), "GET", "/api/v1/rules", token),
                       "GET /api/v1/rules");
        http_response answer;
        for (int i = 0; i < 3000 && answer.status != 429; ++i)
            answer = http_request(proxy->admin_port(), "GET", "/api/v1/holds", token);
        expect_problem("too-many-requests", answer, "GET /api/v1/holds");
    }

    void provoke_trouble() {
        const auto away = proxy->audit_directory() + ".away";
        std::filesystem::rename(proxy->audit_directory(), away);
        expect_problem("unavailable", send("otto", "GET", "/api/v1/audit"), "GET /api/v1/audit");
        std::filesystem::rename(away, proxy->audit_directory());
        proxy->set_policy("version: 1\ndefault: perhaps\n");
        expect_problem("reload", send("root", "POST", "/api/v1/reload", "{}"),
                       "POST /api/v1/reload");
    }

    std::set<std::string> provoked;
};

TEST_F(api_problems, each_documented_one_is_provoked) {
    options.admin_more = "rate: { person: 30 }";
    start_described();

    provoke_bytes();
    provoke_requests();
    provoke_votes();
    provoke_streams();
    provoke_scopes_and_rates();
    provoke_trouble();
    provoke_access();

    // What only a fault of the machine brings, whose form unit tests show; and what only Slack
    // is told (notify_test.cpp).
    const std::set<std::string> out_of_reach{"failure", "timeout", "signature"};
    for (const auto& kind : document->problems())
        EXPECT_EQ(provoked.count(kind), out_of_reach.count(kind) ? 0U : 1U) << kind;
}

}  // namespace
}  // namespace sallyport::tests
