#include "policy/standing.h"

#include <utility>

namespace sallyport::policy {

namespace {

constexpr std::size_t names_max = 6;

std::string listed(const std::vector<std::string>& names) {
    std::string out;
    for (std::size_t i = 0; i < names.size() && i < names_max; ++i)
        out += (i == 0 ? "" : ", ") + names[i];
    if (names.size() > names_max)
        out += ", … " + std::to_string(names.size() - names_max) + " more";
    return out;
}

/// Every field of `who:` that speaks of somebody else, asked with the same function as the whole.
void tell_who(const who& w, const match_context& asker, std::vector<std::string>& why) {
    const auto fails = [&](const who& one) { return matches(one, asker) == truth::no; };
    who one;
    one.users = w.users;
    if (fails(one)) why.push_back("who: the user is none of " + listed(w.users));
    one = {};
    one.groups = w.groups;
    if (fails(one)) why.push_back("who: in none of the groups " + listed(w.groups));
    one = {};
    one.applications = w.applications;
    if (fails(one)) why.push_back("who: the application is none of " + listed(w.applications));
    one = {};
    one.addresses = w.addresses;
    one.networks = w.networks;
    if (fails(one)) why.push_back("who: the address is in none of " + listed(w.addresses));
    one = {};
    one.not_ = w.not_;
    if (fails(one)) why.emplace_back("who: excluded by not:");
}

std::string action_words(const rule& r) {
    std::vector<std::string> words;
    for (const auto k : r.kinds)
        words.emplace_back(to_string(k));
    words.insert(words.end(), r.commands.begin(), r.commands.end());
    return listed(words);
}

void tell_apart(const rule& r, const conditions& seen, const match_context& asker,
                std::vector<std::string>& why) {
    if (!seen.here) {
        why.push_back("on: nothing of this target (" + listed(r.on) + ")");
        return;
    }
    if (seen.ended) {
        why.emplace_back("review_by: it has passed, so the rule no longer applies");
    } else if (!seen.applies) {
        tell_who(r.who, asker, why);
        std::vector<std::string> windows;
        for (const auto& w : r.when)
            windows.push_back(w.text + " " + w.zone);
        if (seen.time == truth::no) why.push_back("when: only in " + listed(windows));
        if (why.empty()) why.emplace_back("who: or when: cannot be told, and it allows");
    }
    if (!seen.action) why.push_back("do: only " + action_words(r));
    if (!seen.object) why.push_back("on: nothing of " + listed(r.on));
    if (seen.action && seen.object && !seen.both)
        why.push_back("on: nothing of " + listed(r.on) + " is used in such a way");
}

}  // namespace

const char* to_string(rule_standing::state s) noexcept {
    switch (s) {
        case rule_standing::state::decides:
            return "decides";
        case rule_standing::state::yields:
            return "yields";
        case rule_standing::state::late:
            return "late";
        case rule_standing::state::apart:
            return "apart";
        case rule_standing::state::observes:
            return "observes";
    }
    return "apart";
}

rule_standing standing_of(const rule& r, std::uint32_t index, conditions seen,
                          const match_context& asker) {
    using state = rule_standing::state;
    rule_standing out;
    out.rule = index;
    if (!seen.decided.empty()) {
        out.how = r.observe ? state::observes : state::decides;
        out.why = std::move(seen.decided);
        if (seen.decided_more > 0)
            out.why.push_back("… and " + std::to_string(seen.decided_more) + " more");
    } else if (seen.matched) {
        out.how = state::yields;
        out.why.emplace_back("a stricter rule of its tier decides");
    } else if (seen.here && seen.both && seen.applies) {
        out.how = state::late;
        out.why.emplace_back("an earlier tier has decided");
    } else {
        tell_apart(r, seen, asker, out.why);
    }
    return out;
}

}  // namespace sallyport::policy
