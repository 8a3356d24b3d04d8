#include <algorithm>
#include <map>

#include "policy/commands.h"
#include "policy/loader.h"

namespace sallyport::policy {

namespace {

void load_names(loading& l, const YAML::Node& node, const char* key, std::vector<std::string>& out,
                std::string_view where) {
    const auto written = yaml_reader::member(node, key);
    out = l.in.texts(node, key);
    // An empty list would silently mean everybody, or everything.
    if (written.IsDefined() && written.IsSequence() && written.size() == 0)
        l.in.fail(written, quoted(key) + " in " + std::string(where) +
                               " is empty; leave it out or name "
                               "someone");
    if (out.size() > entries_max)
        l.in.fail(written,
                  quoted(key) + " has more than " + std::to_string(entries_max) + " entries");
}

void load_networks(loading& l, const YAML::Node& node, who& w) {
    for (const auto& [at, text] : l.in.list(node, "addresses")) {
        if (const auto n = parse_network(text)) {
            w.networks.push_back(*n);
        } else {
            l.in.fail(at, quoted(text) +
                              " is no network; write 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32, "
                              "with no bits set behind the prefix");
        }
    }
}

void load_action(loading& l, const YAML::Node& at, const std::string& text,
                 std::vector<kind>& kinds, std::vector<std::string>& commands) {
    kind k{};
    if (text == "any") {
        for (std::size_t i = 0; i < kind_count; ++i)
            if ((every_statement_kind >> i & 1U) != 0) kinds.push_back(static_cast<kind>(i));
    } else if (parse_kind(text, k)) {
        kinds.push_back(k);
    } else if (find_command(text) != nullptr) {
        commands.push_back(text);
    } else {
        l.in.fail(at, quoted(text) + " is neither a kind nor a command" +
                          did_you_mean(text, all_action_words()) +
                          "; kinds are read, write, ddl, grant …, commands are select, truncate, "
                          "create table …");
    }
}

}  // namespace

void load_actions(loading& l, const YAML::Node& node, std::vector<kind>& kinds,
                  std::vector<std::string>& commands) {
    const auto written = yaml_reader::member(node, "do");
    for (const auto& [at, text] : l.in.list(node, "do"))
        load_action(l, at, text, kinds, commands);
    if (written.IsDefined() && written.IsSequence() && written.size() == 0)
        l.in.fail(written, "'do' is empty; leave it out to mean every action");
    std::sort(kinds.begin(), kinds.end());
    kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
}

namespace {

void load_objects(loading& l, const YAML::Node& node, rule& r) {
    std::vector<std::string> known;
    for (const auto& [name, resource] : l.out.resources)
        known.push_back(name);
    const auto written = yaml_reader::member(node, "on");
    for (const auto& [at, text] : l.in.list(node, "on")) {
        if (!l.out.resources.contains(text))
            l.in.fail(at, "unknown resource " + quoted(text) + did_you_mean(text, known));
        r.on.push_back(text);
    }
    if (written.IsDefined() && written.IsSequence() && written.size() == 0)
        l.in.fail(written, "'on' is empty; leave it out to mean everything");
}

void load_window(loading& l, const YAML::Node& node, const std::string& where, rule& r) {
    if (!l.in.keys(node, "'when' of " + where, {"hours", "zone"})) return;
    const auto zone = l.in.text(node, "zone").value_or("UTC");
    std::string why;
    const auto rules = load_time_zone(zone, why);
    if (!rules) l.in.fail(yaml_reader::member(node, "zone"), why);
    const auto hours = l.in.list(node, "hours");
    if (!yaml_reader::member(node, "hours").IsDefined())
        l.in.fail(node, "'when' of " + where + " lacks 'hours', as in \"Mon-Fri 08:00-18:00\"");
    for (const auto& [at, text] : hours) {
        time_window w;
        if (!parse_time_window(text, w, why)) l.in.fail(at, why);
        w.zone = zone;
        w.rules = rules;
        r.when.push_back(std::move(w));
    }
    // No window at all would mean always.
    if (hours.empty() && yaml_reader::member(node, "hours").IsSequence())
        l.in.fail(node, "'hours' is empty; leave 'when' out to mean always");
}

void load_when(loading& l, const YAML::Node& node, const std::string& where, rule& r) {
    const auto when = yaml_reader::member(node, "when");
    if (!when.IsDefined()) return;
    if (!when.IsSequence()) {
        load_window(l, when, where, r);
        return;
    }
    if (when.size() == 0) l.in.fail(when, "'when' is empty; leave it out to mean always");
    for (const auto& w : when)
        load_window(l, w, where, r);
}

void load_effect(loading& l, const YAML::Node& node, const std::string& where, rule& r) {
    const auto hold = yaml_reader::member(node, "hold");
    const auto opt_out = yaml_reader::member(node, "opt_out");
    const auto word = l.in.word(node, "effect", {"allow", "hold", "deny"});
    if (!word && !yaml_reader::member(node, "effect").IsDefined())
        l.in.fail(node, where + " lacks 'effect' (allow, hold or deny)");
    if (word)
        r.effect = *word == "allow" ? effect::allow : *word == "hold" ? effect::hold : effect::deny;

    if (word && r.effect != effect::hold) {
        for (const auto* key : {"hold", "opt_out"})
            if (const auto at = yaml_reader::member(node, key); at.IsDefined())
                l.in.fail(at, quoted(key) + " is for effect hold only; " + where + " has effect " +
                                  *word);
    } else if (word && !hold.IsDefined()) {
        l.in.fail(node, where + " has effect hold but no 'hold' that names its approvers");
    }
    if (hold.IsDefined()) r.hold = load_hold(l, hold, where);
    if (opt_out.IsDefined()) r.opt_out = load_opt_out(l, opt_out, where);
}

void load_observe(loading& l, const YAML::Node& node, const std::string& where, rule& r) {
    r.observe = l.in.boolean(node, "observe").value_or(false);
    if (r.observe && r.effect == effect::allow)
        l.in.fail(yaml_reader::member(node, "observe"),
                  "'observe' is for effect hold and deny: " + where +
                      " allows, and there is nothing to see before that; leave the rule out");
}

void load_id(loading& l, const YAML::Node& node, std::map<std::string, int>& lines, rule& r) {
    const auto id = l.in.text(node, "id");
    const auto at = yaml_reader::member(node, "id");
    if (!id) {
        if (!at.IsDefined()) l.in.fail(node, "this rule lacks 'id'");
        return;
    }
    r.id = *id;
    if (!is_plain_id(r.id))
        l.in.fail(at,
                  quoted(r.id) + " is no rule id; use letters, digits, '-', '_', '.', at most 63");
    if (r.id == opaque_rule_id || r.id == default_rule_id)
        l.in.fail(at, "the id " + quoted(r.id) + " is reserved");
    const auto [first, is_new] = lines.emplace(r.id, r.line);
    if (!is_new)
        l.in.fail(at, "the rule id " + quoted(r.id) + " is taken by the rule in line " +
                          std::to_string(first->second));
}

void load_message(loading& l, const YAML::Node& node, rule& r) {
    r.message = l.in.text(node, "message").value_or("");
    const auto at = yaml_reader::member(node, "message");
    if (r.message.size() > message_bytes_max)
        l.in.fail(at,
                  "'message' must have at most " + std::to_string(message_bytes_max) + " bytes");
    if (r.message.find('\n') != std::string::npos) l.in.fail(at, "'message' must be one line");
}

void load_rule(loading& l, const YAML::Node& node, std::map<std::string, int>& lines) {
    rule r;
    r.line = node.Mark().line + 1;
    r.column = node.Mark().column + 1;
    if (!l.in.keys(node, "a rule",
                   {"id", "tier", "who", "on", "do", "when", "effect", "message", "hold", "opt_out",
                    "log", "observe", "reason", "review_by"}))
        return;
    load_id(l, node, lines, r);
    const auto where = r.id.empty() ? std::string("this rule") : "rule " + quoted(r.id);
    r.tier = static_cast<int>(l.in.integer(node, "tier", 0, tier_max).value_or(0));
    if (const auto w = yaml_reader::member(node, "who"); w.IsDefined())
        r.who = load_who(l, w, where, who_fields::all);
    load_objects(l, node, r);
    load_actions(l, node, r.kinds, r.commands);
    load_when(l, node, where, r);
    load_effect(l, node, where, r);
    load_message(l, node, r);
    load_observe(l, node, where, r);
    load_review(l, node, where, r);
    const auto log = l.in.word(node, "log", {"none", "all"});
    r.log = log ? (*log == "all" ? log_mode::all : log_mode::none) : l.out.log;

    const bool names_relations = std::any_of(r.on.begin(), r.on.end(), [&](const auto& name) {
        const auto found = l.out.resources.find(name);
        return found != l.out.resources.end() && !found->second.relations.empty();
    });
    r.connect_scope = r.kinds.empty() && r.commands.empty() && !names_relations;
    l.out.rules.push_back(std::move(r));
}

}  // namespace

who load_who(loading& l, const YAML::Node& node, std::string_view where, who_fields f) {
    who w;
    const auto here = "'who' of " + std::string(where);
    const bool all = f == who_fields::all;
    if (!(all ? l.in.keys(node, here, {"users", "groups", "applications", "addresses", "not"})
              : l.in.keys(node, here, {"users", "groups", "not"})))
        return w;
    load_names(l, node, "users", w.users, here);
    load_names(l, node, "groups", w.groups, here);
    if (all) {
        load_names(l, node, "applications", w.applications, here);
        load_names(l, node, "addresses", w.addresses, here);
        load_networks(l, node, w);
    }
    if (const auto n = yaml_reader::member(node, "not"); n.IsDefined()) {
        const auto before = l.in.faults().size();
        auto excluded = load_who(l, n, "'not'", f);
        if (excluded.everybody() && l.in.faults().size() == before)
            l.in.fail(n, "'not' excludes everybody, so nothing would match");
        w.not_ = std::make_shared<const who>(std::move(excluded));
    }
    if (w.everybody() && node.size() == 0)
        l.in.fail(node, here + " is empty; leave it out to mean everybody");
    return w;
}

void load_rules(loading& l, const YAML::Node& node) {
    if (!node.IsDefined()) return;
    if (!node.IsSequence()) {
        l.in.fail(node, "'rules' must be a list of rules");
        return;
    }
    if (node.size() > rules_max) {
        l.in.fail(node, "there are more than " + std::to_string(rules_max) + " rules");
        return;
    }
    std::map<std::string, int> lines;
    for (const auto& r : node)
        load_rule(l, r, lines);
    std::stable_sort(l.out.rules.begin(), l.out.rules.end(),
                     [](const rule& a, const rule& b) { return a.tier < b.tier; });
}

}  // namespace sallyport::policy
