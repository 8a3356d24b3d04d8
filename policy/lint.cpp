#include <algorithm>
#include <array>
#include <unordered_map>

#include "policy/commands.h"
#include "policy/loader.h"
#include "policy/match.h"
#include "policy/overlap.h"

namespace sallyport::policy {

namespace {

bool includes(const std::vector<std::string>& a, const std::vector<std::string>& b) {
    return std::all_of(b.begin(), b.end(),
                       [&](const auto& x) { return std::find(a.begin(), a.end(), x) != a.end(); });
}

bool action_covers(const rule& a, const rule& b) {
    const bool a_any = a.kinds.empty() && a.commands.empty();
    const bool b_any = b.kinds.empty() && b.commands.empty();
    if (a_any || b_any) return a_any;
    if ((kinds_of(b) & ~kinds_of(a)) != 0) return false;
    // An allowed command covers its natural kinds only.
    return b.commands.empty() || ((a.effect != effect::allow || b.effect == effect::allow) &&
                                  includes(a.commands, b.commands));
}

/// Certain only: a name without a schema may match `b` and not `a`.
bool pattern_covers(const relation_pattern& a, const relation_pattern& b) {
    const bool columns =
        a.columns.empty() || (!b.columns.empty() && includes(a.columns, b.columns));
    if (!columns) return false;
    if (a.name == b.name && (a.schema == b.schema || (a.schema == "*" && a.name != "*")))
        return true;
    return a.schema == "*" && a.name == "*" && b.schema != "pg_catalog" &&
           b.schema != "information_schema" && b.schema != "*";
}

bool resource_covers(const resource& a, const resource& b, effect of_a) {
    if (!includes(a.targets, b.targets)) return false;
    if (a.relations.empty()) return true;
    if (b.relations.empty() || of_a == effect::allow) return false;
    return std::all_of(b.relations.begin(), b.relations.end(), [&](const auto& y) {
        return std::any_of(a.relations.begin(), a.relations.end(),
                           [&](const auto& x) { return pattern_covers(x, y); });
    });
}

bool object_covers(const rule_set& p, const rule& a, const rule& b) {
    if (a.on.empty() || b.on.empty()) return a.on.empty();
    return std::all_of(b.on.begin(), b.on.end(), [&](const auto& y) {
        return std::any_of(a.on.begin(), a.on.end(), [&](const auto& x) {
            return resource_covers(p.resources.at(x), p.resources.at(y), a.effect);
        });
    });
}

/// Whether `a` is asked first (or wins in the same tier) and takes everything that `b` could match.
bool shadows(const rule_set& p, const rule& a, const rule& b) {
    const bool first = a.tier < b.tier || (a.tier == b.tier && a.effect > b.effect);
    return first && !a.observe && !a.review_by && a.when.empty() && who_covers(a.who, b.who) &&
           action_covers(a, b) && object_covers(p, a, b);
}

class linter {
  public:
    linter(const rule_set& p, const known_names& known, std::vector<fault>& out)
        : p_(p), known_(known), out_(out) {}

    void run() {
        index_rules();
        for (const auto& r : p_.rules) {
            shadowed(r);
            never_meets(r);
            commands_only(r);
            spoofable(r);
            unknown_names(r);
        }
        unused_resources();
        whole_policy();
    }

  private:
    void warn(int line, std::string what, std::string code) {
        out_.push_back({p_.path, line, 1, std::move(what), std::move(code)});
    }
    void warn(const rule& r, std::string what, std::string code) {
        out_.push_back({p_.path, r.line, r.column, std::move(what), std::move(code)});
    }
    static std::string name(const rule& r) { return "rule " + quoted(r.id); }

    /// The rules that could take everything that others match, so that not each is held against
    /// each: those on everything or a whole target, and the others by the tables that they name.
    void index_rules() {
        for (std::size_t i = 0; i < p_.rules.size(); ++i) {
            const auto& r = p_.rules[i];
            bool wide = r.on.empty();
            for (const auto& n : r.on) {
                const auto& relations = p_.resources.at(n).relations;
                wide = wide || relations.empty();
                for (const auto& x : relations) {
                    auto& same = by_table_[x.name];
                    if (same.empty() || same.back() != i) same.push_back(i);
                    wide = wide || (x.schema == "*" && x.name == "*");
                }
            }
            if (wide) wide_.push_back(i);
        }
    }

    void shadowed(const rule& b) {
        auto candidates = wide_;
        if (!b.on.empty())
            if (const auto& relations = p_.resources.at(b.on.front()).relations; !relations.empty())
                if (const auto at = by_table_.find(relations.front().name); at != by_table_.end())
                    candidates.insert(candidates.end(), at->second.begin(), at->second.end());
        std::sort(candidates.begin(), candidates.end());
        for (const auto i : candidates) {
            const auto& a = p_.rules[i];
            if (&a == &b || !shadows(p_, a, b)) continue;
            warn(b,
                 name(b) + " never decides anything: rule " + quoted(a.id) + " (tier " +
                     std::to_string(a.tier) + ", " + to_string(a.effect) +
                     ") takes everything that it matches",
                 "shadowed");
            return;
        }
    }

