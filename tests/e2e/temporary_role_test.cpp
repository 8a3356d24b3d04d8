#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// `role:` of an opt-out: what it lets through runs under another role, and nothing else does.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class temporary_role : public e2e {
  protected:
    void SetUp() override {
        direct(
            "DO $$ BEGIN CREATE ROLE incident_writer; EXCEPTION WHEN duplicate_object THEN NULL; "
            "END $$; DO $$ BEGIN CREATE ROLE app_reader; EXCEPTION WHEN duplicate_object THEN "
            "NULL; END $$; GRANT incident_writer, app_reader TO app; GRANT USAGE ON SCHEMA public "
            "TO incident_writer, app_reader; GRANT SELECT, UPDATE ON public.customers TO "
            "incident_writer; GRANT SELECT (id, name) ON public.customers TO app_reader");
        options.policy = policy();
        start();
    }
    static std::string policy(const std::string& role = "incident_writer") {
        auto text = example_policy();
        return text.insert(text.find("      at_end: hold"), "      role: " + role + "\n");
    }
    static void run(wire_client& c, const std::string& sql) { static_cast<void>(c.ask(sql)); }
    static std::string role_of(wire_client& c) {
        return c.ask("SELECT current_user").rows.at(0).at(0).value();
    }
    /// As whom the statement ran that the rule holds.
    static std::string raised_in(wire_client& c) {
        const auto got = c.ask("SELECT current_user FROM customers WHERE id = 1 AND ssn <> ''");
        return got.rows.empty() ? "error " + got.sqlstate() : got.rows.at(0).at(0).value();
    }
};

TEST_F(temporary_role, is_taken_for_what_the_opt_out_lets_through_and_for_nothing_else) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    EXPECT_EQ(role_of(c), "app");
    EXPECT_EQ(raised_in(c), "incident_writer");
    EXPECT_EQ(raised_in(c), "incident_writer");
    EXPECT_EQ(role_of(c), "app");
    EXPECT_EQ(raised_in(c), "incident_writer");
    EXPECT_EQ(role_of(c), "app");
}

TEST_F(temporary_role, gives_back_the_role_that_the_client_has_set) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("SET ROLE app_reader").sqlstate(), "");

    EXPECT_EQ(role_of(c), "app_reader");
    EXPECT_EQ(raised_in(c), "incident_writer");
    EXPECT_EQ(role_of(c), "app_reader");
    EXPECT_EQ(c.ask("RESET ROLE").sqlstate(), "");
    EXPECT_EQ(raised_in(c), "incident_writer");
    EXPECT_EQ(role_of(c), "app");
}

TEST_F(temporary_role, is_gone_whatever_becomes_of_the_transaction) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    for (const std::string end : {"COMMIT", "ROLLBACK"}) {
        run(c, "BEGIN");
        EXPECT_EQ(raised_in(c), "incident_writer");
        EXPECT_EQ(role_of(c), "app") << "in the transaction";
        EXPECT_EQ(raised_in(c), "incident_writer");
        run(c, end);
        EXPECT_EQ(role_of(c), "app") << "after " << end;
    }
    run(c, "BEGIN");
    run(c, "SAVEPOINT s");
    EXPECT_EQ(raised_in(c), "incident_writer");
    run(c, "ROLLBACK TO s");
    EXPECT_EQ(role_of(c), "app");
    EXPECT_EQ(raised_in(c), "incident_writer");
    EXPECT_EQ(c.ask("SELECT 1/0").sqlstate(), "22012");
    run(c, "ROLLBACK");
    EXPECT_EQ(role_of(c), "app");
}

TEST_F(temporary_role, of_extended_messages_follows_each_batch) {
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");
    const auto ask = [&](const std::string& sql) {
        c.send(wire::parse("", sql) + wire::bind("", "") + wire::execute("") + wire::sync());
        return c.read_exchange().rows.at(0).at(0).value();
    };

    EXPECT_EQ(ask("SELECT current_user"), "app");
    EXPECT_EQ(ask("SELECT current_user FROM customers WHERE ssn <> '' LIMIT 1"), "incident_writer");
    EXPECT_EQ(ask("SELECT current_user"), "app");
}

TEST_F(temporary_role, ends_with_the_opt_out_in_a_session_that_goes_on) {
    const auto id = active_opt_out();
    auto c = client_as("alice");
    run(c, "SET sallyport.on_hold = 'refuse'");
    EXPECT_EQ(raised_in(c), "incident_writer");

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "enough"}});

    EXPECT_EQ(role_of(c), "app");
    EXPECT_EQ(raised_in(c), "error SP001");
    EXPECT_EQ(role_of(c), "app");
}

TEST_F(temporary_role, that_the_rule_no_longer_gives_ends_the_opt_out) {
    const auto id = active_opt_out();
    proxy->set_policy(policy("app_reader"));

    EXPECT_EQ(api("root").post("/api/v1/reload", "{}").status, 200);

    EXPECT_TRUE(opt_out_becomes(id, "revoked"));
}

TEST_F(temporary_role, that_the_server_refuses_is_an_error_that_says_so) {
    proxy->set_policy(policy("nobody_has_this"));
    EXPECT_EQ(api("root").post("/api/v1/reload", "{}").status, 200);
    static_cast<void>(active_opt_out());
    auto c = client_as("alice");

    const auto refused = c.ask(held_sql);

    EXPECT_EQ(refused.sqlstate(), "42501");
    EXPECT_THAT(refused.errors.at(0).at('M'), HasSubstr("\"nobody_has_this\" of the opt-out"));
    EXPECT_EQ(role_of(c), "app");
}

}  // namespace
}  // namespace sallyport::tests
