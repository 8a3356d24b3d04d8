#include <gtest/gtest.h>

#include "tests/e2e/direct.h"

/// Which statement a name stands for: the server's answer counts, and doubt is held.
namespace sallyport::tests {
namespace {

class names : public e2e {
  protected:
    void SetUp() override { start(); }
    /// The next message is the notice of a hold; its text.
    [[nodiscard]] static std::string held(wire_client& c) {
        return fields_of(c.read_until('N')).at('M');
    }
    void expect_same(const std::string& bytes, int exchanges) {
        auto straight = direct_client(server, database);
        const auto expected = played(straight, bytes, exchanges);
        auto proxied = client_as("alice");
        EXPECT_EQ(played(proxied, bytes, exchanges), expected);
    }
};

TEST_F(names, statement_replaced_inside_a_do_block_is_held_when_it_is_bound) {
    std::string policy = example_policy();
    policy.replace(policy.find("opaque: {"),
                   policy.find('\n', policy.find("opaque: {")) - policy.find("opaque: {"),
                   "opaque: { effect: hold, hold: { approvers: { groups: [security] } } }");
    proxy.reset();
    start_with_policy(policy);
    auto c = client_as("alice");
    c.send(wire::parse("s1", "SELECT 'benign'") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "");
    c.send(
        wire::query("DO $$BEGIN EXECUTE 'DEALLOCATE s1'; "
                    "EXECUTE 'PREPARE s1 AS SELECT ssn FROM customers'; END$$"));
    static_cast<void>(held(c));
    approve(pending_hold_of("alice"));
    ASSERT_EQ(c.read_exchange().sqlstate(), "");

    c.send(wire::bind("", "s1") + wire::execute("") + wire::sync());

    EXPECT_NE(held(c).find("rule opaque"), std::string::npos);
}

TEST_F(names, sql_prepare_is_executed_by_protocol_name_as_what_it_is) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("PREPARE p1 AS SELECT ssn FROM customers").sqlstate(), "");

    c.send(wire::bind("", "p1") + wire::execute("") + wire::sync());

    EXPECT_NE(held(c).find("pii-needs-approval"), std::string::npos);
}

TEST_F(names, protocol_statement_is_executed_by_sql_name_as_what_it_is) {
    auto c = client_as("alice");
    c.send(wire::parse("p1", "SELECT ssn FROM customers") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "");

    c.send(wire::query("EXECUTE P1"));

    EXPECT_NE(held(c).find("pii-needs-approval"), std::string::npos);
}

TEST_F(names, cursor_is_fetched_by_protocol_only_with_its_approval) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    c.send(wire::query("DECLARE c1 CURSOR FOR SELECT ssn FROM customers ORDER BY id"));
    static_cast<void>(held(c));
    approve(pending_hold_of("alice"));
    ASSERT_EQ(c.read_exchange().sqlstate(), "");

    c.send(wire::execute("c1", 1) + wire::sync());
    const auto x = c.read_exchange();

    EXPECT_EQ(x.rows.at(0).at(0), held_value) << "the cursor goes on with its approval";
    EXPECT_EQ(x.types(), "DsZ");
}

TEST_F(names, portal_of_the_protocol_is_fetched_by_sql_as_what_it_is) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    c.send(wire::parse("", "SELECT ssn FROM customers") + wire::bind("w", "") + wire::sync());
    static_cast<void>(held(c));
    deny(pending_hold_of("alice"), "no");
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
}

TEST_F(names, unnamed_statement_is_dropped_by_a_simple_query_and_a_failed_parse) {
    expect_same(wire::parse("", "SELECT 'first'") + wire::sync() + wire::query("SELECT 1") +
                    wire::bind("", "") + wire::execute("") + wire::sync(),
                3);
    expect_same(wire::parse("", "SELECT 'second'") + wire::sync() +
                    wire::parse("", "SELECT no_such_column") + wire::sync() + wire::bind("", "") +
                    wire::execute("") + wire::sync(),
                3);
}

TEST_F(names, named_statement_survives_rollback) {
    expect_same(wire::query("BEGIN") + wire::parse("kept", "SELECT 'kept'") + wire::sync() +
                    wire::query("ROLLBACK") + wire::bind("", "kept") + wire::execute("") +
                    wire::sync(),
                4);
}

