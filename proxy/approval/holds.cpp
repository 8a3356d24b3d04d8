#include "proxy/approval/holds.h"

#include <algorithm>
#include <utility>

#include "proxy/approval/notices.h"
#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

using policy::hold_state;

constexpr std::size_t pending_max = 10'000;
constexpr int pending_per_person_max = 250;  // a pool of 200 connections fits
constexpr std::size_t listed_max = 500;
constexpr std::size_t variants_max = 100;
constexpr const char* store_cannot = "the state cannot be written";
constexpr const char* audit_cannot = "audit not writable";

policy::notice ended_notice(const policy::hold& h, const std::string& why, policy::instant at) {
    auto n = hold_notice(event_of(h.state), h, at);
    n.note = why;
    return n;
}

}  // namespace

std::string hold_desk::request_key(const policy::hold& h) {
    std::string key = policy::to_string(h.kind);
    const auto add = [&](const std::string& text) {
        key += std::to_string(text.size()) + ":" + text;
    };
    for (const auto* text : {&h.person, &h.target, &h.application, &h.rule, &h.policy_hash})
        add(*text);
    if (!h.shape.empty()) {
        add(h.shape);
        return key;
    }
    add(h.statement_sha256);
    for (const auto& p : h.parameters)
        add(p);
    return key;
}

hold_desk::hold_desk(core& c) : core_(c) {
    c.attach(*this);
}

// start -------------------------------------------------------------------------------------

void hold_desk::recover() {
    const auto now = core_.now();
    std::vector<policy::hold> orphans;
    core_.db().atomically(
        [&] { orphans = core_.db().withdraw_orphans(now, "the proxy was restarted"); });
    for (const auto& h : orphans) {
        core_.tell(ended_notice(h, h.ended_reason, now));
        auto r = hold_record("hold.withdrawn", h, now);
        r.with("ended_reason", h.ended_reason);
        core_.record(std::move(r));
    }
    core_.db().end_bound_passes(now);
    unrecorded_ = core_.db().list_passes(now);
    recheck();
    recover_ahead();
}

void hold_desk::resume(const std::function<void()>& done) {
    resuming_ = unrecorded_.size();
    if (resuming_ == 0) return done();
    for (const auto& p : unrecorded_)
        core_.record(pass_record("pass.resumed", p, core_.now()),
                     [this, p, done](std::unique_ptr<audit::receipt> receipt) {
                         // None: the rules changed while its record was written.
                         const bool waits =
                             receipt && std::erase_if(unrecorded_, [&](const policy::pass& u) {
                                            return u.id == p.id;
                                        }) > 0;
                         if (waits && p.live_at(core_.now())) add_pass(p);
                         if (--resuming_ > 0) return;
                         publish_();
                         done();
                     });
}

// opening -----------------------------------------------------------------------------------

std::string hold_desk::refuse_to_open(const policy::hold& h) const {
    if (closed_) return "the proxy is stopping";
    if (h.person.empty() || h.rule.empty()) return "a hold needs a person and a rule";
    if (live_.size() >= pending_max)
        return std::string(too_many_holds) + " wait already (" + std::to_string(pending_max) + ")";
    const auto of_person = pending_of_person_.find(h.person);
    if (of_person != pending_of_person_.end() && of_person->second >= pending_per_person_max)
        return std::string(too_many_holds) + " of " + h.person + " wait already (" +
               std::to_string(pending_per_person_max) + ")";
    return {};
}

