#include <csignal>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Bad bytes, too many bytes, bytes at the wrong time: refused, bounded, and nobody else notices.
namespace sallyport::tests {
namespace {

class protocol_abuse : public e2e {
  protected:
    void SetUp() override { start(); }
    /// Another session works, and the process lives.
    void expect_others_unharmed() const {
        EXPECT_TRUE(proxy->process().alive()) << proxy->log();
        EXPECT_EQ(client_as("bob").ask("SELECT 1").types(), "TDCZ");
    }
    /// A logged-in client that sends these bytes is told 08P01 and closed.
    void expect_violation(const std::string& bytes) const {
        auto c = client_as("alice");
        c.try_send(bytes);
        const auto rest = c.read_to_end();
        ASSERT_FALSE(rest.empty()) << "closed without a word";
        const auto e = fields_of(rest.back());
        EXPECT_EQ(e.at('S'), "FATAL");
        EXPECT_EQ(e.at('C'), "08P01") << e.at('M');
    }
};

TEST_F(protocol_abuse, unknown_message_type_is_08p01) {
    expect_violation(wire::frame('@', "what"));
    expect_others_unharmed();
}

TEST_F(protocol_abuse, backend_message_from_a_client_is_08p01) {
    expect_violation(wire::frame('Z', "I"));
}

TEST_F(protocol_abuse, password_message_after_login_is_08p01) {
    expect_violation(wire::password("again"));
}

TEST_F(protocol_abuse, lengths_that_cannot_be_are_08p01) {
    for (const std::uint32_t length : {0U, 3U, 0x7fffffffU, 0xffffffffU}) {
        SCOPED_TRACE(length);
        expect_violation("Q" + wire::int32(length) + "SELECT 1");
    }
    expect_others_unharmed();
}

TEST_F(protocol_abuse, small_message_with_a_huge_length_is_08p01) {
    expect_violation("S" + wire::int32(100'000));
}

TEST_F(protocol_abuse, query_without_its_terminator_never_runs) {
    auto c = client_as("alice");
    c.try_send(wire::frame('Q', "INSERT INTO ledger VALUES (1, 'x')"));

    try {
        static_cast<void>(c.read_exchange());
    } catch (const wire_closed&) {
        // closing is as good as an error
    }
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
    expect_others_unharmed();
}

TEST_F(protocol_abuse, nul_inside_a_query_hides_nothing) {
    auto c = client_as("alice");
    const std::string hidden("SELECT 1;\0 CREATE TABLE sneaky (id int)\0", 40);
    c.try_send(wire::frame('Q', hidden));

    try {
        static_cast<void>(c.read_exchange());
    } catch (const wire_closed&) {
        // closing is as good as an error
    }
    EXPECT_EQ(direct("SELECT to_regclass('sneaky') IS NULL"), "t");
    expect_others_unharmed();
}

TEST_F(protocol_abuse, bind_with_counts_beyond_its_body_is_refused_by_somebody) {
    auto c = client_as("alice");
    const std::string body = std::string(2, '\0') + wire::int16(0) + wire::int16(30'000);
    c.try_send(wire::parse("", "SELECT $1::int") + wire::frame('B', body) + wire::execute("") +
               wire::sync());

    try {
        EXPECT_FALSE(c.read_exchange().sqlstate().empty());
    } catch (const wire_closed&) {
        // closing is as good as an error
    }
    expect_others_unharmed();
}

TEST_F(protocol_abuse, startup_packets_of_impossible_lengths_are_closed) {
    for (const std::uint32_t length : {0U, 3U, 7U, 10'005U, 0x7fffffffU, 0xffffffffU}) {
        SCOPED_TRACE(length);
        wire_client c(proxy->port());
        c.try_send(wire::int32(length) + wire::int32(196608));
        for (const auto& m : c.read_to_end())
            EXPECT_EQ(m.type, 'E');
    }
    expect_others_unharmed();
}

TEST_F(protocol_abuse, http_request_on_the_postgresql_port_is_closed) {
    wire_client c(proxy->port());
    c.try_send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");

    EXPECT_NO_THROW(static_cast<void>(c.read_to_end()));
    expect_others_unharmed();
}

TEST_F(protocol_abuse, query_during_authentication_never_runs) {
    wire_client c(proxy->port());
    c.send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
    static_cast<void>(c.read_until('R'));

    c.try_send(wire::query("INSERT INTO ledger VALUES (1, 'x')"));

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "08P01");
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
}

TEST_F(protocol_abuse, sasl_response_with_a_lying_length_is_refused) {
    for (const std::uint32_t length : {0xfffffff0U, 0x7fffffffU, 1'000U}) {
        SCOPED_TRACE(length);
        wire_client c(proxy->port());
        c.send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
        static_cast<void>(c.read_until('R'));
        c.try_send(
            wire::frame('p', std::string("SCRAM-SHA-256\0", 14) + wire::int32(length) + "n,,"));
        for (const auto& m : c.read_to_end())
            EXPECT_EQ(m.type, 'E');
    }
    expect_others_unharmed();
}

TEST_F(protocol_abuse, messages_cut_at_every_byte_mean_the_same) {
    auto c = client_as("alice");
    const std::string bytes = wire::parse("s", "SELECT $1::text") + wire::bind("", "s", {"cut"}) +
                              wire::describe('P', "") + wire::execute("") + wire::sync();

    for (const char byte : bytes)
        c.send(std::string_view(&byte, 1));

    const auto x = c.read_exchange();
    EXPECT_EQ(x.types(), "12TDCZ");
    EXPECT_EQ(x.rows.at(0).at(0), "cut");
}

TEST_F(protocol_abuse, statement_of_200_kb_of_terms_does_not_kill_the_process) {
    std::string sql = "SELECT 1";
    for (int i = 0; i < 100'000; ++i)
        sql += "+1";
    auto c = client_as("alice");

    c.send(wire::query(sql));
    const auto first = c.read();

    EXPECT_NE(first.type, 0);
    expect_others_unharmed();
}

TEST_F(protocol_abuse, deeply_nested_statement_does_not_kill_the_process) {
    const std::string sql = "SELECT " + std::string(50'000, '(') + "1" + std::string(50'000, ')');
    auto c = client_as("alice");

    c.send(wire::query(sql));
    static_cast<void>(c.read());

    expect_others_unharmed();
}

TEST_F(protocol_abuse, statement_above_the_inspection_limit_is_opaque_and_held) {
    proxy.reset();
    options.limits = "{ inspect_bytes: 64KiB }";
    start();
    auto c = client_as("alice");

    c.send(wire::query("SELECT length('" + std::string(100'000, 'x') + "')"));

    const auto fields = fields_of(c.read_until('N'));
    EXPECT_NE(fields.at('M').find("rule opaque"), std::string::npos) << fields.at('M');
}

TEST_F(protocol_abuse, message_above_the_message_limit_is_refused) {
    proxy.reset();
    options.limits = "{ inspect_bytes: 64KiB, message_bytes: 128KiB }";
    start();

    expect_violation("Q" + wire::int32(1'000'000) + std::string(200'000, 'x'));
}

TEST_F(protocol_abuse, client_that_does_not_read_does_not_grow_the_proxy) {
    auto c = client_as("alice");
    c.send(wire::query("SELECT repeat('x', 1000000) FROM generate_series(1, 400)"));
    // Once the server waits for its client, everything that the proxy will buffer is buffered.
    ASSERT_TRUE(eventually([&] {
        return direct(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite' AND "
                   "datname = current_database()") == "1";
    }));

    const std::string status = read_file("/proc/" + std::to_string(proxy->pid()) + "/status");
    const auto at = status.find("VmRSS:");
    const long rss_kib = std::stol(status.substr(at + 6));

    EXPECT_LT(rss_kib, 400'000) << "400 MB were asked for";
    expect_others_unharmed();
}

TEST_F(protocol_abuse, half_closed_client_still_gets_its_answer) {
    auto c = client_as("alice");
    c.send(wire::query("SELECT 'answered'"));

    c.half_close();

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "answered");
}

TEST_F(protocol_abuse, batch_of_a_vanished_client_is_not_committed) {
    {
        auto c = client_as("alice");
        c.send(wire::once("INSERT INTO ledger VALUES (1, 'half')") + wire::flush());
        static_cast<void>(c.read_until('C'));
        c.close();
    }

    ASSERT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
}

TEST_F(protocol_abuse, message_cut_off_by_the_client_s_end_is_not_completed) {
    {
        auto c = client_as("alice");
        c.send(wire::query("INSERT INTO ledger VALUES (1, 'half')").substr(0, 30));
        c.close();
    }

    ASSERT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
}

TEST_F(protocol_abuse, pipeline_behind_a_held_statement_is_bounded) {
    proxy.reset();
    options.limits = "{ pipeline_bytes: 64KiB }";
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    static_cast<void>(c.read_until('N'));
    const std::string more = wire::query("SELECT '" + std::string(8'000, 'x') + "'");

    // Either the proxy stops reading (and the sockets fill), or it ends the session.
    bool stopped = false;
    try {
        for (int i = 0; i < 20'000 && !stopped; ++i)
            stopped = !c.try_send(more);
    } catch (const wire_timeout&) {
        stopped = true;
    }

    EXPECT_TRUE(stopped) << "160 MB were taken behind a held statement";
    expect_others_unharmed();
}

TEST_F(protocol_abuse, many_prepared_statements_are_bounded_by_an_error_not_by_memory) {
    proxy.reset();
    options.limits = "{ prepared_statements: 50 }";
    start();
    auto c = client_as("alice");

    std::string sqlstate;
    for (int i = 0; i < 200 && sqlstate.empty(); ++i) {
        c.send(wire::parse("s" + std::to_string(i), "SELECT 1") + wire::sync());
        sqlstate = c.read_exchange().sqlstate();
    }

    EXPECT_FALSE(sqlstate.empty());
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

}  // namespace
}  // namespace sallyport::tests
