#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/webhook_receiver.h"

/// Holds that are made one person's task, or asked for and escalated in the console; notices to
/// persons. With clients on a real server.
namespace sallyport::tests {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class reassign : public e2e {
  protected:
    reassign() { write_file(dir.file("key"), "0123456789abcdef0123456789abcdef\n"); }

    /// A channel of carol's, and one of nobody's in person.
    void start_with_channels() {
        const auto hook = [&](const std::string& name, const webhook_receiver& to,
                              const std::string& more) {
            return "    " + name + ":\n      webhook: { url: \"" + to.url() +
                   "\", secret_file: " + dir.file("key") + " }\n" + more;
        };
        options.more =
            "notify:\n  url: https://sallyport.example\n  channels:\n" + hook("ops", ops, "") +
            hook("carol", carols, "      for: { users: [carol] }\n      events: [reassigned]\n");
        auto policy = example_policy();
        const std::string from = "max_duration:";
        const auto at = policy.find(from);
        const auto indent =
            policy.substr(policy.rfind('\n', at) + 1, at - policy.rfind('\n', at) - 1);
        policy.insert(at,
                      "break_glass: { who: { groups: [oncall] }, max_duration: 30m, "
                      "announce: { groups: [security] } }\n" +
                          indent);
        const std::string wait = "wait: 60s\n      pass";
        policy.replace(policy.find(wait), wait.size(),
                       "wait: 60s\n      escalate: { after: 50s, approvers: { groups: [hr-owners] "
                       "} }\n      pass");
        start_with_policy(policy);
    }
    static std::vector<std::string> events_at(const webhook_receiver& r) {
        std::vector<std::string> out;
        for (const auto& h : r.accepted())
            out.push_back(h.event());
        return out;
    }
    static bool arrives(const webhook_receiver& r, const std::string& event) {
        return eventually([&] {
            const auto all = events_at(r);
            return std::find(all.begin(), all.end(), event) != all.end();
        });
    }
    temp_dir dir{"sallyport-reassign"};
    webhook_receiver ops;
    webhook_receiver carols;
};

TEST_F(reassign, hold_is_another_approvers_task_on_every_surface_and_whoever_may_still_decides) {
    start_with_channels();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    const auto id = std::to_string(pending_hold_of("alice"));
    const auto path = "/api/v1/holds/" + id + "/reassign";

    EXPECT_EQ(api("alice").post(path, R"({"to":"bob","reason":"hurry"})").status, 403);
    EXPECT_EQ(api("bob").post(path, R"({"to":"alice","reason":"x"})").status, 422);
    EXPECT_EQ(api("bob").post(path, R"({"to":"nobody-here","reason":"x"})").status, 422);
    EXPECT_EQ(api("bob").post(path, R"({"to":"carol"})").status, 400);
    cli("bob", {"reassign", id, "carol", "--reason", "she knows the table"});

    const auto shown = get("bob", "/api/v1/holds/" + id);
    EXPECT_EQ(shown.at("assigned").at("to"), "carol");
    EXPECT_EQ(shown.at("assigned").at("by"), "bob");
    EXPECT_EQ(shown.at("assigned").at("reason"), "she knows the table");
    EXPECT_THAT(cli("bob", {"hold", id}), HasSubstr("carol, by bob: she knows the table"));
    auto console = client_as("bob", "sallyport");
    bool seen = false;
    for (const auto& row : console.ask("SHOW HOLD " + id).rows)
        seen =
            seen || (row.at(0) == "task of" && row.at(1) == "carol, by bob: she knows the table");
    EXPECT_TRUE(seen);
    ASSERT_TRUE(arrives(carols, "reassigned"));
    ASSERT_TRUE(arrives(ops, "reassigned"));
    EXPECT_EQ(carols.accepted().front().json().at("asked"), "carol");
    ASSERT_EQ(audit_records("hold.reassigned").size(), 1u);
    EXPECT_EQ(audit_records("hold.reassigned").front().at("assigned_to"), "carol");

    approve(pending_hold_of("alice"));  // by bob
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_EQ(api("bob").post(path, R"({"to":"carol","reason":"late"})").status, 409);
}

TEST_F(reassign, console_asks_ahead_escalates_and_reassigns) {
    start_with_channels();
    auto alice = client_as("alice", "sallyport");
    const auto asked = alice.ask("REQUEST HOLD TARGET shop STATEMENT '" + std::string(held_sql) +
                                 "' REASON 'the nightly job'");
    ASSERT_EQ(asked.sqlstate(), "") << asked.errors[0].at('M');
    const auto id = *asked.rows.at(0).at(0);
    EXPECT_EQ(alice.ask("REQUEST HOLD TARGET shop STATEMENT 'select 1' REASON 'r'").sqlstate(),
              "55000");
    EXPECT_EQ(alice.ask("REASSIGN " + id + " TO bob REASON 'x'").sqlstate(), "42501");
    auto bob = client_as("bob", "sallyport");
    EXPECT_EQ(bob.ask("REASSIGN " + id + " TO carol REASON 'she knows it'").sqlstate(), "");
    EXPECT_NE(client_as("dave", "sallyport").ask("APPROVE " + id).sqlstate(), "");
    EXPECT_EQ(alice.ask("ESCALATE " + id).sqlstate(), "");
    EXPECT_EQ(client_as("dave", "sallyport").ask("APPROVE " + id).sqlstate(), "");
    EXPECT_EQ(client_as("alice").ask(held_sql).rows.at(0).at(0), held_value);
    ASSERT_TRUE(arrives(ops, "escalated"));
    bool listed = false;
    for (const auto& row : bob.ask("HELP").rows)
        listed = listed || row.at(0)->starts_with("REASSIGN");
    EXPECT_TRUE(listed);
}

TEST_F(reassign, broken_glass_is_announced_to_everybody_on_the_list_when_broken_and_when_used) {
    start_with_channels();
    post("alice", "/api/v1/opt-outs",
         {{"rule", "pii-needs-approval"},
          {"for", "20m"},
          {"reason", "checkout is down"},
          {"ticket", "INC-7"},
          {"break_glass", true}});
    // Her channel is for something else, and she is on the list by her group.
    ASSERT_TRUE(arrives(carols, "break_glass"));
    auto c = client_as("alice");
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    ASSERT_TRUE(arrives(carols, "break_glass_use"));
    ASSERT_TRUE(arrives(ops, "break_glass_use"));
    EXPECT_THAT(events_at(carols), Not(Contains("requested")));
}

}  // namespace
}  // namespace sallyport::tests
