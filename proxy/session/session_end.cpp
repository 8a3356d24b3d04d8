#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include "protocol/backend.h"
#include "protocol/sqlstate.h"
#include "proxy/session/session.h"

// How a session ends, and what reaches it from outside: ticks, cancels, kills, opt-outs that end.
namespace sallyport::proxy::session {

namespace asio = net::asio;
using net::io_status;
using std::chrono::steady_clock;

namespace {

constexpr auto linger_time = std::chrono::seconds(2);
constexpr std::size_t linger_bytes_max = 4u << 20;

}  // namespace

// ends
// ----------------------------------------------------------------------------------------------

void session::end(const std::string& reason, const std::string& fatal) {
    if (phase_ == phase::ending || phase_ == phase::over) return;
    const auto self = shared_from_this();
    end_reason_ = reason;
    // Inside of a message it would be taken for the rest of that.
    const bool says = !fatal.empty() && (!gate_ || gate_->between_replies());
    if (gate_) {
        if (says) client_out_.append(gate_->take_buffered());
        gate_->on_client_gone(reason, home_.scratch);
        for (auto& a : home_.scratch.list())
            if (a.what == action::type::withdraw_hold)
                home_.shared.steward->withdraw(a.hold_number, a.text, id_);
        home_.scratch.clear();
    }
    phase_ = phase::ending;
    if (server_) server_->cancel_waits();
    if (session_hold_) home_.shared.steward->withdraw(session_hold_, reason, id_);
    if (says) client_out_.append(fatal);
    end_deadline_ = steady_clock::now() + linger_time;
    client_.cancel_waits();
    // Where many end at once, every client hears of it before the first server: thousands of
    // backends that end at once take all processors.
    asio::post(home_.io, [self] { self->leave_server(); });
    client_writable();
}

// What runs there is stopped, and nothing is sent behind it.
void session::leave_server() {
    if (!server_ || !server_->is_open()) return;
    if (gate_ && end_reason_ != "client terminated") {
        const auto& replies = gate_->replies();
        if (!replies.empty()) {
            stop_upstream();
        } else {
            const bool whole = server_out_.empty() && !gate_->in_message();
            if (replies.status() == protocol::transaction_status::idle && !replies.unsynced())
                return home_.close_idle(std::move(server_), whole);
            if (whole) say_terminate(*server_);
        }
    }
    if (server_) server_->close();
}

// Reads on for a moment so that the farewell is not lost to a reset.
void session::linger() {
    if (phase_ != phase::ending) return;
    auto& buffer = *home_.client_buffer;
    for (std::size_t drained = 0; drained < linger_bytes_max;) {
        const auto r = client_.read_some(buffer);
        if (r.status == io_status::ok) {
            drained += r.bytes;
            continue;
        }
        if (r.status == io_status::want_read) {
            client_.async_wait_read([self = shared_from_this()](net::error_code ec) {
                if (!ec) self->linger();
            });
            return;
        }
        break;
    }
    finish();
}

void session::finish() {
    if (phase_ == phase::over) return;
    phase_ = phase::over;
    const auto self = shared_from_this();
    if (waker_) waker_->cancel();
    client_.close();
    leave_server();
    if (key_number_ != 0) home_.shared.cancels->remove(id_, key_number_);
    if (recorded_start_) {
        home_.shared.steward->session_ended(id_);
        home_.shared.audit->append(session_record("session.end").with("reason", end_reason_), {});
    }
    // Not from inside the table's own loop.
    asio::post(home_.io, [self] {
        auto& home = self->home_;
        home.sessions.erase(self->id_.value);
        home.counters.sessions.store(home.sessions.size(), std::memory_order_relaxed);
    });
}

void session::tick(policy::instant now) {
    const auto steady = steady_clock::now();
    switch (phase_) {
        case phase::login:
        case phase::connecting:
            if (steady >= login_deadline_)
                end("login timed out",
                    phase_ == phase::connecting
                        ? fatal_frame({std::string(protocol::sqlstate::connection_failure),
                                       "target " + target_name_ + ": the connection timed out",
                                       "target=" + target_name_, ""})
                        : std::string());
            break;
        case phase::held:
            read_while_held();
            break;
        case phase::running:
            if (client_eof_ && (steady >= end_deadline_ || client_.peer_reset())) {
                end("client vanished", {});
                break;
            }
            if (gate_->deferring() && !cancelling_) {
                pump_client(gate::patience::waited);
                if (phase_ == phase::running) arm_client_read();
            }
            if (phase_ != phase::running) break;
            write_notices();
            if (gate_->current() == gate::state::held) {
                if (!client_reading_ && client_.peer_closed()) {
                    end("client closed", {});
                    break;
                }
                if (steady >= next_reminder_) {
                    next_reminder_ = steady + configuration_->config->hold_remind;
                    gate_->remind(home_.scratch);
                    interpret();
                }
            }
            if (drain_deadline_ != clock_point{} && steady >= drain_deadline_)
                end("opt-out ended",
                    fatal_frame(access_ended("the opt-out of this session has ended")));
            break;
        case phase::console:
            break;
        case phase::ending:
            if (steady >= end_deadline_) finish();
            break;
        case phase::over:
            break;
    }
    static_cast<void>(now);
}

// cancel, kill, opt-outs that end
// ---------------------------------------------------------------------

void session::cancel_requested(std::function<void()> done) {
    if (phase_ == phase::held) {
        end("cancelled by the client",
            fatal_frame({std::string(protocol::sqlstate::query_canceled),
                         "canceling the request for approval due to user request", "", ""}));
        return done();
    }
    if (phase_ != phase::running) return done();
    if (gate_->on_cancel(home_.scratch)) {
        interpret();
        pump_client(gate::patience::normal);
        return done();
    }
    if (gate_->replies().empty() || cancelling_) return done();
    cancelling_ = true;
    send_upstream_cancel([self = shared_from_this(), done = std::move(done)] {
        self->cancelling_ = false;
        done();
        if (self->phase_ != phase::running) return;
        self->pump_client(gate::patience::normal);
        self->arm_client_read();
    });
}

// A client that closed its writing side may still read its results, or may be gone. Only something
// sent to it can tell: a status that it knows already, which changes nothing for one that reads.
void session::probe_client() {
    if (probe_frame_.empty() || !client_out_.empty() || !gate_->between_replies() ||
        gate_->keeps_replies())
        return;
    write_client(probe_frame_);
}

// One statement is stopped by a cancel and by closing behind it. Behind several, or one that may
// refuse to be cancelled, closing is not enough: the server would go on with what it has received.
void session::stop_upstream() {
    const auto target = configuration_->config->targets.find(target_name_);
    const bool several = gate_->replies().running() > 1;
    ++home_.farewells;
    const auto said = [&home = home_] { --home.farewells; };
    if ((!several && !killed_) || server_pid_ == 0 ||
        target == configuration_->config->targets.end())
        return send_upstream_cancel(said);
    server_->cancel_waits();
    asio::co_spawn(home_.io,
                   terminate_upstream(home_.shared, upstream_login_for(target->second), server_pid_,
                                      std::shared_ptr<net::stream>(std::move(server_))),
                   [self = shared_from_this(), said](const std::exception_ptr&, bool stopped) {
                       if (stopped) return said();
                       self->send_upstream_cancel(said);
                   });
}

void session::send_upstream_cancel(std::function<void()> done) {
    if (server_key_.empty()) return done();
    const auto tls = configuration_->client_tls.find(target_name_);
    const auto target = configuration_->config->targets.find(target_name_);
    auto timeout = std::make_shared<asio::steady_timer>(home_.io, std::chrono::seconds(5));
    auto once = std::make_shared<std::function<void()>>(std::move(done));
    const auto finish_once = [once, timeout] {
        if (!*once) return;
        const auto call = std::exchange(*once, {});
        timeout->cancel();
        call();
    };
    timeout->async_wait([finish_once](net::error_code ec) {
        if (!ec) finish_once();
    });
    asio::co_spawn(
        home_.io,
        cancel_upstream(
            server_tls_ && tls != configuration_->client_tls.end() ? tls->second : nullptr,
            target == configuration_->config->targets.end() ? std::string() : target->second.host,
            server_endpoint_, {server_pid_, server_key_}),
        [finish_once](const std::exception_ptr&) { finish_once(); });
}

void session::kill(const std::string& by, const std::string& reason) {
    killed_ = true;
    end("killed by " + by + ": " + reason,
        fatal_frame(access_ended("an admin ended this session" +
                                 (reason.empty() ? std::string() : ": " + reason))));
}

void session::opt_out_ended(const approval::steward::ended_event& e) {
    const bool let_in =
        std::find(admitted_by_.begin(), admitted_by_.end(), e.id) != admitted_by_.end();
    if (phase_ == phase::connecting && let_in && e.at_end != policy::at_end::hold &&
        e.state != policy::opt_out_state::used_up)
        return end("opt-out ended",
                   fatal_frame(access_ended("the opt-out that let this session in has ended")));
    if (phase_ != phase::running) return;
    const auto& used = gate_->used_opt_outs();
    const bool ours = let_in || std::find(used.begin(), used.end(), e.id) != used.end();
    if (!ours) return;
    const auto number = std::to_string(e.id.value);
    const bool in_transaction = gate_->replies().status() != protocol::transaction_status::idle ||
                                !gate_->replies().empty();
    // The last use is let finish whatever `at_end` says, and nothing passes by it any more.
    const bool spent = e.state == policy::opt_out_state::used_up;
    const bool finishes = in_transaction && (e.at_end == policy::at_end::drain ||
                                             (e.at_end == policy::at_end::kill && spent));
    if (e.at_end == policy::at_end::hold) return;
    if (!finishes) {
        killed_ = e.at_end == policy::at_end::kill;
        end("opt-out " + number + " ended",
            fatal_frame(access_ended("opt-out " + number + " has ended (" +
                                     policy::to_string(e.state) + ")")));
        return;
    }
    // Uses that are counted are counted by the one who knows of all sessions.
    const auto now = home_.shared.time->now();
    if (e.opt_out && e.opt_out->max_uses == 0) gate_->drain(*e.opt_out, now + e.drain_limit);
    // Spent before its time: what its last use runs may run until then.
    const bool early = spent && e.opt_out;
    if (drain_deadline_ == clock_point{}) drain_from_ = gate_->transactions_left();
    drain_deadline_ = steady_clock::now() + (early ? e.opt_out->until - now : e.drain_limit);
}

// The files in force are others now: who asks is looked up anew, and so is whether the session may
// be. Its statements are decided by the new rules anyway.
void session::reconsider(attempt which) {
    if (phase_ == phase::login || phase_ == phase::ending || phase_ == phase::over) return;
    const auto stop = [this](const std::string& why, const char* hint) {
        killed_ = true;
        auto text = access_ended(why);
        text.hint = hint;
        home_.shared.audit->append(session_record("session.reconsidered").with("reason", why), {});
        end("reload: " + why, fatal_frame(text));
    };
    const auto now = home_.shared.time->now();
    const auto* user = home_.current->users->find(subject_.principal.name);
    // An end of VALID UNTIL is for logins, as in PostgreSQL.
    if (user == nullptr) return stop(no_longer_known, look_at_users);
    subject_.principal = user->principal;
    // What is not opened yet is decided anew before it is; the console asks for each command.
    if (phase_ != phase::running) return;
    gate_->subject().principal = user->principal;
    const auto rules = home_.environment.rules;
    policy::decide_options options;
    options.released_by = admissions_;
    const auto d =
        policy::decide(*rules, subject_, nullptr, *home_.environment.grants, now, options);
    if (d.effect == policy::effect::deny)
        return stop("rule " + d.rule_id + " no longer allows this session",
                    "SHOW sallyport.rules in another session says what applies.");
    // What holds any action holds the next statement; a rule of sessions alone has only this.
    const auto* rule = rules->find_rule(d.rule_id);
    const bool of_sessions = rule != nullptr && !(rule->kinds.empty() && rule->commands.empty());
    if (d.effect == policy::effect::hold && of_sessions)
        return stop("rule " + d.rule_id + " now asks for approval of this session",
                    "Connect again to ask for it.");
    if (d.effect == policy::effect::allow && !d.opt_outs.empty() && !gate_->only_admitted(d))
        take_up_opt_outs(d, which);
}

// An opt-out stands behind a session that began without: on record, or it ends. One that ended
// meanwhile stands behind nothing: it is decided again. Its end is the session's from now on, as it
// may come before the answer.
void session::take_up_opt_outs(const policy::decision& d, attempt which) {
    std::vector<policy::opt_out_id> fresh;
    for (const auto id : d.opt_outs)
        if (std::find(admitted_by_.begin(), admitted_by_.end(), id) == admitted_by_.end())
            fresh.push_back(id);
    admitted_by_.insert(admitted_by_.end(), fresh.begin(), fresh.end());
    auto r = session_record("bypass")
                 .with("rule", d.rule_id)
                 .with("effect", "allow")
                 .with("policy", home_.environment.rules->hash);
    const auto done = [self = shared_from_this(), fresh, which](
                          std::unique_ptr<audit::receipt> proof, const std::string& why) {
        asio::post(self->home_.io, [self, fresh, which, ok = proof != nullptr, why] {
            if (self->phase_ != phase::running) return;
            self->home_.refresh();
            if (!ok)
                std::erase_if(self->admitted_by_, [&](policy::opt_out_id id) {
                    return std::find(fresh.begin(), fresh.end(), id) != fresh.end();
                });
            if (!ok && which == attempt::first) return self->reconsider(attempt::second);
            if (!ok) return self->end("not recorded", fatal_frame(not_recorded(why)));
            self->gate_->admit(self->admissions_, self->admitted_by_);
        });
    };
    home_.shared.steward->use({d.opt_outs, std::move(r), subject_.principal}, done);
}

void session::end_nears(const approval::steward::nearing_event& e) {
    if (phase_ != phase::running) return;
    const auto& who = subject_.principal;
    const bool ours = e.session ? e.session == id_
                                : (e.group.empty() ? e.person == who.name : who.in_group(e.group));
    if (!ours) return;
    const auto& used = gate_->used_opt_outs();
    const bool uses_it =
        !e.opt_out || std::find(used.begin(), used.end(), e.opt_out) != used.end() ||
        std::find(admitted_by_.begin(), admitted_by_.end(), e.opt_out) != admitted_by_.end();
    // One who has not used it hears of it from the surfaces; a pass of a shape is nobody's session.
    if (!uses_it || (!e.opt_out && !e.session)) return;
    notices_ += nearing_notice(e);
    write_notices();
}

// What lets sessions in, and what exceptions keep out of, may be a rule that is locked now. Single
// statements are decided as they come.
bool session::shut_by_lock_on_rule() const {
    if (phase_ != phase::running) return false;
    policy::decide_options options;
    options.released_by = admissions_;
    const auto d = policy::decide(*home_.environment.rules, gate_->subject(), nullptr,
                                  *home_.environment.grants, home_.shared.time->now(), options);
    return d.effect == policy::effect::deny && d.rule_id == policy::lock_rule_id;
}

void session::locked(const policy::flag& f) {
    if (phase_ == phase::login || phase_ == phase::ending || phase_ == phase::over) return;
    if (f.on == policy::flag_on::rule ? !shut_by_lock_on_rule()
                                      : !f.means(gate_ ? gate_->subject() : subject_))
        return;
    killed_ = true;
    auto why =
        access_ended(std::string("the ") + policy::to_string(f.on) + " is locked: " + f.reason);
    why.detail = "lock=" + std::to_string(f.id.value);
    why.hint = "Until " + format_instant(f.until) + ", unless an admin lifts it.";
    end("locked", fatal_frame(why));
}

void session::write_notices() {
    if (notices_.empty() || !client_out_.empty() || !gate_->between_replies()) return;
    write_client(gate_->take_buffered() + std::exchange(notices_, {}));
}

void session::drain() {
    const auto frame =
        fatal_frame({std::string(protocol::sqlstate::admin_shutdown),
                     "terminating connection: the proxy is shutting down", "",
                     "Connect again; what waited for approval must be asked again."});
    if (phase_ == phase::login || phase_ == phase::held || phase_ == phase::connecting ||
        phase_ == phase::console)
        end("proxy is stopping", frame);
    else if (phase_ == phase::running &&
             (gate_->current() == gate::state::held ||
              (gate_->replies().empty() &&
               gate_->replies().status() == protocol::transaction_status::idle)))
        end("proxy is stopping", frame);
}

void session::shut_down() {
    end("proxy is stopping",
        fatal_frame({std::string(protocol::sqlstate::admin_shutdown),
                     "terminating connection: the proxy is shutting down", "", ""}));
}

telemetry::session_identity session::identity() const {
    telemetry::session_identity who;
    who.session = id_.value;
    who.user = subject_.principal.name;
    who.address = subject_.address;
    who.application = subject_.application;
    who.target = target_name_;
    if (const auto t = configuration_->config->targets.find(target_name_);
        t != configuration_->config->targets.end()) {
        who.server_address = t->second.host;
        who.server_port = t->second.port;
        who.database = t->second.dbname;
    }
    return who;
}

session_info session::info() const {
    session_info i;
    i.id = id_;
    i.user = subject_.principal.name;
    i.address = subject_.address;
    i.target = target_name_;
    i.started_at = started_at_;
    i.tls = client_.is_tls();
    i.server_pid = server_pid_;
    i.application = gate_ ? gate_->subject().application : subject_.application;
    switch (phase_) {
        case phase::login:
        case phase::connecting:
            i.state = "login";
            break;
        case phase::held:
            i.state = "held";
            break;
        case phase::console:
            i.state = "console";
            break;
        case phase::ending:
        case phase::over:
            i.state = "ending";
            break;
        case phase::running:
            if (gate_->current() == gate::state::held)
                i.state = "held";
            else if (!gate_->replies().empty() || gate_->blocked())
                i.state = "active";
            else if (gate_->replies().status() == protocol::transaction_status::idle)
                i.state = "idle";
            else
                i.state = "idle in transaction";
            break;
    }
    i.hold = gate_ ? gate_->hold() : session_hold_;
    if (gate_) i.transaction_since = gate_->transaction_since();
    if (gate_ && gate_->last_facts()) i.statement = gate_->last_facts()->redacted.substr(0, 1024);
    if (gate_ && !gate_->used_opt_outs().empty())
        i.grant = "opt-out " + std::to_string(gate_->used_opt_outs().back().value);
    else if (!admitted_by_.empty())
        i.grant = "opt-out " + std::to_string(admitted_by_.back().value);
    else if (!admissions_.empty())
        i.grant = "pass " + std::to_string(admissions_.back().id.value);
    return i;
}

}  // namespace sallyport::proxy::session
