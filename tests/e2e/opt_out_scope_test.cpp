#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// Opt-outs for a group, and narrower ones: whom and what they let through, and what not.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

constexpr const char* update_sql = "UPDATE customers SET ssn = ssn WHERE id = 1";
constexpr const char* cards_sql = "SELECT number FROM pii.cards";

class opt_out_scope : public bounded {
  protected:
    std::uint64_t active(const nlohmann::json& changes, const std::string& by = "bob") const {
        const auto id = accepted(changes);
        approve_opt_out(id, by);
        return id;
    }
};

TEST_F(opt_out_scope, one_for_a_group_lets_every_member_through_and_nobody_else) {
    start();
    cli("alice", {"opt-out", "request", "--rule", "pii-needs-approval", "--for", "1h", "--reason",
                  "the night shift", "--ticket", "INC-1", "--group", "oncall"});
    const auto asked = get("bob", "/api/v1/opt-outs?state=requested").at("opt_outs");
    ASSERT_EQ(asked.size(), 1u);
    EXPECT_EQ(asked[0].at("group"), "oncall");
    EXPECT_EQ(asked[0].at("user"), "alice");
    const auto id = asked[0].at("id").get<std::uint64_t>();
    approve_opt_out(id);
    auto alice = refusing("alice");
    auto erin = refusing("erin");
    auto bob = refusing("bob");

    EXPECT_EQ(outcome(alice), "");
    EXPECT_EQ(outcome(erin), "");
    EXPECT_EQ(outcome(bob), "SP001");

    const auto uses = audit_records("bypass");
    ASSERT_EQ(uses.size(), 2u);
    EXPECT_EQ(uses[0].at("user"), "alice");
    EXPECT_EQ(uses[1].at("user"), "erin");
    EXPECT_EQ(uses[1].at("opt_out"), std::to_string(id));
    revoke_opt_out(id);
    EXPECT_EQ(outcome(erin), "SP001");
}

TEST_F(opt_out_scope, one_for_a_group_is_asked_for_and_approved_by_the_right_people_only) {
    start();
    refused_everywhere({{"group", "security"}}, "'security' is no group of yours");

    const auto id = accepted({{"group", "dev"}});
    const auto path = "/api/v1/opt-outs/" + std::to_string(id) + "/approve";
    const auto own = api("bob").post(path, "{}");

    EXPECT_EQ(own.status, 403);
    EXPECT_THAT(detail_of(own), HasSubstr("it would let 'bob' through as well"));
    EXPECT_EQ(state_of_opt_out(id), "requested");
    EXPECT_EQ(api("carol").post(path, "{}").status, 200);
}

TEST_F(opt_out_scope, one_for_an_application_lets_only_that_application_through) {
    start();
    cli("alice", {"opt-out", "request", "--rule", "pii-needs-approval", "--for", "1h", "--reason",
                  "the import", "--ticket", "INC-1", "--application", "import"});
    approve_opt_out(1);
    auto c = refusing("alice");

    EXPECT_EQ(outcome(c), "SP001");
    EXPECT_EQ(outcome(c, "SET application_name = 'import'"), "");
    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(outcome(c, "SET application_name = 'imports'"), "");
    EXPECT_EQ(outcome(c), "SP001");
}

TEST_F(opt_out_scope, one_for_a_target_lets_nothing_through_on_another) {
    options.targets["crm"] = options.targets["shop"];
    start_with_policy(
        changed(example_policy(), "{ target: shop, rel", "{ target: [shop, crm], rel"));
    static_cast<void>(active({{"target", "crm"}}));
    auto shop = refusing("alice");
    auto crm = refusing("alice", "crm");

    EXPECT_EQ(outcome(crm), "");
    EXPECT_EQ(outcome(shop), "SP001");
    refused_everywhere({{"target", "hr"}}, "does not speak of target 'hr'; it speaks of shop, crm",
                       "erin");
}

