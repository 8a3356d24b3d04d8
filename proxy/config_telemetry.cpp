#include <algorithm>
#include <cctype>
#include <charconv>

#include <unistd.h>

#include "proxy/config_reader.h"
#include "proxy/notify/url.h"

/// `telemetry:` — what goes to an OpenTelemetry collector.
namespace sallyport::proxy {
namespace {

using policy::yaml_reader;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t headers_max = 16;
constexpr std::size_t attributes_max = 64;
constexpr std::size_t name_bytes_max = 256;
constexpr std::size_t value_bytes_max = 1024;

/// A token of HTTP.
bool header_name(const std::string& name) {
    static constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !name.empty() && name.size() <= name_bytes_max &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return (c < 0x80 && std::isalnum(c) != 0) ||
                      marks.find(static_cast<char>(c)) != std::string_view::npos;
           });
}

/// Headers that the request has of its own.
bool is_ours(std::string name) {
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    static constexpr std::string_view ours[] = {"host",       "content-type",      "content-length",
                                                "connection", "transfer-encoding", "expect"};
    return std::find(std::begin(ours), std::end(ours), name) != std::end(ours);
}

bool visible_text(const std::string& text, std::size_t bytes_max) {
    return !text.empty() && text.size() <= bytes_max &&
           std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; });
}

}  // namespace

void config_reader::read_telemetry(const YAML::Node& root) {
    const auto node = yaml_reader::member(root, "telemetry");
    if (!node.IsDefined() || !reader_.keys(node, "telemetry", {"otlp"})) return;
    const auto otlp = yaml_reader::member(node, "otlp");
    if (!otlp.IsDefined())
        return reader_.fail(node,
                            "'otlp' is missing: where telemetry goes, such as otlp: { endpoint: "
                            "http://127.0.0.1:4318 }");
    read_otlp(otlp);
}

