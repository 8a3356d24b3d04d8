#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/direct.h"

/// The catalog's login in the running proxy.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class catalog : public e2e {
  protected:
    void with(const std::string& login) {
        options.targets["shop"].more = "    catalog: " + login + "\n";
    }
    [[nodiscard]] http_response ready() const {
        return http_request(proxy->admin_port(), "GET", "/readyz");
    }
    [[nodiscard]] bool logs(const std::string& words) const {
        return eventually([&] { return proxy->log().find(words) != std::string::npos; });
    }
    /// As alice, who is refused at once where she would wait.
    void log_in_without_waiting() {
        auto who = login_as("alice");
        who.more = {{"options", "-c sallyport.on_hold=refuse"}};
        client.emplace(proxy->port());
        client->login(who);
    }
    std::optional<wire_client> client;
    static constexpr const char* good =
        "{ user: sallyport_catalog, password_file: secrets/sallyport_catalog, interval: 100ms }";
};

TEST_F(catalog, is_read_at_the_start_and_said) {
    with(good);
    start();
    EXPECT_TRUE(logs("info catalog of shop: "));
    EXPECT_TRUE(eventually([&] { return ready().body.find("map") == std::string::npos; }));
    EXPECT_EQ(ready().status, 200);
}

TEST_F(catalog, target_without_one_is_nothing_to_speak_of) {
    start();
    EXPECT_EQ(ready().status, 200);
    EXPECT_THAT(ready().body, Not(HasSubstr("map")));
}

TEST_F(catalog, login_that_is_refused_is_named_and_does_not_fail_the_proxy) {
    with("{ user: sallyport_catalog, password_file: secrets/app, interval: 100ms }");
    start();
    EXPECT_TRUE(logs("warning catalog of shop cannot be read"));
    EXPECT_EQ(ready().status, 200);
    EXPECT_THAT(ready().body, HasSubstr("target shop is running without its map"));
    EXPECT_THAT(ready().body, Not(HasSubstr("password")));
    EXPECT_THAT(proxy->log(), Not(HasSubstr("app-password")));
    EXPECT_EQ(client_as("alice").ask("SELECT 1").sqlstate(), "");
}

TEST_F(catalog, numbers_are_there_for_prometheus) {
    with(good);
    start();
    ASSERT_TRUE(logs("info catalog of shop: "));
    const auto scrape = [&] { return http_request(proxy->admin_port(), "GET", "/metrics").body; };
    EXPECT_THAT(scrape(), HasSubstr("sallyport_catalog_up{target=\"shop\"} 1"));
    EXPECT_THAT(scrape(), HasSubstr("sallyport_catalog_changes_outside_total{target=\"shop\"} 0"));
    direct("CREATE VIEW sneaky AS TABLE pii.cards");
    EXPECT_TRUE(eventually([&] {
        return scrape().find("changes_outside_total{target=\"shop\"} 1") != std::string::npos;
    }));
    auto c = client_as("alice");
    EXPECT_THAT(scrape(), HasSubstr("sallyport_connections{state=\"authenticated\"} 1"));
}

TEST_F(catalog, change_around_the_proxy_is_said) {
    with(good);
    start();
    ASSERT_TRUE(logs("info catalog of shop: "));
    direct("CREATE VIEW sneaky AS TABLE pii.cards");
    EXPECT_TRUE(logs("warning catalog of shop changed outside of what passed here"));
}

TEST_F(catalog, reload_takes_a_login_that_is_new_and_drops_one_that_is_gone) {
    start();
    const auto before = read_file(proxy->config_path());
    auto text = before;
    const auto at = text.find("    connect_timeout", text.find("  shop:\n"));
    ASSERT_NE(at, std::string::npos);
    text.insert(at, std::string("    catalog: ") + good + "\n");
    write_file(proxy->config_path(), text, 0644);
    proxy->signal(SIGHUP);
    EXPECT_TRUE(logs("info catalog of shop: "));
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 1; }));
    write_file(proxy->config_path(), before, 0644);
    proxy->signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
}

