#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// SHOW sallyport.…: what Sallyport says of a session inside of it, in any client.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class show : public e2e {
  protected:
    /// The second column of the row that begins with `name`; "" if there is none.
    static std::string value_of(const exchange& got, const std::string& name) {
        for (const auto& row : got.rows)
            if (row.at(0) == name) return row.at(1).value_or("NULL");
        return {};
    }
};

TEST_F(show, status_says_who_one_is_and_what_is_in_force) {
    start();
    const auto id = active_opt_out();
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("SET sallyport.reason = 'it''s \\ \xc3\xa9'").sqlstate(), "");

    const auto got = c.ask(" show /* me */ Sallyport . Status ; ");

    EXPECT_EQ(got.sqlstate(), "");
    EXPECT_EQ(value_of(got, "user"), "alice");
    EXPECT_EQ(value_of(got, "groups"), "dev, oncall");
    EXPECT_EQ(value_of(got, "target"), "shop");
    EXPECT_EQ(value_of(got, "reason"), "it's \\ \xc3\xa9");
    EXPECT_EQ(value_of(got, "on_hold"), "wait");
    EXPECT_THAT(value_of(got, "opt-out " + std::to_string(id)), HasSubstr("pii-needs-approval"));
    EXPECT_EQ(c.ask("SHOW sallyport.reason").rows.at(0).at(0), "it's \\ \xc3\xa9");
}

TEST_F(show, rules_are_those_that_speak_of_the_one_who_asks) {
    start();
    auto alice = client_as("alice");
    auto dba = client_as("dba");

    const auto got = alice.ask("SHOW sallyport.rules");

    EXPECT_EQ(got.rows.size(), 2u);
    EXPECT_EQ(value_of(got, "no-ddl-outside-dba"), "deny");
    EXPECT_EQ(value_of(got, "pii-needs-approval"), "hold");
    EXPECT_EQ(got.rows.at(1).at(4), "1 of group security");
    EXPECT_THAT(got.rows.at(1).at(5).value(), HasSubstr("up to 4h"));
    const auto of_dba = dba.ask("SHOW sallyport.rules");
    EXPECT_EQ(of_dba.rows.size(), 1u);
    EXPECT_EQ(of_dba.rows.at(0).at(5), "not for you");
}

TEST_F(show, holds_and_opt_outs_are_those_one_may_see) {
    start();
    auto held = client_as("alice");
    held.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");
    ASSERT_NE(id, 0u);
    static_cast<void>(active_opt_out());

    auto bob = client_as("bob");
    const auto got = bob.ask("SHOW sallyport.holds");
    ASSERT_EQ(got.rows.size(), 1u);
    EXPECT_EQ(got.rows.at(0).at(0), std::to_string(id));
    EXPECT_EQ(bob.ask("SHOW sallyport.opt_outs").rows.size(), 1u);
    EXPECT_EQ(client_as("erin").ask("SHOW sallyport.holds").rows.size(), 0u);
}

TEST_F(show, answers_the_extended_protocol_with_types) {
    start();
    auto c = client_as("alice");

    c.send(wire::parse("s", "SHOW sallyport.holds") + wire::describe('S', "s") +
           wire::bind("", "s") + wire::execute("") + wire::sync());
    const auto got = c.read_exchange();

    EXPECT_EQ(got.sqlstate(), "");
    EXPECT_EQ(got.types(), "1tT2CZ");
}

TEST_F(show, is_as_any_statement_to_its_transaction) {
    start();
    auto c = client_as("alice");
    EXPECT_EQ(c.ask("BEGIN").sqlstate(), "");
    EXPECT_EQ(c.ask("SHOW sallyport.holds").status, 'T');
    EXPECT_EQ(c.ask("SELECT 1/0").sqlstate(), "22012");

    EXPECT_EQ(c.ask("SHOW sallyport.status").sqlstate(), "25P02");
    EXPECT_EQ(c.ask("SHOW sallyport.nothing").sqlstate(), "25P02");
    EXPECT_EQ(c.ask("ROLLBACK").sqlstate(), "");
    EXPECT_EQ(c.ask("SHOW sallyport.nothing").sqlstate(), "42704");
}

}  // namespace
}  // namespace sallyport::tests
