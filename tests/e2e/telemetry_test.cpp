#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/webhook_receiver.h"

/// Statements and audit events at an OpenTelemetry collector, and what a broken one costs: nothing.
namespace sallyport::tests {
namespace {

using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string trace = "0af7651916cd43dd8448eb211c80319c";
const std::string parent = "b7ad6b7169203331";

std::string traced(const std::string& sql, const std::string& flags = "01") {
    return sql + " /*action='%2Forders',traceparent='00-" + trace + "-" + parent + "-" + flags +
           "'*/";
}

/// An attribute's value as text; "" if there is none of that name.
std::string attribute(const json& of, const std::string& name) {
    const auto all = of.value("attributes", json::array());
    for (const auto& a : all)
        if (a.at("key") == name) {
            const auto value = a.at("value");
            return value.contains("stringValue") ? value.at("stringValue").get<std::string>()
                   : value.contains("intValue")  ? value.at("intValue").get<std::string>()
                                                 : value.dump();
        }
    return {};
}

class telemetry : public e2e {
  protected:
    void start_exporting(const std::string& more = {}) {
        options.more += "telemetry:\n  otlp:\n    endpoint: \"" + collector.url("") +
                        "\"\n    schedule_delay: 100ms\n    timeout: 1s\n" + more;
        start();
    }
    [[nodiscard]] std::vector<json> parts(const std::string& path, const char* resources,
                                          const char* scopes, const char* things) const {
        std::vector<json> out;
        for (const auto& r : collector.accepted()) {
            if (r.path != path) continue;
            const auto payload = r.json();
            for (const auto& resource : payload.at(resources))
                for (const auto& scope : resource.at(scopes))
                    for (const auto& thing : scope.at(things))
                        out.push_back(thing);
        }
        return out;
    }
    [[nodiscard]] std::vector<json> spans() const {
        return parts("/v1/traces", "resourceSpans", "scopeSpans", "spans");
    }
    [[nodiscard]] std::vector<json> logs() const {
        return parts("/v1/logs", "resourceLogs", "scopeLogs", "logRecords");
    }
    /// Those of that trace, once there are `count`.
    [[nodiscard]] std::vector<json> of_trace(bool spans_wanted, std::size_t count) const {
        std::vector<json> out;
        EXPECT_TRUE(eventually([&] {
            out.clear();
            const auto all = spans_wanted ? spans() : logs();
            for (const auto& s : all)
                if (s.value("traceId", "") == trace) out.push_back(s);
            return out.size() >= count;
        })) << "there are "
            << out.size();
        return out;
    }
    [[nodiscard]] std::string metrics() const {
        return http_request(proxy->admin_port(), "GET", "/metrics").body;
    }

    webhook_receiver collector;
};

TEST_F(telemetry, a_held_statement_is_one_span_of_its_clients_trace_and_its_records_carry_it) {
    start_exporting();
    auto c = client_as("alice");
    c.send(wire::query(traced(held_sql)));
    const auto id = pending_hold_of("alice");
    approve(id);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);

    const auto found = of_trace(true, 1);
    ASSERT_EQ(found.size(), 1u);
    const auto& s = found[0];
    EXPECT_EQ(s.at("parentSpanId"), parent);
    EXPECT_EQ(s.at("kind"), 3);
    EXPECT_EQ(attribute(s, "db.system.name"), "postgresql");
    EXPECT_EQ(attribute(s, "db.namespace"), database);
    EXPECT_EQ(attribute(s, "db.operation.name"), "SELECT");
    EXPECT_EQ(attribute(s, "server.address"), "127.0.0.1");
    EXPECT_EQ(attribute(s, "user.name"), "alice");
    EXPECT_EQ(attribute(s, "sallyport.effect"), "hold");
    EXPECT_EQ(attribute(s, "sallyport.outcome"), "pass");
    EXPECT_EQ(attribute(s, "sallyport.rule"), "pii-needs-approval");
    EXPECT_EQ(attribute(s, "sallyport.hold"), std::to_string(id));
    EXPECT_THAT(attribute(s, "db.query.text"), HasSubstr("ssn"));
    EXPECT_THAT(attribute(s, "db.query.text"), Not(HasSubstr("= 1")));
    EXPECT_EQ(s.at("events").size(), 2u);
    EXPECT_FALSE(s.contains("status"));

