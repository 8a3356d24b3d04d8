#include "proxy/audit/story.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "proxy/audit/keys.h"
#include "tests/unit/audit/support.h"

namespace sallyport::proxy::audit {
namespace {

using namespace testing;

const auto later = std::chrono::steady_clock::time_point::max();
constexpr story_subject hold_seven{story_subject::kind::hold, 7};

record of(const char* event, std::initializer_list<std::pair<std::string, std::string>> fields) {
    record r;
    r.event = event;
    r.at = policy::instant(std::chrono::milliseconds(1'767'225'600'000));
    r.fields = fields;
    return r;
}

class stories : public ::testing::Test {
  protected:
    void SetUp() override {
        auto o = options_for(d);
        o.checkpoint_records = 5;
        log l(o);
        const auto add = [&](record r) { (void)append_and_wait(l, std::move(r)); };
        for (int i = 1; i <= 12; ++i)
            add(numbered(i));
        add(of("hold.opened", {{"hold", "7"}, {"user", "alice"}}));
        add(of("hold.opened", {{"hold", "77"}, {"user", "erin"}}));
        add(of("hold.vote", {{"hold", "7"}, {"voter", "bob"}, {"vote", "approve"}}));
        add(of("admin.action", {{"action", "hold.approve"}, {"id", "7"}, {"user", "bob"}}));
        add(of("admin.action", {{"action", "opt_out.approve"}, {"id", "7"}, {"user", "bob"}}));
        for (int i = 21; i <= 33; ++i)
            add(numbered(i));
        add(of("hold.approved", {{"hold", "7"}, {"pass", "4"}}));
        add(of("hold.released", {{"hold", "7"}, {"user", "alice"}}));
        for (int i = 41; i <= 52; ++i)
            add(numbered(i));
        add(of("decision.observed", {{"pass", "2, 4"}, {"user", "alice"}}));
        add(of("decision.observed", {{"pass", "44"}, {"user", "alice"}}));
        add(of("bypass", {{"opt_out", "3, 7"}, {"user", "alice"}}));
        add(of("opt_out.requested", {{"opt_out", "8"}, {"extends", "7"}}));
    }
    [[nodiscard]] std::string bundle(const story_subject& s = hold_seven) const {
        const auto key = signing_key::load_or_create(d.key());
        return make_bundle(
            d.log(), s, policy::instant(std::chrono::seconds(1'767'225'700)), key.id(),
            [&](std::string_view m) { return key.sign(m); }, later);
    }
    [[nodiscard]] std::string pem() const { return read_text(d.key() + ".pub"); }
    [[nodiscard]] static std::string events(const std::vector<parsed_line>& lines) {
        std::string out;
        for (const auto& line : lines)
            out += (out.empty() ? "" : " ") + line.event;
        return out;
    }
    temporary_directory d;
};

constexpr const char* of_hold_seven =
    "hold.opened hold.vote admin.action hold.approved hold.released decision.observed";

TEST_F(stories, hold_is_told_from_request_to_the_uses_of_its_pass_and_nothing_of_others) {
    const auto told = read_story(d.log(), hold_seven, later);

    EXPECT_EQ(events(told.records), of_hold_seven);
    EXPECT_FALSE(told.cut);
}

TEST_F(stories, opt_out_is_told_with_its_uses_and_extensions) {
    const auto told = read_story(d.log(), {story_subject::kind::opt_out, 7}, later);

    EXPECT_EQ(events(told.records), "admin.action bypass opt_out.requested");
}

TEST_F(stories, bundle_verifies_with_the_public_key_alone) {
    const auto report = verify_bundle(bundle(), pem());

    EXPECT_EQ(report.fault, "");
    EXPECT_EQ(events(report.records), of_hold_seven);
    EXPECT_EQ(report.subject, hold_seven);
    EXPECT_GT(report.lines, report.records.size()) << "lines between lead to signatures";
}

TEST_F(stories, nothing_to_tell_is_an_empty_bundle) {
    EXPECT_EQ(bundle({story_subject::kind::hold, 1000}), "");
}

TEST_F(stories, bundle_of_a_log_that_goes_on_ends_at_the_head_that_it_signs) {
    auto o = options_for(d);
    o.checkpoint_records = 1000;
    log l(o);
    (void)append_and_wait(l, of("hold.opened", {{"hold", "9"}, {"user", "alice"}}));
    (void)append_and_wait(l, numbered(60));

    const auto report = verify_bundle(bundle({story_subject::kind::hold, 9}), pem());

    EXPECT_EQ(report.fault, "");
    EXPECT_EQ(events(report.records), "hold.opened");
    EXPECT_EQ(report.head_sequence, l.head().sequence);
    EXPECT_EQ(report.head_hash, l.head().hash);
}

TEST_F(stories, every_changed_byte_of_a_bundle_is_found) {
    const auto good = bundle();
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto bad = good;
        bad[i] = bad[i] == '0' ? '1' : '0';
        if (bad == good) continue;
        EXPECT_NE(verify_bundle(bad, pem()).fault, "") << "byte " << i << " of " << good.size();
    }
}

TEST_F(stories, every_missing_doubled_or_swapped_line_is_found) {
    const auto good = lines_of(bundle());
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto cut = good;
        cut.erase(cut.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_NE(verify_bundle(joined(cut), pem()).fault, "") << "without line " << i;
        auto twice = good;
        twice.insert(twice.begin() + static_cast<std::ptrdiff_t>(i), good[i]);
        EXPECT_NE(verify_bundle(joined(twice), pem()).fault, "") << "line " << i << " twice";
        if (i + 1 == good.size()) continue;
        auto swapped = good;
        std::swap(swapped[i], swapped[i + 1]);
        EXPECT_NE(verify_bundle(joined(swapped), pem()).fault, "") << "line " << i << " swapped";
    }
    for (std::size_t n = 1; n < good.size(); ++n) {
        const std::vector<std::string> front(good.begin(),
                                             good.begin() + static_cast<std::ptrdiff_t>(n));
        EXPECT_NE(verify_bundle(joined(front), pem()).fault, "") << "the first " << n << " lines";
    }
}

// Whoever has a bundle but no key writes a record anew, with every hash behind it.
TEST_F(stories, forged_record_with_recomputed_hashes_leads_to_no_signature) {
    auto lines = lines_of(bundle());
    std::string prev;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const auto was = lines[i];
        const auto at = lines[i].find("\"voter\":\"bob\"");
        if (at != std::string::npos) lines[i].replace(at, 13, "\"voter\":\"eve\"");
        const auto field = lines[i].find("\"prev\":\"") + 8;
        if (!prev.empty()) lines[i].replace(field, 64, prev);
        prev = lines[i] == was ? std::string() : hash_line(lines[i]);
    }

