#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "transcript.h"

namespace sallyport::tests {
namespace {

std::string data(const std::string& name) {
    return std::string(SALLYPORT_SOURCE_DIR) + "/tests/data/transcripts/" + name;
}

policy::rule_set_ptr rules() {
    static const auto loaded = policy::load_policy(data("policy.yaml"), {});
    for (const auto& f : loaded.faults)
        ADD_FAILURE() << policy::to_string(f);
    return loaded.rules;
}

std::vector<std::string> names() {
    std::vector<std::string> found;
    for (const auto& e : std::filesystem::directory_iterator(data("")))
        if (e.path().extension() == ".txt") found.push_back(e.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
}

class gate_transcript : public testing::TestWithParam<std::string> {};

TEST_P(gate_transcript, plays_as_written) {
    const auto r = replay(read_transcript(data(GetParam())), rules(), {});
    for (const auto& f : r.faults)
        ADD_FAILURE() << f;
}

TEST_P(gate_transcript, plays_the_same_one_byte_at_a_time) {
    replay_options o;
    o.byte_by_byte = true;
    const auto r = replay(read_transcript(data(GetParam())), rules(), o);
    for (const auto& f : r.faults)
        ADD_FAILURE() << f;
}

TEST_P(gate_transcript, forwards_nothing_after_a_disconnect_and_withdraws_what_waits) {
    const auto t = read_transcript(data(GetParam()));
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        replay_options o;
        o.disconnect_before = static_cast<int>(i);
        const auto r = replay(t, rules(), o);

        EXPECT_EQ(r.to_server.size(), r.to_server_at_disconnect) << "before line " << i;
        EXPECT_EQ(r.withdrawn, r.held_open) << "before line " << i;
    }
}

TEST_P(gate_transcript, forwards_nothing_whose_record_fails) {
    const auto t = read_transcript(data(GetParam()));
    for (std::size_t i = 0; i < t.lines.size(); ++i) {
        if (t.lines[i].who != 'A') continue;
        replay_options o;
        o.fail_record = static_cast<int>(i);
        const auto r = replay(t, rules(), o);

        for (const auto& f : r.faults)
            ADD_FAILURE() << f;
    }
}

INSTANTIATE_TEST_SUITE_P(all, gate_transcript, testing::ValuesIn(names()), [](const auto& p) {
    auto name = p.param.substr(0, p.param.rfind('.'));
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

}  // namespace
}  // namespace sallyport::tests
