#pragma once

#include <algorithm>
#include <chrono>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <poll.h>

#include "proxy/net/asio.h"
#include "proxy/net/stream.h"

/// Two ends of one loopback connection, driven by hand.
namespace sallyport::proxy::net::testing {

inline std::span<const std::byte> as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// A connected pair of sockets.
inline std::pair<tcp::socket, tcp::socket> connected_sockets(asio::io_context& io) {
    tcp::acceptor acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    tcp::socket near(io);
    near.connect(acceptor.local_endpoint());
    tcp::socket far = acceptor.accept();
    return {std::move(near), std::move(far)};
}

struct stream_pair {
    explicit stream_pair(asio::io_context& io) : stream_pair(connected_sockets(io)) {}
    explicit stream_pair(std::pair<tcp::socket, tcp::socket> s)
        : client(std::move(s.first)), server(std::move(s.second)) {}
    stream client;
    stream server;
};

/// Waits (bounded) until the kernel says that the stream is readable; bytes over loopback take a
/// moment.
inline bool wait_readable(stream& s, int timeout_ms = 5000) {
    pollfd p{s.socket().native_handle(), POLLIN, 0};
    return s.has_pending() || ::poll(&p, 1, timeout_ms) == 1;
}

/// Steps both handshakes until both have ended; what each came to.
inline std::pair<handshake_result, handshake_result> shake_hands(stream& client, stream& server) {
    handshake_result c{io_status::want_read, {}};
    handshake_result s{io_status::want_read, {}};
    const auto running = [](const handshake_result& r) {
        return r.status == io_status::want_read || r.status == io_status::want_write;
    };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (running(c) || running(s)) {
        if (std::chrono::steady_clock::now() > deadline)
            throw std::runtime_error("handshake hangs");
        if (running(c)) c = client.handshake_step();
        if (running(s)) s = server.handshake_step();
        // A failed end hangs up, as its owner would.
        if (!running(c) && c.status != io_status::ok) client.close();
        if (!running(s) && s.status != io_status::ok) server.close();
    }
    return {c, s};
}

/// Writes everything, reading nothing; false if the peer does not take it.
inline bool write_all(stream& s, std::string_view text) {
    while (!text.empty()) {
        const auto r = s.write_some(as_bytes(text));
        if (r.status == io_status::want_write) {
            pollfd p{s.socket().native_handle(), POLLOUT, 0};
            if (::poll(&p, 1, 5000) != 1) return false;
            continue;
        }
        if (r.status != io_status::ok) return false;
        text.remove_prefix(r.bytes);
    }
    return true;
}

/// Reads until `size` bytes have come or something else happened.
inline std::pair<std::string, io_status> read_bytes(stream& s, std::size_t size,
                                                    std::size_t piece = 4096) {
    std::string got;
    while (got.size() < size) {
        std::string buffer(std::min(piece, size - got.size()), '\0');
        const auto r = s.read_some(std::as_writable_bytes(std::span(buffer)));
        if (r.status == io_status::want_read) {
            if (!wait_readable(s)) return {got, io_status::want_read};
            continue;
        }
        if (r.status != io_status::ok) return {got, r.status};
        got.append(buffer, 0, r.bytes);
    }
    return {got, io_status::ok};
}

}  // namespace sallyport::proxy::net::testing
