#include "tests/e2e/fixture.h"

#include <algorithm>
#include <filesystem>
#include <sstream>

#include <nlohmann/json.hpp>

namespace sallyport::tests {
namespace {

using nlohmann::json;

json parsed(const std::string& text) {
    return json::parse(text, nullptr, false);
}

}  // namespace

e2e::e2e() {
    options.targets["shop"] = {.port = server.port(), .dbname = database};
    options.targets["hr"] = {.port = server.port(), .dbname = database};
}

e2e::~e2e() {
    proxy.reset();
    server.drop_database(database);
}

void e2e::start() {
    proxy = std::make_unique<proxy_process>(options);
    proxy->start();
}

psql_options e2e::psql_as(const std::string& user, const std::string& target) const {
    return {
        .port = proxy->port(), .user = user, .password = user + "-password", .database = target};
}

login_options e2e::login_as(const std::string& user, const std::string& target) const {
    return {
        .port = proxy->port(), .user = user, .password = user + "-password", .database = target};
}

wire_client e2e::client_as(const std::string& user, const std::string& target) const {
    wire_client c(proxy->port());
    c.login(login_as(user, target));
    return c;
}

std::string e2e::cli(const std::string& user, std::vector<std::string> arguments) const {
    std::string line;
    for (const auto& a : arguments)
        line += " " + a;
    const auto result = proxy->cli(user, std::move(arguments));
    EXPECT_EQ(result.exit_code, 0) << user << ": sallyport" << line << "\n"
                                   << result.out << result.err;
    return result.out;
}

admin_session& e2e::api(const std::string& user) const {
    auto it = logins_.find(user);
    if (it != logins_.end() && it->second.get("/api/v1/me").status == 200) return it->second;
    if (it == logins_.end()) it = logins_.emplace(user, admin_session(proxy->admin_port())).first;
    const auto answer = it->second.login(user, user + "-password");
    EXPECT_EQ(answer.status, 200) << user << " cannot log in: " << answer.body;
    return it->second;
}

json e2e::get(const std::string& user, const std::string& path) const {
    const auto answer = api(user).get(path);
    EXPECT_EQ(answer.status, 200) << path << " as " << user << ": " << answer.body;
    return parsed(answer.body);
}

json e2e::post(const std::string& user, const std::string& path, const json& body) const {
    const auto answer = api(user).post(path, body.dump());
    EXPECT_EQ(answer.status / 100, 2) << path << " as " << user << ": " << answer.body;
    return parsed(answer.body);
}

json e2e::holds(const std::string& state, const std::string& reader) const {
    const json answer = get(reader, "/api/v1/holds?state=" + state);
    return answer.is_object() ? answer.value("holds", json::array()) : json::array();
}

std::uint64_t e2e::pending_hold_of(const std::string& user, const std::string& reader) const {
    std::uint64_t id = 0;
    const bool came = eventually([&] {
        for (const auto& h : holds("pending", reader)) {
            if (h.value("user", "") == user) id = h.at("id").get<std::uint64_t>();
        }
        return id != 0;
    });
    EXPECT_TRUE(came) << "no hold of " << user << " is pending for " << reader;
    return id;
}

std::string e2e::state_of_hold(std::uint64_t id, const std::string& reader) const {
    return get(reader, "/api/v1/holds/" + std::to_string(id)).value("state", "absent");
}

bool e2e::hold_becomes(std::uint64_t id, const std::string& state) const {
    return eventually([&] { return state_of_hold(id) == state; });
}

void e2e::approve(std::uint64_t id, const std::string& user, const std::string& pass) const {
    post(user, "/api/v1/holds/" + std::to_string(id) + "/approve",
         {{"reason", "agreed"}, {"pass", pass}});
}

void e2e::deny(std::uint64_t id, const std::string& reason, const std::string& user) const {
    post(user, "/api/v1/holds/" + std::to_string(id) + "/deny", {{"reason", reason}});
}

std::uint64_t e2e::request_opt_out(const std::string& duration, const std::string& rule) const {
    const json answer = post(
        "alice", "/api/v1/opt-outs",
        {{"rule", rule}, {"for", duration}, {"reason", "checkout is down"}, {"ticket", "INC-1"}});
    EXPECT_TRUE(answer.is_object() && answer.contains("id")) << answer;
    return answer.is_object() ? answer.value("id", std::uint64_t{0}) : 0;
}

std::uint64_t e2e::active_opt_out(const std::string& duration, const std::string& rule) const {
    const auto id = request_opt_out(duration, rule);
    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/approve", {{"reason", "on call"}});
    return id;
}

std::string e2e::state_of_opt_out(std::uint64_t id) const {
    return get("bob", "/api/v1/opt-outs/" + std::to_string(id)).value("state", "absent");
}

bool e2e::opt_out_becomes(std::uint64_t id, const std::string& state) const {
    return eventually([&] { return state_of_opt_out(id) == state; });
}

std::vector<json> e2e::audit_records() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(proxy->audit_directory())) {
        if (entry.path().extension() == ".jsonl") paths.push_back(entry.path());
    }
    std::sort(paths.begin(), paths.end());
    std::vector<json> records;
    for (const auto& path : paths) {
        std::istringstream lines(read_file(path));
        std::string line;
        while (std::getline(lines, line)) {
            auto record = json::parse(line, nullptr, false);
            if (record.is_object()) records.push_back(std::move(record));
        }
    }
    return records;
}

std::vector<json> e2e::audit_records(const std::string& event) const {
    auto records = audit_records();
    std::erase_if(records, [&](const json& r) { return r.value("event", "") != event; });
    return records;
}

command_result e2e::verify_audit() const {
    return proxy->run_tool(
        {"audit", "verify", proxy->audit_directory(), "--public-key", proxy->audit_public_key()});
}

int e2e::upstream_sessions() const {
    return std::stoi(
        server.query("postgres", "SELECT count(*) FROM pg_stat_activity WHERE datname = '" +
                                     database + "' AND usename <> 'postgres'"));
}

}  // namespace sallyport::tests
