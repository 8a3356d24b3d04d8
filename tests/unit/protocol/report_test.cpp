#include <gtest/gtest.h>

#include "protocol/backend.h"
#include "protocol/frame.h"
#include "protocol/limits.h"
#include "protocol/sqlstate.h"
#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol::backend {
namespace {

using namespace protocol::testing;

TEST(report, every_field_is_optional_and_unknown_ones_are_kept) {
    const auto none = error_response::decode("\0"sv);
    ASSERT_TRUE(none.has_value());
    EXPECT_EQ(none->sqlstate(), "");
    EXPECT_EQ(none->severity(), "");

    const auto odd = error_response::decode("SERREUR\0zodd\0MMESSAGE\0\0"sv);
    ASSERT_TRUE(odd.has_value());
    EXPECT_EQ(odd->severity(), "ERREUR");
    EXPECT_EQ(odd->message(), "MESSAGE");
    EXPECT_EQ(odd->field('z'), "odd");
}

TEST(report, the_severity_that_is_never_translated_wins) {
    const error_response m{{{'S', "FEHLER"}, {'V', "ERROR"}}};
    EXPECT_EQ(m.severity(), "ERROR");
}

TEST(report, a_list_without_its_end_is_refused) {
    EXPECT_EQ(error_response::decode(""sv).error(), errc::truncated);
    EXPECT_EQ(error_response::decode("SERROR\0"sv).error(), errc::truncated);
    EXPECT_EQ(error_response::decode("SERROR"sv).error(), errc::missing_terminator);
    EXPECT_EQ(error_response::decode("\0\0"sv).error(), errc::trailing_bytes);
}

error_response decoded(const std::string& whole) {
    const auto m = error_response::decode(bytes(whole).substr(frame_header_bytes));
    return m ? *m : error_response{};
}

TEST(report, an_error_of_ours_carries_both_severities_and_the_given_texts) {
    std::string out;
    append_report(out, {severity::error, sqlstate::insufficient_privilege, "denied by rule \"x\"",
                        "hold=7", "ask bob"});

    ASSERT_EQ(out.front(), 'E');
    const error_response expected{{{'S', "ERROR"},
                                   {'V', "ERROR"},
                                   {'C', "42501"},
                                   {'M', "denied by rule \"x\""},
                                   {'D', "hold=7"},
                                   {'H', "ask bob"}}};
    EXPECT_EQ(decoded(out), expected);
}

TEST(report, what_is_not_an_error_is_a_notice) {
    const std::pair<severity, char> table[] = {{severity::fatal, 'E'},
                                               {severity::error, 'E'},
                                               {severity::warning, 'N'},
                                               {severity::notice, 'N'},
                                               {severity::info, 'N'}};
    for (const auto& [level, tag] : table) {
        std::string out;
        append_report(out, {level, sqlstate::warning, "m", {}, {}});
        EXPECT_EQ(out.front(), tag) << to_string(level);
        EXPECT_EQ(decoded(out).field('S'), to_string(level));
        EXPECT_EQ(decoded(out).fields.size(), 4U);  // empty detail and hint are left out
    }
}

TEST(report, a_sqlstate_that_is_none_becomes_an_internal_error) {
    for (const auto code : {""sv, "4250"sv, "425011"sv, "42\0"sv, "4250a"sv, "4250\n"sv}) {
        std::string out;
        append_report(out, {severity::error, code, "m", {}, {}});
        EXPECT_EQ(decoded(out).sqlstate(), "XX000");
    }
}

TEST(report, hostile_texts_cannot_add_fields_or_lines) {
    std::string out;
    append_report(out, {severity::error, "42501", "a\0Cxxxxx\0b\nERROR:  x\x1b[2J"sv, "d\r\n", {}});

    EXPECT_EQ(decoded(out).sqlstate(), "42501");
    EXPECT_EQ(decoded(out).message(), "a?Cxxxxx?b ERROR:  x?[2J");
    EXPECT_EQ(decoded(out).detail(), "d  ");
}

TEST(report, long_texts_are_cut_and_the_message_stays_small) {
    const std::string megabyte(1 << 20, 'x');
    std::string out;
    append_report(out, {severity::fatal, "08P01", megabyte, megabyte, megabyte});

    EXPECT_EQ(decoded(out).message().size(), limits::report_field_bytes_max);
    EXPECT_TRUE(decoded(out).message().ends_with("x..."));
    EXPECT_LT(out.size(), 4'096U);
}

TEST(sanitize_text, what_acts_on_a_terminal_or_is_not_utf8_is_replaced) {
    const std::pair<std::string_view, std::string_view> table[] = {
        {"plain ~ text", "plain ~ text"},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a\tb\nc\rd", "a b c d"},
        {"a\xe2\x80\xa8"sv
         "b",
         "a b"},  // LINE SEPARATOR
        {"\x07\x7f", "??"},
        {"\xc2\x9b[2J", "?[2J"},  // CSI as one character
        {"a\xe2\x80\xae"sv
         "b",
         "a?b"},  // RIGHT-TO-LEFT OVERRIDE
        {"a\xe2\x81\xa6"sv
         "b",
         "a?b"},  // LEFT-TO-RIGHT ISOLATE
        {"\xff\xfe", "??"},
        {"\xc0\x80", "??"},            // overlong NUL
        {"\xe0\x80\x80", "???"},       // overlong
        {"\xed\xa0\x80", "???"},       // a surrogate
        {"\xf4\x90\x80\x80", "????"},  // beyond Unicode
        {"\xe2\x82", "??"},            // cut
        {"\xc3"sv
         "A",
         "?A"},
    };
    for (const auto& [text, expected] : table)
        EXPECT_EQ(sanitize_text(text, 100), expected);
}

TEST(sanitize_text, the_cut_is_at_a_character_and_within_the_cap) {
    EXPECT_EQ(sanitize_text("abcdefgh", 8), "abcdefgh");
    EXPECT_EQ(sanitize_text("abcdefghi", 8), "abcde...");
    EXPECT_EQ(sanitize_text("abcd\xe2\x82\xacxyz", 9), "abcd...");
    for (std::size_t cap = 0; cap < 12; ++cap)
        EXPECT_LE(sanitize_text("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", cap).size(),
                  cap);
}

}  // namespace
}  // namespace sallyport::protocol::backend
