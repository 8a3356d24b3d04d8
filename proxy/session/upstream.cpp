#include "proxy/session/upstream.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/thread_pool.hpp>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/frontend.h"
#include "protocol/sqlstate.h"
#include "proxy/auth/scram.h"
#include "proxy/session/wire.h"

namespace sallyport::proxy::session {

namespace backend = protocol::backend;
namespace frontend = protocol::frontend;
namespace asio = net::asio;

namespace {

constexpr std::size_t login_message_bytes_max = 64u << 10;
constexpr std::size_t login_messages_max = 1'000;  // a server that never gets ready is refused

[[noreturn]] void fail(const target_settings& t, const std::string& what,
                       std::string_view state = protocol::sqlstate::connection_failure) {
    throw upstream_failure{{std::string(state), "target " + t.name + ": " + what,
                            "target=" + t.name,
                            "The database behind the proxy cannot be used now; tell its admins."}};
}

awaitable<std::unique_ptr<net::stream>> dial(const target_settings& t) {
    const auto executor = co_await asio::this_coro::executor;
    boost::system::error_code ec;
    net::tcp::socket socket(executor);
    const auto address = asio::ip::make_address(t.host, ec);
    if (!ec) {
        co_await socket.async_connect({address, t.port}, asio::redirect_error(use_awaitable, ec));
    } else {
        net::tcp::resolver resolver(executor);
        const auto found = co_await resolver.async_resolve(t.host, std::to_string(t.port),
                                                           asio::redirect_error(use_awaitable, ec));
        if (ec) fail(t, "its host name cannot be resolved: " + ec.message());
        co_await asio::async_connect(socket, found, asio::redirect_error(use_awaitable, ec));
    }
    if (ec == asio::error::operation_aborted) throw boost::system::system_error(ec);
    if (ec) fail(t, "cannot connect: " + ec.message());
    co_return std::make_unique<net::stream>(std::move(socket));
}

/// Begins TLS as the target's settings say. Returns "" when it is done (or left out, where mode
/// prefer allows that), else why not.
awaitable<std::string> begin_tls(net::stream& s, std::shared_ptr<const net::client_tls> tls,
                                 std::string host) {
    const bool direct = tls->options().negotiation == net::tls_negotiation::direct;
    if (!direct) {
        std::string request;
        protocol::encode_ssl_request(request);
        co_await write_all(s, request);
        std::string answer;
        co_await read_exactly(s, answer, 1);
        if (answer == "N") {
            if (tls->mode() == net::client_tls_mode::prefer) co_return std::string();
            co_return std::string("it does not offer TLS, and tls.mode is ") +
                net::to_string(tls->mode());
        }
        // Anything but S or N is no PostgreSQL server.
        if (answer != "S")
            co_return std::string("it answered the request for TLS with neither yes nor no");
        if (s.buffered_plain_bytes() > 0)
            co_return std::string("it sent bytes between its answer and the TLS handshake");
    }
    s.start_tls_client(tls, host);
    const auto why = co_await handshake(s);
    if (!why.empty()) co_return "TLS failed: " + backend::sanitize_text(why, 200);
    // Servers before PostgreSQL 17 name no protocol; whoever names one must name ours.
    const auto& alpn = s.tls()->alpn;
    if (alpn == "postgresql" || (alpn.empty() && !direct)) co_return std::string();
    co_return std::string("TLS failed: it does not agree on the protocol postgresql by ALPN") +
        (direct ? "; direct TLS needs PostgreSQL 17" : "");
}

awaitable<protocol::frame> read_frame(net::stream& s, const target_settings& t,
                                      std::string& buffer) {
    buffer.clear();
    co_await read_exactly(s, buffer, protocol::frame_header_bytes);
    const auto scan = protocol::try_read_header(buffer, protocol::backend_limits);
    if (scan.error != protocol::errc::ok || scan.header.frame_bytes() > login_message_bytes_max)
        fail(t, "it does not speak the PostgreSQL protocol");
    co_await read_exactly(s, buffer, scan.header.body_bytes());
    co_return protocol::frame{scan.header, buffer};
}

/// `proven`: the server has let us in, and now finds fault with what the session asks for.
void refuse_error(const target_settings& t, protocol::bytes body, bool proven) {
    const auto report = backend::error_response::decode(body);
    if (!report) fail(t, "it refused the login");
    const auto state = report->sqlstate();
    // A setting that the client itself gave, and its value: it is told what the server would have
    // told it. Nobody else can mend that.
    if (proven && (state == "22023" || state == "42704" || state == "55P02"))
        throw upstream_failure{{std::string(state), backend::sanitize_text(report->message(), 300),
                                backend::sanitize_text(report->detail(), 300),
                                backend::sanitize_text(report->hint(), 300)}};
    // What a client can act on keeps its code: too many connections, starting up, shutting down,
    // no such database.
    const bool kept = state.starts_with("53") || state.starts_with("57") || state == "3D000";
    fail(t, "the server refused the login: " + backend::sanitize_text(report->message(), 300),
         kept ? state : protocol::sqlstate::connection_failure);
}

/// The conversation until AuthenticationOk.
class upstream_auth {
  public:
    upstream_auth(services& shared, const upstream_request& r, net::stream& s)
        : shared_(shared), request_(r), target_(*r.target), stream_(s) {}

