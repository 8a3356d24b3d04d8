#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Four eyes: who may approve what, by which road.
namespace sallyport::tests {
namespace {

class approval : public e2e {
  protected:
    /// alice's statement waits; its number.
    std::uint64_t hold_alice() {
        client = std::make_unique<wire_client>(client_as("alice"));
        client->send(wire::query(held_sql));
        return pending_hold_of("alice");
    }
    std::unique_ptr<wire_client> client;
};

TEST_F(approval, requester_is_refused_by_the_cli) {
    start();
    const auto id = hold_alice();

    const auto r = proxy->cli("alice", {"approve", std::to_string(id), "--reason", "me"});

    EXPECT_NE(r.exit_code, 0);
    EXPECT_EQ(state_of_hold(id), "pending");
}

TEST_F(approval, requester_is_refused_by_the_api) {
    start();
    const auto id = hold_alice();

    const auto r =
        api("alice").post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"me"})");

    EXPECT_EQ(r.status, 403) << r.body;
    EXPECT_EQ(state_of_hold(id), "pending");
}

TEST_F(approval, requester_is_refused_by_the_console) {
    start();
    const auto id = hold_alice();
    psql_session console(psql_as("alice", "sallyport"));

    const auto a = console.ask("APPROVE " + std::to_string(id) + " REASON 'me'");

    EXPECT_EQ(a.sqlstate, "42501") << a.text;
    EXPECT_EQ(state_of_hold(id), "pending");
}

TEST_F(approval, approver_who_asked_herself_is_refused_too) {
    start();
    auto c = client_as("bob");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("bob", "carol");

    const auto r =
        api("bob").post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"me"})");

    EXPECT_EQ(r.status, 403) << r.body;
    EXPECT_EQ(state_of_hold(id, "carol"), "pending");
}

TEST_F(approval, person_outside_the_rule_s_groups_is_refused) {
    start();
    const auto id = hold_alice();

    const auto r = proxy->cli("dba", {"approve", std::to_string(id), "--reason", "helping"});

    EXPECT_NE(r.exit_code, 0);
    EXPECT_EQ(state_of_hold(id), "pending");
}

TEST_F(approval, service_cannot_vote_even_in_the_right_group) {
    start();
    const auto id = hold_alice();
    admin_session service(proxy->admin_port());
    static_cast<void>(service.login("ci", "ci-password"));

    const auto r =
        service.post("/api/v1/holds/" + std::to_string(id) + "/approve", R"({"reason":"bot"})");

    EXPECT_EQ(r.status / 100, 4) << r.body;
    EXPECT_EQ(state_of_hold(id), "pending");
}

TEST_F(approval, cli_approves_and_shows_what_it_did) {
    start();
    const auto id = hold_alice();

    EXPECT_NE(cli("bob", {"holds"}).find("alice"), std::string::npos);
    cli("bob", {"approve", std::to_string(id), "--reason", "agreed"});

    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
}

TEST_F(approval, cli_denies_with_a_reason) {
    start();
    const auto id = hold_alice();

    cli("bob", {"deny", std::to_string(id), "--reason", "not today"});

    EXPECT_EQ(client->read_exchange().sqlstate(), "42501");
}

TEST_F(approval, console_shows_and_approves) {
    start();
    const auto id = hold_alice();
    psql_session console(psql_as("bob", "sallyport"));

    const auto shown = console.ask("SHOW HOLDS");
    const auto done = console.ask("APPROVE " + std::to_string(id) + " REASON 'agreed'");

    EXPECT_NE(shown.text.find("alice"), std::string::npos) << shown.text;
    EXPECT_EQ(done.sqlstate, "00000") << done.text;
    EXPECT_EQ(client->read_exchange().rows.at(0).at(0), held_value);
}

TEST_F(approval, console_denies_and_helps) {
    start();
    const auto id = hold_alice();
    psql_session console(psql_as("bob", "sallyport"));

    // A psql on a terminal answers `help` itself; -c sends it.
    const auto help = psql_once(psql_as("bob", "sallyport"), "HELP").out;
    EXPECT_NE(help.find("APPROVE"), std::string::npos) << help;
    EXPECT_EQ(console.ask("SHOW OPT_OUTS").sqlstate, "00000");
    EXPECT_EQ(console.ask("DENY " + std::to_string(id) + " REASON 'it''s late'").sqlstate, "00000");

    const auto x = client->read_exchange();
    EXPECT_EQ(x.sqlstate(), "42501");
    EXPECT_NE((x.errors[0].at('M') + x.errors[0].at('D')).find("it's late"), std::string::npos);
}

TEST_F(approval, console_refuses_what_it_does_not_understand_and_lives) {
    start();
    psql_session console(psql_as("bob", "sallyport"));

    EXPECT_EQ(console.ask("FROBNICATE 7").sqlstate, "42601");
    EXPECT_EQ(console.ask("APPROVE 999999 REASON 'x'").sqlstate, "42704");
    EXPECT_EQ(console.ask("SHOW HOLDS").sqlstate, "00000");
}

TEST_F(approval, console_works_in_the_extended_protocol) {
    start();
    static_cast<void>(hold_alice());
    auto c = client_as("bob", "sallyport");

    c.send(wire::parse("", "SHOW HOLDS") + wire::describe('S', "") + wire::bind("", "") +
           wire::execute("") + wire::sync());
    const auto x = c.read_exchange();

    EXPECT_EQ(x.sqlstate(), "");
    EXPECT_EQ(x.rows.size(), 1u);
}

TEST_F(approval, second_approval_is_told_that_it_has_ended) {
    start();
    const auto id = hold_alice();
    approve(id, "bob");

    const auto r = api("carol").post("/api/v1/holds/" + std::to_string(id) + "/approve",
                                     R"({"reason":"too"})");

    EXPECT_EQ(r.status, 409) << r.body;
}

TEST_F(approval, hold_that_does_not_exist_is_404) {
    start();

    EXPECT_EQ(api("bob").post("/api/v1/holds/4711/approve", R"({"reason":"x"})").status, 404);
}

TEST_F(approval, votes_are_on_record_with_person_and_surface) {
    start();
    const auto id = hold_alice();
    approve(id);
    static_cast<void>(client->read_exchange());

    const auto votes = audit_records("hold.vote");

    ASSERT_EQ(votes.size(), 1u);
    EXPECT_NE(votes[0].dump().find("bob"), std::string::npos);
    EXPECT_NE(votes[0].dump().find("agreed"), std::string::npos);
}

TEST_F(approval, pass_beyond_the_rule_s_bounds_is_refused) {
    start();
    const auto id = hold_alice();

    const auto r = api("bob").post("/api/v1/holds/" + std::to_string(id) + "/approve",
                                   R"({"reason":"long","pass":"shape","for":"900h"})");

    EXPECT_EQ(r.status / 100, 4) << r.body;
    EXPECT_EQ(state_of_hold(id), "pending");
}

}  // namespace
}  // namespace sallyport::tests
