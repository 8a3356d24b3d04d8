#include <algorithm>
#include <utility>

#include <boost/asio/redirect_error.hpp>

#include "policy/wire_facts.h"
#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/sqlstate.h"
#include "proxy/session/session.h"
#include "proxy/session/wire.h"

// May this session be opened? The decision on it, the hold before there is an upstream, and the
// record of what let it in.
namespace sallyport::proxy::session {

namespace asio = net::asio;
namespace backend = protocol::backend;
using std::chrono::steady_clock;

asio::awaitable<bool> session::admit() {
    if (settings_.hold != 0 && !co_await present_hold()) co_return false;
    bool admitted = co_await admit_as(nullptr);
    if (admitted && settings_.replication != replication_mode::none)
        admitted = co_await admit_as(policy::replication_session_facts().get());
    co_return admitted;
}

/// Who asks, by the files in force now; false after the refusal.
bool session::look_up_again() {
    home_.refresh();
    const auto* user = home_.current->users->find(subject_.principal.name);
    if (user == nullptr) {
        auto text = access_ended(no_longer_known);
        text.hint = look_at_users;
        refuse(text, std::string("reload: ") + no_longer_known);
        return false;
    }
    subject_.principal = user->principal;
    return true;
}

/// The door was passed, and since then the server was connected: other files may be in force, and a
/// rule may be locked. False after the refusal.
bool session::still_admitted() {
    if (!look_up_again()) return false;
    const bool same_files = admitted_under_ == home_.seen_configuration;
    policy::decide_options options;
    options.released_by = admissions_;
    const auto fits = [&](const policy::facts* what) {
        auto d = policy::decide(*home_.environment.rules, subject_, what, *home_.environment.grants,
                                home_.shared.time->now(), options);
        if (what) policy::restrict_wire_command(d, *what);
        // An opt-out that let it in may have been used up by that.
        const bool waits = d.effect == policy::effect::hold && !same_files && admitted_by_.empty();
        return d.effect != policy::effect::deny && !waits;
    };
    if (fits(nullptr) && (settings_.replication == replication_mode::none ||
                          fits(policy::replication_session_facts().get())))
        return true;
    auto text = access_ended("what let this session in has changed while it was connected");
    text.hint = "Connect again.";
    home_.shared.audit->append(session_record("session.reconsidered").with("reason", text.message),
                               {});
    refuse(text, "changed while it was connected");
    return false;
}

/// Decides on opening the session or, with facts, on what it is opened for; false after the
/// refusal.
asio::awaitable<bool> session::admit_as(const policy::facts* what) {
    std::vector<policy::opt_out_id> over;  // ended while they were to let it in
    for (bool noted = false;; noted = true) {
        if (!look_up_again()) co_return false;
        admitted_under_ = home_.seen_configuration;
        const auto rules = home_.environment.rules;
        const auto now = home_.shared.time->now();
        policy::decide_options options;
        options.released_by = admissions_;
        auto grants = *home_.environment.grants;
        std::erase_if(grants.opt_outs, [&](const policy::opt_out& o) {
            return std::find(over.begin(), over.end(), o.id) != over.end();
        });
        auto d = policy::decide(*rules, subject_, what, grants, now, options);
        if (what) policy::restrict_wire_command(d, *what);
        if (!noted) note_rules(d, *rules);
        if (d.effect == policy::effect::deny) {
            home_.shared.audit->append(session_record("decision.denied")
                                           .with("rule", d.rule_id)
                                           .with("effect", "deny")
                                           .with("policy", rules->hash),
                                       {});
            refuse(denied_by_rule(d, rules->hash), "denied by rule " + d.rule_id);
            co_return false;
        }
        if (d.effect == policy::effect::allow) {
            if (d.grant == policy::granted_by::nothing) co_return true;
            const auto came = co_await record_admission(d);
            if (came != admission::opt_out_is_over) co_return came == admission::recorded;
            over.insert(over.end(), d.opt_outs.begin(), d.opt_outs.end());
            continue;
        }
        if (d.hold == nullptr) {
            refuse(nobody_approves(d, rules->hash), "nobody approves");
            co_return false;
        }
        const bool no_reason = d.hold->reason_required && policy::is_blank(settings_.reason);
        const bool waits =
            !settings_.refuse_holds && d.hold->clients != policy::hold_clients::refuse;
        if (no_reason || !waits) {
            home_.shared.audit->append(session_record("decision.denied")
                                           .with("rule", d.rule_id)
                                           .with("effect", "hold")
                                           .with("policy", rules->hash),
                                       {});
            if (!no_reason) {
                if (co_await ask_session(d)) continue;
                co_return false;
            }
            auto why = reason_required(d, rules->hash);
            why.hint = "Say why when you connect: PGOPTIONS=\"-c sallyport.reason=…\"";
            refuse(why, "approval required");
            co_return false;
        }
        if (!co_await hold_session(d)) co_return false;
    }
}

// As the gate does for statements: on record, counted, and not waited for.
void session::note_rules(const policy::decision& d, const policy::rule_set& rules) {
    auto* const uses = home_.environment.uses;
    for (const auto* r : d.observed) {
        home_.shared.audit->append(session_record("decision.observed")
                                       .with("rule", r->id)
                                       .with("effect", policy::to_string(r->effect))
                                       .with("policy", rules.hash)
                                       .with("decided", policy::to_string(d.effect))
                                       .with("decided_by", d.rule_id),
                                   {});
        if (uses != nullptr) uses->observed(r->id);
    }
    for (const auto& e : d.excepted) {
        home_.shared.audit->append(session_record("exception.used")
                                       .with("rule", e.by->id)
                                       .with("effect", "allow")
                                       .with("policy", rules.hash)
                                       .with("except", policy::ids_of(e.over)),
                                   {});
        if (uses != nullptr) uses->excepted(e.by->id);
    }
}

policy::hold session::make_session_hold(const policy::decision& d) const {
    policy::hold h;
    h.kind = policy::hold_kind::session;
    h.person = subject_.principal.name;
    h.person_groups = subject_.principal.groups;
    h.target = target_name_;
    h.rule = d.rule_id;
    h.touches.push_back(settings_.replication == replication_mode::none
                            ? "open a session on " + target_name_
                            : "open a session on " + target_name_ +
                                  " for replication: every row of the server");
    h.reason = settings_.reason;
    h.address = subject_.address;
    h.application = subject_.application;
    h.session = id_;
    h.who = d.hold->who;
    h.pass = d.hold->pass;
    h.policy_hash = home_.environment.rules->hash;
    h.escalate = d.hold->escalate;
    return h;
}

/// What takes one of the steward's answers into the slot. Not made inside of a co_await: g++ 12
/// destroys what a lambda there has captured twice.
approval::steward::on_asked session::fill(answer_slot slot) {
    if (!waker_) waker_.emplace(home_.io);
    return [self = shared_from_this(), slot = std::move(slot)](approval::steward::asked a) {
        asio::post(self->home_.io, [self, slot, a = std::move(a)] {
            *slot = a;
            if (self->waker_) self->waker_->cancel();
        });
    };
}

/// Waits for it; nullopt: the client has left.
asio::awaitable<std::optional<approval::steward::asked>> session::answer_in(answer_slot slot) {
    const auto self = shared_from_this();
    const auto before = phase_;
    phase_ = phase::held;
    boost::system::error_code ignored;
    while (!*slot && phase_ == phase::held) {
        waker_->expires_after(std::chrono::hours(24));
        co_await waker_->async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    if (phase_ != phase::held) co_return std::nullopt;
    phase_ = before;
    co_return *slot;
}

/// A client that does not wait asks for its session: true if that was approved meanwhile.
asio::awaitable<bool> session::ask_session(const policy::decision& d) {
    auto h = make_session_hold(d);
    const auto rule = d.rule_id;
    const auto who = d.hold->who;
    const auto bound = d.hold->pass.session;
    const auto slot = std::make_shared<std::optional<approval::steward::asked>>();
    home_.shared.steward->ask(std::move(h), d.hold->wait, true, fill(slot));
    auto a = co_await answer_in(slot);
    if (!a) co_return false;
    if (!a->pass) {
        auto why = not_waited_for(*a, rule, home_.environment.rules->hash, who);
        if (a->what == approval::steward::asked::state::pending)
            why.hint = "Connect again once hold " + std::to_string(a->id.value) +
                       " is approved (until " + format_instant(a->until) +
                       "), or wait at the door with PGOPTIONS=\"-c sallyport.on_hold=wait\".";
        refuse(why, "approval required");
        co_return false;
    }
    a->pass->until = bound ? home_.shared.time->now() + *bound : policy::instant::max();
    admissions_.push_back(*a->pass);
    co_return true;
}

/// `-c sallyport.hold=7`: what was approved ahead. Without it the session does not begin.
asio::awaitable<bool> session::present_hold() {
    const policy::hold_id id{settings_.hold};
    const auto slot = std::make_shared<std::optional<approval::steward::asked>>();
    home_.shared.steward->present(id, id_, subject_.principal, target_name_, fill(slot));
    const auto a = co_await answer_in(slot);
    if (!a) co_return false;
    using state = approval::steward::asked::state;
    if (a->what == state::ready) co_return true;
    auto why = not_waited_for(*a, "", home_.environment.rules->hash, {});
    if (a->what == state::pending) {
        why.message = "hold " + std::to_string(id.value) + " is not approved yet";
        why.hint =
            "Connect again once it is; it can be decided until " + format_instant(a->until) + ".";
    } else if (a->what == state::failed) {
        why.sqlstate = protocol::sqlstate::approval_required;
        why.message = a->text;
        why.hint = "Ask for a new one: sallyport request-hold.";
    }
    refuse(why, "sallyport.hold");
    co_return false;
}

asio::awaitable<bool> session::hold_session(const policy::decision& d) {
    const auto self = shared_from_this();
    phase_ = phase::held;
    std::string greeting;
    backend::parameter_status{"client_encoding", "UTF8"}.encode(greeting);
    // An id of ours: there is no server yet whose process id this could be.
    send_key(own_number(), greeting);
    co_await send(std::move(greeting));

    auto h = make_session_hold(d);
    auto shown = h;
    shown.expires_at = home_.shared.time->now() + d.hold->wait;
    session_hold_rule_ = d.rule_id;
    session_hold_until_ = shown.expires_at;
    outcome_.reset();
    opened_ = false;
    open_error_.clear();
    if (!waker_) waker_.emplace(home_.io);
    home_.shared.steward->open_hold(
        std::move(h), d.hold->wait,
        [self](policy::hold_id id, std::string error, policy::instant until) {
            asio::post(self->home_.io, [self, id, error = std::move(error), until] {
                if (self->phase_ != phase::held && id) {
                    self->home_.shared.steward->withdraw(id, "client left", self->id_);
                    return;
                }
                self->session_hold_ = id;
                if (id) self->session_hold_until_ = until;
                self->open_error_ = error;
                self->opened_ = true;
                self->waker_->cancel();
            });
        },
        [self](approval::hold_outcome o) {
            asio::post(self->home_.io, [self, o = std::move(o)] {
                self->outcome_ = o;
                if (self->waker_) self->waker_->cancel();
            });
        });
    boost::system::error_code ignored;
    while (!opened_ && phase_ == phase::held) {
        waker_->expires_after(std::chrono::hours(24));
        co_await waker_->async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    if (phase_ != phase::held) co_return false;
    if (!session_hold_) {
        refuse(not_recorded(open_error_), "hold not recorded");
        co_return false;
    }
    shown.id = session_hold_;
    shown.expires_at = session_hold_until_;
    next_reminder_ = steady_clock::now() + configuration_->config->hold_remind;
    co_await send(hold_notice(shown, home_.environment.approve_url));
    while (!outcome_ && phase_ == phase::held) {
        waker_->expires_after(std::chrono::hours(24));
        co_await waker_->async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    if (phase_ != phase::held) co_return false;
    const auto o = std::move(*outcome_);
    session_hold_ = {};
    if (o.state != policy::hold_state::approved || !o.pass) {
        refuse(hold_ended(o, session_hold_rule_, home_.environment.rules->hash),
               "hold " + std::string(policy::to_string(o.state)));
        co_return false;
    }
    auto p = *o.pass;
    if (p.scope == policy::pass_scope::statement)
        // "This" is the session: until it ends, or as long as the rule lets a session pass last.
        p.until = shown.pass.session ? home_.shared.time->now() + *shown.pass.session
                                     : policy::instant::max();
    p.scope = policy::pass_scope::statement;
    admissions_.push_back(std::move(p));
    co_await send(released_notice(o.id, o.decided_by, *o.pass));
    co_return true;
}

// What let the session in is on disk before there is an upstream.
asio::awaitable<session::admission> session::record_admission(const policy::decision& d) {
    const auto self = shared_from_this();
    const auto before = phase_;
    phase_ = phase::held;
    if (!waker_) waker_.emplace(home_.io);
    waiting_answer_ = true;
    auto granted = std::make_shared<bool>(false);
    auto error = std::make_shared<std::string>();
    const auto done = [self, granted, error](bool ok, std::string why) {
        asio::post(self->home_.io, [self, granted, error, ok, why = std::move(why)] {
            *granted = ok;
            *error = why;
            self->waiting_answer_ = false;
            self->waker_->cancel();
        });
    };
    auto r = session_record(d.opt_outs.empty() ? "hold.released" : "bypass")
                 .with("rule", d.rule_id)
                 .with("effect", "allow")
                 .with("policy", home_.environment.rules->hash);
    if (!settings_.reason.empty()) r.with("reason", settings_.reason);
    for (const auto& p : admissions_)
        r.with("hold", std::to_string(p.from_hold.value)).with("approved_by", p.approved_by);
    if (d.opt_outs.empty())
        home_.shared.audit->append(
            std::move(r), [done](std::unique_ptr<audit::receipt> proof, std::error_code ec) {
                done(proof != nullptr, ec ? ec.message() : std::string());
            });
    else
        home_.shared.steward->use({d.opt_outs, std::move(r), subject_.principal},
                                  [done](std::unique_ptr<audit::receipt> proof, std::string why) {
                                      done(proof != nullptr, std::move(why));
                                  });
    boost::system::error_code ignored;
    while (waiting_answer_ && phase_ == phase::held) {
        waker_->expires_after(std::chrono::hours(24));
        co_await waker_->async_wait(asio::redirect_error(use_awaitable, ignored));
    }
    if (phase_ != phase::held) co_return admission::refused;
    phase_ = before;
    if (!*granted) {
        if (!d.opt_outs.empty() && home_.shared.steward->healthy())
            co_return admission::opt_out_is_over;
        refuse(not_recorded(*error), "not recorded");
        co_return admission::refused;
    }
    admitted_by_.insert(admitted_by_.end(), d.opt_outs.begin(), d.opt_outs.end());
    for (const auto& p : home_.environment.grants->passes)
        if (std::find(d.passes.begin(), d.passes.end(), p.id) != d.passes.end())
            admissions_.push_back(p);
    co_return admission::recorded;
}

// While the session is held the client may only leave; what else it sends waits, within a bound.
void session::read_while_held() {
    const auto now = steady_clock::now();
    const auto bound = configuration_->config->limits.pipeline_bytes;
    auto& buffer = *home_.client_buffer;
    while (client_in_.size() < bound) {
        const auto r = client_.read_some(buffer);
        if (r.status == net::io_status::ok) {
            client_in_.append(protocol::as_bytes(std::span(buffer.data(), r.bytes)));
            continue;
        }
        if (r.status == net::io_status::eof || r.status == net::io_status::error)
            return end("client closed", {});
        break;
    }
    if (client_.peer_closed() || terminate_waits()) return end("client closed", {});
    if (session_hold_ && now >= next_reminder_) {
        next_reminder_ = now + configuration_->config->hold_remind;
        const auto text = reminder_notice(session_hold_, session_hold_rule_,
                                          home_.shared.time->now(), session_hold_until_);
        const auto r = client_.write_some(std::as_bytes(std::span(text.data(), text.size())));
        // Half a message cannot be taken back, and this client does not read.
        if (r.status == net::io_status::ok && r.bytes < text.size())
            end("client does not read", {});
    }
}

}  // namespace sallyport::proxy::session
