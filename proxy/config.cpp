#include "proxy/config.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "policy/address.h"
#include "policy/written.h"
#include "policy/yaml_reader.h"
#include "proxy/clock.h"
#include "proxy/config_names.h"
#include "proxy/config_reader.h"
#include "proxy/file.h"

namespace sallyport::proxy {
namespace {

constexpr std::size_t config_bytes_max = 1u << 20;

void append(std::vector<policy::fault>& to, std::vector<policy::fault> from) {
    std::move(from.begin(), from.end(), std::back_inserter(to));
}

// A role given to nobody is a slip of the pen; one given to a group that is empty today may be
// meant.
void check_role_names(const loaded_settings& config, const auth::user_directory& users,
                      loaded_all& out) {
    const auto names = users.names();
    const auto groups = users.groups();
    for (const auto& role : config.role_names) {
        if (role.is_group ? groups.contains(role.name) : names.contains(role.name)) continue;
        auto f = role.at;
        const auto& known = role.is_group ? groups : names;
        f.what = (role.is_group ? "no user is in group '" : "there is no user '") + role.name +
                 "'" + policy::did_you_mean(role.name, {known.begin(), known.end()});
        (role.is_group ? out.warnings : out.faults).push_back(std::move(f));
    }
}

// The rules with what the file of opt-outs adds to them.
policy::rule_set_ptr with_opt_outs(const std::string& path, const policy::rule_set_ptr& rules,
                                   const policy::known_names& known, loaded_all& out) {
    std::string error;
    const auto text = read_file(path, config_bytes_max, error);
    if (!text) {
        out.faults.push_back({path, 1, 1, "the opt-outs cannot be read: " + error});
        return rules;
    }
    auto loaded = policy::load_opt_outs_text(*text, path, *rules, known);
    append(out.faults, std::move(loaded.faults));
    append(out.warnings, std::move(loaded.warnings));
    auto with = std::make_shared<policy::rule_set>(*rules);
    with->opt_outs = std::move(loaded.opt_outs);
    return with;
}

void check_rule_names(const loaded_settings& config, const policy::rule_set& rules,
                      loaded_all& out) {
    std::vector<std::string> known;
    for (const auto& r : rules.rules)
        known.push_back(r.id);
    for (const auto* built_in :
         {policy::opaque_rule_id, policy::default_rule_id, policy::flag_rule_id})
        known.emplace_back(built_in);
    for (auto f : config.rule_names) {
        if (std::find(known.begin(), known.end(), f.what) != known.end()) continue;
        f.what = "there is no rule '" + f.what + "'" + policy::did_you_mean(f.what, known);
        out.faults.push_back(std::move(f));
    }
}

/// Names on the list of who is told of a broken glass that no channel of notices reaches.
std::vector<std::string> unreached(const policy::approvers& list, const std::string& rule,
                                   const notify::settings& notify,
                                   const auth::user_directory& users) {
    std::map<std::string, std::set<std::string>> members;
    for (const auto& [name, u] : users.all())
        for (const auto& group : u.principal.groups)
            members[group].insert(name);
    std::vector<std::string> out;
    const auto look = [&](const std::string& shown, policy::notice n) {
        n.event = policy::notice_event::break_glass;
        n.rule = rule;
        for (const auto& c : notify.channels)
            if (c.wants(n, members)) return;
        out.push_back(shown);
    };
    for (const auto& name : list.users) {
        policy::notice n;
        n.to_users = {name};
        look(name, std::move(n));
    }
    for (const auto& group : list.groups) {
        policy::notice n;
        n.to_groups = {group};
        look("group " + group, std::move(n));
    }
    return out;
}

// Whoever is to be told of a broken glass, and cannot be: the pages show it all the same.
void check_announcements(const settings& config, const policy::rule_set& rules,
                         const std::string& policy_path, const auth::user_directory& users,
                         loaded_all& out) {
    for (const auto& r : rules.rules) {
        if (!r.opt_out || !r.opt_out->break_glass) continue;
        std::string names;
        for (const auto& name :
             unreached(r.opt_out->break_glass->announce, r.id, config.notify, users))
            names += (names.empty() ? "" : ", ") + name;
        if (names.empty()) continue;
        out.warnings.push_back({policy_path, r.line, 1,
                                "no channel tells " + names + " when the glass of rule '" + r.id +
                                    "' is broken: add one under notify.channels"});
    }
}

}  // namespace

bool role_settings::has(const policy::principal& p) const {
    return std::find(users.begin(), users.end(), p.name) != users.end() ||
           std::any_of(groups.begin(), groups.end(),
                       [&](const auto& group) { return p.in_group(group); });
}

bool is_loopback(std::string_view host) {
    if (host == "localhost") return true;
    const auto address = policy::parse_address(host);
    if (!address) return false;
    if (!address->v6) return address->bytes[0] == 127;
    return std::all_of(address->bytes.begin(), address->bytes.end() - 1,
                       [](auto byte) { return byte == 0; }) &&
           address->bytes.back() == 1;
}

loaded_settings load_settings_text(std::string_view text, const std::string& path, secrets s) {
    return config_reader(text, path, s).run();
}

loaded_settings load_settings(const std::string& path, secrets s) {
    std::string error;
    const auto text = read_file(path, config_bytes_max, error);
    if (text) return load_settings_text(*text, path, s);
    loaded_settings out;
    out.faults.push_back({path, 1, 1, "the configuration cannot be read: " + error});
    return out;
}

loaded_all load_all(const std::string& config_path, secrets s) {
    loaded_all out;
    auto config = load_settings(config_path, s);
    append(out.faults, std::move(config.faults));
    append(out.warnings, std::move(config.warnings));

    auth::loaded_users users;
    if (!config.users_path.empty()) {
        users = auth::load_users(config.users_path);
        if (users.users) check_role_names(config, *users.users, out);
        append(out.faults, std::move(users.faults));
        append(out.warnings, std::move(users.warnings));
    }
    policy::loaded_policy rules;
    if (!config.policy_path.empty()) {
        const auto known =
            known_names_of(config.target_names, users.users.get(), system_clock{}.now());
        rules = policy::load_policy(config.policy_path, known);
        if (rules.rules) check_rule_names(config, *rules.rules, out);
        append(out.faults, std::move(rules.faults));
        append(out.warnings, std::move(rules.warnings));
        if (rules.rules && !config.opt_outs_path.empty())
            rules.rules = with_opt_outs(config.opt_outs_path, rules.rules, known, out);
    }
    if (!out.faults.empty()) return out;
    if (config.config && users.users && rules.rules)
        check_announcements(*config.config, *rules.rules, config.policy_path, *users.users, out);
    out.config = std::move(config.config);
    out.users = std::move(users.users);
    out.rules = std::move(rules.rules);
    return out;
}

}  // namespace sallyport::proxy
