#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/eventually.h"
#include "tests/support/http_client.h"
#include "tests/support/postgres_server.h"
#include "tests/support/proxy_process.h"
#include "tests/support/psql_session.h"
#include "tests/support/wire_client.h"

/// What every end-to-end test starts from.
namespace sallyport::tests {

/// A sallyport in front of the shared PostgreSQL, with a database of the test's own behind the
/// targets `shop` and `hr`. Use: set `options` if the test is about one, start(), act.
class e2e : public testing::Test {
  protected:
    e2e();
    ~e2e() override;

    void start();
    void start_with_policy(const std::string& policy) {
        options.policy = policy;
        start();
    }

    [[nodiscard]] psql_options psql_as(const std::string& user,
                                       const std::string& target = "shop") const;
    [[nodiscard]] login_options login_as(const std::string& user,
                                         const std::string& target = "shop") const;
    /// A wire client that is logged in.
    [[nodiscard]] wire_client client_as(const std::string& user,
                                        const std::string& target = "shop") const;

    /// The admin API as `user`, logged in once per run of the proxy.
    [[nodiscard]] admin_session& api(const std::string& user) const;
    /// GET that must be answered with 200; its JSON.
    [[nodiscard]] nlohmann::json get(const std::string& user, const std::string& path) const;
    /// POST that must be answered with 2xx; its JSON.
    nlohmann::json post(const std::string& user, const std::string& path,
                        const nlohmann::json& body) const;
    /// A subcommand as `user` that must succeed; its output.
    std::string cli(const std::string& user, std::vector<std::string> arguments) const;
    /// The pending hold of `user`, waited for; 0 if none came.
    [[nodiscard]] std::uint64_t pending_hold_of(const std::string& user,
                                                const std::string& reader = "bob") const;
    /// Holds in a state, as `reader` sees them.
    [[nodiscard]] nlohmann::json holds(const std::string& state,
                                       const std::string& reader = "bob") const;
    [[nodiscard]] std::string state_of_hold(std::uint64_t id,
                                            const std::string& reader = "bob") const;
    [[nodiscard]] bool hold_becomes(std::uint64_t id, const std::string& state) const;
    void approve(std::uint64_t id, const std::string& user = "bob",
                 const std::string& pass = "statement") const;
    void deny(std::uint64_t id, const std::string& reason, const std::string& user = "bob") const;

    /// Requests an opt-out as alice; its number.
    [[nodiscard]] std::uint64_t request_opt_out(
        const std::string& duration = "2h", const std::string& rule = "pii-needs-approval") const;
    /// … and approves it as bob.
    [[nodiscard]] std::uint64_t active_opt_out(
        const std::string& duration = "2h", const std::string& rule = "pii-needs-approval") const;
    [[nodiscard]] std::string state_of_opt_out(std::uint64_t id) const;
    [[nodiscard]] bool opt_out_becomes(std::uint64_t id, const std::string& state) const;

    /// Every record of the audit log on disk, in order.
    [[nodiscard]] std::vector<nlohmann::json> audit_records() const;
    [[nodiscard]] std::vector<nlohmann::json> audit_records(const std::string& event) const;
    [[nodiscard]] command_result verify_audit() const;

    /// As the superuser, straight to PostgreSQL, in this test's database.
    std::string direct(const std::string& sql) const { return server.query(database, sql); }
    /// Upstream sessions of the proxy in this test's database.
    [[nodiscard]] int upstream_sessions() const;

    postgres_server& server = postgres_server::shared();
    std::string database = server.create_shop();
    proxy_options options;
    std::unique_ptr<proxy_process> proxy;

  private:
    mutable std::map<std::string, admin_session> logins_;
};

/// What the tests hold: a read of columns that the example policy calls sensitive.
inline constexpr const char* held_sql = "SELECT ssn FROM customers WHERE id = 1";
inline constexpr const char* held_value = "111-11-1111";

}  // namespace sallyport::tests
