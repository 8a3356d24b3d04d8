#include "proxy/audit/chain.h"

#include <random>

#include <gtest/gtest.h>

namespace sallyport::proxy::audit {
namespace {

record sample() {
    record r;
    r.event = "hold.opened";
    r.at = policy::instant(std::chrono::milliseconds(1'772'357'400'123));
    r.with("user", "alice");
    return r;
}

std::string encoded(const record& r) {
    std::string line;
    encode_line(line, r, 7, genesis_hash);
    return line;
}

TEST(chain, line_has_the_documented_form) {
    EXPECT_EQ(
        encoded(sample()),
        R"({"seq":7,"prev":"0000000000000000000000000000000000000000000000000000000000000000",)"
        R"("time":"2026-03-01T09:30:00.123Z","event":"hold.opened","user":"alice"})");
}

TEST(chain, hash_is_sha256_over_domain_and_line) {
    // printf 'sallyport audit line 1\n{}' | sha256sum
    EXPECT_EQ(hash_line("{}"), "961edda6dd840edf05ac07aaa2f8024d90d7da9ae25f29fe19b8051c16296948");
}

TEST(chain, control_characters_and_quotes_are_escaped) {
    auto r = sample();
    r.with("statement", std::string("a\nb\"c\\d\x1b[31m\x7f\0z", 15));
    EXPECT_NE(encoded(r).find(R"("statement":"a\nb\"c\\d\u001b[31m\u007f\u0000z")"),
              std::string::npos)
        << encoded(r);
}

TEST(chain, c1_controls_and_direction_overrides_are_escaped) {
    auto r = sample();
    r.with("statement", "\xC2\x9B x \xE2\x80\xAE y");
    EXPECT_NE(encoded(r).find(R"(\u009b x \u202e y)"), std::string::npos);
}

TEST(chain, bytes_that_are_not_utf8_become_replacement_characters) {
    auto r = sample();
    r.with("statement", "a\xFFz\xC0\xAF\xED\xA0\x80\xE2\x82");
    const auto line = parse_line(encoded(r));
    ASSERT_TRUE(line);
    std::string expected = "a\xEF\xBF\xBDz";
    for (int i = 0; i < 7; ++i)
        expected += "\xEF\xBF\xBD";
    EXPECT_EQ(line->field("statement"), expected);
}

TEST(chain, a_field_cannot_pass_for_one_of_the_chain) {
    auto r = sample();
    r.with("prev", "x").with("seq", "1");
    const auto line = parse_line(encoded(r));
    ASSERT_TRUE(line);
    EXPECT_EQ(line->sequence, 7u);
    EXPECT_EQ(line->field("field_prev"), "x");
}

TEST(chain, a_record_too_large_is_cut_and_says_so) {
    auto r = sample();
    r.with("statement", std::string(3u << 20, '\x01')).with("after", "b");
    const auto text = encoded(r);
    EXPECT_LT(text.size(), line_bytes_max);
    const auto line = parse_line(text);
    ASSERT_TRUE(line);
    EXPECT_EQ(line->field("statement_bytes"), std::to_string(3u << 20));
    EXPECT_EQ(line->field("fields_dropped"), "1");
}

TEST(chain, what_is_encoded_can_be_parsed_again) {
    std::mt19937 random(7);
    for (int round = 0; round < 500; ++round) {
        auto r = sample();
        std::string value;
        for (int i = 0; i < 40; ++i)
            value += static_cast<char>(random() % 128);
        value += "äöü€\U0001F600";
        r.with("v", value);
        const auto line = parse_line(encoded(r));
        ASSERT_TRUE(line) << encoded(r);
        ASSERT_EQ(line->field("v"), value);
    }
}

TEST(chain, damaged_lines_are_refused_and_nothing_throws) {
    const auto text = encoded(sample());
    for (std::size_t i = 0; i < text.size(); ++i)
        EXPECT_FALSE(parse_line(text.substr(0, i)));
    EXPECT_FALSE(parse_line(text + " "));
    std::mt19937 random(3);
    for (int round = 0; round < 5000; ++round) {
        auto damaged = text;
        damaged[random() % damaged.size()] = static_cast<char>(random());
        (void)parse_line(damaged);
    }
}

TEST(chain, time_round_trips_and_refuses_other_forms) {
    const policy::instant t(std::chrono::milliseconds(1'709'251'199'999));
    EXPECT_EQ(format_time(t), "2024-02-29T23:59:59.999Z");
    EXPECT_EQ(parse_time("2024-02-29T23:59:59.999Z"), t);
    EXPECT_FALSE(parse_time("2023-02-29T23:59:59.999Z"));
    EXPECT_FALSE(parse_time("2024-02-29T24:00:00.000Z"));
    EXPECT_FALSE(parse_time("2024-02-29 23:59:59.999Z"));
    EXPECT_FALSE(parse_time(""));
}

}  // namespace
}  // namespace sallyport::proxy::audit