void config_reader::read_otlp(const YAML::Node& node) {
    if (!reader_.keys(
            node, "telemetry.otlp",
            {"endpoint", "headers", "ca", "insecure", "service_name", "resource_attributes", "logs",
             "traces", "sampling_ratio", "timeout", "schedule_delay", "queue_size", "batch_size"}))
        return;
    auto& o = settings_.telemetry.otlp;
    settings_.telemetry.enabled = true;
    read_otlp_endpoint(node);
    read_otlp_headers(node);
    if (auto name = reader_.text(node, "service_name")) {
        if (!visible_text(*name, name_bytes_max))
            reader_.fail(yaml_reader::member(node, "service_name"),
                         "'service_name' is a name of at most 256 bytes, such as sallyport");
        o.service_name = std::move(*name);
    }
    read_resource_attributes(node);
    o.logs = reader_.boolean(node, "logs").value_or(true);
    o.traces = reader_.boolean(node, "traces").value_or(true);
    if (!o.logs && !o.traces)
        reader_.fail(node,
                     "logs and traces are both off: nothing would be sent; leave "
                     "'telemetry' out");
    ratio(node, "sampling_ratio", o.sampling_ratio);
    time(node, "timeout", milliseconds(100), seconds(60), o.timeout);
    time(node, "schedule_delay", milliseconds(50), seconds(60), o.schedule_delay);
    count(node, "queue_size", 16, 1'000'000, o.queue_size);
    count(node, "batch_size", 1, 10'000, o.batch_size);
    if (o.batch_size > o.queue_size)
        reader_.fail(yaml_reader::member(node, "batch_size").IsDefined()
                         ? yaml_reader::member(node, "batch_size")
                         : yaml_reader::member(node, "queue_size"),
                     "a batch must fit into the queue: give a batch_size of at most queue_size");
}

void config_reader::read_otlp_endpoint(const YAML::Node& node) {
    auto& o = settings_.telemetry.otlp;
    const bool insecure = reader_.boolean(node, "insecure").value_or(false);
    if (const auto ca = reader_.text(node, "ca")) {
        o.ca = resolve(*ca);
        if (secrets_ == secrets::read && ::access(o.ca.c_str(), R_OK) != 0)
            reader_.fail(yaml_reader::member(node, "ca"), o.ca + " cannot be read");
    }
    auto url = required_text(node, "endpoint",
                             "the collector's base URL, such as "
                             "https://collector.example:4318");
    if (url.empty()) return;
    const auto at = yaml_reader::member(node, "endpoint");
    while (url.ends_with('/'))
        url.pop_back();
    notify::webhook_url parsed;
    if (!notify::parse_webhook_url(url, parsed) || url.find_first_of("?#") != std::string::npos ||
        url.size() > value_bytes_max)
        return reader_.fail(at,
                            "'endpoint' looks like https://collector.example:4318; /v1/logs "
                            "and /v1/traces follow by themselves, secrets go into headers");
    if (url.ends_with("/v1/logs") || url.ends_with("/v1/traces"))
        return reader_.fail(at, "'endpoint' is the base of both signals: leave /v1/… out");
    if (!parsed.tls && !parsed.loopback() && !insecure)
        reader_.fail(at,
                     "statements would go over the network in clear; give an https URL (or "
                     "insecure: true, if the network is yours alone)");
    o.endpoint = std::move(url);
    o.shown = parsed.shown();
}

void config_reader::read_otlp_headers(const YAML::Node& node) {
    const auto headers = yaml_reader::member(node, "headers");
    if (!headers.IsDefined()) return;
    if (!headers.IsMap() || headers.size() == 0 || headers.size() > headers_max)
        return reader_.fail(headers,
                            "'headers' is a map of 1 to 16 names and files, such as { "
                            "Authorization: { file: otlp-token } }");
    for (const auto& entry : headers) {
        const auto name = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
        if (!header_name(name) || is_ours(name)) {
            reader_.fail(entry.first, "'" + name.substr(0, 64) +
                                          "' is no header that can be given here; usual ones are "
                                          "Authorization and X-Scope-OrgID");
            continue;
        }
        if (!reader_.keys(entry.second, "the header", {"file"})) continue;
        if (!yaml_reader::member(entry.second, "file").IsDefined()) {
            reader_.fail(entry.second,
                         "'file' is missing: a file (0600) with the header's value "
                         "as its one line");
            continue;
        }
        if (auto line = secret_line(entry.second, "file", 1))
            settings_.telemetry.otlp.headers.emplace_back(name, std::move(*line));
    }
}

void config_reader::read_resource_attributes(const YAML::Node& node) {
    const auto attributes = yaml_reader::member(node, "resource_attributes");
    if (!attributes.IsDefined()) return;
    if (!attributes.IsMap() || attributes.size() > attributes_max)
        return reader_.fail(attributes,
                            "'resource_attributes' is a map of at most 64 names and "
                            "values, such as { deployment.environment.name: staging }");
    for (const auto& entry : attributes) {
        const auto name = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
        const auto value = entry.second.IsScalar() ? entry.second.Scalar() : std::string();
        if (!visible_text(name, name_bytes_max) || !visible_text(value, value_bytes_max)) {
            reader_.fail(entry.first, "an attribute is a name and a text of at most 1024 bytes");
            continue;
        }
        if (name == "service.name" || name == "service.version" || name == "service.instance.id") {
            reader_.fail(entry.first, "'" + name + "' is set by Sallyport" +
                                          (name == "service.name" ? "; give service_name" : ""));
            continue;
        }
        settings_.telemetry.otlp.resource_attributes.emplace_back(name, value);
    }
}

void config_reader::ratio(const YAML::Node& map, const char* key, double& out) {
    const auto node = yaml_reader::member(map, key);
    if (!node.IsDefined()) return;
    const auto text = node.IsScalar() ? node.Scalar() : std::string();
    double value = -1;
    const auto end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, value, std::chars_format::fixed);
    if (read.ec != std::errc() || read.ptr != end || !(value >= 0 && value <= 1))
        return reader_.fail(node, "'" + std::string(key) +
                                      "' is a number from 0 (only what others sample) to 1 (all), "
                                      "such as 0.1");
    out = value;
}

}  // namespace sallyport::proxy
