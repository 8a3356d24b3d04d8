#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// What somebody who left, or an exception that is over, left behind in open connections.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class left_behind : public bounded {
  protected:
    /// A console that stays open.
    [[nodiscard]] wire_client console_of(const std::string& user) const {
        return client_as(user, "sallyport");
    }
    void change_users(const std::string& user, const std::string& from,
                      const std::string& to) const {
        auto text = read_file(proxy->file("users.yaml"));
        const auto of = text.find("  " + user + ":");
        const auto end = text.find('\n', of) + 1;
        auto line = text.substr(of, end - of);
        line = from.empty() ? "" : changed(line, from, to);
        write_file(proxy->file("users.yaml"), text.replace(of, end - of, line), 0600);
        load(example_policy());
    }
    void remove(const std::string& user) const { change_users(user, "", ""); }
};

TEST_F(left_behind, console_of_a_user_who_is_gone_ends_and_decides_nothing) {
    start();
    auto bob = console_of("bob");
    EXPECT_EQ(bob.ask("SHOW HOLDS").sqlstate(), "");
    auto alice = client_as("alice");
    alice.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");

    remove("bob");

    EXPECT_EQ(fields_of(bob.read_until('E')).at('C'), "SP003");
    EXPECT_EQ(state_of_hold(id, "carol"), "pending");
    approve(id, "carol");
    EXPECT_EQ(alice.read_exchange().types(), "TDCZ");
}

TEST_F(left_behind, console_of_a_user_in_other_groups_is_judged_by_those) {
    start();
    auto bob = console_of("bob");
    auto root = console_of("root");
    auto alice = client_as("alice");
    alice.send(wire::query(held_sql));
    const auto id = std::to_string(pending_hold_of("alice"));
    EXPECT_EQ(root.ask("SHOW SESSIONS").sqlstate(), "");

    change_users("bob", "groups: [dev, security]", "groups: [dev]");
    change_users("root", "groups: [admin]", "groups: [dev]");

    EXPECT_NE(bob.ask("APPROVE " + id).sqlstate(), "");
    EXPECT_NE(root.ask("SHOW SESSIONS").sqlstate(), "");
    EXPECT_NE(root.ask("LOCK USER alice FOR '5m' REASON 'a joke'").sqlstate(), "");
    EXPECT_EQ(state_of_hold(std::stoull(id), "carol"), "pending");
}

TEST_F(left_behind, session_held_at_the_door_ends_with_its_user) {
    start();
    wire_client c(proxy->port());
    c.authenticate(login_as("erin", "hr"));
    const auto id = pending_hold_of("erin", "carol");
    ASSERT_NE(id, 0U);

    remove("erin");

    EXPECT_EQ(fields_of(c.read_until('E')).at('C'), "SP003");
    EXPECT_TRUE(eventually([&] { return state_of_hold(id, "carol") == "withdrawn"; }));
}

TEST_F(left_behind, session_let_in_by_the_door_has_the_groups_of_then) {
    start();
    wire_client c(proxy->port());
    c.authenticate(login_as("dba", "hr"));
    const auto id = pending_hold_of("dba", "carol");
    change_users("dba", "groups: [dba]", "groups: [dev]");
    approve(id, "carol");
    approve(id, "dave");
    static_cast<void>(c.read_until('Z'));
    EXPECT_EQ(c.ask("CREATE TEMP TABLE by_old_groups (id int)").sqlstate(), "42501");
}

/// What passed by an opt-out is not made effective behind its end, nor by somebody else.
TEST_F(left_behind, prepared_transaction_is_committed_by_its_person_while_its_exception_lasts) {
    start();
    const auto id = active_opt_out();
    auto alice = client_as("alice");
    for (const auto* name : {"one", "two"}) {
        EXPECT_EQ(outcome(alice, "BEGIN"), "");
        EXPECT_EQ(outcome(alice, "UPDATE customers SET ssn = 'x' WHERE id = 1"), "");
        EXPECT_EQ(outcome(alice, "SAVEPOINT a"), "");
        EXPECT_EQ(outcome(alice, std::string("PREPARE TRANSACTION '") + name + "'"), "");
        if (name == std::string("two")) break;
        auto erin = refusing("erin");
        EXPECT_EQ(outcome(erin, "COMMIT PREPARED 'one'"), "SP001") << "not hers";
        EXPECT_EQ(outcome(alice, "COMMIT PREPARED 'one'"), "");
    }

    revoke_opt_out(id);

    auto again = refusing("alice");
    EXPECT_EQ(outcome(again, "COMMIT PREPARED 'two'"), "SP001");
    EXPECT_EQ(outcome(again, "ROLLBACK PREPARED 'two'"), "");
}