void hold_desk::open(policy::hold h, policy::milliseconds wait, const steward::on_opened& opened_f,
                     steward::on_outcome outcome) {
    if (const auto why = refuse_to_open(h); !why.empty()) return opened_f({}, why, {});
    if (const auto id = h.ahead() ? policy::hold_id{} : ahead_of(h); ready_.contains(id)) {
        const auto by = approvers_of(ready_.at(id).h.votes);
        auto pass = take_ready(id, h.session, policy::pass_scope::statement,
                               core_.now() + statement_pass_ms);
        if (!pass) return opened_f({}, store_cannot, {});
        opened_f(id, {}, core_.now());
        return outcome({id, hold_state::approved, "", by, std::move(pass)});
    }
    if (auto* l = h.ahead() ? nullptr : same_request(h, wait))
        return join(*l, std::move(h), wait, opened_f, std::move(outcome));
    h.state = hold_state::pending;
    h.opened_at = core_.now();
    h.expires_at = h.opened_at + std::max(wait, policy::milliseconds(0));
    h.ended_at = {};
    h.votes.clear();
    h.who.approvals = std::max(h.who.approvals, 1);
    if (!core_.stored_and_told([&] {
            h.id = core_.db().add_hold(h);
            core_.tell(hold_notice(policy::notice_event::requested, h, h.opened_at));
        }))
        return opened_f({}, store_cannot, {});
    const auto id = h.id;
    auto r = hold_record("hold.opened", h, h.opened_at);
    count_waiters(h.person, 1);
    note_request(h);
    plan_escalation(h);
    std::vector<waiter> waiters{{h.session, std::move(outcome)}};
    live_.emplace(id, live_hold{std::move(h), std::move(waiters), phase::opening, {}, {}});
    count_live();
    core_.record(std::move(r), [this, id, opened_f](std::unique_ptr<audit::receipt> receipt) {
        opened(id, receipt != nullptr, opened_f);
    });
}

hold_desk::live_hold* hold_desk::same_request(const policy::hold& h, policy::milliseconds wait) {
    const auto found = by_request_.find(request_key(h));
    if (found == by_request_.end()) return nullptr;
    auto& l = live_.at(found->second);
    // One that is about to expire would be no chance.
    const bool time_enough = l.h.expires_at - core_.now() >= wait / 2;
    return l.at != phase::deciding && time_enough ? &l : nullptr;
}

/// On record before it is counted: each statement that an approval releases is in the log.
void hold_desk::join(live_hold& l, policy::hold h, policy::milliseconds wait,
                     const steward::on_opened& opened_f, steward::on_outcome outcome) {
    h.id = l.h.id;
    h.expires_at = l.h.expires_at;
    auto r = hold_record("hold.joined", h, core_.now());
    r.with("statement", h.redacted);
    core_.record(std::move(r), [this, h = std::move(h), wait, opened_f,
                                outcome = std::move(outcome)](
                                   std::unique_ptr<audit::receipt> receipt) mutable {
        if (!receipt) return opened_f({}, audit_cannot, {});
        const auto found = live_.find(h.id);
        if (found == live_.end() || found->second.at == phase::deciding)
            return open(std::move(h), wait, opened_f, std::move(outcome));
        auto& joined = found->second;
        const policy::hold::variant text{h.statement, h.parameters};
        auto& known = joined.h.variants;
        const bool same = text == policy::hold::variant{joined.h.statement, joined.h.parameters};
        if (!same && known.size() < variants_max &&
            std::find(known.begin(), known.end(), text) == known.end())
            known.push_back(text);
        joined.waiters.push_back({h.session, std::move(outcome)});
        count_waiters(h.person, 1);
        opened_f(h.id, {}, joined.h.expires_at);
        core_.tell_change("hold", h.id.value, policy::to_string(hold_state::pending));
    });
}

void hold_desk::count_live() {
    core_.counts.holds_waiting.store(live_.size(), std::memory_order_relaxed);
    // Numbers ascend: the first is the oldest.
    const auto oldest =
        live_.empty() ? 0 : live_.begin()->second.h.opened_at.time_since_epoch().count();
    core_.counts.oldest_opened_at.store(oldest, std::memory_order_relaxed);
}

void hold_desk::count_waiters(const std::string& person, std::ptrdiff_t more) {
    auto& n = pending_of_person_[person];
    n += more;
    if (n <= 0) pending_of_person_.erase(person);
}

