#include "proxy/notify/send.h"

#include <charconv>
#include <exception>
#include <memory>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

#include "proxy/visible.h"

namespace sallyport::proxy::notify {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;
using boost::system::error_code;

constexpr std::uint32_t header_bytes_max = 32U << 10U;
constexpr std::size_t answer_bytes_max = 4096;  // of a failure, to say why
constexpr std::size_t shown_max = 200;
constexpr std::chrono::hours longest_wait{1};

/// One that stands for an errand as long as it runs.
struct errand {
    posting what;
    webhook_url to;
};
using errand_ptr = std::shared_ptr<const errand>;

/// The request; its target is the secret part of the URL and stands nowhere else.
http::request<http::string_body> request_of(const errand& e) {
    http::request<http::string_body> out;
    out.version(11);
    out.method(http::verb::post);
    out.target(e.to.path);
    const auto host = e.to.shown();
    out.set(http::field::host, host.substr(host.find("//") + 2));
    out.set(http::field::user_agent, "Sallyport");
    out.set(http::field::content_type, "application/json");
    out.set(http::field::connection, "close");
    for (const auto& [name, value] : e.what.headers)
        out.set(name, value);
    out.body() = e.what.body;
    out.prepare_payload();
    return out;
}

policy::milliseconds retry_after(std::string_view text) {
    std::int64_t s = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), s);
    if (read.ec != std::errc{} || s <= 0) return {};
    return std::min<policy::milliseconds>(std::chrono::seconds(std::min<std::int64_t>(s, 86'400)),
                                          longest_wait);
}

template <class Stream>
asio::awaitable<posted> converse(Stream& stream, errand_ptr e) {
    auto out = request_of(*e);
    co_await http::async_write(stream, out, use_awaitable);
    beast::flat_buffer buffer(header_bytes_max + answer_bytes_max);
    http::response_parser<http::string_body> in;
    in.header_limit(header_bytes_max);
    in.body_limit(answer_bytes_max);
    co_await http::async_read_header(stream, buffer, in, use_awaitable);
    posted p;
    const auto status = in.get().result_int();
    p.ok = status >= 200 && status < 300;
    p.status = status;
    error_code ignored;  // what there is of a body, if there is one
    if (p.ok) {
        if (!e->what.read_answer) co_return p;
        co_await http::async_read(stream, buffer, in, asio::redirect_error(use_awaitable, ignored));
        p.body = in.get().body();
        co_return p;
    }
    p.wait_for = retry_after(in.get()[http::field::retry_after]);
    p.error = "it answered " + std::to_string(status);
    if (status >= 300 && status < 400) p.error += ", and redirects are not followed";
    co_await http::async_read(stream, buffer, in, asio::redirect_error(use_awaitable, ignored));
    const auto said =
        visible(std::string_view(in.get().body()).substr(0, shown_max), line_breaks::escape);
    if (!said.empty()) p.error += ": " + said;
    co_return p;
}

asio::awaitable<posted> over_tls(beast::tcp_stream plain, errand_ptr e) {
    asio::ssl::context context(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    if (e->what.to.ca.empty())
        context.set_default_verify_paths();
    else
        context.load_verify_file(e->what.to.ca);
    beast::ssl_stream<beast::tcp_stream> stream(std::move(plain), context);
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(asio::ssl::host_name_verification(e->to.host));
    error_code no_address;
    static_cast<void>(asio::ip::make_address(e->to.host, no_address));
    auto name = e->to.host;
    if (no_address)
        SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 name.data());
    co_await stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
    co_return co_await converse(stream, e);
}

asio::awaitable<posted> run(errand_ptr e) {
    const auto executor = co_await asio::this_coro::executor;
    const auto resolver = std::make_shared<asio::ip::tcp::resolver>(executor);
    asio::steady_timer limit(executor, e->what.timeout);
    limit.async_wait([weak = std::weak_ptr(resolver)](error_code cancelled) {
        const auto r = weak.lock();
        if (!cancelled && r) r->cancel();
    });
    const auto deadline = std::chrono::steady_clock::now() + e->what.timeout;
    const auto found = co_await resolver->async_resolve(e->to.host, e->to.port, use_awaitable);
    limit.cancel();
    beast::tcp_stream plain(executor);
    // Of everything that follows together.
    plain.expires_at(deadline);
    co_await plain.async_connect(found, use_awaitable);
    if (e->to.tls) co_return co_await over_tls(std::move(plain), e);
    co_return co_await converse(plain, e);
}

std::string explain(const error_code& code) {
    if (code == beast::error::timeout || code == asio::error::operation_aborted)
        return "no answer in time";
    if (code.category() == asio::error::get_ssl_category())
        return "its certificate cannot be trusted, or TLS failed: " + code.message();
    if (code == http::error::end_of_stream) return "it closed the connection without an answer";
    return code.message();
}

}  // namespace

void post_webhook(const asio::any_io_executor& on, posting p, std::function<void(posted)> done) {
    auto e = std::make_shared<errand>();
    if (!parse_webhook_url(p.to.url.view(), e->to))
        return done({false, "its URL cannot be read", {}});
    e->what = std::move(p);
    asio::co_spawn(on, run(std::move(e)),
                   [done = std::move(done)](const std::exception_ptr& error, posted result) {
                       try {
                           if (error) std::rethrow_exception(error);
                       } catch (const boost::system::system_error& x) {
                           result = {false, explain(x.code()), {}};
                       } catch (const std::exception&) {
                           result = {false, "the request could not be made", {}};
                       }
                       done(std::move(result));
                   });
}

}  // namespace sallyport::proxy::notify
