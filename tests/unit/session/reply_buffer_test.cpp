#include "proxy/session/reply_buffer.h"

#include <gtest/gtest.h>

namespace sallyport::tests {
namespace {

using proxy::session::reply_buffer;

/// What goes to the client now.
std::string passed(reply_buffer& b, const std::string& data) {
    std::string out;
    const auto rest = b.pass(data, out);
    return out.append(rest);
}

TEST(reply_buffer, replies_pass_unless_the_server_was_made_to_send_them) {
    reply_buffer b;
    b.sent();
    EXPECT_TRUE(b.unasked(1));
    EXPECT_EQ(passed(b, "row"), "row");
    EXPECT_TRUE(b.empty());
}

TEST(reply_buffer, early_ones_wait_until_the_client_asks) {
    reply_buffer b;
    b.sent();
    b.emptied_early();
    EXPECT_EQ(passed(b, "one"), "");
    EXPECT_EQ(passed(b, "two"), "");
    EXPECT_EQ(b.asked(), "onetwo");
    EXPECT_TRUE(b.empty());
    EXPECT_FALSE(b.unasked(1));
}

TEST(reply_buffer, those_before_the_last_sync_are_asked_for) {
    reply_buffer b;
    b.sent();
    b.sent();
    static_cast<void>(b.asked());
    b.sent();
    EXPECT_FALSE(b.unasked(3));
    EXPECT_FALSE(b.unasked(2));
    EXPECT_TRUE(b.unasked(1));
}

TEST(reply_buffer, our_flush_behind_a_sync_of_the_client_brings_nothing_early) {
    reply_buffer b;
    b.sent();
    static_cast<void>(b.asked());
    b.emptied_early();
    b.sent();
    EXPECT_EQ(passed(b, "row"), "row");
}

TEST(reply_buffer, full_blocks_go_as_the_server_sends_them) {
    reply_buffer b;
    b.sent();
    const std::string first(reply_buffer::flush_bytes - 10, 'a');
    EXPECT_EQ(passed(b, first), first) << "still in flight from the server itself";
    b.emptied_early();
    EXPECT_EQ(passed(b, "123456789"), "");
    EXPECT_EQ(passed(b, "0xy"), "1234567890");
    EXPECT_EQ(passed(b, "z"), "");
    const std::string long_one(3 * reply_buffer::flush_bytes, 'b');
    EXPECT_EQ(passed(b, long_one), "xyz" + long_one.substr(3));
    EXPECT_EQ(b.flush(), "bbb");
}

TEST(reply_buffer, what_the_server_flushes_by_itself_begins_a_new_block) {
    reply_buffer b;
    b.sent();
    b.emptied_early();
    EXPECT_EQ(passed(b, std::string(8000, 'a')), "");
    EXPECT_EQ(b.flush(), std::string(8000, 'a'));
    EXPECT_EQ(passed(b, std::string(8000, 'c')), "");
    EXPECT_EQ(passed(b, std::string(192, 'd')).size(), 8192u);
    EXPECT_TRUE(b.empty());
}

}  // namespace
}  // namespace sallyport::tests
