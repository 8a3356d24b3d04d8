#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/notice.h"
#include "policy/types.h"
#include "proxy/secret.h"

/// `notify:` of sallyport.yaml as values.
namespace sallyport::proxy::notify {

/// generic: our own JSON, signed. slack, teams: what their incoming webhooks take.
enum class form : std::uint8_t { generic, slack, teams };

struct webhook {
    secret url;         ///< a secret: whoever knows it can post (Slack, Teams)
    std::string shown;  ///< "https://hooks.slack.com": all that is ever shown of it
    form as = form::generic;
    std::optional<secret> key;  ///< signs; always there with form generic
    std::string ca;             ///< PEM file; "" = the system's authorities
};

/// Where notices go: a webhook or, without one, a command.
struct channel {
    std::string name;
    std::optional<webhook> hook;
    std::vector<std::string> command;       ///< absolute path and arguments; no shell
    std::set<policy::notice_event> events;  ///< empty: all
    std::set<std::string> rules;            ///< empty: all; else also what is about no rule
    std::set<std::string> targets;          ///< likewise
    policy::milliseconds timeout{std::chrono::seconds(5)};
    policy::milliseconds give_up_after{std::chrono::hours(24)};

    [[nodiscard]] bool wants(const policy::notice& n) const {
        return (events.empty() || events.contains(n.event)) &&
               (rules.empty() || n.rule.empty() || rules.contains(n.rule)) &&
               (targets.empty() || n.target.empty() || targets.contains(n.target));
    }
};

/// Buttons of Slack messages: who signs the requests, and who the people are.
struct slack_app {
    secret signing_secret;
    std::map<std::string, std::string> people;  ///< Slack's user id → name in users.yaml
};

struct settings {
    std::string url;  ///< base of links to the page, without a slash at its end
    std::vector<channel> channels;
    std::optional<slack_app> slack;
};

}  // namespace sallyport::proxy::notify
