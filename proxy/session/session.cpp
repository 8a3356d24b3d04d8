#include "proxy/session/session.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "policy/sql/analyse.h"
#include "protocol/backend.h"
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

session::~session() {
    wipe(server_key_);
}

void session::start() {
    asio::co_spawn(
        home_.io,
        [](std::shared_ptr<session> self) -> asio::awaitable<void> {
            co_await self->run_login();
        }(shared_from_this()),
        asio::detached);
}

// pumps
// ---------------------------------------------------------------------------------------------

void session::begin_pumps(const upstream_login& login) {
    phase_ = phase::running;
    gate_limits limits;
    limits.inspect_bytes = configuration_->config->limits.inspect_bytes;
    limits.message_bytes = configuration_->config->limits.message_bytes;
    limits.prepared_statements = configuration_->config->limits.prepared_statements;
    if (const auto t = configuration_->config->targets.find(subject_.target);
        t != configuration_->config->targets.end())
        limits.unapproved_role = t->second.unapproved_role;
    gate_ = std::make_unique<gate>(home_.environment, subject_, limits, home_.client_limits);
    if (home_.shared.statements != nullptr && home_.shared.statements->watches())
        gate_->watch(std::make_unique<statement_watch>(*home_.shared.statements, identity()));
    for (const auto& [name, value] : login.parameters) {
        gate_->note_parameter(name, value);
        if (name == "integer_datetimes") {  // as fixed as any, and every driver knows it
            probe_frame_.clear();
            protocol::backend::parameter_status{name, value}.encode(probe_frame_);
        }
    }
    if (!settings_.search_path.empty()) gate_->add_search_path(settings_.search_path);
    gate_->set_reason(settings_.reason);
    gate_->set_refuse_holds(settings_.refuse_holds);
    gate_->admit(admissions_, admitted_by_);
    if (settings_.replication != replication_mode::none) gate_->set_replication();
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
            home_.counters.bytes_from_clients.add(r.bytes);
            feed_client(protocol::as_bytes(std::span(buffer.data(), r.bytes)));
            break;
        case io_status::want_read:
            break;
        case io_status::want_write:
            client_.async_wait_write([self = shared_from_this()](net::error_code ec) {
                if (!ec) self->client_readable();
            });
            return;
        case io_status::eof:
        case io_status::error:
            client_ended();
            return;
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
    bool idle = false;
    // A step may unblock the gate at once (facts from the cache, a refusal decided already).
    while (phase_ == phase::running && !cancelling_ && !gate_->blocked() && !client_in_.empty()) {
        home_.refresh();
        const auto used = gate_->on_client(client_in_, p, home_.scratch);
        idle = used == 0 && home_.scratch.empty();
        interpret();
        client_in_.erase(0, used);
        if (idle || (used == 0 && gate_->blocked())) break;
    }
    pumping_ = false;
    if (client_in_.empty() && client_in_.capacity() > 4096) std::string().swap(client_in_);
    // What is left of a batch will never be whole.
    const bool left = idle && !gate_->blocked() && gate_->replies().empty();
    if (client_eof_) pass_on_the_end();
    if (client_eof_ && phase_ == phase::running && (left || (!nothing_more_ && answered())))
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
        case io_status::ok:
            home_.counters.bytes_from_servers.add(r.bytes);
            break;
        case io_status::want_read:
            arm_server_read();
            return false;
        case io_status::want_write:
            server_->async_wait_write([self = shared_from_this()](net::error_code ec) {
                if (!ec) self->server_readable();
            });
            return false;
        case io_status::eof:
            server_ended("the server closed the connection");
            return false;
        case io_status::error:
            server_ended(r.error.message());
            return false;
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
    if (drain_deadline_ != clock_point{} && gate_->replies().empty() &&
        (gate_->replies().status() == protocol::transaction_status::idle ||
         gate_->transactions_left() != drain_from_)) {
        end("opt-out ended", fatal_frame(access_ended("the opt-out of this session has ended")));
        return false;
    }
    if (!client_in_.empty() || client_eof_) pump_client(gate::patience::normal);
    arm_client_read();
    if (r.bytes >= bulk_bytes && client_out_.size() < owed_bytes_max && phase_ == phase::running)
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
            case action::type::to_server:
                write_server(bytes);
                break;
            case action::type::to_client:
                write_client(bytes);
                break;
            case action::type::open_hold:
                interpret_hold(a);
                break;
            case action::type::ask_hold:
                interpret_ask(a);
                break;
            case action::type::use_opt_outs:
            case action::type::record:
                interpret_record(a);
                break;
            case action::type::withdraw_hold:
                home_.shared.steward->withdraw(a.hold_number, a.text, id_);
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
            case action::type::ask_console:
                interpret_question(a);
                break;
            case action::type::leave_databases:
                home_.shared.catalog->leave_databases();
                break;
            case action::type::refresh_catalog:
                home_.shared.catalog->refresh(
                    gate_->subject().target,
                    [self = shared_from_this()](const policy::catalog::snapshot_ptr&) {
                        asio::post(self->home_.io, [self] {
                            if (self->phase_ != phase::running) return;
                            self->gate_->on_catalog(self->home_.scratch);
                            self->interpret();
                            self->pump_client(gate::patience::normal);
                            self->arm_client_read();
                        });
                    },
                    // It has just logged in there: the server is up, whatever was before.
                    std::exchange(asked_catalog_, true) ? catalog::patience::none
                                                        : catalog::patience::one_try);
                break;
            case action::type::close:
                end(a.text, {});
                break;
        }
    }
    list.clear();
    if (home_.scratch.empty()) home_.scratch.list() = std::move(list);  // keeps its capacity
}

