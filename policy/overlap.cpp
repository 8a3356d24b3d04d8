#include "policy/overlap.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <string_view>
#include <unordered_map>

namespace sallyport::policy {

namespace {

using names = std::vector<std::string>;

bool includes(const names& a, const names& b) {
    return std::all_of(b.begin(), b.end(),
                       [&](const auto& x) { return std::find(a.begin(), a.end(), x) != a.end(); });
}

bool have_common(const names& a, const names& b) {
    return std::any_of(a.begin(), a.end(),
                       [&](const auto& x) { return std::find(b.begin(), b.end(), x) != b.end(); });
}

/// Of a field of which an asker has one value: both name some, and none is the same.
bool apart(const names& a, const names& b) {
    return !a.empty() && !b.empty() && !have_common(a, b);
}

/// Whether one field of `who:` lets through all that the other does; empty = no condition.
bool field_covers(const names& a, const names& b) {
    return a.empty() || (!b.empty() && includes(a, b));
}

bool equal(const who& a, const who& b) {
    const bool both_not = static_cast<bool>(a.not_) == static_cast<bool>(b.not_);
    return a.users == b.users && a.groups == b.groups && a.applications == b.applications &&
           a.addresses == b.addresses && both_not && (!a.not_ || equal(*a.not_, *b.not_));
}

bool have_common(const network& a, const network& b) {
    return a.contains(b.base) || b.contains(a.base);
}

bool networks_apart(const who& a, const who& b) {
    if (a.networks.empty() || b.networks.empty() || a.networks.size() != a.addresses.size() ||
        b.networks.size() != b.addresses.size())
        return false;
    return std::none_of(a.networks.begin(), a.networks.end(), [&](const auto& x) {
        return std::any_of(b.networks.begin(), b.networks.end(),
                           [&](const auto& y) { return have_common(x, y); });
    });
}

// ---- actions ------------------------------------------------------------------------------------

bool any_action(const rule& r) noexcept {
    return r.kinds.empty() && r.commands.empty();
}

/// Kinds that come with a command of their own only, and with nothing else.
constexpr kind_mask kinds_alone =
    bit(kind::connect) | bit(kind::transaction) | bit(kind::show) | bit(kind::fastpath);

/// The kinds of pairs that a rule which allows the command allows.
kind_mask natural(const std::string& text) noexcept {
    const auto* word = find_command(text);
    return word == nullptr ? ~kind_mask{0} : word->natural;
}

/// Commands that stand inside of others: WITH, EXPLAIN ANALYZE, PREPARE, DECLARE.
bool is_carried(std::string_view text) noexcept {
    static constexpr std::array carried{"select", "insert", "update", "delete", "merge"};
    return std::find(carried.begin(), carried.end(), text) != carried.end();
}

/// The kinds without which there is no such statement. A rule that allows none of them leaves it to
/// the rule on the command, whatever else of the statement it allows.
kind_mask core_of(const command_word& w) noexcept {
    static constexpr std::array writing{"insert", "update", "delete", "merge", "truncate"};
    constexpr auto schema = bit(kind::ddl) | bit(kind::grant);
    if ((w.natural & schema) != 0) return w.natural & schema;
    if (std::find(writing.begin(), writing.end(), w.text) != writing.end()) return bit(kind::write);
    return w.natural;
}

bool kinds_meet_command(kind_mask allowed, const std::string& restricted) noexcept {
    const auto* word = find_command(restricted);
    return word == nullptr ? allowed != 0 : (allowed & core_of(*word)) != 0;
}

bool commands_meet(const std::string& allowed, const std::string& restricted) noexcept {
    const auto* a = find_command(allowed);
    const auto* b = find_command(restricted);
    if (a == nullptr || b == nullptr) return true;
    const auto both = [&](std::string_view command) {
        return speaks_of(*a, command) == truth::yes && speaks_of(*b, command) != truth::no;
    };
    const auto all = all_commands();
    if (std::any_of(all.begin(), all.end(), [&](const auto& w) { return both(w.text); }))
        return true;
    return is_carried(restricted) && (a->natural & core_of(*b)) != 0;
}

/// `relations_only`: one of the two speaks of relations alone.
bool actions_meet(const rule& a, const rule& b, bool relations_only) {
    auto kinds = any_action(a) ? ~kind_mask{0} : kinds_of(a);
    constexpr auto access = bit(kind::read) | bit(kind::write);
    // Whoever reaches a relation while SET, say, does its work, reads or writes it: that pair is
    // still the other rule's.
    if (relations_only)
        kinds &= any_action(b) || (kinds_of(b) & access) == access ? ~kinds_without_relations
                                                                   : ~kinds_alone;
    if (kinds == 0 && a.commands.empty()) return false;
    if (any_action(b)) return true;
    if ((kinds & kinds_of(b)) != 0) return true;
    for (const auto& command : a.commands)
        if ((natural(command) & kinds_of(b)) != 0) return true;
    return std::any_of(b.commands.begin(), b.commands.end(), [&](const auto& restricted) {
        return kinds_meet_command(kinds, restricted) ||
               std::any_of(a.commands.begin(), a.commands.end(),
                           [&](const auto& x) { return commands_meet(x, restricted); });
    });
}

// ---- objects ------------------------------------------------------------------------------------

bool is_builtin(std::string_view schema) noexcept {
    return schema == "pg_catalog" || schema == "information_schema";
}

bool resources_meet(const resource& a, const resource& b) {
    if (!have_common(a.targets, b.targets)) return false;
    if (a.relations.empty() || b.relations.empty()) return true;
    return std::any_of(a.relations.begin(), a.relations.end(), [&](const auto& x) {
        return std::any_of(b.relations.begin(), b.relations.end(),
                           [&](const auto& y) { return may_overlap(x, y); });
    });
}

bool objects_meet(const rule_set& p, const rule& a, const rule& b) {
    if (a.on.empty() || b.on.empty()) return true;
    return std::any_of(a.on.begin(), a.on.end(), [&](const auto& x) {
        const auto of_a = p.resources.find(x);
        return of_a != p.resources.end() &&
               std::any_of(b.on.begin(), b.on.end(), [&](const auto& y) {
                   const auto of_b = p.resources.find(y);
                   // A rule that cannot be evaluated matches if it denies or holds.
                   return of_b == p.resources.end() || resources_meet(of_a->second, of_b->second);
               });
    });
}

// ---- times --------------------------------------------------------------------------------------

constexpr std::size_t day_minutes = 24 * 60;
using week = std::bitset<7 * day_minutes>;

/// The local minutes of a week in which one of the windows is open.
week minutes_of(const std::vector<time_window>& windows) {
    week out;
    for (const auto& w : windows) {
        const auto from = static_cast<std::size_t>(w.from_minute);
        auto to = static_cast<std::size_t>(w.to_minute);
        if (to <= from) to += day_minutes;
        for (std::size_t day = 0; day < w.days.size(); ++day)
            for (auto m = from; w.days[day] && m < to; ++m)
                out.set((day * day_minutes + m) % out.size());
    }
    return out;
}

bool never_together(const rule& a, const rule& b) {
    if (a.when.empty() || b.when.empty()) return false;
    const auto same_zone = [&](const time_window& w) { return w.zone == a.when.front().zone; };
    return std::all_of(a.when.begin(), a.when.end(), same_zone) &&
           std::all_of(b.when.begin(), b.when.end(), same_zone) &&
           (minutes_of(a.when) & minutes_of(b.when)).none();
}

bool only_relations(const rule_set& p, const rule& r) {
    return !r.on.empty() && std::all_of(r.on.begin(), r.on.end(), [&](const auto& name) {
        const auto found = p.resources.find(name);
        return found != p.resources.end() && !found->second.relations.empty();
    });
}

/// The rules that restrict, by what they name, so that not every rule is held against every other.
class restricting_rules {
  public:
    explicit restricting_rules(const rule_set& p) : p_(p) {
        for (std::size_t i = 0; i < p.rules.size(); ++i)
            if (p.rules[i].effect != effect::allow && !p.rules[i].observe) add(i);
    }

