#include "proxy/net/stream.h"

#include <array>
#include <string>

#include <boost/asio/ip/v6_only.hpp>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "tests/unit/net/loopback.h"

namespace sallyport::proxy::net {
namespace {

using namespace testing;

class stream_test : public ::testing::Test {
  protected:
    asio::io_context io_{1};
    stream_pair pair_{io_};
};

TEST_F(stream_test, bytes_written_at_one_end_are_read_at_the_other) {
    ASSERT_TRUE(write_all(pair_.client, "hello"));

    const auto [text, status] = read_bytes(pair_.server, 5);

    EXPECT_EQ(status, io_status::ok);
    EXPECT_EQ(text, "hello");
}

TEST_F(stream_test, reading_without_bytes_asks_to_wait) {
    std::array<std::byte, 8> buffer{};

    const auto r = pair_.server.read_some(buffer);

    EXPECT_EQ(r.status, io_status::want_read);
    EXPECT_EQ(r.bytes, 0u);
}

TEST_F(stream_test, writing_to_a_full_socket_asks_to_wait_and_never_blocks) {
    const std::string block(1 << 20, 'x');
    io_result r;

    for (int i = 0; i < 1000 && r.status != io_status::want_write; ++i) {
        r = pair_.client.write_some(as_bytes(block));
        ASSERT_NE(r.status, io_status::error);
        ASSERT_NE(r.status, io_status::eof);
    }

    EXPECT_EQ(r.status, io_status::want_write);
}

TEST_F(stream_test, shutdown_of_writing_is_end_of_file_at_the_other_end_which_can_still_answer) {
    ASSERT_TRUE(write_all(pair_.client, "bye"));
    pair_.client.shutdown_write();

    EXPECT_EQ(read_bytes(pair_.server, 3).first, "bye");
    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::eof);
    ASSERT_TRUE(write_all(pair_.server, "ok"));
    EXPECT_EQ(read_bytes(pair_.client, 2).first, "ok");
}

TEST_F(stream_test, reset_by_the_peer_is_end_of_file) {
    pair_.client.socket().set_option(asio::socket_base::linger(true, 0));
    pair_.client.close();
    ASSERT_TRUE(wait_readable(pair_.server));

    EXPECT_EQ(read_bytes(pair_.server, 1).second, io_status::eof);
}

TEST_F(stream_test, writing_to_a_reset_peer_is_end_of_file_without_a_signal) {
    pair_.client.socket().set_option(asio::socket_base::linger(true, 0));
    pair_.client.close();
    ASSERT_TRUE(wait_readable(pair_.server));
    (void)pair_.server.write_some(as_bytes("x"));

    EXPECT_EQ(pair_.server.write_some(as_bytes("x")).status, io_status::eof);
}

TEST_F(stream_test, peer_that_left_is_seen_though_bytes_are_unread) {
    ASSERT_TRUE(write_all(pair_.client, "unread"));
    EXPECT_FALSE(pair_.server.peer_closed());

    pair_.client.close();
    pollfd p{pair_.server.socket().native_handle(), POLLRDHUP, 0};
    ASSERT_EQ(::poll(&p, 1, 5000), 1);

    EXPECT_TRUE(pair_.server.peer_closed());
    EXPECT_EQ(read_bytes(pair_.server, 6).first, "unread");
}

TEST_F(stream_test, bytes_behind_a_request_are_counted_and_peeked_without_taking_them) {
    EXPECT_EQ(pair_.server.buffered_plain_bytes(), 0u);
    EXPECT_FALSE(pair_.server.peek());
    ASSERT_TRUE(write_all(pair_.client, "\x16stuffed"));
    ASSERT_TRUE(wait_readable(pair_.server));

    EXPECT_EQ(pair_.server.buffered_plain_bytes(), 8u);
    EXPECT_EQ(pair_.server.peek(), std::byte{0x16});
    EXPECT_EQ(pair_.server.buffered_plain_bytes(), 8u);
}

TEST_F(stream_test, waiting_for_bytes_ends_when_they_come) {
    int calls = 0;
    pair_.server.async_wait_read([&](error_code ec) {
        EXPECT_FALSE(ec);
        ++calls;
    });
    io_.poll();
    EXPECT_EQ(calls, 0);

    ASSERT_TRUE(write_all(pair_.client, "x"));
    io_.restart();
    io_.run_for(std::chrono::seconds(5));

    EXPECT_EQ(calls, 1);
}

TEST_F(stream_test, waiting_again_with_bytes_left_unread_ends_at_once) {
    ASSERT_TRUE(write_all(pair_.client, "two"));
    int calls = 0;

    for (int i = 0; i < 2; ++i) {
        pair_.server.async_wait_read([&](error_code ec) { calls += ec ? 0 : 1; });
        io_.restart();
        io_.run_for(std::chrono::seconds(5));
        EXPECT_EQ(read_bytes(pair_.server, 1).first.size(), 1u);
    }

    EXPECT_EQ(calls, 2);
}

TEST_F(stream_test, closing_ends_a_wait_with_operation_aborted) {
    error_code seen;
    pair_.server.async_wait_read([&](error_code ec) { seen = ec; });

    pair_.server.close();
    io_.run_for(std::chrono::seconds(5));

    EXPECT_EQ(seen, asio::error::operation_aborted);
    EXPECT_FALSE(pair_.server.is_open());
    std::array<std::byte, 1> buffer{};
    EXPECT_EQ(pair_.server.read_some(buffer).status, io_status::error);
    EXPECT_TRUE(pair_.server.peer_closed());
    pair_.server.close();
}

TEST_F(stream_test, cancelled_wait_leaves_the_connection_usable) {
    error_code seen;
    pair_.server.async_wait_read([&](error_code ec) { seen = ec; });

    pair_.server.cancel_waits();
    io_.run_for(std::chrono::seconds(5));

    EXPECT_EQ(seen, asio::error::operation_aborted);
    ASSERT_TRUE(write_all(pair_.client, "x"));
    EXPECT_EQ(read_bytes(pair_.server, 1).first, "x");
}

TEST_F(stream_test, options_are_set_on_the_socket) {
    pair_.server.set_options({30, 5, 3, 9000});

    int value = 0;
    socklen_t size = sizeof value;
    const int fd = pair_.server.socket().native_handle();
    ASSERT_EQ(::getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size), 0);
    EXPECT_EQ(value, 1);
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    EXPECT_NE(value, 0);
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &size), 0);
    EXPECT_EQ(value, 30);
    ASSERT_EQ(::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &size), 0);
    EXPECT_EQ(value, 9000);
}

