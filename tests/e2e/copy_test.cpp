#include <gtest/gtest.h>

#include "tests/e2e/direct.h"

/// COPY: what comes at the wrong time has the fate that it has at PostgreSQL itself.
namespace sallyport::tests {
namespace {

class copy : public e2e {
  protected:
    void SetUp() override { start(); }
    [[nodiscard]] std::string ledger() const {
        return direct("SELECT coalesce(string_agg(note, ',' ORDER BY id), '') FROM ledger");
    }
    [[nodiscard]] static std::string data(const std::string& lines) {
        return wire::frame('d', lines);
    }
    [[nodiscard]] static std::string done() { return wire::frame('c', ""); }
    [[nodiscard]] static std::string fail(const std::string& why) {
        return wire::frame('f', why + std::string(1, '\0'));
    }
    void expect_same(const std::string& bytes, int exchanges) {
        auto straight = direct_client(server, database);
        const auto expected = played(straight, bytes, exchanges);
        const auto rows = ledger();
        direct("TRUNCATE ledger");
        auto proxied = client_as("alice");
        EXPECT_EQ(played(proxied, bytes, exchanges), expected);
        EXPECT_EQ(ledger(), rows);
    }
};

TEST_F(copy, several_copies_between_statements_of_one_query_text) {
    expect_same(wire::query("SELECT 1; COPY ledger FROM STDIN; SELECT 2; COPY ledger TO STDOUT; "
                            "COPY ledger FROM STDIN") +
                    data("1\tone\n") + done() + data("2\ttwo\n") + done(),
                1);
    EXPECT_EQ(ledger(), "one,two");
}

TEST_F(copy, sync_inside_of_copy_data_owes_no_ready_for_query) {
    const auto prepare = wire::parse("", "COPY ledger FROM STDIN") + wire::bind("", "") +
                         wire::execute("") + wire::sync();
    for (const bool proxied : {false, true}) {
        direct("TRUNCATE ledger");
        auto c = proxied ? client_as("alice") : direct_client(server, database);
        c.send(prepare);
        static_cast<void>(c.read_until('G'));
        c.send(wire::sync() + data("1\tone\n") + done() + wire::sync());
        const auto x = c.read_exchange();
        EXPECT_EQ(x.types(), "CZ") << proxied;
        const auto next = c.ask("SELECT 'next'");
        EXPECT_EQ(next.types(), "TDCZ") << proxied << ": a second ReadyForQuery came";
        EXPECT_EQ(ledger(), "one") << proxied;
    }
}

TEST_F(copy, data_that_goes_on_after_the_copy_failed_is_ignored) {
    for (const bool proxied : {false, true}) {
        auto c = proxied ? client_as("alice") : direct_client(server, database);
        c.send(wire::query("COPY ledger FROM STDIN"));
        ASSERT_EQ(c.read().type, 'G');
        c.send(data("not a number\tx\n") + data("2\ttwo\n"));
        c.send(done());
        EXPECT_EQ(c.read_exchange().sqlstate(), "22P02") << proxied;
        c.send(data("3\tthree\n") + done() + fail("late"));
        EXPECT_EQ(c.ask("SELECT 'alive'").rows.at(0).at(0), "alive") << proxied;
        EXPECT_EQ(ledger(), "") << proxied;
    }
}

TEST_F(copy, client_that_fails_its_copy_undoes_it) {
    expect_same(wire::query("COPY ledger FROM STDIN") + data("1\tone\n") + fail("changed my mind") +
                    wire::query("SELECT 'alive'"),
                2);
    EXPECT_EQ(ledger(), "");
}

TEST_F(copy, query_in_the_middle_of_copy_data_never_runs_and_ends_the_session) {
    auto c = client_as("alice");
    c.send(wire::query("COPY ledger FROM STDIN"));
    ASSERT_EQ(c.read().type, 'G');

    c.try_send(data("1\tone\n") + wire::query("INSERT INTO ledger VALUES (2, 'hidden')"));

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(rest.back().type, 'E');
    EXPECT_EQ(fields_of(rest.back()).at('C'), "08P01");
    EXPECT_EQ(ledger(), "");
}

TEST_F(copy, denied_statement_in_the_middle_of_copy_data_never_runs) {
    auto c = client_as("alice");
    c.send(wire::query("COPY ledger FROM STDIN"));
    ASSERT_EQ(c.read().type, 'G');

    c.try_send(wire::once("CREATE TABLE sneaky (id int)") + wire::sync());

    static_cast<void>(c.read_to_end());
    EXPECT_EQ(direct("SELECT to_regclass('sneaky') IS NULL"), "t");
}

TEST_F(copy, refused_copy_never_asks_for_data) {
    auto c = client_as("dba");

    c.send(wire::query("COPY customers (id, ssn) TO STDOUT"));
    const auto out = fields_of(c.read_until('N'));
    EXPECT_NE(out.at('M').find("pii-needs-approval"), std::string::npos);

    auto other = client_as("bob");
    other.send(wire::query("COPY (DELETE FROM customers RETURNING ssn) TO STDOUT"));
    EXPECT_NE(fields_of(other.read_until('N')).at('M').find("pii-needs-approval"),
              std::string::npos);
}

TEST_F(copy, session_killed_in_the_middle_of_copy_data_stores_nothing) {
    auto c = client_as("alice");
    c.send(wire::query("COPY ledger FROM STDIN"));
    ASSERT_EQ(c.read().type, 'G');
    c.send(data("1\tone\n"));
    ASSERT_TRUE(eventually([&] { return !get("root", "/api/v1/sessions")["sessions"].empty(); }));
    const auto session = get("root", "/api/v1/sessions")["sessions"].at(0);

    post("root", "/api/v1/sessions/" + session.at("id").dump() + "/kill", {{"reason", "test"}});

    const auto rest = c.read_to_end();
    ASSERT_FALSE(rest.empty());
    EXPECT_EQ(fields_of(rest.back()).at('C'), "SP003");
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_EQ(ledger(), "");
}

}  // namespace
}  // namespace sallyport::tests