    /// Ascending, without those that cannot meet it.
    [[nodiscard]] std::vector<std::size_t> near(const rule& allowing) const {
        if (!only_relations(p_, allowing)) return all_;
        auto out = wide_;
        for (const auto& name : allowing.on)
            for (const auto& x : p_.resources.at(name).relations) {
                if (x.name == "*") return all_;
                if (const auto at = by_table_.find(x.name); at != by_table_.end())
                    out.insert(out.end(), at->second.begin(), at->second.end());
            }
        std::sort(out.begin(), out.end());
        out.erase(std::unique(out.begin(), out.end()), out.end());
        return out;
    }

  private:
    void add(std::size_t i) {
        all_.push_back(i);
        const auto& r = p_.rules[i];
        bool wide = !only_relations(p_, r);
        for (const auto& name : r.on)
            if (const auto found = p_.resources.find(name); found != p_.resources.end())
                for (const auto& x : found->second.relations) {
                    by_table_[x.name].push_back(i);
                    wide = wide || x.name == "*";
                }
        if (wide) wide_.push_back(i);
    }

    const rule_set& p_;
    std::vector<std::size_t> all_;
    std::vector<std::size_t> wide_;  ///< on everything, on a target, on a schema
    std::unordered_map<std::string, std::vector<std::size_t>> by_table_;
};

}  // namespace

kind_mask kinds_of(const rule& r) noexcept {
    kind_mask m = 0;
    for (const auto k : r.kinds)
        m |= bit(k);
    return m;
}

bool who_covers(const who& a, const who& b) {
    const bool exclusion = !a.not_ || (b.not_ && equal(*a.not_, *b.not_));
    return exclusion && field_covers(a.users, b.users) && field_covers(a.groups, b.groups) &&
           field_covers(a.applications, b.applications) && field_covers(a.addresses, b.addresses);
}

bool may_meet(const who& a, const who& b) {
    if (apart(a.users, b.users) || apart(a.applications, b.applications)) return false;
    if (networks_apart(a, b)) return false;
    // A person may be in a group of each, but not in one that the other excludes.
    return !(a.not_ && who_covers(*a.not_, b)) && !(b.not_ && who_covers(*b.not_, a));
}

bool may_overlap(const relation_pattern& a, const relation_pattern& b) {
    if (a.name != "*" && b.name != "*" && a.name != b.name) return false;
    const bool builtin = a.schema == "*" && a.name == "*" && is_builtin(b.schema);
    const bool not_builtin = b.schema == "*" && b.name == "*" && is_builtin(a.schema);
    if (builtin || not_builtin) return false;
    // With a name of its own each can be meant by a text that gives no schema.
    const bool by_bare_name = a.name != "*" && b.name != "*";
    if (a.schema != "*" && b.schema != "*" && a.schema != b.schema && !by_bare_name) return false;
    return !apart(a.columns, b.columns);
}

bool may_overlap(const rule_set& p, const rule& allowing, const rule& restricting) {
    const bool relations_only = only_relations(p, allowing) || only_relations(p, restricting);
    return may_meet(allowing.who, restricting.who) &&
           actions_meet(allowing, restricting, relations_only) &&
           objects_meet(p, allowing, restricting) && !never_together(allowing, restricting);
}

std::vector<std::vector<std::size_t>> find_excepted(const rule_set& p, std::size_t most) {
    std::vector<std::vector<std::size_t>> out(p.rules.size());
    const restricting_rules restricting(p);
    for (std::size_t i = 0; i < p.rules.size(); ++i) {
        const auto& a = p.rules[i];
        if (a.effect != effect::allow) continue;
        for (const auto k : restricting.near(a)) {
            const auto& b = p.rules[k];
            if (b.tier <= a.tier || !may_overlap(p, a, b)) continue;
            out[i].push_back(k);
            if (out[i].size() == most) break;
        }
    }
    return out;
}

}  // namespace sallyport::policy
