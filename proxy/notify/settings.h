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
    /// Whose it is: what is for them in person. Both empty: nobody's, it is told of everything.
    std::set<std::string> users;
    std::set<std::string> groups;
    policy::milliseconds timeout{std::chrono::seconds(5)};
    policy::milliseconds give_up_after{std::chrono::hours(24)};

    [[nodiscard]] bool personal() const noexcept { return !users.empty() || !groups.empty(); }
    /// `members`: group → its users. Whoever stands on the list of a broken glass is told of it,
    /// whatever events her channel is for.
    [[nodiscard]] bool wants(const policy::notice& n,
                             const std::map<std::string, std::set<std::string>>& members) const {
        if (personal() && !is_for(n, members)) return false;
        const bool announced = personal() && (n.event == policy::notice_event::break_glass ||
                                              n.event == policy::notice_event::break_glass_use);
        return (announced || events.empty() || events.contains(n.event)) &&
               (rules.empty() || n.rule.empty() || rules.contains(n.rule)) &&
               (targets.empty() || n.target.empty() || targets.contains(n.target));
    }

  private:
    [[nodiscard]] bool is_for(const policy::notice& n,
                              const std::map<std::string, std::set<std::string>>& members) const {
        for (const auto& person : n.to_users)
            if (users.contains(person)) return true;
        for (const auto& group : n.to_groups) {
            if (groups.contains(group)) return true;
            const auto of = members.find(group);
            if (of == members.end()) continue;
            for (const auto& person : of->second)
                if (users.contains(person)) return true;
        }
        return false;
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
