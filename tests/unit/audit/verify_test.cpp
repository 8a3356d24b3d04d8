#include "proxy/audit/verify.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>

#include "proxy/audit/chain.h"
#include "proxy/audit/segments.h"
#include "tests/unit/audit/support.h"

namespace sallyport::proxy::audit {
namespace {

using namespace testing;

class verify : public ::testing::Test {
  protected:
    void SetUp() override {
        make_log(d, 10);  // line 1 checkpoint, 2-11 records, 12 checkpoint
        lines = lines_of(read_text(file()));
        ASSERT_EQ(lines.size(), 12u);
    }
    [[nodiscard]] std::string file() const { return d.log() + "/" + segment_name(1); }
    [[nodiscard]] verify_report run(const verify_options& o = {}) const {
        return verify_directory(d.log(), read_text(d.key() + ".pub"), o);
    }
    [[nodiscard]] verify_report run_damaged(const verify_options& o = {}) const {
        write_text(file(), joined(lines));
        return run(o);
    }
    void expect(const verify_report& r, damage what, std::uint64_t line) const {
        EXPECT_STREQ(to_string(r.what), to_string(what)) << r.text;
        EXPECT_EQ(r.line, line) << r.text;
        EXPECT_EQ(r.file, segment_name(1));
        EXPECT_FALSE(r.text.empty());
    }
    /// Writes the chain anew from `index` (0-based) on, as someone without the key can.
    void rechain(std::size_t index) {
        std::string prev = index == 0 ? std::string(genesis_hash) : hash_line(lines[index - 1]);
        for (auto i = index; i < lines.size(); ++i) {
            const auto at = lines[i].find("\"prev\":\"") + 8;
            lines[i].replace(at, 64, prev);
            prev = hash_line(lines[i]);
        }
    }
    void edit(std::size_t index, const std::string& from, const std::string& to) {
        const auto at = lines[index].find(from);
        ASSERT_NE(at, std::string::npos);
        lines[index].replace(at, from.size(), to);
    }

    temporary_directory d;
    std::vector<std::string> lines;
};

TEST_F(verify, an_untouched_log_is_good) {
    const auto r = run();
    EXPECT_TRUE(r.ok()) << r.text;
    EXPECT_EQ(r.records, 12u);
    EXPECT_EQ(r.checkpoints, 2u);
    EXPECT_EQ(r.signed_through, 11u);
    EXPECT_EQ(r.head.sequence, 12u);
    EXPECT_EQ(r.head.hash, hash_line(lines.back()));
    EXPECT_EQ(r.note, "");
}

TEST_F(verify, every_edited_byte_is_found_on_its_line) {
    const auto text = joined(lines);
    std::uint64_t line = 1;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\n') {
            ++line;
            continue;
        }
        auto damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        if (damaged[i] == '\n') continue;
        write_text(file(), damaged);
        const auto r = run();
        ASSERT_FALSE(r.ok()) << "byte " << i;
        ASSERT_EQ(r.line, line) << "byte " << i << ": " << to_string(r.what) << " " << r.text;
    }
}

TEST_F(verify, an_edited_value_is_named_edited) {
    edit(4, "alice", "carol");
    expect(run_damaged(), damage::edited, 5);
}

TEST_F(verify, an_edited_number_is_named_edited) {
    edit(4, "\"seq\":5", "\"seq\":6");
    expect(run_damaged(), damage::edited, 5);
}

TEST_F(verify, a_deleted_line_is_found) {
    lines.erase(lines.begin() + 5);
    expect(run_damaged(), damage::deleted, 6);
}

TEST_F(verify, several_deleted_lines_are_counted) {
    lines.erase(lines.begin() + 3, lines.begin() + 6);
    const auto r = run_damaged();
    expect(r, damage::deleted, 4);
    EXPECT_NE(r.text.find("3 lines"), std::string::npos) << r.text;
}

TEST_F(verify, the_deleted_first_line_is_found) {
    lines.erase(lines.begin());
    expect(run_damaged(), damage::deleted, 1);
}

TEST_F(verify, two_swapped_neighbours_are_found) {
    std::swap(lines[5], lines[6]);
    expect(run_damaged(), damage::swapped, 6);
}

TEST_F(verify, two_swapped_lines_far_apart_are_found) {
    std::swap(lines[2], lines[7]);
    expect(run_damaged(), damage::swapped, 3);
}

TEST_F(verify, an_inserted_copy_is_found) {
    lines.insert(lines.begin() + 8, lines[3]);
    expect(run_damaged(), damage::inserted, 9);
}

TEST_F(verify, a_line_doubled_in_place_is_found) {
    lines.insert(lines.begin() + 4, lines[3]);
    expect(run_damaged(), damage::inserted, 5);
}

TEST_F(verify, inserted_garbage_is_found) {
    lines.insert(lines.begin() + 4, "{}");
    expect(run_damaged(), damage::inserted, 5);
}

TEST_F(verify, an_inserted_forgery_with_the_right_number_and_hash_is_found) {
    std::string forged;
    encode_line(forged, numbered(99), 5, hash_line(lines[3]));
    lines.insert(lines.begin() + 4, forged);
    expect(run_damaged(), damage::inserted, 5);
}

TEST_F(verify, a_chain_written_anew_fails_at_the_next_signature) {
    edit(4, "alice", "carol");
    rechain(5);
    const auto at = lines[11].find("\"head\":\"") + 8;
    lines[11].replace(at, 64, hash_line(lines[10]));
    expect(run_damaged(), damage::bad_signature, 12);
}

TEST_F(verify, a_damaged_signature_is_found) {
    const auto at = lines[11].find("\"signature\":\"") + 13;
    lines[11][at] = lines[11][at] == 'A' ? 'B' : 'A';
    expect(run_damaged(), damage::bad_signature, 12);
}

