#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "proxy/net/stream.h"

/// Reading and writing whole things, for the phases in which one side waits for the other.
/// Not cancel-safe in the middle of a thing: close the stream.
namespace sallyport::proxy::session {

using net::asio::awaitable;
using net::asio::use_awaitable;

inline awaitable<void> wait_for(net::stream& s, net::io_status what) {
    if (what == net::io_status::want_write)
        co_await s.socket().async_wait(net::tcp::socket::wait_write, use_awaitable);
    else if (!s.has_pending())
        co_await s.socket().async_wait(net::tcp::socket::wait_read, use_awaitable);
}

[[noreturn]] inline void throw_io(const net::io_result& r) {
    if (r.status == net::io_status::eof)
        throw boost::system::system_error(
            boost::asio::error::make_error_code(boost::asio::error::eof));
    throw boost::system::system_error(boost::system::error_code(
        r.error.value() != 0 ? r.error.value() : ECONNRESET, boost::system::system_category()));
}

/// Appends exactly `bytes` to `into`.
inline awaitable<void> read_exactly(net::stream& s, std::string& into, std::size_t bytes) {
    const auto start = into.size();
    into.resize(start + bytes);
    std::size_t done = 0;
    while (done < bytes) {
        const auto r = s.read_some(
            std::as_writable_bytes(std::span(into.data() + start + done, bytes - done)));
        if (r.status == net::io_status::ok) {
            done += r.bytes;
            continue;
        }
        if (r.status == net::io_status::eof || r.status == net::io_status::error) {
            into.resize(start + done);
            throw_io(r);
        }
        co_await wait_for(s, r.status);
    }
}

inline awaitable<void> write_all(net::stream& s, std::string_view bytes) {
    while (!bytes.empty()) {
        const auto r = s.write_some(std::as_bytes(std::span(bytes.data(), bytes.size())));
        if (r.status == net::io_status::ok) {
            bytes.remove_prefix(r.bytes);
            continue;
        }
        if (r.status == net::io_status::eof || r.status == net::io_status::error) throw_io(r);
        co_await wait_for(s, r.status);
    }
}

/// Runs the TLS handshake to its end. Returns "" or why it failed.
inline awaitable<std::string> handshake(net::stream& s) {
    for (;;) {
        const auto h = s.handshake_step();
        if (h.status == net::io_status::ok) co_return std::string();
        if (h.status == net::io_status::error || h.status == net::io_status::eof)
            co_return h.text.empty() ? std::string("the connection was closed") : h.text;
        if (h.status == net::io_status::want_write)
            co_await s.socket().async_wait(net::tcp::socket::wait_write, use_awaitable);
        else
            co_await s.socket().async_wait(net::tcp::socket::wait_read, use_awaitable);
    }
}

}  // namespace sallyport::proxy::session
