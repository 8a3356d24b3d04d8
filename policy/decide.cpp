#include "policy/decide.h"

#include <algorithm>

#include "policy/evaluate.h"
#include "policy/match.h"

namespace sallyport::policy {

namespace {

/// Whether a pass, live now, covers what `rule_id` holds in this session or statement.
bool covers(const pass& x, std::string_view rule_id, const subject& s, const facts* f,
            instant now) {
    if (x.rule != rule_id || x.person != s.principal.name || x.target != s.target ||
        !x.live_at(now))
        return false;
    switch (x.scope) {
        case pass_scope::statement:  // used up by the release that it was granted for
            return false;
        case pass_scope::shape:
            return f != nullptr && !f->literal_sensitive && !f->shape.empty() &&
                   x.shape == f->shape;
        case pass_scope::transaction:
            return f != nullptr && s.session && x.session == s.session &&
                   !f->leaves_transaction() &&
                   std::find(s.transaction_passes.begin(), s.transaction_passes.end(), x.id) !=
                       s.transaction_passes.end();
        case pass_scope::session:
            return s.session && x.session == s.session;
    }
    return false;
}

bool releases(const pass& x, std::string_view rule_id, const subject& s, instant now) {
    return x.rule == rule_id && x.person == s.principal.name && x.target == s.target &&
           x.live_at(now);
}

/// One thing that holds: a rule, `opaque:` or `default:`.
struct holder {
    const rule* by = nullptr;
    std::string_view id;
    const hold_spec* hold = nullptr;
};

/// The second half of a decision: can each holder be got round?
class grant_finder {
  public:
    grant_finder(const rule_set& p, const subject& s, const facts* f, const grants& g, instant now,
                 const decide_options& o, bool suspended)
        : p_(p), s_(s), f_(f), g_(g), now_(now), o_(o), suspended_(suspended) {}

    bool passes(const holder& h, decision& d) const {
        for (const auto& x : o_.released_by)
            if (releases(x, h.id, s_, now_)) return by_pass(x, h, d);
        for (const auto& x : g_.passes)
            if (covers(x, h.id, s_, f_, now_)) return by_pass(x, h, d);
        // Opt-outs live only as long as the rule offers them, whatever was stored under older
        // rules.
        if (suspended_ || h.by == nullptr || !h.by->opt_out) return false;
        for (const auto& x : g_.opt_outs) {
            if (x.rule != h.id || !x.lets(s_.principal) || !x.live_at(now_)) continue;
            if (!x.target.empty() && x.target != s_.target) continue;
            if (!x.scope.wide() && !scope_covers(x, *h.by, p_, s_, f_)) continue;
            d.opt_outs.push_back(x.id);
            d.reasons.push_back("rule " + std::string(h.id) + " lets it pass under opt-out " +
                                std::to_string(x.id.value));
            return true;
        }
        return false;
    }

  private:
    static bool by_pass(const pass& x, const holder& h, decision& d) {
        d.passes.push_back(x.id);
        d.reasons.push_back("rule " + std::string(h.id) + " lets it pass under pass " +
                            std::to_string(x.id.value) + " (" + to_string(x.scope) + ")");
        return true;
    }