TEST_F(catalog, does_not_stand_in_the_way_of_drop_database) {
    const auto doomed = server.create_shop();
    server.query(doomed, "ALTER DATABASE \"" + doomed + "\" OWNER TO app");
    options.targets["hr"].dbname = doomed;
    options.targets["hr"].more = std::string("    catalog: ") + good + "\n";
    start_with_policy("version: 1\ndefault: allow\nopaque: allow\n");
    ASSERT_TRUE(logs("info catalog of hr: "));

    EXPECT_EQ(client_as("alice").ask("DROP DATABASE \"" + doomed + "\"").sqlstate(), "");
}

/// A database with a type that reads the protected table as soon as a literal of it is parsed.
class parsing : public catalog {
  protected:
    void SetUp() override {
        with(good);
        start();
        direct(
            "CREATE FUNCTION tell(p int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN "
            "RAISE NOTICE '%', (SELECT string_agg(number, ' ') FROM pii.cards); "
            "RETURN p; END $$; CREATE DOMAIN told AS int CHECK (tell(VALUE) > 0)");
        ASSERT_TRUE(logs("info catalog of shop: "));
        log_in_without_waiting();
    }
    exchange send(const std::string& bytes) {
        client->send(bytes + wire::sync());
        return client->read_exchange();
    }
    static constexpr const char* telling = "SELECT '{1}'::told[]";
};

TEST_F(parsing, statement_that_runs_code_then_is_decided_without_its_bind) {
    const auto alone = send(wire::parse("s", telling));
    EXPECT_EQ(alone.sqlstate(), "SP001");
    EXPECT_TRUE(alone.notices.empty());
    EXPECT_EQ(send(wire::parse("s", telling) + wire::bind("", "t")).sqlstate(), "SP001");
    EXPECT_EQ(send(wire::once(telling)).sqlstate(), "SP001");
    EXPECT_EQ(client->ask(std::string("PREPARE p AS ") + telling).sqlstate(), "SP001");
    EXPECT_EQ(client->ask(std::string("PREPARE p AS SELECT 1")).sqlstate(), "");
}

TEST_F(parsing, statement_that_runs_nothing_then_is_decided_when_it_is_bound) {
    EXPECT_EQ(send(wire::parse("s", "SELECT number FROM pii.cards")).sqlstate(), "");
    EXPECT_EQ(send(wire::bind("", "s") + wire::execute("")).sqlstate(), "SP001");
    EXPECT_EQ(client->ask("PREPARE p AS SELECT number FROM pii.cards").sqlstate(), "");
    EXPECT_EQ(client->ask("EXECUTE p").sqlstate(), "SP001");
}

TEST_F(parsing, syntax_errors_are_the_servers_own) {
    auto straight = direct_client(server, database);
    for (const char* sql : {"SELEC 1", "SELECT 1 +", "SELECT 1; SELECT (", "SELECT * FROM nowhere",
                            "SELECT nothing FROM orders"}) {
        const auto expected = straight.ask(sql);
        const auto found = client->ask(sql);
        ASSERT_EQ(found.errors.size(), 1u) << sql;
        EXPECT_EQ(found.errors[0].at('M'), expected.errors[0].at('M'));
        EXPECT_EQ(found.errors[0].at('C'), expected.errors[0].at('C'));
        EXPECT_EQ(found.status, expected.status);
    }
}

/// A rule on reading and writing one column: the rest of SQL is free.
class row_rules : public catalog {
  protected:
    void SetUp() override {
        with(good);
        start_with_policy(
            "version: 1\ndefault: allow\nopaque: allow\nresources:\n"
            "  numbers: { target: shop, relations: [\"pii.cards(number)\"] }\nrules:\n"
            "  - id: numbers\n    on: [numbers]\n    do: [read, write]\n    effect: hold\n"
            "    hold: { approvers: { groups: [security] }, wait: 1m }\n");
        direct(
            "ALTER TABLE pii.cards OWNER TO app; GRANT ALL ON SCHEMA public, pii TO app;"
            "CREATE FUNCTION shows() RETURNS text LANGUAGE sql AS 'SELECT number FROM pii.cards';"
            "CREATE FUNCTION sets() RETURNS int LANGUAGE sql AS "
            "'UPDATE pii.cards SET number = number RETURNING 1';"
            "CREATE PROCEDURE show_all() LANGUAGE plpgsql AS "
            "'BEGIN PERFORM number FROM pii.cards; END'");
        ASSERT_TRUE(logs("info catalog of shop: "));
        log_in_without_waiting();
    }
    void expect_passes(const std::string& sql) {
        EXPECT_EQ(client->ask(sql).sqlstate(), "") << sql;
    }
    void expect_held(const std::string& sql) {
        EXPECT_EQ(client->ask(sql).sqlstate(), "SP001") << sql;
    }
    /// The last of the statements, which are one transaction, is held and the others pass.
    void expect_last_held(std::vector<const char*> statements) {
        const auto* last = statements.back();
        statements.pop_back();
        expect_passes("BEGIN");
        for (const auto* sql : statements)
            expect_passes(sql);
        expect_held(last);
        expect_passes("ROLLBACK");
    }
};

