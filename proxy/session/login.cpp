#include <algorithm>
#include <utility>
#include <variant>

#include <boost/asio/redirect_error.hpp>
#include <spdlog/spdlog.h>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/limits.h"
#include "protocol/sqlstate.h"
#include "proxy/log_ids.h"
#include "proxy/session/session.h"
#include "proxy/session/wire.h"

// From accept to the first ReadyForQuery.
namespace sallyport::proxy::session {

namespace asio = net::asio;
namespace backend = protocol::backend;
namespace sqlstate = protocol::sqlstate;
using std::chrono::steady_clock;

namespace {

constexpr const char* console_name = "sallyport";
constexpr std::size_t short_secret_bytes = 4;  // all that protocol 3.0 has room for
constexpr std::size_t long_secret_bytes = 32;

refusal plain(std::string_view state, std::string message, std::string hint = {}) {
    return {std::string(state), std::move(message), {}, std::move(hint)};
}

}  // namespace

asio::awaitable<void> session::send(std::string bytes) {
    co_await write_all(client_, bytes);
}

// Not a coroutine: g++ 12 destroys aggregate temporaries in a co_await expression twice.
void session::refuse(const refusal& why, const std::string& reason) {
    end(reason, fatal_frame(why));
}

audit::record session::session_record(std::string event) const {
    audit::record r;
    r.event = std::move(event);
    r.at = home_.shared.time->now();
    r.with("user", subject_.principal.name)
        .with("address", subject_.address)
        .with("application", subject_.application)
        .with("session", std::to_string(id_.value))
        .with("target", target_name_);
    if (!subject_.principal.groups.empty()) {
        std::string groups;
        for (const auto& g : subject_.principal.groups)
            groups += (groups.empty() ? "" : ", ") + g;
        r.with("groups", std::move(groups));
    }
    return r;
}

void session::record_login(bool accepted, const std::string& reason) {
    auto r = session_record(accepted ? "login.accepted" : "login.refused");
    if (!reason.empty()) r.with(accepted ? "method" : "reason", reason);
    r.with("tls", client_.is_tls() ? "true" : "false");
    auto& counted = home_.counters;
    (accepted ? counted.logins_accepted : counted.logins_refused).add();
    home_.shared.audit->append(std::move(r), {});
}

asio::awaitable<void> session::run_login() {
    const auto self = shared_from_this();
    try {
        auto message = co_await negotiate();
        if (!message) co_return;
        auto principal = co_await authenticate(*message);
        if (!principal) co_return;
        subject_.principal = std::move(*principal);
        ticket_.authenticated();
        if (home_.shared.limiter->in_reserve() &&
            !configuration_->config->admins.has(subject_.principal)) {
            refuse(plain(sqlstate::too_many_connections,
                         "remaining connection slots are reserved for admins",
                         "Close idle connections, or use a pool."),
                   "too many connections");
            co_return;
        }
        login_deadline_ = steady_clock::time_point::max();
        if (message->database == console_name) {
            co_await run_console();
            co_return;
        }
        const auto* const target = find_target(*message);
        if (target == nullptr) co_return;
        target_name_ = target->name;
        subject_.target = target_name_;
        recorded_start_ = true;
        auto start = session_record("session.start");
        if (settings_.replication != replication_mode::none)
            start.with("replication",
                       settings_.replication == replication_mode::logical ? "logical" : "physical");
        home_.shared.audit->append(std::move(start), {});
        if (!co_await admit()) co_return;
        // Waiting at the door takes its time: the target is where the files of now have it.
        configuration_ = home_.current;
        const auto there = configuration_->config->targets.find(target_name_);
        if (there == configuration_->config->targets.end()) {
            refuse(plain(sqlstate::invalid_catalog_name,
                         "target \"" + target_name_ + "\" exists no longer",
                         "It was taken out of Sallyport's configuration meanwhile."),
                   "unknown target");
            co_return;
        }
        if (!co_await connect(there->second)) co_return;
    } catch (const boost::system::system_error& e) {
        end(phase_ == phase::login ? "left during the login" : "client closed", {});
    } catch (const std::exception& e) {
        const log_ids about(id_.value);
        spdlog::error("session {}: {}", id_.value, e.what());
        end("internal error", fatal_frame(plain(sqlstate::internal_error, "internal error",
                                                "The proxy's log has more.")));
    }
}

// TLS, versions, and the packets without a tag
// -----------------------------------------------------------

asio::awaitable<std::string> session::read_startup_packet() {
    std::string packet;
    co_await read_exactly(client_, packet, 4);
    const auto bytes = protocol::startup_packet_bytes(packet);
    if (!bytes) co_return std::string();  // no PostgreSQL client: nothing to say to it
    co_await read_exactly(client_, packet, *bytes - 4);
    co_return packet;
}

asio::awaitable<bool> session::answer_ssl_request() {
    const auto tls = configuration_->server_tls;
    if (!tls) {
        co_await send("N");
        co_return true;
    }
    if (client_.buffered_plain_bytes() > 0) {
        refuse(plain(sqlstate::protocol_violation, "received unencrypted data after SSL request"),
               "bytes stuffed behind an SSLRequest");
        co_return false;
    }
    co_await send("S");
    client_.start_tls_server(tls);
    const auto why = co_await handshake(client_);
    if (!why.empty()) {
        const log_ids about(id_.value);
        spdlog::info("session {}: TLS with {} failed: {}", id_.value, subject_.address,
                     backend::sanitize_text(why, 200));
        end("TLS failed", {});
        co_return false;
    }
    co_return true;
}

asio::awaitable<void> session::answer_cancel(protocol::cancel_request request) {
    // Answered by closing, once the server has been told; a wrong key by closing, too.
    asio::steady_timer told(home_.io, std::chrono::seconds(6));
    const auto self = shared_from_this();
    const bool known =
        home_.shared.cancels->cancel(request.process_id, request.key, [self, &told]() {
            asio::post(self->home_.io, [self, &told] {
                if (self->phase_ == phase::login) told.cancel();
            });
        });
    wipe(request.key);
    if (known) {
        boost::system::error_code ec;
        co_await told.async_wait(asio::redirect_error(use_awaitable, ec));
    }
    end("cancel request", {});
}

asio::awaitable<std::optional<protocol::startup_message>> session::negotiate() {
    bool asked_ssl = false;
    bool asked_gss = false;
    if (!co_await accept_direct_tls()) co_return std::nullopt;
    for (;;) {
        const auto packet = co_await read_startup_packet();
        if (packet.empty()) {
            end("no startup packet", {});
            co_return std::nullopt;
        }
        auto decoded = protocol::decode_startup(packet);
        if (!decoded) {
            const bool no_user = decoded.error() == protocol::errc::missing_user;
            refuse(plain(no_user ? sqlstate::invalid_authorization : sqlstate::protocol_violation,
                         "invalid startup packet: " + decoded.error().message()),
                   "invalid startup packet");
            co_return std::nullopt;
        }
        if (auto* cancel = std::get_if<protocol::cancel_request>(&*decoded)) {
            co_await answer_cancel(std::move(*cancel));
            co_return std::nullopt;
        }
        if (std::holds_alternative<protocol::ssl_request>(*decoded)) {
            if (asked_ssl || client_.is_tls()) {
                refuse(repeated_request(protocol::ssl_request_code), "a second SSLRequest");
                co_return std::nullopt;
            }
            asked_ssl = true;
            if (!co_await answer_ssl_request()) co_return std::nullopt;
            continue;
        }
        if (std::holds_alternative<protocol::gssenc_request>(*decoded)) {
            if (asked_gss || client_.is_tls()) {
                refuse(repeated_request(protocol::gssenc_request_code), "a second GSSENCRequest");
                co_return std::nullopt;
            }
            asked_gss = true;
            if (client_.buffered_plain_bytes() > 0) {
                refuse(plain(sqlstate::protocol_violation,
                             "received unencrypted data after GSSAPI encryption request"),
                       "bytes stuffed behind a GSSENCRequest");
                co_return std::nullopt;
            }
            co_await send("N");
            continue;
        }
        if (const auto* v = std::get_if<protocol::unsupported_version>(&*decoded)) {
            refuse(plain(sqlstate::feature_not_supported,
                         "unsupported frontend protocol " + std::to_string(v->major) + "." +
                             std::to_string(v->minor) + ": Sallyport supports 3.0 and 3.2"),
                   "unsupported protocol version");
            co_return std::nullopt;
        }
        co_return std::move(std::get<protocol::startup_message>(*decoded));
    }
}

asio::awaitable<std::optional<policy::principal>> session::authenticate(
    const protocol::startup_message& m) {
    home_.refresh();
    configuration_ = home_.current;  // its users may be others than those of its accept
    const auto tls = configuration_->server_tls;
    const bool mutual = tls && tls->mode() == net::server_tls_mode::mutual;
    target_name_ = backend::sanitize_text(m.database, 63);
    subject_.principal.name = m.user;
    if (tls && !client_.is_tls() && (mutual || tls->mode() == net::server_tls_mode::require)) {
        record_login(false, "TLS required");
        refuse(plain(sqlstate::invalid_authorization, "this port requires TLS",
                     "Connect with sslmode=require or stricter."),
               "TLS required");
        co_return std::nullopt;
    }
    protocol_version_ = m.spoken_version();
    if (m.needs_negotiation()) {
        const auto extensions = m.protocol_extensions();
        backend::negotiate_protocol_version v;
        v.newest_version = protocol_version_;
        for (const auto& e : extensions)
            v.unrecognized.emplace_back(e);
        std::string frame;
        v.encode(frame);
        co_await send(std::move(frame));
    }
    settings_ = sort_parameters(m);
    subject_.application = backend::sanitize_text(settings_.application, 63);
    const auto now = home_.shared.time->now();
    const auto wait = home_.shared.failures->retry_after(subject_.address, m.user, now);
    if (wait.count() > 0) {
        record_login(false, "too many failures");
        refuse(plain(sqlstate::invalid_password, "too many failed logins; try again later",
                     "Wait a minute."),
               "too many failures");
        co_return std::nullopt;
    }
    auth::login_request request;
    request.user = m.user;
    request.now = now;
    request.certificate_required = mutual;
    const auto binding = configuration_->config->postgres.channel_binding;
    request.binding_required = binding == auth::channel_binding::require;
    if (const auto* info = client_.tls()) {
        request.certificate = auth::certificate_identity{info->verified, info->subject};
        if (binding != auth::channel_binding::off) request.end_point = info->end_point;
    }
    auth::authenticator machine(configuration_->users, home_.shared.mock_secret,
                                std::move(request));
    auto step = machine.start();
    std::string buffer;
    while (step.what == auth::login_step::kind::send) {
        co_await send(std::move(step.bytes));
        buffer.clear();
        co_await read_exactly(client_, buffer, protocol::frame_header_bytes);
        const auto scan = protocol::try_read_header(buffer, protocol::frontend_limits);
        if (scan.error != protocol::errc::ok || scan.header.tag != 'p') {
            record_login(false, "protocol violation");
            refuse(plain(sqlstate::protocol_violation,
                         "expected a password message during authentication"),
                   "protocol violation");
            co_return std::nullopt;
        }
        co_await read_exactly(client_, buffer, scan.header.body_bytes());
        step = machine.step(std::string_view(buffer).substr(protocol::frame_header_bytes));
        wipe(buffer);
    }
    if (step.what == auth::login_step::kind::refused) {
        home_.shared.failures->failed(subject_.address, m.user, now);
        record_login(false, step.reason);
        refuse({step.sqlstate, step.message, "", ""}, "login refused");
        co_return std::nullopt;
    }
    home_.shared.failures->succeeded(subject_.address, m.user);
    subject_.principal = step.principal;
    record_login(true, step.method);
    co_await send(std::move(step.bytes));
    if (!settings_.fault.empty()) {
        refuse(plain(sqlstate::insufficient_privilege, settings_.fault, settings_.hint),
               "startup parameter refused");
        co_return std::nullopt;
    }
    co_return step.principal;
}

// The upstream, and the first ReadyForQuery
// --------------------------------------------------------------

/// The target that the client named; null after the refusal. Physical replication is of the whole
/// server: its clients name no database, or `replication`.
const target_settings* session::find_target(const protocol::startup_message& m) {
    const auto& targets = configuration_->config->targets;
    const bool unnamed = settings_.replication == replication_mode::physical &&
                         (m.find("database") == nullptr || m.database == "replication");
    if (unnamed && settings_.target.empty() && !targets.contains(m.database)) {
        if (targets.size() == 1) return &targets.begin()->second;
        refuse(plain(sqlstate::invalid_catalog_name,
                     "a physical replication connection must say which target it is for",
                     "Set PGOPTIONS=\"-c sallyport.target=NAME\"."),
               "unknown target");
        return nullptr;
    }
    const auto& name = settings_.target.empty() ? m.database : settings_.target;
    const auto target = targets.find(name);
    if (target != targets.end()) return &target->second;
    refuse(plain(sqlstate::invalid_catalog_name,
                 "target \"" + backend::sanitize_text(name, 63) + "\" does not exist",
                 "Targets are named in Sallyport's configuration; the database "
                 "\"sallyport\" is the console."),
           "unknown target");
    return nullptr;
}

// A number of ours, above any process id of a server.
std::uint32_t session::own_number() const noexcept {
    constexpr std::uint32_t own_number_bit = 0x4000'0000u;
    return own_number_bit | static_cast<std::uint32_t>(id_.value & 0x3fff'ffffu);
}

void session::send_key(std::uint32_t number, std::string& out) {
    if (key_number_ != 0) return;  // one key for a session's life
    key_number_ = number;
    const std::weak_ptr<session> weak = shared_from_this();
    auto& io = home_.io;
    const std::size_t secret_bytes =
        protocol_version_ == protocol::protocol_3_2 ? long_secret_bytes : short_secret_bytes;
    const auto secret = home_.shared.cancels->add(
        number, id_, secret_bytes, [weak, &io](std::function<void()> done) {
            asio::post(io, [weak, done = std::move(done)] {
                if (const auto self = weak.lock())
                    self->cancel_requested(done);
                else
                    done();
            });
        });
    backend::backend_key_data{number, secret}.encode(out);
}

/// The login at a target that this session has: all of its connections there are the same role's.
upstream_request session::upstream_login_for(const target_settings& t) const {
    upstream_request request;
    request.target = &t;
    request.configuration = configuration_;
    request.role = t.login.as_client ? subject_.principal.name : t.login.user;
    return request;
}

asio::awaitable<bool> session::connect(const target_settings& t) {
    phase_ = phase::connecting;
    login_deadline_ = steady_clock::now() + t.connect_timeout;
    auto request = upstream_login_for(t);
    request.parameters = settings_.upstream;
    request.options = settings_.options;
    // What RESET ROLE and DISCARD ALL go back to, too.
    if (!t.unapproved_role.empty()) request.options.push_back({"role", t.unapproved_role});
    std::optional<refusal> failed;
    upstream_login login;
    try {
        login = co_await connect_upstream(home_.shared, std::move(request), server_);
    } catch (const upstream_failure& f) {
        failed = f.why;
    }
    if (phase_ != phase::connecting) co_return false;
    if (failed) {
        const log_ids about(id_.value);
        spdlog::warn("session {}: {}", id_.value, failed->message);
        home_.shared.upstreams.failed(t.name);
        refuse(*failed, "no upstream");
        co_return false;
    }
    home_.shared.upstreams.reached(t.name);
    home_.counters.sessions_begun.add();
    server_endpoint_ = login.endpoint;
    server_tls_ = server_->is_tls();
    server_pid_ = login.process_id;
    server_key_ = std::move(login.key);
    if (!still_admitted()) co_return false;
    std::string greeting = std::move(login.status_frames);
    send_key(login.process_id != 0 ? login.process_id : own_number(), greeting);
    backend::ready_for_query{}.encode(greeting);
    co_await send(std::move(greeting));
    if (phase_ != phase::connecting) co_return false;
    login_deadline_ = steady_clock::time_point::max();
    if (!still_admitted()) co_return false;
    begin_pumps(login);
    co_return true;
}

}  // namespace sallyport::proxy::session
