#include "proxy/admin/desk.h"

#include <algorithm>

#include "proxy/admin/text.h"

namespace sallyport::proxy::admin {
namespace {

using approval::answer;
using approval::verdict;

answer ok() {
    return {.what = verdict::done, .text = {}, .id = 0};
}

answer refuse(verdict v, std::string text) {
    return {.what = v, .text = std::move(text), .id = 0};
}

answer check_reason(std::string_view reason, bool needed) {
    if (needed && blank(reason))
        return refuse(verdict::invalid,
                      "A reason is needed, in words that others will read later.");
    auto why = check_text("reason", reason, reason_bytes_max);
    return why.empty() ? ok() : refuse(verdict::invalid, std::move(why));
}

answer no_hold(policy::hold_id id) {
    return refuse(verdict::not_found,
                  "There is no hold " + std::to_string(id.value) + " that you can see.");
}

answer no_opt_out(policy::opt_out_id id) {
    return refuse(verdict::not_found,
                  "There is no opt-out " + std::to_string(id.value) + " that you can see.");
}

void hide_unreadable(const actor& a, policy::hold& h) {
    if (may_read_statement(a, h)) return;
    h.statement.clear();
    h.parameters.clear();
    h.variants.clear();
}

const char* name(verdict v) {
    switch (v) {
        case verdict::done:
            return "done";
        case verdict::counted:
            return "counted";
        case verdict::not_found:
            return "not found";
        case verdict::forbidden:
            return "forbidden";
        case verdict::conflict:
            return "conflict";
        case verdict::invalid:
            return "invalid";
        case verdict::unavailable:
            return "unavailable";
    }
    return "unknown";
}

answer check_ballot(const hold_ballot& b) {
    auto reason = check_reason(b.reason, !b.approve);
    if (reason.what != verdict::done) return reason;
    if (!b.for_) return ok();
    if (!b.approve) return refuse(verdict::invalid, "A denial has no duration.");
    if (b.scope == policy::pass_scope::statement)
        return refuse(verdict::invalid,
                      "A duration needs a pass that lasts: shape, transaction or session.");
    if (*b.for_ <= policy::milliseconds::zero())
        return refuse(verdict::invalid, "The duration must be longer than nothing.");
    return ok();
}

answer check_wish(const opt_out_wish& w) {
    if (w.rule.empty()) return refuse(verdict::invalid, "An opt-out needs the rule it is from.");
    for (const auto& [what, text, bytes] : {std::tuple{"rule", &w.rule, name_bytes_max},
                                            std::tuple{"target", &w.target, name_bytes_max},
                                            std::tuple{"ticket", &w.ticket, ticket_bytes_max}}) {
        auto why = check_text(what, *text, bytes);
        if (!why.empty()) return refuse(verdict::invalid, std::move(why));
    }
    if (w.duration <= policy::milliseconds::zero())
        return refuse(verdict::invalid, "An opt-out needs a duration, such as 2h.");
    return check_reason(w.reason, true);
}

/// What a token may be used for is checked at the door; what it looks up on the way is not a second
/// use of it.
actor unscoped(actor a) {
    a.scopes.reset();
    return a;
}

}  // namespace

desk::desk(dependencies d) : d_(std::move(d)) {}

answer desk::permit(action what, const actor& a) const {
    if (a.who.name.empty()) return refuse(verdict::forbidden, "Nobody is logged in.");
    auto why = check_action(what, a);
    if (why.empty() && d_.approval.grants) why = check_locks(what, a, *d_.approval.grants(), now());
    return why.empty() ? ok() : refuse(verdict::forbidden, std::move(why));
}

void desk::record(audit::record r) const {
    if (!d_.record) return;
    r.at = now();
    d_.record(std::move(r));
}

void desk::record_action(const actor& a, const std::string& what, std::uint64_t id,
                         const std::string& reason, const answer& outcome) const {
    audit::record r;
    r.event = "admin.action";
    r.with("user", a.who.name)
        .with("address", a.address)
        .with("surface", a.surface)
        .with("action", what)
        .with("outcome", name(outcome.what));
    if (a.token != 0) r.with("token", std::to_string(a.token));
    if (a.by == proof::jwt) r.with("proof", "jwt");
    const auto subject = id != 0 ? id : outcome.id;
    if (subject != 0) r.with("id", std::to_string(subject));
    if (!reason.empty()) r.with("reason", reason.substr(0, reason_bytes_max));
    if (!outcome.text.empty()) r.with("text", outcome.text);
    record(std::move(r));
}

desk::on_answer desk::recorded(const actor& a, std::string what, std::uint64_t id,
                               std::string reason, on_answer done) {
    return [self = shared_from_this(), a, what = std::move(what), id, reason = std::move(reason),
            done = std::move(done)](answer outcome) {
        self->record_action(a, what, id, reason, outcome);
        if (outcome.id == 0) outcome.id = id;
        done(std::move(outcome));
    };
}

void desk::holds(actor a, std::optional<policy::hold_state> state,
                 std::function<void(listing<policy::hold>)> done) {
    if (auto may = permit(action::see_holds, a); may.what != verdict::done)
        return done({std::move(may), {}});
    d_.approval.list_holds(
        state, [a = std::move(a), done = std::move(done)](std::vector<policy::hold> all) {
            std::erase_if(all, [&](const policy::hold& h) { return !may_see(a, h); });
            for (auto& h : all)
                hide_unreadable(a, h);
            done({ok(), std::move(all)});
        });
}

void desk::hold(actor a, policy::hold_id id, std::function<void(listing<policy::hold>)> done) {
    if (auto may = permit(action::see_holds, a); may.what != verdict::done)
        return done({std::move(may), {}});
    d_.approval.get_hold(
        id, [a = std::move(a), id, done = std::move(done)](std::optional<policy::hold> found) {
            if (!found || !may_see(a, *found)) return done({no_hold(id), {}});
            hide_unreadable(a, *found);
            done({ok(), {std::move(*found)}});
        });
}

void desk::vote(actor a, policy::hold_id id, hold_ballot b, on_answer done) {
    done =
        recorded(a, b.approve ? "hold.approve" : "hold.deny", id.value, b.reason, std::move(done));
    auto may = permit(action::vote_hold, a);
    if (may.what == verdict::done) may = check_ballot(b);
    if (may.what != verdict::done) return done(std::move(may));
    hold(unscoped(a), id,
         [self = shared_from_this(), a, b = std::move(b), done](listing<policy::hold> found) {
             if (found.answer.what != verdict::done) return done(std::move(found.answer));
             const auto& h = found.items.front();
             auto why = policy::check_voter(h.who, a.who, h.person);
             if (why.empty()) why = check_maker(a, h.person);
             if (!why.empty()) return done(refuse(verdict::forbidden, std::move(why)));
             self->d_.approval.vote_hold({.id = h.id,
                                          .who = a.who,
                                          .approve = b.approve,
                                          .reason = b.reason,
                                          .scope = b.scope,
                                          .for_ = b.for_,
                                          .surface = a.surface},
                                         done);
         });
}

void desk::opt_outs(actor a, std::optional<policy::opt_out_state> state,
                    std::function<void(listing<policy::opt_out>)> done) {
    if (auto may = permit(action::see_opt_outs, a); may.what != verdict::done)
        return done({std::move(may), {}});
    d_.approval.list_opt_outs(state, [a = std::move(a), rules = rules(),
                                      done = std::move(done)](std::vector<policy::opt_out> all) {
        std::erase_if(all, [&](const policy::opt_out& o) { return !may_see(a, o, rules.get()); });
        done({ok(), std::move(all)});
    });
}

void desk::opt_out(actor a, policy::opt_out_id id,
                   std::function<void(listing<policy::opt_out>)> done) {
    if (auto may = permit(action::see_opt_outs, a); may.what != verdict::done)
        return done({std::move(may), {}});
    d_.approval.get_opt_out(id, [a = std::move(a), id, rules = rules(),
                                 done = std::move(done)](std::optional<policy::opt_out> found) {
        if (!found || !may_see(a, *found, rules.get())) return done({no_opt_out(id), {}});
        done({ok(), {std::move(*found)}});
    });
}

void desk::request(actor a, opt_out_wish w, on_answer done) {
    const bool glass = w.kind == policy::opt_out_kind::break_glass;
    done = recorded(a, glass ? "opt_out.break_glass" : "opt_out.request", 0, w.reason,
                    std::move(done));
    auto may = permit(action::request_opt_out, a);
    if (may.what == verdict::done) may = check_wish(w);
    if (may.what != verdict::done) return done(std::move(may));
    d_.approval.request_opt_out({.person = a.who,
                                 .rule = std::move(w.rule),
                                 .duration = w.duration,
                                 .reason = std::move(w.reason),
                                 .ticket = std::move(w.ticket),
                                 .target = std::move(w.target),
                                 .kind = w.kind,
                                 .group = std::move(w.group),
                                 .scope = std::move(w.scope),
                                 .starts_at = w.starts_at.value_or(policy::instant{}),
                                 .extends = {}},
                                a.surface, std::move(done));
}

void desk::extend(actor a, policy::opt_out_id id, extension_wish w, on_answer done) {
    done = recorded(a, "opt_out.extend", id.value, w.reason, std::move(done));
    auto may = permit(action::request_opt_out, a);
    if (may.what == verdict::done) may = check_reason(w.reason, true);
    if (may.what != verdict::done) return done(std::move(may));
    opt_out(unscoped(a), id,
            [self = shared_from_this(), a, w = std::move(w), done](listing<policy::opt_out> found) {
                if (found.answer.what != verdict::done) return done(std::move(found.answer));
                const auto& o = found.items.front();
                self->d_.approval.request_opt_out({.person = a.who,
                                                   .rule = o.rule,
                                                   .duration = w.duration,
                                                   .reason = w.reason,
                                                   .ticket = w.ticket.empty() ? o.ticket : w.ticket,
                                                   .target = o.target,
                                                   .kind = policy::opt_out_kind::request,
                                                   .group = o.group,
                                                   .scope = o.scope,
                                                   .starts_at = {},
                                                   .extends = o.id},
                                                  a.surface, done);
            });
}

void desk::vote(actor a, policy::opt_out_id id, bool approve, std::string reason, on_answer done) {
    done = recorded(a, approve ? "opt_out.approve" : "opt_out.deny", id.value, reason,
                    std::move(done));
    auto may = permit(action::vote_opt_out, a);
    if (may.what == verdict::done) may = check_reason(reason, !approve);
    if (may.what != verdict::done) return done(std::move(may));
    opt_out(unscoped(a), id,
            [self = shared_from_this(), a, approve, reason = std::move(reason),
             done](listing<policy::opt_out> found) {
                if (found.answer.what != verdict::done) return done(std::move(found.answer));
                if (auto why = check_maker(a, found.items.front().requested_by); !why.empty())
                    return done(refuse(verdict::forbidden, std::move(why)));
                self->d_.approval.vote_opt_out({.id = found.items.front().id,
                                                .who = a.who,
                                                .approve = approve,
                                                .reason = reason,
                                                .surface = a.surface},
                                               done);
            });
}

void desk::revoke(actor a, policy::opt_out_id id, std::string reason, on_answer done) {
    done = recorded(a, "opt_out.revoke", id.value, reason, std::move(done));
    auto may = permit(action::revoke_opt_out, a);
    if (may.what == verdict::done) may = check_reason(reason, true);
    if (may.what != verdict::done) return done(std::move(may));
    opt_out(unscoped(a), id,
            [self = shared_from_this(), a, reason = std::move(reason),
             done](listing<policy::opt_out> found) {
                if (found.answer.what != verdict::done) return done(std::move(found.answer));
                self->d_.approval.revoke_opt_out({.id = found.items.front().id,
                                                  .who = a.who,
                                                  .reason = reason,
                                                  .surface = a.surface,
                                                  .is_admin = a.role.admin},
                                                 done);
            });
}

void desk::sessions(actor a, std::function<void(listing<session_info>)> done) {
    if (auto may = permit(action::see_sessions, a); may.what != verdict::done)
        return done({std::move(may), {}});
    if (d_.sessions == nullptr) return done({ok(), {}});
    d_.sessions->list([done = std::move(done)](std::vector<session_info> all) {
        std::sort(all.begin(), all.end(),
                  [](const session_info& x, const session_info& y) { return x.id < y.id; });
        done({ok(), std::move(all)});
    });
}

void desk::kill(actor a, policy::session_id id, std::string reason, on_answer done) {
    done = recorded(a, "session.kill", id.value, reason, std::move(done));
    auto may = permit(action::kill_session, a);
    if (may.what == verdict::done) may = check_reason(reason, true);
    if (may.what != verdict::done) return done(std::move(may));
    const auto missing =
        refuse(verdict::not_found, "There is no session " + std::to_string(id.value) + ".");
    if (d_.sessions == nullptr) return done(missing);
    d_.sessions->kill(id, a.who.name, std::move(reason), [done, id, missing](bool found) {
        if (!found) return done(missing);
        done({.what = verdict::done,
              .text = "Session " + std::to_string(id.value) + " was ended.",
              .id = id.value});
    });
}

void desk::stats(actor a, std::function<void(answer, statistics)> done) {
    if (auto may = permit(action::see_stats, a); may.what != verdict::done)
        return done(std::move(may), {});
    d_.approval.list_holds(policy::hold_state::pending, [self = shared_from_this(), a,
                                                         done](std::vector<policy::hold> pending) {
        statistics s;
        s.holds_pending = pending.size();
        s.healthy = self->d_.approval.healthy();
        self->d_.approval.list_opt_outs(
            std::nullopt, [self, a, done, s](std::vector<policy::opt_out> all) mutable {
                const auto at = self->now();
                for (const auto& o : all) {
                    if (o.state == policy::opt_out_state::requested) ++s.opt_outs_requested;
                    if (o.live_at(at)) ++s.opt_outs_live;
                }
                self->sessions(a, [done, s](listing<session_info> live) mutable {
                    s.sessions = live.items.size();
                    done(std::move(live.answer), s);
                });
            });
    });
}

std::pair<answer, reload_answer> desk::reload(const actor& a) {
    auto may = permit(action::reload, a);
    reload_answer result;
    if (may.what == verdict::done) {
        if (d_.reload) result = d_.reload();
        may = result.done
                  ? answer{.what = verdict::done, .text = "The policy was read again.", .id = 0}
                  : refuse(verdict::invalid, "Nothing was changed: the files have faults.");
    }
    record_action(a, "reload", 0, {}, may);
    return {std::move(may), std::move(result)};
}

std::pair<answer, explained> desk::explain(const actor& a, explain_question q) {
    const bool self = q.user.empty() || q.user == a.who.name;
    // Groups that are given could be invented; what would happen to other groups is for other eyes.
    const bool other = !self || !q.groups.empty();
    auto may = permit(other ? action::explain_other : action::explain_self, a);
    if (may.what != verdict::done) return {std::move(may), {}};
    if (!d_.explain) return {refuse(verdict::unavailable, "Explain is not available."), {}};
    if (self) {
        q.user = a.who.name;
        if (q.groups.empty()) q.groups = a.who.groups;
    }
    q.sees_all = a.role.admin || a.role.auditor;
    auto result = d_.explain(q);
    if (!result.error.empty()) return {refuse(verdict::invalid, result.error), {}};
    return {ok(), std::move(result)};
}

listing<audit::parsed_line> desk::audit(const actor& a, const audit::query& q, std::size_t limit,
                                        std::uint64_t before) {
    auto may = permit(action::see_audit, a);
    if (may.what != verdict::done) return {std::move(may), {}};
    return read_log(q, limit, before);
}

listing<audit::parsed_line> desk::uses(policy::opt_out_id id, std::uint64_t before) {
    constexpr std::size_t listed_max = 200;
    audit::query q;
    q.event = "bypass";
    q.opt_out = std::to_string(id.value);
    return read_log(q, listed_max, before);
}

listing<audit::parsed_line> desk::read_log(const audit::query& q, std::size_t limit,
                                           std::uint64_t before) {
    if (!d_.read_audit) return {refuse(verdict::unavailable, "The log cannot be read here."), {}};
    try {
        return {ok(), d_.read_audit(q, limit, before)};
    } catch (const std::exception& e) {
        return {refuse(verdict::unavailable, e.what()), {}};
    }
}

}  // namespace sallyport::proxy::admin
