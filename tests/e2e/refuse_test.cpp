#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "tests/e2e/fixture.h"

/// What a rule denies: the session lives, and nothing before it in its transaction commits.
namespace sallyport::tests {
namespace {

constexpr const char* denied_sql = "CREATE TABLE sneaky (id int)";

class refuse : public e2e {
  protected:
    void SetUp() override { start(); }
    [[nodiscard]] std::string ledger() const { return direct("SELECT count(*) FROM ledger"); }
    [[nodiscard]] std::string pqxx_string() const {
        return "host=127.0.0.1 port=" + std::to_string(proxy->port()) +
               " user=alice password=alice-password dbname=shop sslmode=disable";
    }
};

TEST_F(refuse, denied_statement_gets_42501_the_rule_s_message_and_a_detail_for_programs) {
    auto c = client_as("alice");

    const auto x = c.ask(denied_sql);

    EXPECT_EQ(x.types(), "EZ");
    EXPECT_EQ(x.sqlstate(), "42501");
    const auto& e = x.errors.at(0);
    EXPECT_EQ(e.at('S'), "ERROR");
    EXPECT_NE(e.at('M').find("migrations pipeline"), std::string::npos) << e.at('M');
    EXPECT_NE(e.at('D').find("rule=no-ddl-outside-dba"), std::string::npos) << e.at('D');
    EXPECT_NE(e.at('D').find("policy="), std::string::npos) << e.at('D');
    EXPECT_EQ(x.status, 'I');
}

TEST_F(refuse, session_lives_after_a_denied_statement) {
    psql_session s(psql_as("alice"));

    EXPECT_EQ(s.ask(denied_sql).sqlstate, "42501");
    EXPECT_EQ(s.ask("SELECT 'alive'").text, "alive");
}

TEST_F(refuse, group_that_the_rule_excludes_passes) {
    EXPECT_EQ(client_as("dba").ask("CREATE TABLE fine (id int)").sqlstate(), "");
}

TEST_F(refuse, denial_inside_a_transaction_aborts_it_and_commit_rolls_back) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(c.ask("INSERT INTO ledger VALUES (1, 'before')").sqlstate(), "");

    const auto denied = c.ask(denied_sql);
    const auto after = c.ask("SELECT 1");
    const auto commit = c.ask("COMMIT");

    EXPECT_EQ(denied.sqlstate(), "42501");
    EXPECT_EQ(denied.status, 'E');
    EXPECT_EQ(after.sqlstate(), "25P02");
    EXPECT_EQ(commit.tags.at(0), "ROLLBACK");
    EXPECT_EQ(ledger(), "0");
}

TEST_F(refuse, savepoint_brings_the_transaction_back) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN; INSERT INTO ledger VALUES (1, 'kept'); SAVEPOINT s").status, 'T');
    ASSERT_EQ(c.ask("INSERT INTO ledger VALUES (2, 'lost')").status, 'T');

    EXPECT_EQ(c.ask(denied_sql).status, 'E');
    EXPECT_EQ(c.ask("ROLLBACK TO s").status, 'T');
    EXPECT_EQ(c.ask("COMMIT").tags.at(0), "COMMIT");

    EXPECT_EQ(direct("SELECT string_agg(note, ',') FROM ledger"), "kept");
}

TEST_F(refuse, statements_before_it_in_one_query_string_do_not_commit) {
    auto c = client_as("alice");

    const auto x = c.ask(std::string("INSERT INTO ledger VALUES (1, 'a'); ") + denied_sql + ";");

    EXPECT_EQ(x.sqlstate(), "42501");
    EXPECT_EQ(ledger(), "0");
}

TEST_F(refuse, earlier_executions_of_a_pipeline_do_not_commit) {
    auto c = client_as("alice");
    c.send(wire::once("INSERT INTO ledger VALUES (1, 'a')") + wire::once(denied_sql) +
           wire::once("INSERT INTO ledger VALUES (2, 'b')") + wire::sync());

    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "42501");
    EXPECT_EQ(x.errors.size(), 1u);
    EXPECT_EQ(ledger(), "0");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(refuse, batch_after_the_sync_is_answered_as_ever) {
    auto c = client_as("alice");
    c.send(wire::once(denied_sql) + wire::sync() + wire::once("SELECT 'next'") + wire::sync());

    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "next");
}

TEST_F(refuse, query_pipelined_behind_a_denied_one_is_answered_in_order) {
    auto c = client_as("alice");
    c.send(wire::query("SELECT 'one'") + wire::query(denied_sql) + wire::query("SELECT 'three'"));

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "one");
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "three");
}

TEST_F(refuse, prepared_statement_is_refused_at_parse_or_execution_and_creates_nothing) {
    auto c = client_as("alice");
    c.send(wire::parse("evil", denied_sql) + wire::sync());
    static_cast<void>(c.read_exchange());
    c.send(wire::bind("", "evil") + wire::execute("") + wire::sync());

    EXPECT_FALSE(c.read_exchange().sqlstate().empty());
    EXPECT_EQ(direct("SELECT to_regclass('sneaky') IS NULL"), "t");
}

TEST_F(refuse, sql_level_prepare_and_execute_do_not_get_round_the_rule) {
    auto c = client_as("alice");

    const auto prepared = c.ask(std::string("PREPARE evil AS INSERT INTO ledger VALUES (3, 'x')"));
    const auto denied = c.ask("EXPLAIN ANALYZE CREATE TABLE sneaky AS SELECT 1");

    EXPECT_EQ(prepared.sqlstate(), "");
    EXPECT_EQ(denied.sqlstate(), "42501");
    EXPECT_EQ(direct("SELECT to_regclass('sneaky') IS NULL"), "t");
}