void hold_desk::opened(policy::hold_id id, bool recorded, const steward::on_opened& tell) {
    auto& l = live_.at(id);
    if (!recorded) {
        // Who was told that it could not be opened waits for nothing.
        l.waiters.front().outcome = nullptr;
        end(id, hold_state::withdrawn, audit_cannot);
        return tell({}, audit_cannot, {});
    }
    l.at = phase::open;
    deadlines_.emplace(l.h.expires_at, id);
    tell(id, {}, l.h.expires_at);
    core_.tell_change("hold", id.value, policy::to_string(hold_state::pending));
    if (closed_) end(id, hold_state::withdrawn, "the proxy is stopping");
}

// ending ------------------------------------------------------------------------------------

void hold_desk::finish(policy::hold_id id, hold_outcome outcome) {
    auto node = live_.extract(id);
    auto& l = node.mapped();
    count_live();
    core_.counts.ended(outcome.state).add();
    if (outcome.state == hold_state::approved || outcome.state == hold_state::denied)
        core_.counts.time_to_decision.observe(core_.now() - l.h.opened_at);
    deadlines_.erase({l.h.expires_at, id});
    count_waiters(l.h.person, -static_cast<std::ptrdiff_t>(l.waiters.size()));
    if (l.h.escalate) escalations_.erase({l.h.opened_at + l.h.escalate->after, id});
    if (const auto at = by_request_.find(request_key(l.h));
        at != by_request_.end() && at->second == id)
        by_request_.erase(at);
    if (l.h.ahead()) forget_ahead(l.h);
    for (const auto& w : l.waiters) {
        if (!w.outcome) continue;
        auto told = outcome;
        if (told.pass && told.pass->session != w.session) {
            // The others have what they asked for, and no more.
            if (told.pass->scope != policy::pass_scope::shape)
                told.pass->scope = policy::pass_scope::statement;
            told.pass->session = w.session;
        }
        w.outcome(std::move(told));
    }
    core_.tell_change("hold", id.value, policy::to_string(outcome.state));
}

bool hold_desk::settle(const unsettled_move& m) {
    return core_.stored_and_told([&] {
        if (core_.db().move_hold(m.id, hold_state::pending, m.to, m.reason, m.at, nullptr, nullptr))
            core_.tell(m.told);
    });
}

/// Expired or withdrawn: never waits for the disk, since it releases nothing.
void hold_desk::end(policy::hold_id id, hold_state to, const std::string& reason) {
    auto& l = live_.at(id);
    const auto at = core_.now();
    l.h.state = to;
    unsettled_move m{id, to, reason, at, ended_notice(l.h, reason, at)};
    if (!settle(m)) unsettled_.push_back(std::move(m));
    auto r = hold_record(to == hold_state::expired ? "hold.expired" : "hold.withdrawn", l.h, at);
    r.with("ended_reason", reason);
    core_.record(std::move(r));
    finish(id, {id, to, reason, "", std::nullopt});
}

void hold_desk::withdraw(policy::hold_id id, policy::session_id session, const std::string& why) {
    const auto found = live_.find(id);
    if (found != live_.end() && found->second.at == phase::open) leave(id, session, why);
}

/// One session waits no longer; the hold ends with the last one.
void hold_desk::leave(policy::hold_id id, policy::session_id session, const std::string& why) {
    auto& l = live_.at(id);
    const auto gone = std::partition(l.waiters.begin(), l.waiters.end(), [&](const waiter& w) {
        return session && w.session != session;
    });
    if (gone == l.waiters.begin()) return end(id, hold_state::withdrawn, why);
    const std::vector<waiter> left(gone, l.waiters.end());
    l.waiters.erase(gone, l.waiters.end());
    if (left.empty()) return;
    count_waiters(l.h.person, -static_cast<std::ptrdiff_t>(left.size()));
    auto r = hold_record("hold.left", l.h, core_.now());
    set_field(r, "session", std::to_string(session.value));
    r.with("ended_reason", why);
    core_.record(std::move(r));
    for (const auto& w : left)
        if (w.outcome) w.outcome({id, hold_state::withdrawn, why, "", std::nullopt});
    core_.tell_change("hold", id.value, policy::to_string(hold_state::pending));
}