    EXPECT_NE(verify_bundle(joined(lines), pem()).fault, "");
}

// The story's numbers are signed: leaving out the vote that denied would need the key.
TEST_F(stories, story_with_less_in_it_is_not_what_was_signed) {
    auto lines = lines_of(bundle());
    auto header = nlohmann::ordered_json::parse(lines[0]);
    header["story"].erase(1);
    lines[0] = header.dump();

    EXPECT_EQ(verify_bundle(joined(lines), pem()).fault,
              "its first line was not signed as it stands here");
}

// The parts of what is signed stand line by line: no part may swallow the next.
TEST_F(stories, signed_parts_cannot_be_shifted_into_each_other) {
    auto lines = lines_of(bundle());
    auto header = nlohmann::ordered_json::parse(lines[0]);
    const auto story = header["story"];
    header["made_at"] = header["made_at"].get<std::string>() + "\n" + header["head_seq"].dump() +
                        "\n" + header["head"].get<std::string>();
    header["head_seq"] = story[0];
    header["head"] = story[1].dump();
    header["story"].erase(0);
    header["story"].erase(0);
    lines[0] = header.dump();

    EXPECT_EQ(verify_bundle(joined(lines), pem()).fault, "its first line has no time or no head");
}

TEST_F(stories, another_key_is_said_to_be_another) {
    const temporary_directory other;
    make_log(other, 1);

    EXPECT_EQ(verify_bundle(bundle(), read_text(other.key() + ".pub")).fault,
              "its first line is signed by another key");
}

TEST_F(stories, hostile_first_lines_are_refused_without_harm) {
    for (const std::string text :
         {"", "\n", "{}\n", "[]\n", "null\n", "{\"bundle\":7}\n", "\xff\xfe\n",
          "{\"bundle\":\"sallyport audit bundle 1\"}\n",
          "{\"bundle\":\"sallyport audit bundle 1\",\"about\":\"hold -1\",\"made_at\":\"\","
          "\"head\":\"\",\"key\":\"\",\"signature\":\"\",\"head_seq\":1,\"story\":[1]}\n"})
        EXPECT_NE(verify_bundle(text, pem()).fault, "") << text;
    EXPECT_NE(verify_bundle(std::string(100'000, '['), pem()).fault, "");
}

TEST_F(stories, damaged_log_gives_no_bundle) {
    const auto path = d.log() + "/audit-000001.jsonl";
    auto lines = lines_of(read_text(path));
    lines[3] = "not a line";
    write_text(path, joined(lines));

    EXPECT_THROW(static_cast<void>(bundle()), std::runtime_error);
}

TEST_F(stories, time_that_has_run_out_ends_a_long_reading) {
    const temporary_directory long_one;
    make_log(long_one, 3000);

    EXPECT_THROW(static_cast<void>(read_story(long_one.log(), hold_seven,
                                              std::chrono::steady_clock::time_point::min())),
                 std::runtime_error);
}

}  // namespace
}  // namespace sallyport::proxy::audit