    const auto records = of_trace(false, 4);
    std::set<std::string> events;
    for (const auto& r : records) {
        events.insert(r.at("body").at("stringValue").get<std::string>());
        EXPECT_EQ(r.at("spanId"), s.at("spanId"));
        EXPECT_EQ(attribute(r, "sallyport.hold"), std::to_string(id));
        EXPECT_EQ(attribute(r, "sallyport.session"), attribute(s, "sallyport.session"));
        EXPECT_NE(attribute(r, "sallyport.audit.sequence"), "");
    }
    for (const auto* event : {"hold.opened", "hold.vote", "hold.approved", "hold.released"})
        EXPECT_THAT(events, Contains(event));
    // The audit log has the same ids, and is whole.
    const auto released = audit_records("hold.released").at(0);
    EXPECT_EQ(released.at("trace_id"), trace);
    EXPECT_EQ(released.at("span_id"), s.at("spanId"));
    EXPECT_EQ(verify_audit().exit_code, 0);
}

TEST_F(telemetry, every_way_of_running_has_its_span) {
    start_exporting("    logs: false\n");
    auto c = client_as("alice");
    EXPECT_EQ(c.ask(traced("SELECT 'simple'")).sqlstate(), "");
    c.send(wire::parse("s", traced("SELECT 'extended'")) + wire::bind("", "s") + wire::execute("") +
           wire::sync());
    EXPECT_EQ(c.read_exchange().sqlstate(), "");
    EXPECT_EQ(c.ask(traced("SELECT 1/0")).sqlstate(), "22012");
    EXPECT_EQ(c.ask(traced("SELEC 1")).sqlstate(), "42601");
    EXPECT_EQ(c.ask(traced("DROP TABLE orders")).sqlstate(), "42501");

    const auto found = of_trace(true, 5);
    std::multiset<std::string> errors;
    std::set<std::string> ids;
    for (const auto& s : found) {
        errors.insert(attribute(s, "error.type"));
        ids.insert(s.at("spanId").get<std::string>());
        EXPECT_LE(std::stoull(s.at("startTimeUnixNano").get<std::string>()),
                  std::stoull(s.at("endTimeUnixNano").get<std::string>()));
    }
    EXPECT_EQ(errors, (std::multiset<std::string>{"", "", "22012", "42501", "42601"}));
    EXPECT_EQ(ids.size(), 5u);
    EXPECT_TRUE(logs().empty());
}

TEST_F(telemetry, what_the_client_does_not_sample_is_not_exported_and_a_bad_parent_is_none) {
    start_exporting();
    auto c = client_as("alice");
    EXPECT_EQ(c.ask(traced("SELECT 'unsampled'", "00")).sqlstate(), "");
    EXPECT_EQ(c.ask("SELECT 'fresh' /*traceparent='00-zz-1-01'*/").sqlstate(), "");
    ASSERT_TRUE(eventually([&] { return !spans().empty(); }));
    for (const auto& s : spans()) {
        EXPECT_NE(s.at("traceId"), trace);
        EXPECT_FALSE(s.contains("parentSpanId"));
    }
}

TEST_F(telemetry, a_dead_collector_changes_nothing_but_numbers_that_say_so) {
    collector.answer_with([](const received_hook&) { return hook_answer{.hang = true}; });
    start_exporting("    queue_size: 16\n    batch_size: 8\n");
    auto c = client_as("alice");
    for (int i = 0; i < 200; ++i)
        ASSERT_EQ(c.ask("SELECT " + std::to_string(i)).rows.at(0).at(0), std::to_string(i));
    c.send(wire::query(held_sql));
    approve(pending_hold_of("alice"));
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);

    ASSERT_TRUE(eventually([&] {
        return metrics().find("sallyport_otlp_failing{signal=\"traces\"} 1") != std::string::npos;
    }));
    EXPECT_THAT(metrics(), Not(HasSubstr("sallyport_otlp_dropped_total{signal=\"traces\"} 0\n")));
    EXPECT_THAT(metrics(), HasSubstr("sallyport_otlp_exported_total{signal=\"traces\"} 0\n"));
    EXPECT_THAT(http_request(proxy->admin_port(), "GET", "/readyz").body,
                HasSubstr("statements do not reach the OpenTelemetry collector"));
    EXPECT_EQ(verify_audit().exit_code, 0);
}

TEST_F(telemetry, a_collector_that_fails_for_a_while_gets_everything_once) {
    std::atomic<int> left{3};
    collector.answer_with([&left](const received_hook&) {
        return left.fetch_sub(1) > 0 ? hook_answer{.status = 503} : hook_answer{};
    });
    start_exporting();
    auto c = client_as("alice");
    EXPECT_EQ(c.ask(traced("SELECT 1")).sqlstate(), "");
    EXPECT_EQ(of_trace(true, 1).size(), 1u);
    ASSERT_TRUE(eventually([&] { return !logs().empty(); }));
    std::vector<std::uint64_t> sequences;
    for (const auto& l : logs())
        sequences.push_back(std::stoull(attribute(l, "sallyport.audit.sequence")));
    EXPECT_TRUE(std::is_sorted(sequences.begin(), sequences.end()));
    EXPECT_EQ(std::set<std::uint64_t>(sequences.begin(), sequences.end()).size(), sequences.size());
}

TEST_F(telemetry, log_lines_in_json_carry_the_same_ids) {
    options.more = "log: { format: json, audit: true }\n";
    start_exporting();
    auto c = client_as("alice");
    c.send(wire::query(traced(held_sql)));
    const auto id = pending_hold_of("alice");
    approve(id);
    static_cast<void>(c.read_exchange());

    json released;
    ASSERT_TRUE(eventually([&] {
        std::istringstream lines(proxy->log());
        for (std::string line; std::getline(lines, line);) {
            auto j = json::parse(line, nullptr, false);
            if (j.is_object() && j.value("message", "").find("hold.released") != std::string::npos)
                released = std::move(j);
        }
        return !released.is_null();
    }));
    EXPECT_EQ(released.at("trace_id"), trace);
    EXPECT_EQ(released.at("hold"), std::to_string(id));
    EXPECT_EQ(released.at("level"), "info");
    const auto record = audit_records("hold.released").at(0);
    EXPECT_EQ(released.at("span_id"), record.at("span_id"));
    EXPECT_EQ(released.at("session"), record.at("session"));
    EXPECT_EQ(released.at("audit_sequence"), std::to_string(record.at("seq").get<int>()));
}

TEST_F(telemetry, doctor_and_check_tell_of_a_collector_that_is_not_there) {
    collector.answer_with([](const received_hook&) { return hook_answer{.status = 404}; });
    start_exporting();
    const auto examined = proxy->run_tool({"doctor", "--config", proxy->config_path()});
    EXPECT_THAT(examined.out + examined.err,
                HasSubstr("/v1/logs does not take what is sent: it answered 404"));
}

}  // namespace
}  // namespace sallyport::tests
