#include <algorithm>
#include <atomic>
#include <utility>

#include "policy/in_session.h"
#include "policy/sha256.h"
#include "policy/touches.h"
#include "policy/wire_facts.h"
#include "protocol/backend.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/session/gate.h"

// Decisions and what follows from them: records, holds, refusals.
namespace sallyport::proxy::session {

using policy::effect;
using policy::granted_by;

namespace {

// A statement pass ends soon, so that an approval is not used later for something else; the
// execution it released may go on (fetching a portal) as long as the portal lives.
constexpr auto continued_for = std::chrono::hours(24);

template <class Ids>
std::string join_ids(const Ids& ids) {
    std::string text;
    for (const auto id : ids) {
        if (!text.empty()) text += ',';
        text += std::to_string(id.value);
    }
    return text;
}

std::string join(const std::vector<std::string>& parts, std::string_view by) {
    std::string text;
    for (const auto& p : parts) {
        if (!text.empty()) text += by;
        text += p;
    }
    return text;
}

}  // namespace

std::vector<policy::pass> gate::releases_of(std::size_t i, const portal* target) const {
    std::vector<policy::pass> passes;
    for (const auto& [frame, p] : released_)
        if (frame == i) passes.push_back(p);
    if (target != nullptr)
        passes.insert(passes.end(), target->released_by.begin(), target->released_by.end());
    passes.insert(passes.end(), admissions_.begin(), admissions_.end());
    return passes;
}

policy::grants gate::usable_grants() const {
    auto g = *env_->grants;
    std::erase_if(g.opt_outs, [&](const policy::opt_out& o) {
        return std::find(unusable_.begin(), unusable_.end(), o.id) != unusable_.end();
    });
    return g;
}

// The session was let in by these, on record; the rules that they got round speak of the session.
bool gate::only_admitted(const policy::decision& d) const {
    const bool passes = std::all_of(d.passes.begin(), d.passes.end(), [&](policy::pass_id id) {
        return std::any_of(admissions_.begin(), admissions_.end(),
                           [&](const policy::pass& p) { return p.id == id; });
    });
    return passes && std::all_of(d.opt_outs.begin(), d.opt_outs.end(), [&](policy::opt_out_id id) {
               return std::find(admitted_by_.begin(), admitted_by_.end(), id) != admitted_by_.end();
           });
}

bool gate::pass_by_drain(std::size_t i, const considered& c, const policy::decide_options& options,
                         policy::instant now) {
    if (draining_.empty() || replies_.status() != protocol::transaction_status::open ||
        c.facts->leaves_transaction())
        return false;
    auto with_ended = usable_grants();
    with_ended.opt_outs.insert(with_ended.opt_outs.end(), draining_.begin(), draining_.end());
    auto d = policy::decide(*env_->rules, subject_, c.facts.get(), with_ended, now, options);
    policy::restrict_wire_command(d, *c.facts);
    // What needs a live grant besides waits like anything else.
    if (d.effect != effect::allow || d.opt_outs.empty() || !d.passes.empty()) return false;
    granted g;
    g.frame = i;
    g.until = policy::instant::max();
    for (const auto id : d.opt_outs) {
        const auto ended = std::find_if(draining_.begin(), draining_.end(),
                                        [&](const policy::opt_out& o) { return o.id == id; });
        if (ended == draining_.end()) return false;
        g.until = std::min(g.until, ended->until);
    }
    g.opt_outs = d.opt_outs;
    g.decision = std::move(d);
    g.facts = c.facts;
    g.text = c.whole_text();
    g.drained = true;
    add_grant(std::move(g));
    return true;
}

// Where it was recorded already, what it passed by has ended since: it goes on record again, by
// what it passes by now.
void gate::add_grant(granted g) {
    if (region_recorded_) {
        region_recorded_ = false;
        permits_.clear();
        std::erase_if(grants_, [&](const granted& old) { return old.frame == g.frame; });
    }
    grants_.push_back(std::move(g));
}

bool gate::granted_already(const portal* target) const noexcept {
    return target != nullptr && std::any_of(grants_.begin(), grants_.end(),
                                            [&](const granted& g) { return g.target == target; });
}

// Planned again after its record became durable: it goes, unless what it passes by has ended since.
bool gate::take_recorded(std::size_t i, const considered& c, policy::instant now) {
    for (auto& g : grants_) {
        if (g.frame != i) continue;
        if (now >= g.until) return false;
        for (auto& [frame, proof] : permits_) {
            if (frame != i || !proof) continue;
            region_[i].proof = std::move(proof);
            if (!g.drained) note_role(g.opt_outs);
            count_as(region_[i], g.decision);
            g.target = c.target;
            names_.carry(region_[i].reply.tag, g.kept);
            return true;
        }
    }
    return false;
}

gate::outcome gate::consider(std::size_t i, const considered& c, actions& out) {
    auto& f = region_[i];
    if (watch_) watch_->consider(i, f.tag, c.target, c.text ? *c.text : c.sql, strings_conform_);
    f.after = effects_of(*c.facts);
    if (exempt_in_failed_transaction(*c.facts)) return outcome::forward;  // the server refuses it
    f.proof = permit::none();
    for (const auto& s : c.facts->statements)
        for (const auto& u : s.names)
            if (u.what == policy::name_use::action::execute ||
                u.what == policy::name_use::action::fetch)
                if (const auto o = settle(i, u.name, out); o != outcome::forward) return o;
    if (const auto o = ask_for_cursors(i, *c.facts, out); o != outcome::forward) return o;
    auto facts = with_prepared(with_names(c.facts));
    if (parsing_may_run())
        facts = policy::with_parsed(
            facts, [this](const policy::facts_ptr& inner) { return runs_at_parse(inner); });
    f.after = effects_of(*facts);
    if (ahead_.ends && (!subject_.transaction_passes.empty() || !draining_.empty()))
        return after_what_precedes(i, out);
    policy::note_search_path(subject_, *facts, *env_->rules);
    if (const auto o = follow(i, facts, out); o != outcome::forward) return o;
    f.facts = facts;
    const auto now = env_->time->now();
    if (region_recorded_ && take_recorded(i, c, now)) {
        region_granted_ = true;
        return outcome::forward;
    }
    if (granted_already(c.target)) {  // the Execute of a Bind in the same batch
        region_granted_ = true;
        f.proof = permit::continued();
        for (const auto& g : grants_)
            if (g.target == c.target) count_as(f, g.decision);
        return outcome::forward;
    }

    const auto releases = releases_of(i, c.target);
    policy::decide_options options;
    options.released_by = releases;
    auto d =
        unusable_.empty()
            ? policy::decide(*env_->rules, subject_, facts.get(), *env_->grants, now, options)
            : policy::decide(*env_->rules, subject_, facts.get(), usable_grants(), now, options);
    policy::restrict_wire_command(d, *facts);
    const bool noted = !d.observed.empty() || !d.excepted.empty();
    const bool minded = d.effect != effect::allow || d.grant != granted_by::nothing;
    // A record, too, should say what was really reached.
    if ((minded || noted) && may_ask_path(i)) return ask_path(out);
    if (minded) {
        if (const auto o = ask_for_relation(i, c, out); o != outcome::forward) return o;
        if (probe_ == probe::refused) return outcome::forward;
    }
    if (noted) note_rules(i, d, {facts, c.text, c.sql, c.target, nullptr, false}, out);
    if (d.effect == effect::deny) {
        if (first_record_of(i))
            record_denial(d, {facts, c.text, c.sql, nullptr, nullptr, false}, out);
        return refuse(i, denied_by_rule(d, env_->rules->hash));
    }
    if (d.effect == effect::hold &&
        pass_by_drain(i, {facts, c.text, c.sql, nullptr, nullptr, false}, options, now)) {
        region_granted_ = true;
        return outcome::forward;
    }
    if (d.effect == effect::hold)
        return hold_or_refuse(i, d, {facts, c.text, c.sql, c.target, c.bind, c.cut}, out);
    region_granted_ = region_granted_ || d.grant != granted_by::nothing;
    note_role(d.opt_outs);
    count_as(f, d);
    if (d.grant == granted_by::nothing) {
        const bool logged = d.log || policy::is_wire_command(*facts);
        // A Parse or Bind has its Execute.
        if (logged && f.tag != 'B' && f.tag != 'P' && first_record_of(i)) {
            auto& a = out.add(action::type::record);
            a.record = std::make_unique<audit::record>(
                make_record("decision.allowed", d, *facts, c.whole_text(), i));
        }
        f.proof = permit::plain(d);
        return outcome::forward;
    }
    if ((c.target != nullptr && c.target->recorded) || only_admitted(d)) {
        f.proof = permit::continued();
        return outcome::forward;
    }
    granted g;
    g.frame = i;
    g.opt_outs = d.opt_outs;
    g.until = policy::instant::max();
    for (const auto& o : env_->grants->opt_outs)
        if (std::find(d.opt_outs.begin(), d.opt_outs.end(), o.id) != d.opt_outs.end())
            g.until = std::min(g.until, o.until);
    for (const auto* from : {&env_->grants->passes, &releases})
        for (const auto& p : *from)
            if (std::find(d.passes.begin(), d.passes.end(), p.id) != d.passes.end()) {
                g.until = std::min(g.until, p.until);
                g.passes.push_back(p);
            }
    g.target = c.target;
    g.kept = releases;
    for (auto& p : g.kept)
        p.until = now + continued_for;
    g.facts = facts;
    g.text = c.whole_text();
    g.decision = std::move(d);
    add_grant(std::move(g));
    return outcome::forward;
}

gate::outcome gate::hold_or_refuse(std::size_t i, const policy::decision& d, const considered& c,
                                   actions& out) {
    // What was sent before decides whether this can run at all, and whether locks are held.
    if (!replies_.empty()) return wait_for_drain(out);
    const auto& hash = env_->rules->hash;
    if (c.cut && d.rule_id == policy::opaque_rule_id) {
        record_denial(d, c, out);
        return refuse(i, {std::string(protocol::sqlstate::program_limit_exceeded),
                          "the statement is longer than this proxy inspects (limits.inspect_bytes)",
                          "rule=opaque policy=" + hash, "Split it, or use COPY for bulk data."});
    }
    const auto deny = [&] {
        if (first_record_of(i)) record_denial(d, c, out);
    };
    if (d.hold == nullptr) {
        deny();
        return refuse(i, nobody_approves(d, hash));
    }
    if (d.hold->reason_required && policy::is_blank(reason_)) {
        deny();
        return refuse(i, reason_required(d, hash));
    }
    auto h = make_hold(d, c);
    if (refuse_holds_ || d.hold->clients == policy::hold_clients::refuse) {
        deny();
        if (c.cut || region_[i].tag == 'F') return refuse(i, too_long_to_ask(d, hash));
        hold_rule_ = d.rule_id;
        asked_who_ = d.hold->who;
        state_ = state::opening;
        auto& a = out.add(action::type::ask_hold);
        a.wait = d.hold->wait;
        h.escalate = d.hold->escalate;
        a.hold = std::make_unique<policy::hold>(std::move(h));
        return outcome::wait;
    }
    notice_ = std::make_unique<policy::hold>(h);
    notice_->statement.clear();
    notice_->parameters.clear();
    hold_rule_ = d.rule_id;
    hold_until_ = env_->time->now() + d.hold->wait;
    notice_->expires_at = hold_until_;
    state_ = state::opening;
    h.escalate = d.hold->escalate;
    auto& a = out.add(action::type::open_hold);
    a.wait = d.hold->wait;
    a.hold = std::make_unique<policy::hold>(std::move(h));
    return outcome::wait;
}

// A region may be planned again before it goes: what it writes into the log is written once.
bool gate::first_record_of(std::size_t i) noexcept {
    if (i < logged_frames_) return false;
    logged_frames_ = i + 1;
    return true;
}

// What rules that only observe would have done, and which exceptions it rests on: on record once,
// and not waited for, since neither changes what happens.
void gate::note_rules(std::size_t i, const policy::decision& d, const considered& c, actions& out) {
    const bool goes = d.effect == effect::allow && d.grant == granted_by::nothing;
    if (region_[i].tag == 'B' && goes) return;  // a Bind has its Execute
    if ((c.target != nullptr && c.target->recorded) || i < noted_frames_) return;
    noted_frames_ = i + 1;
    const auto text = c.whole_text();
    policy::decision shown;
    shown.reasons = d.reasons;
    const auto say_grant = [&](audit::record& r) {
        if (d.grant != granted_by::nothing)
            r.with("granted", d.grant == granted_by::pass ? "pass" : "opt_out");
    };
    for (const auto* r : d.observed) {
        shown.effect = r->effect;
        shown.rule_id = r->id;
        auto& a = out.add(action::type::record);
        a.record = std::make_unique<audit::record>(
            make_record("decision.observed", shown, *c.facts, text, i));
        a.record->with("decided", policy::to_string(d.effect)).with("decided_by", d.rule_id);
        say_grant(*a.record);
        if (env_->uses != nullptr) env_->uses->observed(r->id);
    }
    for (const auto& e : d.excepted) {
        shown.effect = effect::allow;
        shown.rule_id = e.by->id;
        auto& a = out.add(action::type::record);
        a.record = std::make_unique<audit::record>(
            make_record("exception.used", shown, *c.facts, text, i));
        a.record->with("except", policy::ids_of(e.over));
        say_grant(*a.record);
        if (env_->uses != nullptr) env_->uses->excepted(e.by->id);
    }
}

// A statement counts when it goes, with what runs it; a Parse or Bind has its Execute.
void gate::count_as(planned& f, const policy::decision& d) {
    using counted = statement_counts::outcome;
    if (env_->counts == nullptr || (f.tag != 'Q' && f.tag != 'E' && f.tag != 'F')) return;
    auto what = counted::allow;
    if (d.grant == granted_by::pass) what = counted::pass;
    // A hold that goes: an opt-out that has ended lets its open transaction finish.
    if (d.grant == granted_by::opt_out || d.effect == effect::hold) what = counted::bypass;
    // A plain allow does not spell its rule's name out.
    const std::string_view by = !d.rule_id.empty()  ? std::string_view(d.rule_id)
                                : d.rule != nullptr ? std::string_view(d.rule->id)
                                                    : policy::default_rule_id;
    f.counted = env_->counts->find(what, by);
}

void gate::record_denial(const policy::decision& d, const considered& c, actions& out) const {
    using counted = statement_counts::outcome;
    if (env_->counts != nullptr)
        env_->counts->add(d.effect == effect::deny ? counted::deny : counted::refuse, d.rule_id);
    if (watch_)
        watch_->denied(waiting_frame_, d.effect == effect::deny ? "deny" : "refuse", d.rule_id);
    auto& a = out.add(action::type::record);
    a.record = std::make_unique<audit::record>(
        make_record("decision.denied", d, *c.facts, c.whole_text(), waiting_frame_));
}

audit::record gate::make_record(std::string event, const policy::decision& d,
                                const policy::facts& f, const text_ptr& text,
                                std::size_t frame) const {
    audit::record r;
    r.event = std::move(event);
    r.at = env_->time->now();
    r.with("user", subject_.principal.name)
        .with("groups", join(subject_.principal.groups, ", "))
        .with("address", subject_.address)
        .with("application", subject_.application)
        .with("session", std::to_string(subject_.session.value))
        .with("target", subject_.target)
        .with("rule", d.rule_id)
        .with("effect", policy::to_string(d.effect))
        .with("policy", env_->rules->hash);
    if (!d.passes.empty()) r.with("pass", join_ids(d.passes));
    if (!d.reasons.empty()) r.with("reasons", join(d.reasons, "; "));
    if (!reason_.empty()) r.with("reason", reason_);
    r.with("statement", env_->rules->log_literals ? *text : f.redacted);
    r.with("statement_sha256", policy::sha256_hex(*text));
    if (watch_) watch_->add_ids(frame, r);
    return r;
}

policy::hold gate::make_hold(const policy::decision& d, const considered& c) const {
    policy::hold h;
    h.kind = policy::hold_kind::statement;
    h.person = subject_.principal.name;
    h.person_groups = subject_.principal.groups;
    h.target = subject_.target;
    h.rule = d.rule_id;
    const auto text = c.whole_text();
    h.statement = *text;
    h.redacted = env_->rules->log_literals ? *text : c.facts->redacted;
    h.statement_sha256 = policy::sha256_hex(*text);
    if (c.bind != nullptr) h.parameters = shown_parameters(*c.bind);
    if (c.cut) h.parameters.emplace_back("(too long to show)");
    // What is not shown whole is one of a kind: nothing else is released with it.
    if (c.cut || region_[waiting_frame_].tag == 'F') {
        static std::atomic<std::uint64_t> held{0};
        h.parameters.push_back("number " + std::to_string(++held) + " of this kind");
    }
    if (!c.facts->literal_sensitive) h.shape = c.facts->shape;
    h.touches = policy::touches_of(*c.facts);
    h.reason = reason_;
    h.address = subject_.address;
    h.application = subject_.application;
    h.session = subject_.session;
    h.in_transaction = replies_.status() != protocol::transaction_status::idle;
    h.who = d.hold->who;
    h.pass = d.hold->pass;
    h.policy_hash = env_->rules->hash;
    if (watch_) watch_->add_ids(waiting_frame_, h);
    return h;
}

// Nothing that got round a holding rule goes upstream before its record is on disk.
void gate::request_records(actions& out) {
    record_error_.clear();
    permits_.clear();
    for (const auto& g : grants_) {
        const auto ticket = next_ticket_++;
        if (next_ticket_ == 0) next_ticket_ = 1;
        tickets_.emplace_back(ticket, g.frame);
        if (!g.opt_outs.empty() && !g.drained) {
            auto& a = out.add(action::type::use_opt_outs);
            a.ticket = ticket;
            a.bypass = std::make_unique<approval::bypass_request>();
            a.bypass->opt_outs = g.opt_outs;
            a.bypass->who = subject_.principal;
            a.bypass->record = make_record("bypass", g.decision, *g.facts, g.text, g.frame);
            continue;
        }
        auto& a = out.add(action::type::record);
        a.ticket = ticket;
        a.record = std::make_unique<audit::record>(make_record(
            g.drained ? "bypass" : "hold.released", g.decision, *g.facts, g.text, g.frame));
        if (g.drained)
            a.record->with("opt_out", join_ids(g.opt_outs)).with("drained", "open transaction");
        std::string by;
        for (const auto& p : g.passes) {
            if (p.from_hold) a.record->with("hold", std::to_string(p.from_hold.value));
            if (!p.approved_by.empty()) by += (by.empty() ? "" : ",") + p.approved_by;
        }
        if (!by.empty()) a.record->with("approved_by", by);
    }
    state_ = state::recording;
}

void gate::on_recorded(std::uint32_t ticket, std::unique_ptr<audit::receipt> proof,
                       const std::string& error, actions&) {
    const auto at = std::find_if(tickets_.begin(), tickets_.end(),
                                 [&](const auto& t) { return t.first == ticket; });
    if (at == tickets_.end()) return;
    const auto frame = at->second;
    tickets_.erase(at);
    if (state_ != state::recording) return;
    if (proof == nullptr) {
        if (record_error_.empty()) {
            record_error_ = error.empty() ? "the record could not be written" : error;
            record_error_frame_ = frame;
        }
    } else {
        permits_.emplace_back(frame, permit::recorded(std::move(proof)));
    }
    if (!tickets_.empty()) return;
    state_ = state::open;
    if (record_error_.empty()) {
        region_recorded_ = true;
        return;
    }
    // Nothing of this region may pass on the strength of a record that failed. An opt-out that
    // cannot be used (its last use went to somebody else) leaves the rule as it is: the statement
    // is held.
    std::vector<policy::opt_out_id> without;
    for (const auto& g : grants_)
        if (g.frame == record_error_frame_ && !g.drained) without = g.opt_outs;
    const auto why = not_recorded(record_error_);
    const auto where = record_error_frame_;
    forget_region();
    if (without.empty()) refused_.emplace(where, why);
    unusable_.insert(unusable_.end(), without.begin(), without.end());
}

void gate::on_hold_opened(policy::hold_id id, const std::string& error, actions& out,
                          policy::instant until) {
    if (state_ == state::closed || cancel_when_opened_) {
        if (id) {
            auto& a = out.add(action::type::withdraw_hold);
            a.hold_number = id;
            a.text = state_ == state::closed ? "client left" : "cancelled by the client";
        }
        if (state_ == state::closed) return;
        refused_.emplace(waiting_frame_, std::move(*cancel_when_opened_));
        cancel_when_opened_.reset();
        state_ = state::open;
        return;
    }
    if (state_ != state::opening) return;
    if (!id) {
        refused_.emplace(waiting_frame_, not_recorded(error));
        state_ = state::open;
        return;
    }
    hold_ = id;
    notice_->id = id;
    if (until != policy::instant{}) notice_->expires_at = hold_until_ = until;
    state_ = state::held;
    if (watch_) watch_->held(waiting_frame_, region_[waiting_frame_].facts, id, hold_rule_);
    if (env_->counts != nullptr) env_->counts->add(statement_counts::outcome::hold, hold_rule_);
    tell_client(hold_notice(*notice_, env_->approve_url), out);
}

void gate::on_hold_outcome(const approval::hold_outcome& o, actions& out) {
    if (o.id != hold_ || state_ != state::held) return;
    if (watch_) watch_->hold_ended(hold_, o.state);
    hold_ = {};
    state_ = state::open;
    if (o.state == policy::hold_state::approved && o.pass) {
        released_.emplace_back(waiting_frame_, *o.pass);
        released_.back().second.scope = policy::pass_scope::statement;
        if (o.pass->scope == policy::pass_scope::transaction)
            subject_.transaction_passes.push_back(o.pass->id);
        tell_client(released_notice(o.id, o.decided_by, *o.pass), out);
        return;
    }
    refused_.emplace(waiting_frame_, hold_ended(o, hold_rule_, env_->rules->hash));
}

// This client does not wait: it is told the number of its request, or goes on with what was
// approved meanwhile.
void gate::on_asked(const approval::steward::asked& a, actions& out) {
    if (state_ != state::opening) return;
    state_ = state::open;
    if (cancel_when_opened_) {
        refused_.emplace(waiting_frame_, std::move(*cancel_when_opened_));
        cancel_when_opened_.reset();
        return;
    }
    if (a.what != approval::steward::asked::state::ready || !a.pass) {
        refused_.emplace(waiting_frame_,
                         not_waited_for(a, hold_rule_, env_->rules->hash, asked_who_));
        return;
    }
    released_.emplace_back(waiting_frame_, *a.pass);
    tell_client(released_notice(a.id, a.pass->approved_by, *a.pass), out);
}

bool gate::on_cancel(actions& out) {
    if (state_ == state::opening) {
        cancel_when_opened_ = cancelled({});
        return true;
    }
    if (state_ != state::held) return false;
    auto& a = out.add(action::type::withdraw_hold);
    a.hold_number = hold_;
    a.text = "cancelled by the client";
    refused_.emplace(waiting_frame_, cancelled(hold_));
    if (watch_) watch_->hold_ended(hold_, policy::hold_state::withdrawn);
    hold_ = {};
    state_ = state::open;
    return true;
}

void gate::on_client_gone(const std::string& why, actions& out) {
    if (state_ == state::held) {
        auto& a = out.add(action::type::withdraw_hold);
        a.hold_number = hold_;
        a.text = why;
        hold_ = {};
    }
    if (watch_) watch_->abandon();
    state_ = state::closed;
}

void gate::remind(actions& out) {
    if (state_ != state::held || !between_replies()) return;
    tell_client(reminder_notice(hold_, hold_rule_, env_->time->now(), hold_until_), out);
}

}  // namespace sallyport::proxy::session
