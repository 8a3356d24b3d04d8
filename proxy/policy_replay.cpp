#include "proxy/policy_replay.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "policy/in_session.h"
#include "policy/redact.h"
#include "policy/sql/analyse.h"
#include "policy/wire_facts.h"
#include "proxy/audit/chain.h"

namespace sallyport::proxy {

namespace {

using policy::effect;
using policy::outcome;

constexpr std::size_t texts_max = 20'000;    // facts that are remembered
constexpr std::size_t events_max = 100'000;  // records that others may repeat
constexpr std::size_t example_bytes_max = 160;

std::optional<effect> parse_effect(std::string_view text) {
    if (text == "allow") return effect::allow;
    if (text == "hold") return effect::hold;
    if (text == "deny") return effect::deny;
    return {};
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto end = std::min(text.find(','), text.size());
        auto word = text.substr(0, end);
        while (word.starts_with(' '))
            word.remove_prefix(1);
        if (!word.empty()) out.emplace_back(word);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

bool has_field(const audit::parsed_line& line, std::string_view name) {
    return std::ranges::any_of(line.fields, [&](const auto& f) { return f.first == name; });
}

/// What stands for a literal in a redacted text, by something that stands where literals do.
std::string with_literals(const std::string& text, std::string_view literal) {
    std::string out;
    bool quoted = false;
    for (const char c : text) {
        quoted ^= c == '"';
        if (c == '?' && !quoted)
            out += literal;
        else
            out += c;
    }
    return out;
}

bool uses_names(const policy::facts& f) {
    return std::ranges::any_of(f.statements, [](const auto& s) {
        return std::ranges::any_of(s.names, [](const auto& u) {
            return u.what == policy::name_use::action::execute ||
                   u.what == policy::name_use::action::fetch;
        });
    });
}

/// What the record says was decided; nullopt: it is no decision.
std::optional<outcome> decided_in(const audit::parsed_line& line) {
    const std::string rule(line.field("rule"));
    if (line.event == "decision.denied")
        return outcome{parse_effect(line.field("effect")).value_or(effect::deny), rule};
    if (line.event == "decision.allowed" || line.event == "exception.used")
        return outcome{effect::allow, rule};
    if (line.event == "decision.observed") {
        const auto was = parse_effect(line.field("decided"));
        if (!was) return {};
        return outcome{*was, std::string(line.field("decided_by"))};
    }
    const bool held =
        line.event == "hold.opened" || line.event == "hold.released" || line.event == "bypass";
    return held ? std::optional(outcome{effect::hold, rule}) : std::nullopt;
}

std::string example_of(const audit::parsed_line& line) {
    std::string text(line.field("statement"));
    if (!has_field(line, "statement")) text = "opening a session";
    if (text.size() > example_bytes_max) {
        auto end = example_bytes_max;
        while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80)
            --end;
        text = text.substr(0, end) + "…";
    }
    return std::to_string(line.sequence) + " on " + std::string(line.field("target")) + ": " + text;
}

}  // namespace

policy::facts_ptr facts_of_redacted(const std::string& text) {
    if (text == "<replication session>") return policy::replication_session_facts();
    if (text.empty() || text.starts_with('<')) return nullptr;
    if (policy::is_replication_command(text)) return policy::replication_command_facts(text);
    const bool whole = text.find('?') == std::string::npos;
    for (const auto* literal : {"'0'", "0", "NULL"}) {
        auto f = policy::sql::analyse(whole ? text : with_literals(text, literal), {});
        if (f->syntax_error && !whole) continue;
        if ((f->literal_sensitive && !whole) || uses_names(*f)) return nullptr;
        return f;
    }
    return nullptr;
}

const char* to_string(replay_verdict v) noexcept {
    switch (v) {
        case replay_verdict::same:
            return "same";
        case replay_verdict::stricter:
            return "stricter";
        case replay_verdict::looser:
            return "looser";
        case replay_verdict::unknown:
            return "unknown";
    }
    return "unknown";
}

struct replayer::impl {
    using key =
        std::tuple<replay_verdict, std::string, int, std::string, int, std::string, std::string>;

    explicit impl(replay_world world) : w(world) {}

