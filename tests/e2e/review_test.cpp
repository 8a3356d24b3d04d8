#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// The look back: what happens when it is late, and who never does it.
namespace sallyport::tests {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

constexpr const char* glass =
    "      break_glass: { who: { groups: [oncall, security] }, max_duration: 30m, announce: { "
    "groups: [security] } }\n";

class review : public bounded {
  protected:
    /// The example policy with reviews that are late after `within`, and glass that can be broken.
    static std::string reviewed_within(const std::string& within,
                                       const std::string& overdue = "block") {
        return changed(with_bounds(glass), "      review_within: 72h\n",
                       "      review: { within: " + within +
                           ", approvers: { groups: [security] }, overdue: " + overdue + " }\n");
    }
    /// An opt-out of alice that was used and whose review is late.
    std::uint64_t used_and_late() const {
        const auto id = accepted({});
        approve_opt_out(id);
        auto c = refusing("alice");
        EXPECT_EQ(outcome(c), "");
        revoke_opt_out(id, "alice");
        EXPECT_TRUE(eventually([&] { return audit_records("review.overdue").size() == 1; }));
        return id;
    }
    [[nodiscard]] http_response close(const std::string& who, std::uint64_t id) const {
        return api(who).post("/api/v1/reviews/" + std::to_string(id) + "/sign-off",
                             R"({"note":"looked at"})");
    }
};

TEST_F(review, overdue_one_blocks_the_next_opt_out_until_another_person_has_reviewed) {
    start_with_policy(reviewed_within("300ms"));
    const auto id = used_and_late();
    const auto why = "the review of opt-out " + std::to_string(id) +
                     " is overdue; have it signed off by a reviewer first";

    refused_everywhere({}, why);
    refused_everywhere({{"break_glass", true}, {"for", "10m"}}, why);

    EXPECT_NE(accepted({}, "erin"), 0u) << "it is not hers";
    const auto own = close("alice", id);
    EXPECT_EQ(own.status, 403);
    EXPECT_THAT(detail_of(own), HasSubstr("nobody may review what she used herself"));
    proxy->restart();
    EXPECT_EQ(ask_for({}).status / 100, 4) << "a restart forgets nothing";
    EXPECT_EQ(close("bob", id).status, 200);
    EXPECT_NE(accepted({}), 0u);
    const auto signed_off = audit_records("review.signed_off");
    ASSERT_EQ(signed_off.size(), 1u);
    EXPECT_EQ(signed_off[0].at("reviewer"), "bob");
}

TEST_F(review, overdue_one_blocks_what_was_asked_for_in_time) {
    start_with_policy(changed(reviewed_within("300ms"), "max_live: { per_person: 1",
                              "max_live: { per_person: 2"));
    const auto waits = accepted({});
    static_cast<void>(used_and_late());

    const auto r = api("bob").post("/api/v1/opt-outs/" + std::to_string(waits) + "/approve", "{}");

    EXPECT_EQ(r.status, 409);
    EXPECT_THAT(detail_of(r), HasSubstr("is overdue"));
    EXPECT_EQ(state_of_opt_out(waits), "requested");
}

TEST_F(review, overdue_one_is_shown_as_such_on_every_surface) {
    start_with_policy(reviewed_within("300ms"));
    const auto id = used_and_late();

    const auto seen = get("bob", "/api/v1/reviews?state=open").at("reviews");
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].at("opt_out"), id);
    EXPECT_EQ(seen[0].at("overdue"), true);
    EXPECT_EQ(seen[0].at("may_review"), true);
    EXPECT_EQ(get("alice", "/api/v1/reviews").at("reviews").at(0).at("may_review"), false);
    EXPECT_THAT(cli("bob", {"reviews"}), HasSubstr("OVERDUE"));
    const auto shown = client_as("bob", "sallyport").ask("SHOW REVIEWS");
    ASSERT_EQ(shown.rows.size(), 1u);
    EXPECT_THAT(shown.rows[0], Contains("t"));
    EXPECT_THAT(api("root").get("/metrics").body, HasSubstr("sallyport_reviews_overdue 1"));
}

TEST_F(review, overdue_one_that_only_alarms_blocks_nothing) {
    start_with_policy(reviewed_within("300ms", "alarm"));
    static_cast<void>(used_and_late());

    EXPECT_NE(accepted({}), 0u);
}

TEST_F(review, glass_is_not_reviewed_by_the_one_who_broke_it_though_she_is_a_reviewer) {
    start_with_policy(reviewed_within("72h"));
    const auto id = accepted({{"break_glass", true}, {"for", "10m"}}, "bob");
    auto c = refusing("bob");
    ASSERT_EQ(outcome(c), "");
    revoke_opt_out(id);
    const auto number = std::to_string(id);

    const auto by_api = close("bob", id);
    const auto by_cli = proxy->cli("bob", {"review", "sign-off", number});
    const auto by_console = client_as("bob", "sallyport").ask("SIGN OFF " + number);

    EXPECT_EQ(by_api.status, 403);
    EXPECT_THAT(detail_of(by_api), HasSubstr("nobody may review what she used herself"));
    EXPECT_NE(by_cli.exit_code, 0);
    EXPECT_EQ(by_console.sqlstate(), "42501");
    refused_everywhere({{"break_glass", true}, {"for", "10m"}},
                       "the glass that you broke with opt-out " + number +
                           " has not been reviewed; have it signed off by a reviewer first",
                       "bob");
    EXPECT_EQ(close("alice", id).status / 100, 4) << "she is no reviewer";
    EXPECT_EQ(close("carol", id).status, 200);
    EXPECT_NE(accepted({{"break_glass", true}, {"for", "10m"}}, "bob"), 0u);
}

}  // namespace
}  // namespace sallyport::tests
