#include "proxy/session/session.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "policy/sql/analyse.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"

namespace sallyport::proxy::session {

namespace asio = net::asio;
using net::io_status;
using std::chrono::steady_clock;

namespace {

constexpr std::size_t owed_bytes_max = 1u << 20;  // beyond it, the side that fills it is not read
constexpr std::size_t bulk_bytes = 8192;  // what PostgreSQL sends at once when it has much to send
constexpr int bulk_turns = 8;             // then the other sessions of the worker
constexpr auto linger_time = std::chrono::seconds(2);
constexpr std::size_t linger_bytes_max = 4u << 20;
constexpr auto half_close_time = std::chrono::seconds(10);

std::span<const std::byte> raw(protocol::bytes b) {
    return std::as_bytes(std::span(b.data(), b.size()));
}

}  // namespace

session::session(worker::impl& home, net::tcp::socket socket,
                 net::connection_limiter::ticket ticket)
    : home_(home),
      id_{home.shared.boot << 32 | home.shared.next_session.fetch_add(1)},
      client_(std::move(socket)),
      ticket_(std::move(ticket)),
      configuration_(home.current),
      login_deadline_(steady_clock::now() + home.current->config->limits.login_timeout),
      started_at_(home.shared.time->now()) {
    client_.set_options({});
    subject_.address = client_.peer_address();
    subject_.session = id_;
}

session::~session() = default;

void session::start() {
    asio::co_spawn(
        home_.io, [](std::shared_ptr<session> self) -> asio::awaitable<void> {
            co_await self->run_login();
        }(shared_from_this()),
        asio::detached);
}

// pumps ---------------------------------------------------------------------------------------------

void session::begin_pumps(const upstream_login& login) {
    phase_ = phase::running;
    gate_limits limits;
    limits.inspect_bytes = configuration_->config->limits.inspect_bytes;
    limits.message_bytes = configuration_->config->limits.message_bytes;
    limits.prepared_statements = configuration_->config->limits.prepared_statements;
    gate_ = std::make_unique<gate>(home_.environment, subject_, limits, home_.client_limits);
    for (const auto& [name, value] : login.parameters) gate_->note_parameter(name, value);
    if (!settings_.search_path.empty()) gate_->add_search_path(settings_.search_path);
    gate_->set_reason(settings_.reason);
    gate_->set_refuse_holds(settings_.refuse_holds);
    gate_->admit(admissions_, admitted_by_);
    arm_server_read();
    if (!client_in_.empty()) pump_client(gate::patience::normal);
    arm_client_read();
}

void session::arm_client_read() {
    if (client_reading_ || phase_ != phase::running || client_eof_) return;
    if (server_out_.size() >= owed_bytes_max) return;
    if (client_in_.size() >= configuration_->config->limits.pipeline_bytes &&
        (gate_->blocked() || cancelling_))
        return;
    client_reading_ = true;
    client_.async_wait_read([self = shared_from_this()](net::error_code ec) {
        self->client_reading_ = false;
        if (!ec) self->client_readable();
    });
}

void session::arm_server_read() {
    if (server_reading_ || phase_ != phase::running || !server_) return;
    if (client_out_.size() >= owed_bytes_max) return;
    server_reading_ = true;
    server_->async_wait_read([self = shared_from_this()](net::error_code ec) {
        self->server_reading_ = false;
        if (!ec) self->server_readable();
    });
}

void session::client_readable() {
    if (phase_ == phase::ending) return linger();
    if (phase_ != phase::running) return;
    auto& buffer = *home_.client_buffer;
    const auto r = client_.read_some(buffer);
    switch (r.status) {
        case io_status::ok:
            feed_client(protocol::as_bytes(std::span(buffer.data(), r.bytes)));
            break;
        case io_status::want_read: break;
        case io_status::want_write:
            client_.async_wait_write([self = shared_from_this()](net::error_code ec) {
                if (!ec) self->client_readable();
            });
            return;
        case io_status::eof:
        case io_status::error: client_ended(); return;
    }
    arm_client_read();
}

void session::feed_client(protocol::bytes fresh) {
    home_.refresh();
    if (cancelling_ || gate_->blocked() || !client_in_.empty()) {
        client_in_.append(fresh);
        if (gate_->current() == gate::state::held && terminate_waits()) {
            end("client terminated", {});
            return;
        }
        pump_client(gate::patience::normal);
        return;
    }
    const auto used = gate_->on_client(fresh, gate::patience::normal, home_.scratch);
    if (used < fresh.size()) client_in_.append(fresh.substr(used));
    interpret();
}

void session::pump_client(gate::patience p) {
    if (pumping_) return;
    pumping_ = true;
    // A step may unblock the gate at once (facts from the cache, a refusal decided already).
    while (phase_ == phase::running && !cancelling_ && !gate_->blocked() && !client_in_.empty()) {
        home_.refresh();
        const auto used = gate_->on_client(client_in_, p, home_.scratch);
        const bool idle = used == 0 && home_.scratch.empty();
        interpret();
        client_in_.erase(0, used);
        if (idle || (used == 0 && gate_->blocked())) break;
    }
    pumping_ = false;
    if (client_in_.empty() && client_in_.capacity() > 4096) std::string().swap(client_in_);
    if (client_eof_ && phase_ == phase::running && client_in_.empty() &&
        gate_->replies().empty())
        end("client closed", {});
}

void session::server_readable() {
    // A stream of rows: most likely there is more already, so ask again before waiting.
    for (int turn = 0; turn < bulk_turns; ++turn)
        if (!read_server()) return;
    arm_server_read();
}

// True if there is probably more to read at once.
bool session::read_server() {
    if (phase_ != phase::running) return false;
    auto& buffer = *home_.server_buffer;
    const auto r = server_->read_some(buffer);
    switch (r.status) {
        case io_status::ok: break;
        case io_status::want_read: arm_server_read(); return false;
        case io_status::want_write:
            server_->async_wait_write([self = shared_from_this()](net::error_code ec) {
                if (!ec) self->server_readable();
            });
            return false;
        case io_status::eof: server_ended("the server closed the connection"); return false;
        case io_status::error: server_ended(r.error.message()); return false;
    }
    home_.refresh();
    auto data = protocol::as_bytes(std::span(buffer.data(), r.bytes));
    if (server_in_.empty()) {
        const auto used = gate_->on_server(data, home_.scratch);
        if (used < data.size()) server_in_.assign(data.substr(used));
        interpret();
    } else {
        server_in_.append(data);
        const auto used = gate_->on_server(server_in_, home_.scratch);
        interpret();
        server_in_.erase(0, used);
        if (server_in_.empty()) std::string().swap(server_in_);
    }
    if (phase_ != phase::running) return false;
    if (drain_deadline_ != clock_point{} &&
        gate_->replies().status() == protocol::transaction_status::idle)
        drain_deadline_ = {};
    if (!client_in_.empty() || client_eof_) pump_client(gate::patience::normal);
    arm_client_read();
    if (r.bytes >= bulk_bytes && client_out_.size() < owed_bytes_max &&
        phase_ == phase::running)
        return true;
    arm_server_read();
    return false;
}

// The gate's word is done here and nowhere else.
void session::interpret() {
    auto list = std::move(home_.scratch.list());
    home_.scratch.clear();
    for (auto& a : list) {
        if (phase_ != phase::running) break;
        const auto bytes = a.text.empty() ? a.view : protocol::bytes(a.text);
        switch (a.what) {
            case action::type::to_server: write_server(bytes); break;
            case action::type::to_client: write_client(bytes); break;
            case action::type::open_hold: interpret_hold(a); break;
            case action::type::use_opt_outs:
            case action::type::record: interpret_record(a); break;
            case action::type::withdraw_hold:
                home_.shared.steward->withdraw(a.hold_number, a.text);
                break;
            case action::type::end_transaction:
                home_.shared.steward->end_transaction_passes(id_);
                break;
            case action::type::analyse: {
                const bool conforming = gate_->strings_conform();
                auto text = std::make_shared<std::string>(std::move(a.text));
                home_.shared.analysis->analyse(
                    *text, configuration_->config->limits.inspect_bytes, conforming,
                    [self = shared_from_this(), text, conforming](policy::facts_ptr f) {
                        asio::post(self->home_.io, [self, text, conforming, f] {
                            self->home_.facts.keep(*text, conforming, f);
                            if (self->phase_ != phase::running) return;
                            self->gate_->on_facts(f, self->home_.scratch);
                            self->interpret();
                            self->pump_client(gate::patience::normal);
                            self->arm_client_read();
                        });
                    });
                break;
            }
            case action::type::close: end(a.text, {}); break;
        }
    }
    list.clear();
    if (home_.scratch.empty()) home_.scratch.list() = std::move(list);  // keeps its capacity
}

void session::interpret_hold(action& a) {
    auto self = shared_from_this();
    next_reminder_ = steady_clock::now() + configuration_->config->hold_remind;
    const auto opened = [self](policy::hold_id id, std::string error) {
        asio::post(self->home_.io, [self, id, error = std::move(error)] {
            self->gate_->on_hold_opened(id, error, self->home_.scratch);
            if (self->phase_ != phase::running) {
                // The client left in between: what was opened is taken back.
                for (auto& late : self->home_.scratch.list())
                    if (late.what == action::type::withdraw_hold)
                        self->home_.shared.steward->withdraw(late.hold_number, late.text);
                self->home_.scratch.clear();
                return;
            }
            self->interpret();
            self->pump_client(gate::patience::normal);
            self->arm_client_read();
        });
    };
    const auto outcome = [self](approval::hold_outcome o) {
        asio::post(self->home_.io, [self, o = std::move(o)] {
            if (self->phase_ != phase::running) return;
            self->home_.refresh();
            self->gate_->on_hold_outcome(o, self->home_.scratch);
            self->interpret();
            self->pump_client(gate::patience::normal);
            self->arm_client_read();
        });
    };
    home_.shared.steward->open_hold(std::move(*a.hold), a.wait, opened, outcome);
}

void session::interpret_record(action& a) {
    const auto ticket = a.ticket;
    if (a.what == action::type::record && ticket == 0) {
        home_.shared.audit->append(std::move(*a.record), {});
        return;
    }
    auto done = [self = shared_from_this(), ticket](std::shared_ptr<audit::receipt> proof,
                                                    std::string error) {
        asio::post(self->home_.io, [self, ticket, proof, error = std::move(error)]() mutable {
            if (self->phase_ != phase::running) return;
            std::unique_ptr<audit::receipt> own;
            if (proof) own = std::make_unique<audit::receipt>(std::move(*proof));
            self->home_.refresh();
            self->gate_->on_recorded(ticket, std::move(own), error, self->home_.scratch);
            self->interpret();
            self->pump_client(gate::patience::normal);
            self->arm_client_read();
        });
    };
    if (a.what == action::type::use_opt_outs) {
        home_.shared.steward->use(std::move(*a.bypass),
                                  [done](std::unique_ptr<audit::receipt> r, std::string error) {
                                      done(std::move(r), std::move(error));
                                  });
        return;
    }
    home_.shared.audit->append(std::move(*a.record),
                               [done](std::unique_ptr<audit::receipt> r, std::error_code ec) {
                                   done(std::move(r), ec ? ec.message() : std::string());
                               });
}

void session::write_client(protocol::bytes bytes) {
    if (client_out_.empty()) {
        while (!bytes.empty()) {
            const auto r = client_.write_some(raw(bytes));
            if (r.status == io_status::ok) {
                bytes.remove_prefix(r.bytes);
                continue;
            }
            if (r.status == io_status::eof || r.status == io_status::error) return client_ended();
            break;
        }
        if (bytes.empty()) return;
    }
    client_out_.append(bytes);
    if (client_writing_) return;
    client_writing_ = true;
    client_.async_wait_write([self = shared_from_this()](net::error_code ec) {
        self->client_writing_ = false;
        if (!ec) self->client_writable();
    });
}

void session::client_writable() {
    if (phase_ == phase::over) return;
    std::string owed;
    owed.swap(client_out_);
    if (phase_ == phase::running) {
        write_client(owed);
        arm_server_read();
        return;
    }
    // Ending: what is owed goes out, then the rest of the farewell.
    protocol::bytes rest = owed;
    while (!rest.empty()) {
        const auto r = client_.write_some(raw(rest));
        if (r.status == io_status::ok) {
            rest.remove_prefix(r.bytes);
            continue;
        }
        if (r.status == io_status::eof || r.status == io_status::error) return finish();
        client_out_.assign(rest);
        client_.async_wait_write([self = shared_from_this()](net::error_code ec) {
            if (!ec) self->client_writable();
        });
        return;
    }
    client_.shutdown_write();
    linger();
}

void session::write_server(protocol::bytes bytes) {
    if (!server_) return;
    if (server_out_.empty()) {
        while (!bytes.empty()) {
            const auto r = server_->write_some(raw(bytes));
            if (r.status == io_status::ok) {
                bytes.remove_prefix(r.bytes);
                continue;
            }
            // What the server said before it went is still to be read: the reading side ends this.
            if (r.status == io_status::eof || r.status == io_status::error) return;
            break;
        }
        if (bytes.empty()) return;
    }
    server_out_.append(bytes);
    if (server_writing_) return;
    server_writing_ = true;
    server_->async_wait_write([self = shared_from_this()](net::error_code ec) {
        self->server_writing_ = false;
        if (!ec) self->server_writable();
    });
}

void session::server_writable() {
    if (phase_ != phase::running) return;
    std::string owed;
    owed.swap(server_out_);
    write_server(owed);
    arm_client_read();
}

// A Terminate anywhere behind a held statement takes the statement back.
bool session::terminate_waits() const {
    protocol::bytes rest = client_in_;
    while (!rest.empty()) {
        const auto scan = protocol::try_read_header(rest, *home_.client_limits);
        if (scan.error != protocol::errc::ok) return false;
        if (scan.header.tag == 'X') return true;
        if (rest.size() < scan.header.frame_bytes()) return false;
        rest.remove_prefix(scan.header.frame_bytes());
    }
    return false;
}

// No more requests from this client. What it asked for is still answered, as PostgreSQL does, but
// not for long: a client that vanished must not leave its statement running.
void session::client_ended() {
    if (phase_ != phase::running || client_eof_) return;
    client_eof_ = true;
    const bool waits = gate_->blocked() || gate_->in_message() || gate_->replies().unsynced() ||
                       !client_.is_open();
    if (waits || gate_->replies().empty()) {
        end("client closed", {});
        return;
    }
    end_deadline_ = steady_clock::now() + half_close_time;
    pump_client(gate::patience::waited);
}

void session::server_ended(const std::string& why) {
    if (phase_ != phase::running) return;
    std::string frame;
    if (!gate_->saw_fatal())
        frame = fatal_frame({std::string(protocol::sqlstate::connection_failure),
                             "target " + target_name_ + ": the connection was lost: " + why,
                             "target=" + target_name_,
                             "Whether the last statement took effect is not known."});
    server_->close();
    end("upstream closed: " + why, frame);
}

// ends ----------------------------------------------------------------------------------------------

void session::end(const std::string& reason, const std::string& fatal) {
    if (phase_ == phase::ending || phase_ == phase::over) return;
    const auto self = shared_from_this();
    end_reason_ = reason;
    if (gate_) {
        const bool busy = !gate_->replies().empty();
        gate_->on_client_gone(reason, home_.scratch);
        for (auto& a : home_.scratch.list())
            if (a.what == action::type::withdraw_hold)
                home_.shared.steward->withdraw(a.hold_number, a.text);
        home_.scratch.clear();
        if (server_ && server_->is_open()) {
            if (busy && reason != "client terminated")
                send_upstream_cancel([] {});
            else if (server_out_.empty() && !gate_->in_message() && reason != "client terminated") {
                std::string terminate;
                protocol::frontend::terminate{}.encode(terminate);
                static_cast<void>(server_->write_some(raw(terminate)));
            }
        }
    }
    phase_ = phase::ending;
    if (server_) server_->close();
    if (session_hold_) home_.shared.steward->withdraw(session_hold_, reason);
    client_out_.append(fatal);
    end_deadline_ = steady_clock::now() + linger_time;
    client_.cancel_waits();
    client_writable();
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
    if (server_) server_->close();
    if (key_number_ != 0) home_.shared.cancels->remove(id_, key_number_);
    if (recorded_start_) {
        home_.shared.steward->session_ended(id_);
        home_.shared.audit->append(session_record("session.end").with("reason", end_reason_), {});
    }
    wipe(server_key_);
    // Not from inside the table's own loop.
    asio::post(home_.io, [self] { self->home_.sessions.erase(self->id_.value); });
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
        case phase::held: read_while_held(); break;
        case phase::running:
            if (client_eof_ && steady >= end_deadline_) {
                end("client vanished", {});
                break;
            }
            if (gate_->deferring() && !cancelling_) {
                pump_client(gate::patience::waited);
                if (phase_ == phase::running) arm_client_read();
            }
            if (phase_ != phase::running) break;
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
        case phase::console: break;
        case phase::ending:
            if (steady >= end_deadline_) finish();
            break;
        case phase::over: break;
    }
    static_cast<void>(now);
}

