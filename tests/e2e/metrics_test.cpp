#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// What a scrape finds, after things have happened.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class metrics : public e2e {
  protected:
    metrics() {
        options.targets["shop"].more =
            "    catalog: { user: sallyport_catalog, password_file: secrets/sallyport_catalog, "
            "interval: 100ms }\n";
    }
    [[nodiscard]] std::string scrape() const {
        const auto r = http_request(proxy->admin_port(), "GET", "/metrics");
        EXPECT_EQ(r.status, 200);
        return r.body;
    }
    /// The value of one series as it is written, labels included; -1: there is none.
    [[nodiscard]] double value(const std::string& series) const {
        std::istringstream lines(scrape());
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
        return -1;
    }
    [[nodiscard]] bool becomes(const std::string& series, double wanted) const {
        const bool did = eventually([&] { return value(series) == wanted; });
        if (!did) ADD_FAILURE() << series << " is " << value(series) << ", not " << wanted;
        return did;
    }
    [[nodiscard]] static std::string statements(const std::string& effect,
                                                const std::string& rule) {
        return "sallyport_statements_total{effect=\"" + effect + "\",rule=\"" + rule + "\"}";
    }
};

TEST_F(metrics, statements_count_by_what_became_of_them) {
    start();
    auto c = client_as("alice");
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(c.ask("SELECT " + std::to_string(i)).sqlstate(), "");
    EXPECT_TRUE(becomes(statements("allow", "default"), 3));
    EXPECT_EQ(c.ask("CREATE TABLE t (i int)").sqlstate(), "42501");
    EXPECT_TRUE(becomes(statements("deny", "no-ddl-outside-dba"), 1));

    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");
    EXPECT_TRUE(becomes(statements("hold", "pii-needs-approval"), 1));
    EXPECT_EQ(value("sallyport_holds_waiting"), 1);
    EXPECT_TRUE(eventually([&] { return value("sallyport_holds_oldest_seconds") > 0; }));
    approve(id);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_TRUE(becomes(statements("pass", "pii-needs-approval"), 1));
    EXPECT_EQ(value("sallyport_holds_waiting"), 0);
    EXPECT_EQ(value("sallyport_holds_oldest_seconds"), 0);
    EXPECT_EQ(value("sallyport_holds_ended_total{state=\"approved\"}"), 1);
    EXPECT_EQ(value("sallyport_hold_decision_seconds_count"), 1);
    EXPECT_GE(value("sallyport_hold_decision_seconds_bucket{le=\"+Inf\"}"), 1);

    static_cast<void>(active_opt_out());
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_TRUE(becomes(statements("bypass", "pii-needs-approval"), 1));
    EXPECT_EQ(value("sallyport_bypasses_total"), 1);
    EXPECT_EQ(value("sallyport_opt_outs_live"), 1);
    EXPECT_EQ(value("sallyport_break_glass_total"), 0);
    EXPECT_EQ(value("sallyport_reviews_overdue"), 0);
}

TEST_F(metrics, prepared_statement_counts_once_per_execution) {
    start();
    auto c = client_as("alice");
    using namespace wire;
    c.send(parse("s", "SELECT $1::int") + bind("", "s", {"1"}) + execute("") +
           bind("", "s", {"2"}) + execute("") + sync());
    EXPECT_EQ(c.read_exchange().rows.size(), 2u);
    EXPECT_TRUE(becomes(statements("allow", "default"), 2));
}

TEST_F(metrics, client_that_does_not_wait_is_counted_as_refused) {
    start();
    auto who = login_as("alice");
    who.more = {{"options", "-c sallyport.on_hold=refuse"}};
    wire_client c(proxy->port());
    c.login(who);
    EXPECT_EQ(c.ask(held_sql).sqlstate(), "SP001");
    EXPECT_TRUE(becomes(statements("refuse", "pii-needs-approval"), 1));
    EXPECT_EQ(value(statements("hold", "pii-needs-approval")), -1);
}

