#include "proxy/audit/overuse.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "proxy/audit/read.h"

namespace sallyport::proxy::audit {

namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t names_max = 10'000;
constexpr std::size_t cells_max = 20'000;
constexpr std::size_t open_max = 100'000;
constexpr std::size_t weeks_max = 520;
constexpr std::uint64_t look_every = 4096;
constexpr const char* others = "(others)";

// From how many on a share says something, and what is too much.
constexpr std::uint64_t events_min = 20;
constexpr double share_too_high = 0.5;
constexpr double expired_too_high = 0.2;
constexpr double approved_too_high = 0.98;
constexpr policy::milliseconds decided_too_fast = std::chrono::minutes(1);
constexpr std::size_t weeks_too_many = 3;
constexpr std::uint64_t glasses_too_many = 3;

std::chrono::sys_days monday_of(policy::instant t) {
    const auto day = std::chrono::floor<std::chrono::days>(t);
    return day - (std::chrono::weekday(day) - std::chrono::Monday);
}

/// ISO 8601: the week has the year of its Thursday.
std::string week_of(policy::instant t) {
    const auto thursday = monday_of(t) + std::chrono::days(3);
    const std::chrono::year_month_day d(thursday);
    const auto first = std::chrono::sys_days(d.year() / std::chrono::January / 1);
    const auto number = static_cast<int>((thursday - first).count() / 7 + 1);
    std::array<char, 24> text{};
    std::snprintf(text.data(), text.size(), "%04d-W%02d", static_cast<int>(d.year()), number);
    return text.data();
}

std::vector<std::string> words(std::string_view list) {
    std::vector<std::string> out;
    while (!list.empty()) {
        const auto comma = list.find(", ");
        out.emplace_back(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 2);
    }
    return out;
}

template <class Map, class Key>
auto& bounded(Map& m, const Key& key, std::size_t most, const Key& rest) {
    const auto found = m.find(key);
    if (found != m.end()) return found->second;
    return m.size() < most ? m[key] : m[rest];
}

std::string percent(double share) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%.0f %%", share * 100);
    return text.data();
}

double share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string number(std::uint64_t n) {
    return std::to_string(n);
}

void judge_rule(const std::string& name, const usage_numbers& n,
                std::vector<overuse_finding>& out) {
    const auto add = [&](const char* code, std::string text) {
        out.push_back({"rule", name, code, std::move(text)});
    };
    const auto decided = n.approved + n.denied;
    if (n.holds + n.uses >= events_min && n.bypass_share() >= share_too_high)
        add("mostly-bypassed", percent(n.bypass_share()) + " of what it holds goes round it by " +
                                   number(n.opt_outs) +
                                   " opt-out(s): narrow the rule, or allow "
                                   "with a review date what is always let through");
    if (decided >= events_min && share(n.approved, decided) >= approved_too_high &&
        n.decided_in.quantile(0.5) <= decided_too_fast)
        add("rubber-stamp", number(n.approved) + " of " + number(decided) +
                                " holds were approved, half of them within a minute: nobody "
                                "looks; narrow the rule, or only observe");
    if (n.holds >= events_min && share(n.expired, n.holds) >= expired_too_high)
        add("nobody-decides", number(n.expired) + " of " + number(n.holds) +
                                  " holds expired: name more approvers, or wait longer");
    if (n.holds >= events_min && share(n.withdrawn, n.holds) >= share_too_high)
        add("given-up-on", number(n.withdrawn) + " of " + number(n.holds) +
                               " holds were withdrawn by those who asked: let clients be refused "
                               "at once, or decide sooner");
}

void judge_person(const std::string& name, const usage_numbers& n,
                  std::vector<overuse_finding>& out) {
    const auto add = [&](const char* code, std::string text) {
        out.push_back({"person", name, code, std::move(text)});
    };
    if (n.weeks.size() >= weeks_too_many)
        add("lives-on-exceptions", "used opt-outs in " + number(n.weeks.size()) + " weeks (" +
                                       number(n.opt_outs) + " opt-out(s), " + number(n.uses) +
                                       " use(s)): what she needs all the time belongs into a rule");
    else if (n.uses >= events_min && n.bypass_share() >= share_too_high)
        add("mostly-bypasses", percent(n.bypass_share()) +
                                   " of what rules hold for her went "
                                   "under an opt-out (" +
                                   number(n.uses) + " use(s))");
    if (n.break_glass >= glasses_too_many)
        add("breaks-glass",
            "broke glass " + number(n.break_glass) + " times: ask why the usual road was too slow");
}

