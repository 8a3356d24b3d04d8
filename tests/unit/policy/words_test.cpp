#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "policy/commands.h"
#include "policy/hold.h"
#include "policy/opt_out.h"
#include "policy/yaml_reader.h"

namespace sallyport::policy {
namespace {

using namespace std::chrono_literals;

TEST(durations, each_unit_is_read) {
    EXPECT_EQ(parse_duration("500ms"), 500ms);
    EXPECT_EQ(parse_duration("15s"), 15s);
    EXPECT_EQ(parse_duration("30m"), 30min);
    EXPECT_EQ(parse_duration("4h"), 4h);
    EXPECT_EQ(parse_duration("7d"), 168h);
    EXPECT_EQ(parse_duration("1h30m"), 90min);
}

TEST(durations, what_is_no_duration_is_refused) {
    for (const char* text : {"", "0s", "-5m", "5", "m", "5 m", "5x", "1m1h", "1m1m", "1.5h", "+5m",
                             "99999999999999999999d", "3651d", "5mm", " 5m", "5m "})
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
}

TEST(durations, written_form_reads_back) {
    for (const std::int64_t ms :
         {1LL, 999LL, 1000LL, 61'000LL, 5'400'000LL, 86'400'000LL, 90'061'001LL})
        EXPECT_EQ(parse_duration(format_duration(milliseconds(ms))), milliseconds(ms)) << ms;
    EXPECT_EQ(format_duration(90min), "1h30m");
    EXPECT_EQ(format_duration(0s), "0s");
    EXPECT_EQ(format_duration(-1500ms), "-1s500ms");
    EXPECT_FALSE(format_duration(milliseconds(std::numeric_limits<std::int64_t>::min())).empty());
}

TEST(nearest_word, slips_are_found_and_strangers_are_not) {
    const std::vector<std::string> known{"effect", "hold", "opt_out", "tier", "users"};

    EXPECT_EQ(nearest("efect", known), "effect");
    EXPECT_EQ(nearest("hodl", known), "hold");
    EXPECT_EQ(nearest("opt-out", known), "opt_out");
    EXPECT_EQ(nearest("colour", known), "");
    EXPECT_EQ(nearest("", known), "");
    EXPECT_EQ(nearest(std::string(100'000, 'x'), known), "");
}

TEST(kinds, every_kind_has_a_spelling_that_reads_back) {
    for (std::size_t i = 0; i < kind_count; ++i) {
        const auto k = static_cast<kind>(i);
        kind back = kind::count_;

        ASSERT_TRUE(parse_kind(to_string(k), back)) << i;
        EXPECT_EQ(back, k);
        EXPECT_EQ(to_string(k).find('_'), std::string_view::npos);
    }
    kind k{};
    EXPECT_FALSE(parse_kind("copy_program", k));
    EXPECT_FALSE(parse_kind("", k));
}

TEST(commands, each_is_found_by_its_text) {
    for (const auto& w : all_commands()) {
        EXPECT_EQ(find_command(w.text), &w);
        EXPECT_NE(w.natural, 0U) << w.text;
    }
    EXPECT_EQ(find_command("SELECT"), nullptr);
    EXPECT_EQ(find_command(""), nullptr);
    EXPECT_EQ(find_command("zzz"), nullptr);
}

TEST(commands, no_command_allows_what_reaches_beyond_the_database) {
    for (const auto& w : all_commands())
        EXPECT_EQ(
            w.natural & (bit(kind::opaque) | bit(kind::server_file) | bit(kind::copy_program) |
                         bit(kind::session_identity) | bit(kind::replication)),
            0U)
            << w.text;
}

template <class E, class Parse>
void names_read_back(std::size_t count, Parse parse) {
    for (std::size_t i = 0; i < count; ++i) {
        E back{};
        ASSERT_TRUE(parse(to_string(static_cast<E>(i)), back)) << i;
        EXPECT_EQ(back, static_cast<E>(i));
    }
    E none{};
    EXPECT_FALSE(parse("unknown", none));
    EXPECT_FALSE(parse("", none));
}

TEST(states, names_of_every_state_and_scope_read_back) {
    names_read_back<opt_out_state>(8, parse_opt_out_state);
    names_read_back<hold_state>(5, parse_hold_state);
    names_read_back<pass_scope>(4, parse_pass_scope);
    EXPECT_STREQ(to_string(effect::hold), "hold");
    EXPECT_STREQ(to_string(hold_kind::session), "session");
}

TEST(states, hold_ends_exactly_once) {
    for (int from = 0; from < 5; ++from)
        for (int to = 0; to < 5; ++to)
            EXPECT_EQ(is_legal(static_cast<hold_state>(from), static_cast<hold_state>(to)),
                      from == 0 && to != 0)
                << from << " → " << to;
}

TEST(states, ended_opt_out_never_changes_again) {
    using st = opt_out_state;
    for (int from = 0; from < 8; ++from)
        for (int to = 0; to < 8; ++to) {
            const auto f = static_cast<st>(from);
            const auto t = static_cast<st>(to);
            const bool decided =
                t == st::active || t == st::denied || t == st::withdrawn || t == st::lapsed;
            const bool ended = t == st::expired || t == st::revoked || t == st::used_up;
            EXPECT_EQ(is_legal(f, t), (f == st::requested && decided) || (f == st::active && ended))
                << to_string(f) << " → " << to_string(t);
        }
}

}  // namespace
}  // namespace sallyport::policy