TEST_F(metrics, bytes_sessions_logins_caches_and_processors_are_there) {
    start();
    EXPECT_EQ(value("sallyport_bytes_total{peer=\"server\",direction=\"in\"}"), 0);
    {
        auto c = client_as("alice");
        const auto answer = c.ask("SELECT repeat('x', 100000)");
        EXPECT_EQ(answer.rows.at(0).at(0).value_or("").size(), 100'000u);
        EXPECT_EQ(c.ask("SELECT 1").sqlstate(), "");
        EXPECT_EQ(c.ask("SELECT 2").sqlstate(), "");
        EXPECT_EQ(value("sallyport_sessions_begun_total"), 1);
    }
    for (const auto* direction : {"in", "out"})
        for (const auto* peer : {"client", "server"})
            EXPECT_GT(
                value("sallyport_bytes_total{peer=\"" + std::string(peer) + "\",direction=\"" +
                      direction + "\"}"),
                (std::string(peer) == "server") == (std::string(direction) == "in") ? 100'000 : 20);
    EXPECT_EQ(value("sallyport_logins_total{result=\"accepted\"}"), 1);
    wire_client stranger(proxy->port());
    auto wrong = login_as("alice");
    wrong.password = "not hers";
    EXPECT_ANY_THROW(stranger.login(wrong));
    EXPECT_TRUE(becomes("sallyport_logins_total{result=\"refused\"}", 1));
    EXPECT_GE(value("sallyport_template_cache_lookups_total{result=\"hit\"}"), 1);
    EXPECT_GE(value("sallyport_template_cache_lookups_total{result=\"miss\"}"), 2);
    EXPECT_GE(value("sallyport_workers"), 1);
    EXPECT_GT(value("sallyport_worker_cpu_seconds_total{worker=\"0\"}"), 0);
    EXPECT_EQ(value("sallyport_upstream_up{target=\"shop\"}"), 1);
    EXPECT_TRUE(eventually([&] { return value("sallyport_audit_records_total") > 0; }));
    EXPECT_GT(value("sallyport_store_seconds_count") + 1, 0);
    EXPECT_EQ(value("sallyport_audit_up"), 1);
    EXPECT_TRUE(becomes("sallyport_audit_lag_seconds", 0));
}

TEST_F(metrics, server_that_cannot_be_reached_is_counted_by_its_target) {
    options.targets["hr"].port = 1;
    start_with_policy("version: 1\ndefault: allow\nopaque: allow\n");
    EXPECT_EQ(value("sallyport_upstream_up{target=\"hr\"}"), -1);
    EXPECT_ANY_THROW(client_as("alice", "hr"));
    EXPECT_TRUE(becomes("sallyport_upstream_up{target=\"hr\"}", 0));
    EXPECT_EQ(value("sallyport_upstream_errors_total{target=\"hr\",kind=\"login\"}"), 1);
}

TEST_F(metrics, many_rules_do_not_make_many_series) {
    std::string policy = "version: 1\ndefault: allow\nopaque: allow\nrules:\n";
    for (int i = 0; i < 400; ++i) {
        const auto n = std::to_string(i);
        policy += "  - { id: rule-" + n + ", tier: 10, on: [table-" + n +
                  "], do: [read], effect: deny }\n";
    }
    policy += "resources:\n";
    for (int i = 0; i < 400; ++i) {
        const auto n = std::to_string(i);
        policy += "  table-" + n + ": { target: shop, relations: [public.t" + n + "] }\n";
    }
    options.targets["shop"].more.clear();
    options.more = "workers: 1\n";
    start_with_policy(policy);
    auto c = client_as("alice");
    for (int i = 0; i < 400; ++i)
        EXPECT_EQ(c.ask("SELECT * FROM public.t" + std::to_string(i)).sqlstate(), "42501");
    const auto all = scrape();
    std::size_t series = 0;
    for (auto at = all.find("\nsallyport_statements_total{"); at != std::string::npos;
         at = all.find("\nsallyport_statements_total{", at + 1))
        ++series;
    EXPECT_LE(series, 256u);
    EXPECT_EQ(value(statements("deny", "(other)")) + static_cast<double>(series) - 1, 400);
}

TEST_F(metrics, chain_that_somebody_breaks_is_noticed_by_the_proxy_itself) {
    start();
    auto config = read_file(proxy->config_path());
    const std::string key = "signing_key: var/audit.key";
    config.insert(config.find(key) + key.size(), ", verify_interval: 1s");
    write_file(proxy->config_path(), config, 0644);
    proxy->restart();
    EXPECT_TRUE(becomes("sallyport_audit_chain_ok", 1));
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("CREATE TABLE t (i int)").sqlstate(), "42501");
    ASSERT_TRUE(eventually([&] { return !audit_records("decision.denied").empty(); }));
    for (const auto& entry : std::filesystem::directory_iterator(proxy->audit_directory())) {
        if (entry.path().extension() != ".jsonl") continue;
        std::fstream file(entry.path(), std::ios::in | std::ios::out);
        std::stringstream text;
        text << file.rdbuf();
        const auto at = text.str().find("no-ddl-outside-dba");
        if (at == std::string::npos) continue;
        file.clear();
        file.seekp(static_cast<std::streamoff>(at));
        file << "xx";
    }
    EXPECT_TRUE(becomes("sallyport_audit_chain_ok", 0));
    EXPECT_TRUE(
        eventually([&] { return proxy->log().find("chain is broken") != std::string::npos; }));
    EXPECT_THAT(proxy->log(), HasSubstr("edited"));
}

TEST_F(metrics, text_is_well_formed_and_tells_no_names_of_people) {
    start();
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("SELECT 'a \"quoted\" secret'").sqlstate(), "");
    EXPECT_THAT(scrape(), Not(HasSubstr("alice")));
    EXPECT_THAT(scrape(), Not(HasSubstr("secret")));
}

}  // namespace
}  // namespace sallyport::tests
