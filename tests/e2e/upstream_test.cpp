#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/hostile_server.h"

/// The server's side: how Sallyport logs in, and what it makes of a bad server.
namespace sallyport::tests {
namespace {

/// PostgreSQL with TLS, shared by the tests that need it.
postgres_server& tls_server() {
    static postgres_server server(
        {.tls = true, .hba = {"hostssl all app_clear 127.0.0.1/32 password"}});
    return server;
}

class upstream : public e2e {
  protected:
    void to(std::uint16_t port, const std::string& dbname, const std::string& tls = "",
            const std::string& user = "app") {
        options.targets["shop"] = {
            .port = port,
            .dbname = dbname,
            .login = "{ user: " + user + ", password_file: secrets/" + user + " }",
            .tls = tls};
        start();
    }
    void to_tls_server(const std::string& tls, const std::string& user = "app") {
        to(tls_server().port(), "shop_template", tls, user);
    }
    [[nodiscard]] std::string verified() const {
        return "{ mode: verify-full, ca: " + tls_server().ca().certificate() + " }";
    }
    /// The FATAL that a login gets.
    [[nodiscard]] std::map<char, std::string> fatal() const {
        wire_client c(proxy->port());
        try {
            c.login(login_as("alice"));
        } catch (const login_refused& e) {
            return {{'C', e.sqlstate()},
                    {'M', e.field('M')},
                    {'S', e.field('S')},
                    {'D', e.field('D')},
                    {'H', e.field('H')}};
        }
        ADD_FAILURE() << "the login succeeded";
        return {{'C', ""}, {'M', ""}, {'S', ""}, {'D', ""}, {'H', ""}};
    }
    /// Expects a FATAL of class 08 that names the target.
    void expect_no_upstream() const {
        const auto e = fatal();
        EXPECT_EQ(e.at('C').substr(0, 2), "08") << e.at('C') << ": " << e.at('M');
        EXPECT_EQ(e.at('S'), "FATAL");
        EXPECT_NE(e.at('M').find("shop"), std::string::npos) << e.at('M');
        EXPECT_EQ((e.at('M') + e.at('D') + e.at('H')).find("app-password"), std::string::npos);
        EXPECT_EQ(proxy->log().find("app-password"), std::string::npos);
    }
    void to_script(hostile_server::script s, const std::string& tls = "") {
        hostile = std::make_unique<hostile_server>(std::move(s));
        to(hostile->port(), "shop", tls);
    }
    [[nodiscard]] std::string ssl_of_upstream() const {
        return client_as("alice")
            .ask("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
            .rows.at(0)
            .at(0)
            .value_or("");
    }
    std::unique_ptr<hostile_server> hostile;
};

TEST_F(upstream, nobody_listening_is_08006_with_the_target_s_name) {
    to(free_port(), database);

    expect_no_upstream();
    EXPECT_EQ(fatal().at('C'), "08006");
}

TEST_F(upstream, md5_login_works) {
    to(server.port(), database, "", "app_md5");

    EXPECT_EQ(client_as("alice").ask("SELECT current_user").rows.at(0).at(0), "app_md5");
}

TEST_F(upstream, cleartext_password_is_never_sent_without_verified_tls) {
    to(server.port(), database, "", "app_clear");

    expect_no_upstream();
}

TEST_F(upstream, cleartext_password_is_sent_inside_verified_tls) {
    to_tls_server(verified(), "app_clear");

    EXPECT_EQ(client_as("alice").ask("SELECT current_user").rows.at(0).at(0), "app_clear");
}

TEST_F(upstream, cleartext_password_is_not_sent_inside_unverified_tls) {
    to_tls_server("{ mode: require }", "app_clear");

    expect_no_upstream();
}

TEST_F(upstream, verified_tls_works_and_is_used) {
    to_tls_server(verified());

    EXPECT_EQ(ssl_of_upstream(), "t");
}

TEST_F(upstream, preferred_tls_is_used_where_there_is_one) {
    to_tls_server("{ mode: prefer }");

    EXPECT_EQ(ssl_of_upstream(), "t");
}

TEST_F(upstream, preferred_tls_goes_on_in_plain_where_there_is_none) {
    to(server.port(), database, "{ mode: prefer }");

    EXPECT_EQ(ssl_of_upstream(), "f");
}

TEST_F(upstream, required_tls_refuses_a_server_without_it) {
    to(server.port(), database, "{ mode: require }");

    expect_no_upstream();
}

TEST_F(upstream, certificate_of_another_authority_is_refused) {
    temp_dir dir;
    const certificate_authority other(dir.path());
    to_tls_server("{ mode: verify-ca, ca: " + other.certificate() + " }");

    expect_no_upstream();
}

TEST_F(upstream, certificate_for_another_name_is_refused_by_verify_full_only) {
    const std::string ca = tls_server().ca().certificate();
    const key_pair wrong_name = tls_server().ca().issue(
        {.file = "elsewhere", .alternative_names = "DNS:elsewhere.example"});
    give_to(wrong_name.key, server_user());
    postgres_server elsewhere({.tls = true,
                               .settings = {{"ssl_cert_file", "'" + wrong_name.certificate + "'"},
                                            {"ssl_key_file", "'" + wrong_name.key + "'"}}});
    to(elsewhere.port(), "shop_template", "{ mode: verify-full, ca: " + ca + " }");
    expect_no_upstream();
    proxy.reset();

    to(elsewhere.port(), "shop_template", "{ mode: verify-ca, ca: " + ca + " }");
    EXPECT_EQ(ssl_of_upstream(), "t");
}

TEST_F(upstream, role_named_like_the_client_is_used_when_asked) {
    options.targets["shop"].login = "{ as: client, password_file: secrets/alice }";
    start();

    EXPECT_EQ(client_as("alice").ask("SELECT current_user").rows.at(0).at(0), "alice");
}

TEST_F(upstream, refused_login_is_fatal_without_the_server_s_secrets) {
    options.targets["shop"].login = "{ user: nobody, password_file: secrets/app }";
    start();

    expect_no_upstream();
}

TEST_F(upstream, database_that_is_not_there_is_3d000_with_the_target_s_name) {
    options.targets["shop"].dbname = "nowhere";
    start();

    const auto e = fatal();

    EXPECT_EQ(e.at('C'), "3D000");
    EXPECT_EQ(e.at('S'), "FATAL");
    EXPECT_NE(e.at('M').find("target shop"), std::string::npos) << e.at('M');
}

TEST_F(upstream, value_of_a_startup_parameter_that_the_server_refuses_is_told_in_its_words) {
    start();
    auto login = login_as("alice");
    login.more.push_back({"DateStyle", "nonsense"});
    wire_client c(proxy->port());
    try {
        c.login(login);
        FAIL() << "the login succeeded";
    } catch (const login_refused& e) {
        EXPECT_EQ(e.sqlstate(), "22023");
        EXPECT_EQ(e.field('S'), "FATAL");
        EXPECT_EQ(e.field('M'), "invalid value for parameter \"DateStyle\": \"nonsense\"");
        EXPECT_EQ(e.field('D'), "Unrecognized key word: \"nonsense\".");
        EXPECT_EQ(e.field('H'), "");
    }
}

TEST_F(upstream, server_that_ends_the_session_is_passed_on) {
    start();
    auto c = client_as("alice");

    direct("SELECT pg_terminate_backend(" + std::to_string(c.backend_pid()) + ")");
    const auto rest = c.read_to_end();

    ASSERT_EQ(rest.size(), 1u) << "exactly one FATAL";
    EXPECT_EQ(fields_of(rest[0]).at('C'), "57P01");
}

TEST_F(upstream, server_that_vanishes_mid_session_is_a_clear_fatal) {
    to_script([](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.accept_login();
        static_cast<void>(c.read_message());
        c.close();
    });
    auto c = client_as("alice");
    c.send(wire::query("SELECT 1"));

    const auto rest = c.read_to_end();

    ASSERT_EQ(rest.size(), 1u);
    const auto e = fields_of(rest[0]);
    EXPECT_EQ(e.at('S'), "FATAL");
    EXPECT_EQ(e.at('C'), "08006");
    EXPECT_NE(e.at('M').find("shop"), std::string::npos) << e.at('M');
}

TEST_F(upstream, target_comes_back_without_a_restart) {
    postgres_server own;
    to(own.port(), "shop_template");
    ASSERT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
    own.crash();
    expect_no_upstream();

    own.start();

    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(upstream, bytes_behind_the_answer_to_ssl_request_are_refused) {
    to_script(
        [](hostile_connection& c) {
            static_cast<void>(c.read_startup());
            c.send("S" + wire::frame('R', wire::int32(0)));
            c.drain();
        },
        "{ mode: require }");

    expect_no_upstream();
}

TEST_F(upstream, any_answer_to_ssl_request_but_s_and_n_is_refused) {
    for (const char* answer : {"E", "X"}) {
        to_script(
            [answer](hostile_connection& c) {
                static_cast<void>(c.read_startup());
                c.send(answer);
                c.drain();
            },
            "{ mode: prefer }");
        expect_no_upstream();
        proxy.reset();
    }
}

TEST_F(upstream, server_that_skips_its_proof_is_refused) {
    to_script([](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.send(wire::frame('R', wire::int32(10) + std::string("SCRAM-SHA-256\0\0", 15)));
        static_cast<void>(c.read_message());
        c.accept_login();
        c.drain();
    });

    expect_no_upstream();
}

TEST_F(upstream, endless_iteration_count_is_refused_at_once) {
    to_script([](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.send(wire::frame('R', wire::int32(10) + std::string("SCRAM-SHA-256\0\0", 15)));
        const auto first = c.read_message().second;
        const auto nonce = first.substr(first.find("r=") + 2);
        c.send(wire::frame('R', wire::int32(11) + "r=" + nonce + "abc,s=c2FsdA==,i=2000000000"));
        c.drain();
    });

    expect_no_upstream();
}

TEST_F(upstream, errors_without_fields_do_no_harm) {
    to_script([](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.send(wire::frame('E', std::string(1, '\0')));
        c.drain();
    });

    EXPECT_FALSE(fatal().at('C').empty());
    EXPECT_TRUE(proxy->process().alive());
}

TEST_F(upstream, garbage_from_the_server_ends_that_session_only) {
    to_script([](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.accept_login();
        static_cast<void>(c.read_message());
        c.send(std::string("Z\xff\xff\xff\xff garbage", 13));
        c.drain();
    });
    auto c = client_as("alice");
    c.send(wire::query("SELECT 1"));

    static_cast<void>(c.read_to_end());

    EXPECT_NO_THROW(static_cast<void>(client_as("alice")));
}

TEST_F(upstream, silent_server_is_given_up_at_the_connect_timeout) {
    hostile = std::make_unique<hostile_server>([](hostile_connection& c) { c.drain(); });
    options.targets["shop"] = {.port = hostile->port(), .dbname = "shop", .connect_timeout = "1s"};
    start();

    expect_no_upstream();
}

}  // namespace
}  // namespace sallyport::tests
