#include "protocol/cursor.h"

#include <gtest/gtest.h>

#include "tests/unit/protocol/bytes.h"

namespace sallyport::protocol {
namespace {

using namespace testing;

TEST(cursor, integers_are_read_as_big_endian) {
    reader in("\x01\x02\x03\xff\xfe\x80\x00\x00\x01\xff\xff\xff\xff"sv);

    EXPECT_EQ(in.u8(), 1);
    EXPECT_EQ(in.u16(), 0x0203);
    EXPECT_EQ(in.i16(), -2);
    EXPECT_EQ(in.u32(), 0x8000'0001U);
    EXPECT_EQ(in.i32(), -1);
    EXPECT_EQ(in.finish(), errc::ok);
}

TEST(cursor, a_read_past_the_end_fails_and_the_failure_sticks) {
    reader in("\x01\x02\x03"sv);

    EXPECT_EQ(in.u32(), 0U);
    EXPECT_EQ(in.u8(), 0U);
    EXPECT_EQ(in.cstring(), "");
    EXPECT_EQ(in.take_rest(), "");
    EXPECT_EQ(in.finish(), errc::truncated);
}

TEST(cursor, a_text_without_its_nul_is_missing_a_terminator) {
    reader in("abc"sv);

    EXPECT_EQ(in.cstring(), "");
    EXPECT_EQ(in.finish(), errc::missing_terminator);
}

TEST(cursor, bytes_left_over_are_a_fault) {
    reader in("a\0b"sv);

    EXPECT_EQ(in.cstring(), "a");
    EXPECT_EQ(in.finish(), errc::trailing_bytes);
}

TEST(cursor, a_take_larger_than_the_rest_does_not_overflow) {
    reader in("abc"sv);

    EXPECT_EQ(in.take(static_cast<std::size_t>(-1)), "");
    EXPECT_EQ(in.error(), errc::truncated);
}

TEST(cursor, a_count_that_cannot_fit_allocates_nothing) {
    reader in("\xff\xff\x00\x01"sv);

    EXPECT_TRUE(in.oids().empty());
    EXPECT_EQ(in.error(), errc::truncated);
}

TEST(cursor, a_value_of_length_minus_one_is_null_and_other_negatives_are_faults) {
    reader null("\xff\xff\xff\xff"sv);
    EXPECT_EQ(null.value(), std::nullopt);
    EXPECT_EQ(null.finish(), errc::ok);

    reader negative("\xff\xff\xff\xf0"sv);
    EXPECT_EQ(negative.value(), std::nullopt);
    EXPECT_EQ(negative.finish(), errc::bad_value);
}

TEST(cursor, the_length_of_a_message_counts_itself_but_not_the_tag) {
    std::string out = "before";
    writer w(out);

    w.begin_message('Q');
    w.cstring("hi");
    w.end_message();

    EXPECT_EQ(out, "beforeQ\0\0\0\7hi\0"s);
}

TEST(cursor, more_items_than_a_count_can_say_are_refused) {
    std::string out;
    writer w(out);

    EXPECT_THROW(w.count(65'536), std::length_error);
    EXPECT_TRUE(out.empty());
}

TEST(cursor, bytes_of_a_byte_buffer_are_the_same_bytes) {
    const std::byte raw[] = {std::byte{0x41}, std::byte{0}, std::byte{0xff}};
    EXPECT_EQ(as_bytes(raw), "A\0\xff"sv);
}

}  // namespace
}  // namespace sallyport::protocol
