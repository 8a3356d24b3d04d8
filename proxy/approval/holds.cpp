#include "proxy/approval/holds.h"

#include <algorithm>
#include <utility>

#include "proxy/approval/records.h"

namespace sallyport::proxy::approval {

namespace {

using policy::hold_state;

constexpr std::size_t pending_max = 10'000;
constexpr int pending_per_person_max = 250;  // a pool of 200 connections fits
constexpr std::size_t listed_max = 500;
constexpr const char* store_cannot = "the state cannot be written";
constexpr const char* audit_cannot = "audit not writable";

}  // namespace

hold_desk::hold_desk(core& c) : core_(c) {
    c.attach(*this);
}

// start -------------------------------------------------------------------------------------

void hold_desk::recover() {
    const auto now = core_.now();
    for (const auto& h : core_.db().withdraw_orphans(now, "the proxy was restarted")) {
        auto r = hold_record("hold.withdrawn", h, now);
        r.with("ended_reason", h.ended_reason);
        core_.record(std::move(r));
    }
    core_.db().end_bound_passes(now);
    unrecorded_ = core_.db().list_passes(now);
}

void hold_desk::resume(const std::function<void()>& done) {
    resuming_ = unrecorded_.size();
    if (resuming_ == 0) return done();
    for (const auto& p : unrecorded_)
        core_.record(pass_record("pass.resumed", p, core_.now()),
                     [this, p, done](std::unique_ptr<audit::receipt> receipt) {
                         if (receipt) {
                             std::erase_if(unrecorded_,
                                           [&](const policy::pass& u) { return u.id == p.id; });
                             if (p.live_at(core_.now())) add_pass(p);
                         }
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
        return "too many holds wait already (" + std::to_string(pending_max) + ")";
    const auto of_person = pending_of_person_.find(h.person);
    if (of_person != pending_of_person_.end() && of_person->second >= pending_per_person_max)
        return "too many holds of " + h.person + " wait already (" +
               std::to_string(pending_per_person_max) + ")";
    return {};
}

void hold_desk::open(policy::hold h, policy::milliseconds wait, const steward::on_opened& opened_f,
                     steward::on_outcome outcome) {
    if (const auto why = refuse_to_open(h); !why.empty()) return opened_f({}, why);
    h.state = hold_state::pending;
    h.opened_at = core_.now();
    h.expires_at = h.opened_at + std::max(wait, policy::milliseconds(0));
    h.ended_at = {};
    h.votes.clear();
    h.who.approvals = std::max(h.who.approvals, 1);
    if (!core_.stored([&] { h.id = core_.db().add_hold(h); })) return opened_f({}, store_cannot);
    const auto id = h.id;
    auto r = hold_record("hold.opened", h, h.opened_at);
    ++pending_of_person_[h.person];
    live_.emplace(id, live_hold{std::move(h), std::move(outcome), phase::opening, {}, {}});
    core_.record(std::move(r), [this, id, opened_f](std::unique_ptr<audit::receipt> receipt) {
        opened(id, receipt != nullptr, opened_f);
    });
}

void hold_desk::opened(policy::hold_id id, bool recorded, const steward::on_opened& tell) {
    auto& l = live_.at(id);
    if (!recorded) {
        l.outcome = nullptr;  // who was told that it could not be opened waits for nothing
        end(id, hold_state::withdrawn, audit_cannot);
        return tell({}, audit_cannot);
    }
    l.at = phase::open;
    deadlines_.emplace(l.h.expires_at, id);
    tell(id, {});
    core_.tell_change("hold", id.value, policy::to_string(hold_state::pending));
    if (closed_) end(id, hold_state::withdrawn, "the proxy is stopping");
}

// ending ------------------------------------------------------------------------------------

void hold_desk::finish(policy::hold_id id, hold_outcome outcome) {
    auto node = live_.extract(id);
    auto& l = node.mapped();
    deadlines_.erase({l.h.expires_at, id});
    if (const auto p = pending_of_person_.find(l.h.person); --p->second == 0)
        pending_of_person_.erase(p);
    const auto state = outcome.state;
    if (l.outcome) l.outcome(std::move(outcome));
    core_.tell_change("hold", id.value, policy::to_string(state));
}

/// Expired or withdrawn: never waits for the disk, since it releases nothing.
void hold_desk::end(policy::hold_id id, hold_state to, const std::string& reason) {
    auto& l = live_.at(id);
    const auto at = core_.now();
    const bool settled = core_.stored([&] {
        (void)core_.db().move_hold(id, hold_state::pending, to, reason, at, nullptr, nullptr);
    });
    if (!settled) unsettled_.push_back({id, to, reason, at});
    l.h.state = to;
    auto r = hold_record(to == hold_state::expired ? "hold.expired" : "hold.withdrawn", l.h, at);
    r.with("ended_reason", reason);
    core_.record(std::move(r));
    finish(id, {id, to, reason, "", std::nullopt});
}

void hold_desk::withdraw(policy::hold_id id, const std::string& why) {
    const auto found = live_.find(id);
    if (found != live_.end() && found->second.at == phase::open)
        end(id, hold_state::withdrawn, why);
}

void hold_desk::session_ended(policy::session_id id) {
    std::vector<policy::hold_id> left;
    for (const auto& [hold, l] : live_)
        if (l.h.session == id && l.at == phase::open) left.push_back(hold);
    for (const auto hold : left)
        end(hold, hold_state::withdrawn, "the session ended");
    end_passes_of(id, false);
}

void hold_desk::close() {
    closed_ = true;
    std::vector<policy::hold_id> left;
    for (const auto& [id, l] : live_)
        if (l.at == phase::open) left.push_back(id);
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

void hold_desk::tell_pass_ended(const policy::pass& p) const {
    for (const auto& f : core_.ended)
        f({{}, p.rule, p.person, policy::opt_out_state::expired, policy::at_end::hold, {}});
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
    for (const auto* ends : {&pass_ends_, &pass_warnings_})
        if (!ends->empty() && (!next || ends->begin()->first < *next)) next = ends->begin()->first;
    return next;
}

void hold_desk::run_due(policy::instant now) {
    while (!deadlines_.empty() && deadlines_.begin()->first <= now)
        end(deadlines_.begin()->second, hold_state::expired, "nobody decided in time");
    warn_of_ends(now);
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
    return !unsettled_.empty() || !unsettled_passes_.empty() ||
           (!unrecorded_.empty() && resuming_ == 0);
}

void hold_desk::retry() {
    std::erase_if(unsettled_, [this](const unsettled_move& m) {
        return core_.stored([&] {
            (void)core_.db().move_hold(m.id, hold_state::pending, m.to, m.reason, m.at, nullptr,
                                       nullptr);
        });
    });
    std::erase_if(unsettled_passes_, [this](policy::pass_id id) {
        return core_.stored([&] { core_.db().end_pass(id, core_.now()); });
    });
    if (!unrecorded_.empty() && resuming_ == 0) resume([] {});
}

// lists -------------------------------------------------------------------------------------

std::vector<policy::hold> hold_desk::list(std::optional<hold_state> s) {
    std::vector<policy::hold> all;
    if (!core_.stored([&] { all = core_.db().list_holds(s, listed_max); })) return {};
    std::erase_if(all, [this](const policy::hold& h) {
        const auto found = live_.find(h.id);
        return found != live_.end() && found->second.at == phase::opening;
    });
    return all;
}

std::optional<policy::hold> hold_desk::get(policy::hold_id id) {
    std::optional<policy::hold> h;
    if (!core_.stored([&] { h = core_.db().get_hold(id); })) return std::nullopt;
    return h;
}

}  // namespace sallyport::proxy::approval
