#include <filesystem>
#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/sockets.h"
#include "tests/support/temp_dir.h"

/// The dashboard and the alert rules of config/prometheus, against Debian's own Prometheus.
namespace sallyport::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

std::string config_file(const std::string& name) {
    return SALLYPORT_SOURCE_DIR "/config/prometheus/" + name;
}

command_result promtool(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "promtool");
    return run({.argv = std::move(arguments)});
}

/// Our metrics' names, as a text has them: without what belongs to a histogram's series.
std::set<std::string> metric_names(const std::string& text) {
    static const std::regex name("sallyport_[a-z_]+");
    static const std::regex series("_(bucket|count|sum)$");
    std::set<std::string> all;
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at)
        all.insert(std::regex_replace(at->str(), series, ""));
    return all;
}

class prometheus : public e2e {
  protected:
    /// Everything that has no series before it has happened, happens.
    void make_history() {
        // Nobody listens there: what fails has its series, too.
        options.more =
            "notify: { url: \"https://sallyport.example\", channels: { ops: { command: "
            "[/bin/false] } } }\n"
            "telemetry: { otlp: { endpoint: \"http://127.0.0.1:9\" } }\n";
        options.targets["shop"].more =
            "    catalog: { user: sallyport_catalog, password_file: secrets/sallyport_catalog, "
            "interval: 100ms }\n";
        auto policy = example_policy();
        policy +=
            "  - { id: watched, tier: 5, observe: true, do: [read], effect: deny }\n"
            "  - { id: exempt, tier: 15, who: { users: [dave] }, on: [customer-pii], do: [read], "
            "effect: allow, reason: audit, review_by: " +
            next_month() + " }\n";
        start_with_policy(policy);
        auto c = client_as("alice");
        EXPECT_EQ(c.ask("SELECT count(*) FROM orders").sqlstate(), "");
        auto dave = client_as("dave");
        EXPECT_EQ(dave.ask("SELECT number FROM pii.cards").sqlstate(), "");
        EXPECT_TRUE(eventually([&] {
            return scrape().find("sallyport_audit_chain_ok 1") != std::string::npos &&
                   scrape().find("sallyport_catalog_up{target=\"shop\"} 1") != std::string::npos;
        }));
    }
    [[nodiscard]] std::string scrape() const {
        return http_request(proxy->admin_port(), "GET", "/metrics").body;
    }
    static std::string next_month() {
        const auto day = std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()) +
                         std::chrono::days(30);
        const std::chrono::year_month_day d(day);
        char text[32];
        std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(d.year()),
                      static_cast<unsigned>(d.month()), static_cast<unsigned>(d.day()));
        return text;
    }
};

TEST_F(prometheus, rules_are_well_formed_and_fire_when_they_must) {
    const auto checked = promtool({"check", "rules", config_file("sallyport.rules.yaml")});
    EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
    EXPECT_THAT(checked.out, HasSubstr("SUCCESS"));
    const auto tested = promtool({"test", "rules", config_file("sallyport.rules.test.yaml")});
    EXPECT_EQ(tested.exit_code, 0) << tested.out << tested.err;
}

TEST_F(prometheus, every_alert_has_a_case_that_fires) {
    const auto rules = read_file(config_file("sallyport.rules.yaml"));
    const auto cases = read_file(config_file("sallyport.rules.test.yaml"));
    static const std::regex alert("- alert: (\\w+)");
    std::size_t alerts = 0;
    for (std::sregex_iterator at(rules.begin(), rules.end(), alert), end; at != end; ++at) {
        ++alerts;
        const std::regex fires("alertname: " + at->str(1) + "\\s+exp_alerts:\\s+- exp_labels");
        EXPECT_TRUE(std::regex_search(cases, fires)) << at->str(1);
    }
    EXPECT_GE(alerts, 11u);
}

TEST_F(prometheus, what_the_proxy_tells_is_well_formed) {
    make_history();
    temp_dir dir("sallyport-scrape");
    write_file(dir.file("scrape"), scrape(), 0644);
    const auto checked =
        run({.argv = {"sh", "-c", "exec promtool check metrics < " + dir.file("scrape")}});
    EXPECT_EQ(checked.exit_code, 0) << checked.out << checked.err;
}

TEST_F(prometheus, dashboard_and_rules_speak_of_metrics_that_there_are) {
    make_history();
    const auto there = metric_names(scrape());
    for (const auto* file :
         {"grafana-dashboard.json", "sallyport.rules.yaml", "sallyport.rules.test.yaml"}) {
        const auto wanted = metric_names(read_file(config_file(file)));
        EXPECT_GE(wanted.size(), 10u) << file;
        for (const auto& name : wanted)
            EXPECT_TRUE(there.contains(name)) << file << " speaks of " << name;
    }
}

