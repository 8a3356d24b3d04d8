#include "proxy/admin/slack.h"

#include <gtest/gtest.h>

#include "proxy/notify/sign.h"

namespace sallyport::proxy::admin {
namespace {

const policy::instant now{policy::seconds(1'531'420'618)};
constexpr const char* secret = "8f742231b10e8888abcd99yyyzzz85a5";
// The example of Slack's own documentation.
constexpr const char* body =
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="
    "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
    "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"
    "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
    "803a0bc887a14d10d2c447fce8b6703c";
constexpr const char* signature =
    "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

TEST(slack_signature, that_of_slacks_documentation_is_known) {
    EXPECT_EQ(check_slack_signature(secret, "1531420618", signature, body, now), "");
}

TEST(slack_signature, anything_else_is_refused) {
    const auto check = [](std::string_view t, std::string_view s, std::string_view b) {
        return check_slack_signature(secret, t, s, b, now);
    };
    EXPECT_NE(check("1531420618", signature, "token=other"), "");
    EXPECT_NE(check("1531420617", signature, body), "");
    EXPECT_NE(check("1531420618", std::string_view(signature).substr(0, 66), body), "");
    EXPECT_NE(check("1531420618", "", body), "");
    for (const char* t : {"", "-1", "1531420618 ", "99999999999999999999", "x"})
        EXPECT_NE(check(t, signature, body), "");
    EXPECT_NE(check_slack_signature("", "1531420618", signature, body, now), "");
}

TEST(slack_signature, counts_for_five_minutes) {
    const auto at = [](policy::milliseconds later) {
        return check_slack_signature(secret, "1531420618", signature, body, now + later);
    };
    EXPECT_EQ(at(slack_window), "");
    EXPECT_NE(at(slack_window + policy::milliseconds(1)), "");
    EXPECT_NE(at(-slack_window - policy::milliseconds(1)), "");
}

TEST(replay_guard, each_signature_counts_once_and_memory_is_bounded) {
    replay_guard g;
    EXPECT_TRUE(g.first_time("a", now));
    EXPECT_FALSE(g.first_time("a", now + slack_window));
    for (std::size_t i = 1; i < replay_guard::remembered_max; ++i)
        EXPECT_TRUE(g.first_time(std::to_string(i), now));
    EXPECT_FALSE(g.first_time("one too many", now));
    EXPECT_TRUE(g.first_time("later", now + 2 * slack_window));
}

TEST(slack_click, is_read_from_the_form_and_nothing_else_is) {
    const auto click = parse_slack_click(
        "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D%2C"
        "%22actions%22%3A%5B%7B%22value%22%3A%22hold+7%22%7D%5D%7D");
    ASSERT_TRUE(click);
    EXPECT_EQ(click->user, "U1");
    EXPECT_EQ(click->subject, "hold 7");
    for (const char* bad :
         {"", "payload=", "payload=%7", "payload=%zz", "payload=[]", "payload={}", "other={}",
          "payload={\"type\":\"block_actions\",\"user\":7,\"actions\":[{}]}",
          "payload={\"type\":\"block_actions\",\"user\":{\"id\":\"U1\"},\"actions\":[]}",
          "payload={\"type\":\"view_submission\",\"user\":{\"id\":\"U1\"},"
          "\"actions\":[{\"value\":\"hold+7\"}]}"})
        EXPECT_FALSE(parse_slack_click(bad)) << bad;
}

}  // namespace
}  // namespace sallyport::proxy::admin
