#include <gtest/gtest.h>

#include "tests/e2e/direct.h"
#include "tests/support/hostile_client.h"

/// Refusals and errors inside transactions and pipelines: as if the server itself had refused.
namespace sallyport::tests {
namespace {

constexpr const char* denied_sql = "CREATE TABLE sneaky (id int)";

class pipeline : public e2e {
  protected:
    void SetUp() override { start(); }
    [[nodiscard]] std::string ledger() const {
        return direct("SELECT coalesce(string_agg(note, ',' ORDER BY id), '') FROM ledger");
    }
    [[nodiscard]] static std::string insert(int id, const std::string& note) {
        return "INSERT INTO ledger VALUES (" + std::to_string(id) + ", '" + note + "')";
    }
    /// The bytes bring the same from PostgreSQL itself and through the proxy.
    void expect_same(const std::string& bytes, int exchanges) {
        auto straight = direct_client(server, database);
        const auto expected = played(straight, bytes, exchanges);
        direct("TRUNCATE ledger");
        auto proxied = client_as("alice");
        EXPECT_EQ(played(proxied, bytes, exchanges), expected);
    }
};

TEST_F(pipeline, denied_extended_statement_in_a_transaction_aborts_it) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(c.ask(insert(1, "before")).status, 'T');

    c.send(wire::once(denied_sql) + wire::sync());
    const auto denied = c.read_exchange();

    EXPECT_EQ(denied.sqlstate(), "42501");
    EXPECT_EQ(denied.status, 'E');
    EXPECT_EQ(c.ask("COMMIT").tags.at(0), "ROLLBACK");
    EXPECT_EQ(ledger(), "");
}

TEST_F(pipeline, savepoint_around_a_denied_extended_statement_saves_the_transaction) {
    auto c = client_as("alice");
    c.send(wire::once("BEGIN") + wire::once(insert(1, "kept")) + wire::once("SAVEPOINT a") +
           wire::sync());
    ASSERT_EQ(c.read_exchange().status, 'T');

    c.send(wire::once(insert(2, "lost")) + wire::once(denied_sql) + wire::sync());
    EXPECT_EQ(c.read_exchange().status, 'E');
    c.send(wire::once("ROLLBACK TO SAVEPOINT a") + wire::sync());
    EXPECT_EQ(c.read_exchange().status, 'T');
    c.send(wire::once(insert(3, "after")) + wire::once("COMMIT") + wire::sync());
    EXPECT_EQ(c.read_exchange().status, 'I');

    EXPECT_EQ(ledger(), "kept,after");
}

TEST_F(pipeline, several_syncs_behind_a_denial_are_each_answered) {
    auto c = client_as("alice");
    c.send(wire::once(insert(1, "a")) + wire::once(denied_sql) + wire::sync() + wire::sync() +
           wire::once(insert(2, "b")) + wire::sync());

    const auto first = c.read_exchange();
    const auto second = c.read_exchange();
    const auto third = c.read_exchange();

    EXPECT_EQ(first.sqlstate(), "42501");
    EXPECT_EQ(second.types(), "Z");
    EXPECT_EQ(third.types(), "12CZ");
    EXPECT_EQ(ledger(), "b");
}

TEST_F(pipeline, query_text_with_transactions_of_its_own_is_never_split) {
    expect_same(wire::query(insert(1, "a") + "; COMMIT; " + insert(2, "b") + "; SELECT 1/0"), 1);

    EXPECT_EQ(ledger(), "a") << "what was committed inside the text stands, the rest does not";
}

TEST_F(pipeline, denied_statement_anywhere_in_a_query_text_denies_all_of_it) {
    auto c = client_as("alice");

    const auto x = c.ask(insert(1, "a") + "; COMMIT; " + denied_sql + "; " + insert(2, "b"));

    EXPECT_EQ(x.types(), "EZ");
    EXPECT_EQ(x.sqlstate(), "42501");
    EXPECT_EQ(ledger(), "");
}

TEST_F(pipeline, commit_before_a_denied_statement_in_one_batch_makes_what_was_before_durable) {
    const auto batch = [](const std::string& last) {
        return wire::once("BEGIN") + wire::once("INSERT INTO ledger VALUES (1, 'durable')") +
               wire::once("COMMIT") + wire::once("INSERT INTO ledger VALUES (2, 'not')") +
               wire::once(last) + wire::sync();
    };
    auto straight = direct_client(server, database);
    const auto native = played(straight, batch("SELECT 1/0"));
    ASSERT_EQ(ledger(), "durable");
    direct("TRUNCATE ledger");

    auto c = client_as("alice");
    c.send(batch(denied_sql));
    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "42501");
    EXPECT_EQ(x.status, 'I') << native;
    EXPECT_EQ(ledger(), "durable");
}