TEST_F(stream_test, peer_address_is_text_without_port_and_outlives_the_connection) {
    EXPECT_EQ(pair_.server.peer_address(), "127.0.0.1");
    EXPECT_NE(pair_.server.peer_port(), 0);
    pair_.server.close();
    EXPECT_EQ(pair_.server.peer_address(), "127.0.0.1");
}

TEST_F(stream_test, ipv4_peer_of_a_dual_stack_socket_is_shown_as_ipv4) {
    tcp::acceptor acceptor(io_);
    error_code ec;
    acceptor.open(tcp::v6(), ec);
    if (ec) GTEST_SKIP() << "no IPv6 here";
    acceptor.set_option(asio::ip::v6_only(false));
    // The mapped form of loopback: reachable over IPv4 and nowhere else.
    acceptor.bind({asio::ip::make_address("::ffff:127.0.0.1"), 0}, ec);
    if (ec) GTEST_SKIP() << "no mapped addresses here";
    acceptor.listen();
    tcp::socket near(io_);
    near.connect({asio::ip::address_v4::loopback(), acceptor.local_endpoint().port()});

    const stream far(acceptor.accept());

    EXPECT_EQ(far.peer_address(), "127.0.0.1");
}

TEST_F(stream_test, moved_stream_takes_the_connection_with_it) {
    stream moved(std::move(pair_.server));
    ASSERT_TRUE(write_all(pair_.client, "x"));
    EXPECT_EQ(read_bytes(moved, 1).first, "x");

    stream_pair other(io_);
    other.server = std::move(moved);
    ASSERT_TRUE(write_all(pair_.client, "y"));

    EXPECT_EQ(read_bytes(other.server, 1).first, "y");
    EXPECT_EQ(read_bytes(other.client, 1).second, io_status::eof);
}

}  // namespace
}  // namespace sallyport::proxy::net
