#include "proxy/telemetry/encode.h"

#include <map>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "policy/sql/analyse.h"

// Payloads against the JSON form of OTLP: lowerCamelCase, hexadecimal ids, 64-bit numbers as text.
namespace sallyport::proxy::telemetry {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

const resource here{"shop-proxy", "1.0", "i-1", {{"deployment.environment.name", "test"}}};
const wall_time noon{seconds(1'770'000'000)};

std::map<std::string, json> attributes_of(const json& of) {
    std::map<std::string, json> out;
    for (const auto& a : of.at("attributes")) {
        EXPECT_EQ(a.size(), 2u);
        EXPECT_EQ(a.at("value").size(), 1u) << "one kind of value";
        const bool fresh = out.emplace(a.at("key").get<std::string>(), a.at("value")).second;
        EXPECT_TRUE(fresh) << "twice: " << a.at("key");
    }
    return out;
}

/// Only members that the messages of opentelemetry-proto have.
void check_members(const json& of, const std::set<std::string>& known) {
    for (const auto& [name, value] : of.items())
        EXPECT_TRUE(known.contains(name)) << name;
}

void check_resource(const json& r) {
    const auto a = attributes_of(r.at("resource"));
    EXPECT_EQ(a.at("service.name").at("stringValue"), "shop-proxy");
    EXPECT_EQ(a.at("service.version").at("stringValue"), "1.0");
    EXPECT_EQ(a.at("service.instance.id").at("stringValue"), "i-1");
    EXPECT_EQ(a.at("deployment.environment.name").at("stringValue"), "test");
}

json log_of(const audit_event& e) {
    const auto text = encode_logs(here, {&e});
    EXPECT_TRUE(
        std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    const auto j = json::parse(text);
    check_members(j, {"resourceLogs"});
    const auto r = j.at("resourceLogs").at(0);
    check_members(r, {"resource", "scopeLogs", "schemaUrl"});
    check_resource(r);
    const auto s = r.at("scopeLogs").at(0);
    check_members(s, {"scope", "logRecords", "schemaUrl"});
    EXPECT_EQ(s.at("scope").at("name"), "sallyport");
    const auto log = s.at("logRecords").at(0);
    check_members(
        log, {"timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body",
              "attributes", "droppedAttributesCount", "flags", "traceId", "spanId", "eventName"});
    return log;
}

json span_json(const statement_span& s) {
    const auto text = encode_traces(here, {&s});
    EXPECT_TRUE(
        std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; }));
    const auto j = json::parse(text);
    check_members(j, {"resourceSpans"});
    const auto r = j.at("resourceSpans").at(0);
    check_members(r, {"resource", "scopeSpans", "schemaUrl"});
    check_resource(r);
    const auto scope = r.at("scopeSpans").at(0);
    check_members(scope, {"scope", "spans", "schemaUrl"});
    const auto span = scope.at("spans").at(0);
    check_members(span,
                  {"traceId", "spanId", "traceState", "parentSpanId", "flags", "name", "kind",
                   "startTimeUnixNano", "endTimeUnixNano", "attributes", "droppedAttributesCount",
                   "events", "droppedEventsCount", "links", "droppedLinksCount", "status"});
    return span;
}

statement_span statement(const std::string& sql) {
    statement_span s;
    s.ids = make_span_ids({});
    s.who = std::make_shared<const session_identity>(
        session_identity{77, "alice", "10.0.0.7", "billing", "shop", "db.example", 5433, "shopdb"});
    s.facts = policy::sql::analyse(sql, {});
    s.start = noon;
    s.end = noon + milliseconds(1500);
    s.outcome = "allow";
    s.rule = "default";
    return s;
}

TEST(otlp_span, has_the_conventions_of_databases) {
    auto s = statement("select ssn from pii.customers where name = 'Carol Secret'");
    s.ids =
        make_span_ids(parse_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    s.ids.state = "rojo=1";
    const auto span = span_json(s);

    EXPECT_EQ(span.at("traceId"), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(span.at("parentSpanId"), "b7ad6b7169203331");
    EXPECT_EQ(span.at("spanId"), to_hex(s.ids.span));
    EXPECT_EQ(span.at("traceState"), "rojo=1");
    EXPECT_EQ(span.at("flags"), 0x301);
    EXPECT_EQ(span.at("kind"), 3);
    EXPECT_EQ(span.at("name"), "SELECT pii.customers");
    EXPECT_EQ(span.at("startTimeUnixNano"), "1770000000000000000");
    EXPECT_EQ(span.at("endTimeUnixNano"), "1770000001500000000");
    EXPECT_FALSE(span.contains("status"));
    const auto a = attributes_of(span);
    EXPECT_EQ(a.at("db.system.name").at("stringValue"), "postgresql");
    EXPECT_EQ(a.at("db.namespace").at("stringValue"), "shopdb");
    EXPECT_EQ(a.at("db.operation.name").at("stringValue"), "SELECT");
    EXPECT_EQ(a.at("db.collection.name").at("stringValue"), "pii.customers");
    EXPECT_EQ(a.at("server.address").at("stringValue"), "db.example");
    EXPECT_EQ(a.at("server.port").at("intValue"), "5433");
    EXPECT_EQ(a.at("client.address").at("stringValue"), "10.0.0.7");
    EXPECT_EQ(a.at("user.name").at("stringValue"), "alice");
    EXPECT_EQ(a.at("sallyport.session").at("stringValue"), "77");
    EXPECT_EQ(a.at("sallyport.effect").at("stringValue"), "allow");
    EXPECT_EQ(a.at("sallyport.rule").at("stringValue"), "default");
    EXPECT_THAT(span.dump(), Not(HasSubstr("Secret")));
}

TEST(otlp_span, a_hold_is_two_events_and_its_wait) {
    auto s = statement("select 1");
    s.outcome = "pass";
    s.rule = "pii";
    s.holds.push_back({{9}, noon, noon + milliseconds(1250), policy::hold_state::approved});
    const auto span = span_json(s);

    const auto a = attributes_of(span);
    EXPECT_EQ(a.at("sallyport.effect").at("stringValue"), "hold");
    EXPECT_EQ(a.at("sallyport.outcome").at("stringValue"), "pass");
    EXPECT_EQ(a.at("sallyport.hold").at("stringValue"), "9");
    EXPECT_DOUBLE_EQ(a.at("sallyport.hold.wait").at("doubleValue").get<double>(), 1.25);
    ASSERT_EQ(span.at("events").size(), 2u);
    EXPECT_EQ(span.at("events").at(0).at("name"), "sallyport.hold.opened");
    EXPECT_EQ(span.at("events").at(1).at("timeUnixNano"), "1770000001250000000");
    EXPECT_EQ(attributes_of(span.at("events").at(1)).at("sallyport.hold.state").at("stringValue"),
              "approved");
}

TEST(otlp_span, an_error_is_its_sqlstate_and_none_without_a_code_has_one) {
    auto s = statement("select 1");
    s.error = "42501";
    auto span = span_json(s);
    EXPECT_EQ(span.at("status").at("code"), 2);
    EXPECT_EQ(attributes_of(span).at("error.type").at("stringValue"), "42501");
    EXPECT_EQ(attributes_of(span).at("db.response.status_code").at("stringValue"), "42501");
    s.error = "withdrawn";
    span = span_json(s);
    EXPECT_EQ(attributes_of(span).at("error.type").at("stringValue"), "withdrawn");
    EXPECT_FALSE(attributes_of(span).contains("db.response.status_code"));
}

TEST(otlp_span, several_statements_are_a_batch) {
    auto span = span_json(statement("select 1; select 2"));
    EXPECT_EQ(attributes_of(span).at("db.operation.name").at("stringValue"), "BATCH SELECT");
    EXPECT_EQ(attributes_of(span).at("db.operation.batch.size").at("intValue"), "2");
    span = span_json(statement("begin; delete from t"));
    EXPECT_EQ(attributes_of(span).at("db.operation.name").at("stringValue"), "BATCH");
}

TEST(otlp_span, what_was_not_read_has_a_span_all_the_same) {
    auto s = statement("select 1");
    s.facts = nullptr;
    s.who = nullptr;
    EXPECT_EQ(span_json(s).at("name"), "postgresql");
}

TEST(otlp_log, is_the_event_with_its_ids) {
    audit_event e;
    e.sequence = 9'007'199'254'740'993u;  // no double has it
    e.what.event = "hold.denied";
    e.what.at = policy::instant(milliseconds(1'770'000'000'123));
    e.what.with("user", "alice").with("address", "10.0.0.7").with("hold", "7").with("reason", "");
    e.what.with("trace_id", "0af7651916cd43dd8448eb211c80319c").with("span_id", "b7ad6b7169203331");
    const auto log = log_of(e);

    EXPECT_EQ(log.at("timeUnixNano"), "1770000000123000000");
    EXPECT_EQ(log.at("severityNumber"), 13);
    EXPECT_EQ(log.at("severityText"), "WARN");
    EXPECT_EQ(log.at("eventName"), "sallyport.hold.denied");
    EXPECT_EQ(log.at("body").at("stringValue"), "hold.denied");
    EXPECT_EQ(log.at("traceId"), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(log.at("spanId"), "b7ad6b7169203331");
    const auto a = attributes_of(log);
    EXPECT_EQ(a.at("sallyport.audit.sequence").at("intValue"), "9007199254740993");
    EXPECT_EQ(a.at("user.name").at("stringValue"), "alice");
    EXPECT_EQ(a.at("client.address").at("stringValue"), "10.0.0.7");
    EXPECT_EQ(a.at("sallyport.hold").at("stringValue"), "7");
    EXPECT_FALSE(a.contains("sallyport.reason")) << "an empty value says nothing";
}

TEST(otlp_log, a_field_that_is_there_twice_is_one_attribute) {
    audit_event e;
    e.what.event = "hold.released";
    e.what.with("hold", "7").with("hold", "8").with("rule", "pii").with("rule", "pii");
    const auto a = attributes_of(log_of(e));
    EXPECT_EQ(a.at("sallyport.hold").at("stringValue"), "7,8");
    EXPECT_EQ(a.at("sallyport.rule").at("stringValue"), "pii");
}

TEST(otlp_log, ids_that_are_none_are_not_passed_on_as_such) {
    audit_event e;
    e.what.event = "bypass";
    e.what.with("trace_id", "0AF7651916CD43DD8448EB211C80319C").with("span_id", "0000000000000000");
    const auto log = log_of(e);
    EXPECT_FALSE(log.contains("traceId"));
    EXPECT_FALSE(log.contains("spanId"));
}

TEST(otlp_log, hostile_text_stays_inside_its_value_and_is_bounded) {
    const std::string bidi =
        "\xe2\x80\xae"
        "evil";
    const std::string table[] = {
        "\x01\x1b]0;owned\x07\r\n\"}],",
        std::string("\0\0", 2),
        "\xff\xfe\xc3(\xed\xa0\x80",
        bidi,
        "\xf0\x9f\x92\xa9",
        "</script><!-- ${jndi:x}",
        "\\u0022\\",
    };
    for (const auto& text : table) {
        audit_event e;
        e.what.event = "login.refused";
        e.what.with("user", text).with("application", text);
        const auto a = attributes_of(log_of(e));
        EXPECT_EQ(a.at("user.name").at("stringValue"),
                  a.at("sallyport.application").at("stringValue"));
    }
    audit_event e;
    e.what.event = "login.refused";
    e.what.with("reason", bidi);
    EXPECT_EQ(attributes_of(log_of(e)).at("sallyport.reason").at("stringValue"), bidi)
        << "escaped on the way, whole at its end";

    e.what.fields.clear();
    std::string megabyte;
    while (megabyte.size() < (1u << 20))
        megabyte += "\xe2\x82\xac";
    e.what.with("reason", megabyte);
    const auto a = attributes_of(log_of(e));
    const auto kept = a.at("sallyport.reason").at("stringValue").get<std::string>();
    EXPECT_LE(kept.size(), text_bytes_max);
    EXPECT_GT(kept.size(), text_bytes_max - 4);
    EXPECT_EQ(kept.size() % 3, 0u) << "cut between characters";
    EXPECT_EQ(a.at("sallyport.reason.bytes").at("intValue"), std::to_string(megabyte.size()));
}

TEST(otlp_span, hostile_names_are_bounded) {
    auto s = statement("select 1 from \"x\x1b]0;" + std::string(200'000, 'y') + "\"");
    auto who = *s.who;
    who.application = std::string(1u << 20, '\xff');
    s.who = std::make_shared<const session_identity>(who);
    const auto span = span_json(s);
    EXPECT_LT(span.dump().size(), 200'000u);
    EXPECT_LE(span.at("name").get<std::string>().size(), 300u);
}

TEST(partial_success, is_read_in_both_forms_and_from_nonsense) {
    EXPECT_EQ(read_partial_success("{}").rejected, 0u);
    EXPECT_EQ(read_partial_success("").rejected, 0u);
    EXPECT_EQ(read_partial_success("[1]").rejected, 0u);
    EXPECT_EQ(read_partial_success(R"({"partialSuccess":7})").rejected, 0u);
    EXPECT_EQ(read_partial_success(R"({"partialSuccess":{"rejectedSpans":-3}})").rejected, 0u);
    const auto p = read_partial_success(
        R"({"partialSuccess":{"rejectedLogRecords":"5","errorMessage":"too old"}})");
    EXPECT_EQ(p.rejected, 5u);
    EXPECT_EQ(p.message, "too old");
    EXPECT_EQ(read_partial_success(R"({"partialSuccess":{"rejectedSpans":2}})").rejected, 2u);
}

}  // namespace
}  // namespace sallyport::proxy::telemetry