/// A COMMIT that was sent and skipped ends nothing; nor does the end of a batch before it.
TEST_F(left_behind, exception_in_a_transaction_is_not_forgotten_before_its_end) {
    start();
    static_cast<void>(active_opt_out());
    const auto run = [](const std::string& sql) {
        return wire::parse("", sql) + wire::bind("", "") + wire::execute("");
    };
    const std::string held = "UPDATE customers SET ssn = 'x' WHERE id = 1";
    auto alice = client_as("alice");
    auto erin = refusing("erin");

    for (const auto* sql : {"BEGIN", held.c_str(), "SAVEPOINT a"})
        ASSERT_EQ(outcome(alice, sql), "") << sql;
    alice.send(run("SELECT 1/0") + run("COMMIT") + wire::sync());
    static_cast<void>(alice.read_until('Z'));
    for (const auto* sql : {"ROLLBACK TO a", "PREPARE TRANSACTION 'skipped'"})
        ASSERT_EQ(outcome(alice, sql), "") << sql;
    EXPECT_EQ(outcome(erin, "COMMIT PREPARED 'skipped'"), "SP001");
    EXPECT_EQ(outcome(alice, "ROLLBACK PREPARED 'skipped'"), "");

    alice.send(run("SELECT pg_sleep(0.2)") + wire::sync() + run("BEGIN") + run(held) +
               wire::sync());
    static_cast<void>(alice.read_until('Z'));
    static_cast<void>(alice.read_until('Z'));
    ASSERT_EQ(outcome(alice, "PREPARE TRANSACTION 'piped'"), "");
    EXPECT_EQ(outcome(erin, "COMMIT PREPARED 'piped'"), "SP001");
    EXPECT_EQ(outcome(alice, "ROLLBACK PREPARED 'piped'"), "");
}

TEST_F(left_behind, reason_of_blanks_is_none) {
    start_with_policy(changed(example_policy(), "approvals: 1 }\n      wait: 60s",
                              "approvals: 1 }\n      reason: required\n      wait: 60s"));
    auto c = refusing("alice");
    EXPECT_EQ(c.ask("SET sallyport.reason = '   '").sqlstate(), "");
    const auto refused = c.ask(held_sql);
    EXPECT_EQ(refused.sqlstate(), "SP001");
    EXPECT_THAT(refused.errors.at(0).at('M'), HasSubstr("reason"));
    EXPECT_EQ(holds("pending").size(), 0U);
}

TEST_F(left_behind, lock_on_a_rule_or_target_that_is_not_there_is_refused_with_the_nearest) {
    start();
    for (const auto& [on, subject, near] :
         {std::tuple{"rule", "pii-needs-aproval", "pii-needs-approval"},
          std::tuple{"target", "shopp", "shop"}}) {
        const auto answer = api("root").post(
            "/api/v1/locks",
            nlohmann::json{{on, subject}, {"reason", "leak"}, {"for", "5m"}}.dump());
        EXPECT_EQ(answer.status, 422) << answer.body;
        EXPECT_THAT(answer.body, HasSubstr(near));
    }
}

TEST_F(left_behind, many_console_commands_in_one_message_are_answered_as_they_run) {
    start();
    auto c = console_of("bob");
    std::string many = "/* a; comment */ ";
    for (int i = 0; i < 2'000; ++i)
        many += "SHOW HOLDS; ";
    c.send(wire::query(many));
    std::size_t answered = 0;
    for (;;) {
        const auto m = c.read();
        if (m.type == 'C') ++answered;
        ASSERT_NE(m.type, 'E');
        if (m.type == 'Z') break;
    }
    EXPECT_EQ(answered, 2'000U);
}

TEST_F(left_behind, comments_without_end_at_the_console_are_an_error_and_take_no_time) {
    start();
    auto c = console_of("bob");
    std::string many;
    while (many.size() < 900'000)
        many += "/*";
    for (const auto& text : {std::string("SHOW HOLDS /* and /* more */"), many}) {
        const auto answer = c.ask(text);
        EXPECT_EQ(answer.sqlstate(), "42601") << text.substr(0, 40);
    }
    EXPECT_EQ(c.ask("SHOW HOLDS /* all /* of */ them */").errors.size(), 0U);
}

}  // namespace
}  // namespace sallyport::tests