TEST_F(prometheus, dashboard_is_one) {
    const auto board = json::parse(read_file(config_file("grafana-dashboard.json")));
    EXPECT_EQ(board.at("uid"), "sallyport");
    std::set<int> ids;
    std::size_t queries = 0;
    for (const auto& panel : board.at("panels")) {
        EXPECT_TRUE(ids.insert(panel.at("id").get<int>()).second);
        const auto& place = panel.at("gridPos");
        EXPECT_LE(place.at("x").get<int>() + place.at("w").get<int>(), 24);
        if (panel.at("type") == "row") continue;
        EXPECT_FALSE(panel.at("targets").empty()) << panel.at("title");
        queries += panel.at("targets").size();
    }
    EXPECT_GE(queries, 30u);
}

/// A Prometheus of the test's own, on loopback, that scrapes the proxy.
class scraping : public prometheus {
  protected:
    void SetUp() override {
        make_history();
        write_file(dir_.file("prometheus.yaml"), example_for(proxy->admin_port()), 0644);
        std::filesystem::copy_file(config_file("sallyport.rules.yaml"),
                                   dir_.file("sallyport.rules.yaml"));
        port_ = free_port();
        server_ = std::make_unique<child_process>(
            command{.argv = {"prometheus", "--config.file=" + dir_.file("prometheus.yaml"),
                             "--storage.tsdb.path=" + dir_.file("data"),
                             "--web.listen-address=127.0.0.1:" + std::to_string(port_)}});
    }
    void TearDown() override {
        if (!server_) return;
        server_->signal(SIGTERM);
        EXPECT_TRUE(server_->wait_exit()) << server_->output();
    }
    /// The example configuration, for this proxy and quicker.
    static std::string example_for(std::uint16_t port) {
        auto text = read_file(config_file("prometheus.yaml"));
        text = std::regex_replace(text, std::regex("127\\.0\\.0\\.1:6480"),
                                  "127.0.0.1:" + std::to_string(port));
        return std::regex_replace(text, std::regex("_interval: 15s"), "_interval: 1s");
    }
    /// The result of an instant query; null while there is no answer.
    [[nodiscard]] json ask(const std::string& query) const {
        std::string encoded;
        for (const char c : query) {
            char hex[4];
            std::snprintf(hex, sizeof hex, "%%%02X", static_cast<unsigned char>(c));
            encoded += hex;
        }
        try {
            const auto r = http_request(port_, "GET", "/api/v1/query?query=" + encoded);
            if (r.status != 200) return {};
            const auto answer = json::parse(r.body);
            return answer.at("data").at("result");
        } catch (const std::exception&) {
            return {};
        }
    }
    [[nodiscard]] bool finds(const std::string& query) const {
        return eventually([&] { return !ask(query).empty(); });
    }

    temp_dir dir_{"sallyport-prometheus"};
    std::uint16_t port_ = 0;
    std::unique_ptr<child_process> server_;
};

TEST_F(scraping, prometheus_takes_it_and_evaluates_every_query_of_the_dashboard) {
    ASSERT_TRUE(finds("up{job=\"sallyport\"} == 1")) << server_->output();
    ASSERT_TRUE(finds("sallyport_build_info")) << server_->output();
    const auto board = json::parse(read_file(config_file("grafana-dashboard.json")));
    for (const auto& panel : board.at("panels")) {
        if (!panel.contains("targets")) continue;
        for (const auto& target : panel.at("targets")) {
            auto query = target.at("expr").get<std::string>();
            query = std::regex_replace(query, std::regex("\\$__rate_interval"), "1m");
            query = std::regex_replace(query, std::regex("\\$instance"), ".*");
            EXPECT_TRUE(ask(query).is_array()) << query;
        }
    }
    EXPECT_TRUE(finds("sum by (effect) (sallyport_statements_total{instance=~\".*\"}) > 0"));
}

TEST_F(scraping, alert_of_a_server_that_is_down_is_pending) {
    ASSERT_TRUE(finds("up{job=\"sallyport\"} == 1")) << server_->output();
    ASSERT_TRUE(proxy->stop());
    EXPECT_TRUE(finds("ALERTS{alertname=\"SallyportDown\"}")) << server_->output();
}

}  // namespace
}  // namespace sallyport::tests
