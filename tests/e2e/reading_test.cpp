#include <gtest/gtest.h>

#include "tests/e2e/direct.h"

/// Texts that could be read in two ways: the proxy never reads them otherwise than the server does.
namespace sallyport::tests {
namespace {

/// With backslashes as escapes the string ends late, and `ssn` is a column; without, it ends early.
constexpr const char* escaped_sql = R"(SELECT 'a\'' , ssn FROM customers --')";

class reading : public e2e {
  protected:
    void TearDown() override {
        direct("ALTER ROLE app RESET standard_conforming_strings");
        direct("ALTER ROLE app RESET client_encoding");
    }
    /// No row of customers came: the statement was held, refused or failed.
    static void expect_no_secret(const std::vector<message>& all) {
        for (const auto& m : all)
            EXPECT_EQ(m.body.find("111-11-1111"), std::string::npos);
    }
    /// Everything up to the `count`-th ReadyForQuery, or to a notice that something is held.
    [[nodiscard]] static std::vector<message> read_or_held(wire_client& c, int count, bool& held) {
        std::vector<message> all;
        held = false;
        while (count > 0) {
            all.push_back(c.read());
            if (all.back().type == 'Z') --count;
            if (all.back().type == 'N' &&
                fields_of(all.back()).at('M').find("waits for approval") != std::string::npos) {
                held = true;
                return all;
            }
        }
        return all;
    }
};

TEST_F(reading, setting_of_string_syntax_and_its_use_in_one_write_are_not_read_apart) {
    start();
    for (const bool extended : {false, true}) {
        SCOPED_TRACE(extended);
        const std::string set = "SET standard_conforming_strings = off";
        auto c = client_as("alice");
        c.send(extended ? wire::once(set) + wire::once(escaped_sql) + wire::sync()
                        : wire::query(set) + wire::query(escaped_sql));

        bool held = false;
        expect_no_secret(read_or_held(c, extended ? 1 : 2, held));
    }
}

TEST_F(reading, string_syntax_that_changes_out_of_sight_is_noticed_wherever_it_changes) {
    start();
    const std::string set_off = "set_config('standard_conforming_strings', 'off', false)";
    // Here the text hides what it reads while escapes are on, and shows it when they are off again.
    const std::string back = R"(SELECT 'a\' , ssn FROM customers --')";
    const struct {
        const char* what;
        std::string before;  // answered
        std::string bytes;
        int exchanges;
    } ways[] = {
        {"by a prepared name", "PREPARE p AS SELECT " + set_off,
         wire::query("EXECUTE p") + wire::query(escaped_sql), 2},
        {"by a prepared name in a batch", "PREPARE p AS SELECT " + set_off,
         wire::once("EXECUTE p") + wire::once(escaped_sql) + wire::sync(), 1},
        {"by a cursor", "BEGIN; DECLARE c CURSOR FOR SELECT " + set_off,
         wire::query("FETCH c") + wire::query(escaped_sql), 2},
        {"behind another answer", "SELECT 1",
         wire::query("SELECT pg_sleep(0.2)") +
             wire::query("SET standard_conforming_strings = off") + wire::query(escaped_sql),
         3},
        {"by a rollback", "BEGIN; SET LOCAL standard_conforming_strings = off",
         wire::query("ROLLBACK") + wire::query(back), 2},
        {"by a rollback in a batch", "BEGIN; SET LOCAL standard_conforming_strings = off",
         wire::once("ROLLBACK") + wire::once(back) + wire::sync(), 1},
    };
    for (const auto& way : ways) {
        SCOPED_TRACE(way.what);
        auto c = client_as("alice");
        ASSERT_EQ(c.ask(way.before).sqlstate(), "");
        c.send(way.bytes);

        bool held = false;
        expect_no_secret(read_or_held(c, way.exchanges, held));
        EXPECT_TRUE(held);
    }
}

TEST_F(reading, string_syntax_that_is_set_inside_a_function_is_noticed) {
    start();
    auto c = client_as("alice");
    c.send(wire::query("SELECT set_config('standard_conforming_' || 'strings', 'off', false)") +
           wire::query(escaped_sql));

    bool held = false;
    expect_no_secret(read_or_held(c, 2, held));
}

TEST_F(reading, role_whose_strings_escape_by_default_is_read_as_the_server_reads) {
    direct("ALTER ROLE app SET standard_conforming_strings = off");
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.server_parameters().at("standard_conforming_strings"), "off");

    bool held = false;
    c.send(wire::query(escaped_sql));
    expect_no_secret(read_or_held(c, 1, held));

    EXPECT_TRUE(held) << "it reads personal data there";
}

TEST_F(reading, string_syntax_that_comes_back_with_a_rollback_is_followed) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN; SET LOCAL standard_conforming_strings = off").status, 'T');
    ASSERT_EQ(c.ask("ROLLBACK").status, 'I');
    EXPECT_EQ(c.server_parameters().at("standard_conforming_strings"), "on");