    /// True when the server is content.
    awaitable<bool> on_request(protocol::bytes body) {
        const auto decoded = backend::authentication::decode(body);
        if (!decoded) fail(target_, "it sent an authentication request that cannot be read");
        const auto& what = decoded->request;
        if (std::holds_alternative<backend::authentication_ok>(what)) {
            if (scram_ && !scram_->verified())
                fail(target_, "it let us in without proving that it knows the password");
            if (!asked_) demand(auth::method::none);
            co_return true;
        }
        asked_ = true;
        if (std::holds_alternative<backend::authentication_cleartext>(what)) {
            co_await send_cleartext();
        } else if (const auto* md5 = std::get_if<backend::authentication_md5>(&what)) {
            co_await send_md5(md5->salt);
        } else if (const auto* sasl = std::get_if<backend::authentication_sasl>(&what)) {
            co_await begin_scram(*sasl);
        } else if (const auto* more = std::get_if<backend::authentication_sasl_continue>(&what)) {
            co_await go_on(more->data);
        } else if (const auto* last = std::get_if<backend::authentication_sasl_final>(&what)) {
            if (!scram_ || scram_->server_final(last->data).status != auth::scram_status::done)
                fail(target_, "it could not prove that it knows the password");
        } else {
            fail(target_, "it asks for an authentication method that Sallyport does not have");
        }
        co_return false;
    }

