#include <csignal>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// How sessions end: clients that vanish, kills, drains; and that the server ends with them.
namespace sallyport::tests {
namespace {

class endings : public e2e {
  protected:
    [[nodiscard]] std::string running(const std::string& text) const {
        return direct(
            "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%" +
            text + "%' AND pid <> pg_backend_pid()");
    }
    [[nodiscard]] bool runs(const std::string& text) const {
        return eventually([&] { return running(text) == "1"; });
    }
    [[nodiscard]] bool ends(const std::string& text) const {
        return eventually([&] { return running(text) == "0"; });
    }
    [[nodiscard]] std::string ghosts() const {
        return direct("SELECT count(*) FROM orders WHERE id >= 900");
    }
    /// No connection of the proxy is left in the test's database.
    [[nodiscard]] bool server_is_quiet() const {
        return eventually([&] { return upstream_sessions() == 0; });
    }
};

// Two statements in one write; the client is gone while the first runs.
const std::string slow_then_insert =
    wire::query("SELECT pg_sleep(1)") + wire::query("INSERT INTO orders VALUES (900, 'x', 1)");
const std::string slow_then_insert_extended =
    wire::once("SELECT pg_sleep(1)") + wire::sync() +
    wire::once("INSERT INTO orders VALUES (901, 'x', 1)") + wire::sync();

TEST_F(endings, nothing_runs_behind_the_statement_of_a_client_that_closed) {
    start();
    for (const auto& sent : {slow_then_insert, slow_then_insert_extended}) {
        auto c = client_as("alice");
        c.send(sent);
        ASSERT_TRUE(runs("pg_sleep(1)"));

        c.close();

        EXPECT_TRUE(server_is_quiet());
    }
    EXPECT_EQ(ghosts(), "0");
}

TEST_F(endings, nothing_runs_behind_the_statement_of_a_client_that_was_reset) {
    start();
    auto c = client_as("alice");
    c.send(slow_then_insert);
    ASSERT_TRUE(runs("pg_sleep(1)"));

    c.reset();

    EXPECT_TRUE(server_is_quiet());
    EXPECT_EQ(ghosts(), "0");
}

TEST_F(endings, a_statement_of_a_client_that_vanished_is_cancelled) {
    start();
    auto c = client_as("alice");
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(runs("pg_sleep(60)"));

    c.close();

    EXPECT_TRUE(server_is_quiet());
}

TEST_F(endings, a_client_that_only_stopped_sending_has_all_its_results) {
    start();
    auto c = client_as("alice");
    c.send(slow_then_insert);
    ASSERT_TRUE(runs("pg_sleep(1)"));

    c.half_close();

    EXPECT_EQ(c.read_exchange().tags, std::vector<std::string>{"SELECT 1"});
    EXPECT_EQ(c.read_exchange().tags, std::vector<std::string>{"INSERT 0 1"});
    EXPECT_TRUE(c.read_to_end().empty());
    EXPECT_EQ(ghosts(), "1");
}

TEST_F(endings, a_client_that_only_stopped_sending_is_answered_whatever_had_to_be_found_out) {
    options.policy = "version: 1\ndefault: allow\nopaque: allow\n";
    start();
    auto asked = client_as("alice");  // whether there is a cursor, the server says
    asked.send(wire::query("FETCH ALL FROM nothing"));
    asked.half_close();
    EXPECT_EQ(asked.read_exchange().sqlstate(), "34000");
    EXPECT_TRUE(asked.read_to_end().empty());

    auto analysed = client_as("alice");  // long: on another thread
    analysed.send(wire::query("SELECT length('" + std::string(300'000, 'x') + "')"));
    analysed.half_close();
    EXPECT_EQ(analysed.read_exchange().rows.at(0).at(0), "300000");
}

TEST_F(endings, a_copy_whose_data_never_ends_gets_what_the_server_makes_of_it) {
    options.policy = "version: 1\ndefault: allow\nopaque: allow\n";
    start();
    for (const auto& [data, code] :
         {std::pair{"not a number\n", "22P02"}, std::pair{"7\n", "08006"}}) {
        auto c = client_as("alice");
        EXPECT_EQ(c.ask("CREATE TEMP TABLE numbers (n int)").sqlstate(), "");
        c.send(wire::query("COPY numbers FROM STDIN"));
        static_cast<void>(c.read_until('G'));
        c.send(wire::frame('d', data) + wire::sync());
        c.half_close();
        EXPECT_EQ(fields_of(c.read_until('E')).at('C'), code);
        // After an error the Sync has its own answer; a copy that goes on passes it over.
        const auto rest = c.read_to_end();
        EXPECT_EQ(rest.size(), std::string_view(code) == "22P02" ? 2U : 1U);
    }
}

TEST_F(endings, a_killed_session_stops_on_the_server_even_if_it_refuses_to_be_cancelled) {
    options.policy = "version: 1\ndefault: allow\nopaque: allow\n";
    start();
    auto c = client_as("alice");
    c.send(
        wire::query("DO $$ BEGIN LOOP BEGIN PERFORM pg_sleep(60); "
                    "EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$"));
    ASSERT_TRUE(runs("EXCEPTION WHEN query_canceled"));
    const auto sessions = get("root", "/api/v1/sessions");
    const auto id = sessions["sessions"].at(0).at("id").get<std::uint64_t>();

    post("root", "/api/v1/sessions/" + std::to_string(id) + "/kill", {{"reason", "runaway"}});

    const auto last = c.read_to_end();
    ASSERT_FALSE(last.empty());
    EXPECT_EQ(fields_of(last.back()).at('C'), "SP003");
    EXPECT_TRUE(ends("EXCEPTION WHEN query_canceled"));
}

TEST_F(endings, a_drain_lets_what_runs_finish_and_nothing_new_begin) {
    options.drain_timeout = "20s";
    start();
    auto busy = client_as("alice");
    auto idle = client_as("alice");
    auto held = client_as("alice");
    held.send(wire::query(held_sql));
    ASSERT_NE(pending_hold_of("alice"), 0U);
    busy.send(wire::query("SELECT pg_sleep(1), 42"));
    ASSERT_TRUE(runs("pg_sleep(1)"));

    proxy->signal(SIGTERM);

    for (auto* const c : {&idle, &held}) {
        const auto last = c->read_until('E');
        EXPECT_EQ(fields_of(last).at('C'), "57P01");
        EXPECT_EQ(fields_of(last).count('H'), 1U);
    }
    // Each worker has a listener of its own, and ends it when it hears of the drain.
    EXPECT_TRUE(eventually([&] {
        try {
            const wire_client late(proxy->port());
            return false;
        } catch (const std::exception&) {
            return true;
        }
    }));
    const auto x = busy.read_exchange();
    EXPECT_EQ(x.rows.at(0).at(1), "42");
    EXPECT_EQ(fields_of(busy.read_until('E')).at('C'), "57P01");
}

TEST_F(endings, a_second_signal_stops_at_once_and_cancels_what_runs) {
    options.drain_timeout = "60s";
    start();
    auto c = client_as("alice");
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(runs("pg_sleep(60)"));

    proxy->signal(SIGTERM);
    ASSERT_TRUE(eventually([&] { return proxy->log().find("draining") != std::string::npos; }));
    proxy->signal(SIGTERM);

    EXPECT_EQ(fields_of(c.read_until('E')).at('C'), "57P01");
    EXPECT_TRUE(ends("pg_sleep(60)"));
}

TEST_F(endings, a_fatal_of_the_server_reaches_the_client_once) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SELECT 1").types(), "TDCZ");

    direct("SELECT pg_terminate_backend(" + std::to_string(c.backend_pid()) + ")");

    const auto last = c.read_to_end();
    ASSERT_EQ(last.size(), 1U);
    EXPECT_EQ(fields_of(last[0]).at('C'), "57P01");
    EXPECT_EQ(fields_of(last[0]).at('S'), "FATAL");
}

}  // namespace
}  // namespace sallyport::tests
