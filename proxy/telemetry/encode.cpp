#include "proxy/telemetry/encode.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <map>

#include <nlohmann/json.hpp>

namespace sallyport::proxy::telemetry {

namespace {

using json = nlohmann::ordered_json;
using std::chrono::nanoseconds;

// Of SpanKind, StatusCode and SeverityNumber.
constexpr int span_kind_client = 3;
constexpr int status_error = 2;
constexpr int severity_info = 9;
constexpr int severity_warn = 13;
constexpr int severity_error = 17;
// Of SpanFlags: the trace flags, and whether the parent is known to be remote, and is.
constexpr int flag_sampled = 0x001;
constexpr int flag_has_is_remote = 0x100;
constexpr int flag_is_remote = 0x200;

/// Names of audit fields that OpenTelemetry's registry has a name for.
const std::map<std::string, const char*, std::less<>>& registered_names() {
    static const std::map<std::string, const char*, std::less<>> names{
        {"user", "user.name"},
        {"address", "client.address"},
    };
    return names;
}

std::string_view cut(std::string_view text) {
    if (text.size() <= text_bytes_max) return text;
    auto end = text_bytes_max;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
        --end;
    return text.substr(0, end);
}

json value_of(std::string_view text) {
    return {{"stringValue", std::string(text)}};
}

void add(json& to, std::string_view name, std::string_view text) {
    to.push_back({{"key", std::string(name)}, {"value", value_of(cut(text))}});
    if (text.size() > text_bytes_max)
        to.push_back({{"key", std::string(name) + ".bytes"},
                      {"value", {{"intValue", std::to_string(text.size())}}}});
}
void add_known(json& to, std::string_view name, std::string_view text) {
    if (!text.empty()) add(to, name, text);
}
void add(json& to, std::string_view name, std::uint64_t number) {
    constexpr std::uint64_t most = std::numeric_limits<std::int64_t>::max();  // it is signed there
    to.push_back({{"key", std::string(name)},
                  {"value", {{"intValue", std::to_string(std::min(number, most))}}}});
}

json attributes_of(const resource& from) {
    auto out = json::array();
    add(out, "service.name", from.service_name);
    add_known(out, "service.version", from.service_version);
    add_known(out, "service.instance.id", from.service_instance);
    for (const auto& [name, value] : from.attributes)
        add(out, name, value);
    return out;
}

json scope_of(const resource& from) {
    json scope{{"name", "sallyport"}};
    if (!from.service_version.empty()) scope["version"] = from.service_version;
    return scope;
}

std::string written(const json& payload) {
    // ASCII alone; what is not UTF-8 becomes U+FFFD.
    return payload.dump(-1, ' ', true, json::error_handler_t::replace);
}

template <class Time>
std::string nanoseconds_of(Time t) {
    const auto n = std::chrono::duration_cast<nanoseconds>(t.time_since_epoch()).count();
    return std::to_string(std::max<std::int64_t>(n, 0));
}

bool is_hex_id(std::string_view text, std::size_t digits) {
    return text.size() == digits && text.find_first_not_of('0') != std::string_view::npos &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

int severity_of(std::string_view event) {
    if (event == "audit.recovered") return severity_error;
    const bool minded = event == "bypass" || event == "server.refused" ||
                        event.ends_with("refused") || event.ends_with("denied") ||
                        event.ends_with(".given_up") || event.ends_with(".dropped");
    return minded ? severity_warn : severity_info;
}

const char* severity_text(int severity) {
    return severity == severity_error ? "ERROR" : severity == severity_warn ? "WARN" : "INFO";
}

using fields = std::vector<std::pair<std::string, std::string>>;

/// Each name once, as attributes must be: a second value stands behind the first.
fields joined(const fields& all) {
    fields out;
    for (const auto& [name, value] : all) {
        const auto known = std::find_if(out.begin(), out.end(), [&, &wanted = name](const auto& f) {
            return f.first == wanted;
        });
        if (known == out.end())
            out.emplace_back(name, value);
        else if (known->second != value)
            known->second += "," + value;
    }
    return out;
}

json log_record_of(const audit_event& e) {
    const auto& r = e.what;
    json out;
    out["timeUnixNano"] = nanoseconds_of(r.at);
    out["observedTimeUnixNano"] = nanoseconds_of(r.at);
    const auto severity = severity_of(r.event);
    out["severityNumber"] = severity;
    out["severityText"] = severity_text(severity);
    out["eventName"] = "sallyport." + r.event;
    out["body"] = value_of(r.event);
    auto attributes = json::array();
    add(attributes, "sallyport.audit.sequence", e.sequence);
    for (const auto& [name, value] : joined(r.fields)) {
        if (name == "trace_id" && is_hex_id(value, 32)) {
            out["traceId"] = value;
        } else if (name == "span_id" && is_hex_id(value, 16)) {
            out["spanId"] = value;
        } else if (!value.empty()) {
            const auto known = registered_names().find(name);
            add(attributes, known != registered_names().end() ? known->second : "sallyport." + name,
                value);
        }
    }
    out["attributes"] = std::move(attributes);
    return out;
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

/// What the statements do, as the conventions name batches.
std::string operation_of(const policy::facts& f) {
    if (f.statements.empty()) return {};
    const auto& first = f.statements.front().command;
    if (f.statements.size() == 1) return upper(first);
    const bool alike = std::all_of(f.statements.begin(), f.statements.end(),
                                   [&](const auto& s) { return s.command == first; });
    return alike ? "BATCH " + upper(first) : "BATCH";
}

/// The one relation that it names; "" if there are none or several.
std::string collection_of(const policy::facts& f) {
    if (f.statements.size() != 1) return {};
    const policy::relation_use* only = nullptr;
    for (const auto& u : f.statements.front().relations) {
        if (only != nullptr && (only->name != u.name || only->schema != u.schema)) return {};
        only = &u;
    }
    if (only == nullptr || only->name.size() > 130) return {};
    return only->schema.empty() ? only->name : only->schema + "." + only->name;
}

const char* effect_of(std::string_view outcome) {
    if (outcome == "allow") return "allow";
    if (outcome == "deny") return "deny";
    return outcome.empty() ? "" : "hold";
}

json events_of(const statement_span& s) {
    auto out = json::array();
    for (const auto& h : s.holds) {
        auto opened = json::array();
        add(opened, "sallyport.hold", std::to_string(h.id.value));
        auto ended = opened;
        add(ended, "sallyport.hold.state", policy::to_string(h.ended));
        out.push_back({{"timeUnixNano", nanoseconds_of(h.from)},
                       {"name", "sallyport.hold.opened"},
                       {"attributes", std::move(opened)}});
        out.push_back({{"timeUnixNano", nanoseconds_of(h.to)},
                       {"name", "sallyport.hold.ended"},
                       {"attributes", std::move(ended)}});
    }
    return out;
}

json span_of(const statement_span& s) {
    json out;
    out["traceId"] = to_hex(s.ids.trace);
    out["spanId"] = to_hex(s.ids.span);
    const bool has_parent = s.ids.parent != span_id{};
    if (has_parent) out["parentSpanId"] = to_hex(s.ids.parent);
    if (!s.ids.state.empty()) out["traceState"] = s.ids.state;
    out["flags"] = flag_sampled | flag_has_is_remote | (has_parent ? flag_is_remote : 0);
    out["name"] = span_name(s);
    out["kind"] = span_kind_client;
    out["startTimeUnixNano"] = nanoseconds_of(s.start);
    out["endTimeUnixNano"] = nanoseconds_of(s.end);
    auto attributes = json::array();
    add(attributes, "db.system.name", std::string_view("postgresql"));
    if (s.who) {
        add_known(attributes, "db.namespace", s.who->database);
        add_known(attributes, "server.address", s.who->server_address);
        if (s.who->server_port != 0)
            add(attributes, "server.port", std::uint64_t{s.who->server_port});
        add_known(attributes, "client.address", s.who->address);
        add_known(attributes, "user.name", s.who->user);
        add_known(attributes, "sallyport.target", s.who->target);
        add_known(attributes, "sallyport.application", s.who->application);
        add(attributes, "sallyport.session", std::to_string(s.who->session));
    }
    if (s.facts) {
        add_known(attributes, "db.operation.name", operation_of(*s.facts));
        add_known(attributes, "db.collection.name", collection_of(*s.facts));
        if (s.facts->statements.size() > 1)
            add(attributes, "db.operation.batch.size", std::uint64_t{s.facts->statements.size()});
        add_known(attributes, "db.query.text", s.facts->redacted);
    }
    add_known(attributes, "sallyport.effect", effect_of(s.outcome));
    add_known(attributes, "sallyport.outcome", s.outcome);
    add_known(attributes, "sallyport.rule", s.rule);
    nanoseconds waited{};
    for (const auto& h : s.holds)
        waited += h.to - h.from;
    if (!s.holds.empty()) {
        add(attributes, "sallyport.hold", std::to_string(s.holds.back().id.value));
        attributes.push_back(
            {{"key", "sallyport.hold.wait"},
             {"value", {{"doubleValue", std::chrono::duration<double>(waited).count()}}}});
    }
    if (!s.error.empty()) {
        add(attributes, "error.type", s.error);
        if (s.error.size() == 5) add(attributes, "db.response.status_code", s.error);
        out["status"] = {{"code", status_error}};
    }
    out["attributes"] = std::move(attributes);
    if (!s.holds.empty()) out["events"] = events_of(s);
    return out;
}

}  // namespace

std::string span_name(const statement_span& s) {
    const auto operation = s.facts ? operation_of(*s.facts) : std::string();
    if (operation.empty()) return "postgresql";
    auto what = collection_of(*s.facts);
    if (what.empty() && s.who) what = s.who->database;
    return std::string(cut(what.empty() ? operation : operation + " " + what));
}

std::string encode_logs(const resource& from, const std::vector<const audit_event*>& events) {
    auto records = json::array();
    for (const auto* e : events)
        records.push_back(log_record_of(*e));
    json scope_logs{{"scope", scope_of(from)}, {"logRecords", std::move(records)}};
    json resource_logs{{"resource", {{"attributes", attributes_of(from)}}},
                       {"scopeLogs", json::array({std::move(scope_logs)})}};
    return written({{"resourceLogs", json::array({std::move(resource_logs)})}});
}

std::string encode_traces(const resource& from, const std::vector<const statement_span*>& spans) {
    auto all = json::array();
    for (const auto* s : spans)
        all.push_back(span_of(*s));
    json scope_spans{{"scope", scope_of(from)}, {"spans", std::move(all)}};
    json resource_spans{{"resource", {{"attributes", attributes_of(from)}}},
                        {"scopeSpans", json::array({std::move(scope_spans)})}};
    return written({{"resourceSpans", json::array({std::move(resource_spans)})}});
}

partial_success read_partial_success(std::string_view body) {
    partial_success out;
    const auto answer = nlohmann::json::parse(body, nullptr, false);
    if (!answer.is_object()) return out;
    const auto part = answer.find("partialSuccess");
    if (part == answer.end() || !part->is_object()) return out;
    for (const char* name : {"rejectedLogRecords", "rejectedSpans"}) {
        const auto n = part->find(name);
        if (n == part->end()) continue;
        if (n->is_number_unsigned()) {
            out.rejected = n->get<std::uint64_t>();
        } else if (n->is_string()) {  // as the JSON form writes 64-bit numbers
            const auto& text = n->get_ref<const std::string&>();
            std::from_chars(text.data(), text.data() + text.size(), out.rejected);
        }
    }
    if (const auto m = part->find("errorMessage"); m != part->end() && m->is_string())
        out.message = m->get<std::string>();
    return out;
}

}  // namespace sallyport::proxy::telemetry
