#include "proxy/admin/server.h"

#include <array>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/admin/world.h"

namespace sallyport::proxy::admin::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// A plain blocking client of loopback.
class client {
  public:
    explicit client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_port = htons(port);
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval limit{.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    }
    ~client() { ::close(fd_); }
    client(const client&) = delete;
    client& operator=(const client&) = delete;

    void send(const std::string& bytes) const {
        ASSERT_TRUE(connected_);
        static_cast<void>(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    /// Reads until `text` has come or the server closed.
    std::string read_until(const std::string& text) {
        std::array<char, 4096> part{};
        while (seen_.find(text) == std::string::npos) {
            const auto got = ::recv(fd_, part.data(), part.size(), 0);
            if (got <= 0) break;
            seen_.append(part.data(), static_cast<std::size_t>(got));
        }
        return seen_;
    }
    std::string read_all() { return read_until(std::string(1, '\0') + "never"); }
    void forget() { seen_.clear(); }

  private:
    int fd_;
    bool connected_ = false;
    std::string seen_;
};

std::string get(const std::string& path, const std::string& more = {}) {
    return "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "\r\n";
}

std::string post(const std::string& path, const std::string& body, const std::string& more = {}) {
    return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
           more + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct live_world : world {
    explicit live_world(server_options o = {}) {
        o.port = 0;
        under_test = std::make_unique<server>(o, make(), hub);
        under_test->start();
    }
    std::string log_in(const std::string& user) const {
        client c(under_test->port());
        c.send(post("/api/v1/login",
                    R"({"user":")" + user + R"(","password":")" + user + "-password\"}",
                    "Connection: close\r\n"));
        const auto answer = c.read_all();
        const auto body = answer.find("\r\n\r\n");
        return body == std::string::npos ? "" : json_member(answer.substr(body + 4), "token");
    }
    event_hub hub;
    std::unique_ptr<server> under_test;
};

TEST(admin_server, answers_several_requests_on_one_connection) {
    live_world w;
    client c(w.under_test->port());

    c.send(get("/healthz"));
    EXPECT_THAT(c.read_until("ok\n"), StartsWith("HTTP/1.1 200"));
    c.forget();
    c.send(get("/api/v1/me"));
    EXPECT_THAT(c.read_until("}"), StartsWith("HTTP/1.1 401"));
}

TEST(admin_server, request_in_single_bytes_is_understood) {
    live_world w;
    client c(w.under_test->port());

    for (const char b : get("/healthz"))
        c.send(std::string(1, b));

    EXPECT_THAT(c.read_until("ok\n"), StartsWith("HTTP/1.1 200"));
}

TEST(admin_server, login_and_vote_reach_the_steward) {
    live_world w;
    const auto token = w.log_in("bob");
    ASSERT_FALSE(token.empty());
    client c(w.under_test->port());

    c.send(post("/api/v1/holds/7/approve", "{}",
                "Authorization: Bearer " + token + "\r\nConnection: close\r\n"));

    EXPECT_THAT(c.read_all(), StartsWith("HTTP/1.1 200"));
    w.under_test->stop();
    EXPECT_THAT(w.steward_heard, ::testing::SizeIs(1));
}

TEST(admin_server, head_has_the_length_and_not_the_body) {
    live_world w;
    client c(w.under_test->port());

    c.send("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");

    const auto answer = c.read_all();
    EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
    EXPECT_THAT(answer, ::testing::EndsWith("\r\n\r\n"));
}

TEST(admin_server, oversized_header_and_body_are_refused) {
    live_world w;
    client header(w.under_test->port());
    header.send(get("/healthz", "X: " + std::string(20'000, 'x') + "\r\n"));
    EXPECT_THAT(header.read_until("}"), StartsWith("HTTP/1.1 431"));

    client body(w.under_test->port());
    body.send("POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n");
    EXPECT_THAT(body.read_until("}"), StartsWith("HTTP/1.1 413"));
}

TEST(admin_server, bytes_that_are_no_request_get_400_and_the_end) {
    live_world w;
    client c(w.under_test->port());

    c.send(std::string("\x00\x00\x00\x08\x04\xd2\x16\x2f\r\n\r\n", 12));

    EXPECT_THAT(c.read_all(), StartsWith("HTTP/1.1 400"));
}

TEST(admin_server, silent_client_is_hung_up_on) {
    server_options o;
    o.request_timeout = std::chrono::milliseconds(50);
    live_world w(o);
    client c(w.under_test->port());

    EXPECT_EQ(c.read_all(), "");
}

TEST(admin_server, answer_that_never_comes_is_504) {
    server_options o;
    o.port = 0;
    o.answer_timeout = std::chrono::milliseconds(50);
    world w;
    event_hub hub;
    auto d = w.make();
    std::function<void(std::vector<policy::hold>)> kept;
    d.approval.list_holds = [&](auto, auto done) { kept = done; };
    server s(o, std::move(d), hub);
    s.start();
    client login(s.port());
    login.send(post("/api/v1/login", R"({"user":"bob","password":"bob-password"})",
                    "Connection: close\r\n"));
    const auto said = login.read_all();
    const auto token = json_member(said.substr(said.find("\r\n\r\n") + 4), "token");
    client c(s.port());

    c.send(get("/api/v1/holds", "Authorization: Bearer " + token + "\r\nConnection: close\r\n"));

    EXPECT_THAT(c.read_all(), StartsWith("HTTP/1.1 504"));
    s.stop();
    kept({});  // far too late, and harmless
}

TEST(admin_server, event_stream_tells_changes_and_ends_when_the_server_stops) {
    live_world w;
    const auto token = w.log_in("bob");
    client c(w.under_test->port());
    c.send(get("/api/v1/events", "Authorization: Bearer " + token + "\r\n"));
    ASSERT_THAT(c.read_until(": listening\n\n"), HasSubstr("text/event-stream"));

    w.hub.publish({.what = "hold", .id = 99, .state = "approved"});  // bob cannot see that one
    w.hub.publish({.what = "hold", .id = 7, .state = "approved"});

    const auto seen = c.read_until("\"id\":7");
    EXPECT_THAT(seen, HasSubstr("event: change\n"));
    EXPECT_THAT(seen, ::testing::Not(HasSubstr("\"id\":99")));
    w.under_test->stop();
    static_cast<void>(c.read_all());
    w.hub.publish({.what = "hold", .id = 7, .state = "denied"});
}

TEST(admin_server, stops_with_idle_connections_open) {
    live_world w;
    client idle(w.under_test->port());
    idle.send(get("/healthz"));
    static_cast<void>(idle.read_until("ok\n"));

    w.under_test->stop();
    idle.forget();

    EXPECT_EQ(idle.read_all(), "");
}

TEST(admin_server, connection_beyond_the_cap_is_closed_and_the_others_live_on) {
    server_options o;
    o.connections_max = 1;
    live_world w(o);
    client first(w.under_test->port());
    first.send(get("/healthz"));
    EXPECT_THAT(first.read_until("ok\n"), StartsWith("HTTP/1.1 200"));

    client second(w.under_test->port());

    EXPECT_EQ(second.read_all(), "");
    first.forget();
    first.send(get("/healthz"));
    EXPECT_THAT(first.read_until("ok\n"), StartsWith("HTTP/1.1 200"));
}

TEST(admin_server, port_in_use_is_one_line_with_address_cause_and_next_step) {
    live_world w;
    world other;
    event_hub hub;
    server_options o;
    o.port = w.under_test->port();

    try {
        const server s(o, other.make(), hub);
        ADD_FAILURE() << "bound twice";
    } catch (const std::runtime_error& e) {
        const std::string what = e.what();
        EXPECT_THAT(what, HasSubstr("127.0.0.1:" + std::to_string(o.port)));
        EXPECT_THAT(what, HasSubstr("in use"));
        EXPECT_THAT(what, HasSubstr("listen.admin.port"));
        EXPECT_EQ(what.find('\n'), std::string::npos);
    }
}

TEST(admin_server, without_tls_nothing_but_loopback_is_bound) {
    world w;
    event_hub hub;
    server_options o;
    o.port = 0;
    for (const auto* const address : {"0.0.0.0", "::", "192.0.2.1"}) {
        o.address = address;
        EXPECT_THROW(server(o, w.make(), hub), std::runtime_error) << address;
    }
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
