#include "proxy/net/listener.h"

#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace sallyport::proxy::net {
namespace {

class listener_test : public ::testing::Test {
  protected:
    [[nodiscard]] tcp::socket connect(std::uint16_t port) {
        tcp::socket s(io_);
        s.connect({asio::ip::address_v4::loopback(), port});
        return s;
    }
    // Runs the loop until `done` or a bound.
    template <class Done>
    void run_until(Done done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done() && std::chrono::steady_clock::now() < deadline) {
            io_.restart();
            io_.run_one_for(std::chrono::milliseconds(100));
        }
    }
    std::string what_of_listening(const listen_options& o) {
        try {
            const listener l(
                io_, o, [](tcp::socket) {}, nullptr);
            return "listens";
        } catch (const listen_error& e) {
            return e.what();
        }
    }

    asio::io_context io_{1};
    std::vector<tcp::socket> accepted_;
    std::vector<std::string> trouble_;
    listener::on_accept take_ = [this](tcp::socket s) { accepted_.push_back(std::move(s)); };
    listener::on_trouble note_ = [this](const std::string& text) { trouble_.push_back(text); };
};

TEST_F(listener_test, every_waiting_connection_is_handed_on) {
    const listener l(io_, {"127.0.0.1", 0, 512}, take_, note_);
    ASSERT_NE(l.port(), 0);
    std::vector<tcp::socket> clients;
    for (int i = 0; i < 150; ++i)
        clients.push_back(connect(l.port()));

    run_until([&] { return accepted_.size() == 150; });

    EXPECT_EQ(accepted_.size(), 150u);
    EXPECT_TRUE(trouble_.empty());
}

TEST_F(listener_test, workers_share_a_port) {
    const listener first(io_, {"127.0.0.1", 0, 16}, take_, note_);
    const listener second(io_, {"127.0.0.1", first.port(), 16}, take_, note_);

    std::vector<tcp::socket> clients;
    for (int i = 0; i < 8; ++i)
        clients.push_back(connect(first.port()));
    run_until([&] { return accepted_.size() == 8; });

    EXPECT_EQ(accepted_.size(), 8u);
}

TEST_F(listener_test, port_in_use_is_one_line_that_says_what_to_do) {
    tcp::acceptor other(io_, {asio::ip::address_v4::loopback(), 0});
    const auto port = other.local_endpoint().port();

    const auto what = what_of_listening({"127.0.0.1", port, 16});

    EXPECT_EQ(what, "cannot listen on 127.0.0.1 port " + std::to_string(port) +
                        ": Address already in use; something else listens there: stop it or choose "
                        "another port");
}

TEST_F(listener_test, port_of_another_proxy_is_found_though_it_could_be_shared) {
    const listener other(io_, {"127.0.0.1", 0, 16}, take_, note_);

    EXPECT_THROW(require_free_port({"127.0.0.1", other.port(), 16}), listen_error);
}

TEST_F(listener_test, free_port_is_free_afterwards_too) {
    std::uint16_t port = 0;
    {
        const listener l(io_, {"127.0.0.1", 0, 16}, take_, note_);
        port = l.port();
    }
    require_free_port({"127.0.0.1", port, 16});

    EXPECT_EQ(what_of_listening({"127.0.0.1", port, 16}), "listens");
}

TEST_F(listener_test, address_that_is_none_is_refused) {
    EXPECT_NE(what_of_listening({"example", 0, 16}).find("not an IP address"), std::string::npos);
    EXPECT_NE(what_of_listening({"192.0.2.1", 1, 16}).find("does not have that address"),
              std::string::npos);
}

TEST_F(listener_test, stopped_listener_refuses_connections) {
    listener l(io_, {"127.0.0.1", 0, 16}, take_, note_);
    const auto port = l.port();
    l.stop();
    l.stop();

    tcp::socket s(io_);
    error_code ec;
    s.connect({asio::ip::address_v4::loopback(), port}, ec);

    EXPECT_EQ(ec, asio::error::connection_refused);
}

TEST_F(listener_test, callback_may_stop_the_listener) {
    std::unique_ptr<listener> l;
    int count = 0;
    l = std::make_unique<listener>(
        io_, listen_options{"127.0.0.1", 0, 16},
        [&](tcp::socket) {
            ++count;
            l.reset();
        },
        note_);
    auto a = connect(l->port());
    auto b = connect(l->port());

    run_until([&] { return count > 0; });
    io_.restart();
    io_.poll();

    EXPECT_EQ(count, 1);
}

// Plain locals and a first round before the limit: UBSan needs descriptors of its own to check the
// type of an object that it sees for the first time.
TEST(listener_limits_test,
     no_more_descriptors_is_told_once_and_accepting_goes_on_when_there_are_some) {
    asio::io_context io(1);
    std::vector<tcp::socket> accepted;
    std::vector<std::string> trouble;
    const listener l(
        io, {"127.0.0.1", 0, 16}, [&](tcp::socket s) { accepted.push_back(std::move(s)); },
        [&](const std::string& text) { trouble.push_back(text); });
    asio::steady_timer timer(io);
    timer.expires_after(std::chrono::milliseconds(1));
    timer.async_wait([](error_code) {});
    const tcp::endpoint to(asio::ip::address_v4::loopback(), l.port());
    const auto run_until = [&](auto done) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        while (!done() && std::chrono::steady_clock::now() < deadline) {
            io.restart();
            io.run_one_for(std::chrono::milliseconds(100));
        }
    };
    tcp::socket zeroth(io);
    zeroth.connect(to);
    run_until([&] { return accepted.size() == 1; });
    tcp::socket first(io);
    first.connect(to);
    tcp::socket second(io);
    second.connect(to);

    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    low.rlim_cur = 64;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    std::vector<int> hoard;
    for (int fd = 0; (fd = ::dup(0)) >= 0;)
        hoard.push_back(fd);
    run_until([&] { return !trouble.empty(); });
    for (const int fd : hoard)
        ::close(fd);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);

    ASSERT_EQ(trouble.size(), 1u);
    EXPECT_NE(trouble[0].find("raise the limit of open files"), std::string::npos) << trouble[0];
    EXPECT_EQ(accepted.size(), 1u);
    // The first was closed through the reserve; the second and a new one are served after the
    // back-off.
    tcp::socket third(io);
    third.connect(to);
    run_until([&] { return accepted.size() == 3; });
    EXPECT_EQ(accepted.size(), 3u);
    char c = 0;
    error_code ec;
    (void)first.read_some(asio::buffer(&c, 1), ec);
    EXPECT_TRUE(ec == asio::error::eof || ec == asio::error::connection_reset);
}

}  // namespace
}  // namespace sallyport::proxy::net
