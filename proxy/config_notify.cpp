#include <algorithm>
#include <cctype>

#include <unistd.h>

#include "proxy/config_reader.h"
#include "proxy/file.h"
#include "proxy/net/secret_file.h"
#include "proxy/notify/url.h"

/// `notify:` — whom notices go to.
namespace sallyport::proxy {
namespace {

using policy::yaml_reader;
using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t channels_max = 32;
constexpr std::size_t name_bytes_max = 64;
constexpr std::size_t key_bytes_min = 16;
constexpr std::size_t line_bytes_max = 2048;
constexpr std::size_t arguments_max = 64;

bool good_name(const std::string& name) {
    return !name.empty() && name.size() <= name_bytes_max &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_' || c == '.';
           });
}

}  // namespace

void config_reader::read_notify(const YAML::Node& root) {
    settings_.notify.url = settings_.admin_url;
    const auto node = yaml_reader::member(root, "notify");
    if (!node.IsDefined() || !reader_.keys(node, "notify", {"url", "channels", "slack"})) return;
    if (auto url = reader_.text(node, "url")) {
        notify::webhook_url parsed;
        if (!notify::parse_webhook_url(*url, parsed) || url->size() > 200)
            reader_.fail(yaml_reader::member(node, "url"),
                         "'url' must be an address such as https://sallyport.example.com: the base "
                         "of the links in notices");
        while (url->ends_with('/'))
            url->pop_back();
        settings_.notify.url = *url;
    }
    if (const auto slack = yaml_reader::member(node, "slack"); slack.IsDefined())
        read_slack_app(slack);
    const auto channels = yaml_reader::member(node, "channels");
    if (!channels.IsDefined()) return;
    if (!channels.IsMap() || channels.size() == 0 || channels.size() > channels_max)
        return reader_.fail(channels, "'channels' is a map of 1 to " +
                                          std::to_string(channels_max) +
                                          " names, such as { ops: { webhook: { … } } }");
    for (const auto& entry : channels)
        read_channel(entry.first, entry.second);
    if (settings_.notify.url.empty())
        reader_.fail(node,
                     "notices have links to the page, and there is no admin listener: give url: "
                     "https://…");
}

void config_reader::read_channel(const YAML::Node& key, const YAML::Node& node) {
    notify::channel c;
    c.name = key.IsScalar() ? key.Scalar() : std::string();
    if (!good_name(c.name))
        reader_.fail(key, "a channel's name has letters, digits, '-', '_' and '.', at most " +
                              std::to_string(name_bytes_max));
    if (!reader_.keys(node, "the channel",
                      {"webhook", "command", "for", "events", "rules", "targets", "timeout",
                       "give_up_after"}))
        return;
    const auto hook = yaml_reader::member(node, "webhook");
    const auto command = yaml_reader::member(node, "command");
    if (hook.IsDefined() == command.IsDefined())
        return reader_.fail(node,
                            "a channel needs exactly one of webhook: { url: … } and "
                            "command: [/path, argument]");
    if (hook.IsDefined())
        read_webhook(hook, c);
    else
        read_command(node, c);
    read_channel_filter(node, c);
    if (const auto whose = yaml_reader::member(node, "for"); whose.IsDefined())
        read_channel_people(whose, c);
    time(node, "timeout", seconds(1), seconds(60), c.timeout);
    time(node, "give_up_after", seconds(1), hours(24 * 30), c.give_up_after);
    settings_.notify.channels.push_back(std::move(c));
}

void config_reader::read_channel_filter(const YAML::Node& node, notify::channel& out) {
    for (const auto& [at, name] : reader_.list(node, "events")) {
        policy::notice_event e{};
        if (policy::parse_notice_event(name, e))
            out.events.insert(e);
        else
            reader_.fail(at, "there is no event '" + name + "'" +
                                 policy::did_you_mean(name, policy::notice_event_names()));
    }
    for (const auto& [at, name] : reader_.list(node, "rules")) {
        out.rules.insert(name);
        out_.rule_names.push_back({path_, at.Mark().line + 1, at.Mark().column + 1, name});
    }
    std::vector<std::string> known;
    for (const auto& [name, t] : settings_.targets)
        known.push_back(name);
    for (const auto& [at, name] : reader_.list(node, "targets")) {
        out.targets.insert(name);
        if (!settings_.targets.contains(name))
            reader_.fail(at,
                         "there is no target '" + name + "'" + policy::did_you_mean(name, known));
    }
    for (const char* key : {"events", "rules", "targets"})
        if (const auto list = yaml_reader::member(node, key); list.IsSequence() && list.size() == 0)
            reader_.fail(list, "'" + std::string(key) +
                                   "' is empty: nothing would be told; leave it out for all");
}

void config_reader::read_channel_people(const YAML::Node& node, notify::channel& out) {
    if (!reader_.keys(node, "for", {"users", "groups"})) return;
    for (const bool group : {false, true})
        for (const auto& [at, name] : reader_.list(node, group ? "groups" : "users")) {
            (group ? out.groups : out.users).insert(name);
            out_.role_names.push_back(
                {name, group, {path_, at.Mark().line + 1, at.Mark().column + 1, {}}});
        }
    if (!out.personal())
        reader_.fail(node,
                     "'for' names whose channel it is, such as { users: [bob] } or "
                     "{ groups: [security] }; leave it out for one that is nobody's in person");
}

