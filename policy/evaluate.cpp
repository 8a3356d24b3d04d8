#include "policy/evaluate.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <utility>

#include "policy/standing.h"

namespace sallyport::policy {

namespace {

constexpr std::size_t reasons_max = 64;
constexpr std::size_t guarded_max = 10'000;

/// A name from SQL as it may stand in a message: bounded, on one line.
std::string shown(std::string_view name) {
    std::string out(name.substr(0, 128));
    for (auto& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return out;
}

std::string object_text(const relation_use* use) {
    if (use == nullptr) return {};
    return " of " + (use->schema.empty() ? "" : shown(use->schema) + ".") + shown(use->name);
}

const char* verb(effect e) noexcept {
    return e == effect::deny ? " denies " : e == effect::hold ? " holds " : " allows ";
}

/// Kinds that are about a relation in one way only; all other kinds concern every relation named.
constexpr kind_mask access_kinds = bit(kind::read) | bit(kind::write);

constexpr kind_mask access_kind(const relation_use& use) noexcept {
    return use.how == access::read ? bit(kind::read) : bit(kind::write);
}

/// Walks pairs through the tiers. One object lives for one decision.
class evaluator {
  public:
    evaluator(const rule_set& p, const compiled_target& target, const subject& s, instant now,
              with_reasons reasons)
        : p_(p),
          target_(target),
          rules_(target.rules),
          s_(s),
          now_(now),
          reasons_(reasons != with_reasons::no) {
        context_.principal = &s.principal;
        context_.application = s.application;
        context_.address = s.address;
        context_.search_path = &s.search_path_schemas;
        standings_ = reasons == with_reasons::and_standings;
        if (standings_) seen_.resize(rules_.size());
    }

    void session() { judge(bit(kind::connect), nullptr, nullptr); }

    void statement(const statement_facts& st) {
        kind_mask kinds = 0;
        for (const auto k : st.kinds)
            kinds |= bit(k);
        // A statement of no kind is one that nobody understood.
        if (!st.opaque_reasons.empty() || kinds == 0) kinds |= bit(kind::opaque);
        if ((kinds & bit(kind::opaque)) != 0) note_opaque(st);

        kind_mask paired = 0;
        for (const auto& use : st.relations) {
            auto of_this = (kinds & ~access_kinds) | (kinds & access_kind(use));
            // INVARIANT: every relation is in a pair, even if the kinds forgot how it is used.
            if (of_this == 0) of_this = access_kind(use);
            paired |= of_this;
            judge(of_this, &use, &st, use.scanned ? bit(kind::read) & ~of_this : 0);
        }
        // Kinds that no relation went with.
        const auto alone = kinds & ~paired;
        if (alone != 0) judge(alone, nullptr, &st);
    }

    verdict take() {
        if (dropped_ > 0) out_.reasons.push_back("… and " + std::to_string(dropped_) + " more");
        if (standings_) tell_standings();
        return std::move(out_);
    }

  private:
    struct tier_result {
        kind_mask deny = 0, hold = 0, allow = 0;
        [[nodiscard]] kind_mask all() const noexcept { return deny | hold | allow; }
        [[nodiscard]] kind_mask& of(effect e) noexcept {
            return e == effect::deny ? deny : e == effect::hold ? hold : allow;
        }
        /// Of what a rule of that effect matched, that on which it has the last word.
        [[nodiscard]] kind_mask decided_by(effect e) const noexcept {
            return e == effect::deny   ? deny
                   : e == effect::hold ? hold & ~deny
                                       : allow & ~deny & ~hold;
        }
    };

    /// Decides the pairs (each kind of `pending` and `besides`, use) tier by tier. The default is
    /// not for `besides`: who may do DDL needs no rule that allows to read for it.
    void judge(kind_mask pending, const relation_use* use, const statement_facts* st,
               kind_mask besides = 0) {
        pending |= besides;
        for (std::size_t i = 0; i < seen_.size(); ++i)
            look(i, pending, use, st);
        for (rule_walk walk(target_, use, context_.search_path); !walk.done() && pending != 0;) {
            const auto tier = rules_[walk.at()].tier;
            const auto from = walk;
            tier_result found;
            bool observed = false;
            for (; !walk.done() && rules_[walk.at()].tier == tier; walk.advance()) {
                const auto i = walk.at();
                if (rules_[i].observe) {
                    observed = true;
                    continue;
                }
                const auto matched = match(i, pending, use, st);
                found.of(rules_[i].effect) |= matched;
                if (matched != 0 && !seen_.empty()) seen_[i].matched = true;
            }
            if (observed) observe(from, found, pending, use, st);
            if (found.all() != 0) settle(from, found, pending, use, st);
            pending &= ~found.all();
        }
        pending &= ~besides;
        if (pending != 0) unmatched(pending, use);
    }

    /// Deny beats hold beats allow, pair by pair, among the rules of the tier at which `walk` is.
    void settle(rule_walk walk, const tier_result& found, kind_mask pending,
                const relation_use* use, const statement_facts* st) {
        const auto tier = rules_[walk.at()].tier;
        const auto from = walk;
        kind_mask excepted = 0;
        kind_mask plain = 0;
        for (; !walk.done() && rules_[walk.at()].tier == tier; walk.advance()) {
            const auto i = walk.at();
            const auto& r = rules_[i];
            if (r.observe) continue;
            const auto decides = match(i, pending, use, st) & found.decided_by(r.effect);
            if (decides == 0) continue;
            if (r.effect == effect::allow) (r.exception ? excepted : plain) |= decides;
            if (r.effect == effect::deny) out_.denied_by = std::min(out_.denied_by, r.index);
            if (r.effect == effect::hold) out_.held_by.insert(r.index);
            if (r.effect == effect::allow) {
                out_.allowed_by = std::min(out_.allowed_by, r.index);
                out_.log = out_.log || r.log;
            }
            if (reasons_) note_rule(r, decides, use);
            if (!seen_.empty()) note_standing(i, decides, use);
        }
        if ((excepted & ~plain) != 0) get_round(from, walk, excepted & ~plain, use, st);
    }

    /// What the rules of the tier at `walk` that only observe would add to what it found.
    void observe(rule_walk walk, const tier_result& found, kind_mask pending,
                 const relation_use* use, const statement_facts* st) {
        const auto tier = rules_[walk.at()].tier;
        for (; !walk.done() && rules_[walk.at()].tier == tier; walk.advance()) {
            const auto i = walk.at();
            const auto& r = rules_[i];
            if (!r.observe) continue;
            const auto matched = match(i, pending, use, st);
            if (matched != 0 && !seen_.empty()) seen_[i].matched = true;
            const auto would = matched & ~(r.effect == effect::hold ? found.deny : 0);
            if (would == 0) continue;
            out_.observed.insert(r.index);
            if (reasons_)
                note("rule " + p_.rules[r.index].id + " (tier " + std::to_string(r.tier) +
                     ") would " + (r.effect == effect::deny ? "deny " : "hold ") +
                     action_text(would, use) + ", and only observes");
            if (!seen_.empty()) note_standing(i, would, use);
        }
    }

    /// Exceptions of the tier at `from` decide these pairs. Which rules behind it would, if there
    /// were no exceptions?
    void get_round(rule_walk from, rule_walk behind, kind_mask pairs, const relation_use* use,
                   const statement_facts* st) {
        const auto tier = rules_[from.at()].tier;
        for (; !from.done() && rules_[from.at()].tier == tier; from.advance()) {
            const auto& r = rules_[from.at()];
            if (!r.exception || r.observe) continue;
            auto pending = match(from.at(), pairs, use, st);
            for (auto walk = behind; !walk.done() && pending != 0;)
                pending &= ~without_exceptions(walk, pending, use, st, r.index);
        }
    }

    /// Walks over one tier; returns the pairs that its rules match.
    kind_mask without_exceptions(rule_walk& walk, kind_mask pending, const relation_use* use,
                                 const statement_facts* st, std::uint32_t exception) {
        const auto tier = rules_[walk.at()].tier;
        const auto from = walk;
        tier_result found;
        for (; !walk.done() && rules_[walk.at()].tier == tier; walk.advance()) {
            const auto& r = rules_[walk.at()];
            if (!r.observe && !r.exception)
                found.of(r.effect) |= match(walk.at(), pending, use, st);
        }
        for (auto again = from; found.all() != 0 && !again.done() && again.at() != walk.at();
             again.advance()) {
            const auto& r = rules_[again.at()];
            if (r.tier != tier) break;
            if (r.observe || r.effect == effect::allow) continue;
            const auto would = match(again.at(), pending, use, st) & found.decided_by(r.effect);
            if (would != 0) note_excepted(exception, r, would, use);
        }
        return found.all();
    }

    void note_excepted(std::uint32_t exception, const compiled_rule& over, kind_mask kinds,
                       const relation_use* use) {
        const std::pair entry(exception, over.index);
        auto& all = out_.excepted;
        if (std::find(all.begin(), all.end(), entry) == all.end()) all.push_back(entry);
        if (reasons_)
            note("rule " + p_.rules[exception].id + " is an exception: without it rule " +
                 p_.rules[over.index].id + verb(over.effect) + action_text(kinds, use));
    }

    /// Which of the pairs (kind, use) the rule matches.
    kind_mask match(std::size_t i, kind_mask pending, const relation_use* use,
                    const statement_facts* st) {
        const auto matched = actions(rules_[i], pending, st);
        return matched != 0 && speaks_of_object(rules_[i], use) &&
                       (rules_[i].everybody || applies(i))
                   ? matched
                   : 0;
    }

    static kind_mask actions(const compiled_rule& r, kind_mask pending, const statement_facts* st) {
        auto matched = r.any_action ? pending : pending & r.kinds;
        if (matched != pending && !r.commands.empty() && st != nullptr)
            matched |= pending & kinds_of_command(r, *st);
        return matched;
    }
    [[nodiscard]] bool speaks_of_object(const compiled_rule& r, const relation_use* use) const {
        return r.whole_target || (use != nullptr && covers(r.patterns, *use, r.effect, context_));
    }

    /// The kinds with which a rule on commands matches the statement. One that restricts speaks of
    /// the commands inside as well (WITH … DELETE), and there of what these do.
    static kind_mask kinds_of_command(const compiled_rule& r, const statement_facts& st) noexcept {
        kind_mask kinds = 0;
        for (const auto* word : r.commands) {
            const auto spoken_of = speaks_of(*word, st.command);
            if (r.effect != effect::allow && spoken_of != truth::no) return ~kind_mask{0};
            if (r.effect == effect::allow) {
                if (spoken_of == truth::yes) kinds |= word->natural;
                continue;
            }
            for (const auto& inner : st.inner_commands)
                if (speaks_of(*word, inner) != truth::no) kinds |= word->natural;
        }
        return kinds;
    }

    /// Who and when; asked once per rule and decision, as far as the memory of it reaches.
    bool applies(std::size_t i) {
        if (i < known_.size() && known_[i] != truth::unknown) return known_[i] == truth::yes;
        const auto& compiled = rules_[i];
        const auto& r = p_.rules[compiled.index];
        if (r.ended_at(now_)) {
            if (i < known_.size()) known_[i] = truth::no;
            return false;
        }
        const auto who = matches(r.who, context_);
        const auto when = is_time_of(r);
        bool yes = who == truth::yes && when == truth::yes;
        // What cannot be evaluated matches if it restricts, and does not if it allows.
        if (!yes && who != truth::no && when != truth::no) yes = r.effect != effect::allow;
        if (i < known_.size()) known_[i] = yes ? truth::yes : truth::no;
        return yes;
    }

    [[nodiscard]] truth is_time_of(const rule& r) const {
        auto when = r.when.empty() ? truth::yes : truth::no;
        for (const auto& w : r.when) {
            const auto inside = is_inside(w, now_);
            if (inside == truth::yes) when = truth::yes;
            if (inside == truth::unknown && when == truth::no) when = truth::unknown;
        }
        return when;
    }

    /// Each condition for itself, whatever an earlier tier has decided.
    void look(std::size_t i, kind_mask pairs, const relation_use* use, const statement_facts* st) {
        const bool action = actions(rules_[i], pairs, st) != 0;
        const bool object = speaks_of_object(rules_[i], use);
        auto& s = seen_[i];
        s.action = s.action || action;
        s.object = s.object || object;
        s.both = s.both || (action && object);
    }

    void note_standing(std::size_t i, kind_mask kinds, const relation_use* use) {
        auto& all = seen_[i].decided;
        auto text = action_text(kinds, use);
        if (std::find(all.begin(), all.end(), text) == all.end()) {
            if (all.size() < conditions::decided_max)
                all.push_back(std::move(text));
            else
                ++seen_[i].decided_more;
        }
        if (use != nullptr && rules_[i].effect != effect::allow && !rules_[i].observe &&
            out_.guarded.size() < guarded_max)
            out_.guarded.push_back({use, rules_[i].index});
    }

    void tell_standings() {
        std::vector<conditions> of_rule(p_.rules.size());
        for (std::size_t i = 0; i < seen_.size(); ++i) {
            auto& c = of_rule[rules_[i].index];
            c = std::move(seen_[i]);
            c.here = true;
            c.applies = rules_[i].everybody || applies(i);
            c.time = is_time_of(p_.rules[rules_[i].index]);
            c.ended = p_.rules[rules_[i].index].ended_at(now_);
        }
        for (std::uint32_t i = 0; i < of_rule.size(); ++i)
            out_.standings.push_back(standing_of(p_.rules[i], i, of_rule[i], context_));
    }

    void unmatched(kind_mask kinds, const relation_use* use) {
        out_.has_default = true;
        if (p_.default_effect == effect::allow) out_.log = out_.log || p_.log == log_mode::all;
        if (reasons_)
            note("no rule matches " + action_text(kinds, use) + ": default " +
                 to_string(p_.default_effect));
    }

    void note_rule(const compiled_rule& r, kind_mask kinds, const relation_use* use) {
        const auto& rule = p_.rules[r.index];
        note("rule " + rule.id + " (tier " + std::to_string(rule.tier) + ")" + verb(rule.effect) +
             action_text(kinds, use));
    }

    void note_opaque(const statement_facts& st) {
        out_.has_opaque = true;
        if (p_.opaque_effect == effect::allow) out_.log = out_.log || p_.log == log_mode::all;
        if (!reasons_) return;
        const auto why = st.opaque_reasons.empty() ? std::string("no reason given")
                                                   : shown(st.opaque_reasons.front());
        note("the statement cannot be analysed (" + why + "): opaque " +
             to_string(p_.opaque_effect));
    }

    std::string action_text(kind_mask kinds, const relation_use* use) const {
        if (kinds == bit(kind::connect)) return "opening a session on " + shown(s_.target);
        std::string out;
        for (std::size_t k = 0; k < kind_count; ++k) {
            if ((kinds >> k & 1U) == 0) continue;
            out += (out.empty() ? "" : ", ") + std::string(to_string(static_cast<kind>(k)));
        }
        return (out.empty() ? "the statement" : out) + object_text(use);
    }

    void note(std::string text) {
        auto& all = out_.reasons;
        if (std::find(all.begin(), all.end(), text) != all.end()) return;
        if (all.size() < reasons_max) {
            all.push_back(std::move(text));
        } else {
            ++dropped_;
        }
    }

    const rule_set& p_;
    const compiled_target& target_;
    const std::vector<compiled_rule>& rules_;
    const subject& s_;
    instant now_;
    bool reasons_;
    match_context context_;
    std::array<truth, 64> known_ = [] {
        std::array<truth, 64> a{};
        a.fill(truth::unknown);
        return a;
    }();
    verdict out_;
    std::size_t dropped_ = 0;
    std::vector<conditions> seen_;  // by compiled rule; empty unless standings are wanted
    bool standings_ = false;
};

}  // namespace

void rule_indices::insert(std::uint32_t index) {
    const auto few_end = few_.begin() + static_cast<std::ptrdiff_t>(size_);
    if (std::binary_search(few_.begin(), few_end, index) ||
        std::binary_search(more_.begin(), more_.end(), index))
        return;
    if (size_ == few_.size()) {
        if (index < few_.back()) std::swap(index, few_.back());
        std::sort(few_.begin(), few_.end());
        more_.insert(std::upper_bound(more_.begin(), more_.end(), index), index);
        return;
    }
    few_[size_++] = index;
    std::sort(few_.begin(), few_.begin() + static_cast<std::ptrdiff_t>(size_));
}

verdict evaluate(const rule_set& p, const compiled_rules& c, const subject& s, const facts* f,
                 instant now, with_reasons reasons) {
    evaluator e(p, c.of(s.target), s, now, reasons);
    if (f == nullptr) {
        e.session();
    } else {
        for (const auto& st : f->statements)
            e.statement(st);
    }
    return e.take();
}

}  // namespace sallyport::policy
