#include <chrono>
#include <ctime>
#include <string>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Opt-outs as code: in force from a file, by its reload, until their end.
namespace sallyport::tests {
namespace {

using std::chrono::minutes;

/// RFC 3339, in UTC.
std::string in(minutes from_now) {
    const auto at =
        std::chrono::system_clock::to_time_t(std::chrono::system_clock::now() + from_now);
    std::tm parts{};
    gmtime_r(&at, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

class written : public e2e {
  protected:
    /// Of alice, approved by bob, now and for an hour.
    static std::string entry(const std::string& more = "", minutes from = minutes(-10),
                             minutes until = minutes(50)) {
        return "  - { who: alice, rule: pii-needs-approval, reason: the export, ticket: INC-7,\n"
               "      approved_by: [bob], from: \"" +
               in(from) + "\", until: \"" + in(until) + "\"" + more + " }\n";
    }
    static std::string policy_with(const std::string& entries) {
        return example_policy() + (entries.empty() ? "" : "opt_outs:\n" + entries);
    }
    void write(const std::string& entries) const { proxy->set_policy(policy_with(entries)); }
    void start_with(const std::string& entries) { start_with_policy(policy_with(entries)); }
    http_response reload() const { return api("root").post("/api/v1/reload", "{}"); }
    [[nodiscard]] nlohmann::json active() const {
        return get("bob", "/api/v1/opt-outs?state=active").at("opt_outs");
    }
    [[nodiscard]] bool passes(const std::string& user = "alice") const {
        auto c = client_as(user);
        static_cast<void>(c.ask("SET sallyport.on_hold = 'refuse'"));
        return c.ask(held_sql).sqlstate().empty();
    }
};

TEST_F(written, one_of_the_file_lets_pass_and_every_use_is_on_record) {
    start_with(entry());

    ASSERT_TRUE(eventually([&] { return active().size() == 1; }));
    EXPECT_TRUE(passes());

    const auto o = active().at(0);
    EXPECT_EQ(o.at("kind"), "file");
    EXPECT_EQ(o.at("approvals").at("votes").at(0).at("user"), "bob");
    ASSERT_EQ(audit_records("opt_out.activated").size(), 1u);
    EXPECT_EQ(audit_records("opt_out.activated").front().at("approved_by"), "bob");
    EXPECT_EQ(audit_records("opt_out.vote").front().at("surface"), "file");
    EXPECT_EQ(audit_records("bypass").size(), 1u);
    EXPECT_FALSE(passes("bob"));
}

TEST_F(written, reload_begins_changes_and_ends_them) {
    start_with("");
    EXPECT_FALSE(passes());

    write(entry());
    EXPECT_EQ(reload().status, 200);
    ASSERT_TRUE(eventually([&] { return passes(); }));
    const auto first = active().at(0).at("id").get<std::uint64_t>();

    write(entry(", do: [write]"));
    EXPECT_EQ(reload().status, 200);
    ASSERT_TRUE(eventually([&] { return state_of_opt_out(first) == "revoked"; }));
    EXPECT_FALSE(passes());

    write("");
    EXPECT_EQ(reload().status, 200);
    ASSERT_TRUE(eventually([&] { return active().empty(); }));
    EXPECT_TRUE(eventually([&] { return audit_records("opt_out.revoked").size() == 2; }));
}

TEST_F(written, restart_and_reload_leave_the_same_one_with_its_uses) {
    const auto text = entry(", max_uses: 2");
    start_with(text);
    ASSERT_TRUE(eventually([&] { return passes(); }));
    const auto id = active().at(0).at("id").get<std::uint64_t>();

    proxy->kill();
    proxy->start();
    EXPECT_EQ(reload().status, 200);

    ASSERT_TRUE(eventually([&] { return active().size() == 1; }));
    EXPECT_EQ(active().at(0).at("id"), id);
    EXPECT_TRUE(passes());
    // Both uses are spent: no reload brings them back.
    EXPECT_EQ(reload().status, 200);
    EXPECT_FALSE(passes());
    EXPECT_TRUE(opt_out_becomes(id, "used_up"));
}

TEST_F(written, one_taken_out_while_the_proxy_was_down_never_lives_again) {
    start_with(entry());
    ASSERT_TRUE(eventually([&] { return passes(); }));
    const auto id = active().at(0).at("id").get<std::uint64_t>();

    proxy->stop();
    write("");
    proxy->start();

    EXPECT_FALSE(passes());
    EXPECT_EQ(state_of_opt_out(id), "revoked");
}

TEST_F(written, one_that_a_person_revoked_is_not_brought_back_by_the_file) {
    start_with(entry());
    ASSERT_TRUE(eventually([&] { return passes(); }));
    const auto id = active().at(0).at("id").get<std::uint64_t>();

    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "enough"}});
    EXPECT_EQ(reload().status, 200);
    proxy->restart();

    EXPECT_FALSE(passes());
    EXPECT_TRUE(active().empty());
}

TEST_F(written, later_window_waits_for_its_beginning) {
    start_with(entry("", minutes(10), minutes(70)));

    ASSERT_TRUE(eventually([&] { return active().size() == 1; }));

    EXPECT_FALSE(passes());
}

TEST_F(written, file_of_its_own_serves_too_and_check_names_the_place_of_a_fault) {
    start();
    const auto own = proxy->file("opt_outs.yaml");
    write_file(own, "opt_outs:\n" + entry(), 0644);
    write_file(proxy->config_path(),
               read_file(proxy->config_path()) + "\nopt_outs: opt_outs.yaml\n", 0644);
    EXPECT_EQ(reload().status, 200);
    ASSERT_TRUE(eventually([&] { return passes(); }));

    auto bad = entry();
    bad.replace(bad.find("[bob]"), 5, "[alice]");
    write_file(own, "opt_outs:\n" + bad, 0644);

    EXPECT_EQ(reload().status, 422);
    EXPECT_TRUE(passes());
    const auto checked = proxy->run_tool({"check", "--config", proxy->config_path()});
    EXPECT_EQ(checked.exit_code, 2);
    EXPECT_NE((checked.out + checked.err).find("opt_outs.yaml:3:21: nobody may approve"),
              std::string::npos)
        << checked.out << checked.err;
}

}  // namespace
}  // namespace sallyport::tests
