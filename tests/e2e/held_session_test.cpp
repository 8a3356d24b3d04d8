#include <gtest/gtest.h>

#include "tests/e2e/direct.h"
#include "tests/support/hostile_client.h"

/// What happens to a statement, its transaction and its server while people decide.
namespace sallyport::tests {
namespace {

class held_session : public e2e {
  protected:
    [[nodiscard]] static std::map<char, std::string> notice(wire_client& c) {
        return fields_of(c.read_until('N'));
    }
    [[nodiscard]] static std::map<char, std::string> last_error(const std::vector<message>& all) {
        return all.empty() ? std::map<char, std::string>{{'C', "nothing came"}}
                           : fields_of(all.back());
    }
    [[nodiscard]] std::string statement_hash(const std::string& sql) const {
        return direct("SELECT encode(sha256(convert_to($x$" + sql + "$x$, 'UTF8')), 'hex')");
    }
    static std::string policy_of(const std::string& from, const std::string& to) {
        std::string text = example_policy();
        return text.replace(text.find(from), from.size(), to);
    }
};

TEST_F(held_session, timeout_of_the_server_in_a_held_transaction_is_passed_on_and_withdraws) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SET idle_in_transaction_session_timeout = '300ms'").sqlstate(), "");
    c.send(wire::query("BEGIN"));
    c.send(wire::query(held_sql));
    const auto id = [&] {
        static_cast<void>(c.read_until('N'));
        return pending_hold_of("alice");
    }();

    const auto all = c.read_to_end();

    EXPECT_EQ(last_error(all).at('C'), "25P03");
    EXPECT_TRUE(hold_becomes(id, "withdrawn"));
}

TEST_F(held_session, idle_session_timeout_of_the_server_is_passed_on_and_withdraws) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SET idle_session_timeout = '300ms'").sqlstate(), "");
    c.send(wire::query(held_sql));
    static_cast<void>(c.read_until('N'));

    const auto all = c.read_to_end();

    EXPECT_EQ(last_error(all).at('C'), "57P05");
    EXPECT_TRUE(eventually([&] { return holds("pending").empty(); }));
}

TEST_F(held_session, server_process_that_is_terminated_ends_the_hold) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    static_cast<void>(notice(c));
    const auto id = pending_hold_of("alice");

    direct(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app' AND "
        "datname = current_database()");

    EXPECT_EQ(last_error(c.read_to_end()).at('C'), "57P01");
    EXPECT_TRUE(hold_becomes(id, "withdrawn"));
    const auto late =
        api("bob").post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"late"})");
    EXPECT_EQ(late.status, 409);
}

TEST_F(held_session, locks_of_the_open_transaction_are_pointed_out_to_client_and_approver) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").status, 'T');

    c.send(wire::query(held_sql));

    const auto fields = notice(c);
    std::string all;
    for (const auto& [letter, text] : fields)
        all += text;
    EXPECT_NE(all.find("keeps its locks"), std::string::npos) << all;
    static_cast<void>(pending_hold_of("alice"));
    EXPECT_TRUE(holds("pending").at(0).value("in_transaction", false));
    auto other = direct_client(server, database);
    ASSERT_EQ(other.ask("SET lock_timeout = '50ms'").sqlstate(), "");
    EXPECT_EQ(other.ask("SELECT count(*) FROM orders").sqlstate(), "55P03")
        << "the warning is true";
}

TEST_F(held_session, statement_timeout_counts_from_the_release_and_reminders_come_meanwhile) {
    options.more = "hold: { remind: 1s }\n";
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SET statement_timeout = '500ms'").sqlstate(), "");
    c.send(wire::query(held_sql));
    static_cast<void>(notice(c));
    const auto id = pending_hold_of("alice");

    const auto reminder = notice(c);  // a second has passed: more than the timeout
    EXPECT_NE(reminder.at('M').find("hold " + std::to_string(id)), std::string::npos);
    approve(id);

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
}