void config_reader::read_webhook(const YAML::Node& node, notify::channel& out) {
    if (!reader_.keys(node, "webhook",
                      {"url", "url_file", "secret_file", "form", "ca", "insecure"}))
        return;
    notify::webhook w;
    const auto form = reader_.word(node, "form", {"generic", "slack", "teams"}).value_or("generic");
    w.as = form == "slack"   ? notify::form::slack
           : form == "teams" ? notify::form::teams
                             : notify::form::generic;
    auto url = reader_.text(node, "url");
    const auto url_file = yaml_reader::member(node, "url_file");
    if (url.has_value() == url_file.IsDefined())
        reader_.fail(node, "a webhook needs exactly one of url: and url_file: (one line, 0600)");
    if (url && w.as != notify::form::generic)
        warn(yaml_reader::member(node, "url"),
             "whoever knows the URL of a " + form +
                 " webhook can post to it: put it into a file of its own and give url_file");
    if (url) w.url = secret(*url);
    if (url_file.IsDefined())
        if (auto line = secret_line(node, "url_file", 1)) w.url = std::move(*line);
    const bool insecure = reader_.boolean(node, "insecure").value_or(false);
    if (!w.url.empty()) {
        const auto at = url ? yaml_reader::member(node, "url") : url_file;
        notify::webhook_url parsed;
        if (!notify::parse_webhook_url(w.url.view(), parsed))
            reader_.fail(at, "a webhook's URL looks like https://host/path");
        else if (!parsed.tls && !parsed.loopback() && !insecure)
            reader_.fail(at,
                         "notices would go over the network in clear; give an https URL (or "
                         "insecure: true, if the network is yours alone)");
        w.shown = parsed.shown();
    }
    if (yaml_reader::member(node, "secret_file").IsDefined())
        w.key = secret_line(node, "secret_file", key_bytes_min);
    else if (w.as == notify::form::generic)
        reader_.fail(node,
                     "'secret_file' is missing: a file with one line that signs what is "
                     "sent, such as the output of openssl rand -hex 32");
    if (const auto ca = reader_.text(node, "ca")) {
        w.ca = resolve(*ca);
        if (secrets_ == secrets::read && ::access(w.ca.c_str(), R_OK) != 0)
            reader_.fail(yaml_reader::member(node, "ca"), w.ca + " cannot be read");
    }
    out.hook = std::move(w);
    if (url) wipe(*url);
}

void config_reader::read_command(const YAML::Node& node, notify::channel& out) {
    const auto at = yaml_reader::member(node, "command");
    for (const auto& [place, word] : reader_.list(node, "command"))
        out.command.push_back(word);
    if (out.command.empty() || out.command.size() > arguments_max ||
        !out.command.front().starts_with('/')) {
        reader_.fail(at,
                     "'command' is a program with its absolute path, and arguments: "
                     "[/usr/local/bin/page, ops]; no shell reads it");
        out.command.resize(std::max<std::size_t>(out.command.size(), 1));
        return;
    }
    if (secrets_ == secrets::read && ::access(out.command.front().c_str(), X_OK) != 0)
        reader_.fail(at, out.command.front() + " is not there, or cannot be run by this user");
}

void config_reader::read_slack_app(const YAML::Node& node) {
    if (!reader_.keys(node, "notify.slack", {"signing_secret_file", "people"})) return;
    notify::slack_app app;
    if (!yaml_reader::member(node, "signing_secret_file").IsDefined())
        reader_.fail(node, "'signing_secret_file' is missing: the app's signing secret, one line");
    else if (auto line = secret_line(node, "signing_secret_file", key_bytes_min))
        app.signing_secret = std::move(*line);
    const auto people = yaml_reader::member(node, "people");
    if (!people.IsDefined() || !people.IsMap())
        return reader_.fail(node,
                            "'people' is missing: Slack's user ids and who they are, such as "
                            "{ U012AB3CD: bob }");
    for (const auto& entry : people) {
        const auto id = entry.first.IsScalar() ? entry.first.Scalar() : std::string();
        if (!good_name(id) || !entry.second.IsScalar()) {
            reader_.fail(entry.first, "'people' has lines such as U012AB3CD: bob");
            continue;
        }
        app.people[id] = entry.second.Scalar();
        out_.role_names.push_back(
            {entry.second.Scalar(),
             false,
             {path_, entry.second.Mark().line + 1, entry.second.Mark().column + 1, {}}});
    }
    settings_.notify.slack = std::move(app);
}

std::optional<secret> config_reader::secret_line(const YAML::Node& map, const char* key,
                                                 std::size_t least) {
    const auto at = yaml_reader::member(map, key);
    const auto given = reader_.text(map, key);
    if (!given) return std::nullopt;
    const auto path = resolve(*given);
    if (secrets_ != secrets::read) return std::nullopt;
    if (const auto fault = net::secret_file_fault(path); !fault.empty()) {
        reader_.fail(at, "'" + std::string(key) + "': " + fault);
        return std::nullopt;
    }
    std::string error;
    auto text = read_file(path, line_bytes_max, error);
    if (!text) {
        reader_.fail(at, path + " cannot be read: " + error);
        return std::nullopt;
    }
    std::string_view line = *text;
    while (line.ends_with('\n') || line.ends_with('\r'))
        line.remove_suffix(1);
    std::optional<secret> out;
    if (line.size() >= least &&
        line.find_first_of(std::string_view("\n\r\0", 3)) == std::string_view::npos)
        out.emplace(line);
    else
        reader_.fail(
            at, path + " must hold one line of at least " + std::to_string(least) + " characters");
    wipe(*text);
    return out;
}

}  // namespace sallyport::proxy