  private:
    const secret& password() const {
        if (!target_.login.password)
            fail(target_, "it asks for a password, and none is configured (login.password_file)");
        return *target_.login.password;
    }
    awaitable<void> send(std::string frame) {
        co_await write_all(stream_, frame);
        wipe(frame);
    }
    /// What the server asks for must be what the target's settings allow.
    void demand(auth::method m) const {
        const bool bound = m == auth::method::scram_sha_256_plus;
        const bool binding = target_.channel_binding == auth::channel_binding::require;
        if (target_.require_auth.allows(m) && (bound || !binding)) return;
        const std::string asks = m == auth::method::none
                                     ? "it lets us in without authentication (none)"
                                     : std::string("it asks for the method ") + auth::to_string(m);
        fail(target_, asks + (binding ? ", and channel_binding is require"
                                      : ", and require_auth takes " + target_.require_auth.text() +
                                            " alone"));
    }
    awaitable<void> send_cleartext() {
        demand(auth::method::password);
        if (!stream_.is_tls() || stream_.tls() == nullptr || !stream_.tls()->verified)
            fail(target_,
                 "it asks for the password in clear, and its certificate is not verified "
                 "(tls.mode verify-full)");
        std::string frame;
        frontend::password{password().view()}.encode(frame);
        co_await send(std::move(frame));
    }
    awaitable<void> send_md5(protocol::bytes salt) {
        demand(auth::method::md5);
        std::array<std::uint8_t, 4> raw{};
        for (std::size_t i = 0; i < raw.size(); ++i)
            raw[i] = static_cast<std::uint8_t>(salt[i]);
        auto answer = auth::md5_response(password().view(), request_.role, raw);
        if (answer.empty()) fail(target_, "it asks for md5, which this build does not have");
        std::string frame;
        frontend::password{answer}.encode(frame);
        wipe(answer);
        co_await send(std::move(frame));
    }
    /// Of the mechanisms offered, the strongest that the settings and this connection allow; says
    /// by its flag what we think was offered, so that a list shortened on the way is found out.
    protocol::sasl::binding choose_binding(const backend::authentication_sasl& sasl) const {
        using protocol::sasl::binding;
        const auto offers = [&sasl](std::string_view name) {
            return std::find(sasl.mechanisms.begin(), sasl.mechanisms.end(), name) !=
                   sasl.mechanisms.end();
        };
        const bool plus = offers(protocol::sasl::scram_sha_256_plus);
        const auto* tls = stream_.tls();
        const bool wanted = target_.channel_binding != auth::channel_binding::off;
        const bool able = wanted && tls != nullptr && !tls->end_point.empty();
        if (able && plus) return binding::used;
        if (wanted && plus && tls == nullptr)
            fail(target_,
                 "it offers SCRAM-SHA-256-PLUS without TLS: TLS was taken away on the way");
        // Whoever is in the middle could show such a certificate to get rid of the binding.
        if (wanted && plus && !tls->verified)
            fail(target_,
                 "its certificate has no hash to bind to (Ed25519?) and is not verified; verify it "
                 "(tls.mode verify-full), or say channel_binding: off");
        if (!offers(protocol::sasl::scram_sha_256))
            fail(target_, "it does not offer SCRAM-SHA-256");
        return able ? binding::unadvertised : binding::none;
    }
    awaitable<void> begin_scram(const backend::authentication_sasl& sasl) {
        if (scram_) fail(target_, "it begins the login twice");
        const auto binding = choose_binding(sasl);
        const bool bound = binding == protocol::sasl::binding::used;
        demand(bound ? auth::method::scram_sha_256_plus : auth::method::scram_sha_256);
        std::shared_ptr<auth::scram_key_cache> keys;
        if (const auto at = request_.configuration->keys.find(target_.name);
            at != request_.configuration->keys.end())
            keys = at->second;
        scram_.emplace(password(), keys);
        scram_->set_binding(binding, bound ? stream_.tls()->end_point : std::string());
        const auto first = scram_->first();
        std::string frame;
        frontend::sasl_initial_response{
            bound ? protocol::sasl::scram_sha_256_plus : protocol::sasl::scram_sha_256,
            protocol::bytes(first)}
            .encode(frame);
        co_await send(std::move(frame));
    }
    awaitable<void> go_on(protocol::bytes data) {
        if (!scram_) fail(target_, "it continues a login that was not begun");
        const std::string copy(data);
        auth::scram_step step;
        if (scram_->cheap(copy)) {
            step = scram_->server_first(copy);
        } else {
            const auto home = co_await asio::this_coro::executor;
            co_await asio::post(asio::bind_executor(*shared_.blocking, use_awaitable));
            step = scram_->server_first(copy);
            co_await asio::post(asio::bind_executor(home, use_awaitable));
        }
        if (step.status != auth::scram_status::send)
            fail(target_, "SCRAM failed: " + backend::sanitize_text(step.cause, 200));
        std::string frame;
        frontend::sasl_response{step.data}.encode(frame);
        co_await send(std::move(frame));
    }

