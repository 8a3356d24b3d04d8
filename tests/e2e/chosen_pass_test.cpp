#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// What an approver chooses to grant beyond the one statement, and what the rule does not let her.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

constexpr const char* emails_sql = "SELECT email FROM customers WHERE id = 2";

class chosen_pass : public bounded {
  protected:
    /// The held statement of this client is approved so; it must pass then.
    std::uint64_t granted(wire_client& c, const nlohmann::json& choice,
                          const std::string& sql = held_sql) const {
        c.send(wire::query(sql));
        const auto id = pending_hold_of("alice");
        auto body = choice;
        body["reason"] = "agreed";
        post("bob", path(id), body);
        const auto x = c.read_exchange();
        EXPECT_EQ(x.sqlstate(), "");
        EXPECT_EQ(x.types(), "TDCZ");
        return id;
    }
    [[nodiscard]] static std::string path(std::uint64_t id) {
        return "/api/v1/holds/" + std::to_string(id) + "/approve";
    }
    /// From here on a hold is an error, SP001.
    static void no_more_waiting(wire_client& c) {
        EXPECT_EQ(c.ask("SET sallyport.on_hold = 'refuse'").sqlstate(), "");
    }
    /// Refused on each surface with `why` and what is offered; the hold waits on.
    void refused_everywhere(std::uint64_t id, const std::string& pass, const std::string& lasts,
                            const std::string& why) const {
        SCOPED_TRACE(pass + " " + lasts);
        const auto number = std::to_string(id);
        nlohmann::json body{{"reason", "agreed"}, {"pass", pass}};
        std::vector<std::string> typed{"approve", number, "--reason", "agreed", "--pass", pass};
        auto said = "APPROVE " + number + " REASON 'agreed' PASS " + pass;
        if (!lasts.empty()) {
            body["for"] = lasts;
            typed.insert(typed.end(), {"--for", lasts});
            said += " FOR '" + lasts + "'";
        }

        const auto by_api = api("bob").post(path(id), body.dump());
        const auto by_cli = proxy->cli("bob", typed);
        const auto by_console = client_as("bob", "sallyport").ask(said);

        EXPECT_EQ(by_api.status, 422) << by_api.body;
        EXPECT_THAT(detail_of(by_api), HasSubstr(why));
        EXPECT_NE(by_cli.exit_code, 0) << by_cli.out;
        EXPECT_THAT(by_cli.err, HasSubstr(why));
        ASSERT_EQ(by_console.errors.size(), 1u);
        EXPECT_THAT(by_console.errors[0].at('M'), HasSubstr(why));
        EXPECT_EQ(state_of_hold(id), "pending");
    }
};

TEST_F(chosen_pass, one_for_the_transaction_ends_with_it) {
    start();
    auto c = client_as("alice");
    auto other = refusing("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    const auto id = granted(c, {{"pass", "transaction"}});
    no_more_waiting(c);

    EXPECT_EQ(outcome(c, emails_sql), "") << "the next statement of the same transaction";
    EXPECT_EQ(outcome(c, "UPDATE customers SET ssn = ssn WHERE id = 1"), "");
    EXPECT_EQ(outcome(other), "SP001") << "another session";
    ASSERT_EQ(c.ask("COMMIT").status, 'I');

    EXPECT_EQ(outcome(c), "SP001") << "behind it";
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    EXPECT_EQ(outcome(c), "SP001") << "the next transaction";
    const auto approved = audit_records("hold.approved");
    ASSERT_EQ(approved.size(), 1u);
    EXPECT_EQ(approved[0].at("hold"), std::to_string(id));
    EXPECT_EQ(approved[0].at("scope"), "transaction");
}

TEST_F(chosen_pass, one_for_the_transaction_does_not_reach_into_the_one_that_is_chained_to_it) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    granted(c, {{"pass", "transaction"}});
    no_more_waiting(c);

    ASSERT_EQ(c.ask("COMMIT AND CHAIN").status, 'T');

    EXPECT_EQ(outcome(c), "SP001");
}

TEST_F(chosen_pass, one_for_the_transaction_does_not_reach_behind_a_commit_in_the_same_message) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    granted(c, {{"pass", "transaction"}});
    no_more_waiting(c);

    EXPECT_EQ(outcome(c, std::string("COMMIT; BEGIN; ") + held_sql), "SP001");
}

