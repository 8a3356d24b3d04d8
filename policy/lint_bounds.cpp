#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "policy/loader.h"
#include "policy/overlap.h"

// What lint_policy() finds besides the warnings of the load: bounds that are missing, rules that
// contradict each other, and approvals that nobody can give.
namespace sallyport::policy {

namespace {

constexpr milliseconds long_pass = std::chrono::hours(24);
constexpr std::size_t named_max = 6;

using persons = std::set<std::string>;

std::string listed(const persons& names) {
    std::string out;
    std::size_t told = 0;
    for (const auto& n : names) {
        if (told++ == named_max) return out + " …";
        out += (out.empty() ? "" : ", ") + n;
    }
    return out;
}

bool same(const relation_pattern& a, const relation_pattern& b) {
    return a.schema == b.schema && a.name == b.name && a.columns == b.columns;
}

bool same_objects(const rule_set& p, const rule& a, const rule& b) {
    if (a.on == b.on) return true;
    if (a.on.size() != 1 || b.on.size() != 1) return false;
    const auto& x = p.resources.at(a.on.front());
    const auto& y = p.resources.at(b.on.front());
    return x.targets == y.targets && std::equal(x.relations.begin(), x.relations.end(),
                                                y.relations.begin(), y.relations.end(), same);
}

bool same_who(const who& a, const who& b) {
    return who_covers(a, b) && who_covers(b, a);
}

class bounds_linter {
  public:
    bounds_linter(const rule_set& p, const known_names& known, std::vector<fault>& out)
        : p_(p), known_(known), out_(out) {}

    void run() {
        for (const auto& r : p_.rules) {
            unbounded_allow(r);
            if (r.hold) unbounded_pass(r, *r.hold);
            if (r.opt_out) opt_out(r, *r.opt_out);
            matches_nobody(r);
        }
        contradictions();
    }

  private:
    void found(const rule& r, const char* code, std::string what, std::string advice) {
        out_.push_back({p_.path, r.line, r.column, "rule " + quoted(r.id) + " " + std::move(what),
                        code, std::move(advice)});
    }

    void unbounded_allow(const rule& r) {
        const bool any = r.kinds.empty() && r.commands.empty();
        if (r.effect != effect::allow || !any || !r.on.empty() || !r.who.everybody() ||
            !r.when.empty())
            return;
        found(r, "unbounded", "allows everybody everything, at any time",
              "say who, do or on; what no rule matches is for 'default'");
    }

    void unbounded_pass(const rule& r, const hold_spec& h) {
        const auto look = [&](const std::optional<milliseconds>& bound, const char* scope) {
            if (!bound || *bound <= long_pass) return;
            found(r, "unbounded",
                  std::string("lets one approval release ") + scope + " for " +
                      format_duration(*bound),
                  std::string("lower pass.") + scope + " to a day or less");
        };
        look(h.pass.shape, "shape");
        look(h.pass.transaction, "transaction");
        look(h.pass.session, "session");
    }

    void opt_out(const rule& r, const opt_out_spec& o) {
        if (!o.max_uses)
            found(r, "unbounded", "offers opt-outs that can be used without number",
                  "write opt_out.max_uses");
        if (!o.max_live_per_person && !o.max_live_in_all)
            found(r, "unbounded", "does not say how many opt-outs may be live at once",
                  "write opt_out.max_live: { per_person: …, in_all: … }");
        approved_by_themselves(r, o);
    }