    services& shared_;
    const upstream_request& request_;
    const target_settings& target_;
    net::stream& stream_;
    std::optional<auth::scram_client> scram_;
    bool asked_ = false;  // the server wanted some proof of us
};

std::string startup_frame(const upstream_request& r) {
    auto parameters = r.parameters;
    if (!r.options.empty())
        parameters.push_back({"options", protocol::format_options_parameter(r.options)});
    std::string frame;
    protocol::encode_startup_message(frame, r.role, r.target->dbname, parameters);
    return frame;
}

}  // namespace

awaitable<upstream_login> connect_upstream(services& shared, upstream_request request,
                                           std::unique_ptr<net::stream>& into) {
    const auto& t = *request.target;
    into = co_await dial(t);
    auto& s = *into;
    s.set_options({});
    std::shared_ptr<const net::client_tls> tls;
    if (const auto at = request.configuration->client_tls.find(t.name);
        at != request.configuration->client_tls.end())
        tls = at->second;

    upstream_login login;
    boost::system::error_code ec;
    login.endpoint = s.socket().remote_endpoint(ec);
    try {
        if (tls) {
            const auto why = co_await begin_tls(s, tls, t.host);
            if (!why.empty()) fail(t, why);
        }
        co_await write_all(s, startup_frame(request));
        upstream_auth authentication(shared, request, s);
        std::string buffer;
        bool content = false;
        for (std::size_t n = 0;; ++n) {
            if (n == login_messages_max) fail(t, "its login does not come to an end");
            const auto f = co_await read_frame(s, t, buffer);
            const auto body = f.body();
            if (f.tag() == 'E') refuse_error(t, body, content);
            if (!content) {
                if (f.tag() == 'R')
                    content = co_await authentication.on_request(body);
                else if (f.tag() != 'N' && f.tag() != 'v')
                    fail(t, "it sent something else than an authentication request");
                continue;
            }
            if (f.tag() == 'S') {
                const auto p = backend::parameter_status::decode(body);
                if (!p) fail(t, "it sent a parameter that cannot be read");
                login.parameters.emplace_back(p->name, p->value);
                login.status_frames += f.whole;
            } else if (f.tag() == 'N') {
                login.status_frames += f.whole;
            } else if (f.tag() == 'K') {
                const auto k = backend::backend_key_data::decode(body);
                if (!k) fail(t, "it sent a cancel key that cannot be read");
                login.process_id = k->process_id;
                login.key = k->key;
            } else if (f.tag() == 'Z') {
                co_return login;
            } else {
                fail(t, "it sent something unexpected after the login");
            }
        }
    } catch (const boost::system::system_error& e) {
        if (e.code() == asio::error::operation_aborted || !s.is_open()) throw;
        fail(t, "the connection was lost during the login: " + e.code().message());
    }
}

awaitable<void> cancel_upstream(std::shared_ptr<const net::client_tls> tls, std::string host,
                                net::tcp::endpoint endpoint, protocol::cancel_request request) {
    try {
        const auto executor = co_await asio::this_coro::executor;
        net::tcp::socket socket(executor);
        co_await socket.async_connect(endpoint, use_awaitable);
        net::stream s(std::move(socket));
        // Over TLS or, with mode prefer, in clear where the server has none.
        if (tls && !(co_await begin_tls(s, tls, host)).empty()) co_return;
        std::string frame;
        protocol::encode_cancel_request(frame, request);
        co_await write_all(s, frame);
        wipe(frame);
        // The server closes once the signal is sent: only then may the next statement go.
        std::string nothing;
        co_await read_exactly(s, nothing, 1);
    } catch (const std::exception&) {
        // The cancel is best effort, as it is with PostgreSQL itself.
    }
}

awaitable<bool> terminate_upstream(services& shared, upstream_request request,
                                   std::uint32_t process_id, std::shared_ptr<net::stream> victim) {
    constexpr auto patience = std::chrono::seconds(5);
    const auto executor = co_await asio::this_coro::executor;
    auto connection = std::make_shared<std::unique_ptr<net::stream>>();
    asio::steady_timer limit(executor, patience);
    limit.async_wait([connection, victim](net::error_code ec) {
        if (ec) return;
        if (*connection) (*connection)->close();
        victim->close();
    });
    bool told = false;
    try {
        const auto& target = *request.target;
        static_cast<void>(co_await connect_upstream(shared, std::move(request), *connection));
        auto& s = **connection;
        const auto sql =
            "SELECT pg_catalog.pg_terminate_backend(" + std::to_string(process_id) + ")";
        std::string frame;
        frontend::query{sql}.encode(frame);
        co_await write_all(s, frame);
        std::string buffer;
        for (bool more = true; more;) {
            const auto f = co_await read_frame(s, target, buffer);
            told = told || f.tag() == 'D';
            more = f.tag() != 'Z' && f.tag() != 'E';
        }
        frame.clear();
        frontend::terminate{}.encode(frame);
        co_await write_all(s, frame);
    } catch (const std::exception&) {
        // Told or not: the caller has another way.
    } catch (const upstream_failure&) {
    }
    victim->close();
    co_return told;
}

}  // namespace sallyport::proxy::session
