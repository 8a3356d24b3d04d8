#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/e2e/fixture.h"

/// Who gets in, and what a session is once it has begun.
namespace sallyport::tests {
namespace {

class login : public e2e {
  protected:
    /// The refusal of a login that must fail.
    [[nodiscard]] std::map<char, std::string> refusal(login_options o) const {
        wire_client c(proxy->port());
        try {
            c.login(o);
        } catch (const login_refused& e) {
            return {{'C', e.sqlstate()}, {'M', e.field('M')}, {'S', e.field('S')}};
        }
        ADD_FAILURE() << o.user << " got in";
        return {{'C', ""}, {'M', ""}, {'S', ""}};
    }
    [[nodiscard]] login_options with(const parameters& more) const {
        auto o = login_as("alice");
        o.more = more;
        return o;
    }
    /// server-first-message without the nonce: salt and iterations.
    [[nodiscard]] std::string salt_of(const std::string& user) const {
        wire_client c(proxy->port());
        auto o = login_as(user);
        o.password = "wrong";
        EXPECT_THROW(c.login(o), login_refused);
        return c.server_first().substr(c.server_first().find(','));
    }
    /// The first message to a startup packet of raw parameters.
    [[nodiscard]] message first_answer(const parameters& p, std::uint32_t version = 196608) const {
        wire_client c(proxy->port());
        c.send(wire::startup(p, version));
        return c.read();
    }
};

TEST_F(login, right_password_gets_in_and_is_on_record) {
    start();

    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");

    ASSERT_TRUE(eventually([&] { return audit_records("login.accepted").size() == 1; }));
    const auto records = audit_records("login.accepted");
    EXPECT_EQ(records[0].value("user", ""), "alice");
    EXPECT_EQ(records[0].value("address", ""), "127.0.0.1");
}

TEST_F(login, wrong_password_is_refused_with_28p01_and_is_on_record) {
    start();
    auto o = login_as("alice");
    o.password = "wrong";

    const auto r = refusal(o);

    EXPECT_EQ(r.at('C'), "28P01");
    EXPECT_EQ(r.at('S'), "FATAL");
    EXPECT_TRUE(eventually([&] { return audit_records("login.refused").size() == 1; }));
    EXPECT_EQ(upstream_sessions(), 0);
}

TEST_F(login, unknown_user_is_told_the_same_as_one_with_a_wrong_password) {
    start();
    auto known = login_as("alice");
    known.password = "wrong";
    auto unknown = login_as("mallory");

    auto message = refusal(unknown).at('M');
    const auto at = message.find("mallory");
    if (at != std::string::npos) message.replace(at, 7, "alice");

    EXPECT_EQ(message, refusal(known).at('M'));
}

TEST_F(login, unknown_user_sees_the_same_salt_every_time_even_after_a_restart) {
    start();
    const auto first = salt_of("mallory");

    EXPECT_EQ(salt_of("mallory"), first);
    EXPECT_NE(salt_of("trudy"), first);
    proxy->restart();
    EXPECT_EQ(salt_of("mallory"), first);
    EXPECT_NE(first.find(",i=4096"), std::string::npos);
}

TEST_F(login, silent_connection_is_closed_at_the_login_deadline) {
    options.limits = "{ login_timeout: 1s }";
    start();
    wire_client silent(proxy->port());
    wire_client halfway(proxy->port());
    halfway.send(wire::startup({{"user", "alice"}, {"database", "shop"}}).substr(0, 9));

    EXPECT_NO_THROW(static_cast<void>(silent.read_to_end()));
    EXPECT_NO_THROW(static_cast<void>(halfway.read_to_end()));
}

TEST_F(login, deadline_covers_a_login_that_drips_byte_by_byte) {
    options.limits = "{ login_timeout: 1s }";
    start();
    wire_client c(proxy->port());
    const std::string endless(4096, 'x');
    c.send(wire::int32(5000) + wire::int32(196608));

    const bool cut = eventually([&] { return !c.try_send("x"); }, milliseconds(15'000));

    EXPECT_TRUE(cut);
}

TEST_F(login, unauthenticated_connections_of_one_address_are_capped) {
    options.limits = "{ unauthenticated_per_address: 3 }";
    start();
    std::vector<wire_client> waiting;
    // Connections that found out whether the proxy is up may still count for a moment.
    const bool three_wait = eventually([&] {
        waiting.clear();
        for (int i = 0; i < 3; ++i) {
            waiting.emplace_back(proxy->port());
            waiting.back().try_send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
            try {
                if (waiting.back().read().type != 'R') return false;
            } catch (const wire_closed&) {
                return false;
            }
        }
        return true;
    });
    ASSERT_TRUE(three_wait);

    wire_client fourth(proxy->port());
    fourth.try_send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
    for (const auto& m : fourth.read_to_end()) {
        ASSERT_EQ(m.type, 'E');
        EXPECT_EQ(fields_of(m).at('C'), "53300");
    }

    wire_client elsewhere(proxy->port(), "127.0.0.2");
    EXPECT_NO_THROW(elsewhere.login(login_as("alice")));
}

TEST_F(login, more_connections_than_the_limit_get_53300_and_room_comes_back) {
    options.limits = "{ connections: 2 }";
    start();
    auto first = client_as("alice");
    auto second = client_as("bob");

    EXPECT_EQ(refusal(login_as("alice")).at('C'), "53300");

    first.send(wire::terminate());
    static_cast<void>(first.read_to_end());
    EXPECT_TRUE(eventually([&] {
        try {
            return client_as("alice").ask("SELECT 1").types() == "TDCZ";
        } catch (const std::runtime_error&) {
            return false;
        }
    }));
}

TEST_F(login, backend_key_data_carries_the_server_s_own_process_id) {
    start();
    auto c = client_as("alice");

    EXPECT_EQ(c.ask("SELECT pg_backend_pid()").rows.at(0).at(0), std::to_string(c.backend_pid()));
}

TEST_F(login, secret_of_the_cancel_key_differs_between_sessions) {
    start();

    EXPECT_NE(client_as("alice").backend_secret(), client_as("alice").backend_secret());
}

TEST_F(login, parameter_status_set_equals_a_direct_connection_s) {
    start();
    wire_client direct_client(server.port());
    direct_client.login(
        {.port = server.port(), .user = "app", .password = "app-password", .database = database});
    auto c = client_as("alice");

    EXPECT_EQ(c.server_parameters(), direct_client.server_parameters());
}

TEST_F(login, harmless_startup_parameters_reach_the_server) {
    start();
    wire_client c(proxy->port());
    c.login(with({{"application_name", "reports"}, {"DateStyle", "German"}}));

    EXPECT_EQ(c.ask("SHOW application_name").rows.at(0).at(0), "reports");
    EXPECT_EQ(c.ask("SELECT date '2024-12-31'").rows.at(0).at(0), "31.12.2024");
}

TEST_F(login, startup_parameters_that_change_the_identity_never_take_effect) {
    start();
    for (const auto& p :
         {parameters{{"role", "postgres"}}, parameters{{"options", "-c role=postgres"}},
          parameters{{"ROLE", "postgres"}}, parameters{{"session_authorization", "postgres"}}}) {
        wire_client c(proxy->port());
        try {
            c.login(with(p));
            EXPECT_EQ(c.ask("SELECT current_user").rows.at(0).at(0), "app") << p[0].second;
        } catch (const login_refused& e) {
            EXPECT_FALSE(e.sqlstate().empty());
        }
    }
}

TEST_F(login, search_path_in_the_startup_packet_does_not_hide_a_held_table) {
    start();
    wire_client c(proxy->port());
    try {
        c.login(with({{"options", "-c search_path=pii"}}));
    } catch (const login_refused&) {
        return;  // refusing the parameter is as good
    }

    c.send(wire::query("SELECT * FROM cards"));
    const auto m = c.read();

    EXPECT_EQ(m.type, 'N') << "a row description means that it was not held";
}

TEST_F(login, replication_connection_is_refused) {
    start();
    for (const char* value : {"true", "database", "on", "1", "yes"}) {
        EXPECT_FALSE(refusal(with({{"replication", value}})).at('C').empty()) << value;
    }
}

TEST_F(login, doubled_user_in_the_startup_packet_is_refused) {
    start();

    const auto m = first_answer({{"user", "alice"}, {"user", "bob"}, {"database", "shop"}});

    EXPECT_EQ(m.type, 'E');
}

TEST_F(login, name_longer_than_the_server_keeps_is_refused) {
    start();

    EXPECT_EQ(first_answer({{"user", std::string(66, 'a')}, {"database", "shop"}}).type, 'E');
    EXPECT_EQ(first_answer({{"database", "shop"}}).type, 'E');
}

TEST_F(login, newer_minor_version_is_negotiated_down_before_authentication) {
    start();
    const std::uint32_t version_3_3 = 3U << 16 | 3U;

    EXPECT_EQ(first_answer({{"user", "alice"}, {"database", "shop"}}, version_3_3).type, 'v');
}

TEST_F(login, other_major_version_is_refused) {
    start();
    const std::uint32_t version_4_0 = 4U << 16;

    const auto m = first_answer({{"user", "alice"}, {"database", "shop"}}, version_4_0);

    ASSERT_EQ(m.type, 'E');
    EXPECT_EQ(fields_of(m).at('S'), "FATAL");
}

TEST_F(login, unknown_target_is_refused_with_3d000) {
    start();
    auto o = login_as("alice", "nowhere");

    EXPECT_EQ(refusal(o).at('C'), "3D000");
}

TEST_F(login, notices_of_the_server_pass) {
    start();
    psql_session s(psql_as("dba"));

    const auto a = s.ask("CREATE TABLE IF NOT EXISTS orders (id int)");

    EXPECT_NE(a.text.find("already exists, skipping"), std::string::npos) << a.text;
}

TEST_F(login, notification_reaches_an_idle_listener) {
    start();
    auto listener = client_as("alice");
    ASSERT_EQ(listener.ask("LISTEN bell").types(), "CZ");

    ASSERT_EQ(client_as("bob").ask("NOTIFY bell, 'ding'").types(), "CZ");

    const auto m = listener.read_until('A');
    EXPECT_NE(m.body.find("ding"), std::string::npos);
}

TEST_F(login, passwords_are_nowhere_in_logs_or_audit) {
    start();
    auto o = login_as("alice");
    o.password = "mistyped-s3cret";
    static_cast<void>(refusal(o));
    static_cast<void>(client_as("alice"));
    static_cast<void>(api("bob"));
    proxy->stop();

    std::string everything = proxy->log();
    for (const auto& r : audit_records())
        everything += r.dump();
    for (const char* secret : {"mistyped-s3cret", "alice-password", "app-password", "bob-password"})
        EXPECT_EQ(everything.find(secret), std::string::npos) << secret;
}

TEST_F(login, end_of_a_session_is_on_record_and_frees_the_upstream) {
    start();
    auto c = client_as("alice");
    c.send(wire::terminate());
    static_cast<void>(c.read_to_end());

    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_TRUE(eventually([&] { return audit_records("session.end").size() == 1; }));
    EXPECT_EQ(audit_records("session.start").size(), 1u);
}

TEST_F(login, sigterm_ends_sessions_and_exits_with_0) {
    start();
    auto c = client_as("alice");

    EXPECT_EQ(proxy->stop(), 0) << proxy->log();

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty()) << "the client was told nothing";
    EXPECT_EQ(fields_of(rest.back()).at('C'), "57P01");
}

}  // namespace
}  // namespace sallyport::tests
