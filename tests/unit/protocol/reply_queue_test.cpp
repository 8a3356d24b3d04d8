#include "protocol/reply_queue.h"

#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace sallyport::protocol {
namespace {

using type = reply_event::type;

class reply_queue_test : public testing::Test {
  protected:
    std::uint32_t sent(expect what) {
        queue_.push({what, reply_action::forward, ++tags_});
        return tags_;
    }
    reply_event came(char tag, char status = 0) {
        return queue_.on_backend(tag, status,
                                 [this](const expected_reply& e) { dropped_.push_back(e.tag); });
    }
    /// The tag of the message that this reply answers; 0 if it answers none.
    std::uint32_t answers(char tag, char status = 0) {
        const auto e = came(tag, status);
        return e.what == type::async || e.what == type::stray || e.what == type::violation
                   ? 0
                   : e.who.tag;
    }
    reply_queue queue_;
    std::uint32_t tags_ = 0;
    std::vector<std::uint32_t> dropped_;
};

TEST_F(reply_queue_test, each_reply_answers_the_message_that_is_next) {
    const auto parse = sent(expect::parse);
    const auto bind = sent(expect::bind);
    const auto describe = sent(expect::describe_portal);
    const auto execute = sent(expect::execute);
    const auto close = sent(expect::close);
    const auto sync = sent(expect::sync);
    const auto query = sent(expect::query);

    EXPECT_EQ(answers('1'), parse);
    EXPECT_EQ(answers('2'), bind);
    EXPECT_EQ(answers('T'), describe);
    EXPECT_EQ(answers('D'), execute);
    EXPECT_EQ(answers('C'), execute);
    EXPECT_EQ(answers('3'), close);
    EXPECT_EQ(answers('Z', 'I'), sync);
    for (const char tag : {'T', 'D', 'D', 'C', 'I', 'C'})
        EXPECT_EQ(answers(tag), query) << tag;
    EXPECT_EQ(answers('Z', 'T'), query);
    EXPECT_TRUE(queue_.empty());
    EXPECT_EQ(queue_.status(), transaction_status::open);
}

TEST_F(reply_queue_test, error_of_a_batch_takes_everything_up_to_its_sync_and_nothing_behind) {
    const auto bind = sent(expect::bind);
    const auto execute = sent(expect::execute);
    const auto query = sent(expect::query);  // inside the batch: the server discards it
    const auto sync = sent(expect::sync);
    const auto next = sent(expect::query);

    EXPECT_EQ(answers('E'), bind);

    EXPECT_EQ(dropped_, (std::vector<std::uint32_t>{execute, query}));
    EXPECT_EQ(answers('Z', 'I'), sync);
    EXPECT_EQ(answers('C'), next);
    EXPECT_EQ(answers('Z', 'I'), next);
}

TEST_F(reply_queue_test, after_an_error_nothing_is_expected_until_sync) {
    sent(expect::bind);
    EXPECT_EQ(came('E').what, type::failed);

    EXPECT_TRUE(queue_.skipping());
    EXPECT_FALSE(queue_.push({expect::execute, reply_action::forward, 7}));
    EXPECT_FALSE(queue_.push({expect::query, reply_action::forward, 8}));
    const auto sync = sent(expect::sync);
    EXPECT_FALSE(queue_.skipping());
    EXPECT_EQ(answers('Z', 'E'), sync);
    EXPECT_EQ(queue_.status(), transaction_status::failed);
}

TEST_F(reply_queue_test, error_of_a_query_still_owes_its_ready_for_query) {
    const auto query = sent(expect::query);
    const auto bind = sent(expect::bind);

    EXPECT_EQ(answers('E'), query);
    EXPECT_FALSE(queue_.skipping());
    EXPECT_EQ(answers('Z', 'E'), query);
    EXPECT_EQ(answers('2'), bind);
}

TEST_F(reply_queue_test, suspended_portal_and_both_forms_of_describe_end_their_message) {
    const auto statement = sent(expect::describe_statement);
    const auto rows = sent(expect::describe_statement);
    const auto portal = sent(expect::describe_portal);
    const auto first = sent(expect::execute);
    const auto second = sent(expect::execute);

    EXPECT_EQ(answers('t'), statement);
    EXPECT_EQ(answers('n'), statement);
    EXPECT_EQ(answers('t'), rows);
    EXPECT_EQ(answers('T'), rows);
    EXPECT_EQ(answers('n'), portal);
    EXPECT_EQ(answers('D'), first);
    EXPECT_EQ(answers('s'), first);
    EXPECT_EQ(answers('I'), second);
    EXPECT_TRUE(queue_.empty());
}

TEST_F(reply_queue_test, what_comes_unasked_answers_nothing_and_moves_nothing) {
    const auto query = sent(expect::query);
    for (const char tag : {'N', 'A', 'S'})
        EXPECT_EQ(came(tag).what, type::async);

    EXPECT_EQ(queue_.size(), 1u);
    EXPECT_EQ(answers('Z', 'I'), query);
    for (const char tag : {'N', 'A', 'S'})
        EXPECT_EQ(came(tag).what, type::async) << "idle";
    EXPECT_EQ(came('E').what, type::stray);
}

TEST_F(reply_queue_test, replies_that_answer_nothing_or_something_else_are_violations) {
    for (const char tag : {'1', '2', '3', 'C', 'D', 'I', 'T', 'V', 'n', 's', 't'})
        EXPECT_EQ(came(tag).what, type::violation) << tag;
    EXPECT_EQ(came('Z', 'I').what, type::violation);
    sent(expect::parse);
    for (const char tag : {'2', '3', 'C', 'D', 'T', 's'})
        EXPECT_EQ(came(tag).what, type::violation) << tag;
    EXPECT_EQ(came('Z', 'I').what, type::violation) << "a Parse alone owes none";
}

TEST_F(reply_queue_test, message_inside_of_copy_data_is_not_over_before_its_copy) {
    const auto query = sent(expect::query);
    EXPECT_EQ(came('G').what, type::progress);
    sent(expect::copy_data);
    EXPECT_FALSE(queue_.push({expect::sync, reply_action::forward, 9}));
    EXPECT_EQ(came('Z', 'I').what, type::violation);
    EXPECT_EQ(answers('E'), query) << "nothing of it was taken away";

    reply_queue other;
    other.push({expect::execute, reply_action::forward, 1});
    other.on_backend('G', 0, {});
    EXPECT_EQ(other.on_backend('s', 0, {}).what, type::violation);
}

TEST_F(reply_queue_test, status_comes_from_ready_for_query_alone_and_only_the_known_ones_count) {
    sent(expect::query);
    came('C');
    EXPECT_EQ(queue_.status(), transaction_status::idle) << "nothing is guessed from a tag";
    came('Z', 'T');
    EXPECT_EQ(queue_.status(), transaction_status::open);
    sent(expect::sync);
    EXPECT_EQ(came('Z', 'X').what, type::violation);
}

TEST_F(reply_queue_test, batch_without_sync_is_told_from_one_that_is_over) {
    sent(expect::execute);
    EXPECT_TRUE(queue_.unsynced());
    came('C');
    EXPECT_TRUE(queue_.unsynced()) << "answered, and its transaction is still open";
    sent(expect::sync);
    EXPECT_FALSE(queue_.unsynced());
}

}  // namespace
}  // namespace sallyport::protocol