void hold_desk::session_ended(policy::session_id id) {
    std::vector<policy::hold_id> left;
    for (const auto& [hold, l] : live_)
        if (l.at == phase::open && std::any_of(l.waiters.begin(), l.waiters.end(),
                                               [&](const waiter& w) { return w.session == id; }))
            left.push_back(hold);
    for (const auto hold : left)
        leave(hold, id, "the session ended");
    end_passes_of(id, false);
}

void hold_desk::close() {
    closed_ = true;
    std::vector<policy::hold_id> left;
    for (const auto& [id, l] : live_)
        if (l.at == phase::open && !l.h.ahead()) left.push_back(id);
    for (const auto id : left)
        end(id, hold_state::withdrawn, "the proxy is stopping");
}

// passes ------------------------------------------------------------------------------------

void hold_desk::add_pass(const policy::pass& p) {
    passes_.emplace(p.id, p);
    pass_ends_.emplace(p.until, p.id);
    for (const policy::milliseconds left : {std::chrono::minutes(5), std::chrono::minutes(1)})
        if (p.until - left > core_.now()) pass_warnings_.emplace(p.until - left, p.id);
}

void hold_desk::warn_of_ends(policy::instant now) {
    while (!pass_warnings_.empty() && pass_warnings_.begin()->first <= now) {
        const auto found = passes_.find(pass_warnings_.begin()->second);
        pass_warnings_.erase(pass_warnings_.begin());
        if (found == passes_.end() || now >= found->second.until) continue;
        const auto& p = found->second;
        for (const auto& f : core_.nearing)
            f({{}, p.session, p.rule, p.person, "", p.until - now});
    }
}

void hold_desk::end_transaction_passes(policy::session_id id) {
    end_passes_of(id, true);
}

void hold_desk::end_passes_of(policy::session_id id, bool only_transaction) {
    std::vector<policy::pass_id> ended;
    for (const auto& [pass, p] : passes_) {
        const bool bound = p.scope == policy::pass_scope::transaction ||
                           (p.scope == policy::pass_scope::session && !only_transaction);
        if (bound && p.session == id) ended.push_back(pass);
    }
    // Most sessions never had one: nothing is written for them.
    if (ended.empty()) return;
    const auto at = core_.now();
    const bool settled = core_.stored([&] {
        if (only_transaction)
            core_.db().end_transaction_passes(id, at);
        else
            core_.db().end_session_passes(id, at);
    });
    for (const auto pass : ended) {
        if (!settled) unsettled_passes_.push_back(pass);
        pass_ends_.erase({passes_.at(pass).until, pass});
        passes_.erase(pass);
    }
    publish_();
}

void hold_desk::recheck() {
    const auto now = core_.now();
    std::vector<std::pair<policy::pass, std::string>> over;
    const auto judge = [&](const policy::pass& p) {
        if (auto why = outside_bounds(core_.rules(), p, now); !why.empty())
            over.emplace_back(p, "policy changed: " + why);
    };
    for (const auto& [id, p] : passes_)
        judge(p);
    for (const auto& p : unrecorded_)
        judge(p);
    end_passes(over);
}

void hold_desk::flagged(const policy::flag& f) {
    std::vector<std::pair<policy::pass, std::string>> over;
    const auto judge = [&](const policy::pass& p) {
        const bool another = f.on == policy::flag_on::principal && f.subject != p.person;
        if (p.rule == policy::flag_rule_id && !another)
            over.emplace_back(p, "approved before flag " + std::to_string(f.id.value));
    };
    for (const auto& [id, p] : passes_)
        judge(p);
    for (const auto& p : unrecorded_)
        judge(p);
    end_passes(over);
}

