#include <algorithm>
#include <utility>

#include "policy/sha256.h"
#include "proxy/approval/holds.h"
#include "proxy/approval/notices.h"
#include "proxy/approval/records.h"
#include "proxy/audit/chain.h"

/// Holds that no session waits for: asked for ahead, or by clients that do not wait. And what comes
/// of a hold that its first approvers leave undecided.
namespace sallyport::proxy::approval {

namespace {

using policy::hold_kind;
using policy::hold_state;
using policy::pass_scope;

constexpr std::size_t denied_max = 1'000;
constexpr std::size_t reason_bytes_max = 4096;

std::string name_of(policy::hold_id id) {
    return "hold " + std::to_string(id.value);
}

/// The statement as every client sends it: some leave the last semicolon away.
std::string_view bare(std::string_view sql) {
    constexpr const char* around = " \t\r\n\f\v;";
    const auto from = sql.find_first_not_of(around);
    if (from == std::string_view::npos) return {};
    return sql.substr(from, sql.find_last_not_of(around) + 1 - from);
}

/// Equal exactly for what one approval ahead covers: the very statement, never its shape.
std::string ahead_key(const policy::hold& h, const std::string& application) {
    std::string key = policy::to_string(h.kind);
    const auto add = [&](const std::string& text) {
        key += std::to_string(text.size()) + ":" + text;
    };
    const auto statement = policy::sha256_hex(bare(h.statement));
    for (const auto* text : {&h.person, &h.target, &h.rule, &application, &statement})
        add(*text);
    for (const auto& p : h.parameters)
        add(p);
    return key;
}

/// How long it can be taken after its approval: as long as it might have waited.
policy::instant taken_until(const policy::hold& h, policy::instant approved_at) {
    return approved_at + (h.expires_at - h.opened_at);
}

steward::asked failed(std::string why) {
    steward::asked a;
    a.text = std::move(why);
    return a;
}

}  // namespace

void hold_desk::recover_ahead() {
    for (auto& h : core_.db().list_ahead(core_.now())) {
        const auto id = h.id;
        // A crash may have come between what the state says and its record.
        auto resumed = hold_record("hold.resumed", h, core_.now());
        if (h.state == hold_state::approved) {
            core_.record(std::move(resumed),
                         [this, h](const std::unique_ptr<audit::receipt>& receipt) {
                             if (receipt) keep_ready(h, taken_until(h, h.ended_at));
                         });
            continue;
        }
        core_.record(std::move(resumed));  // ahead of any vote's
        deadlines_.emplace(h.expires_at, id);
        count_waiters(h.person, 1);
        plan_escalation(h);
        by_ahead_[ahead_key(h, h.application)] = id;
        // What earlier approvers chose to grant is not kept: the least counts.
        const auto agreed =
            h.votes.empty() ? std::nullopt : std::optional<pass_choice>(std::in_place);
        live_.emplace(id, live_hold{std::move(h), {{{}, nullptr}}, phase::open, {}, agreed});
    }
}

void hold_desk::keep_ready(policy::hold h, policy::instant until) {
    const auto id = h.id;
    by_ahead_[ahead_key(h, h.application)] = id;
    ready_ends_.emplace(until, id);
    ready_.emplace(id, ready_hold{std::move(h), until});
}

void hold_desk::note_request(const policy::hold& h) {
    if (h.ahead())
        by_ahead_[ahead_key(h, h.application)] = h.id;
    else
        by_request_[request_key(h)] = h.id;
}

void hold_desk::drop_ready(policy::hold_id id) {
    const auto node = ready_.extract(id);
    if (node.empty()) return;
    const auto& h = node.mapped().h;
    ready_ends_.erase({node.mapped().until, id});
    forget_ahead(h);
}

void hold_desk::forget_ahead(const policy::hold& h) {
    if (const auto at = by_ahead_.find(ahead_key(h, h.application));
        at != by_ahead_.end() && at->second == h.id)
        by_ahead_.erase(at);
}

/// What was asked for with this application, or with none in particular.
policy::hold_id hold_desk::ahead_of(const policy::hold& h) const {
    for (const auto& application : {h.application, std::string()})
        if (const auto at = by_ahead_.find(ahead_key(h, application)); at != by_ahead_.end())
            return at->second;
    return {};
}

void hold_desk::note_denied(const policy::hold& h, const std::string& by,
                            const std::string& reason) {
    if (!h.ahead() || denied_.size() >= denied_max) return;
    denied_[ahead_key(h, h.application)] = {h.id, by, reason, h.expires_at};
}

/// Nothing is released before the store has it that it was taken.
std::optional<policy::pass> hold_desk::take_ready(policy::hold_id id, policy::session_id session,
                                                  pass_scope scope, policy::instant until) {
    const auto& h = ready_.at(id).h;
    policy::pass p;
    p.from_hold = id;
    p.scope = scope;
    p.rule = h.rule;
    p.person = h.person;
    p.target = h.target;
    p.session = session;
    p.until = until;
    p.approved_by = approvers_of(h.votes);
    if (!core_.stored([&] { core_.db().add_pass(p); })) return std::nullopt;
    auto r = pass_record("hold.taken", p, core_.now());
    r.with("session", std::to_string(session.value));
    core_.record(std::move(r));
    drop_ready(id);
    core_.tell_change("hold", id.value, "taken");
    return p;
}

void hold_desk::ask(policy::hold h, policy::milliseconds wait, bool take,
                    const steward::on_asked& done) {
    const auto asking = std::exchange(h.session, {});
    const auto now = core_.now();
    steward::asked a;
    if (const auto id = ahead_of(h); ready_.contains(id)) {
        a.id = id;
        a.until = ready_.at(id).until;
        a.what = steward::asked::state::ready;
        if (!take) return done(std::move(a));
        a.pass = take_ready(id, asking, pass_scope::statement, now + statement_pass_ms);
        if (!a.pass) return done(failed("the state cannot be written"));
        return done(std::move(a));
    } else if (const auto live = live_.find(id); live != live_.end()) {
        a.id = id;
        a.until = live->second.h.expires_at;
        a.what = steward::asked::state::pending;
        return done(std::move(a));
    }
    std::erase_if(denied_, [&](const auto& d) { return now >= d.second.until; });
    if (const auto d = denied_.find(ahead_key(h, h.application)); d != denied_.end()) {
        a.what = steward::asked::state::denied;
        a.id = d->second.id;
        a.text = d->second.reason;
        a.decided_by = d->second.by;
        return done(std::move(a));
    }
    const auto opened = [done](policy::hold_id id, const std::string& error,
                               policy::instant until) {
        if (!id) return done(failed(error));
        steward::asked fresh;
        fresh.what = steward::asked::state::pending;
        fresh.id = id;
        fresh.until = until;
        done(std::move(fresh));
    };
    open(std::move(h), wait, opened, nullptr);
}

void hold_desk::present(policy::hold_id id, policy::session_id session,
                        const policy::principal& who, const std::string& target,
                        const steward::on_asked& done) {
    const auto now = core_.now();
    std::optional<policy::hold> h;
    if (!core_.stored([&] { h = core_.db().get_hold(id); }))
        return done(failed("the state cannot be read; try again"));
    // Whose it is, is nobody else's business.
    if (!h || h->person != who.name || h->target != target || !h->ahead())
        return done(failed("there is no " + name_of(id) + " of " + who.name + " on " + target));
    steward::asked a;
    a.id = id;
    const auto ready = ready_.find(id);
    if (ready == ready_.end()) {
        a.what = h->state == hold_state::pending  ? steward::asked::state::pending
                 : h->state == hold_state::denied ? steward::asked::state::denied
                                                  : steward::asked::state::failed;
        a.until = h->expires_at;
        a.text = h->state == hold_state::denied ? h->ended_reason
                 : h->state == hold_state::approved
                     ? name_of(id) + " was taken already, or its time is over"
                     : name_of(id) + " is " + policy::to_string(h->state);
        for (const auto& v : h->votes)
            if (!v.approve) a.decided_by = v.person;
        return done(std::move(a));
    }
    a.what = steward::asked::state::ready;
    a.until = ready->second.until;
    if (h->kind == hold_kind::statement) return done(std::move(a));
    // The rule of now may let it last shorter.
    const auto* spec = hold_spec_now(core_.rules(), h->rule);
    const auto lasts = spec ? intersect(h->pass, spec->pass).session : std::nullopt;
    a.pass = take_ready(id, session, pass_scope::session, now + lasts.value_or(statement_pass_ms));
    if (!a.pass) return done(failed("the state cannot be written"));
    add_pass(*a.pass);
    publish_();
    done(std::move(a));
}

// escalation --------------------------------------------------------------------------------

void hold_desk::plan_escalation(const policy::hold& h) {
    if (h.escalate && !h.escalated) escalations_.emplace(h.opened_at + h.escalate->after, h.id);
}

void hold_desk::ask_next(live_hold& l, const std::string& by) {
    auto& h = l.h;
    if (!h.escalate || h.escalated) return;
    escalations_.erase({h.opened_at + h.escalate->after, h.id});
    h.escalated = true;
    const auto add = [](std::vector<std::string>& to, const std::vector<std::string>& more) {
        for (const auto& name : more)
            if (std::find(to.begin(), to.end(), name) == to.end()) to.push_back(name);
    };
    add(h.who.users, h.escalate->to.users);
    add(h.who.groups, h.escalate->to.groups);
    add(h.who.services, h.escalate->to.services);
    auto r = hold_record("hold.escalated", h, core_.now());
    if (!by.empty()) r.with("escalated_by", by);
    core_.record(std::move(r));
    auto told = hold_notice(policy::notice_event::escalated, h, core_.now());
    told.by = by;
    told.note = by.empty() ? "nobody has decided, so the next approvers are asked"
                           : by + " asks the next approvers";
    core_.tell(told);
    core_.tell_change("hold", h.id.value, "escalated");
}

void hold_desk::escalate(policy::hold_id id, const policy::principal& who, bool is_admin,
                         const steward::on_answer& done) {
    const auto found = live_.find(id);
    if (found == live_.end() || found->second.at != phase::open) return done(missing(id));
    auto& l = found->second;
    const bool may =
        is_admin || who.name == l.h.person || policy::check_voter(l.h.who, who, l.h.person).empty();
    if (!may)
        return done(
            {verdict::forbidden,
             "only " + l.h.person + ", the approvers and admins may escalate " + name_of(id),
             id.value});
    if (!l.h.escalate)
        return done(
            {verdict::invalid, "rule " + l.h.rule + " names nobody to escalate to", id.value});
    if (l.h.escalated)
        return done({verdict::conflict, name_of(id) + " is escalated already", id.value});
    ask_next(l, who.name);
    done({verdict::done, name_of(id) + " is escalated", id.value});
}

// reassignment ------------------------------------------------------------------------------

void hold_desk::reassign(const steward::hold_reassign& r, const steward::on_answer& done) {
    const auto found = live_.find(r.id);
    if (found == live_.end() || found->second.at != phase::open) return done(missing(r.id));
    auto& l = found->second;
    const auto name = name_of(r.id);
    const auto refuse = [&](verdict what, const std::string& why) {
        done({what, why, r.id.value});
    };
    // Also an admin does not choose who decides her own request.
    const bool own = r.who.name.empty() || r.who.name == l.h.person;
    if (own || (!r.is_admin && !check_approver(l, r.who).empty()))
        return refuse(verdict::forbidden, "only the approvers of " + name +
                                              " and admins may reassign it, and " + l.h.person +
                                              " may not");
    if (const auto why = check_approver(l, r.to); !why.empty())
        return refuse(verdict::invalid,
                      name + " cannot be reassigned to " + r.to.name + ": " + why);
    if (policy::is_blank(r.reason) || r.reason.size() > reason_bytes_max)
        return refuse(verdict::invalid, "say why it is reassigned, in " +
                                            std::to_string(reason_bytes_max) + " bytes at most");
    if (l.h.assigned.to == r.to.name)
        return refuse(verdict::conflict, name + " is the task of " + r.to.name + " already");
    policy::hold::assignment a{r.to.name, r.who.name, r.reason, core_.now()};
    auto told = hold_notice(policy::notice_event::reassigned, l.h, a.at);
    told.by = a.by;
    told.asked = a.to;
    told.to_users = {a.to};
    told.to_groups.clear();
    told.note = a.reason;
    bool stored = false;
    if (!core_.stored_and_told([&] {
            stored = core_.db().assign_hold(r.id, a);
            if (stored) core_.tell(told);
        }))
        return refuse(verdict::unavailable, name + " stays as it is: the state cannot be written");
    if (!stored) return done(missing(r.id));
    l.h.assigned = std::move(a);
    auto record = hold_record("hold.reassigned", l.h, l.h.assigned.at);
    record.with("assigned_to", r.to.name).with("assigned_by", r.who.name);
    record.with("assigned_reason", r.reason).with("surface", r.surface.substr(0, 64));
    core_.tell_change("hold", r.id.value, "reassigned");
    core_.record(std::move(record), [name, to = r.to.name, id = r.id,
                                     done](std::unique_ptr<audit::receipt> receipt) {
        auto text = name + " is the task of " + to + " now; others may still decide it";
        if (!receipt) text += "; the audit log cannot be written at the moment";
        done({verdict::done, text, id.value});
    });
}

void hold_desk::run_due_ahead(policy::instant now) {
    while (!escalations_.empty() && escalations_.begin()->first <= now) {
        const auto id = escalations_.begin()->second;
        escalations_.erase(escalations_.begin());
        if (const auto found = live_.find(id);
            found != live_.end() && found->second.at != phase::deciding)
            ask_next(found->second, "");
    }
    while (!ready_ends_.empty() && ready_ends_.begin()->first <= now) {
        const auto id = ready_ends_.begin()->second;
        auto r = hold_record("hold.not_taken", ready_.at(id).h, now);
        core_.record(std::move(r));
        drop_ready(id);
        core_.tell_change("hold", id.value, "not_taken");
    }
}

}  // namespace sallyport::proxy::approval