TEST_F(pipeline, error_of_a_batch_comes_at_once_without_flush_or_sync) {
    auto c = client_as("alice");

    c.send(wire::once("SELECT 1/0"));

    EXPECT_EQ(fields_of(c.read_until('E')).at('C'), "22012");
    c.send(wire::sync());
    EXPECT_EQ(c.read_exchange().types(), "Z");
}

TEST_F(pipeline, denial_comes_at_once_without_flush_or_sync) {
    auto c = client_as("alice");

    c.send(wire::once(denied_sql));

    EXPECT_EQ(fields_of(c.read_until('E')).at('C'), "42501");
    c.send(wire::once(insert(1, "skipped")) + wire::sync());
    EXPECT_EQ(c.read_exchange().types(), "Z");
    EXPECT_EQ(ledger(), "");
}

TEST_F(pipeline, flush_alone_brings_the_replies_of_what_was_sent) {
    auto c = client_as("alice");
    c.send(wire::parse("", "SELECT 'flushed'") + wire::bind("", "") + wire::describe('P', "") +
           wire::execute("") + wire::flush());

    static_cast<void>(c.read_until('C'));
    std::string types;
    for (const auto& m : c.skipped())
        types += m.type;

    EXPECT_EQ(types, "12TD");
    c.send(wire::sync());
    EXPECT_EQ(c.read_exchange().types(), "Z");
}

TEST_F(pipeline, query_inside_a_failed_batch_is_skipped_as_the_server_skips_it) {
    // Without a Sync, the Query behind the error is discarded: it owes no ReadyForQuery.
    expect_same(wire::bind("", "no_such_statement") + wire::execute("") +
                    wire::query(insert(1, "skipped")) + wire::sync() + wire::query("SELECT 'next'"),
                2);

    EXPECT_EQ(ledger(), "");
}

TEST_F(pipeline, denied_query_inside_a_failed_batch_is_skipped_too) {
    auto c = client_as("alice");
    c.send(wire::bind("", "no_such_statement") + wire::query(denied_sql) + wire::sync() +
           wire::query("SELECT 'next'"));

    EXPECT_EQ(c.read_exchange().sqlstate(), "26000");
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "next");
}

TEST_F(pipeline, many_batches_with_errors_in_between_are_attributed_as_the_server_does) {
    std::string bytes;
    for (int i = 0; i < 20; ++i) {
        bytes += wire::once(i % 3 == 1 ? "SELECT 1/0" : "SELECT " + std::to_string(i)) +
                 wire::sync() + wire::query("SELECT 'q" + std::to_string(i) + "'");
        if (i % 5 == 2) bytes += wire::sync();
    }
    expect_same(bytes, 44);
}

TEST_F(pipeline, describe_of_statements_and_portals_in_every_form) {
    expect_same(wire::parse("s", "SELECT $1::int AS n") + wire::describe('S', "s") +
                    wire::parse("u", insert(1, "x")) + wire::describe('S', "u") +
                    wire::bind("p", "s", {"7"}) + wire::describe('P', "p") + wire::bind("q", "u") +
                    wire::describe('P', "q") + wire::execute("p", 1) + wire::execute("p", 1) +
                    wire::close('P', "p") + wire::close('S', "s") + wire::sync(),
                1);
}

TEST_F(pipeline, empty_texts_are_answered_as_empty_queries) {
    for (const char* text : {"", ";", ";;; -- only a remark", "/* nothing */"}) {
        SCOPED_TRACE(text);
        expect_same(wire::query(text) + wire::once(text) + wire::sync(), 2);
    }
    EXPECT_EQ(audit_records("hold.opened").size(), 0u);
}

TEST_F(pipeline, held_statement_behind_an_error_in_the_same_write_asks_nobody) {
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');

    c.send(wire::query("SELECT 1/0") + wire::query(held_sql));

    EXPECT_EQ(c.read_exchange().sqlstate(), "22012");
    EXPECT_EQ(c.read_exchange().sqlstate(), "25P02");
    EXPECT_EQ(c.ask("ROLLBACK").status, 'I');
    EXPECT_EQ(audit_records("hold.opened").size(), 0u);
}