    EXPECT_EQ(c.ask(R"(SELECT 'a\')").rows.at(0).at(0), "a\\");
}

TEST_F(reading, encodings_that_hide_quotes_are_refused_at_the_door) {
    start();
    for (const char* encoding : {"SJIS", "big5", "GBK", "uhc", "GB18030", "JOHAB"}) {
        SCOPED_TRACE(encoding);
        wire_client c(proxy->port());
        auto o = login_as("alice");
        o.more = {{"client_encoding", encoding}};
        EXPECT_THROW(c.login(o), login_refused);
    }
}

TEST_F(reading, encoding_that_hides_quotes_makes_what_it_could_hide_opaque) {
    start();
    const std::string hidden = "SELECT E'\x95\x5c', ssn FROM customers --'";
    for (const std::string set : {"SET client_encoding = 'SJIS'", "SET NAMES 'SJIS'"}) {
        SCOPED_TRACE(set);
        auto c = client_as("alice");
        c.send(wire::query(set) + wire::query(hidden));
        bool held = false;
        expect_no_secret(read_or_held(c, 2, held));
        EXPECT_TRUE(held);

        auto later = client_as("alice");
        ASSERT_EQ(later.ask(set).sqlstate(), "");
        later.send(wire::query(hidden));
        expect_no_secret(read_or_held(later, 1, held));
        EXPECT_TRUE(held);
    }
}

TEST_F(reading, invalid_utf8_is_the_servers_error_and_leaves_a_log_that_verifies) {
    start();
    auto c = client_as("alice");
    c.send(wire::query("CREATE TABLE caf\xe9 (\xff int)"));
    static_cast<void>(c.read_until('N'));
    approve(pending_hold_of("alice"));
    EXPECT_EQ(c.read_exchange().sqlstate(), "22021");
    EXPECT_EQ(c.ask("CREATE TABLE \x1b[2J (\n int)").sqlstate(), "42601");
    c.send(wire::query("SELECT ssn FROM customers WHERE name = '\xff\xfe'"));
    static_cast<void>(c.read_until('N'));
    deny(pending_hold_of("alice"), "no");
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    proxy->stop();

    EXPECT_EQ(audit_records("hold.opened").size(), 2u);
    const auto verified = verify_audit();
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

TEST_F(reading, temporary_table_with_the_name_of_a_guarded_one_is_held_like_it) {
    start();
    auto c = client_as("dba");
    ASSERT_EQ(c.ask("CREATE TEMP TABLE customers (id int, ssn text)").sqlstate(), "");

    c.send(wire::query("SELECT ssn FROM customers"));

    EXPECT_NE(fields_of(c.read_until('N')).at('M').find("pii-needs-approval"), std::string::npos);
}

TEST_F(reading, replication_command_on_an_ordinary_session_is_the_servers_syntax_error) {
    start();

    EXPECT_EQ(client_as("alice").ask("IDENTIFY_SYSTEM").sqlstate(), "42601");
}

TEST_F(reading, ways_out_to_the_server_machine_are_seen_by_their_kind) {
    std::string policy = example_policy();
    const std::string rule =
        "  - id: no-way-out\n    tier: 5\n    do: [server-file, copy-program]\n    effect: deny\n";
    start_with_policy(policy.insert(policy.find("  - id: no-ddl"), rule));
    for (const char* sql : {"SELECT pg_read_file('PG_VERSION')", "SELECT lo_export(1, '/tmp/x')",
                            "SELECT lo_import('/etc/passwd')", "COPY ledger TO PROGRAM 'cat'",
                            "COPY ledger FROM '/etc/passwd'", "SELECT pg_ls_dir('.')"}) {
        SCOPED_TRACE(sql);
        const auto x = client_as("dba").ask(sql);
        EXPECT_EQ(x.sqlstate(), "42501");
        EXPECT_NE(x.errors.at(0).at('D').find("rule=no-way-out"), std::string::npos)
            << x.errors.at(0).at('M');
    }
}

TEST_F(reading, functions_that_run_sql_given_as_text_are_held) {
    start();
    for (const char* sql :
         {"SELECT * FROM dblink('dbname=x', 'SELECT 1') AS t(a int)",
          "SELECT query_to_xml('SELECT ' || 'ssn FROM customers', true, true, '')",
          "CALL something()", "DO $$BEGIN PERFORM 1; END$$"}) {
        SCOPED_TRACE(sql);
        auto c = client_as("alice");
        c.send(wire::query(sql));
        bool held = false;
        expect_no_secret(read_or_held(c, 1, held));
        EXPECT_TRUE(held);
    }
}

}  // namespace
}  // namespace sallyport::tests
