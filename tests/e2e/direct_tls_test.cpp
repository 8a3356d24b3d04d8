#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/hostile_server.h"

/// TLS from the first byte, as PostgreSQL 17's sslnegotiation=direct.
namespace sallyport::tests {
namespace {

class direct_tls : public e2e {
  protected:
    void start_with(const std::string& mode) {
        const key_pair pair = authority.issue({.file = "proxy"});
        options.postgres_tls =
            "{ mode: " + mode + ", certificate: " + pair.certificate + ", key: " + pair.key +
            (mode == "mutual" ? ", client_ca: " + authority.certificate() : "") + " }";
        options.users["machine"] =
            "{ certificate: \"CN=machine,O=Example\", groups: [pipelines], service: true }";
        start();
    }
    [[nodiscard]] tls_client_options offering(std::vector<std::string> protocols) const {
        tls_client_options o{.ca = authority.certificate()};
        o.alpn = std::move(protocols);
        return o;
    }
    /// A client that is through its handshake.
    [[nodiscard]] wire_client direct(std::vector<std::string> protocols = {"postgresql"}) const {
        wire_client c(proxy->port());
        c.handshake(offering(std::move(protocols)));
        return c;
    }
    /// Why the handshake with these protocols failed; "" if it did not.
    [[nodiscard]] std::string handshake_failure(std::vector<std::string> protocols,
                                                bool after_request) const {
        wire_client c(proxy->port());
        try {
            if (after_request)
                c.start_tls(offering(std::move(protocols)));
            else
                c.handshake(offering(std::move(protocols)));
            return "";
        } catch (const std::runtime_error& e) {
            return e.what();
        }
    }