TEST_F(refuse, statement_and_portal_names_longer_than_the_server_keeps_cannot_be_confused) {
    auto c = client_as("alice");
    const std::string a63(63, 'a');
    c.send(wire::parse(a63 + "x", "SELECT 'benign'") + wire::sync());
    static_cast<void>(c.read_exchange());
    c.send(wire::close('S', a63 + "y") + wire::parse(a63 + "y", denied_sql) + wire::sync());
    static_cast<void>(c.read_exchange());
    c.send(wire::bind("", a63 + "x") + wire::execute("") + wire::sync());
    static_cast<void>(c.read_exchange());

    EXPECT_EQ(direct("SELECT to_regclass('sneaky') IS NULL"), "t");
}

TEST_F(refuse, skipped_parse_leaves_the_old_statement_and_is_not_mistaken_for_the_new_one) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("PREPARE s9 AS SELECT 'old'").sqlstate(), "");
    c.send(wire::bind("", "no_such_statement") + wire::close('S', "s9") +
           wire::parse("s9", "SELECT 'new'") + wire::sync());
    ASSERT_EQ(c.read_exchange().sqlstate(), "26000");

    c.send(wire::bind("", "s9") + wire::execute("") + wire::sync());

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "old");
}

TEST_F(refuse, function_call_message_is_refused_and_the_session_lives) {
    std::string policy = example_policy();
    const std::string rule =
        "  - id: no-fastpath\n    tier: 5\n    do: [fastpath]\n    effect: deny\n";
    proxy.reset();
    start_with_policy(policy.insert(policy.find("  - id: no-ddl"), rule));
    auto c = client_as("alice");
    const std::uint32_t pg_backend_pid = 2026;

    c.send(wire::frame(
        'F', wire::int32(pg_backend_pid) + wire::int16(0) + wire::int16(0) + wire::int16(0)));

    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(refuse, libpqxx_transaction_is_rolled_back_whole) {
    pqxx::connection connection(pqxx_string());
    {
        pqxx::work work(connection);
        work.exec("INSERT INTO ledger VALUES (1, 'pqxx')");
        EXPECT_THROW(work.exec(denied_sql), pqxx::insufficient_privilege);
    }

    EXPECT_EQ(ledger(), "0");
    pqxx::work again(connection);
    EXPECT_EQ(again.exec("SELECT 7")[0][0].as<int>(), 7);
}

TEST_F(refuse, libpqxx_prepared_statement_with_parameters_works) {
    pqxx::connection connection(pqxx_string());
    connection.prepare("item", "SELECT item FROM orders WHERE id = $1 AND amount = $2");
    pqxx::work work(connection);

    for (int i = 1; i <= 3; ++i)
        EXPECT_EQ(work.exec_prepared("item", i, i * 10)[0][0].as<std::string>(),
                  "item " + std::to_string(i));
    EXPECT_EQ(work.exec_params("SELECT $1::int + 1", 41)[0][0].as<int>(), 42);
}

TEST_F(refuse, copy_in_and_out_pass_where_no_rule_speaks) {
    auto c = client_as("alice");
    c.send(wire::query("COPY ledger FROM STDIN"));
    ASSERT_EQ(c.read().type, 'G');
    c.send(wire::frame('d', "1\tone\n2\ttwo\n") + wire::frame('c', ""));
    EXPECT_EQ(c.read_exchange().tags.at(0), "COPY 2");

    const auto out = c.ask("COPY ledger TO STDOUT");

    EXPECT_EQ(out.types(), "HddcCZ");
}

TEST_F(refuse, denial_is_on_record_with_who_what_and_the_rule_but_without_literals) {
    static_cast<void>(client_as("alice").ask("CREATE TABLE t AS SELECT 'very secret literal'"));

    ASSERT_TRUE(eventually([&] { return audit_records("decision.denied").size() == 1; }));
    const auto record = audit_records("decision.denied").at(0);
    EXPECT_EQ(record.value("user", ""), "alice");
    EXPECT_EQ(record.value("rule", ""), "no-ddl-outside-dba");
    EXPECT_EQ(record.value("statement_sha256", "").size(), 64u);
    EXPECT_NE(record.value("statement", "").find("CREATE TABLE"), std::string::npos);
    EXPECT_EQ(record.dump().find("very secret literal"), std::string::npos);
}

TEST_F(refuse, plain_allows_are_recorded_only_when_a_rule_asks) {
    static_cast<void>(client_as("alice").ask("SELECT count(*) FROM orders"));
    proxy->stop();
    EXPECT_EQ(audit_records("decision.allowed").size(), 0u);

    proxy.reset();
    std::string policy = example_policy();
    const std::string rule =
        "  - id: orders-are-logged\n    tier: 30\n    on: [orders]\n    do: [read]\n"
        "    effect: allow\n    log: all\n";
    policy.insert(policy.find("rules:"), "  orders: { target: shop, relations: [orders] }\n");
    start_with_policy(policy + rule);
    static_cast<void>(client_as("alice").ask("SELECT count(*) FROM orders"));
    proxy->stop();
    EXPECT_EQ(audit_records("decision.allowed").size(), 1u);
}

}  // namespace
}  // namespace sallyport::tests