    /// Those who may ask for it, and those who may approve it.
    void approved_by_themselves(const rule& r, const opt_out_spec& o) {
        const auto voters = approvers_of(o.approved_by);
        const auto asking = persons_of(o.who);
        if (!voters || !asking || asking->empty()) return;
        persons stuck;
        for (const auto& person : *asking) {
            const auto others = voters->size() - voters->count(person);
            if (others < static_cast<std::size_t>(o.approved_by.approvals)) stuck.insert(person);
        }
        if (!stuck.empty())
            found(r, "unstaffed",
                  "offers opt-outs that nobody could approve for " + listed(stuck) + ": " +
                      std::to_string(o.approved_by.approvals) + " other person(s) are needed",
                  "add approvers to opt_out.approvers, or take them out of opt_out.who");
        const bool only_each_other =
            std::includes(asking->begin(), asking->end(), voters->begin(), voters->end());
        if (only_each_other && stuck.empty() && !o.who.everybody())
            found(r, "contradiction",
                  "lets " + listed(*voters) +
                      " approve each other's opt-outs: whoever may approve may also ask",
                  "name somebody in opt_out.approvers who is not in opt_out.who");
    }

    void matches_nobody(const rule& r) {
        if (known_.users.empty()) return;
        const auto all = persons_of(r.who);
        if (!all || !all->empty()) return;
        found(r, "never-matches", "speaks of nobody in the users file",
              "correct 'who', or remove the rule");
    }

    void contradictions() {
        for (std::size_t i = 0; i < p_.rules.size(); ++i)
            for (std::size_t k = i + 1; k < p_.rules.size(); ++k) {
                const auto& a = p_.rules[i];
                const auto& b = p_.rules[k];
                if (a.tier != b.tier) break;
                if (a.effect == b.effect || a.observe || b.observe || a.kinds != b.kinds ||
                    a.commands != b.commands || !a.when.empty() || !b.when.empty() ||
                    !same_objects(p_, a, b) || !same_who(a.who, b.who))
                    continue;
                const auto& strict = a.effect > b.effect ? a : b;
                const auto& other = &strict == &a ? b : a;
                found(other, "contradiction",
                      "(" + std::string(to_string(other.effect)) + ") says the opposite of rule " +
                          quoted(strict.id) + " (" + to_string(strict.effect) + ", line " +
                          std::to_string(strict.line) +
                          ") of the same who, do and on, in the same tier",
                      "remove one of them; " + std::string(to_string(strict.effect)) + " wins");
            }
    }

    [[nodiscard]] std::optional<persons> members_of(const std::vector<std::string>& groups) const {
        if (known_.members.empty()) return {};
        persons out;
        for (const auto& g : groups)
            if (const auto at = known_.members.find(g); at != known_.members.end())
                out.insert(at->second.begin(), at->second.end());
        return out;
    }

    /// As far as names and groups say; nullopt: the users are not known.
    [[nodiscard]] std::optional<persons> persons_of(const who& w) const {
        if (known_.users.empty()) return {};
        persons out(known_.users.begin(), known_.users.end());
        const auto keep = [&](const persons& those) {
            std::erase_if(out, [&](const auto& x) { return !those.contains(x); });
        };
        if (!w.users.empty()) keep(persons(w.users.begin(), w.users.end()));
        if (!w.groups.empty()) {
            const auto members = members_of(w.groups);
            if (!members) return {};
            keep(*members);
        }
        const bool by_names = w.not_ && w.not_->applications.empty() && w.not_->addresses.empty();
        if (by_names) {
            const auto excluded = persons_of(*w.not_);
            if (!excluded) return {};
            std::erase_if(out, [&](const auto& x) { return excluded->contains(x); });
        }
        return out;
    }

    [[nodiscard]] std::optional<persons> approvers_of(const approvers& a) const {
        auto out = members_of(a.groups);
        if (!out) return {};
        for (const auto& u : a.users)
            if (known_.users.contains(u)) out->insert(u);
        for (const auto& s : known_.services)
            out->erase(s);
        out->insert(a.services.begin(), a.services.end());
        return out;
    }

    const rule_set& p_;
    const known_names& known_;
    std::vector<fault>& out_;
};

}  // namespace

std::vector<fault> lint_policy(const rule_set& rules, const known_names& known) {
    std::vector<fault> out;
    bounds_linter(rules, known, out).run();
    return out;
}

}  // namespace sallyport::policy