TEST_F(chosen_pass, one_for_a_time_covers_the_shape_in_every_session_until_its_end) {
    start();
    auto c = client_as("alice");
    auto other = refusing("alice");
    auto erin = refusing("erin");
    const auto begun = std::chrono::steady_clock::now();
    granted(c, {{"pass", "shape"}, {"for", "2s"}});
    no_more_waiting(c);

    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(outcome(other, "SELECT ssn FROM customers WHERE id = 2"), "");
    EXPECT_EQ(outcome(other, emails_sql), "SP001") << "another shape";
    EXPECT_EQ(outcome(erin), "SP001") << "another person";

    EXPECT_TRUE(eventually([&] { return outcome(c) == "SP001"; }));
    EXPECT_GE(std::chrono::steady_clock::now() - begun, milliseconds(2'000));
    EXPECT_LE(std::chrono::steady_clock::now() - begun, milliseconds(6'000));
}

TEST_F(chosen_pass, one_for_the_session_covers_the_rule_in_that_session_alone) {
    start();
    auto c = client_as("alice");
    auto other = refusing("alice");
    granted(c, {{"pass", "session"}, {"for", "30m"}});
    no_more_waiting(c);

    EXPECT_EQ(outcome(c, emails_sql), "");
    EXPECT_EQ(outcome(c, "BEGIN"), "");
    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(outcome(c, "COMMIT"), "");
    EXPECT_EQ(outcome(c, "UPDATE customers SET ssn = ssn WHERE id = 1"), "");
    EXPECT_EQ(outcome(other), "SP001");
}

TEST_F(chosen_pass, one_for_the_session_ends_at_the_time_that_was_chosen) {
    start();
    auto c = client_as("alice");
    granted(c, {{"pass", "session"}, {"for", "1s"}});
    no_more_waiting(c);

    EXPECT_TRUE(eventually([&] { return outcome(c, emails_sql) == "SP001"; }));
}

TEST_F(chosen_pass, one_for_the_statement_is_for_that_one_run) {
    start();
    auto c = client_as("alice");
    granted(c, {{"pass", "statement"}});
    no_more_waiting(c);

    EXPECT_EQ(outcome(c), "SP001");
}

TEST_F(chosen_pass, client_is_told_for_what_and_until_when) {
    start();
    psql_session alice(psql_as("alice"));
    alice.send(held_sql);
    const auto id = std::to_string(pending_hold_of("alice"));

    const auto said = cli("bob", {"approve", id, "--pass", "session", "--for", "30m"});

    const auto seen = alice.finish();
    EXPECT_THAT(seen.text, HasSubstr(held_value));
    EXPECT_THAT(seen.text,
                HasSubstr("hold " + id + " was approved by bob for this session, until"));
    EXPECT_THAT(said, HasSubstr("is approved for this session until"));
}

TEST_F(chosen_pass, beyond_the_bounds_of_the_rule_it_is_refused_with_what_is_offered) {
    start_with_policy(changed(example_policy(), ", session: 1h }", " }"));
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");

    refused_everywhere(id, "shape", "31m",
                       "31m is more than rule pii-needs-approval allows for the shape");
    refused_everywhere(id, "transaction", "6m",
                       "6m is more than rule pii-needs-approval allows for the transaction");
    refused_everywhere(id, "session", "1m",
                       "rule pii-needs-approval offers no pass for the session");
    refused_everywhere(
        id, "session", "",
        "rule pii-needs-approval offers no pass for the session; offered: statement, "
        "shape up to 30m, transaction up to 5m");
    refused_everywhere(id, "statement", "1m",
                       "A duration needs a pass that lasts: shape, transaction or session");

    EXPECT_TRUE(audit_records("hold.vote").empty()) << "none of them was a vote";
    approve(id);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
}

TEST_F(chosen_pass, two_approvers_grant_what_both_chose) {
    start_with_policy(
        changed(example_policy(), "approvals: 1 }\n      wait", "approvals: 2 }\n      wait"));
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");

    post("bob", path(id), {{"reason", "agreed"}, {"pass", "session"}, {"for", "1h"}});
    post("carol", path(id), {{"reason", "agreed"}, {"pass", "session"}, {"for", "1s"}});

    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    no_more_waiting(c);
    EXPECT_TRUE(eventually([&] { return outcome(c, emails_sql) == "SP001"; }));
}

TEST_F(chosen_pass, one_for_the_transaction_does_not_reach_behind_a_commit_in_the_same_batch) {
    start();
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    granted(c, {{"pass", "transaction"}});
    no_more_waiting(c);

    c.send(wire::once("COMMIT") + wire::once(held_sql) + wire::sync());

    EXPECT_EQ(c.read_exchange().sqlstate(), "SP001");
}

}  // namespace
}  // namespace sallyport::tests
