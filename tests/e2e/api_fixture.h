#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "tests/e2e/fixture.h"
#include "tests/support/api_document.h"
#include "tests/support/sockets.h"

/// What the tests of the API's contract start from.
namespace sallyport::tests {

/// A proxy with somebody in every role (alice has none, bob approves, mona monitors, otto audits,
/// root is admin), whose answers are checked against the document that it serves.
class described_api : public e2e {
  protected:
    described_api() {
        for (const auto& [name, group] : {std::pair{"mona", "watch"}, std::pair{"otto", "audit"}})
            options.users[name] =
                "{ scram: \"" + verifier_of(name) + "\", groups: [" + std::string(group) + "] }";
        options.roles =
            "{ admin: { groups: [admin] }, auditor: { groups: [audit] }, monitor: { groups: "
            "[watch] } }";
    }

    void start_described() {
        start();
        const auto answer = send("", "GET", "/api/v1/openapi.json");
        ASSERT_EQ(answer.status, 200);
        document = std::make_unique<api_document>(nlohmann::json::parse(answer.body));
    }

    /// A request with the bearer token of `user`; "": nobody's.
    [[nodiscard]] http_response send(const std::string& user, const std::string& method,
                                     const std::string& path, const std::string& body = {},
                                     http_headers headers = {}) const {
        if (method == "POST") headers.emplace_back("Content-Type", "application/json");
        if (!user.empty()) headers.emplace_back("Authorization", "Bearer " + token_of(user));
        if (path == "/api/v1/events") return first_of_stream(headers);
        return http_request(proxy->admin_port(), method, path, headers, body);
    }

    /// The same, and the answer must be as the document says of `operation`, such as
    /// "POST /api/v1/holds/{id}/approve".
    http_response asked(const std::string& user, const std::string& operation,
                        const std::string& path, const nlohmann::json& body = nullptr) {
        const auto method = operation.substr(0, operation.find(' '));
        const auto pattern = operation.substr(operation.find(' ') + 1);
        auto answer = send(user, method, path, body.is_null() ? "" : body.dump());
        for (const auto& fault : document->check(method, pattern, answer))
            ADD_FAILURE() << fault;
        if (answer.status < 300) answered.insert(operation);
        return answer;
    }

    [[nodiscard]] std::string token_of(const std::string& user) const {
        auto& token = tokens_[user];
        if (!token.empty()) return token;
        const nlohmann::json body{{"user", user}, {"password", user + "-password"}};
        const auto answer = http_request(proxy->admin_port(), "POST", "/api/v1/login",
                                         {{"Content-Type", "application/json"}}, body.dump());
        EXPECT_EQ(answer.status, 200) << user << ": " << answer.body;
        if (answer.status == 200)
            token = nlohmann::json::parse(answer.body).at("token").get<std::string>();
        return token;
    }
    void forget_login(const std::string& user) const { tokens_.erase(user); }

    /// The bytes as they are; status and body of the answer.
    [[nodiscard]] http_response raw(const std::string& bytes) const {
        const auto socket = tcp_socket::connect(proxy->admin_port());
        socket.send_all(bytes);
        return read_answer(socket);
    }

    [[nodiscard]] static std::string verifier_of(const std::string& user);
    [[nodiscard]] static std::string type_of(const http_response& answer) {
        const auto body = nlohmann::json::parse(answer.body, nullptr, false);
        const auto type = body.is_object() ? body.value("type", "") : std::string();
        return type.substr(type.rfind(':') + 1);
    }
    [[nodiscard]] static http_response read_answer(const tcp_socket& socket);
    [[nodiscard]] http_response first_of_stream(const http_headers& headers) const;

    std::unique_ptr<api_document> document;
    std::set<std::string> answered;  ///< operations that were carried out at least once

  private:
    mutable std::map<std::string, std::string> tokens_;
};

}  // namespace sallyport::tests