    const rule_set& p_;
    const subject& s_;
    const facts* f_;
    const grants& g_;
    instant now_;
    decide_options o_;
    bool suspended_;  // by a flag
};

/// What flags and locks say of the session.
struct restraint {
    const flag* flagged = nullptr;
    const flag* locked = nullptr;
};

restraint restraint_of(const subject& s, const grants& g, instant now) {
    restraint r;
    for (const auto& x : g.flags) {
        if (!x.live_at(now) || !x.means(s)) continue;
        auto& slot = x.kind == flag_kind::lock ? r.locked : r.flagged;
        if (slot == nullptr) slot = &x;
    }
    return r;
}

/// The first lock on a rule that has a say here: it holds, or a standing exception gets round it,
/// or is that exception.
const flag* locked_rule(const rule_set& p, const verdict& v, const std::vector<holder>& all,
                        const grants& g, instant now) {
    for (const auto& x : g.flags) {
        if (x.kind != flag_kind::lock || x.on != flag_on::rule || !x.live_at(now)) continue;
        for (const auto& h : all)
            if (h.id == x.subject) return &x;
        for (const auto& [by, over] : v.excepted)
            if (p.rules[by].id == x.subject || p.rules[over].id == x.subject) return &x;
    }
    return nullptr;
}

void set_locked(const flag& by, decision& d) {
    d.effect = effect::deny;
    d.rule = nullptr;
    d.rule_id = lock_rule_id;
    d.reasons.push_back(std::string("locked: ") + to_string(by.on) + " (lock " +
                        std::to_string(by.id.value) + ")");
}

void set_denied(const rule_set& p, const verdict& v, decision& d) {
    d.effect = effect::deny;
    if (v.denied_by != no_rule) {
        d.rule = &p.rules[v.denied_by];
        d.rule_id = d.rule->id;
    } else {
        const bool by_default = v.has_default && p.default_effect == effect::deny;
        d.rule_id = by_default ? default_rule_id : opaque_rule_id;
    }
}

/// Everything that holds, in the order of the rules; opaque and default come last.
std::vector<holder> holders(const rule_set& p, const verdict& v) {
    std::vector<holder> out;
    for (std::size_t i = 0; i < v.held_by.size(); ++i) {
        const auto& r = p.rules[v.held_by.at(i)];
        out.push_back({&r, r.id, r.hold ? &*r.hold : nullptr});
    }
    if (v.has_opaque && p.opaque_effect == effect::hold)
        out.push_back({nullptr, opaque_rule_id, p.opaque_hold ? &*p.opaque_hold : nullptr});
    if (v.has_default && p.default_effect == effect::hold)
        out.push_back({nullptr, default_rule_id, p.default_hold ? &*p.default_hold : nullptr});
    return out;
}

void set_held_or_granted(const std::vector<holder>& all, const grant_finder& finder, decision& d) {
    for (const auto& h : all) {
        if (finder.passes(h, d) || d.effect == effect::hold) continue;
        d.effect = effect::hold;
        d.rule = h.by;
        d.rule_id = h.id;
        d.hold = h.hold;
    }
    if (d.effect == effect::hold) {
        d.opt_outs.clear();  // nothing passes, so nothing was used
        d.passes.clear();
        return;
    }
    d.grant = d.opt_outs.empty() ? granted_by::pass : granted_by::opt_out;
    d.rule = all.front().by;
    d.rule_id = all.front().id;
}

void name_noted(const rule_set& p, const verdict& v, decision& d) {
    for (std::size_t i = 0; i < v.observed.size(); ++i)
        d.observed.push_back(&p.rules[v.observed.at(i)]);
    if (d.effect != effect::allow) return;
    auto pairs = v.excepted;
    std::sort(pairs.begin(), pairs.end());
    for (const auto& [by, over] : pairs) {
        if (d.excepted.empty() || d.excepted.back().by != &p.rules[by])
            d.excepted.push_back({&p.rules[by], {}});
        d.excepted.back().over.push_back(&p.rules[over]);
    }
}

effect strictest(const rule_set& p, const verdict& v) {
    auto e = v.denied_by != no_rule ? effect::deny
             : v.held_by.empty()    ? effect::allow
                                    : effect::hold;
    if (v.has_opaque) e = std::max(e, p.opaque_effect);
    if (v.has_default) e = std::max(e, p.default_effect);
    return e;
}

}  // namespace

std::string ids_of(const std::vector<const rule*>& rules) {
    std::string out;
    for (const auto* r : rules)
        out += (out.empty() ? "" : ",") + r->id;
    return out;
}

decision decide(const rule_set& p, const subject& s, const facts* f, const grants& g, instant now,
                decide_options o) {
    const auto made = p.compiled ? nullptr : compile(p);
    const auto& compiled = p.compiled ? *p.compiled : *made;
    auto v = evaluate(p, compiled, s, f, now,
                      o.explain ? with_reasons::and_standings : with_reasons::no);
    const auto by_flag = g.flags.empty() ? restraint{} : restraint_of(s, g, now);
    const auto e = by_flag.flagged ? std::max(strictest(p, v), effect::hold) : strictest(p, v);

    decision d;
    d.effect = effect::allow;
    if (by_flag.locked) {
        set_locked(*by_flag.locked, d);
        return d;
    }
    const bool noted = !v.observed.empty() || !v.excepted.empty();
    if (e == effect::allow && !o.explain && !noted) {
        d.log = v.log;
        if (v.allowed_by != no_rule) d.rule = &p.rules[v.allowed_by];
        if (d.log) d.rule_id = d.rule != nullptr ? d.rule->id : default_rule_id;
        return d;
    }
    // Reasons cost allocations, so they are gathered by a second walk that a plain allow never
    // takes.
    if (!o.explain) v = evaluate(p, compiled, s, f, now, with_reasons::yes);
    d.reasons = std::move(v.reasons);
    d.standings = std::move(v.standings);
    d.guarded = std::move(v.guarded);
    std::vector<holder> all;
    if (e == effect::hold) all = holders(p, v);
    if (by_flag.flagged && e == effect::hold) {
        d.reasons.push_back(std::string("flagged: ") + to_string(by_flag.flagged->on) + " (flag " +
                            std::to_string(by_flag.flagged->id.value) + ")");
        all.push_back({nullptr, flag_rule_id, p.flagged_hold ? &*p.flagged_hold : nullptr});
    }
    const auto* lock = e == effect::deny ? nullptr : locked_rule(p, v, all, g, now);
    if (lock != nullptr) {
        set_locked(*lock, d);
    } else if (e == effect::allow) {
        d.log = v.log;
        if (v.allowed_by != no_rule) d.rule = &p.rules[v.allowed_by];
        d.rule_id = d.rule != nullptr ? d.rule->id : default_rule_id;
    } else if (e == effect::deny) {
        set_denied(p, v, d);
    } else {
        set_held_or_granted(all, grant_finder(p, s, f, g, now, o, by_flag.flagged != nullptr), d);
    }
    if (noted) name_noted(p, v, d);
    return d;
}

}  // namespace sallyport::policy
