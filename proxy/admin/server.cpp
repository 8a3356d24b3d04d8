#include "proxy/admin/server.h"

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "proxy/admin/connection.h"

namespace sallyport::proxy::admin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using tls_context_ptr = std::shared_ptr<asio::ssl::context>;

constexpr std::size_t blocking_threads = 2;
constexpr std::size_t blocking_waiting_max = 64;
constexpr std::size_t connections_per_address_max = 64;
constexpr auto stop_grace = std::chrono::seconds(2);

std::string place(const server_options& o) {
    const bool six = o.address.find(':') != std::string::npos;
    return (six ? "[" + o.address + "]" : o.address) + ":" + std::to_string(o.port);
}

[[noreturn]] void cannot_listen(const server_options& o, const std::string& cause,
                                const std::string& next) {
    throw std::runtime_error("cannot listen for the admin API on " + place(o) + ": " + cause +
                             "; " + next);
}

/// Takes HTTP/1.1 and nothing else from a client that offers protocols by ALPN, so that a client of
/// another protocol cannot be talked into reading our answers as its own.
int select_http(SSL*, const unsigned char** out, unsigned char* out_length,
                const unsigned char* offered, unsigned offered_length, void*) {
    static constexpr unsigned char wanted[] = "\x08http/1.1";
    for (unsigned at = 0; at + 1 <= offered_length;) {
        const unsigned length = offered[at];
        if (at + 1 + length > offered_length) break;
        if (length == 8 && std::equal(wanted + 1, wanted + 9, offered + at + 1)) {
            *out = offered + at + 1;
            *out_length = 8;
            return SSL_TLSEXT_ERR_OK;
        }
        at += 1 + length;
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// Asks every client for a certificate of this authority.
void demand_certificates(asio::ssl::context& context, const std::string& client_ca) {
    auto* const native = context.native_handle();
    error_code error;
    context.load_verify_file(client_ca, error);
    if (error)
        throw std::runtime_error("cannot read client_ca " + client_ca + ": " + error.message() +
                                 "; it must be a PEM file of certificates");
    if (auto* names = SSL_load_client_CA_file(client_ca.c_str()); names != nullptr)
        SSL_CTX_set_client_CA_list(native, names);
    SSL_CTX_set_verify(native, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    // A resumed session would bring the certificate of an earlier handshake, unverified now.
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(native, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(native, 0);
}

tls_context_ptr make_tls(const std::string& certificate, const std::string& key,
                         const std::string& client_ca) {
    if (certificate.empty()) return nullptr;
    auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
    auto* const native = context->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_alpn_select_cb(native, select_http, nullptr);
    // Without this an encrypted key would ask on the terminal of a service.
    context->set_password_callback(
        [](std::size_t, asio::ssl::context::password_purpose) { return std::string(); });
    error_code error;
    context->use_certificate_chain_file(certificate, error);
    if (error)
        throw std::runtime_error("cannot read the admin certificate " + certificate + ": " +
                                 error.message() + "; it must be a PEM chain");
    context->use_private_key_file(key, asio::ssl::context::pem, error);
    if (error)
        throw std::runtime_error("cannot read the admin key " + key + ": " + error.message() +
                                 "; it must be the certificate's, in PEM");
    if (!client_ca.empty()) demand_certificates(*context, client_ca);
    ERR_clear_error();
    return context;
}

asio::ip::address parse_address(const server_options& o) {
    error_code error;
    const auto address =
        asio::ip::make_address(o.address == "localhost" ? "127.0.0.1" : o.address, error);
    if (error) cannot_listen(o, "this is no IP address", "set listen.admin.address to one");
    if (!address.is_loopback() && !o.tls.on() && !o.plain_beyond_loopback)
        cannot_listen(o, "passwords would cross the network in the clear",
                      "set listen.admin.tls, or listen on 127.0.0.1");
    return address;
}

std::string text_of(const tcp::endpoint& peer) {
    const auto address = peer.address();
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
    return address.to_string();
}

}  // namespace

struct server::impl {
    impl(server_options o, dependencies d, event_hub& e)
        : options(std::move(o)),
          loop(std::make_shared<asio::io_context>(1)),
          acceptor(*loop),
          grace(*loop),
          blocking(blocking_threads),
          events(e) {
        const auto address = parse_address(options);
        tls = make_tls(options.tls.certificate, options.tls.key, options.tls.client_ca);
        auto context = std::make_shared<api_context>();
        context->options.tls = options.tls.on();
        context->options.loopback = address.is_loopback();
        context->options.address = options.address;
        context->options.url = options.url;
        context->options.mutual = !options.tls.client_ca.empty();
        context->set_access(options.access);
        if (d.tokens.load) context->tokens.load(d.tokens.load());
        context->business = std::make_shared<desk>(std::move(d));
        context->run_blocking = [this](std::function<void()> f) {
            return run_blocking(std::move(f));
        };
        handler = std::make_unique<api>(std::move(context));
        listen(address);
    }

    void listen(const asio::ip::address& address) {
        error_code error;
        const tcp::endpoint at(address, options.port);
        acceptor.open(at.protocol(), error);
        if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
        if (!error) acceptor.bind(at, error);
        if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
        if (error == asio::error::address_in_use)
            cannot_listen(options, "the port is in use",
                          "stop what uses it, or set listen.admin.port to another one");
        if (error)
            cannot_listen(options, error.message(),
                          "set listen.admin to an address and port of this machine");
        port = acceptor.local_endpoint().port();
    }

    bool run_blocking(std::function<void()> f) {
        if (blocking_waiting.fetch_add(1) >= blocking_waiting_max) {
            blocking_waiting.fetch_sub(1);
            return false;
        }
        asio::post(blocking, [this, f = std::move(f)] {
            f();
            blocking_waiting.fetch_sub(1);
        });
        return true;
    }

    connection_owner owner() {
        connection_owner o;
        o.loop = loop;
        o.options = &options;
        o.handler = handler.get();
        o.events = &events;
        o.event_streams = &event_streams;
        o.streams_of = &streams_of;
        o.stopping = &stopping;
        return o;
    }

    asio::awaitable<void> accept() {
        asio::steady_timer pause(*loop);
        while (!stopping) {
            error_code error;
            auto socket =
                co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
            if (stopping || error == asio::error::operation_aborted) break;
            if (error) {
                // Out of descriptors, most likely: others must close first.
                pause.expires_after(std::chrono::milliseconds(100));
                co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
                continue;
            }
            try {
                admit(std::move(socket));
            } catch (const std::exception&) {
                // No memory for one more; that client is hung up on, the others live on.
            }
        }
    }

    void admit(tcp::socket socket) {
        error_code error;
        const auto peer = socket.remote_endpoint(error);
        if (error || connections.size() >= options.connections_max) return;
        const auto address = text_of(peer);
        const auto from_there = per_address.find(address);
        if (!peer.address().is_loopback() && from_there != per_address.end() &&
            from_there->second >= connections_per_address_max)
            return;
        socket.set_option(tcp::no_delay(true), error);
        tls_context_ptr now;
        {
            const std::scoped_lock lock(tls_mutex);
            now = tls;
        }
        auto made =
            std::make_shared<connection>(std::move(socket), std::move(now), address, owner());
        connections.insert(made);
        ++per_address[address];
        asio::co_spawn(*loop, run(made), asio::detached);
    }

    asio::awaitable<void> run(std::shared_ptr<connection> one) {
        co_await one->run();
        const auto count = per_address.find(one->address());
        if (count != per_address.end() && --count->second == 0) per_address.erase(count);
        connections.erase(one);
        if (stopping && connections.empty()) grace.cancel();
    }

    asio::awaitable<void> wind_down() {
        stopping = true;
        error_code ignored;
        acceptor.close(ignored);
        const auto live = connections;
        for (const auto& c : live)
            c->close(connection::how::when_idle);
        if (connections.empty()) co_return;
        grace.expires_after(stop_grace);
        co_await grace.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        const auto left = connections;
        for (const auto& c : left)
            c->close(connection::how::now);
    }

    server_options options;
    std::shared_ptr<asio::io_context> loop;
    tcp::acceptor acceptor;
    asio::steady_timer grace;
    asio::thread_pool blocking;
    std::atomic<std::size_t> blocking_waiting{0};
    event_hub& events;
    std::unique_ptr<api> handler;
    std::mutex tls_mutex;
    tls_context_ptr tls;
    std::uint16_t port = 0;
    std::thread thread;
    // Of the loop's thread alone.
    std::set<std::shared_ptr<connection>> connections;
    std::map<std::string, std::size_t> per_address;
    std::size_t event_streams = 0;
    std::map<std::string, std::size_t> streams_of;  // by person
    bool stopping = false;
};

server::server(server_options options, dependencies d, event_hub& events)
    : impl_(std::make_shared<impl>(std::move(options), std::move(d), events)) {}

server::~server() {
    stop();
}

void server::start() {
    if (impl_->thread.joinable()) return;
    asio::co_spawn(*impl_->loop, impl_->accept(), asio::detached);
    impl_->thread = std::thread([loop = impl_->loop] { loop->run(); });
}

void server::stop() {
    if (impl_->thread.joinable()) {
        auto* const i = impl_.get();
        asio::post(*i->loop, [i] { asio::co_spawn(*i->loop, i->wind_down(), asio::detached); });
        i->thread.join();
    }
    impl_->blocking.join();
}

std::uint16_t server::port() const noexcept {
    return impl_->port;
}

std::string server::reload_tls(const std::string& certificate, const std::string& key,
                               const std::string& client_ca) {
    if (!impl_->options.tls.on()) return {};
    try {
        if (client_ca.empty() != impl_->options.tls.client_ca.empty())
            return "the admin listener can begin or cease to ask for client certificates only with "
                   "a restart";
        auto fresh = make_tls(certificate, key, client_ca);
        const std::scoped_lock lock(impl_->tls_mutex);
        impl_->tls = std::move(fresh);
        return {};
    } catch (const std::exception& e) {
        return e.what();
    }
}

void server::set_access(access_settings a) {
    impl_->handler->context().set_access(std::move(a));
}

void server::set_ready(bool ready) noexcept {
    impl_->handler->context().ready.store(ready);
}

}  // namespace sallyport::proxy::admin
