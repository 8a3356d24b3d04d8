#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "proxy/config.h"

// `telemetry:` and `log:` of sallyport.yaml.
namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string head =
    "listen: { postgres: {} }\n"
    "state: { sqlite: s.db }\n"
    "audit: { directory: a, signing_key: k }\n"
    "users: u.yaml\n"
    "policy: p.yaml\n"
    "targets: { shop: { host: 127.0.0.1, login: { as: client } } }\n";

class telemetry_config : public ::testing::Test {
  protected:
    telemetry_config() {
        std::string name = (std::filesystem::temp_directory_path() / "otlp_cfg.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
        put("token", "Bearer abc\n");
        put("open", "Bearer abc\n", 0644);
        put("two", "one\ntwo\n");
    }
    ~telemetry_config() override {
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    telemetry_config(const telemetry_config&) = delete;
    telemetry_config& operator=(const telemetry_config&) = delete;

    void put(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        std::ofstream(directory + "/" + name) << text;
        ::chmod((directory + "/" + name).c_str(), mode);
    }
    [[nodiscard]] loaded_settings load(const std::string& more) const {
        return load_settings_text(head + more, directory + "/c.yaml");
    }
    /// Of `telemetry: { otlp: … }`, with their places.
    [[nodiscard]] std::vector<std::string> faults(const std::string& otlp) const {
        std::vector<std::string> out;
        for (const auto& f : load("telemetry:\n  otlp: " + otlp + "\n").faults)
            out.push_back(std::to_string(f.line) + ": " + f.what);
        return out;
    }
    std::string directory;
};

TEST_F(telemetry_config, everything_that_can_be_said) {
    const auto loaded = load(
        "telemetry:\n"
        "  otlp:\n"
        "    endpoint: https://collector.example:4318/base/\n"
        "    headers: { Authorization: { file: token } }\n"
        "    service_name: shop-proxy\n"
        "    resource_attributes: { deployment.environment.name: staging, host.name: a }\n"
        "    logs: false\n"
        "    sampling_ratio: 0.25\n"
        "    timeout: 3s\n"
        "    schedule_delay: 200ms\n"
        "    queue_size: 100\n"
        "    batch_size: 10\n"
        "log: { format: json, audit: true }\n");
    ASSERT_THAT(loaded.faults, IsEmpty());
    const auto& t = loaded.config->telemetry;
    EXPECT_TRUE(t.enabled);
    EXPECT_EQ(t.otlp.endpoint, "https://collector.example:4318/base");
    EXPECT_EQ(t.otlp.shown, "https://collector.example:4318");
    ASSERT_EQ(t.otlp.headers.size(), 1u);
    EXPECT_EQ(t.otlp.headers[0].first, "Authorization");
    EXPECT_EQ(t.otlp.headers[0].second.view(), "Bearer abc");
    EXPECT_EQ(t.otlp.service_name, "shop-proxy");
    EXPECT_EQ(t.otlp.resource_attributes.size(), 2u);
    EXPECT_FALSE(t.otlp.logs);
    EXPECT_TRUE(t.otlp.traces);
    EXPECT_DOUBLE_EQ(t.otlp.sampling_ratio, 0.25);
    EXPECT_EQ(t.otlp.timeout, milliseconds(3000));
    EXPECT_EQ(t.otlp.schedule_delay, milliseconds(200));
    EXPECT_EQ(t.otlp.queue_size, 100u);
    EXPECT_EQ(t.otlp.batch_size, 10u);
    EXPECT_TRUE(loaded.config->log_audit);
}

TEST_F(telemetry_config, an_endpoint_is_enough_and_nothing_is_exported_without) {
    const auto loaded = load("telemetry: { otlp: { endpoint: \"http://127.0.0.1:4318\" } }\n");
    ASSERT_THAT(loaded.faults, IsEmpty());
    EXPECT_TRUE(loaded.config->telemetry.otlp.logs && loaded.config->telemetry.otlp.traces);
    EXPECT_FALSE(load("").config->telemetry.enabled);
    EXPECT_FALSE(load("").config->log_audit);
}

TEST_F(telemetry_config, faults_have_their_place_and_say_what_to_do) {
    const std::string good = "endpoint: \"http://127.0.0.1:4318\"";
    struct {
        std::string otlp;
        std::string wanted;
    } const table[] = {
        {"{ logs: true }", "8: 'endpoint' is missing"},
        {"{ endpoint: \"collector:4318\" }", "8: 'endpoint' looks like https://"},
        {"{ endpoint: \"https://u:p@c.example\" }", "8: 'endpoint' looks like"},
        {"{ endpoint: \"https://c.example/?key=1\" }", "secrets go into headers"},
        {"{ endpoint: \"https://c.example/v1/logs\" }", "leave /v1/… out"},
        {"{ endpoint: \"http://c.example:4318\" }", "in clear; give an https URL"},
        {"{ " + good + ", endpont: x }", "endpont"},
        {"{ " + good + ", headers: { Authorization: x } }", "header"},
        {"{ " + good + ", headers: { Authorization: {} } }", "'file' is missing"},
        {"{ " + good + ", headers: { Authorization: { file: open } } }", "file"},
        {"{ " + good + ", headers: { Authorization: { file: two } } }", "one line"},
        {"{ " + good + ", headers: { Authorization: { file: none } } }", "none"},
        {"{ " + good + ", headers: { \"Bad Name\": { file: token } } }", "is no header"},
        {"{ " + good + ", headers: { Content-Length: { file: token } } }", "is no header"},
        {"{ " + good + ", headers: [] }", "'headers' is a map"},
        {"{ " + good + ", sampling_ratio: 1.5 }", "'sampling_ratio' is a number from 0"},
        {"{ " + good + ", sampling_ratio: nan }", "'sampling_ratio' is a number from 0"},
        {"{ " + good + ", sampling_ratio: -0.1 }", "'sampling_ratio' is a number from 0"},
        {"{ " + good + ", sampling_ratio: [1] }", "'sampling_ratio' is a number from 0"},
        {"{ " + good + ", logs: false, traces: false }", "both off"},
        {"{ " + good + ", queue_size: 3 }", "queue_size"},
        {"{ " + good + ", queue_size: 20, batch_size: 30 }", "a batch must fit"},
        {"{ " + good + ", timeout: 5h }", "timeout"},
        {"{ " + good + ", schedule_delay: 1ms }", "schedule_delay"},
        {"{ " + good + ", service_name: \"\" }", "'service_name'"},
        {"{ " + good + ", resource_attributes: { service.name: x } }", "give service_name"},
        {"{ " + good + ", resource_attributes: { a: [] } }", "an attribute is a name and a text"},
        {"{ " + good + ", ca: /nowhere/ca.pem }", "/nowhere/ca.pem cannot be read"},
    };
    for (const auto& row : table)
        EXPECT_THAT(faults(row.otlp), ::testing::Contains(HasSubstr(row.wanted))) << row.otlp;
    EXPECT_THAT(faults("{ endpoint: \"http://c.example:4318\", insecure: true }"), IsEmpty());
    EXPECT_THAT(load("telemetry: {}\n").faults.at(0).what, HasSubstr("'otlp' is missing"));
}

}  // namespace
}  // namespace sallyport::proxy
