#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// Votes that are taken back, persons on several surfaces, and approvers that a reload changes.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class votes : public bounded {
  protected:
    static std::string two_approvals() {
        auto text =
            changed(example_policy(), "approvals: 1 }\n      wait", "approvals: 2 }\n      wait");
        return changed(text, "approvals: 1 }\n      max_duration",
                       "approvals: 2 }\n      max_duration");
    }
    static std::string approved_by(const std::string& who) {
        auto text =
            changed(example_policy(), "approvers: { groups: [security], approvals: 1 }\n      wait",
                    "approvers: { " + who + ", approvals: 1 }\n      wait");
        return changed(text, "approvers: { groups: [security], approvals: 1 }\n      max_duration",
                       "approvers: { " + who + ", approvals: 1 }\n      max_duration");
    }
    /// alice's statement waits; its number.
    std::uint64_t hold_alice() {
        client = std::make_unique<wire_client>(client_as("alice"));
        client->send(wire::query(held_sql));
        return pending_hold_of("alice");
    }
    static std::string body_of(const std::string& what) {
        return what == "withdraw-vote" ? "{}" : R"({"reason":"on call"})";
    }
    [[nodiscard]] http_response on_hold(const std::string& who, std::uint64_t id,
                                        const std::string& what) const {
        return api(who).post("/api/v1/holds/" + std::to_string(id) + "/" + what, body_of(what));
    }
    [[nodiscard]] http_response on_opt_out(const std::string& who, std::uint64_t id,
                                           const std::string& what) const {
        return api(who).post("/api/v1/opt-outs/" + std::to_string(id) + "/" + what, body_of(what));
    }
    [[nodiscard]] std::size_t votes_on(std::uint64_t id) const {
        return get("bob", "/api/v1/holds/" + std::to_string(id)).at("approvals").at("votes").size();
    }
    /// Nothing but notices has come.
    void expect_waiting() const {
        EXPECT_THROW(static_cast<void>(client->read_until('T', milliseconds(200))), wire_timeout);
    }
    std::unique_ptr<wire_client> client;
};

TEST_F(votes, one_that_is_taken_back_no_longer_counts) {
    start_with_policy(two_approvals());
    const auto id = hold_alice();
    approve(id, "bob");
    EXPECT_EQ(votes_on(id), 1u);

    cli("bob", {"withdraw-vote", std::to_string(id)});
    EXPECT_EQ(votes_on(id), 0u);
    approve(id, "carol");

    EXPECT_EQ(state_of_hold(id), "pending");
    expect_waiting();
    const auto taken_back = audit_records("hold.vote_withdrawn");
    ASSERT_EQ(taken_back.size(), 1u);
    EXPECT_EQ(taken_back[0].at("voter"), "bob");
    approve(id, "bob");
    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
    EXPECT_THAT(audit_records("hold.approved").at(0).at("approved_by"), HasSubstr("carol"));
}

TEST_F(votes, one_cannot_be_taken_back_behind_the_last_nor_by_another_person) {
    start_with_policy(two_approvals());
    const auto id = hold_alice();
    approve(id, "bob");
    EXPECT_EQ(on_hold("carol", id, "withdraw-vote").status, 409) << "she has none";
    approve(id, "carol");
    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);

    const auto by_api = on_hold("bob", id, "withdraw-vote");
    const auto by_cli = proxy->cli("bob", {"withdraw-vote", std::to_string(id)});
    const auto by_console =
        client_as("bob", "sallyport").ask("WITHDRAW VOTE " + std::to_string(id));

    EXPECT_EQ(by_api.status, 409);
    EXPECT_THAT(detail_of(by_api), HasSubstr("has already ended: approved"));
    EXPECT_NE(by_cli.exit_code, 0);
    EXPECT_NE(by_console.sqlstate(), "");
    EXPECT_EQ(state_of_hold(id), "approved");
    EXPECT_TRUE(audit_records("hold.vote_withdrawn").empty());
}

