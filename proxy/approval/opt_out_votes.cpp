#include <algorithm>
#include <utility>

#include "proxy/approval/notices.h"
#include "proxy/approval/opt_outs.h"
#include "proxy/approval/records.h"
#include "proxy/audit/chain.h"

/// Votes on requests for opt-outs, and what makes one active.
namespace sallyport::proxy::approval {

namespace {

using policy::opt_out_state;

std::string name_of(policy::opt_out_id id) {
    return "opt-out " + std::to_string(id.value);
}

policy::vote to_vote(const steward::opt_out_vote& v, policy::instant at) {
    return {v.who.name, v.approve, v.reason, at, v.surface};
}

}  // namespace

std::optional<answer> opt_out_desk::objection(const steward::opt_out_vote& v) {
    const auto found = requests_.find(v.id);
    if (found == requests_.end()) {
        if (active_.contains(v.id))
            return answer{verdict::conflict, name_of(v.id) + " is already active", v.id.value};
        return missing(v.id);
    }
    const auto& l = found->second;
    if (l.at != phase::open)
        return answer{verdict::conflict, name_of(v.id) + " is just being requested or activated",
                      v.id.value};
    const auto* spec = spec_now(core_.rules(), l.o.rule);
    if (!spec)
        return answer{verdict::conflict, "rule " + l.o.rule + " can no longer be opted out of",
                      v.id.value};
    auto why = policy::check_voter(spec->approved_by, v.who, l.o);
    // Whoever was made an approver after the request does not decide it by that change alone.
    if (why.empty() && !l.o.born_with.nobody())
        why = policy::check_voter(l.o.born_with, v.who, l.o);
    // Whoever the lists name, these never may: the last line of the four eyes.
    if (why.empty() &&
        (v.who.name.empty() || v.who.name == l.o.person || v.who.name == l.o.requested_by))
        why = "nobody may decide her own request";
    if (why.empty()) why = core_.check_locked(v.who.name);
    if (!why.empty()) return answer{verdict::forbidden, why, v.id.value};
    if (v.reason.size() > 4096 || v.surface.size() > 64)
        return answer{verdict::invalid, "a reason may have 4096 bytes at most", v.id.value};
    const bool voted =
        l.voting.contains(v.who.name) ||
        std::any_of(l.o.votes.begin(), l.o.votes.end(),
                    [&](const policy::vote& old) { return old.person == v.who.name; });
    if (voted)
        return answer{verdict::conflict,
                      v.who.name + " has already voted on " + name_of(v.id) +
                          "; that vote can be taken back first",
                      v.id.value};
    return std::nullopt;
}

void opt_out_desk::vote(const steward::opt_out_vote& v, const steward::on_answer& done) {
    if (auto why = objection(v)) return done(std::move(*why));
    auto& l = requests_.at(v.id);
    if (!v.approve) return deny(l, v, done);
    // As with holds: an approval counts only once it is on record, and is looked at again then.
    l.voting.insert(v.who.name);
    auto r = opt_out_record("opt_out.vote", l.o, core_.now());
    add_vote(r, to_vote(v, core_.now()));
    core_.record(std::move(r), [this, v, done](std::unique_ptr<audit::receipt> receipt) {
        if (const auto found = requests_.find(v.id); found != requests_.end())
            found->second.voting.erase(v.who.name);
        if (!receipt)
            return done({verdict::unavailable,
                         "the vote was not counted: the audit log cannot be written", v.id.value});
        count_approval(v, done);
    });
}

void opt_out_desk::deny(live_request& l, const steward::opt_out_vote& v,
                        const steward::on_answer& done) {
    const auto ballot = to_vote(v, core_.now());
    store::store::opt_out_change c;
    c.from = opt_out_state::requested;
    c.to = opt_out_state::denied;
    c.reason = v.reason;
    c.at = ballot.at;
    c.vote = &ballot;
    bool moved = false;
    auto told = opt_out_notice(policy::notice_event::denied, l.o, ballot.at);
    told.by = v.who.name;
    told.note = v.reason;
    if (!core_.stored_and_told([&] {
            moved = core_.db().move_opt_out(v.id, c);
            if (moved) core_.tell(told);
        }))
        return done({verdict::unavailable, "the vote was not counted: the state cannot be written",
                     v.id.value});
    if (!moved) return done(missing(v.id));
    auto ballot_record = opt_out_record("opt_out.vote", l.o, ballot.at);
    add_vote(ballot_record, ballot);
    core_.record(std::move(ballot_record));
    auto r = opt_out_record("opt_out.denied", l.o, ballot.at);
    deadlines_.erase({l.o.request_expires_at, v.id});
    requests_.erase(v.id);
    core_.tell_change("opt_out", v.id.value, policy::to_string(opt_out_state::denied));
    record_end(std::move(r), v.reason, v.who.name, name_of(v.id) + " is denied", v.id.value, done);
}

std::vector<policy::vote> opt_out_desk::counting(const live_request& l,
                                                 const policy::opt_out_spec& spec) const {
    return core_.votes_that_count(l.o.votes, l.came_as, [&](const policy::principal& who) {
        return policy::check_voter(spec.approved_by, who, l.o);
    });
}

void opt_out_desk::count_approval(const steward::opt_out_vote& v, const steward::on_answer& done) {
    if (auto why = objection(v)) return done(std::move(*why));
    auto& l = requests_.at(v.id);
    const auto& spec = *spec_now(core_.rules(), l.o.rule);
    const auto ballot = to_vote(v, core_.now());
    const auto needed = std::max(l.o.approvals_needed, spec.approved_by.approvals);
    // Those who voted earlier were approvers then; the rule of now may have others.
    const auto others = counting(l, spec).size();
    const auto no_more = l.o.votes.size() - others;
    const auto have = static_cast<int>(others) + 1;
    if (have >= needed) {
        // Asked for in time, and meanwhile others were given, or the policy has become narrower.
        if (auto why = too_often(l, spec); !why.empty())
            return done({verdict::conflict, "the vote was not counted: " + why, v.id.value});
        return activate(l, &ballot, spec, done);
    }
    if (!core_.stored([&] { core_.db().add_opt_out_vote(v.id, ballot); }))
        return done({verdict::unavailable, "the vote was not counted: the state cannot be written",
                     v.id.value});
    l.o.votes.push_back(ballot);
    l.came_as[v.who.name] = v.who;
    core_.tell_change("opt_out", v.id.value, policy::to_string(opt_out_state::requested));
    done({verdict::counted, counted_text(name_of(v.id), have, needed, no_more), v.id.value});
}

void opt_out_desk::activate(live_request& l, const policy::vote* v,
                            const policy::opt_out_spec& spec, const steward::on_answer& done) {
    store::store::opt_out_change c;
    c.from = opt_out_state::requested;
    c.to = opt_out_state::active;
    c.at = core_.now();
    // The clock starts now, when it was to start, or when what it extends ends.
    c.live_from = std::max(c.at, l.o.starts_at);
    if (const auto old = active_.find(l.o.extends); old != active_.end())
        c.live_from = std::max(c.live_from, old->second.until);
    // The rule of now may allow less than was asked for.
    c.live_until = c.live_from + std::min(l.o.duration, policy::bounds_of(spec, l.o.kind).duration);
    if (l.o.kind == policy::opt_out_kind::file)
        c.live_until = std::min(c.live_until, l.o.starts_at + l.o.duration);
    c.vote = v;
    const auto id = l.o.id;
    bool moved = false;
    const bool glass = l.o.kind == policy::opt_out_kind::break_glass;
    auto told = opt_out_notice(
        glass ? policy::notice_event::break_glass : policy::notice_event::approved, l.o, c.at);
    // Those of a file were judged when it was read.
    const bool by_votes = l.o.kind == policy::opt_out_kind::request;
    auto votes = by_votes ? counting(l, spec) : l.o.votes;
    if (v) votes.push_back(*v);
    const auto left_out = votes_left_out(l.o.votes, votes);
    told.by = glass ? l.o.person : approvers_of(votes);
    if (glass && spec.break_glass) announce(told, *spec.break_glass);
    told.until = c.live_until;
    if (!core_.stored_and_told([&] {
            for (const auto& old : left_out)
                static_cast<void>(core_.db().withdraw_vote(id, old.person, c.at));
            moved = core_.db().move_opt_out(id, c);
            if (moved) core_.tell(told);
        }))
        return done({verdict::unavailable, "the vote was not counted: the state cannot be written",
                     id.value});
    if (!moved) return done(missing(id));
    deadlines_.erase({l.o.request_expires_at, id});
    l.at = phase::deciding;
    l.o.state = opt_out_state::active;
    l.o.from = c.live_from;
    l.o.until = c.live_until;
    l.o.votes = std::move(votes);
    auto r = opt_out_record("opt_out.activated", l.o, c.at);
    if (!left_out.empty()) r.with("not_counted", approvers_of(left_out));
    core_.record(std::move(r), [this, id, done](std::unique_ptr<audit::receipt> receipt) {
        activated(id, receipt != nullptr, done);
    });
}

void opt_out_desk::activated(policy::opt_out_id id, bool recorded, const steward::on_answer& done) {
    auto node = requests_.extract(id);
    auto& o = node.mapped().o;
    const auto until = audit::format_time(o.until);
    if (!recorded) {
        // Never published: nothing has passed under it.
        auto revoked = opt_out_notice(policy::notice_event::revoked, o, core_.now());
        revoked.note = "audit not writable";
        settle({id,
                opt_out_state::active,
                opt_out_state::revoked,
                "audit not writable",
                core_.now(),
                {},
                {revoked}});
        auto r = opt_out_record("opt_out.revoked", o, core_.now());
        r.with("ended_reason", "audit not writable");
        core_.record(std::move(r));
        core_.tell_change("opt_out", id.value, policy::to_string(opt_out_state::revoked));
        return done({verdict::unavailable,
                     name_of(id) + " is not activated: the audit log cannot be written", id.value});
    }
    const bool later = o.from > core_.now();
    auto text = name_of(id) + " is active ";
    if (later) text += "from " + audit::format_time(o.from) + " ";
    text += "until " + until;
    const bool glass = o.kind == policy::opt_out_kind::break_glass;
    if (glass) core_.counts.glass_broken.add();
    live_from(o);
    active_.emplace(id, std::move(o));
    publish_();
    core_.tell_change("opt_out", id.value,
                      glass ? "broken" : policy::to_string(opt_out_state::active));
    done({verdict::done, text, id.value});
    // The rules may have changed while the record was written.
    recheck();
}

void opt_out_desk::withdraw_vote(policy::opt_out_id id, const policy::principal& who,
                                 const std::string& surface, const steward::on_answer& done) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) return done(missing(id));
    auto& l = found->second;
    const auto vote = std::find_if(l.o.votes.begin(), l.o.votes.end(), [&](const policy::vote& v) {
        return v.person == who.name && v.approve;
    });
    if (l.at != phase::open || vote == l.o.votes.end())
        return done({verdict::conflict,
                     who.name + " has no vote on " + name_of(id) + " that could be taken back",
                     id.value});
    bool taken = false;
    if (!core_.stored([&] { taken = core_.db().withdraw_vote(id, who.name, core_.now()); }))
        return done(
            {verdict::unavailable, "the vote stands: the state cannot be written", id.value});
    auto r = opt_out_record("opt_out.vote_withdrawn", l.o, core_.now());
    r.with("voter", who.name).with("surface", surface.substr(0, 64));
    l.o.votes.erase(vote);
    core_.record(std::move(r));
    core_.tell_change("opt_out", id.value, policy::to_string(opt_out_state::requested));
    done({taken ? verdict::done : verdict::conflict,
          "the vote of " + who.name + " on " + name_of(id) + " is taken back", id.value});
}

}  // namespace sallyport::proxy::approval