    temp_dir dir;
    certificate_authority authority{dir.path()};
    std::unique_ptr<hostile_server> hostile;
};

TEST_F(direct_tls, client_that_names_postgresql_logs_in_where_tls_is_preferred_or_required) {
    for (const char* mode : {"prefer", "require"}) {
        start_with(mode);
        auto c = direct({"http/1.1", "postgresql"});

        EXPECT_EQ(c.agreed_protocol(), "postgresql") << mode;
        c.login(login_as("alice"));

        EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ") << mode;
        proxy.reset();
    }
}

TEST_F(direct_tls, certificate_is_the_identity_in_mode_mutual) {
    start_with("mutual");
    const key_pair pair = authority.issue({.file = "machine",
                                           .common_name = "machine",
                                           .organisation = "Example",
                                           .alternative_names = ""});
    auto tls = offering({"postgresql"});
    tls.certificate = pair.certificate;
    tls.key = pair.key;
    wire_client c(proxy->port());
    c.handshake(tls);

    c.login(login_as("machine"));

    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(direct_tls, client_that_names_no_protocol_gets_no_answer) {
    start_with("prefer");
    auto c = direct({});

    c.try_send(wire::startup({{"user", "alice"}, {"database", "shop"}}));

    EXPECT_TRUE(c.read_to_end().empty());
    EXPECT_TRUE(eventually([&] { return proxy->log().find("(ALPN)") != std::string::npos; }))
        << proxy->log();
}

TEST_F(direct_tls, client_of_another_protocol_gets_the_alert_that_says_so) {
    start_with("prefer");
    for (const bool after_request : {false, true})
        for (const auto& protocols : {std::vector<std::string>{"http/1.1"}, {"h2", "http/1.1"}})
            EXPECT_NE(handshake_failure(protocols, after_request).find("no application protocol"),
                      std::string::npos)
                << handshake_failure(protocols, after_request);
    EXPECT_EQ(handshake_failure({}, true), "") << "clients before PostgreSQL 17 name none";
}

TEST_F(direct_tls, is_closed_where_tls_is_disabled) {
    start();

    EXPECT_NE(handshake_failure({"postgresql"}, false), "");
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(direct_tls, encryption_is_not_negotiated_again_inside) {
    start_with("prefer");
    for (const auto& request : {wire::ssl_request(), wire::gssenc_request()}) {
        auto c = direct();
        c.send(request);

        const auto all = c.read_to_end();

        ASSERT_EQ(all.size(), 1u);
        EXPECT_EQ(all[0].type, 'E');
        EXPECT_EQ(fields_of(all[0]).at('S'), "FATAL");
        EXPECT_EQ(fields_of(all[0]).at('C'), "0A000");
    }
}

TEST_F(direct_tls, cancel_request_is_taken) {
    start_with("require");
    auto c = direct();
    c.login(login_as("alice"));
    c.send(wire::query("SELECT pg_sleep(600)"));
    ASSERT_TRUE(eventually([&] {
        return server.query("postgres",
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = '" + database +
                                "' AND query LIKE '%pg_sleep(600)%' AND state = 'active'") == "1";
    }));

    auto canceller = direct();
    canceller.send(wire::cancel_request(c.backend_pid(), c.backend_secret()));

    EXPECT_TRUE(canceller.read_to_end().empty());
    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

TEST_F(direct_tls, half_a_client_hello_is_closed_at_the_login_deadline) {
    options.limits = "{ login_timeout: 1s }";
    start_with("prefer");
    wire_client c(proxy->port());
    c.send(std::string("\x16\x03\x01\x02\x00\x01", 6));

    EXPECT_NO_THROW(static_cast<void>(c.read_to_end()));
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

// Towards servers ---------------------------------------------------------------------------------

class direct_upstream : public direct_tls {
  protected:
    /// A server of the tests' own that begins with TLS, agrees on `protocol`, and lets us in.
    void to_script(const std::string& protocol) {
        const key_pair pair = authority.issue({.file = "server"});
        hostile = std::make_unique<hostile_server>([this, pair, protocol](hostile_connection& c) {
            first_byte = c.peek();
            if (first_byte != 0x16) return;
            c.accept_tls(pair, protocol);
            static_cast<void>(c.read_startup());
            c.accept_login();
            c.drain();
        });
        options.targets["shop"] = {.port = hostile->port(),
                                   .dbname = "shop",
                                   .tls = "{ mode: verify-full, negotiation: direct, ca: " +
                                          authority.certificate() + " }"};
        start();
    }
    std::atomic<int> first_byte{0};
};

TEST_F(direct_upstream, tls_begins_with_the_first_byte) {
    to_script("postgresql");

    EXPECT_NO_THROW(static_cast<void>(client_as("alice")));
    EXPECT_EQ(first_byte, 0x16);
}

TEST_F(direct_upstream, server_that_does_not_agree_on_the_protocol_is_refused) {
    for (const char* protocol : {"", "http/1.1"}) {
        to_script(protocol);
        wire_client c(proxy->port());
        try {
            c.login(login_as("alice"));
            FAIL() << "logged in at a server that agreed on \"" << protocol << "\"";
        } catch (const login_refused& e) {
            EXPECT_EQ(e.sqlstate(), "08006");
        }
        proxy.reset();
    }
}

TEST_F(direct_upstream, one_sallyport_behind_another_works_and_cancels) {
    start_with("require");
    proxy_options front;
    front.targets["shop"] = {
        .port = proxy->port(),
        .dbname = "shop",
        .login = "{ user: erin, password_file: secrets/erin }",
        .tls = "{ mode: verify-full, negotiation: direct, ca: " + authority.certificate() + " }",
        .more = "    channel_binding: require\n"};
    front.targets["hr"] = front.targets["shop"];
    proxy_process outer(front);
    write_file(outer.file("secrets/erin"), "erin-password\n");
    outer.start();
    wire_client c(outer.port());
    c.login({.port = outer.port(), .user = "alice", .password = "alice-password"});
    c.send(wire::query("SELECT pg_sleep(601)"));
    ASSERT_TRUE(eventually([&] {
        return server.query("postgres",
                            "SELECT count(*) FROM pg_stat_activity WHERE datname = '" + database +
                                "' AND query LIKE '%pg_sleep(601)%' AND state = 'active'") == "1";
    }));

    send_cancel(outer.port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

}  // namespace
}  // namespace sallyport::tests
