#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// The role without rights that statements run as until somebody has approved them.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class unapproved_role : public e2e {
  protected:
    void SetUp() override {
        direct(
            "DO $$ BEGIN CREATE ROLE app_limited; EXCEPTION WHEN duplicate_object THEN NULL; END "
            "$$; GRANT app_limited TO app; GRANT USAGE ON SCHEMA public TO app_limited; "
            "CREATE TABLE public.notes (id int); GRANT SELECT, INSERT ON public.notes TO "
            "app_limited, app; REVOKE ALL ON public.customers FROM PUBLIC; GRANT ALL ON "
            "public.customers TO app; GRANT SELECT (id, name) ON public.customers TO app_limited");
        options.targets["shop"].more = "    unapproved_role: app_limited\n";
        options.policy = example_policy();
        const std::string opaque =
            "opaque: { effect: hold, hold: { approvers: { groups: [security] }, wait: 30s } }";
        const auto at = options.policy.find(opaque);
        ASSERT_NE(at, std::string::npos);
        options.policy.replace(at, opaque.size(), "opaque: allow");
        start();
    }
    static std::string role_of(wire_client& c) {
        return c.ask("SELECT current_user").rows.at(0).at(0).value();
    }
};

TEST_F(unapproved_role, has_statements_that_nobody_approved) {
    auto c = client_as("alice");

    EXPECT_EQ(role_of(c), "app_limited");
    EXPECT_EQ(c.ask("INSERT INTO notes VALUES (1)").sqlstate(), "");
    EXPECT_EQ(c.ask("SELECT name FROM customers WHERE id = 1").sqlstate(), "");
}

TEST_F(unapproved_role, ends_what_inspection_cannot_see_with_the_servers_error_on_record) {
    auto c = client_as("alice");

    const auto hidden = c.ask(
        "DO $$ DECLARE x text; BEGIN EXECUTE 'SELECT s' || 'sn FROM customers LIMIT 1' INTO x; "
        "RAISE NOTICE '%', x; END $$");

    EXPECT_EQ(hidden.sqlstate(), "42501");
    ASSERT_TRUE(eventually([&] { return !audit_records("server.refused").empty(); }));
    const auto record = audit_records("server.refused").front();
    EXPECT_EQ(record.at("user"), "alice");
    EXPECT_EQ(record.at("role"), "app_limited");
    EXPECT_EQ(role_of(c), "app_limited");
}

// A batch without its Sync and the Query behind it are one transaction: what fails there takes the
// change of the role back.
TEST_F(unapproved_role, comes_back_though_the_transaction_of_the_change_fails) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    for (const auto* fails : {"SELECT 1/0", "SELECT 2/0"}) {
        EXPECT_EQ(c.ask("SELECT ssn FROM customers").sqlstate(), "");
        c.send(wire::close('S', "") + wire::flush() + wire::query(fails) +
               wire::query("SELECT current_user"));
        EXPECT_EQ(c.read_exchange().sqlstate(), "22012");
        EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "app_limited");
    }
}

TEST_F(unapproved_role, is_left_for_what_an_opt_out_lets_pass_and_for_nothing_else) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_EQ(role_of(c), "app_limited");
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_EQ(c.ask("DO $$ BEGIN EXECUTE 'SELECT ssn FROM customers'; END $$").sqlstate(), "42501");
}

TEST_F(unapproved_role, is_left_for_what_was_approved) {
    psql_session alice(psql_as("alice"));
    alice.send(std::string(held_sql) + ";");
    approve(pending_hold_of("alice"));

    EXPECT_TRUE(alice.shows(held_value));
    alice.send("SELECT current_user;");
    EXPECT_TRUE(alice.shows("app_limited"));
}

TEST_F(unapproved_role, comes_back_whatever_becomes_of_the_transaction) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    static_cast<void>(c.ask("BEGIN"));
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_EQ(role_of(c), "app_limited");
    static_cast<void>(c.ask("ROLLBACK"));
    EXPECT_EQ(role_of(c), "app_limited");

    static_cast<void>(c.ask(std::string("BEGIN; ") + held_sql));
    EXPECT_EQ(role_of(c), "app_limited");
    static_cast<void>(c.ask("ROLLBACK"));
    EXPECT_EQ(role_of(c), "app_limited");

    static_cast<void>(c.ask("BEGIN"));
    static_cast<void>(c.ask("SAVEPOINT s"));
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_EQ(c.ask("SELECT 1 / 0").sqlstate(), "22012");
    EXPECT_EQ(c.ask("ROLLBACK TO s; SELECT current_user").sqlstate(), "42501");
    EXPECT_EQ(c.ask("ROLLBACK TO s").sqlstate(), "");
    EXPECT_EQ(role_of(c), "app_limited");
}

TEST_F(unapproved_role, is_not_left_behind_a_failed_transaction) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    const std::string failing = "BEGIN; SELECT ssn, 1 / (id - id) FROM customers WHERE id = 1";

    EXPECT_EQ(c.ask(failing).sqlstate(), "22012");
    c.send(wire::once("ROLLBACK") + wire::once("SELECT current_user") + wire::sync());
    EXPECT_EQ(c.read_exchange().sqlstate(), "25P02");
    EXPECT_EQ(c.ask("ROLLBACK; SELECT current_user").sqlstate(), "25P02");
    EXPECT_EQ(c.ask("ROLLBACK").sqlstate(), "");
    EXPECT_EQ(role_of(c), "app_limited");
}

TEST_F(unapproved_role, of_extended_messages_follows_each_batch) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    c.send(wire::parse("p", held_sql) + wire::describe('S', "p") + wire::flush());
    static_cast<void>(c.read_until('T'));
    c.send(wire::bind("", "p") + wire::execute("") + wire::sync());
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);

    EXPECT_EQ(role_of(c), "app_limited");
}

TEST_F(unapproved_role, is_not_the_clients_to_leave) {
    auto c = client_as("alice");

    for (const char* sql :
         {"SET ROLE NONE", "SET ROLE app", "SET LOCAL ROLE NONE", "SET SESSION AUTHORIZATION app",
          "RESET SESSION AUTHORIZATION", "SELECT set_config('role', 'none', false)",
          "SELECT 1; SET ROLE NONE; SELECT name FROM customers"}) {
        SCOPED_TRACE(sql);
        EXPECT_EQ(c.ask(sql).sqlstate(), "42501");
        EXPECT_EQ(role_of(c), "app_limited");
    }
    for (const char* sql : {"RESET ROLE", "DISCARD ALL", "RESET ALL",
                            "DO $$ BEGIN EXECUTE 'SET ROLE NONE'; END $$"}) {
        SCOPED_TRACE(sql);
        EXPECT_EQ(c.ask(sql).sqlstate(), "");
        EXPECT_EQ(role_of(c), "app_limited");
    }
    c.send(wire::parse("", "DISCARD ALL") + wire::bind("", "") + wire::execute("") +
           wire::parse("", "SELECT current_user") + wire::bind("", "") + wire::execute("") +
           wire::sync());
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), "app_limited") << "behind it in its batch, too";
}

TEST_F(unapproved_role, that_the_login_may_not_take_is_a_refused_login) {
    direct("REVOKE app_limited FROM app");
    wire_client c(proxy->port());
    try {
        c.login(login_as("alice"));
        FAIL() << "let in";
    } catch (const login_refused& e) {
        EXPECT_THAT(e.what(), HasSubstr("role"));
    }
}

}  // namespace
}  // namespace sallyport::tests
