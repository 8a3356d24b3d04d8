#include "proxy/auth/saslprep.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "proxy/auth/scram.h"

/// That a real server agrees is tests/e2e/saslprep_test.cpp's.
namespace sallyport::proxy::auth {
namespace {

std::string prepared(const std::string& password) {
    return std::string(prepare_password(password).view());
}

TEST(saslprep_test, examples_of_the_rfc_come_out_as_it_says) {
    EXPECT_EQ(prepared("I\u00ADX"), "IX");
    EXPECT_EQ(prepared("user"), "user");
    EXPECT_EQ(prepared("USER"), "USER");
    EXPECT_EQ(prepared("\u00AA"), "a");
    EXPECT_EQ(prepared("\u2168"), "IX");
}

TEST(saslprep_test, letters_are_normalised_and_blanks_are_blanks) {
    EXPECT_EQ(prepared("e\u0301"), "\u00E9");
    EXPECT_EQ(prepared("\u212B"), "\u00C5");
    EXPECT_EQ(prepared("\uFB01"), "fi");
    EXPECT_EQ(prepared("a\u00A0b\u3000c\u2003d"), "a b c d");
    // Where Unicode 3.2's own normalisation was mistaken, and later corrected.
    EXPECT_EQ(prepared("\U0002F868"), "\u36FC");
}

TEST(saslprep_test, what_it_does_not_take_is_used_as_it_is) {
    const std::vector<std::string> as_they_are{
        "\u00AD",              // nothing would be left
        "\u0007\u00E9",        // a control character beside a letter beyond ASCII
        "\u0221",              // unassigned in Unicode 3.2
        "\U0001F600\u00AA",    // the same
        "\u0627\u0031",        // from right to left, but ends in a digit
        "\u05D0a\u05D1",       // letters of both directions
        "\uE000\u00AA",        // private use
        "\uFFFD\u00AA",        // inappropriate for plain text
        "\xff\xfe",            // no UTF-8
        "caf\xe9",             // Latin-1
        "\xc0\xaf\u00AA",      // overlong
        "\xed\xa0\x80\u00AA",  // a surrogate
        "\u00AA\xe2\x82",      // cut
        "\xf4\x90\x80\x80",    // beyond Unicode
    };
    for (const auto& password : as_they_are)
        EXPECT_EQ(prepared(password), password);
}

TEST(saslprep_test, right_to_left_text_is_taken_when_it_is_nothing_else) {
    EXPECT_EQ(prepared("\u05D0\u05D1"), "\u05D0\u05D1");
    EXPECT_EQ(prepared("\u0627\u0031\u0628"), "\u0627\u0031\u0628");
}

TEST(saslprep_test, ascii_is_never_changed_control_characters_included) {
    EXPECT_EQ(prepared("a\tb\x7f"), "a\tb\x7f");
    EXPECT_EQ(prepared(""), "");
}

TEST(saslprep_test, longest_passwords_are_prepared_whole) {
    std::string password;
    std::string expected;
    for (int i = 0; i < 512; ++i) {
        password += "\u00AA";
        expected += "a";
    }
    EXPECT_EQ(prepared(password), expected);
}

TEST(saslprep_test, verifiers_fit_every_spelling_of_the_password) {
    const auto v = make_verifier("e\u0301\u00AD", 2);

    EXPECT_TRUE(verify_password(v, "\u00E9"));
    EXPECT_TRUE(verify_password(v, "e\u0301"));
    EXPECT_FALSE(verify_password(v, "e"));
}

TEST(saslprep_test, nothing_behind_a_nul_is_overlooked) {
    const auto v = make_verifier("\u00E9", 2);

    EXPECT_FALSE(verify_password(v, std::string("\u00E9\0x", 4)));
}

}  // namespace
}  // namespace sallyport::proxy::auth
