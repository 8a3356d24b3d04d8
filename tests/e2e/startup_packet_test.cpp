#include <gtest/gtest.h>

#include "tests/e2e/direct.h"
#include "tests/support/certificates.h"
#include "tests/support/hostile_client.h"

/// The first bytes of a connection: sizes, layout, doubled keys, settings, slow and silent clients.
namespace sallyport::tests {
namespace {

const std::string nul(1, '\0');

class startup_packet : public e2e {
  protected:
    /// A startup packet with this body behind the version.
    [[nodiscard]] static std::string packet(const std::string& body) {
        return wire::int32(static_cast<std::uint32_t>(body.size() + 8)) + wire::int32(196608) +
               body;
    }
    /// True if an authentication request came: this packet was taken.
    [[nodiscard]] bool taken(const std::string& bytes) const {
        wire_client c(proxy->port());
        c.try_send(bytes);
        try {
            return c.read().type == 'R';
        } catch (const wire_closed&) {
            return false;
        }
    }
    [[nodiscard]] login_options with(const parameters& more) const {
        auto o = login_as("alice");
        o.more = more;
        return o;
    }
};

TEST_F(startup_packet, whole_login_in_single_bytes_works) {
    start();
    wire_client c(proxy->port());

    hostile::login_dripping(c, login_as("alice"));

    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(startup_packet, password_message_of_8_kb_is_read_whole_and_refused_as_wrong) {
    start();
    wire_client c(proxy->port());
    c.send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
    static_cast<void>(c.read_until('R'));

    hostile::drip(c, wire::sasl_initial("SCRAM-SHA-256", "n,,n=," + std::string(8'000, 'x')), 700);

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.back().type, 'E');
}

TEST_F(startup_packet, password_message_beyond_its_cap_ends_the_connection_unread) {
    start();
    for (const std::uint32_t length : {70'000U, 0x3fffffffU, 0x7fffffffU, 0xffffffffU}) {
        SCOPED_TRACE(length);
        wire_client c(proxy->port());
        c.send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
        static_cast<void>(c.read_until('R'));

        c.try_send("p" + wire::int32(length) + "SCRAM");

        const auto rest = c.read_to_end();
        ASSERT_FALSE(rest.empty());
        EXPECT_EQ(fields_of(rest.back()).at('C'), "08P01");
    }
}

TEST_F(startup_packet, requests_without_parameters_have_exactly_their_size) {
    start();
    for (const auto& code : {80877103U, 80877104U}) {
        const auto bytes = wire::int32(12) + wire::int32(code) + "more";
        wire_client c(proxy->port());
        c.try_send(bytes);
        for (const auto& m : c.read_to_end())
            EXPECT_EQ(m.type, 'E') << "neither N nor S may answer it";
    }
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(startup_packet, list_of_parameters_must_end_where_the_packet_ends) {
    start();
    const std::string alice = "user" + nul + "alice" + nul + "database" + nul + "shop" + nul;

    EXPECT_TRUE(taken(packet(alice + nul)));
    EXPECT_FALSE(taken(packet(alice))) << "no end";
    EXPECT_FALSE(taken(packet(alice + nul + "user" + nul + "bob" + nul + nul))) << "early end";
    EXPECT_FALSE(taken(packet(alice + "application_name" + nul))) << "a name without value";
    EXPECT_FALSE(taken(packet(alice + nul + nul))) << "two ends";
}

TEST_F(startup_packet, what_decides_the_login_may_not_come_twice) {
    start();
    const std::string alice = "user" + nul + "alice" + nul + "database" + nul + "shop" + nul;
    for (const char* name : {"user", "database", "replication", "options"}) {
        SCOPED_TRACE(name);
        const std::string twice = name + nul + "x" + nul + name + nul + "y" + nul;
        EXPECT_FALSE(taken(packet(alice + twice + nul)));
    }
    const std::string cases = "DateStyle" + nul + "ISO" + nul + "datestyle" + nul + "ISO" + nul;
    EXPECT_FALSE(taken(packet(alice + cases + nul))) << "settings know no capitals";
    const std::string settings =
        "application_name" + nul + "x" + nul + "application_name" + nul + "y" + nul;
    EXPECT_TRUE(taken(packet(alice + settings + nul))) << "of a setting the last one counts";
}

TEST_F(startup_packet, names_with_control_characters_are_refused) {
    start();
    for (const char* user : {"ali\nce", "alice\x1b[2J", "ali\x7f"})
        EXPECT_FALSE(taken(wire::startup({{"user", user}, {"database", "shop"}}))) << user;
}

TEST_F(startup_packet, missing_database_means_one_named_like_the_user) {
    start();
    wire_client c(proxy->port());
    try {
        auto o = login_as("alice");
        o.database = "";
        c.login(o);
        FAIL() << "there is no target named alice";
    } catch (const login_refused& e) {
        EXPECT_EQ(e.sqlstate(), "3D000");
        EXPECT_NE(e.field('M').find("alice"), std::string::npos) << e.field('M');
    }
    EXPECT_FALSE(taken(wire::startup({{"user", ""}, {"database", "shop"}})));
}

TEST_F(startup_packet, settings_that_a_rule_could_not_see_never_take_effect) {
    start();
    auto straight = direct_client(server, database);
    const std::string show =
        "SELECT current_setting('session_replication_role') || current_setting('role') || "
        "current_setting('work_mem') || current_setting('standard_conforming_strings') || "
        "current_setting('row_security') || current_setting('check_function_bodies')";
    const auto untouched = straight.ask(show).rows.at(0).at(0);
    const parameters attacks[] = {
        {{"session_replication_role", "replica"}},
        {{"ROLE", "pg_read_all_data"}},
        {{"Standard_Conforming_Strings", "off"}},
        {{"options", "-c role=pg_read_all_data"}},
        {{"options", "-crole=pg_read_all_data"}},
        {{"options", "--role=pg_read_all_data"}},
        {{"options", "--session-replication-role=replica"}},
        {{"options", "-S 9999"}},
        {{"options", "-S9999"}},
        {{"options", "-c\\ role=pg_read_all_data"}},
        {{"options", "-c standard_conforming_strings=off"}},
        {{"options", "-c row_security=off"}},
        {{"check_function_bodies", "off"}},
        {{"options", "-c DateStyle=ISO -c check_function_bodies=off"}},
    };
    for (const auto& attack : attacks) {
        SCOPED_TRACE(attack[0].first + "=" + attack[0].second);
        wire_client c(proxy->port());
        try {
            c.login(with(attack));
            EXPECT_EQ(c.ask(show).rows.at(0).at(0), untouched);
        } catch (const login_refused& e) {
            EXPECT_FALSE(e.sqlstate().empty());
        }
    }
}

TEST_F(startup_packet, settings_in_options_reach_the_server_with_their_blanks_and_backslashes) {
    start();
    wire_client c(proxy->port());
    c.login(with({{"options", R"(-c application_name=two\ words\\one\ backslash)"}}));

    EXPECT_EQ(c.ask("SHOW application_name").rows.at(0).at(0), "two words\\one backslash");
}

TEST_F(startup_packet, connection_that_says_nothing_leaves_no_trace) {
    start();
    const auto before = proxy->log();
    {
        wire_client probe(proxy->port());
        probe.close();
    }
    const auto ready =
        run({.argv = {"pg_isready", "-q", "-h", "127.0.0.1", "-p", std::to_string(proxy->port())},
             .env = {},
             .input = ""});
    ASSERT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
    proxy->stop();

    EXPECT_EQ(ready.exit_code, 0);
    EXPECT_EQ(audit_records("login.refused").size(), 0u);
    EXPECT_EQ(audit_records("session.start").size(), 1u);
    EXPECT_EQ(proxy->log().find("session ", before.size()), std::string::npos) << proxy->log();
}

TEST_F(startup_packet, probe_with_a_certificate_leaves_no_hold_waiting) {
    temp_dir folder;
    const certificate_authority authority(folder.path());
    const auto server_pair = authority.issue({.file = "proxy"});
    const auto alice_pair = authority.issue({.file = "alice", .common_name = "alice"});
    options.postgres_tls = "{ mode: mutual, certificate: " + server_pair.certificate +
                           ", key: " + server_pair.key + ", client_ca: " + authority.certificate() +
                           " }";
    options.users["alice"] = "{ certificate: \"CN=alice\", groups: [dev] }";
    start();

    const auto probe = run({.argv = {"pg_isready", "-t", "1", "-d",
                                     "host=127.0.0.1 port=" + std::to_string(proxy->port()) +
                                         " dbname=hr user=alice sslmode=require sslcert=" +
                                         alice_pair.certificate + " sslkey=" + alice_pair.key},
                            .env = {},
                            .input = ""});

    EXPECT_LE(probe.exit_code, 2) << probe.err;
    EXPECT_TRUE(eventually([&] { return holds("withdrawn", "carol").size() == 1; }));
    EXPECT_TRUE(holds("pending", "carol").empty());
    EXPECT_EQ(upstream_sessions(), 0);
}

TEST_F(startup_packet, crowd_that_never_logs_in_does_not_keep_others_out) {
    options.limits = "{ unauthenticated_per_address: 20, login_timeout: 60s }";
    start();
    std::vector<wire_client> crowd;
    for (int i = 0; i < 300; ++i) {
        const std::string from = "127.0.0." + std::to_string(2 + i % 30);
        crowd.emplace_back(proxy->port(), from);
        if (i % 3 == 1) crowd.back().try_send(wire::int32(5000));
        if (i % 3 == 2)
            crowd.back().try_send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
    }

    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
    EXPECT_EQ(client_as("bob").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(startup_packet, client_stuck_in_the_tls_handshake_is_let_go_at_the_login_deadline) {
    temp_dir folder;
    const certificate_authority authority(folder.path());
    const auto pair = authority.issue({.file = "proxy"});
    options.postgres_tls =
        "{ mode: prefer, certificate: " + pair.certificate + ", key: " + pair.key + " }";
    options.limits = "{ login_timeout: 1s }";
    start();
    wire_client c(proxy->port());
    c.send(wire::ssl_request());
    ASSERT_EQ(c.read_byte(), 'S');
    c.send(std::string("\x16\x03\x01\x02\x00\x01", 6));

    EXPECT_NO_THROW(static_cast<void>(c.read_to_end()));
}

}  // namespace
}  // namespace sallyport::tests
