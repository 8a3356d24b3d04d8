#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// `sallyport report` over the log of a real run.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class report : public e2e {
  protected:
    /// Two holds (one approved, one denied), one opt-out with three uses.
    void live_a_little() {
        start();
        auto c = client_as("alice");
        c.send(wire::query(held_sql));
        approve(pending_hold_of("alice"));
        EXPECT_EQ(c.read_exchange().rows.size(), 1u);
        c.send(wire::query("SELECT email FROM customers"));
        deny(pending_hold_of("alice"), "no");
        static_cast<void>(c.read_exchange());
        static_cast<void>(active_opt_out());
        for (int i = 0; i < 3; ++i)
            EXPECT_EQ(c.ask(held_sql).rows.size(), 1u);
    }
    static nlohmann::json row(const nlohmann::json& rows, const char* key, const char* name) {
        for (const auto& r : rows)
            if (r.at(key) == name) return r;
        return {};
    }
};

TEST_F(report, files_of_a_real_run_are_counted_by_rule_person_and_team) {
    live_a_little();
    const auto said = proxy->run_tool({"report", "--audit", proxy->audit_directory(), "--json"});
    ASSERT_EQ(said.exit_code, 0) << said.err;
    const auto j = nlohmann::json::parse(said.out);
    const auto rule = row(j.at("rules"), "rule", "pii-needs-approval");
    EXPECT_EQ(rule.at("holds"), 2);
    EXPECT_EQ(rule.at("approved"), 1);
    EXPECT_EQ(rule.at("denied"), 1);
    EXPECT_EQ(rule.at("opt_outs"), 1);
    EXPECT_EQ(rule.at("uses"), 3);
    EXPECT_DOUBLE_EQ(rule.at("bypass_share").get<double>(), 0.6);
    EXPECT_EQ(row(j.at("persons"), "person", "alice").at("uses"), 3);
    EXPECT_EQ(row(j.at("teams"), "team", "oncall").at("holds"), 2);
    EXPECT_EQ(j.at("weeks").size(), 1u);
    EXPECT_EQ(j.at("cells").size(), 1u);

    const auto text = proxy->run_tool({"report", "--audit", proxy->audit_directory()});
    EXPECT_EQ(text.exit_code, 0);
    EXPECT_THAT(text.out, HasSubstr("pii-needs-approval"));
    EXPECT_THAT(text.out, HasSubstr("60 %"));
    const auto later = proxy->run_tool({"report", "--audit", proxy->audit_directory(), "--from",
                                        "2099-01-01T00:00:00Z", "--json"});
    EXPECT_EQ(nlohmann::json::parse(later.out).at("records"), 0);
}

TEST_F(report, auditor_asks_the_proxy_and_nobody_else_may) {
    live_a_little();
    auto config = read_file(proxy->config_path());
    const std::string roles = "roles: { admin: { groups: [admin] } }";
    config.replace(config.find(roles), roles.size(),
                   "roles: { admin: { groups: [admin] }, auditor: { users: [carol] } }");
    write_file(proxy->config_path(), config, 0644);
    proxy->restart();
    EXPECT_THAT(cli("carol", {"report"}), HasSubstr("pii-needs-approval"));
    const auto j = nlohmann::json::parse(cli("carol", {"report", "--json"}));
    EXPECT_EQ(row(j.at("rules"), "rule", "pii-needs-approval").at("uses"), 3);
    EXPECT_EQ(api("root").get("/api/v1/report").status, 403);
    EXPECT_EQ(api("carol").get("/api/v1/report?from=yesterday").status, 400);
}

TEST_F(report, what_cannot_be_read_is_told_in_a_sentence) {
    start();
    const auto none = proxy->run_tool({"report", "--audit", "/no/such/log"});
    EXPECT_EQ(none.exit_code, 2);
    EXPECT_THAT(none.err, HasSubstr("/no/such/log"));
    const auto odd =
        proxy->run_tool({"report", "--audit", proxy->audit_directory(), "--from", "yesterday"});
    EXPECT_EQ(odd.exit_code, 2);
    EXPECT_THAT(odd.err, HasSubstr("--from is a time"));
}

}  // namespace
}  // namespace sallyport::tests
