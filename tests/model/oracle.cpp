#include "tests/model/oracle.h"

#include <algorithm>

namespace sallyport::model {

using policy::flag_kind;
using policy::flag_on;
using policy::opt_out_kind;

void oracle::pass_time(instant now) {
    for (auto& [id, h] : holds) {
        if (h.state == hold_state::pending && now >= h.ends) h.state = hold_state::expired;
        if (h.state == hold_state::pending && h.escalates && now >= h.opened + escalates_after)
            h.escalated = true;
        if (h.ready_until != instant{} && now >= h.ready_until) h.ready_until = {};
    }
    std::erase_if(passes, [&](const pass_m& p) { return now >= p.until; });
    for (auto& [id, o] : opt_outs) {
        if (o.state == opt_out_state::requested && now >= o.lapses) o.state = opt_out_state::lapsed;
        if (o.state == opt_out_state::active && now >= o.until)
            end(id, opt_out_state::expired, now);
    }
    std::erase_if(flags, [&](const auto& f) { return now >= f.second.until; });
}

void oracle::end(std::uint64_t id, opt_out_state to, instant now) {
    auto& o = opt_outs.at(id);
    o.state = to;
    o.ended = now;
    const bool glass = o.kind == opt_out_kind::break_glass;
    if (o.uses == 0 && !glass) return;
    const bool said = now_in_force.holds && now_in_force.opt_outs;
    reviews[id] = {true, now + (said ? review_within : milliseconds(std::chrono::hours(7 * 24))),
                   o.who, o.group, glass};
}

bool oracle::still_fits(const opt_out_m& o) const {
    const auto& t = now_in_force;
    const bool glass = o.kind == opt_out_kind::break_glass;
    if (!t.holds || !t.opt_outs || (glass && !t.glass)) return false;
    if (o.state == opt_out_state::active && o.until - o.from > (glass ? glass_longest : t.longest))
        return false;
    if (t.uses != 0 && (o.uses_max == 0 || o.uses_max > t.uses)) return false;
    if (o.kind == opt_out_kind::file &&
        std::none_of(t.file.begin(), t.file.end(),
                     [&](const written& w) { return w.number == o.written; }))
        return false;
    return called(o.who).in(glass ? "oncall" : t.who);
}

bool oracle::still_fits(const pass_m& p, instant now) const {
    if (p.rule != guarded) return true;
    const auto& most = offered(p.scope);
    return now_in_force.holds && most && p.until - now <= *most;
}

void oracle::reload(const terms& t, instant now) {
    now_in_force = t;
    std::erase_if(passes, [&](const pass_m& p) { return !still_fits(p, now); });
    for (auto& [id, o] : opt_outs) {
        if (o.state == opt_out_state::active && !still_fits(o))
            end(id, opt_out_state::revoked, now);
        if (o.state == opt_out_state::requested && !still_fits(o))
            o.state = opt_out_state::withdrawn;
    }
    sync_file(now);
}

void oracle::sync_file(instant now) {
    const auto& t = now_in_force;
    begun_by_file.clear();
    const auto last = opt_outs.empty() ? 0 : opt_outs.rbegin()->first;
    auto next = last;
    for (const auto& w : t.file) {
        if (w.until <= now) continue;
        std::uint64_t used = 0;
        bool over = false;
        for (const auto& [id, o] : opt_outs) {
            if (o.written != w.number) continue;
            used += o.uses;
            over = over || o.state == opt_out_state::active || o.state == opt_out_state::used_up ||
                   (o.state == opt_out_state::revoked && o.ended_by_person);
        }
        if (over || (t.uses != 0 && used >= t.uses)) continue;
        if (!may_request(called(w.who), opt_out_kind::file, w.until - w.from, 0, now)) continue;
        opt_out_m o;
        o.who = w.who;
        o.kind = opt_out_kind::file;
        o.state = opt_out_state::active;
        o.duration = w.until - w.from;
        o.from = std::max(now, w.from);
        o.until = std::min(o.from + o.duration, w.until);
        o.uses_max = t.uses == 0 ? 0 : t.uses - used;
        o.written = w.number;
        o.teams = called(w.who).groups;
        o.groups = t.opt_approvers;
        opt_outs[++next] = o;
        begun_by_file.push_back(o);
    }
}

void oracle::restart(instant now) {
    for (auto& [id, h] : holds)
        if (h.state == hold_state::pending && !h.ahead) h.state = hold_state::withdrawn;
    pass_time(now);
    for (auto& [id, h] : holds) {
        if (h.state != hold_state::pending) continue;
        h.escalated = h.escalates && now >= h.opened + escalates_after;
        // What was chosen is not kept: the least counts.
        h.granted.clear();
        if (!h.votes.empty()) h.granted.push_back({});
    }
    std::erase_if(passes, [](const pass_m& p) { return p.scope != pass_scope::shape; });
    for (auto& [id, o] : opt_outs)
        if (o.state == opt_out_state::requested && o.kind != opt_out_kind::request)
            o.state = opt_out_state::withdrawn;
    reload(terms(now_in_force), now);
}

bool oracle::is_live(const opt_out_m& o, instant now) const {
    return o.state == opt_out_state::active && now >= o.from && now < o.until &&
           (o.uses_max == 0 || o.uses < o.uses_max);
}

bool oracle::flagged(const seat& s, flag_kind kind, instant now) const {
    return std::any_of(flags.begin(), flags.end(), [&](const auto& entry) {
        const auto& f = entry.second;
        if (f.kind != kind || now >= f.until) return false;
        return (f.on == flag_on::principal && f.subject == s.who) ||
               (f.on == flag_on::application && f.subject == s.application) ||
               (f.on == flag_on::target && f.subject == "shop");
    });
}

bool oracle::shut_out(const std::string& who) const {
    return std::any_of(flags.begin(), flags.end(), [&](const auto& entry) {
        const auto& f = entry.second;
        return f.kind == flag_kind::lock && f.on == flag_on::principal && f.subject == who;
    });
}

bool oracle::locked(const std::string& rule, instant now) const {
    return std::any_of(flags.begin(), flags.end(), [&](const auto& entry) {
        const auto& f = entry.second;
        return f.kind == flag_kind::lock && f.on == flag_on::rule && f.subject == rule &&
               now < f.until;
    });
}

bool oracle::covered(const seat& s, const std::string& rule, int text, bool suspended,
                     instant now) const {
    for (const auto& p : passes) {
        if (p.rule != rule || p.who != s.who || now >= p.until) continue;
        if (p.scope == pass_scope::shape &&
            p.shape == texts()[static_cast<std::size_t>(text)].shape)
            return true;
        if (p.scope != pass_scope::shape && p.session == s.id) return true;
    }
    if (suspended || rule != guarded || !now_in_force.opt_outs) return false;
    return std::any_of(opt_outs.begin(), opt_outs.end(), [&](const auto& entry) {
        const auto& o = entry.second;
        return is_live(o, now) && (o.group.empty() ? o.who == s.who : called(s.who).in(o.group)) &&
               (o.application.empty() || o.application == s.application);
    });
}

expected oracle::decide(const seat& s, int text, instant now) const {
    const auto& what = texts()[static_cast<std::size_t>(text)];
    if (flagged(s, flag_kind::lock, now)) return expected::deny;
    const bool suspended = flagged(s, flag_kind::flag, now);
    bool held = now_in_force.holds && what.held;
    const bool spared_here =
        held && now_in_force.exception && s.application == reporter && !what.writes;
    if (held && locked(guarded, now)) return expected::deny;
    // An update of it reads, too, and the exception is from reading.
    const bool touched =
        now_in_force.holds && what.held && now_in_force.exception && s.application == reporter;
    if (touched && locked(spared, now)) return expected::deny;
    if (spared_here) held = false;
    if (suspended && !covered(s, policy::flag_rule_id, text, true, now)) return expected::hold;
    return held && !covered(s, guarded, text, suspended, now) ? expected::hold : expected::allow;
}

bool oracle::allows_now(const hold_m& h, const person& p) const {
    if (h.rule == policy::flag_rule_id) return p.in("security");
    if (!now_in_force.holds) return true;
    const bool next = h.escalated && p.in("chiefs");
    return p.in_any(now_in_force.approvers) || (next && now_in_force.escalates);
}

bool oracle::may_decide(const hold_m& h, const person& p) const {
    if (p.service || p.name == h.who || shut_out(p.name)) return false;
    const bool next = h.escalated && p.in("chiefs");
    return (p.in_any(h.groups) || next) && allows_now(h, p);
}

int oracle::counting(const hold_m& h) const {
    return static_cast<int>(std::count_if(h.votes.begin(), h.votes.end(), [&](const auto& name) {
        return !shut_out(name) && allows_now(h, called(name));
    }));
}

int oracle::counting(const opt_out_m& o) const {
    return static_cast<int>(std::count_if(o.votes.begin(), o.votes.end(), [&](const auto& name) {
        const auto& p = called(name);
        return !shut_out(name) && p.in_any(now_in_force.opt_approvers) &&
               (o.group.empty() || !p.in(o.group));
    }));
}

bool oracle::may_decide(const opt_out_m& o, const person& p) const {
    if (p.service || p.name == o.who || shut_out(p.name)) return false;
    if (!o.group.empty() && p.in(o.group)) return false;
    return p.in_any(o.groups) && p.in_any(now_in_force.opt_approvers);
}

int oracle::needed(const hold_m& h) const {
    const int now = h.rule == guarded && now_in_force.holds ? now_in_force.approvals : 1;
    return std::max(h.needed, now);
}

bool oracle::may_request(const person& p, opt_out_kind kind, milliseconds lasts,
                         std::uint64_t extends, instant now) const {
    const auto& t = now_in_force;
    const bool glass = kind == opt_out_kind::break_glass;
    if (!t.holds || !t.opt_outs || (glass && !t.glass)) return false;
    if (!p.in(glass ? "oncall" : t.who)) return false;
    if (lasts <= milliseconds(0) || lasts > (glass ? glass_longest : t.longest)) return false;
    if (extends != 0) {
        const auto old = opt_outs.find(extends);
        if (old == opt_outs.end() || old->second.state != opt_out_state::active ||
            old->second.who != p.name || old->second.kind == opt_out_kind::break_glass)
            return false;
    }
    return !too_often(p, kind, extends, kind == opt_out_kind::request, now);
}

bool oracle::too_often(const person& p, opt_out_kind kind, std::uint64_t extends, bool asks,
                       instant now) const {
    const auto& t = now_in_force;
    const bool glass = kind == opt_out_kind::break_glass;
    for (const auto& [id, r] : reviews) {
        if (!r.open || r.who != p.name) continue;
        if ((t.overdue_blocks && now >= r.due) || (glass && r.glass)) return true;
    }
    const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
    const instant month = std::chrono::sys_days{today.year() / today.month() / std::chrono::day(1)};
    const bool pauses = extends == 0 && !glass;
    int live = 0;
    int live_of_all = 0;
    int this_month = 0;
    int of_team = 0;
    int of_all = 0;
    int extensions = 0;
    for (const auto& [id, o] : opt_outs) {
        const bool hers = o.who == p.name;
        const bool waits = asks && o.state == opt_out_state::requested;
        if ((waits || o.state == opt_out_state::active) && id != extends) {
            ++live_of_all;
            if (hers) ++live;
        }
        const bool begun = o.from != instant{};
        if (waits || (begun && o.from >= month)) {
            ++of_all;
            if (hers) ++this_month;
            if (std::find(o.teams.begin(), o.teams.end(), t.who) != o.teams.end()) ++of_team;
        }
        if (extends != 0 && o.extends == extends && (waits || begun)) ++extensions;
        if (!hers) continue;
        if (glass && o.state == opt_out_state::active && o.kind == opt_out_kind::break_glass)
            return true;
        const bool over = begun && o.ended != instant{};
        if (pauses && over && now < o.ended + t.cool_down) return true;
    }
    // What is extended may be an extension itself.
    for (auto at = extends; at != 0 && opt_outs.at(at).extends != 0; at = opt_outs.at(at).extends)
        ++extensions;
    const auto spent = [](int most, int have) { return most != 0 && have >= most; };
    return (extends != 0 && spent(t.extensions, extensions)) || spent(t.per_month, this_month) ||
           spent(t.of_all, of_all) || (p.in(t.who) && spent(t.of_team, of_team)) ||
           spent(t.live_per_person, live) || spent(t.live_in_all, live_of_all);
}

void oracle::activate(opt_out_m& o, instant now) {
    o.state = opt_out_state::active;
    o.from = now;
    if (const auto old = opt_outs.find(o.extends);
        old != opt_outs.end() && old->second.state == opt_out_state::active)
        o.from = std::max(now, old->second.until);
    const auto most = o.kind == opt_out_kind::break_glass ? glass_longest : now_in_force.longest;
    o.until = o.from + std::min(o.duration, most);
}

void oracle::lock_rule(instant now) {
    for (auto& [id, o] : opt_outs) {
        if (o.state != opt_out_state::active) continue;
        o.ended_by_person = true;
        end(id, opt_out_state::revoked, now);
    }
}

const std::optional<milliseconds>& oracle::offered(pass_scope scope) const {
    const auto& t = now_in_force;
    return scope == pass_scope::shape         ? t.shape
           : scope == pass_scope::transaction ? t.transaction
                                              : t.session;
}

std::optional<milliseconds> oracle::bound(const hold_m& h, pass_scope scope) const {
    const bool of_shape = scope == pass_scope::shape;
    const auto& most = of_shape                           ? h.shape
                       : scope == pass_scope::transaction ? h.transaction
                                                          : h.session;
    if (!most || (h.ahead && !of_shape)) return std::nullopt;
    if (h.rule != guarded) return most;
    const auto& now = offered(scope);
    if (!now_in_force.holds || !now) return std::nullopt;
    return std::min(*most, *now);
}

hold_m::grant oracle::agreed(const hold_m& h) {
    hold_m::grant all = h.granted.front();
    for (const auto& g : h.granted) {
        const bool shapes = g.scope == pass_scope::shape || all.scope == pass_scope::shape;
        const bool statement = !g.lasts || !all.lasts;
        if (statement || (shapes && g.scope != all.scope)) return {};
        all.lasts = std::min(*all.lasts, *g.lasts);
        if (g.scope == pass_scope::transaction) all.scope = g.scope;
    }
    return all;
}

}  // namespace sallyport::model