// cancel, kill, opt-outs that end ---------------------------------------------------------------------

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
    asio::co_spawn(home_.io,
                   cancel_upstream(server_ && server_->is_tls() &&
                                           tls != configuration_->client_tls.end()
                                       ? tls->second
                                       : nullptr,
                                   target == configuration_->config->targets.end()
                                       ? std::string()
                                       : target->second.host,
                                   server_endpoint_, {server_pid_, server_key_}),
                   [finish_once](const std::exception_ptr&) { finish_once(); });
}

void session::kill(const std::string& by, const std::string& reason) {
    end("killed by " + by + ": " + reason,
        fatal_frame(access_ended("an admin ended this session" +
                                 (reason.empty() ? std::string() : ": " + reason))));
}

void session::opt_out_ended(const approval::steward::ended_event& e) {
    if (phase_ != phase::running || e.person != subject_.principal.name) return;
    const auto& used = gate_->used_opt_outs();
    const bool ours = std::find(used.begin(), used.end(), e.id) != used.end() ||
                      std::find(admitted_by_.begin(), admitted_by_.end(), e.id) !=
                          admitted_by_.end();
    if (!ours) return;
    const auto number = std::to_string(e.id.value);
    const bool in_transaction =
        gate_->replies().status() != protocol::transaction_status::idle ||
        !gate_->replies().empty();
    if (e.at_end == policy::at_end::kill ||
        (e.at_end == policy::at_end::drain && !in_transaction &&
         std::find(admitted_by_.begin(), admitted_by_.end(), e.id) != admitted_by_.end())) {
        end("opt-out " + number + " ended",
            fatal_frame(access_ended("opt-out " + number + " has ended (" +
                                     policy::to_string(e.state) + ")")));
        return;
    }
    if (e.at_end == policy::at_end::drain && in_transaction) {
        gate_->drain(e.id, e.rule, home_.shared.time->now() + e.drain_limit);
        drain_deadline_ = steady_clock::now() + e.drain_limit;
    }
}

void session::drain() {
    const auto frame = fatal_frame({std::string(protocol::sqlstate::admin_shutdown),
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
        case phase::connecting: i.state = "login"; break;
        case phase::held: i.state = "held"; break;
        case phase::console: i.state = "console"; break;
        case phase::ending:
        case phase::over: i.state = "ending"; break;
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