    void never_meets(const rule& r) {
        const bool only_relations =
            !r.on.empty() && std::all_of(r.on.begin(), r.on.end(), [&](const auto& n) {
                return !p_.resources.at(n).relations.empty();
            });
        const auto kinds = kinds_of(r);
        if (only_relations && r.commands.empty() && kinds != 0 &&
            (kinds & ~kinds_without_relations) == 0)
            warn(r,
                 name(r) +
                     " can never match: what it names in 'do' concerns no relation, and "
                     "its resources are relations only",
                 "never-matches");
    }

    /// EXPLAIN ANALYZE, PREPARE or a WITH carry a DELETE whose command is another.
    void commands_only(const rule& r) {
        static constexpr std::array carried{"select", "insert", "update", "delete", "merge"};
        if (r.effect == effect::allow || (kinds_of(r) & (bit(kind::read) | bit(kind::write))) != 0)
            return;
        for (const auto* c : carried)
            if (std::find(r.commands.begin(), r.commands.end(), c) != r.commands.end()) {
                warn(r,
                     name(r) + " names the command " + quoted(c) +
                         ", which another command can carry (WITH, EXPLAIN ANALYZE, PREPARE); "
                         "name the kind read or write to be sure",
                     "carried-command");
                return;
            }
    }

    void spoofable(const rule& r) {
        const auto& w = r.who;
        const bool loosens = r.effect == effect::allow ? !w.applications.empty()
                                                       : w.not_ && !w.not_->applications.empty();
        if (loosens)
            warn(r, name(r) + " trusts application_name, which any client can set to anything",
                 "spoofable");
    }

    void unknown(const rule& r, const std::vector<std::string>& names,
                 const std::set<std::string>& known, const char* what) {
        if (known.empty()) return;
        const std::vector<std::string> words(known.begin(), known.end());
        for (const auto& n : names)
            if (!known.contains(n))
                warn(r,
                     name(r) + " names " + what + " " + quoted(n) +
                         ", which the users file does not know" + did_you_mean(n, words),
                     "unknown-name");
    }

    void unknown_names(const rule& r) {
        const auto check = [&](const who& w) {
            unknown(r, w.users, known_.users, "user");
            unknown(r, w.groups, known_.groups, "group");
        };
        check(r.who);
        if (r.who.not_) check(*r.who.not_);
        if (r.opt_out) check(r.opt_out->who);
    }

    void unused_resources() {
        for (const auto& [n, resource] : p_.resources) {
            const bool used =
                std::any_of(p_.rules.begin(), p_.rules.end(), [&, id = n](const rule& r) {
                    return std::find(r.on.begin(), r.on.end(), id) != r.on.end();
                });
            if (!used) warn(1, "resource " + quoted(n) + " is used by no rule", "unused-resource");
        }
    }

    void whole_policy() {
        const auto opens = [](const rule& r) {
            const bool any = r.kinds.empty() && r.commands.empty();
            return r.effect != effect::deny && (any || (kinds_of(r) & bit(kind::connect)) != 0);
        };
        if (p_.default_effect == effect::deny &&
            std::none_of(p_.rules.begin(), p_.rules.end(), opens))
            warn(1,
                 "default is deny and no rule lets a session open: nobody can connect; add a rule "
                 "with do: [connect] and effect: allow",
                 "nobody-connects");
        if (p_.opaque_effect == effect::hold && !p_.opaque_hold)
            warn(1,
                 "opaque is hold, but nobody can approve it: no rule holds, and 'opaque' names no "
                 "approvers",
                 "unstaffed");
        if (p_.default_effect == effect::hold && !p_.default_hold)
            warn(
                1,
                "default is hold, but nobody can approve it: no rule holds, and 'default' names no "
                "approvers",
                "unstaffed");
        if (p_.opaque_effect == effect::allow)
            warn(1, "opaque is allow: what cannot be analysed passes all rules on relations unseen",
                 "opaque-allowed");
        if (p_.tests.empty() && !p_.rules.empty())
            warn(1, "the policy has no tests: an error in a rule goes unnoticed until it matters",
                 "no-tests");
    }

    std::vector<std::size_t> wide_;
    std::unordered_map<std::string, std::vector<std::size_t>> by_table_;
    const rule_set& p_;
    const known_names& known_;
    std::vector<fault>& out_;
};

}  // namespace

void lint(const rule_set& p, const known_names& known, std::vector<fault>& warnings) {
    linter(p, known, warnings).run();
}

}  // namespace sallyport::policy
