#include <algorithm>
#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// What live sessions see of an end: the notices before it, and the drain behind it.
namespace sallyport::tests {
namespace {

using std::chrono::steady_clock;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class near_end : public bounded {
  protected:
    /// Nobody has sent anything: a notice comes by itself.
    static std::map<char, std::string> notice_to(wire_client& c) {
        return fields_of(c.read_until('N'));
    }
    static void expect_silence(wire_client& c) {
        EXPECT_THROW(static_cast<void>(c.read(milliseconds(200))), wire_timeout);
        EXPECT_THAT(c.ask("SELECT 1").notices, SizeIs(0));
    }
    static std::string drained_policy(const std::string& limit) {
        auto policy = changed(example_policy(), "      max_uses: 200\n", "");
        return changed(policy, "at_end: hold", "at_end: drain\n      drain_limit: " + limit);
    }
};

TEST_F(near_end, session_that_used_an_opt_out_is_told_a_minute_and_five_before_its_end) {
    start_with_policy(changed(example_policy(), "approvals: 2 }, wait: 60s }",
                              "approvals: 2 }, wait: 60s }\n    opt_out: { approvers: { groups: "
                              "[security] }, max_duration: 1h }"));
    auto alice = client_as("alice");
    psql_session at_psql(psql_as("alice"));
    auto idle = client_as("alice");
    auto erin = client_as("erin");
    auto bystander = client_as("bob");
    const auto minute = accepted({{"for", "1m3s"}});
    const auto door = accepted({{"rule", "payroll-sessions"}, {"for", "1m3s"}});
    const auto five = accepted({{"for", "5m3s"}}, "erin");
    approve_opt_out(minute);
    approve_opt_out(five);
    approve_opt_out(door);
    auto admitted = client_as("alice", "hr");
    ASSERT_THAT(alice.ask(held_sql).notices, SizeIs(0));
    ASSERT_EQ(at_psql.ask(held_sql).text, held_value);
    ASSERT_THAT(erin.ask(held_sql).notices, SizeIs(0));

    const auto to_alice = notice_to(alice);
    const auto to_erin = notice_to(erin);
    const auto to_admitted = notice_to(admitted);

    const auto number = std::to_string(minute);
    EXPECT_EQ(to_alice.at('S'), "NOTICE");
    EXPECT_EQ(to_alice.at('C'), "01000");
    EXPECT_EQ(to_alice.at('M'), "opt-out " + number + " of rule pii-needs-approval ends in 1m");
    EXPECT_EQ(to_alice.at('D'), "opt_out=" + number + " rule=pii-needs-approval");
    EXPECT_THAT(to_alice.at('H'), HasSubstr("sallyport opt-out extend " + number + " --for 1h"));
    EXPECT_THAT(to_erin.at('M'), HasSubstr("opt-out " + std::to_string(five) + " of rule"));
    EXPECT_THAT(to_erin.at('M'), HasSubstr("ends in 5m"));
    EXPECT_EQ(to_admitted.at('M'),
              "opt-out " + std::to_string(door) + " of rule payroll-sessions ends in 1m");
    const auto seen = at_psql.ask("SELECT 'next'");
    EXPECT_THAT(seen.text, HasSubstr("opt-out " + number + " of rule pii-needs-approval ends in"));
    EXPECT_THAT(seen.text, HasSubstr("HINT:  Go on with: sallyport opt-out extend " + number));
    expect_silence(idle);
    expect_silence(bystander);
    // The hint is what it says: a request of its own that goes on where this one ends.
    cli("alice", {"opt-out", "extend", number, "--for", "1h", "--reason", "not done"});
    const auto all = get("bob", "/api/v1/opt-outs?state=requested").at("opt_outs");
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].at("extends"), minute);
    EXPECT_EQ(outcome(alice), "");
}

TEST_F(near_end, session_with_a_pass_is_told_a_minute_before_its_end) {
    start();
    auto c = client_as("alice");
    auto other = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = pending_hold_of("alice");
    post("bob", "/api/v1/holds/" + std::to_string(id) + "/approve",
         {{"reason", "agreed"}, {"pass", "session"}, {"for", "1m2s"}});
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);

    const auto told = notice_to(c);

    EXPECT_EQ(told.at('S'), "NOTICE");
    EXPECT_EQ(told.at('M'),
              "the approval by which this session passes rule pii-needs-approval ends in 1m");
    EXPECT_NE(told.at('H'), "");
    expect_silence(other);
}

TEST_F(near_end, transaction_beyond_the_drain_limit_is_ended_at_the_limit) {
    start_with_policy(drained_policy("1s"));
    auto waits = client_as("alice");
    auto runs = client_as("alice");
    auto unused = client_as("alice");
    const auto id = active_opt_out();
    for (auto* c : {&waits, &runs, &unused})
        ASSERT_EQ(c->ask("BEGIN").status, 'T');
    ASSERT_EQ(outcome(waits, "UPDATE customers SET ssn = 'waits' WHERE id = 1"), "");
    ASSERT_EQ(outcome(runs, "UPDATE customers SET ssn = 'runs' WHERE id = 2"), "");
    runs.send(wire::query("SELECT pg_sleep(60)"));
    ASSERT_TRUE(eventually([&] {
        return direct(
                   "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND "
                   "datname = current_database()") == "1";
    }));

    const auto ended = steady_clock::now();
    revoke_opt_out(id);
    EXPECT_EQ(outcome(waits), "") << "the limit has not come";
    for (auto* c : {&waits, &runs}) {
        const auto fatal = fields_of(c->read_until('E'));
        EXPECT_EQ(fatal.at('S'), "FATAL");
        EXPECT_EQ(fatal.at('C'), "SP003");
        EXPECT_THAT(fatal.at('M'), HasSubstr("the opt-out of this session has ended"));
        EXPECT_GE(steady_clock::now() - ended, milliseconds(1'000));
        EXPECT_LE(steady_clock::now() - ended, milliseconds(4'000));
        c->close();
    }

    EXPECT_EQ(outcome(unused, "SELECT 1"), "") << "it never used the opt-out";
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 1; })) << "its statement goes on";
    EXPECT_EQ(direct("SELECT string_agg(ssn, ',' ORDER BY id) FROM customers"),
              "111-11-1111,222-22-2222")
        << "what was not committed is rolled back";
    EXPECT_TRUE(eventually([&] {
        const auto ends = audit_records("session.end");
        return std::count_if(ends.begin(), ends.end(), [](const nlohmann::json& r) {
                   return r.value("reason", "") == "opt-out ended";
               }) == 2;
    }));
}

TEST_F(near_end, drained_transaction_does_not_reach_into_the_one_that_is_chained_to_it) {
    start_with_policy(drained_policy("20s"));
    const auto id = active_opt_out();
    auto c = refusing("alice");
    ASSERT_EQ(c.ask("BEGIN").status, 'T');
    ASSERT_EQ(outcome(c), "");
    revoke_opt_out(id);

    c.send(wire::query("COMMIT AND CHAIN") + wire::query(held_sql));

    // It is held (SP001), or the session has ended behind the commit (SP003).
    try {
        for (int answers = 0; answers < 2;) {
            const auto m = c.read();
            EXPECT_NE(m.type, 'D') << "what the opt-out let pass is over with the transaction";
            answers += m.type == 'Z' ? 1 : 0;
        }
    } catch (const wire_closed&) {
        EXPECT_EQ(state_of_opt_out(id), "revoked");
    }
}

}  // namespace
}  // namespace sallyport::tests
