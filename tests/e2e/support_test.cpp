#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/support/eventually.h"
#include "tests/support/hostile_server.h"
#include "tests/support/postgres_server.h"
#include "tests/support/psql_session.h"
#include "tests/support/scram.h"
#include "tests/support/wire_client.h"

/// The test tools themselves, against a plain PostgreSQL: a test that fails here speaks of the
/// tools.
namespace sallyport::tests {
namespace {

class support : public testing::Test {
  protected:
    postgres_server& server = postgres_server::shared();
    std::string database = server.create_shop();
    ~support() override { server.drop_database(database); }
    [[nodiscard]] login_options as_app() const {
        return {
            .port = server.port(), .user = "app", .password = "app-password", .database = database};
    }
    [[nodiscard]] psql_options psql_as_app() const {
        return {
            .port = server.port(), .user = "app", .password = "app-password", .database = database};
    }
};

TEST_F(support, wire_client_logs_in_with_scram_and_reads_rows) {
    wire_client c(server.port());
    c.login(as_app());

    const exchange x = c.ask("SELECT id, NULL FROM orders WHERE id < 3 ORDER BY id");

    EXPECT_EQ(x.types(), "TDDCZ");
    ASSERT_EQ(x.rows.size(), 2u);
    EXPECT_EQ(x.rows[1][0], "2");
    EXPECT_EQ(x.rows[1][1], std::nullopt);
    EXPECT_NE(c.backend_pid(), 0u);
    EXPECT_EQ(c.server_parameters().at("client_encoding"), "UTF8");
}

TEST_F(support, wire_client_reports_a_refused_login_with_its_sqlstate) {
    wire_client c(server.port());
    auto o = as_app();
    o.password = "wrong";

    try {
        c.login(o);
        FAIL() << "logged in";
    } catch (const login_refused& e) {
        EXPECT_EQ(e.sqlstate(), "28P01");
    }
}

TEST_F(support, wire_client_speaks_the_extended_protocol) {
    wire_client c(server.port());
    c.login(as_app());

    c.send(wire::parse("s", "SELECT $1::int + 1") + wire::bind("", "s", {"41"}) +
           wire::describe('P', "") + wire::execute("") + wire::sync());
    const exchange x = c.read_exchange();

    EXPECT_EQ(x.types(), "12TDCZ");
    EXPECT_EQ(x.rows.at(0).at(0), "42");
}

TEST_F(support, cancel_ends_a_running_statement) {
    wire_client c(server.port());
    c.login(as_app());
    c.send(wire::query("SELECT pg_sleep(60)"));
    // A cancel that comes before its statement hits nothing.
    ASSERT_TRUE(eventually([&] {
        return server.query("postgres",
                            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") ==
               "1";
    }));

    send_cancel(server.port(), c.backend_pid(), c.backend_secret());

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

TEST_F(support, verifier_made_here_is_accepted_by_postgresql) {
    server.query("postgres",
                 "CREATE ROLE made_here LOGIN PASSWORD '" + scram_verifier("s3cret") + "'");
    wire_client c(server.port());
    auto o = as_app();
    o.user = "made_here";
    o.password = "s3cret";

    EXPECT_NO_THROW(c.login(o));
    c.close();
    server.query("postgres", "DROP ROLE made_here");
}

TEST_F(support, psql_session_answers_in_order_with_sqlstates) {
    psql_session s(psql_as_app());

    const auto good = s.ask("SELECT item FROM orders WHERE id = 7");
    const auto bad = s.ask("SELECT * FROM no_such_table");
    const auto after = s.ask("SELECT 1");

    EXPECT_EQ(good.text, "item 7");
    EXPECT_EQ(good.sqlstate, "00000");
    EXPECT_EQ(bad.sqlstate, "42P01");
    EXPECT_NE(bad.text.find("no_such_table"), std::string::npos);
    EXPECT_EQ(after.text, "1");
}

TEST_F(support, psql_session_interrupt_cancels_the_statement) {
    psql_session s(psql_as_app());
    s.send("SELECT pg_sleep(60)");
    ASSERT_TRUE(eventually([&] {
        return server.query(database,
                            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = "
                            "'PgSleep' AND datname = current_database()") == "1";
    }));

    s.interrupt();

    EXPECT_EQ(s.finish().sqlstate, "57014");
    EXPECT_EQ(s.ask("SELECT 'still here'").text, "still here");
}

TEST_F(support, psql_session_shows_notices_while_a_statement_runs) {
    psql_session s(psql_as_app());

    s.send("DO $$ BEGIN RAISE NOTICE 'first'; PERFORM pg_sleep(60); END $$");

    EXPECT_TRUE(s.shows("first"));
}

TEST(support_tls, wire_client_verifies_the_server_and_runs_over_tls) {
    postgres_server server({.tls = true});
    wire_client c(server.port());
    c.start_tls({.ca = server.ca().certificate()});
    c.login(
        {.port = server.port(), .user = "app", .password = "app-password", .database = "postgres"});

    const exchange x = c.ask("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()");

    EXPECT_EQ(x.rows.at(0).at(0), "t");
}

TEST(support_tls, certificate_of_another_authority_is_refused) {
    postgres_server server({.tls = true});
    temp_dir dir;
    const certificate_authority other(dir.path(), "other");
    wire_client c(server.port());

    EXPECT_THROW(c.start_tls({.ca = other.certificate()}), std::runtime_error);
}

TEST(support_process, child_is_killed_and_its_exit_code_names_the_signal) {
    child_process p({.argv = {"cat"}});
    p.send("hello\n");
    ASSERT_NE(p.wait_for("hello\n"), std::string::npos);

    p.signal(SIGKILL);

    EXPECT_EQ(p.wait_exit(), 128 + SIGKILL);
}

TEST(support_process, run_collects_both_outputs_and_the_exit_code) {
    const auto r = run({.argv = {"sh", "-c", "cat; echo oops >&2; exit 3"}, .input = "in"});

    EXPECT_EQ(r.out, "in");
    EXPECT_EQ(r.err, "oops\n");
    EXPECT_EQ(r.exit_code, 3);
}

TEST(support_process, run_ends_a_program_that_hangs) {
    const auto r = run({.argv = {"sleep", "60"}, .deadline = milliseconds(50)});

    EXPECT_TRUE(r.timed_out);
}

TEST(support_files, temp_dir_is_gone_with_its_content) {
    std::string path;
    {
        temp_dir dir;
        path = dir.path();
        write_file(dir.file("a/b"), "x");
        EXPECT_EQ(read_file(dir.file("a/b")), "x");
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(support_hostile, script_sees_the_startup_packet_and_answers) {
    std::string seen;
    hostile_server server([&](hostile_connection& c) {
        seen = c.read_startup_refusing_tls();
        c.accept_login();
        c.drain();
    });
    wire_client c(server.port());
    c.send(wire::ssl_request());
    EXPECT_EQ(c.read_byte(), 'N');

    c.login({.port = server.port(), .user = "x", .database = "y"});

    EXPECT_EQ(c.backend_pid(), 4711u);
    EXPECT_NE(seen.find("user"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tests
