#include "proxy/cli/http_client.h"

#include <algorithm>
#include <exception>
#include <optional>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>

namespace sallyport::proxy::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::use_awaitable;

constexpr std::size_t answer_bytes_max = 256U << 20U;

/// Parameters by value: a coroutine outlives what its caller's references may name.
struct errand {
    endpoint to;
    tls_files files;
    http_question question;
    std::chrono::seconds limit{};
};

template <class Stream>
asio::awaitable<http_answer> converse(Stream& stream, const errand& e) {
    http::request<http::string_body> out;
    out.version(11);
    out.method_string(e.question.method);
    out.target(e.question.path);
    out.set(http::field::host, e.to.host_header());
    out.set(http::field::user_agent, "sallyport");
    out.set(http::field::accept, "application/json");
    out.set(http::field::connection, "close");
    if (!e.question.token.empty())
        out.set(http::field::authorization, "Bearer " + e.question.token);
    if (e.question.method == "POST") {
        out.set(http::field::content_type, "application/json");
        out.body() = e.question.body.empty() ? "{}" : e.question.body;
    }
    out.prepare_payload();
    co_await http::async_write(stream, out, use_awaitable);
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> in;
    in.header_limit(64U << 10U);
    in.body_limit(answer_bytes_max);
    co_await http::async_read(stream, buffer, in, use_awaitable);
    http_answer answer;
    answer.status = in.get().result_int();
    answer.body = std::move(in.get().body());
    co_return answer;
}

asio::awaitable<http_answer> run(errand e) {
    const auto executor = co_await asio::this_coro::executor;
    asio::ip::tcp::resolver resolver(executor);
    const auto found = co_await resolver.async_resolve(e.to.host, e.to.port, use_awaitable);
    beast::tcp_stream plain(executor);
    plain.expires_after(e.limit);
    co_await plain.async_connect(found, use_awaitable);
    if (!e.to.tls) co_return co_await converse(plain, e);

    asio::ssl::context context(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
    if (e.files.ca.empty())
        context.set_default_verify_paths();
    else
        context.load_verify_file(e.files.ca);
    if (!e.files.certificate.empty()) {
        context.use_certificate_chain_file(e.files.certificate);
        context.use_private_key_file(e.files.key, asio::ssl::context::pem);
    }
    beast::ssl_stream<beast::tcp_stream> stream(std::move(plain), context);
    stream.set_verify_mode(asio::ssl::verify_peer);
    stream.set_verify_callback(asio::ssl::host_name_verification(e.to.host));
    // SNI takes names only; for an address the call would be a fault of ours.
    boost::system::error_code no_address;
    static_cast<void>(asio::ip::make_address(e.to.host, no_address));
    auto name = e.to.host;
    if (no_address)
        SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 name.data());
    co_await stream.async_handshake(asio::ssl::stream_base::client, use_awaitable);
    co_return co_await converse(stream, e);
}

failure explain(const endpoint& to, const boost::system::system_error& e) {
    const auto code = e.code();
    if (code.category() == asio::error::get_ssl_category())
        return {
            unreachable, to.url() + " has no certificate that can be trusted: " + code.message(),
            "Give the authority's certificate with --ca, and the name that the certificate has."};
    if (code == asio::error::connection_refused)
        return {unreachable, "nothing answers at " + to.url(),
                "Start the proxy with an admin listener, or give its address with --url."};
    if (code == beast::error::timeout)
        return {unreachable, to.url() + " does not answer in time", "Look at the proxy's log."};
    if (code == http::error::end_of_stream ||
        code.category() == http::make_error_code(http::error::end_of_stream).category())
        return {unreachable, to.url() + " does not speak HTTP as expected (" + code.message() + ")",
                "Check scheme and port of --url: is TLS on there?"};
    return {unreachable, "cannot reach " + to.url() + ": " + code.message(),
            "Check --url and the network between."};
}

}  // namespace

bool endpoint::loopback() const {
    if (host == "localhost") return true;
    boost::system::error_code error;
    const auto address = asio::ip::make_address(host, error);
    return !error && address.is_loopback();
}

std::string endpoint::host_header() const {
    const auto name = host.find(':') == std::string::npos ? host : "[" + host + "]";
    const bool usual = port == (tls ? "443" : "80");
    return usual ? name : name + ":" + port;
}

std::string endpoint::url() const {
    return (tls ? "https://" : "http://") + host_header();
}

endpoint parse_url(const std::string& url) {
    const auto wrong = [&] {
        return failure(usage, "\"" + url.substr(0, 200) + "\" is no address of an admin API",
                       "Write it like http://127.0.0.1:6480 or https://sallyport.example:6480.");
    };
    endpoint out;
    std::string rest;
    if (url.rfind("https://", 0) == 0) {
        out.tls = true;
        rest = url.substr(8);
    } else if (url.rfind("http://", 0) == 0) {
        rest = url.substr(7);
    } else {
        throw wrong();
    }
    if (!rest.empty() && rest.back() == '/') rest.pop_back();
    const auto colon = rest.rfind(':');
    const auto bracket = rest.rfind(']');
    const bool has_port =
        colon != std::string::npos && (bracket == std::string::npos || colon > bracket);
    out.port = has_port ? rest.substr(colon + 1) : (out.tls ? "443" : "80");
    out.host = has_port ? rest.substr(0, colon) : rest;
    if (out.host.size() > 2 && out.host.front() == '[' && out.host.back() == ']')
        out.host = out.host.substr(1, out.host.size() - 2);
    const bool digits = !out.port.empty() && out.port.size() <= 5 &&
                        out.port.find_first_not_of("0123456789") == std::string::npos;
    const bool named =
        !out.host.empty() && std::none_of(out.host.begin(), out.host.end(), [](unsigned char c) {
            return c <= ' ' || c >= 0x7F || c == '/' || c == '@' || c == '?' || c == '#' ||
                   c == '[' || c == ']';
        });
    if (!digits || !named) throw wrong();
    return out;
}

http_answer ask(const endpoint& to, const tls_files& files, const http_question& question,
                std::chrono::seconds limit) {
    std::optional<http_answer> answer;
    std::exception_ptr error;
    asio::io_context loop(1);
    asio::co_spawn(loop, run(errand{to, files, question, limit}),
                   [&](std::exception_ptr e, http_answer a) {
                       error = std::move(e);
                       answer = std::move(a);
                   });
    loop.run_for(limit + std::chrono::seconds(5));
    try {
        if (error) std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        throw explain(to, e);
    }
    if (!answer)
        throw failure(unreachable, to.url() + " does not answer in time",
                      "Look at the proxy's log.");
    return std::move(*answer);
}

}  // namespace sallyport::proxy::cli
