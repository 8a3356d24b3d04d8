#include "proxy/audit/read.h"

#include <gtest/gtest.h>

#include "tests/unit/audit/support.h"

namespace sallyport::proxy::audit {
namespace {

using namespace testing;

class read : public ::testing::Test {
  protected:
    void SetUp() override {
        auto o = options_for(d);
        o.segment_bytes_max = 1500;
        log l(o);
        for (int i = 1; i <= 30; ++i) {
            record r;
            r.event = i % 2 ? "hold.opened" : "bypass";
            r.at = policy::instant(std::chrono::milliseconds(1000 * i));
            r.with("user", i % 3 ? "alice" : "bob").with("n", std::to_string(i));
            r.with("hold", i % 2 ? std::to_string(i) : "");
            if (i == 17) r.with("statement", "select SSN from customers");
            (void)append_and_wait(l, std::move(r));
        }
    }
    [[nodiscard]] std::string found(const query& q) const {
        std::string text;
        for_each_match(d.log(), q, [&](const parsed_line& line) {
            text += std::string(line.field("n")) + " ";
            return true;
        });
        return text;
    }
    temporary_directory d;
};

TEST_F(read, filters_hold_together) {
    query q;
    q.user = "bob";
    q.event = "hold.";
    EXPECT_EQ(found(q), "3 9 15 21 27 ");
    q.event = "bypass";
    EXPECT_EQ(found(q), "6 12 18 24 30 ");
    q.from = policy::instant(std::chrono::seconds(12));
    q.to = policy::instant(std::chrono::seconds(24));
    EXPECT_EQ(found(q), "12 18 ");
}

TEST_F(read, text_is_found_whatever_its_case) {
    query q;
    q.text = "ssn FROM";
    EXPECT_EQ(found(q), "17 ");
}

TEST_F(read, a_hold_is_found_by_its_number) {
    query q;
    q.hold = "5";
    EXPECT_EQ(found(q), "5 ");
}

TEST_F(read, newest_come_first_across_files_and_can_be_paged) {
    const auto first = newest(d.log(), {}, 5);
    ASSERT_EQ(first.size(), 5u);
    EXPECT_EQ(first.front().field("n"), "30");
    EXPECT_EQ(first.back().field("n"), "26");
    const auto next = newest(d.log(), {}, 5, first.back().sequence);
    ASSERT_EQ(next.size(), 5u);
    EXPECT_EQ(next.front().field("n"), "25");
    EXPECT_TRUE(newest(d.log(), {}, 0).empty());
}

TEST_F(read, a_search_can_be_stopped) {
    int seen = 0;
    for_each_match(d.log(), {}, [&](const parsed_line&) { return ++seen < 3; });
    EXPECT_EQ(seen, 3);
}

TEST_F(read, checkpoints_are_shown_only_when_asked_for) {
    query q;
    q.event = "checkpoint";
    EXPECT_TRUE(newest(d.log(), q, 5).empty());
    q.checkpoints = true;
    EXPECT_EQ(newest(d.log(), q, 2).size(), 2u);
}

TEST(read_format, an_entry_for_a_terminal_carries_no_control_characters) {
    parsed_line line;
    line.time = "2026-03-01T09:30:00.000Z";
    line.event = "bypass";
    line.fields = {{"user", "alice"}, {"reason", "two words"}, {"x", "\x1b[2J"}, {"e", ""}};
    EXPECT_EQ(format_entry(line),
              "2026-03-01T09:30:00.000Z  bypass               user=alice reason=\"two words\" "
              R"(x="\u001b[2J" e="")");
}

TEST(read_errors, a_directory_that_is_not_there_is_an_error) {
    EXPECT_THROW(for_each_match("/nonexistent/audit", {}, [](const parsed_line&) { return true; }),
                 std::runtime_error);
}

}  // namespace
}  // namespace sallyport::proxy::audit