json numbers_json(const char* key, const std::string& name, const usage_numbers& n) {
    const auto decided = n.decided_in.count();
    const auto ms = [&](double q) {
        return decided == 0 ? json() : json(n.decided_in.quantile(q).count());
    };
    return {{key, name},
            {"holds", n.holds},
            {"approved", n.approved},
            {"denied", n.denied},
            {"expired", n.expired},
            {"withdrawn", n.withdrawn},
            {"decided_in_ms", {{"median", ms(0.5)}, {"p90", ms(0.9)}}},
            {"opt_outs", n.opt_outs},
            {"break_glass", n.break_glass},
            {"uses", n.uses},
            {"weeks_with_uses", n.weeks.size()},
            {"bypass_share", n.bypass_share()}};
}

json table_json(const char* key, const std::map<std::string, usage_numbers>& all, bool by_name) {
    std::vector<std::pair<std::string, const usage_numbers*>> rows;
    for (const auto& [name, n] : all)
        rows.emplace_back(name, &n);
    if (!by_name)
        std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
            return a.second->holds + a.second->uses > b.second->holds + b.second->uses;
        });
    json out = json::array();
    for (const auto& [name, n] : rows)
        out.push_back(numbers_json(key, name, *n));
    return out;
}

}  // namespace

void duration_histogram::add(policy::milliseconds d) {
    std::size_t at = 0;
    for (auto border = policy::milliseconds(1); border < d && at + 1 < buckets_.size(); border *= 2)
        ++at;
    ++buckets_[at];
    ++count_;
}

policy::milliseconds duration_histogram::quantile(double q) const noexcept {
    if (count_ == 0) return {};
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1)) + 1;
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets_.size(); ++i) {
        seen += buckets_[i];
        if (seen >= rank) return policy::milliseconds(std::int64_t{1} << i);
    }
    return {};
}

double usage_numbers::bypass_share() const noexcept {
    return share(uses, uses + holds);
}

overuse_counter::overuse_counter(std::optional<policy::instant> from,
                                 std::optional<policy::instant> to)
    : from_(from), to_(to) {}

template <class F>
void overuse_counter::count(const subject& s, F f) {
    if ((from_ && s.at < *from_) || (to_ && s.at >= *to_)) return;
    const std::string rest = others;
    if (!s.rule.empty()) f(bounded(report_.rules, s.rule, names_max, rest));
    if (!s.person.empty()) f(bounded(report_.persons, s.person, names_max, rest));
    for (const auto& team : s.teams)
        f(bounded(report_.teams, team, names_max, rest));
    f(bounded(report_.weeks, week_of(s.at), names_max, rest));
}

void overuse_counter::opened(const parsed_line& line, subject s) {
    const std::string id(line.field("hold"));
    count(s, [](usage_numbers& n) { ++n.holds; });
    if ((!from_ || s.at >= *from_) && (!to_ || s.at < *to_))
        ++bounded(report_.cells, {week_of(s.at), s.rule, s.person}, cells_max,
                  std::array<std::string, 3>{others, others, others})
              .first;
    if (open_.emplace(id, open_hold{s.at, std::move(s.teams)}).second) open_order_.push_back(id);
    // Ends that are missing (a log that was cut) must not pile up.
    while (open_order_.size() > open_max) {
        open_.erase(open_order_.front());
        open_order_.pop_front();
    }
}

