#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/admin/http.h"
#include "proxy/admin/login_table.h"
#include "proxy/admin/login_throttle.h"
#include "proxy/admin/text.h"
#include "proxy/visible.h"

namespace sallyport::proxy::admin {
namespace {

policy::instant at(std::int64_t seconds) {
    return policy::instant(policy::seconds(1'772'357'400 + seconds));
}

TEST(login_table, token_opens_its_login_and_no_other_text_does) {
    login_table logins;
    const auto issued = logins.open("alice", at(0));

    EXPECT_EQ(logins.find(issued.token, at(1))->user, "alice");
    EXPECT_FALSE(logins.find(issued.token + "x", at(1)));
    EXPECT_FALSE(logins.find(issued.csrf, at(1)));
    EXPECT_FALSE(logins.find("", at(1)));
    EXPECT_FALSE(logins.find(std::string(1'000'000, 'a'), at(1)));
}

TEST(login_table, tokens_are_long_and_never_the_same) {
    login_table logins;
    const auto one = logins.open("alice", at(0));
    const auto two = logins.open("alice", at(0));

    EXPECT_GE(one.token.size(), 43U);
    EXPECT_NE(one.token, two.token);
    EXPECT_NE(one.csrf, two.csrf);
}

TEST(login_table, one_person_has_a_bounded_number_and_loses_the_longest_unused) {
    login_table logins;
    const auto first = logins.open("alice", at(0));
    for (std::size_t i = 0; i < logins_per_user_max; ++i)
        static_cast<void>(logins.open("alice", at(1 + static_cast<std::int64_t>(i))));
    const auto bobs = logins.open("bob", at(40));

    EXPECT_FALSE(logins.live(first.token, at(50)));
    EXPECT_TRUE(logins.live(bobs.token, at(50)));
    EXPECT_EQ(logins.size(), logins_per_user_max + 1);
}

TEST(login_table, looking_without_counting_does_not_keep_a_login_alive) {
    login_table logins;
    const auto issued = logins.open("alice", at(0));

    EXPECT_TRUE(logins.live(issued.token, at(29 * 60)));
    EXPECT_FALSE(logins.live(issued.token, at(30 * 60)));
}

TEST(same_secret, compares_whole_texts) {
    EXPECT_TRUE(same_secret("abc", "abc"));
    EXPECT_FALSE(same_secret("abc", "abd"));
    EXPECT_FALSE(same_secret("abc", "ab"));
    EXPECT_FALSE(same_secret("", "a"));
}

TEST(login_throttle, wait_doubles_and_is_bounded) {
    login_throttle t;
    auto now = at(0);
    policy::milliseconds longest{};
    for (int i = 0; i < 40; ++i) {
        const auto wait = t.admit("192.0.2.1", "alice", now);
        longest = std::max(longest, wait);
        now += wait;
        if (wait == policy::milliseconds::zero()) t.failed("192.0.2.1", "alice", now);
    }

    EXPECT_GE(longest, std::chrono::minutes(4));
    EXPECT_LE(longest, login_throttle::backoff_max);
}

TEST(login_throttle, addresses_of_one_ipv6_network_share_a_bucket) {
    login_throttle t;
    int admitted = 0;
    for (int i = 0; i < 100; ++i) {
        const auto address = "2001:db8:1:2::" + std::to_string(i + 1);
        if (t.admit(address, "user" + std::to_string(i), at(0)) == policy::milliseconds::zero())
            ++admitted;
    }

    EXPECT_EQ(admitted, static_cast<int>(login_throttle::address_burst));
}

TEST(login_throttle, right_passwords_are_not_rationed) {
    login_throttle t;
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(t.admit("192.0.2.1", "alice", at(0)), policy::milliseconds::zero()) << i;
        t.succeeded("192.0.2.1", "alice", at(0));
    }
}

TEST(login_throttle, bounded_in_memory_under_a_flood_of_names) {
    login_throttle t;
    for (std::size_t i = 0; i < login_throttle::entries_max + 100; ++i)
        static_cast<void>(t.admit("10." + std::to_string(i), "u" + std::to_string(i), at(0)));

    int admitted = 0;
    for (int i = 0; i < 100; ++i)
        if (t.admit("11." + std::to_string(i), "v" + std::to_string(i), at(0)) ==
            policy::milliseconds::zero())
            ++admitted;
    EXPECT_LE(admitted, static_cast<int>(login_throttle::address_burst));
}

TEST(cookie_header, value_is_found_only_when_there_is_exactly_one) {
    EXPECT_EQ(find_cookie("a=1; s=tok; b=2", "s"), "tok");
    EXPECT_EQ(find_cookie("s=tok", "s"), "tok");
    EXPECT_FALSE(find_cookie("s=one; s=two", "s"));
    EXPECT_FALSE(find_cookie("xs=tok; s2=tok", "s"));
    EXPECT_FALSE(find_cookie("", "s"));
}

TEST(target, segments_and_query_are_decoded) {
    const auto t = parse_target("/api/v1/audit?text=a%20b+c&user=%C3%A9");

    ASSERT_TRUE(t);
    EXPECT_EQ(t->segments, (std::vector<std::string>{"api", "v1", "audit"}));
    EXPECT_EQ(t->query.at("text"), "a b c");
    EXPECT_EQ(t->query.at("user"), "\xC3\xA9");
}

TEST(times, iso_form_goes_both_ways_and_the_epoch_is_never) {
    const auto t = at(0) + policy::milliseconds(7);

    EXPECT_EQ(iso_time(t), "2026-03-01T09:30:00.007Z");
    EXPECT_EQ(parse_iso_time(iso_time(t)), t);
    EXPECT_EQ(sql_time(t), "2026-03-01 09:30:00.007+00");
    EXPECT_EQ(iso_time(policy::instant{}), "");
    for (const auto* const bad :
         {"", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-03-01 09:30:00Z",
          "2026-03-01T09:30:00", "2026-03-01T24:00:00Z"})
        EXPECT_FALSE(parse_iso_time(bad)) << bad;
}

TEST(utf8, overlong_surrogate_cut_and_too_large_forms_are_invalid) {
    EXPECT_TRUE(valid_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82"));
    for (const auto* const bad : {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                  "\xE2\x82", "\x80", "\xFF", "\xF8\x88\x80\x80\x80"})
        EXPECT_FALSE(valid_utf8(bad));
}

TEST(visible_text, what_acts_unseen_is_written_out_and_the_rest_stays) {
    EXPECT_EQ(visible("a\tb\n\x1b[0m", line_breaks::keep), "a\tb\n\\x1b[0m");
    EXPECT_EQ(visible("a\tb\n\r", line_breaks::escape), "a\\tb\\n\\r");
    EXPECT_EQ(visible("\xE2\x80\xAE\xE2\x80\x8B\xEF\xBB\xBF\xC2\x9B", line_breaks::keep),
              "\\u{202e}\\u{200b}\\u{feff}\\x9b");
    EXPECT_EQ(visible("\xC3\xA9\xF0\x9F\x99\x82", line_breaks::escape), "\xC3\xA9\xF0\x9F\x99\x82");
    EXPECT_EQ(visible("\xff\xC3", line_breaks::keep), "\\xff\\xc3");
}

TEST(base64_text, pads_as_rfc_4648_does) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
}

}  // namespace
}  // namespace sallyport::proxy::admin
