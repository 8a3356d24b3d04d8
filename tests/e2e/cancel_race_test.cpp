#include <atomic>
#include <future>
#include <mutex>
#include <random>

#include <gtest/gtest.h>

#include "tests/e2e/direct.h"
#include "tests/support/server_phases.h"

/// Cancels that come late, often, wrong, over TLS, or to a server that does not answer them.
namespace sallyport::tests {
namespace {

class cancel_race : public e2e {
  protected:
    [[nodiscard]] bool sleeping(int sessions = 1) const {
        return eventually([&] {
            return direct(
                       "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                       "datname = current_database()") == std::to_string(sessions);
        });
    }
    void to(server_phases phases) {
        hostile = std::make_unique<hostile_server>(play(std::move(phases)));
        options.targets["shop"] = {.port = hostile->port(), .dbname = "shop"};
        start();
    }
    /// Sends a CancelRequest without waiting for anything.
    [[nodiscard]] wire_client cancel_at_once(const wire_client& c) const {
        wire_client canceller(proxy->port());
        canceller.send(wire::cancel_request(c.backend_pid(), c.backend_secret()));
        return canceller;
    }
    std::unique_ptr<hostile_server> hostile;
};

TEST_F(cancel_race, next_statement_waits_until_the_server_is_done_with_the_cancel) {
    // PostgreSQL closes the cancel's connection when the signal is sent, not before.
    std::mutex mutex;
    std::string order;
    const auto note = [&](const std::string& what) {
        const std::lock_guard lock(mutex);
        order += what + " ";
    };
    std::atomic<bool> asked{false};
    std::promise<void> came;
    std::promise<void> release;
    const auto cancel_came = came.get_future().share();
    const auto released = release.get_future().share();
    to({.on_message =
            [&, cancel_came](hostile_connection& c, char type, const std::string& body) {
                if (type != 'Q' || body.find("first") == std::string::npos) {
                    if (body.find("next") != std::string::npos) note("next");
                    return false;
                }
                asked = true;
                cancel_came.wait();
                c.send(server_wire::error("57014", "canceling") + server_wire::ready());
                return true;
            },
        .on_cancel =
            [&, released](hostile_connection&, const std::string&) {
                came.set_value();
                released.wait();
                note("cancelled");
            }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    c.send(wire::query("SELECT 'first'"));
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    auto canceller = cancel_at_once(c);
    ASSERT_EQ(c.read_exchange().sqlstate(), "57014");

    c.send(wire::query("SELECT 'next'"));
    for (int i = 0; i < 10; ++i)  // every worker has had the time to pass it on
        ASSERT_EQ(client_as("bob").ask("SELECT 1").types(), "TDCZ");
    release.set_value();

    EXPECT_EQ(c.read_exchange().types(), "TDCZ");
    EXPECT_EQ(order, "cancelled next ");
}

TEST_F(cancel_race, statement_sent_after_its_cancel_was_answered_always_runs) {
    start();
    auto c = client_as("alice");
    for (int i = 0; i < 30; ++i) {
        c.send(wire::query("SELECT pg_sleep(0.00" + std::to_string(i % 5) + ")"));
        send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());
        static_cast<void>(c.read_exchange());

        ASSERT_EQ(c.ask("SELECT pg_sleep(0.002), 'next'").sqlstate(), "") << i;
    }
}

TEST_F(cancel_race, thousand_guessed_secrets_hit_nothing_and_are_told_nothing) {
    start();
    auto c = client_as("alice");
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(sleeping());
    std::mt19937 random(20261122);

    for (int i = 0; i < 1'000; ++i) {
        wire_client guess(proxy->port());
        const auto secret = static_cast<std::uint32_t>(random());
        if (secret == c.backend_secret()) continue;
        guess.send(wire::cancel_request(c.backend_pid(), secret));
        ASSERT_TRUE(guess.read_to_end().empty())
            << "an answer tells a right guess from a wrong one";
    }

    EXPECT_EQ(direct("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                     "datname = current_database()"),
              "1");
    send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());
    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

TEST_F(cancel_race, every_session_is_found_on_whichever_worker_the_cancel_arrives) {
    start();
    std::vector<wire_client> sessions;
    for (int i = 0; i < 12; ++i) {
        sessions.push_back(client_as("alice"));
        sessions.back().send(wire::query("SELECT pg_sleep(60)"));
    }
    ASSERT_TRUE(sleeping(12));

    for (auto& c : sessions) {
        send_cancel(proxy->port(), c.backend_pid(), c.backend_secret());
        EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
    }
}

TEST_F(cancel_race, psql_cancels_in_plaintext_where_tls_is_required) {
    temp_dir folder;
    const certificate_authority authority(folder.path());
    const auto pair = authority.issue({.file = "proxy"});
    options.postgres_tls =
        "{ mode: require, certificate: " + pair.certificate + ", key: " + pair.key + " }";
    start();
    auto o = psql_as("alice");
    o.sslmode = "require";
    psql_session s(o);
    s.send("SELECT pg_sleep(60)");
    ASSERT_TRUE(sleeping());

    s.interrupt();

    EXPECT_EQ(s.finish().sqlstate, "57014");
}

TEST_F(cancel_race, cancel_inside_tls_works_too) {
    temp_dir folder;
    const certificate_authority authority(folder.path());
    const auto pair = authority.issue({.file = "proxy"});
    options.postgres_tls =
        "{ mode: require, certificate: " + pair.certificate + ", key: " + pair.key + " }";
    start();
    wire_client c(proxy->port());
    c.start_tls();
    c.login(login_as("alice"));
    c.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(sleeping());

    wire_client canceller(proxy->port());
    canceller.start_tls();
    canceller.send(wire::cancel_request(c.backend_pid(), c.backend_secret()));

    EXPECT_EQ(c.read_exchange().sqlstate(), "57014");
}

TEST_F(cancel_race, storm_of_cancels_for_one_statement_opens_one_connection_to_the_server) {
    std::atomic<int> cancels{0};
    std::atomic<bool> asked{false};
    std::promise<void> storm_is_over;
    const auto over = storm_is_over.get_future().share();
    to({.on_message =
            [over, &asked](hostile_connection& c, char type, const std::string&) {
                if (type != 'Q') return false;
                asked = true;
                over.wait();
                c.send(server_wire::one_row("survived"));
                return true;
            },
        .on_cancel =
            [&cancels, over](hostile_connection&, const std::string&) {
                ++cancels;
                over.wait();  // this server never answers its cancels while the storm lasts
            }});
    const stopped_first stopped{hostile};
    auto c = client_as("alice");
    c.send(wire::query("SELECT 1"));
    ASSERT_TRUE(eventually([&] { return asked.load(); }));
    std::vector<wire_client> storm;
    storm.push_back(cancel_at_once(c));
    ASSERT_TRUE(eventually([&] { return cancels == 1; }));

    for (int i = 0; i < 40; ++i)
        static_cast<void>(cancel_at_once(c).read_to_end());

    EXPECT_EQ(cancels, 1);
    storm_is_over.set_value();
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "survived");
    EXPECT_EQ(c.ask("SELECT 2").types(), "TDCZ");
}

TEST_F(cancel_race, cancel_that_the_server_never_answers_delays_the_next_statement_only_so_long) {
    std::promise<void> test_is_over;
    const auto over = test_is_over.get_future().share();
    to({.on_cancel = [over](hostile_connection&, const std::string&) { over.wait(); }});
    auto c = client_as("alice");
    // Two statements in one write: the server answers the first while its cancel hangs.
    std::vector<wire_client> cancellers;
    for (int i = 0; i < 3; ++i) {
        c.send(wire::query("SELECT 1"));
        cancellers.push_back(cancel_at_once(c));
        c.send(wire::query("SELECT 2"));
        EXPECT_EQ(c.read_exchange().types(), "TDCZ");
        EXPECT_EQ(c.read_exchange().types(), "TDCZ");
    }
    test_is_over.set_value();
}

TEST_F(cancel_race, psql_interrupted_at_the_door_withdraws_its_request) {
    start();
    psql_session s(psql_as("alice", "hr"));
    const auto id = pending_hold_of("alice", "carol");

    s.interrupt();

    EXPECT_TRUE(eventually([&] { return state_of_hold(id, "carol") == "withdrawn"; }));
    EXPECT_EQ(upstream_sessions(), 0);
}

}  // namespace
}  // namespace sallyport::tests
