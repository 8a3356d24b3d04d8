#include <algorithm>

#include <gtest/gtest.h>

#include "transcript.h"

namespace sallyport::tests {
namespace {

class gate_transcript : public testing::TestWithParam<std::string> {};

TEST_P(gate_transcript, plays_as_written) {
    const auto r = replay(read_transcript(transcript_data(GetParam())), transcript_rules(), {});
    for (const auto& f : r.faults)
        ADD_FAILURE() << f;
}

TEST_P(gate_transcript, plays_the_same_one_byte_at_a_time) {
    replay_options o;
    o.byte_by_byte = true;
    const auto r = replay(read_transcript(transcript_data(GetParam())), transcript_rules(), o);
    for (const auto& f : r.faults)
        ADD_FAILURE() << f;
}

TEST_P(gate_transcript, forwards_nothing_after_a_disconnect_and_withdraws_what_waits) {
    const auto t = read_transcript(transcript_data(GetParam()));
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        replay_options o;
        o.disconnect_before = static_cast<int>(i);
        const auto r = replay(t, transcript_rules(), o);

        EXPECT_EQ(r.to_server.size(), r.to_server_at_disconnect) << "before line " << i;
        EXPECT_EQ(r.withdrawn, r.held_open) << "before line " << i;
    }
}

TEST_P(gate_transcript, forwards_nothing_whose_record_fails) {
    const auto t = read_transcript(transcript_data(GetParam()));
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        if (t.lines[i].who != 'A') continue;
        replay_options o;
        o.fail_record = static_cast<int>(i);
        const auto r = replay(t, transcript_rules(), o);

        for (const auto& f : r.faults)
            ADD_FAILURE() << f;
    }
}

INSTANTIATE_TEST_SUITE_P(all, gate_transcript, testing::ValuesIn(transcript_names()),
                         [](const auto& p) {
                             auto name = p.param.substr(0, p.param.rfind('.'));
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace sallyport::tests