TEST_F(row_rules, is_held_in_whichever_words_code_does_it) {
    for (const char* sql :
         {"TABLE pii.cards", "DO 'BEGIN PERFORM number FROM pii.cards; END'", "CALL show_all()",
          "SELECT shows()", "SELECT sets()", "SELECT sets() FROM orders FOR UPDATE",
          "SELECT shows(), pg_notify('a', 'b')", "EXPLAIN ANALYZE SELECT sets()",
          "COPY (SELECT sets()) TO STDOUT", "CREATE TABLE copied AS SELECT shows()",
          "CREATE UNIQUE INDEX ON pii.cards (number)",
          "ALTER TABLE pii.cards ADD CHECK (number <> '4')"})
        expect_held(sql);
    expect_last_held({"DECLARE c CURSOR FOR SELECT 1", "DECLARE d CURSOR FOR SELECT sets()"});
    expect_last_held({"PREPARE p AS SELECT sets()", "EXECUTE p"});
    for (const char* sql : {"SELECT id FROM pii.cards FOR UPDATE", "DO 'BEGIN PERFORM 1; END'",
                            "CREATE INDEX ON pii.cards (number)", "SELECT pg_notify('a', 'b')"})
        expect_passes(sql);
}

TEST_F(row_rules, is_held_by_another_name_that_the_transaction_gave) {
    expect_last_held({"ALTER TABLE pii.cards RENAME number TO note", "SELECT note FROM pii.cards"});
    expect_last_held({"ALTER TABLE pii.cards RENAME number TO x",
                      "ALTER TABLE pii.cards RENAME id TO number",
                      "ALTER TABLE pii.cards RENAME x TO id", "SELECT id FROM pii.cards"});
    expect_passes("PREPARE before AS SELECT id FROM pii.cards");
    expect_last_held({"EXECUTE before", "ALTER TABLE pii.cards RENAME number TO x",
                      "ALTER TABLE pii.cards RENAME id TO number",
                      "ALTER TABLE pii.cards RENAME x TO id", "EXECUTE before"});
    expect_last_held({"ALTER TABLE pii.cards RENAME number TO note",
                      "PREPARE renamed AS SELECT note FROM pii.cards"});
    expect_passes("SELECT id FROM pii.cards");
}

TEST_F(row_rules, is_held_behind_what_the_same_batch_defines) {
    client->send(wire::once("BEGIN") + wire::once("ALTER TABLE pii.cards RENAME number TO x") +
                 wire::once("ALTER TABLE pii.cards RENAME id TO number") +
                 wire::once("ALTER TABLE pii.cards RENAME x TO id") +
                 wire::once("SELECT id FROM pii.cards") + wire::sync());
    const auto answer = client->read_exchange();
    EXPECT_EQ(answer.sqlstate(), "SP001");
    EXPECT_TRUE(answer.rows.empty());
    expect_passes("ROLLBACK");
}

TEST_F(row_rules, is_held_in_a_transaction_that_was_sent_before_the_last_one_ended) {
    client->send(wire::query("SELECT pg_sleep(0.2)") + wire::query("BEGIN") +
                 wire::query("ALTER TABLE pii.cards RENAME number TO note"));
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(client->read_exchange().sqlstate(), "");
    expect_held("SELECT note FROM pii.cards");
    expect_passes("ROLLBACK");
}

TEST_F(row_rules, is_none_of_what_a_migration_adds) {
    for (const char* sql :
         {"BEGIN", "ALTER TABLE pii.cards ADD seen int DEFAULT 1", "UPDATE pii.cards SET seen = 2",
          "SELECT seen FROM pii.cards", "CREATE INDEX ON pii.cards (seen)", "COMMIT"})
        expect_passes(sql);
}

}  // namespace
}  // namespace sallyport::tests