TEST_F(verify, another_key_is_not_accepted) {
    temporary_directory other;
    make_log(other, 1);
    const auto r = verify_directory(d.log(), read_text(other.key() + ".pub"));
    expect(r, damage::bad_signature, 1);
}

TEST_F(verify, a_cut_tail_is_found_against_the_signed_checkpoint_beside_it) {
    lines.resize(8);
    expect(run_damaged(), damage::cut_tail, 8);
}

TEST_F(verify, a_cut_tail_is_found_against_a_head_kept_elsewhere) {
    const auto head = run().head;
    lines.resize(8);
    std::filesystem::remove(d.log() + "/" + head_file_name);
    verify_options o;
    o.expected_head = head;
    expect(run_damaged(o), damage::cut_tail, 8);
}

TEST_F(verify, a_cut_tail_without_any_head_is_only_noted) {
    lines.resize(8);
    std::filesystem::remove(d.log() + "/" + head_file_name);
    const auto r = run_damaged();
    EXPECT_TRUE(r.ok());
    EXPECT_EQ(r.signed_through, 0u);  // the one signature left vouches for nothing of it
    EXPECT_NE(r.note, "");
}

TEST_F(verify, a_tail_written_anew_is_found_against_a_head_kept_elsewhere) {
    verify_options o;
    o.expected_head = known_head{9, hash_line(lines[8])};
    lines.resize(11);
    edit(5, "alice", "carol");
    rechain(6);
    std::filesystem::remove(d.log() + "/" + head_file_name);
    expect(run_damaged(o), damage::edited, 9);
}

TEST_F(verify, a_torn_last_line_is_named) {
    write_text(file(), joined(lines) + "{\"seq\":13,\"pr");
    expect(run(), damage::torn_line, 13);
}

TEST_F(verify, an_endless_line_is_named_and_not_held_in_memory) {
    write_text(file(), joined(lines) + std::string(line_bytes_max + 10, 'x'));
    expect(run(), damage::line_too_long, 13);
}

TEST_F(verify, an_empty_directory_is_no_log) {
    std::filesystem::remove(file());
    EXPECT_EQ(run().what, damage::unreadable);
}

TEST_F(verify, a_directory_that_is_not_there_is_unreadable) {
    const auto r = verify_directory(d.path() + "/none", read_text(d.key() + ".pub"));
    EXPECT_EQ(r.what, damage::unreadable);
}

TEST_F(verify, a_text_that_is_no_key_is_refused) {
    EXPECT_THROW((void)verify_directory(d.log(), "not a key"), std::runtime_error);
}

TEST(verify_segments, a_missing_file_is_found_and_an_archived_front_can_be_allowed) {
    temporary_directory d;
    {
        auto o = options_for(d);
        o.segment_bytes_max = 2000;
        log l(o);
        for (int i = 0; i < 40; ++i)
            ASSERT_FALSE(append_and_wait(l, numbered(i)).error);
    }
    const auto segments = list_segments(d.log());
    ASSERT_GE(segments.size(), 4u);
    const auto key = read_text(d.key() + ".pub");
    EXPECT_TRUE(verify_directory(d.log(), key).ok());
    for (const auto& s : segments)
        EXPECT_NE(lines_of(read_text(d.log() + "/" + s.name)).front().find("\"checkpoint\""),
                  std::string::npos);

    std::filesystem::rename(d.log() + "/" + segments[0].name, d.path() + "/first");
    auto r = verify_directory(d.log(), key);
    EXPECT_EQ(r.what, damage::missing_segment);
    EXPECT_EQ(r.file, segments[0].name);
    verify_options later;
    later.may_start_later = true;
    EXPECT_TRUE(verify_directory(d.log(), key, later).ok());

    std::filesystem::rename(d.path() + "/first", d.log() + "/" + segments[0].name);
    std::filesystem::rename(d.log() + "/" + segments[2].name, d.path() + "/third");
    r = verify_directory(d.log(), key);
    EXPECT_EQ(r.what, damage::missing_segment);
    EXPECT_EQ(r.file, segments[2].name);

    std::filesystem::rename(d.path() + "/third", d.log() + "/" + segments[2].name);
    std::filesystem::remove(d.log() + "/" + segments.back().name);
    EXPECT_EQ(verify_directory(d.log(), key).what, damage::cut_tail);
}

/// Files damaged by hand; their names say the damage and the line.
TEST(verify_golden, each_damaged_file_is_reported_as_its_name_says) {
    const std::string data = std::string(SALLYPORT_SOURCE_DIR) + "/tests/data/audit";
    const auto key = read_text(data + "/audit.key.pub");
    int files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(data)) {
        const auto name = entry.path().filename().string();
        if (!name.ends_with(".bin")) continue;
        ++files;
        temporary_directory d;
        std::filesystem::create_directory(d.log());
        std::filesystem::copy_file(entry.path(), d.log() + "/" + segment_name(1));
        std::filesystem::copy_file(data + "/" + head_file_name, d.log() + "/" + head_file_name);
        const auto r = verify_directory(d.log(), key);
        const auto found = std::string(to_string(r.what)) + "-line-" + std::to_string(r.line);
        EXPECT_EQ(name, found + ".bin") << r.text;
    }
    EXPECT_GE(files, 9);
}

TEST(verify_damage, every_value_has_a_name) {
    for (int i = 0; i <= static_cast<int>(damage::line_too_long); ++i)
        EXPECT_STRNE(to_string(static_cast<damage>(i)), "unknown");
}

}  // namespace
}  // namespace sallyport::proxy::audit