TEST_F(held_session, notices_at_the_door_come_between_authentication_and_the_first_parameters) {
    options.more = "hold: { remind: 1s }\n";
    start_with_policy(policy_of("approvals: 2 }", "approvals: 1 }"));
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));
    static_cast<void>(c.read_until('N'));
    std::string types;
    for (const auto& m : c.skipped())
        types += m.type;
    EXPECT_EQ(types, "SK") << "client_encoding and the key come first";
    EXPECT_EQ(c.server_parameters().at("client_encoding"), "UTF8");
    const auto reminder = c.read_until('N');
    EXPECT_LT(reminder.body.size(), 1'024u);
    for (const char byte : reminder.body)
        EXPECT_LT(static_cast<unsigned char>(byte), 0x80);

    approve(pending_hold_of("alice", "carol"), "carol");

    static_cast<void>(c.read_until('Z'));
    for (const auto& m : c.skipped())
        EXPECT_TRUE(m.type == 'N' || m.type == 'S') << m.type << ": one key is enough";
    EXPECT_EQ(c.server_parameters().at("standard_conforming_strings"), "on");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(held_session, first_notice_at_the_door_says_until_when_it_waits) {
    start_with_policy(policy_of("approvals: 2 }", "approvals: 1 }"));
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));

    const auto fields = fields_of(c.read_until('N'));

    std::string all;
    for (const auto& [letter, text] : fields)
        all += text;
    EXPECT_NE(all.find(" UTC"), std::string::npos) << all;
}

TEST_F(held_session, psql_that_gives_up_by_connect_timeout_withdraws_before_it_asks_the_next_host) {
    start_with_policy(policy_of("approvals: 2 }", "approvals: 1 }"));
    const std::string port = std::to_string(proxy->port());

    const auto r =
        run({.argv = {"psql", "-X", "-c", "SELECT 1",
                      "host=127.0.0.1,127.0.0.1 port=" + port + "," + port +
                          " dbname=hr user=alice password=alice-password connect_timeout=2 "
                          "sslmode=disable"},
             .env = {},
             .input = ""});

    EXPECT_EQ(r.exit_code, 2) << r.out;
    // The second attempt may be there before the first one's end is seen: it joins its hold then.
    EXPECT_TRUE(eventually([&] { return holds("pending", "carol").empty(); }));
    EXPECT_FALSE(holds("withdrawn", "carol").empty());
    EXPECT_EQ(upstream_sessions(), 0);
}

TEST_F(held_session, denial_at_the_door_is_not_tried_again_at_the_next_host) {
    start_with_policy(policy_of("approvals: 2 }", "approvals: 1 }"));
    const std::string port = std::to_string(proxy->port());
    child_process psql(
        {.argv = {"psql", "-X", "-c", "SELECT 1",
                  "host=127.0.0.1,127.0.0.1 port=" + port + "," + port +
                      " dbname=hr user=alice password=alice-password sslmode=prefer"},
         .env = {},
         .input = ""});

    deny(pending_hold_of("alice", "carol"), "no", "carol");

    EXPECT_EQ(psql.wait_exit(), 2) << psql.output();
    EXPECT_TRUE(holds("pending", "carol").empty());
    EXPECT_EQ(audit_records("hold.opened").size(), 1u);
}

TEST_F(held_session, terminate_at_the_door_withdraws) {
    start_with_policy(policy_of("approvals: 2 }", "approvals: 1 }"));
    wire_client c(proxy->port());
    c.authenticate(login_as("alice", "hr"));
    static_cast<void>(c.read_until('N'));
    const auto id = pending_hold_of("alice", "carol");

    c.send(wire::query("SELECT 1") + wire::terminate());

    EXPECT_TRUE(eventually([&] { return state_of_hold(id, "carol") == "withdrawn"; }));
}