TEST_F(names, deallocate_all_and_discard_all_forget_every_name) {
    for (const char* sql : {"DEALLOCATE ALL", "DISCARD ALL"}) {
        SCOPED_TRACE(sql);
        expect_same(wire::parse("s1", "SELECT 1") + wire::sync() + wire::query(sql) +
                        wire::bind("", "s1") + wire::execute("") + wire::sync(),
                    3);
        expect_same(wire::parse("s1", "SELECT 1") + wire::sync() + wire::once(sql) + wire::sync() +
                        wire::bind("", "s1") + wire::execute("") + wire::sync(),
                    3);
    }
    expect_same(wire::query("BEGIN; DECLARE c1 CURSOR FOR SELECT 1; CLOSE ALL") +
                    wire::execute("c1") + wire::sync(),
                2);
}

TEST_F(names, closing_a_portal_leaves_the_statement_of_the_same_name) {
    expect_same(wire::parse("n", "SELECT 'alive'") + wire::bind("n", "n") + wire::close('P', "n") +
                    wire::bind("n", "n") + wire::execute("n") + wire::sync(),
                1);
}

TEST_F(names, redefining_a_name_without_close_fails_and_the_old_meaning_is_decided) {
    auto c = client_as("alice");
    c.send(wire::parse("s", "SELECT ssn FROM customers") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "");
    c.send(wire::parse("s", "SELECT 'benign'") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "42P05");

    c.send(wire::bind("", "s") + wire::execute("") + wire::sync());

    EXPECT_NE(held(c).find("pii-needs-approval"), std::string::npos);
}

TEST_F(names, messages_with_broken_bodies_fail_as_at_the_server_and_the_session_lives) {
    const std::string nul(1, '\0');
    const std::string bad[] = {
        wire::frame('P', "s" + nul + "SELECT 1" + nul + wire::int16(0) + "more"),
        wire::frame('P', "s" + nul + "SELECT 1" + nul + wire::int16(3)),
        wire::frame('B', nul + nul + wire::int16(0) + wire::int16(0) + wire::int16(0) + "more"),
        wire::frame('D', "X" + nul),
        wire::frame('D', "S" + nul + "more"),
        wire::frame('C', "Y" + nul),
        wire::frame('E', nul + wire::int32(0) + "more"),
        wire::frame('E', nul + "xx"),
    };
    for (const auto& message : bad) {
        auto straight = direct_client(server, database);
        auto proxied = client_as("alice");
        const auto bytes = wire::once("INSERT INTO ledger VALUES (1, 'x')") + message +
                           wire::execute("") + wire::sync() + wire::query("SELECT 'alive'");
        const auto expected = played(straight, bytes, 2);
        ASSERT_EQ(direct("SELECT count(*) FROM ledger"), "0") << expected;

        EXPECT_EQ(played(proxied, bytes, 2), expected);
        EXPECT_EQ(direct("SELECT count(*) FROM ledger"), "0");
    }
}

TEST_F(names, texts_of_prepared_statements_are_bounded_in_bytes) {
    auto c = client_as("alice");
    const std::string long_text = "SELECT '" + std::string(3u << 20, 'x') + "'";

    std::string sqlstate;
    int prepared = 0;
    for (; prepared < 40 && sqlstate.empty(); ++prepared) {
        c.send(wire::parse("s" + std::to_string(prepared), long_text) + wire::sync());
        sqlstate = c.read_exchange().sqlstate();
    }

    EXPECT_EQ(sqlstate, "54000") << prepared << " texts of 3 MiB were kept";
    EXPECT_EQ(c.ask("DEALLOCATE ALL").sqlstate(), "");
    c.send(wire::parse("again", long_text) + wire::sync());
    EXPECT_EQ(c.read_exchange().sqlstate(), "");
}

TEST_F(names, portals_of_one_transaction_are_bounded) {
    proxy.reset();
    options.limits = "{ prepared_statements: 50 }";
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    c.send(wire::parse("s", "SELECT 1") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "");

    std::string sqlstate;
    for (int i = 0; i < 2'000 && sqlstate.empty(); ++i) {
        c.send(wire::bind("p" + std::to_string(i), "s") + wire::sync());
        sqlstate = c.read_exchange().sqlstate();
    }

    EXPECT_EQ(sqlstate, "54000");
    EXPECT_EQ(c.ask("ROLLBACK").status, 'I');
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

}  // namespace
}  // namespace sallyport::tests
