#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "policy/decide.h"
#include "policy/match.h"

/// decide() against the sentence it implements, on rules and statements made at random from a seed.
namespace sallyport::policy {
namespace {

using source = std::mt19937;

template <class T>
const T& one_of(source& r, const std::vector<T>& all) {
    return all[r() % all.size()];
}

bool chance(source& r, unsigned in_a_hundred) {
    return r() % 100 < in_a_hundred;
}

const std::vector<std::string> tables{"a", "b", "c"};
const std::vector<kind> kinds{kind::read, kind::write, kind::ddl, kind::lock, kind::show};
const std::vector<std::string> persons{"alice", "bob"};
const std::vector<effect> effects{effect::allow, effect::hold, effect::deny};

rule random_rule(source& r, int number) {
    rule x;
    x.id = "rule-" + std::to_string(number);
    x.tier = static_cast<int>(r() % 3);
    x.effect = one_of(r, effects);
    if (chance(r, 40)) x.who.users = {one_of(r, persons)};
    if (chance(r, 70)) x.on = {one_of(r, tables)};
    if (chance(r, 70))
        for (const auto k : kinds)
            if (chance(r, 40)) x.kinds.push_back(k);
    if (x.effect == effect::hold) x.hold = hold_spec{};
    return x;
}

rule_set random_rules(source& r) {
    rule_set p;
    p.default_effect = one_of(r, effects);
    p.opaque_effect = effect::allow;
    for (const auto& t : tables)
        p.resources[t] = {t, {"shop"}, {{"public", t, {}}}};
    const auto count = static_cast<int>(r() % 7);
    for (int i = 0; i < count; ++i)
        p.rules.push_back(random_rule(r, i));
    std::stable_sort(p.rules.begin(), p.rules.end(),
                     [](const rule& a, const rule& b) { return a.tier < b.tier; });
    if (chance(r, 80)) p.compiled = compile(p);
    return p;
}

facts random_facts(source& r) {
    facts f;
    const auto statements = r() % 3;
    for (unsigned i = 0; i < statements; ++i) {
        statement_facts s;
        s.command = "select";
        for (const auto k : kinds)
            if (chance(r, 40)) s.kinds.push_back(k);
        if (s.kinds.empty()) s.kinds.push_back(kind::show);
        for (const auto& t : tables)
            if (chance(r, 40)) {
                relation_use u{
                    "public", t, chance(r, 50) ? access::read : access::write, {}, "from"};
                u.scanned = u.how == access::read && chance(r, 20);
                s.relations.push_back(std::move(u));
            }
        f.statements.push_back(std::move(s));
    }
    return f;
}

struct pair_of {
    kind what = kind::read;
    std::string table;     ///< "" = none
    bool besides = false;  ///< the default is not asked
};

/// The pairs of a statement, as the header of decide() lists them.
std::vector<pair_of> pairs(const statement_facts& s) {
    std::vector<pair_of> out;
    std::set<kind> used;
    for (const auto& u : s.relations) {
        bool any = false;
        for (const auto k : s.kinds) {
            const bool other = (k == kind::read && u.how == access::write) ||
                               (k == kind::write && u.how == access::read);
            if (other) continue;
            out.push_back({k, u.name});
            used.insert(k);
            any = true;
        }
        if (!any) out.push_back({u.how == access::read ? kind::read : kind::write, u.name});
        if (u.scanned && any && !s.has(kind::read)) out.push_back({kind::read, u.name, true});
    }
    for (const auto k : s.kinds)
        if (used.count(k) == 0) out.push_back({k, ""});
    return out;
}

bool rule_matches(const rule& x, const pair_of& p, const std::string& person) {
    const bool who = x.who.users.empty() || x.who.users[0] == person;
    const bool what = x.kinds.empty() || std::count(x.kinds.begin(), x.kinds.end(), p.what) > 0;
    const bool where = x.on.empty() || (!p.table.empty() && x.on[0] == p.table);
    return who && what && where;
}

effect expected_of_pair(const rule_set& p, const pair_of& pair, const std::string& person) {
    for (int tier = 0; tier < 3; ++tier) {
        bool matched = false;
        auto strictest = effect::allow;
        for (const auto& x : p.rules) {
            if (x.tier != tier || !rule_matches(x, pair, person)) continue;
            matched = true;
            strictest = std::max(strictest, x.effect);
        }
        if (matched) return strictest;
    }
    return pair.besides ? effect::allow : p.default_effect;
}

effect expected(const rule_set& p, const facts& f, const std::string& person) {
    auto strictest = effect::allow;
    for (const auto& s : f.statements)
        for (const auto& pair : pairs(s))
            strictest = std::max(strictest, expected_of_pair(p, pair, person));
    return strictest;
}

TEST(decide_property, strictest_pair_of_the_first_matching_tier_decides) {
    for (unsigned seed = 0; seed < 20'000; ++seed) {
        source r(seed);
        const auto p = random_rules(r);
        const auto f = random_facts(r);
        const subject s{{one_of(r, persons), {}, false}, "shop", "", "", session_id{1}, {}};

        const auto d = decide(p, s, &f, {}, instant());

        ASSERT_EQ(d.effect, expected(p, f, s.principal.name)) << "seed " << seed;
        ASSERT_EQ(d.effect == effect::allow, d.reasons.empty()) << "seed " << seed;
    }
}

TEST(decide_property, further_statement_never_loosens) {
    for (unsigned seed = 0; seed < 5'000; ++seed) {
        source r(seed);
        const auto p = random_rules(r);
        auto f = random_facts(r);
        const subject s{{one_of(r, persons), {}, false}, "shop", "", "", session_id{1}, {}};

        const auto before = decide(p, s, &f, {}, instant()).effect;
        const auto more = random_facts(r);
        f.statements.insert(f.statements.end(), more.statements.begin(), more.statements.end());

        ASSERT_GE(decide(p, s, &f, {}, instant()).effect, before) << "seed " << seed;
    }
}

TEST(decide_property, further_deny_rule_never_loosens) {
    for (unsigned seed = 0; seed < 5'000; ++seed) {
        source r(seed);
        auto p = random_rules(r);
        p.compiled = nullptr;
        const auto f = random_facts(r);
        const subject s{{one_of(r, persons), {}, false}, "shop", "", "", session_id{1}, {}};

        const auto before = decide(p, s, &f, {}, instant()).effect;
        auto extra = random_rule(r, 99);
        extra.effect = effect::deny;
        extra.hold.reset();
        extra.tier = 0;
        p.rules.insert(p.rules.begin(), extra);

        ASSERT_GE(decide(p, s, &f, {}, instant()).effect, before) << "seed " << seed;
    }
}

TEST(decide_property, same_input_gives_the_same_decision) {
    for (unsigned seed = 0; seed < 500; ++seed) {
        source r(seed);
        const auto p = random_rules(r);
        const auto f = random_facts(r);
        const subject s{{"alice", {}, false}, "shop", "", "", session_id{1}, {}};

        const auto a = decide(p, s, &f, {}, instant());
        const auto b = decide(p, s, &f, {}, instant());

        ASSERT_EQ(a.rule, b.rule);
        ASSERT_EQ(a.rule_id, b.rule_id);
        ASSERT_EQ(a.reasons, b.reasons);
    }
}

}  // namespace
}  // namespace sallyport::policy
