#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>

#include "transcript.h"

// What telemetry is told of the statements of a session.
namespace sallyport::tests {
namespace {

using proxy::telemetry::statement_span;
using proxy::telemetry::to_hex;

class kept final : public proxy::telemetry::statement_sink {
  public:
    [[nodiscard]] bool watches() const noexcept override { return true; }
    [[nodiscard]] bool samples(const proxy::telemetry::trace_id&) const noexcept override {
        return keeps;
    }
    void put(std::unique_ptr<statement_span> s) noexcept override {
        spans.push_back(std::move(*s));
    }
    bool keeps = true;
    std::vector<statement_span> spans;
};

std::vector<statement_span> watched(const std::string& text, bool keeps = true) {
    std::istringstream lines(text);
    kept sink;
    sink.keeps = keeps;
    replay_options o;
    o.sink = &sink;
    const auto r = replay(parse_transcript("test", lines), transcript_rules(), o);
    for (const auto& f : r.faults)
        ADD_FAILURE() << f;
    return std::move(sink.spans);
}

constexpr const char* parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class watched_transcript : public testing::TestWithParam<std::string> {};

TEST_P(watched_transcript, plays_as_written_and_each_statement_has_one_whole_span) {
    const auto t = read_transcript(transcript_data(GetParam()));
    for (const bool byte_by_byte : {false, true}) {
        kept sink;
        replay_options o;
        o.sink = &sink;
        o.byte_by_byte = byte_by_byte;
        const auto r = replay(t, transcript_rules(), o);
        for (const auto& f : r.faults)
            ADD_FAILURE() << f;
        const auto sent = std::count_if(t.lines.begin(), t.lines.end(), [](const line& l) {
            return l.who == 'C' && (l.text.starts_with("Query") || l.text.starts_with("Execute") ||
                                    l.text.starts_with("Fetch") || l.text.starts_with("Bind") ||
                                    l.text.starts_with("FunctionCall"));
        });
        EXPECT_LE(sink.spans.size(), static_cast<std::size_t>(sent));
        std::vector<std::string> ids;
        for (const auto& s : sink.spans) {
            EXPECT_LE(s.start, s.end);
            EXPECT_GT(s.start.time_since_epoch().count(), 0);
            EXPECT_TRUE(s.who && s.who->session == 1);
            EXPECT_TRUE(s.ids.any());
            ids.push_back(to_hex(s.ids.span));
            for (const auto& h : s.holds) {
                EXPECT_LE(s.start, h.from);
                EXPECT_LE(h.from, h.to);
            }
        }
        std::sort(ids.begin(), ids.end());
        EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
    }
}

TEST_P(watched_transcript, leaves_nothing_behind_when_the_client_goes) {
    const auto t = read_transcript(transcript_data(GetParam()));
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        kept sink;
        replay_options o;
        o.sink = &sink;
        o.disconnect_before = static_cast<int>(i);
        const auto r = replay(t, transcript_rules(), o);
        if (!r.held_open) continue;
        ASSERT_FALSE(sink.spans.empty()) << "before line " << i;
        const auto& last = sink.spans.back();
        EXPECT_TRUE(std::any_of(sink.spans.begin(), sink.spans.end(),
                                [](const auto& s) { return s.error == "withdrawn"; }))
            << "before line " << i << ": " << last.error;
    }
}

INSTANTIATE_TEST_SUITE_P(all, watched_transcript, testing::ValuesIn(transcript_names()),
                         [](const auto& made) {
                             auto name = made.param.substr(0, made.param.size() - 4);
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(statement_watch, a_statement_has_its_text_without_literals_its_rule_and_its_end) {
    const auto spans = watched(
        "C Query \"select 1 from t where name = 'secret'\"\n"
        "S Query *\nU Complete \"SELECT 1\"\nP CommandComplete*\n"
        "U Ready I\nP ReadyForQuery I\n");

    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(spans[0].outcome, "allow");
    EXPECT_EQ(spans[0].rule, "default");
    EXPECT_EQ(spans[0].error, "");
    ASSERT_TRUE(spans[0].facts);
    EXPECT_EQ(spans[0].facts->redacted.find("secret"), std::string::npos);
    EXPECT_EQ(to_hex(spans[0].ids.parent), "0000000000000000");
}

TEST(statement_watch, a_traceparent_in_the_text_is_its_parent) {
    const auto spans = watched(std::string("C Query \"select 1 /*db='x',traceparent='") + parent +
                               "'*/\"\nS Query *\nU Complete \"SELECT 1\"\nP CommandComplete*\n"
                               "U Ready I\nP ReadyForQuery I\n");

    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(to_hex(spans[0].ids.trace), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_EQ(to_hex(spans[0].ids.parent), "b7ad6b7169203331");
}

TEST(statement_watch, what_a_parent_does_not_sample_is_not_told_of) {
    const auto text = [](const char* flags) {
        return std::string(
                   "C Query \"select 1 /*traceparent="
                   "'00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-") +
               flags +
               "'*/\"\nS Query *\nU Complete \"SELECT 1\"\nP CommandComplete*\n"
               "U Ready I\nP ReadyForQuery I\n";
    };
    EXPECT_TRUE(watched(text("00")).empty());
    EXPECT_EQ(watched(text("01"), false).size(), 1u) << "the ratio is for traces without a parent";
    EXPECT_TRUE(watched("C Query \"select 1\"\nS Query *\nU Complete \"SELECT 1\"\n"
                        "P CommandComplete*\nU Ready I\nP ReadyForQuery I\n",
                        false)
                    .empty());
}

TEST(statement_watch, a_hold_is_part_of_the_statement) {
    const auto spans =
        watched(std::string("C Query \"select ssn from pii.customers /*traceparent='") + parent +
                "'*/\"\nO pii\nP NoticeResponse*\nH approve\nP NoticeResponse*\n"
                "A hold.released\n$ Query *\nU Complete \"SELECT 1\"\n"
                "P CommandComplete*\nU Ready I\nP ReadyForQuery I\n");

    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(spans[0].outcome, "pass");
    EXPECT_EQ(spans[0].rule, "pii");
    EXPECT_EQ(to_hex(spans[0].ids.trace), "0af7651916cd43dd8448eb211c80319c");
    ASSERT_EQ(spans[0].holds.size(), 1u);
    EXPECT_EQ(spans[0].holds[0].ended, policy::hold_state::approved);
    EXPECT_TRUE(spans[0].holds[0].id);
}

TEST(statement_watch, of_a_bind_that_is_held_its_execute_is_the_statement) {
    const auto spans = watched(
        "C Parse s \"select ssn from pii.customers\"\nC Bind \"\" s\n"
        "C Execute \"\"\nC Sync\n"
        "O pii\nP NoticeResponse*\nH approve\nP NoticeResponse*\n"
        "A hold.released\nS Parse*\n$ Bind*\n$ Execute*\nS Sync\n"
        "U ParseComplete\nP ParseComplete\nU BindComplete\nP BindComplete\n"
        "U Complete \"SELECT 1\"\nP CommandComplete*\n"
        "U Ready I\nP ReadyForQuery I\n");

    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(spans[0].outcome, "pass");
    EXPECT_EQ(spans[0].holds.size(), 1u);
}

TEST(statement_watch, what_is_denied_says_so) {
    const auto spans = watched(
        "C Query \"drop table t\"\na decision.denied\nS Query *\n"
        "U Error 42601 \"syntax error\"\nP ErrorResponse*\n"
        "U Ready I\nP ReadyForQuery I\n");

    ASSERT_EQ(spans.size(), 1u);
    EXPECT_EQ(spans[0].outcome, "deny");
    EXPECT_EQ(spans[0].rule, "no-drop");
    EXPECT_EQ(spans[0].error, "42501");
}

TEST(statement_watch, the_servers_error_is_its_end_and_what_was_behind_it_is_skipped) {
    const auto spans = watched(
        "C Parse s \"select 1/0\"\nC Bind \"\" s\nC Execute \"\"\n"
        "C Bind \"\" s\nC Execute \"\"\nC Sync\n"
        "S Parse*\nS Bind*\nS Execute*\nS Bind*\nS Execute*\nS Sync\n"
        "U ParseComplete\nP ParseComplete\nU BindComplete\nP BindComplete\n"
        "U Error 22012 \"division by zero\"\nP ErrorResponse*\n"
        "U Ready I\nP ReadyForQuery I\n");

    ASSERT_EQ(spans.size(), 2u);
    EXPECT_EQ(spans[0].error, "skipped");
    EXPECT_EQ(spans[1].error, "22012");
}

TEST(statement_watch, what_a_lost_session_leaves_unanswered_is_told_of) {
    std::istringstream lines("C Query \"select pg_sleep(60)\"\nS Query *\n");
    auto t = parse_transcript("test", lines);
    t.lines.push_back({'C', "Sync", 3});
    kept sink;
    replay_options o;
    o.sink = &sink;
    o.disconnect_before = 2;
    static_cast<void>(replay(t, transcript_rules(), o));

    ASSERT_EQ(sink.spans.size(), 1u);
    EXPECT_EQ(sink.spans[0].error, "connection_lost");
}

}  // namespace
}  // namespace sallyport::tests