TEST_F(opt_out_scope, one_for_a_resource_lets_nothing_through_beside_it) {
    start_with_policy(changed(
        example_policy(),
        "  payroll: ", "  cards: { target: shop, relations: [\"pii.cards\"] }\n  payroll: "));
    auto console = client_as("alice", "sallyport");
    ASSERT_EQ(console
                  .ask("REQUEST OPT OUT RULE \"pii-needs-approval\" FOR '1h' REASON 'a card' "
                       "TICKET 'INC-1' ON cards")
                  .sqlstate(),
              "");
    approve_opt_out(1);
    EXPECT_EQ(opt_out(1).at("scope").at("on"), nlohmann::json({"cards"}));
    auto c = refusing("alice");

    EXPECT_EQ(outcome(c, cards_sql), "");
    EXPECT_EQ(outcome(c), "SP001");
    EXPECT_EQ(outcome(c, "SELECT number, ssn FROM pii.cards NATURAL JOIN customers"), "SP001");
    const auto elsewhere = ask_for({{"on", {"payroll"}}}, "erin");
    EXPECT_EQ(elsewhere.status / 100, 4);
    EXPECT_THAT(detail_of(elsewhere), HasSubstr("does not speak of resource 'payroll'"));
}

TEST_F(opt_out_scope, one_for_a_command_lets_no_other_command_through) {
    start();
    const auto reads = active({{"do", {"read"}}});
    auto c = refusing("alice");
    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(outcome(c, update_sql), "SP001");
    EXPECT_EQ(outcome(c, "UPDATE customers SET name = ssn WHERE id = 2 RETURNING ssn"), "SP001");
    revoke_opt_out(reads);

    cli("alice", {"opt-out", "request", "--rule", "pii-needs-approval", "--for", "1h", "--reason",
                  "a repair", "--ticket", "INC-1", "--do", "update"});
    approve_opt_out(reads + 1);

    EXPECT_EQ(outcome(c, update_sql), "");
    EXPECT_EQ(outcome(c), "SP001");
    EXPECT_EQ(outcome(c, "DELETE FROM customers WHERE ssn = ''"), "SP001");
}

TEST_F(opt_out_scope, one_for_a_shape_lets_other_literals_through_and_no_other_statement) {
    start();
    const auto explained = post("alice", "/api/v1/decisions", {{"on", "shop"}, {"sql", held_sql}});
    static_cast<void>(active({{"shape", explained.at("text").at("shape")}}));
    auto c = refusing("alice");

    EXPECT_EQ(outcome(c), "");
    EXPECT_EQ(outcome(c, "SELECT ssn FROM customers WHERE id = 2"), "");
    EXPECT_EQ(outcome(c, "SELECT ssn FROM customers"), "SP001");
}

TEST_F(opt_out_scope, one_that_begins_later_lets_nothing_through_before_its_beginning) {
    start_with_policy(with_bounds("      starts_within: 1h\n"));
    auto c = refusing("alice");
    const auto begins = time_in(2'500);
    const auto id = active({{"from", begins}, {"for", "1h"}});

    EXPECT_EQ(outcome(c), "SP001");
    const auto shown = opt_out(id);
    EXPECT_EQ(shown.at("from"), begins);
    ASSERT_TRUE(eventually([&] { return time_in(0) >= begins; }));
    EXPECT_EQ(outcome(c), "");
    // Its hour counts from its beginning.
    EXPECT_EQ(shown.at("until").get<std::string>().substr(13), begins.substr(13));
}

TEST_F(opt_out_scope, beginning_outside_the_bounds_is_refused_with_the_bound) {
    start_with_policy(with_bounds("      starts_within: 1h\n"));

    refused_everywhere({{"from", time_in(3'660'000)}},
                       "lets an opt-out begin 1h from now at the latest");
    refused_everywhere({{"from", time_in(-60'000)}},
                       "the beginning is in the past; leave it out to begin at once");
    refused_everywhere({{"from", time_in(60'000)}, {"for", "5h"}},
                       "5h is more than the rule allows; ask for 4h at most");
    EXPECT_EQ(get("bob", "/api/v1/opt-outs").at("opt_outs").size(), 0u);
    EXPECT_NE(accepted({{"from", time_in(3'500'000)}}), 0u);

    load(example_policy());
    refused_everywhere({{"from", time_in(60'000)}},
                       "lets no opt-out begin later; leave the beginning out", "erin");
}

}  // namespace
}  // namespace sallyport::tests