void hold_desk::end_passes(const std::vector<std::pair<policy::pass, std::string>>& over) {
    if (over.empty()) return;
    const auto now = core_.now();
    for (const auto& [p, why] : over) {
        pass_ends_.erase({p.until, p.id});
        passes_.erase(p.id);
        std::erase_if(unrecorded_, [&](const policy::pass& u) { return u.id == p.id; });
    }
    // Out of the grants first: whatever the disk says, they let nothing through any more.
    publish_();
    for (const auto& [p, why] : over) {
        if (!core_.stored([&] { core_.db().end_pass(p.id, now); }))
            unsettled_passes_.push_back(p.id);
        auto r = pass_record("pass.ended", p, now);
        r.with("ended_reason", why);
        core_.record(std::move(r));
        tell_pass_ended(p);
    }
}

void hold_desk::tell_pass_ended(const policy::pass& p) const {
    for (const auto& f : core_.ended)
        f({{},
           p.rule,
           p.person,
           policy::opt_out_state::expired,
           policy::at_end::hold,
           {},
           nullptr});
}

std::vector<policy::pass> hold_desk::passes() const {
    std::vector<policy::pass> all;
    all.reserve(passes_.size());
    for (const auto& [id, p] : passes_)
        all.push_back(p);
    return all;
}

// time --------------------------------------------------------------------------------------

std::optional<policy::instant> hold_desk::next_deadline() const {
    std::optional<policy::instant> next;
    if (!deadlines_.empty()) next = deadlines_.begin()->first;
    for (const auto* ends : {&escalations_, &ready_ends_})
        if (!ends->empty() && (!next || ends->begin()->first < *next)) next = ends->begin()->first;
    for (const auto* ends : {&pass_ends_, &pass_warnings_})
        if (!ends->empty() && (!next || ends->begin()->first < *next)) next = ends->begin()->first;
    return next;
}

void hold_desk::run_due(policy::instant now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now)
        end(deadlines_.begin()->second, hold_state::expired, "nobody decided in time");
    warn_of_ends(now);
    run_due_ahead(now);
    std::vector<policy::pass> ended;
    while (!pass_ends_.empty() && pass_ends_.begin()->first <= now) {
        auto node = passes_.extract(pass_ends_.begin()->second);
        ended.push_back(std::move(node.mapped()));
        pass_ends_.erase(pass_ends_.begin());
    }
    if (ended.empty()) return;
    publish_();
    for (const auto& p : ended)
        tell_pass_ended(p);
}

bool hold_desk::retry_wanted() const {
    return !unsettled_.empty() || !unsettled_passes_.empty() || !unsettled_ahead_.empty() ||
           (!unrecorded_.empty() && resuming_ == 0);
}

void hold_desk::retry() {
    std::erase_if(unsettled_, [this](const unsettled_move& m) { return settle(m); });
    std::erase_if(unsettled_ahead_, [this](policy::pass& p) {
        return core_.stored([&] {
            core_.db().add_pass(p);
            core_.db().end_pass(p.id, core_.now());
        });
    });
    std::erase_if(unsettled_passes_, [this](policy::pass_id id) {
        return core_.stored([&] { core_.db().end_pass(id, core_.now()); });
    });
    if (!unrecorded_.empty() && resuming_ == 0) resume([] {});
}

// lists -------------------------------------------------------------------------------------

void hold_desk::add_live(policy::hold& h) const {
    const auto found = live_.find(h.id);
    if (found == live_.end()) return;
    h.waiters = found->second.waiters.size();
    h.variants = found->second.h.variants;
    h.who = found->second.h.who;
    h.escalated = found->second.h.escalated;
    h.assigned = found->second.h.assigned;
}

std::vector<policy::hold> hold_desk::list(std::optional<hold_state> s) {
    std::vector<policy::hold> all;
    if (!core_.stored([&] { all = core_.db().list_holds(s, listed_max); })) return {};
    std::erase_if(all, [this](const policy::hold& h) {
        const auto found = live_.find(h.id);
        return found != live_.end() && found->second.at == phase::opening;
    });
    for (auto& h : all)
        add_live(h);
    return all;
}

std::optional<policy::hold> hold_desk::get(policy::hold_id id) {
    std::optional<policy::hold> h;
    if (!core_.stored([&] { h = core_.db().get_hold(id); })) return std::nullopt;
    if (h) add_live(*h);
    return h;
}

}  // namespace sallyport::proxy::approval