TEST_F(votes, one_on_an_opt_out_that_is_taken_back_no_longer_counts) {
    start_with_policy(two_approvals());
    const auto id = accepted({});
    approve_opt_out(id, "bob");
    auto console = client_as("bob", "sallyport");
    EXPECT_EQ(console.ask("WITHDRAW VOTE OPT OUT " + std::to_string(id)).sqlstate(), "");

    approve_opt_out(id, "carol");
    EXPECT_EQ(state_of_opt_out(id), "requested");
    approve_opt_out(id, "bob");
    EXPECT_EQ(state_of_opt_out(id), "active");

    EXPECT_EQ(on_opt_out("bob", id, "withdraw-vote").status, 409);
    EXPECT_EQ(state_of_opt_out(id), "active");
    auto c = refusing("alice");
    EXPECT_EQ(outcome(c), "");
}

TEST_F(votes, person_at_the_api_the_console_and_with_a_token_is_one) {
    start_with_policy(two_approvals());
    const auto id = hold_alice();
    const auto number = std::to_string(id);
    const auto token =
        post("bob", "/api/v1/tokens", {{"name", "vote"}, {"scopes", {"vote-hold"}}, {"for", "1h"}})
            .at("token")
            .get<std::string>();
    const auto first = http_request(
        proxy->admin_port(), "POST", "/api/v1/holds/" + number + "/approve",
        {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}}, "{}");
    ASSERT_EQ(first.status, 200) << first.body;

    psql_session console(psql_as("bob", "sallyport"));
    const auto second = console.ask("APPROVE " + number + " REASON 'agreed'");
    const auto third = proxy->cli("bob", {"approve", number});

    EXPECT_THAT(second.text, HasSubstr("bob has already voted on hold " + number));
    EXPECT_NE(second.sqlstate, "00000");
    EXPECT_NE(third.exit_code, 0);
    EXPECT_EQ(votes_on(id), 1u);
    expect_waiting();
    // … and takes back on one surface what she said on another.
    EXPECT_EQ(console.ask("WITHDRAW VOTE " + number).sqlstate, "00000");
    EXPECT_EQ(votes_on(id), 0u);
}

TEST_F(votes, approver_whom_a_reload_added_does_not_decide_what_was_asked_before) {
    start();
    const auto id = hold_alice();
    const auto asked = accepted({}, "alice");

    load(approved_by("groups: [security], users: [erin]"));

    for (const auto* what : {"approve", "deny"}) {
        EXPECT_GE(on_hold("erin", id, what).status, 403) << what;
        EXPECT_GE(on_opt_out("erin", asked, what).status, 403) << what;
    }
    EXPECT_NE(client_as("erin", "sallyport").ask("APPROVE " + std::to_string(id)).sqlstate(), "");
    EXPECT_EQ(state_of_hold(id), "pending");
    EXPECT_EQ(state_of_opt_out(asked), "requested");
    approve(id, "bob");
    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
    approve_opt_out(asked, "carol");
}

TEST_F(votes, approver_whom_a_reload_added_decides_what_is_asked_afterwards) {
    start();
    load(approved_by("groups: [security], users: [erin]"));
    const auto id = hold_alice();

    approve(id, "erin");

    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
}

TEST_F(votes, approver_whom_a_reload_removed_decides_nothing_more) {
    start();
    const auto id = hold_alice();
    const auto asked = accepted({}, "alice");

    load(approved_by("users: [carol, erin]"));

    const auto number = std::to_string(id);
    const auto r = api("bob").post("/api/v1/holds/" + number + "/approve", R"({"reason":"x"})");
    EXPECT_EQ(r.status, 403) << r.body;
    const auto d = api("bob").post("/api/v1/holds/" + number + "/deny", R"({"reason":"x"})");
    EXPECT_EQ(d.status, 403) << d.body;
    EXPECT_EQ(client_as("bob", "sallyport").ask("APPROVE " + number).sqlstate(), "42501");
    const auto o = on_opt_out("bob", asked, "approve").status;
    EXPECT_TRUE(o == 403 || o == 404) << o;
    EXPECT_EQ(state_of_hold(id, "carol"), "pending");
    approve(id, "carol");
    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
    approve_opt_out(asked, "carol");
}

TEST_F(votes, reload_that_asks_for_more_approvals_counts_for_what_waits) {
    start();
    const auto id = hold_alice();

    load(two_approvals());
    approve(id, "bob");

    EXPECT_EQ(state_of_hold(id), "pending");
    expect_waiting();
    approve(id, "carol");
    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
}

}  // namespace
}  // namespace sallyport::tests
