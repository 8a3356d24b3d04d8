#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Rules that only observe, and allow rules that take somebody out of a later rule.
namespace sallyport::tests {
namespace {

std::string day_in(int days) {
    const std::chrono::year_month_day d(
        std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()) +
        std::chrono::days(days));
    const auto two = [](unsigned n) { return (n < 10 ? "-0" : "-") + std::to_string(n); };
    return std::to_string(static_cast<int>(d.year())) + two(static_cast<unsigned>(d.month())) +
           two(static_cast<unsigned>(d.day()));
}

class exceptions : public e2e {
  protected:
    /// The example policy with a rule more, before the one that holds.
    static std::string policy_with(const std::string& rule) {
        auto text = example_policy();
        return text.insert(text.find("  - id: pii-needs-approval"), rule);
    }
    static std::string exception_until(const std::string& day) {
        return policy_with(
            "  - id: nightly-export\n    tier: 15\n    who: { users: [alice] }\n"
            "    on: [customer-pii]\n    do: [read]\n    effect: allow\n"
            "    reason: the nightly export\n    review_by: " +
            day + "\n");
    }
    static constexpr const char* cards = "SELECT number FROM pii.cards";
    [[nodiscard]] nlohmann::json rule(const std::string& id) const {
        const auto all = get("bob", "/api/v1/rules");
        for (const auto& r : all.at("rules"))
            if (r.at("id") == id) return r;
        ADD_FAILURE() << "no rule " << id;
        return {};
    }
};

TEST_F(exceptions, observed_rule_lets_pass_and_is_on_record_and_counted) {
    auto policy = example_policy();
    policy.insert(policy.find("    effect: hold", policy.find("pii-needs-approval")),
                  "    observe: true\n");
    start_with_policy(policy);

    EXPECT_EQ(client_as("alice").ask(held_sql).rows.at(0).at(0), held_value);

    ASSERT_TRUE(eventually([&] { return audit_records("decision.observed").size() == 1; }));
    const auto record = audit_records("decision.observed").front();
    EXPECT_EQ(record.at("rule"), "pii-needs-approval");
    EXPECT_EQ(record.at("effect"), "hold");
    EXPECT_EQ(record.at("decided"), "allow");
    EXPECT_EQ(record.at("groups"), "dev, oncall");
    EXPECT_EQ(rule("pii-needs-approval").at("observe"), true);
    EXPECT_EQ(rule("pii-needs-approval").at("observed"), 1);
}

TEST_F(exceptions, observed_rule_on_sessions_is_on_record_when_one_opens) {
    start_with_policy(
        policy_with("  - id: watch-sessions\n    tier: 15\n    do: [connect]\n"
                    "    effect: deny\n    observe: true\n"));

    EXPECT_EQ(client_as("alice").ask("SELECT 1").rows.at(0).at(0), "1");

    ASSERT_TRUE(eventually([&] { return audit_records("decision.observed").size() == 1; }));
    EXPECT_EQ(audit_records("decision.observed").front().at("rule"), "watch-sessions");
}

TEST_F(exceptions, exception_lets_its_person_pass_and_its_use_is_on_record_and_counted) {
    start_with_policy(exception_until(day_in(100)));

    EXPECT_EQ(client_as("alice").ask(cards).rows.size(), 1u);

    ASSERT_TRUE(eventually([&] { return audit_records("exception.used").size() == 1; }));
    const auto record = audit_records("exception.used").front();
    EXPECT_EQ(record.at("rule"), "nightly-export");
    EXPECT_EQ(record.at("except"), "pii-needs-approval");
    const auto shown = rule("nightly-export").at("exception");
    EXPECT_EQ(shown.at("reason"), "the nightly export");
    EXPECT_EQ(shown.at("over"), nlohmann::json({"pii-needs-approval"}));
    EXPECT_EQ(shown.at("ended"), false);
    EXPECT_EQ(shown.at("uses"), 1);
    EXPECT_NE(cli("bob", {"rules"}).find("exception from pii-needs-approval"), std::string::npos);
}

TEST_F(exceptions, exception_whose_day_has_come_lets_nobody_pass) {
    start_with_policy(exception_until(day_in(-1)));
    auto c = client_as("alice");
    c.send(wire::query(cards));

    EXPECT_NE(pending_hold_of("alice"), 0u);
    EXPECT_EQ(rule("nightly-export").at("exception").at("ended"), true);
}

TEST_F(exceptions, exception_without_reason_and_end_keeps_the_old_policy_in_force) {
    start();
    auto text = exception_until(day_in(100));
    for (const auto* line : {"    reason: the nightly export\n", "    review_by: "}) {
        const auto at = text.find(line);
        text.erase(at, text.find('\n', at) + 1 - at);
    }
    proxy->set_policy(text);

    const auto answer = api("root").post("/api/v1/reload", "{}");

    EXPECT_EQ(answer.status, 422);
    EXPECT_NE(answer.body.find("review_by"), std::string::npos);
}

TEST_F(exceptions, replay_tells_what_a_candidate_would_have_done_to_what_is_on_record) {
    start();
    static_cast<void>(active_opt_out());
    EXPECT_EQ(client_as("alice").ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_EQ(client_as("alice").ask("CREATE TABLE sneaky (id int)").sqlstate(), "42501");
    ASSERT_TRUE(eventually([&] { return audit_records("decision.denied").size() == 1; }));
    auto candidate = example_policy();
    candidate.replace(candidate.find("do: [read, write]"), 17, "do: [write]");
    write_file(proxy->file("candidate.yaml"), candidate, 0644);

    const auto told =
        proxy->run_tool({"replay", "--policy", proxy->file("candidate.yaml"), "--audit",
                         proxy->audit_directory(), "--config", proxy->config_path(), "--json"});

    ASSERT_EQ(told.exit_code, 0) << told.err;
    const auto report = nlohmann::json::parse(told.out);
    EXPECT_EQ(report.at("looser"), 1) << told.out;
    EXPECT_EQ(report.at("stricter"), 0);
    EXPECT_EQ(report.at("unknown"), 0);
    EXPECT_EQ(report.at("same"), 1);
    EXPECT_EQ(report.at("changes").at(0).at("before").at("rule"), "pii-needs-approval");
    EXPECT_EQ(report.at("changes").at(0).at("after").at("effect"), "allow");
}

TEST_F(exceptions, diff_says_whom_a_change_affects_and_lint_what_is_odd) {
    start();
    write_file(proxy->file("candidate.yaml"), exception_until(day_in(100)), 0644);

    const auto told =
        proxy->run_tool({"diff", proxy->file("policy.yaml"), proxy->file("candidate.yaml"),
                         "--config", proxy->config_path()});
    proxy->set_policy(policy_with("  - { id: all, tier: 30, effect: allow }\n"));
    const auto linted = proxy->run_tool({"lint", "--config", proxy->config_path()});

    EXPECT_EQ(told.exit_code, 0) << told.err;
    EXPECT_NE(told.out.find("added rule nightly-export"), std::string::npos) << told.out;
    EXPECT_NE(told.out.find("alice: read of pii.* on shop: hold by pii-needs-approval -> allow by "
                            "nightly-export"),
              std::string::npos)
        << told.out;
    EXPECT_EQ(linted.exit_code, 1) << linted.err;
    EXPECT_NE(linted.out.find(": unbounded: rule 'all' allows everybody everything"),
              std::string::npos)
        << linted.out;
}

TEST_F(exceptions, lock_on_the_rule_stops_the_exception_from_it_and_lifting_it_brings_it_back) {
    start_with_policy(exception_until(day_in(100)));
    auto alice = client_as("alice");
    EXPECT_EQ(alice.ask(cards).rows.size(), 1u);
    const auto lock = post("root", "/api/v1/locks",
                           {{"rule", "pii-needs-approval"}, {"for", "1h"}, {"reason", "a leak"}});

    EXPECT_EQ(alice.ask(cards).sqlstate(), "SP003");
    EXPECT_EQ(alice.ask("SELECT 1").sqlstate(), "");
    EXPECT_EQ(client_as("alice").ask(cards).sqlstate(), "SP003");

    post("root", "/api/v1/flags/" + std::to_string(lock.at("id").get<std::uint64_t>()) + "/lift",
         {{"reason", "it was none"}});
    EXPECT_EQ(alice.ask(cards).rows.size(), 1u);
}

TEST_F(exceptions, lock_on_a_rule_of_sessions_ends_those_that_an_exception_let_in) {
    start_with_policy(
        policy_with("  - id: on-call\n    tier: 5\n    who: { users: [alice] }\n"
                    "    do: [connect]\n    effect: allow\n    reason: she is on call\n"
                    "    review_by: " +
                    day_in(100) +
                    "\n"
                    "  - id: sessions\n    tier: 6\n    who: { users: [alice] }\n"
                    "    do: [connect]\n    effect: deny\n"));
    auto alice = client_as("alice");
    auto erin = client_as("erin");
    EXPECT_EQ(alice.ask("SELECT 1").sqlstate(), "");
    post("root", "/api/v1/locks", {{"rule", "sessions"}, {"for", "1h"}, {"reason", "a leak"}});

    EXPECT_EQ(fields_of(alice.read_until('E')).at('C'), "SP003");
    EXPECT_THROW(static_cast<void>(client_as("alice")), login_refused);
    EXPECT_EQ(erin.ask("SELECT 1").sqlstate(), "");
}

}  // namespace
}  // namespace sallyport::tests
