#include <algorithm>
#include <chrono>

#include "policy/loader.h"

namespace sallyport::policy {

namespace {

bool eat(std::string_view& s, char c) {
    if (s.empty() || s.front() != c) return false;
    s.remove_prefix(1);
    return true;
}

/// Exactly `digits` digits.
bool eat_number(std::string_view& s, std::size_t digits, int& out) {
    if (s.size() < digits) return false;
    out = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        if (s[i] < '0' || s[i] > '9') return false;
        out = out * 10 + (s[i] - '0');
    }
    s.remove_prefix(digits);
    return true;
}

/// "Z" or "+01:00", which must be the end of the text.
bool eat_offset(std::string_view s, std::chrono::minutes& out) {
    int h = 0;
    int m = 0;
    out = std::chrono::minutes(0);
    if (s == "Z") return true;
    const bool west = s.starts_with('-');
    if (!eat(s, west ? '-' : '+') || !eat_number(s, 2, h) || !eat(s, ':') || !eat_number(s, 2, m) ||
        h > 14 || m > 59 || !s.empty())
        return false;
    out = std::chrono::minutes((h * 60 + m) * (west ? -1 : 1));
    return true;
}

std::vector<std::string> rule_ids(const loading& l) {
    std::vector<std::string> ids{opaque_rule_id, default_rule_id};
    for (const auto& r : l.out.rules)
        ids.push_back(r.id);
    return ids;
}

void load_live_opt_out(loading& l, const YAML::Node& node, policy_test& t) {
    if (!l.in.keys(node, "an opt-out of a test", {"rule", "person", "target"})) return;
    policy_test::live_opt_out o;
    o.rule = l.in.text(node, "rule").value_or("");
    o.person = l.in.text(node, "person").value_or("");
    o.target = l.in.text(node, "target").value_or("");
    const auto at = yaml_reader::member(node, "rule");
    const auto* r = l.out.find_rule(o.rule);
    if (!at.IsDefined()) {
        l.in.fail(node, "this opt-out lacks 'rule'");
    } else if (r == nullptr) {
        l.in.fail(at, "unknown rule " + quoted(o.rule) + did_you_mean(o.rule, rule_ids(l)));
    } else if (!r->opt_out) {
        l.in.fail(at, "rule " + quoted(o.rule) + " has no 'opt_out', so nobody can have one");
    }
    t.opt_outs.push_back(std::move(o));
}

/// What is live when the test runs, and what must come of it besides the effect.
void load_circumstances(loading& l, const YAML::Node& node, policy_test& t) {
    const auto opt_outs = yaml_reader::member(node, "opt_outs");
    if (opt_outs.IsDefined() && !opt_outs.IsSequence())
        l.in.fail(opt_outs, "'opt_outs' must be a list, as in [{ rule: pii-needs-approval }]");
    if (opt_outs.IsSequence())
        for (const auto& o : opt_outs)
            load_live_opt_out(l, o, t);
    if (const auto w = l.in.word(node, "by", {"opt_out", "exception"})) {
        t.by = *w;
        if (t.expect != effect::allow)
            l.in.fail(yaml_reader::member(node, "by"), "'by' is for expect: allow");
    }
    const auto observed = yaml_reader::member(node, "observed");
    if (!observed.IsDefined()) return;
    t.observed = l.in.texts(node, "observed");
    for (const auto& id : *t.observed) {
        const auto* r = l.out.find_rule(id);
        if (r == nullptr)
            l.in.fail(observed, "unknown rule " + quoted(id) + did_you_mean(id, rule_ids(l)));
        else if (!r->observe)
            l.in.fail(observed, "rule " + quoted(id) + " does not observe; it is enforced");
    }
}

void load_test(loading& l, const YAML::Node& node) {
    if (!l.in.keys(node, "a test",
                   {"as", "groups", "on", "sql", "expect", "rule", "at", "application", "address",
                    "search_path", "opt_outs", "by", "observed"}))
        return;
    policy_test t;
    t.line = node.Mark().line + 1;
    t.column = node.Mark().column + 1;
    t.as = l.in.text(node, "as").value_or("");
    t.groups = l.in.texts(node, "groups");
    t.on = l.in.text(node, "on").value_or("");
    t.sql = l.in.text(node, "sql").value_or("");
    t.rule = l.in.text(node, "rule").value_or("");
    t.application = l.in.text(node, "application").value_or("");
    t.address = l.in.text(node, "address").value_or("");
    t.search_path = l.in.texts(node, "search_path");
    for (const auto* key : {"as", "on", "expect"})
        if (!yaml_reader::member(node, key).IsDefined())
            l.in.fail(node, "this test lacks " + quoted(key));
    if (const auto w = l.in.word(node, "expect", {"allow", "hold", "deny"}))
        t.expect = *w == "allow" ? effect::allow : *w == "hold" ? effect::hold : effect::deny;

    const std::vector<std::string> targets(l.known.targets.begin(), l.known.targets.end());
    if (!targets.empty() && !t.on.empty() && !l.known.targets.contains(t.on))
        l.in.fail(yaml_reader::member(node, "on"),
                  "unknown target " + quoted(t.on) + did_you_mean(t.on, targets));
    const auto ids = rule_ids(l);
    if (!t.rule.empty() && std::find(ids.begin(), ids.end(), t.rule) == ids.end())
        l.in.fail(yaml_reader::member(node, "rule"),
                  "unknown rule " + quoted(t.rule) + did_you_mean(t.rule, ids));
    if (t.sql.size() > test_sql_bytes_max)
        l.in.fail(yaml_reader::member(node, "sql"),
                  "'sql' must have at most " + std::to_string(test_sql_bytes_max) + " bytes");
    if (const auto at = l.in.text(node, "at")) {
        t.at = parse_instant(*at);
        if (!t.at)
            l.in.fail(yaml_reader::member(node, "at"),
                      "'at' must be an instant such as 2026-03-29T10:00:00Z or "
                      "2026-03-29T10:00:00+01:00");
    }
    load_circumstances(l, node, t);
    l.out.tests.push_back(std::move(t));
}

}  // namespace

std::optional<instant> parse_date(std::string_view s) {
    return s.size() == 10 ? parse_instant(std::string(s) + "T00:00Z") : std::nullopt;
}

std::optional<instant> parse_instant(std::string_view s) {
    using namespace std::chrono;
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, sec = 0;
    minutes offset{};
    if (!eat_number(s, 4, y) || !eat(s, '-') || !eat_number(s, 2, mo) || !eat(s, '-') ||
        !eat_number(s, 2, d) || !eat(s, 'T') || !eat_number(s, 2, h) || !eat(s, ':') ||
        !eat_number(s, 2, mi))
        return {};
    if (eat(s, ':') && !eat_number(s, 2, sec)) return {};
    if (!eat_offset(s, offset) || h > 23 || mi > 59 || sec > 59) return {};
    const year_month_day date{year(y), month(static_cast<unsigned>(mo)),
                              day(static_cast<unsigned>(d))};
    if (!date.ok()) return {};
    return time_point_cast<milliseconds>(sys_days(date) + hours(h) + minutes(mi) +
                                         std::chrono::seconds(sec) - offset);
}

void load_tests(loading& l, const YAML::Node& node) {
    if (!node.IsDefined()) return;
    if (!node.IsSequence()) {
        l.in.fail(node, "'tests' must be a list of tests");
        return;
    }
    for (const auto& t : node)
        load_test(l, t);
}

}  // namespace sallyport::policy
