#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// Clients that do not wait, at the door of a session that is held.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

class door : public bounded {
  protected:
    static std::string one_approval(const std::string& more = "") {
        return changed(example_policy(), "approvals: 2 }, wait: 60s }",
                       "approvals: 1 }, wait: 60s" + more + " }");
    }
    /// What a client that does not wait is told when it knocks; no fields: it was let in.
    [[nodiscard]] std::map<char, std::string> knock(const std::string& user,
                                                    bool says_so = true) const {
        auto o = login_as(user, "hr");
        if (says_so) o.more.emplace_back("options", "-c sallyport.on_hold=refuse");
        wire_client c(proxy->port());
        c.authenticate(o);
        for (;;) {
            const auto m = c.read();
            if (m.type == 'E') return fields_of(m);
            if (m.type == 'Z') return {};
        }
    }
};

TEST_F(door, client_that_does_not_wait_is_told_its_number_and_everybody_else_goes_on) {
    start_with_policy(one_approval());
    auto other = client_as("bob");

    const auto told = knock("alice");

    EXPECT_EQ(told.at('S'), "FATAL");
    EXPECT_EQ(told.at('C'), "SP001");
    EXPECT_THAT(told.at('D'), HasSubstr("hold=1 rule=payroll-sessions"));
    EXPECT_EQ(other.ask("SELECT 1").sqlstate(), "");
    EXPECT_EQ(state_of_hold(1, "carol"), "pending");
    EXPECT_THAT(knock("alice").at('D'), HasSubstr("hold=1 ")) << "the same request";
    approve(1, "carol");
    EXPECT_TRUE(knock("alice").empty()) << "it was approved";
    EXPECT_THAT(knock("alice").at('D'), HasSubstr("hold=2 ")) << "for one session";
}

TEST_F(door, psql_that_does_not_wait_ends_with_the_number) {
    start_with_policy(one_approval());
    auto o = psql_as("alice", "hr");
    o.options = "-c sallyport.on_hold=refuse";

    const auto ended = psql_once(o, "SELECT 1");

    EXPECT_EQ(ended.exit_code, 2);
    EXPECT_THAT(ended.err, HasSubstr("approval required by rule payroll-sessions: asked for as "
                                     "hold 1"));
    EXPECT_EQ(state_of_hold(1, "carol"), "pending");
}

TEST_F(door, rule_whose_clients_do_not_wait_tells_everybody_at_once) {
    start_with_policy(one_approval(", clients: refuse"));

    const auto told = knock("alice", false);

    EXPECT_EQ(told.at('C'), "SP001");
    EXPECT_EQ(state_of_hold(1, "carol"), "pending");
}

}  // namespace
}  // namespace sallyport::tests
