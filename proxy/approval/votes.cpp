#include <algorithm>
#include <utility>

#include "proxy/approval/holds.h"
#include "proxy/approval/notices.h"
#include "proxy/approval/records.h"
#include "proxy/audit/chain.h"

/// Votes on holds: who may, what they grant, and what makes an approval final.
namespace sallyport::proxy::approval {

namespace {

using policy::hold_state;

constexpr std::size_t reason_bytes_max = 4096;
constexpr std::size_t surface_bytes_max = 64;

std::string name_of(policy::hold_id id) {
    return "hold " + std::to_string(id.value);
}

int approvals_needed(const policy::hold& h, const policy::hold_spec* now) {
    return std::max(h.who.approvals, now ? now->who.approvals : 1);
}

policy::vote to_vote(const steward::hold_vote& v, policy::instant at) {
    return {v.who.name, v.approve, v.reason, at, v.surface};
}

}  // namespace

answer hold_desk::missing(policy::hold_id id) {
    std::optional<policy::hold> h;
    if (!core_.stored([&] { h = core_.db().get_hold(id); }))
        return {verdict::unavailable, "the state cannot be read; try again", id.value};
    if (!h) return {verdict::not_found, "there is no " + name_of(id), id.value};
    if (h->state == hold_state::pending)
        return {verdict::conflict, name_of(id) + " is just being opened or ended", id.value};
    auto text = name_of(id) + " has already ended: " + policy::to_string(h->state);
    if (!h->ended_reason.empty()) text += " (" + h->ended_reason + ")";
    return {verdict::conflict, text, id.value};
}

std::string hold_desk::check_approver(const live_hold& l, const policy::principal& who) const {
    auto why = policy::check_voter(l.h.who, who, l.h.person);
    // Whoever the lists name, these never may: the last line of the four eyes.
    if (who.name.empty() || who.name == l.h.person)
        return why.empty() ? "nobody may decide her own request" : why;
    if (why.empty()) why = check_now(l, who);
    return why.empty() ? core_.check_locked(who.name) : why;
}

std::string hold_desk::check_now(const live_hold& l, const policy::principal& who) const {
    const auto* spec = hold_spec_now(core_.rules(), l.h.rule);
    if (!spec) return {};
    auto why = policy::check_voter(spec->who, who, l.h.person);
    if (!why.empty() && l.h.escalated && spec->escalate)
        why = policy::check_voter(spec->escalate->to, who, l.h.person);
    return why;
}

std::optional<answer> hold_desk::objection(const steward::hold_vote& v, chosen& choice) {
    const auto found = live_.find(v.id);
    if (found == live_.end()) return missing(v.id);
    auto& l = found->second;
    if (l.at != phase::open)
        return answer{verdict::conflict,
                      l.at == phase::deciding ? name_of(v.id) + " has just been approved"
                                              : name_of(v.id) + " is just being opened",
                      v.id.value};
    if (auto why = check_approver(l, v.who); !why.empty())
        return answer{verdict::forbidden, why, v.id.value};
    const auto* spec = hold_spec_now(core_.rules(), l.h.rule);
    if (v.reason.size() > reason_bytes_max || v.surface.size() > surface_bytes_max)
        return answer{verdict::invalid,
                      "a reason may have " + std::to_string(reason_bytes_max) + " bytes at most",
                      v.id.value};
    const bool voted =
        l.voting.contains(v.who.name) ||
        std::any_of(l.h.votes.begin(), l.h.votes.end(),
                    [&](const policy::vote& old) { return old.person == v.who.name; });
    if (voted)
        return answer{verdict::conflict,
                      v.who.name + " has already voted on " + name_of(v.id) +
                          "; that vote can be taken back first",
                      v.id.value};
    if (!v.approve) return std::nullopt;
    choice = choose_pass(l.h, spec ? intersect(l.h.pass, spec->pass) : policy::pass_bounds{},
                         v.scope, v.for_);
    if (!choice.error.empty()) return answer{verdict::invalid, choice.error, v.id.value};
    return std::nullopt;
}

void hold_desk::vote(const steward::hold_vote& v, const steward::on_answer& done) {
    chosen choice;
    if (auto why = objection(v, choice)) return done(std::move(*why));
    auto& l = live_.at(v.id);
    if (!v.approve) return deny(l, v, done);
    // An approval counts only once it is on record; it is looked at again then, since meanwhile the
    // hold may have ended and the rules may have changed.
    l.voting.insert(v.who.name);
    auto r = hold_record("hold.vote", l.h, core_.now());
    add_vote(r, to_vote(v, core_.now()));
    r.with("scope", policy::to_string(choice.choice.scope));
    r.with("for_ms", std::to_string(choice.choice.lasts.count()));
    core_.record(std::move(r), [this, v, done](std::unique_ptr<audit::receipt> receipt) {
        if (const auto found = live_.find(v.id); found != live_.end())
            found->second.voting.erase(v.who.name);
        if (!receipt)
            return done({verdict::unavailable,
                         "the vote was not counted: the audit log cannot be written", v.id.value});
        count_approval(v, done);
    });
}

/// A deny releases nothing: it holds as soon as it is stored, whatever the audit log says.
void hold_desk::deny(live_hold& l, const steward::hold_vote& v, const steward::on_answer& done) {
    const auto id = v.id;
    const auto at = core_.now();
    const auto ballot = to_vote(v, at);
    bool moved = false;
    auto told = hold_notice(policy::notice_event::denied, l.h, at);
    told.by = v.who.name;
    told.note = v.reason;
    if (!core_.stored_and_told([&] {
            moved = core_.db().move_hold(id, hold_state::pending, hold_state::denied, v.reason, at,
                                         &ballot, nullptr);
            if (moved) core_.tell(told);
        }))
        return done({verdict::unavailable, "the vote was not counted: the state cannot be written",
                     id.value});
    if (!moved) return done(missing(id));
    auto vote_record = hold_record("hold.vote", l.h, at);
    add_vote(vote_record, ballot);
    core_.record(std::move(vote_record));
    l.h.state = hold_state::denied;
    auto r = hold_record("hold.denied", l.h, at);
    r.with("denied_by", v.who.name).with("ended_reason", v.reason);
    note_denied(l.h, v.who.name, v.reason);
    finish(id, {id, hold_state::denied, v.reason, v.who.name, std::nullopt});
    core_.record(std::move(r), [id, done](std::unique_ptr<audit::receipt> receipt) {
        done({verdict::done,
              receipt ? name_of(id) + " is denied"
                      : name_of(id) + " is denied; the audit log cannot be written at the moment",
              id.value});
    });
}

void hold_desk::count_approval(const steward::hold_vote& v, const steward::on_answer& done) {
    chosen choice;
    if (auto why = objection(v, choice)) return done(std::move(*why));
    auto& l = live_.at(v.id);
    const auto agreed = l.agreed ? agree(*l.agreed, choice.choice) : choice.choice;
    const auto ballot = to_vote(v, core_.now());
    const auto needed = approvals_needed(l.h, hold_spec_now(core_.rules(), l.h.rule));
    // Those who voted earlier were approvers then; the rule of now may have others.
    auto others = core_.votes_that_count(
        l.h.votes, l.came_as, [&](const policy::principal& who) { return check_now(l, who); });
    const auto have = static_cast<int>(others.size()) + 1;
    const auto no_more = l.h.votes.size() - others.size();
    if (have >= needed) {
        others.push_back(ballot);
        return approve(l, std::move(others), agreed, done);
    }
    if (!core_.stored([&] { core_.db().add_hold_vote(v.id, ballot); }))
        return done({verdict::unavailable, "the vote was not counted: the state cannot be written",
                     v.id.value});
    l.h.votes.push_back(ballot);
    l.came_as[v.who.name] = v.who;
    l.agreed = agreed;
    core_.tell_change("hold", v.id.value, policy::to_string(hold_state::pending));
    done({verdict::counted, counted_text(name_of(v.id), have, needed, no_more), v.id.value});
}

void hold_desk::approve(live_hold& l, std::vector<policy::vote> votes, const pass_choice& choice,
                        const steward::on_answer& done) {
    const auto v = votes.back();
    const auto at = core_.now();
    policy::pass p;
    p.from_hold = l.h.id;
    p.scope = choice.scope;
    p.rule = l.h.rule;
    p.person = l.h.person;
    p.target = l.h.target;
    if (p.scope == policy::pass_scope::shape) p.shape = l.h.shape;
    // Who asked first may have left, while others wait on.
    const bool there = std::any_of(l.waiters.begin(), l.waiters.end(),
                                   [&](const waiter& w) { return w.session == l.h.session; });
    p.session = there || l.waiters.empty() ? l.h.session : l.waiters.front().session;
    p.until = at + choice.lasts;
    p.approved_by = approvers_of(votes);
    const auto left_out = votes_left_out(l.h.votes, votes);
    // What nobody waits for has its pass when it is taken.
    const bool later = l.h.ahead() && p.scope == policy::pass_scope::statement;
    bool moved = false;
    auto told = hold_notice(policy::notice_event::approved, l.h, at);
    told.by = p.approved_by;
    told.note = v.reason;
    told.what = std::string("for this ") + policy::to_string(p.scope);
    if (p.scope != policy::pass_scope::statement) told.until = p.until;
    if (!core_.stored_and_told([&] {
            for (const auto& old : left_out)
                static_cast<void>(core_.db().withdraw_vote(l.h.id, old.person, at));
            moved = core_.db().move_hold(l.h.id, hold_state::pending, hold_state::approved, "", at,
                                         &v, later ? nullptr : &p);
            if (moved) core_.tell(told);
        }))
        return done({verdict::unavailable, "the vote was not counted: the state cannot be written",
                     l.h.id.value});
    if (!moved) return done(missing(l.h.id));
    l.at = phase::deciding;
    deadlines_.erase({l.h.expires_at, l.h.id});
    l.h.votes = std::move(votes);
    l.h.state = hold_state::approved;
    auto r = hold_record("hold.approved", l.h, at);
    r.with("approved_by", p.approved_by);
    if (!left_out.empty()) r.with("not_counted", approvers_of(left_out));
    r.with("pass", std::to_string(p.id.value));
    r.with("scope", policy::to_string(p.scope));
    r.with("until", audit::format_time(p.until));
    core_.record(std::move(r),
                 [this, id = l.h.id, p, done](std::unique_ptr<audit::receipt> receipt) {
                     approved(id, p, receipt != nullptr, done);
                 });
}

void hold_desk::approved(policy::hold_id id, policy::pass p, bool recorded,
                         const steward::on_answer& done) {
    const bool later = !p.id;
    if (!recorded && later) {
        // No record, no release: it is never taken, and a restart finds it taken.
        p.until = core_.now();
        if (!core_.stored([&] {
                core_.db().add_pass(p);
                core_.db().end_pass(p.id, core_.now());
            }))
            unsettled_ahead_.push_back(p);
    }
    if (!recorded) {
        // No record, no release: the store says approved, the pass that it granted ends unused.
        if (!later && !core_.stored([&] { core_.db().end_pass(p.id, core_.now()); }))
            unsettled_passes_.push_back(p.id);
        auto r = hold_record("hold.withdrawn", live_.at(id).h, core_.now());
        r.with("ended_reason", "audit not writable");
        core_.record(std::move(r));
        auto told = hold_notice(policy::notice_event::withdrawn, live_.at(id).h, core_.now());
        told.note = "audit not writable";
        core_.tell(told);
        finish(id, {id, hold_state::withdrawn, "audit not writable", "", std::nullopt});
        return done({verdict::unavailable,
                     name_of(id) + " is not released: the audit log cannot be written", id.value});
    }
    // The pass of one statement goes to its session alone, never to the grants that all can see.
    if (p.scope != policy::pass_scope::statement && p.live_at(core_.now())) {
        add_pass(p);
        // The rules may have changed while the record was written: this statement, and no more.
        recheck();
        if (!passes_.contains(p.id)) p.scope = policy::pass_scope::statement;
        publish_();
    }
    if (later) {
        auto h = live_.at(id).h;
        h.ended_at = core_.now();
        const auto until = h.ended_at + (h.expires_at - h.opened_at);
        finish(id, {id, hold_state::approved, "", p.approved_by, std::nullopt});
        keep_ready(std::move(h), until);
        return done(
            {verdict::done,
             name_of(id) + " is approved; it can be taken once, until " + audit::format_time(until),
             id.value});
    }
    auto text = name_of(id) + " is approved for this " + policy::to_string(p.scope);
    if (p.scope != policy::pass_scope::statement) text += " until " + audit::format_time(p.until);
    if (const auto n = live_.at(id).waiters.size(); n > 1)
        text += "; " + std::to_string(n) + " sessions that waited are released";
    finish(id, {id, hold_state::approved, "", p.approved_by, p});
    done({verdict::done, text, id.value});
}

void hold_desk::withdraw_vote(policy::hold_id id, const policy::principal& who,
                              const std::string& surface, const steward::on_answer& done) {
    const auto found = live_.find(id);
    if (found == live_.end()) return done(missing(id));
    auto& l = found->second;
    const auto vote = std::find_if(l.h.votes.begin(), l.h.votes.end(), [&](const policy::vote& v) {
        return v.person == who.name && v.approve;
    });
    if (l.at != phase::open || vote == l.h.votes.end())
        return done({verdict::conflict,
                     who.name + " has no vote on " + name_of(id) + " that could be taken back",
                     id.value});
    bool taken = false;
    if (!core_.stored([&] { taken = core_.db().withdraw_vote(id, who.name, core_.now()); }))
        return done(
            {verdict::unavailable, "the vote stands: the state cannot be written", id.value});
    auto r = hold_record("hold.vote_withdrawn", l.h, core_.now());
    r.with("voter", who.name).with("surface", surface.substr(0, surface_bytes_max));
    l.h.votes.erase(vote);
    // What is agreed stays the narrower: what the others would grant without it is not kept.
    if (l.h.votes.empty()) l.agreed.reset();
    core_.record(std::move(r));
    core_.tell_change("hold", id.value, policy::to_string(hold_state::pending));
    done({taken ? verdict::done : verdict::conflict,
          "the vote of " + who.name + " on " + name_of(id) + " is taken back", id.value});
}

}  // namespace sallyport::proxy::approval