void overuse_counter::decided(const parsed_line& line, subject s,
                              std::uint64_t usage_numbers::*what) {
    const auto node = open_.extract(std::string(line.field("hold")));
    // Twice on record: approved and then, when the log could not be written, withdrawn.
    if (node.empty()) return;
    s.teams = node.mapped().teams;
    const auto took = s.at - node.mapped().at;
    const bool by_people = what == &usage_numbers::approved || what == &usage_numbers::denied;
    count(s, [&](usage_numbers& n) {
        ++(n.*what);
        if (by_people) n.decided_in.add(took);
    });
}

void overuse_counter::take(const parsed_line& line) {
    const auto at = parse_time(line.time);
    if (!at || line.event == checkpoint_event) return;
    if ((from_ && *at < *from_) || (to_ && *at >= *to_)) {
        if (!line.event.starts_with("hold.")) return;  // a hold may end in the time that counts
    } else {
        ++report_.records;
        if (report_.first.empty()) report_.first = line.time;
        report_.last = line.time;
    }
    subject s{std::string(line.field("rule")), std::string(line.field("user")),
              words(line.field("groups")), *at};
    auto& known = bounded(teams_of_, s.person, names_max, std::string(others));
    if (!s.teams.empty())
        known = s.teams;
    else if (s.person != others)
        s.teams = known;
    if (line.event == "hold.opened") return opened(line, std::move(s));
    if (line.event == "hold.approved") return decided(line, std::move(s), &usage_numbers::approved);
    if (line.event == "hold.denied") return decided(line, std::move(s), &usage_numbers::denied);
    if (line.event == "hold.expired") return decided(line, std::move(s), &usage_numbers::expired);
    if (line.event == "hold.withdrawn")
        return decided(line, std::move(s), &usage_numbers::withdrawn);
    if (line.event == "opt_out.activated") {
        const bool glass = line.field("kind") == "break_glass";
        return count(s, [glass](usage_numbers& n) {
            ++n.opt_outs;
            if (glass) ++n.break_glass;
        });
    }
    if (line.event != "bypass") return;
    const auto week = static_cast<std::int32_t>(monday_of(s.at).time_since_epoch().count());
    count(s, [week](usage_numbers& n) {
        ++n.uses;
        if (n.weeks.size() < weeks_max) n.weeks.insert(week);
    });
    ++bounded(report_.cells, {week_of(s.at), s.rule, s.person}, cells_max,
              std::array<std::string, 3>{others, others, others})
          .second;
}

overuse_report overuse_counter::finish() {
    for (const auto& [name, n] : report_.rules)
        judge_rule(name, n, report_.findings);
    for (const auto& [name, n] : report_.persons)
        judge_person(name, n, report_.findings);
    return std::move(report_);
}

overuse_report count_overuse(const std::string& directory, std::optional<policy::instant> from,
                             std::optional<policy::instant> to,
                             const std::function<bool(std::uint64_t)>& goes_on) {
    overuse_counter c(from, to);
    std::uint64_t read = 0;
    bool cut = false;
    const auto skipped = for_each_match(directory, {}, [&](const parsed_line& line) {
        c.take(line);
        cut = ++read % look_every == 0 && !goes_on(read);
        return !cut;
    });
    auto report = c.finish();
    report.skipped = skipped;
    report.cut = cut;
    return report;
}

std::string overuse_json(const overuse_report& r) {
    json out{{"from", r.first.empty() ? json() : json(r.first)},
             {"to", r.last.empty() ? json() : json(r.last)},
             {"records", r.records},
             {"skipped", r.skipped},
             {"cut", r.cut},
             {"findings", json::array()},
             {"rules", table_json("rule", r.rules, false)},
             {"persons", table_json("person", r.persons, false)},
             {"teams", table_json("team", r.teams, false)},
             {"weeks", table_json("week", r.weeks, true)},
             {"cells", json::array()}};
    for (const auto& f : r.findings)
        out["findings"].push_back(
            {{"about", f.about}, {"name", f.name}, {"code", f.code}, {"text", f.text}});
    for (const auto& [key, n] : r.cells)
        out["cells"].push_back({{"week", key[0]},
                                {"rule", key[1]},
                                {"person", key[2]},
                                {"holds", n.first},
                                {"uses", n.second}});
    return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace sallyport::proxy::audit