TEST_F(held_session, client_that_leaves_with_unread_requests_behind_its_hold_withdraws) {
    options.limits = "{ pipeline_bytes: 16KiB }";
    start();
    std::uint64_t id = 0;
    {
        auto c = client_as("alice");
        c.send(wire::query("UPDATE customers SET ssn = 'gone' WHERE id = 1"));
        static_cast<void>(notice(c));
        id = pending_hold_of("alice");
        c.send(wire::query("SELECT '" + std::string(50'000, 'x') + "'"));
        c.close();
    }

    EXPECT_TRUE(hold_becomes(id, "withdrawn"));
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
}

TEST_F(held_session, batches_and_queries_in_one_write_behind_a_held_batch_wait_in_order) {
    start();
    auto c = client_as("alice");
    c.send(wire::once(held_sql) + wire::sync() + wire::query("INSERT INTO ledger VALUES (1, 'q')") +
           wire::once("INSERT INTO ledger VALUES (2, 'b')") + wire::sync());
    static_cast<void>(notice(c));
    const auto id = pending_hold_of("alice");
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");

    approve(id);

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_EQ(c.read_exchange().types(), "CZ");
    EXPECT_EQ(c.read_exchange().types(), "12CZ");
    EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "2");
}

TEST_F(held_session, approval_is_bound_to_the_exact_bytes_and_shown_without_tricks) {
    start();
    const std::string sql = "SELECT ssn FROM customers /* \xE2\x80\xAE\x1b[2J */ WHERE id = 1";
    auto c = client_as("alice");
    c.send(wire::query(sql));
    static_cast<void>(notice(c));
    const auto id = pending_hold_of("alice");

    const auto h = holds("pending").at(0);
    EXPECT_EQ(h.value("statement", ""), sql);
    EXPECT_EQ(h.value("statement_sha256", ""), statement_hash(sql));
    const auto shown = cli("bob", {"holds"});
    EXPECT_EQ(shown.find('\x1b'), std::string::npos);
    EXPECT_EQ(shown.find("\xE2\x80\xAE"), std::string::npos);
    approve(id);
    ASSERT_EQ(c.read_exchange().sqlstate(), "");
    EXPECT_EQ(audit_records("hold.released").at(0).value("statement_sha256", ""),
              statement_hash(sql));

    c.send(wire::query(sql + " "));
    EXPECT_NE(notice(c).at('M').find("waits for approval"), std::string::npos)
        << "one byte more is another statement";
}

TEST_F(held_session, statement_of_a_client_that_stopped_waiting_ends_at_the_deadline) {
    start_with_policy(policy_of("wait: 60s", "wait: 1s"));
    auto c = client_as("alice");  // its own timer has fired, it sends nothing more
    c.send(wire::query("UPDATE customers SET ssn = 'gone' WHERE id = 1"));
    static_cast<void>(notice(c));
    const auto id = pending_hold_of("alice");

    EXPECT_TRUE(hold_becomes(id, "expired"));
    const auto late =
        api("bob").post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"late"})");

    EXPECT_EQ(late.status, 409);
    EXPECT_EQ(c.read_exchange().sqlstate(), "SP002");
    EXPECT_EQ(direct("SELECT ssn FROM customers WHERE id = 1"), held_value);
}

TEST_F(held_session, each_session_has_a_server_process_of_its_own_and_leaves_nothing_to_the_next) {
    start();
    std::uint32_t first = 0;
    {
        auto c = client_as("alice");
        first = c.backend_pid();
        ASSERT_EQ(c.ask("SET application_name = 'mine'; SET work_mem = '5MB'; LISTEN bell; "
                        "SELECT pg_advisory_lock(7); PREPARE mine AS SELECT 1")
                      .sqlstate(),
                  "");
        c.send(wire::terminate());
        static_cast<void>(c.read_to_end());
    }
    ASSERT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    auto next = client_as("alice");

    EXPECT_NE(next.backend_pid(), first);
    EXPECT_EQ(next.ask("SHOW work_mem").rows.at(0).at(0), "4MB");
    EXPECT_EQ(next.ask("SELECT pg_try_advisory_lock(7)").rows.at(0).at(0), "t");
    EXPECT_EQ(next.ask("SELECT count(*) FROM pg_listening_channels()").rows.at(0).at(0), "0");
    EXPECT_EQ(next.ask("SELECT count(*) FROM pg_prepared_statements").rows.at(0).at(0), "0");
}

}  // namespace
}  // namespace sallyport::tests