void session::interpret_question(action& a) {
    const auto answered = [self = shared_from_this()](console_result r) {
        asio::post(self->home_.io, [self, r = std::move(r)]() mutable {
            if (self->phase_ != phase::running) return;
            self->gate_->on_shown(std::move(r));
            self->pump_client(gate::patience::normal);
            self->arm_client_read();
        });
    };
    if (home_.shared.console != nullptr)
        return home_.shared.console->execute({subject_.principal, subject_.address},
                                             std::move(a.text), answered);
    console_result none;
    none.sqlstate = protocol::sqlstate::feature_not_supported;
    none.message = "this proxy has no console";
    answered(std::move(none));
}

void session::interpret_hold(action& a) {
    auto self = shared_from_this();
    next_reminder_ = steady_clock::now() + configuration_->config->hold_remind;
    const auto opened = [self](policy::hold_id id, std::string error, policy::instant until) {
        asio::post(self->home_.io, [self, id, error = std::move(error), until] {
            self->gate_->on_hold_opened(id, error, self->home_.scratch, until);
            if (self->phase_ != phase::running) {
                // The client left in between: what was opened is taken back.
                for (auto& late : self->home_.scratch.list())
                    if (late.what == action::type::withdraw_hold)
                        self->home_.shared.steward->withdraw(late.hold_number, late.text,
                                                             self->id_);
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

void session::interpret_ask(action& a) {
    const auto asked = [self = shared_from_this()](approval::steward::asked answer) {
        asio::post(self->home_.io, [self, answer = std::move(answer)] {
            if (self->phase_ != phase::running) return;
            self->home_.refresh();
            self->gate_->on_asked(answer, self->home_.scratch);
            self->interpret();
            self->pump_client(gate::patience::normal);
            self->arm_client_read();
        });
    };
    home_.shared.steward->ask(std::move(*a.hold), a.wait, true, asked);
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
                home_.counters.bytes_to_clients.add(r.bytes);
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
    if (!server_ || phase_ == phase::ending || phase_ == phase::over) return;
    if (server_out_.empty()) {
        while (!bytes.empty()) {
            const auto r = server_->write_some(raw(bytes));
            if (r.status == io_status::ok) {
                home_.counters.bytes_to_servers.add(r.bytes);
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
    if (nothing_more_ && server_out_.empty()) server_->shutdown_write();
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
    if (gate_->current() == gate::state::leaving) {
        end("client terminated", {});
        return;
    }
    const bool for_somebody =
        gate_->current() == gate::state::opening || gate_->current() == gate::state::held;
    if (for_somebody || gate_->in_message() || !client_.is_open() || answered()) {
        end("client closed", {});
        return;
    }
    end_deadline_ = steady_clock::now() + half_close_time;
    probe_client();
    pump_client(gate::patience::normal);
}

// All that was asked for is answered, but for what a batch without its Sync began.
bool session::answered() const {
    const auto& replies = gate_->replies();
    return client_in_.empty() && !gate_->blocked() && !replies.copy_in() &&
           (replies.empty() || replies.unsynced());
}

// The server answers what it has, says what it makes of a COPY whose data will never end, and
// closes: nobody else knows which Sync it takes for data and which it answers.
void session::pass_on_the_end() {
    if (nothing_more_ || !server_ || phase_ != phase::running || !client_in_.empty() ||
        gate_->blocked() || gate_->replies().empty())
        return;
    nothing_more_ = true;
    if (server_out_.empty()) server_->shutdown_write();
}

void session::server_ended(const std::string& why) {
    if (phase_ != phase::running) return;
    if (gate_->current() == gate::state::leaving) {
        end("client terminated", {});
        return;
    }
    if (nothing_more_) {
        end("client closed", {});
        return;
    }
    std::string frame;
    if (!gate_->saw_fatal())
        frame = fatal_frame({std::string(protocol::sqlstate::connection_failure),
                             "target " + target_name_ + ": the connection was lost: " + why,
                             "target=" + target_name_,
                             "Whether the last statement took effect is not known."});
    server_->close();
    home_.shared.upstreams.lost(subject_.target);
    end("upstream closed: " + why, frame);
}

}  // namespace sallyport::proxy::session