    void take(const audit::parsed_line& line) {
        ++report.records;
        const auto before = decided_in(line);
        if (!before || repeats(line)) return;
        const auto at = audit::parse_time(line.time);
        if (!at) return;
        std::string why;
        const auto s = subject_of(line, why);
        const auto facts = has_field(line, "statement") ? facts_of(line) : nullptr;
        if (has_field(line, "statement") && facts == nullptr)
            why = "its literals or its session decided what it did, or the text is not whole";
        if (!why.empty()) return note(replay_verdict::unknown, line, *before, {}, why);
        const auto* f = facts.get();
        if (w.in_force != nullptr && line.field("policy") == w.in_force->hash &&
            decide(*w.in_force, s, f, *at).effect != before->effect)
            return note(replay_verdict::unknown, line, *before, {},
                        "the rules in force do not decide the text alone as it was decided: the "
                        "catalog or the session counted");
        const auto after = decide(w.candidate, s, f, *at);
        const auto what = after.effect == before->effect  ? replay_verdict::same
                          : after.effect > before->effect ? replay_verdict::stricter
                                                          : replay_verdict::looser;
        if (what == replay_verdict::same) {
            ++report.counts[what];
            if (!before->rule.empty() && before->rule != after.rule) ++report.other_rule;
            return;
        }
        note(what, line, *before, after, {});
    }

    /// One statement can leave several records: what was observed of it, its hold and its release.
    bool repeats(const audit::parsed_line& line) {
        if (seen.size() > events_max) seen.clear();
        if (held.size() > events_max) held.clear();
        const std::string sha(line.field("statement_sha256"));
        if (line.event == "hold.opened") held[std::string(line.field("hold"))] = sha;
        if (line.event == "hold.released") {
            const auto at = held.find(std::string(line.field("hold")));
            if (at != held.end() && at->second == sha) {
                held.erase(at);
                return true;
            }
        }
        const bool beside = line.event == "decision.observed" || line.event == "exception.used";
        const bool decided_alone =
            line.event == "exception.used" || line.field("decided") == "allow";
        if (beside && (!decided_alone || has_field(line, "granted"))) return true;
        const auto id = std::string(line.field("session")) + " " + sha + " " + line.time;
        const bool again = !seen.insert(id).second;
        const bool may_repeat = line.event.starts_with("decision.") ||
                                line.event == "exception.used" || line.event == "bypass" ||
                                line.event == "hold.released";
        return again && may_repeat;
    }

    policy::subject subject_of(const audit::parsed_line& line, std::string& why) const {
        policy::subject s;
        s.principal.name = std::string(line.field("user"));
        s.target = std::string(line.field("target"));
        s.address = std::string(line.field("address"));
        s.application = std::string(line.field("application"));
        s.session = policy::session_id{1};
        if (has_field(line, "groups")) {
            s.principal.groups = words_of(line.field("groups"));
        } else if (const auto* known =
                       w.users == nullptr ? nullptr : w.users->find(s.principal.name)) {
            s.principal = known->principal;
        } else {
            why = "the record does not say the groups, and no users file does";
        }
        return s;
    }

    policy::facts_ptr facts_of(const audit::parsed_line& line) {
        const std::string text(line.field("statement"));
        if (const auto at = texts.find(text); at != texts.end()) return at->second;
        if (texts.size() >= texts_max) texts.clear();
        return texts.emplace(text, facts_of_redacted(text)).first->second;
    }

    static outcome decide(const policy::rule_set& rules, const policy::subject& s,
                          const policy::facts* f, policy::instant at) {
        auto d = policy::decide(rules, s, f, policy::grants{}, at, {});
        if (f != nullptr) policy::restrict_wire_command(d, *f);
        outcome o;
        o.effect = d.effect;
        o.rule = d.rule != nullptr ? d.rule->id : d.rule_id;
        if (o.rule.empty()) o.rule = policy::default_rule_id;
        return o;
    }

    void note(replay_verdict what, const audit::parsed_line& line, const outcome& before,
              const outcome& after, const std::string& why) {
        ++report.counts[what];
        const std::string person(line.field("user"));
        auto& row = rows[{what, person, static_cast<int>(before.effect), before.rule,
                          static_cast<int>(after.effect), after.rule, why}];
        row.what = what;
        row.person = person;
        row.before = before;
        row.after = after;
        row.why = why;
        ++row.count;
        if (row.examples.size() < w.examples) row.examples.push_back(example_of(line));
    }

    replay_world w;
    replay_report report;
    std::map<key, replay_row> rows;
    std::unordered_map<std::string, policy::facts_ptr> texts;
    std::unordered_map<std::string, std::string> held;
    std::set<std::string> seen;
};

replayer::replayer(replay_world w) : impl_(std::make_unique<impl>(w)) {}
replayer::~replayer() = default;

void replayer::take(const audit::parsed_line& line) {
    impl_->take(line);
}

replay_report replayer::finish() {
    const auto rank = [](const replay_row& r) {
        return r.what == replay_verdict::looser ? 0 : r.what == replay_verdict::stricter ? 1 : 2;
    };
    for (auto& [key, row] : impl_->rows)
        impl_->report.rows.push_back(std::move(row));
    std::ranges::stable_sort(impl_->report.rows, [&](const auto& a, const auto& b) {
        return std::pair(rank(a), b.count) < std::pair(rank(b), a.count);
    });
    return std::move(impl_->report);
}

}  // namespace sallyport::proxy