TEST_F(pipeline, rollback_together_with_a_held_statement_is_still_held) {
    // ROLLBACK brings a failed transaction back to life: what follows in its text would run.
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN; SELECT 1/0").status, 'E');

    c.send(wire::query(std::string("ROLLBACK; ") + held_sql));

    EXPECT_NE(fields_of(c.read_until('N')).at('M').find("pii-needs-approval"), std::string::npos);
}

TEST_F(pipeline, text_that_cannot_be_analysed_behind_an_unsynced_batch_commits_nothing_of_it) {
    // Asking the server about the text must not end the client's implicit transaction.
    {
        auto c = client_as("alice");
        c.send(wire::once(insert(1, "half")) + wire::flush());
        static_cast<void>(c.read_until('C'));
        c.send(wire::query("SELCT 1"));
        static_cast<void>(c.read_until('N'));
        EXPECT_EQ(ledger(), "") << "while it waits";
        deny(pending_hold_of("alice"), "no");
        const auto x = c.read_exchange();
        EXPECT_EQ(x.sqlstate(), "42501");
        EXPECT_EQ(x.status, 'I');
    }
    EXPECT_EQ(ledger(), "");
}

TEST_F(pipeline, terminate_is_honoured_while_the_server_skips) {
    auto c = client_as("alice");

    c.send(wire::once("SELECT 1/0") + wire::once(insert(1, "skipped")) + wire::terminate());

    EXPECT_NO_THROW(static_cast<void>(c.read_to_end()));
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
    EXPECT_EQ(ledger(), "");
}

// How a text with a backslash is read, the function before it may have changed: the proxy waits for
// its reply, and PostgreSQL would have kept that one until a Sync or Flush.
TEST_F(pipeline, replies_that_nobody_asked_for_are_kept_as_the_server_keeps_them) {
    const std::string waits = wire::once("SELECT now(), 'a'");
    const std::string behind = wire::once("SELECT 'caf\\ e'");
    const std::string rows =
        wire::once("SELECT repeat('y', 5000), now() FROM generate_series(1, 4)");
    const std::string one = wire::once("SELECT repeat('z', 30000), now()");
    const std::pair<const char*, std::string> cases[] = {
        {"nothing was asked for", waits + behind},
        {"what a Flush asked for", waits + wire::flush() + waits + behind},
        {"what a Sync asked for", waits + wire::sync() + waits + behind},
        {"more than the server keeps", rows + behind + waits + behind},
        {"a message longer than it keeps", one + behind},
        {"an error flushes", waits + behind + wire::once("SELECT 1/0")},
        {"a notice flushes", waits + behind + wire::once("ROLLBACK") + waits + behind},
    };
    for (const auto& [what, bytes] : cases) {
        SCOPED_TRACE(what);
        const auto types = [&](wire_client c) {
            std::string got;
            c.send(bytes + wire::terminate());
            for (const auto& m : c.read_to_end())
                got.push_back(m.type);
            return got;
        };
        const auto expected = types(direct_client(server, database));
        EXPECT_EQ(types(client_as("alice")), expected);
    }
}

TEST_F(pipeline, error_is_read_though_much_more_was_sent_behind_it) {
    auto c = client_as("alice");
    c.try_send(wire::frame('@', "no such message") + std::string(1u << 20, 'x'));

    const auto rest = c.read_to_end();

    ASSERT_FALSE(rest.empty()) << "lost to a reset";
    EXPECT_EQ(fields_of(rest.back()).at('C'), "08P01");
}

TEST_F(pipeline, writes_and_reads_of_a_busy_client_never_block_each_other) {
    auto c = client_as("alice");
    std::string bytes;
    const int queries = 3'000;
    for (int i = 0; i < queries; ++i)
        bytes += wire::query("SELECT repeat('y', 20000), '" + std::string(4'000, 'x') + "'");

    const auto t = hostile::pump(c, bytes, queries);

    EXPECT_EQ(t.written, bytes.size());
    EXPECT_EQ(t.of('Z'), static_cast<std::uint64_t>(queries));
    EXPECT_EQ(t.of('E'), 0u);
    EXPECT_GT(t.bytes, 24'000ull * queries);
}

}  // namespace
}  // namespace sallyport::tests
