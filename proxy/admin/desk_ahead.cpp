#include <algorithm>
#include <utility>

#include "policy/sha256.h"
#include "proxy/admin/desk.h"
#include "proxy/admin/text.h"

/// Holds asked for ahead of the session that needs them, and their escalation.
namespace sallyport::proxy::admin {

using approval::answer;
using approval::verdict;

namespace {

constexpr policy::milliseconds ahead_max = std::chrono::hours(24);

answer refuse(verdict what, std::string text) {
    return {.what = what, .text = std::move(text), .id = 0};
}

/// What waits for approval then, as the rule of now would hold it.
policy::hold made_of(const actor& a, const hold_wish& w, const explained& e) {
    policy::hold h;
    h.kind = e.session ? policy::hold_kind::session : policy::hold_kind::statement;
    h.person = a.who.name;
    h.person_groups = a.who.groups;
    h.target = w.target;
    h.rule = e.rule;
    if (!e.session) {
        h.statement = w.sql;
        h.redacted = e.text;
        h.statement_sha256 = policy::sha256_hex(w.sql);
        h.shape = e.shape;
    }
    // As the gate says it of one that a session waits for.
    if (e.session)
        h.touches.push_back("open a session on " + w.target);
    else
        h.touches = e.touches;
    h.reason = w.reason;
    h.address = a.address;
    h.application = w.application;
    h.who = e.hold->who;
    h.pass = e.hold->pass;
    h.escalate = e.hold->escalate;
    h.policy_hash = e.policy_hash;
    return h;
}

answer told(const approval::steward::asked& a) {
    using state = approval::steward::asked::state;
    const auto name = "hold " + std::to_string(a.id.value);
    const auto until = iso_time(a.until);
    switch (a.what) {
        case state::pending:
            return {
                verdict::done,
                name + " waits for approval until " + until +
                    "; a session presents it with -c sallyport.hold=" + std::to_string(a.id.value),
                a.id.value};
        case state::ready:
            return {verdict::done, name + " is approved already; it can be taken until " + until,
                    a.id.value};
        case state::denied:
            return {verdict::conflict,
                    name + " asked the same, and " + a.decided_by + " has just denied it" +
                        (a.text.empty() ? "" : ": " + a.text),
                    a.id.value};
        case state::failed:
            break;
    }
    return {verdict::unavailable, a.text, 0};
}

}  // namespace

void desk::request_hold(const actor& a, const hold_wish& w, on_answer done) {
    done = recorded(a, "hold.request", 0, w.reason, std::move(done));
    if (auto may = permit(action::request_hold, a); may.what != verdict::done)
        return done(std::move(may));
    if (blank(w.reason))
        return done(refuse(verdict::invalid, "A reason is needed: the approvers read it."));
    if (w.wait && (*w.wait <= policy::milliseconds(0) || *w.wait > ahead_max))
        return done(refuse(verdict::invalid,
                           "\"for\" is at most 24h: how long it can be decided, "
                           "and then taken."));
    explain_question q;
    q.target = w.target;
    q.sql = w.sql;
    q.application = w.application;
    q.address = a.address;
    auto [may, e] = explain(a, std::move(q));
    if (may.what != verdict::done) return done(std::move(may));
    if (e.effect != policy::effect::hold)
        return done(refuse(verdict::conflict, "Nothing holds this: rule " + e.rule + " would " +
                                                  policy::to_string(e.effect) + " it now."));
    if (!e.hold)
        return done(refuse(verdict::forbidden, "Rule " + e.rule + " names nobody who approves."));
    if (e.session && !e.hold->pass.session)
        return done(refuse(verdict::invalid, "Rule " + e.rule +
                                                 " offers no pass for a session, so nothing can "
                                                 "be approved ahead of one."));
    d_.approval.ask_hold(made_of(a, w, e), w.wait.value_or(e.hold->wait),
                         [done](const approval::steward::asked& asked) { done(told(asked)); });
}

void desk::escalate(actor a, policy::hold_id id, on_answer done) {
    done = recorded(a, "hold.escalate", id.value, {}, std::move(done));
    if (auto may = permit(action::escalate_hold, a); may.what != verdict::done)
        return done(std::move(may));
    hold(a, id, [self = shared_from_this(), a, id, done](listing<policy::hold> found) {
        if (found.answer.what != verdict::done) return done(std::move(found.answer));
        self->d_.approval.escalate(id, a.who, a.role.admin, done);
    });
}

void desk::reassign(actor a, policy::hold_id id, assignment_wish w, on_answer done) {
    done = recorded(a, "hold.reassign", id.value, "to " + w.to + ": " + w.reason, std::move(done));
    if (auto may = permit(action::reassign_hold, a); may.what != verdict::done)
        return done(std::move(may));
    auto looking = a;
    looking.scopes.reset();
    hold(looking, id,
         [self = shared_from_this(), a, id, w = std::move(w), done](listing<policy::hold> found) {
             if (found.answer.what != verdict::done) return done(std::move(found.answer));
             auto to = self->d_.find_user(w.to);
             if (!to)
                 return done(refuse(verdict::invalid,
                                    "There is no user \"" + w.to + "\" who could decide it."));
             self->d_.approval.reassign(
                 {id, a.who, std::move(*to), w.reason, a.surface, a.role.admin}, done);
         });
}

}  // namespace sallyport::proxy::admin
