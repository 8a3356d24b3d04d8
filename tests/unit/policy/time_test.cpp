#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "policy/loader.h"
#include "policy/rule.h"
#include "policy/time_zone.h"
#include "tests/unit/policy/files.h"

namespace sallyport::policy {
namespace {

time_zone_ptr zone(const std::string& name) {
    std::string why;
    auto z = load_time_zone(name, why);
    EXPECT_TRUE(z) << why;
    return z;
}

instant at(const std::string& text) {
    const auto i = parse_instant(text);
    EXPECT_TRUE(i) << text;
    return i.value_or(instant());
}

truth inside(const std::string& hours, const std::string& zone_name, const std::string& when) {
    time_window w;
    std::string why;
    EXPECT_TRUE(parse_time_window(hours, w, why)) << why;
    w.rules = zone(zone_name);
    return is_inside(w, at(when));
}

TEST(instants, only_complete_rfc_3339_is_read) {
    EXPECT_EQ(at("1970-01-01T00:00:00Z").time_since_epoch().count(), 0);
    EXPECT_EQ(at("2026-03-29T01:00:00+01:00"), at("2026-03-29T00:00Z"));
    EXPECT_EQ(at("2026-03-28T22:30:00-01:30"), at("2026-03-29T00:00:00Z"));
    for (const char* text :
         {"", "2026-03-29", "2026-03-29T10:00", "2026-02-30T10:00Z", "2026-03-29T24:00Z",
          "2026-03-29 10:00Z", "2026-03-29T10:00:00z", "2026-03-29T10:60Z", "2026-03-29T10:00:00Zx",
          "2026-03-29T10:00+1:00", "2026-13-01T00:00Z"})
        EXPECT_FALSE(parse_instant(text)) << text;
}

TEST(time_zones, berlin_changes_at_one_o_clock_utc) {
    const auto z = zone("Europe/Berlin");

    EXPECT_EQ(z->offset_s(at("2026-03-29T00:59:59Z")), 3600);
    EXPECT_EQ(z->offset_s(at("2026-03-29T01:00:00Z")), 7200);
    EXPECT_EQ(z->offset_s(at("2026-10-25T00:59:59Z")), 7200);
    EXPECT_EQ(z->offset_s(at("2026-10-25T01:00:00Z")), 3600);
    EXPECT_EQ(z->offset_s(at("1945-06-01T00:00:00Z")), 3 * 3600);  // double summer time
}

TEST(time_zones, footer_carries_on_behind_the_last_transition) {
    const auto z = zone("Europe/Berlin");

    EXPECT_EQ(z->offset_s(at("2090-03-26T00:59:59Z")), 3600);
    EXPECT_EQ(z->offset_s(at("2090-03-26T01:00:00Z")), 7200);
    EXPECT_EQ(z->offset_s(at("2090-12-31T23:59:59Z")), 3600);
    EXPECT_EQ(zone("Australia/Sydney")->offset_s(at("2090-01-15T00:00:00Z")), 11 * 3600);
    EXPECT_EQ(zone("Australia/Sydney")->offset_s(at("2090-07-15T00:00:00Z")), 10 * 3600);
    EXPECT_EQ(zone("Asia/Kolkata")->offset_s(at("2090-07-15T00:00:00Z")), 19800);
    EXPECT_EQ(zone("UTC")->offset_s(at("2090-07-15T00:00:00Z")), 0);
}

TEST(time_zones, footers_of_all_forms_are_read) {
    EXPECT_TRUE(parse_tz_footer("CET-1CEST,M3.5.0,M10.5.0/3"));
    EXPECT_TRUE(parse_tz_footer("<-03>3"));
    EXPECT_TRUE(parse_tz_footer("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"));
    EXPECT_TRUE(parse_tz_footer("IST-2IDT,M3.4.4/26,M10.5.0"));
    EXPECT_TRUE(parse_tz_footer("XXX20YYY,J60,J300/-2"));
    EXPECT_EQ(parse_tz_footer("EST5EDT,M3.2.0,M11.1.0")->daylight_offset_s, -4 * 3600);
    for (const char* text : {"", "X", "CET", "CET-1CEST", "CET-1CEST,M13.5.0,M10.5.0", "CET-1x",
                             "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0",
                             "CET-1CEST,J0,J1", "CET-1CEST,M3.5.0", "<CET-1", "CET-999"})
        EXPECT_FALSE(parse_tz_footer(text)) << text;
}

TEST(time_zones, every_cut_and_every_changed_byte_of_a_file_is_survived) {
    const auto whole = tests::read_text("/usr/share/zoneinfo/Europe/Berlin");
    ASSERT_TRUE(time_zone::parse(whole));

    for (std::size_t n = 0; n < whole.size(); ++n)
        EXPECT_FALSE(time_zone::parse(std::string_view(whole).substr(0, n))) << n;
    for (std::size_t n = 0; n < whole.size(); ++n) {
        auto damaged = whole;
        damaged[n] = static_cast<char>(damaged[n] ^ 0xff);
        if (const auto z = time_zone::parse(damaged)) {
            const auto offset = z->offset_s(at("2026-06-01T00:00:00Z"));
            EXPECT_LE(std::abs(offset), 27 * 3600 + 167 * 3600);
        }
    }
}

TEST(time_zones, names_that_leave_the_database_are_refused) {
    for (const char* name : {"", "/etc/passwd", "../../etc/passwd", "Europe/", "Europe/Nowhere",
                             "Europe", "Europe/Berlin\n", "zone.tab", "UTC "}) {
        std::string why;
        EXPECT_FALSE(load_time_zone(name, why)) << name;
        EXPECT_FALSE(why.empty());
    }
}

TEST(time_windows, office_hours_follow_the_local_clock_across_the_change_to_summer_time) {
    const char* office = "Mon-Fri 08:00-18:00";
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-27T07:00:00Z"),
              truth::yes);  // Friday, 08:00
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-27T06:59:59Z"), truth::no);
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-30T06:00:00Z"),
              truth::yes);  // Monday, 08:00
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-30T05:59:59Z"), truth::no);
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-30T15:59:59Z"), truth::yes);
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-30T16:00:00Z"), truth::no);
    EXPECT_EQ(inside(office, "Europe/Berlin", "2026-03-28T10:00:00Z"), truth::no);  // Saturday
}

TEST(time_windows, hour_that_comes_twice_is_inside_twice) {
    const char* night = "Sun 02:00-03:00";
    EXPECT_EQ(inside(night, "Europe/Berlin", "2026-10-25T00:30:00Z"), truth::yes);
    EXPECT_EQ(inside(night, "Europe/Berlin", "2026-10-25T01:30:00Z"), truth::yes);
    EXPECT_EQ(inside(night, "Europe/Berlin", "2026-10-25T02:00:00Z"), truth::no);
}

TEST(time_windows, hour_that_is_skipped_is_never_inside) {
    const char* night = "Sun 02:00-03:00";
    EXPECT_EQ(inside(night, "Europe/Berlin", "2026-03-29T00:59:59Z"), truth::no);
    EXPECT_EQ(inside(night, "Europe/Berlin", "2026-03-29T01:00:00Z"), truth::no);
}

TEST(time_windows, night_belongs_to_the_day_on_which_it_begins) {
    const char* night = "Fri 22:00-06:00";
    EXPECT_EQ(inside(night, "UTC", "2026-03-27T21:59:59Z"), truth::no);
    EXPECT_EQ(inside(night, "UTC", "2026-03-27T22:00:00Z"), truth::yes);
    EXPECT_EQ(inside(night, "UTC", "2026-03-28T05:59:59Z"), truth::yes);
    EXPECT_EQ(inside(night, "UTC", "2026-03-28T06:00:00Z"), truth::no);
    EXPECT_EQ(inside(night, "UTC", "2026-03-27T05:00:00Z"), truth::no);
    EXPECT_EQ(inside("Sun 22:00-06:00", "UTC", "2026-03-30T01:00:00Z"), truth::yes);
}

TEST(time_windows, days_lists_and_whole_days_are_read) {
    EXPECT_EQ(inside("Fri-Mon", "UTC", "2026-03-29T12:00:00Z"), truth::yes);
    EXPECT_EQ(inside("Fri-Mon", "UTC", "2026-03-31T12:00:00Z"), truth::no);
    EXPECT_EQ(inside("Sat, Sun 00:00-24:00", "UTC", "2026-03-29T23:59:59Z"), truth::yes);
    EXPECT_EQ(inside("00:00-24:00", "UTC", "2026-03-31T00:00:00Z"), truth::yes);
}

TEST(time_windows, zone_without_rules_is_unknown) {
    time_window w;
    std::string why;
    ASSERT_TRUE(parse_time_window("00:00-24:00", w, why));

    EXPECT_EQ(is_inside(w, at("2026-03-29T00:00Z")), truth::unknown);
}

TEST(time_windows, malformed_hours_are_refused_with_a_reason) {
    for (const char* text :
         {"", " ", "8-18", "Mon-", "Mon,,Tue", "Montag 08:00-09:00", "08:00", "24:00-08:00",
          "08:00-00:00", "08:60-09:00", "08:00-09:00 Mon", "08:00 - 09:00 x"}) {
        time_window w;
        std::string why;
        EXPECT_FALSE(parse_time_window(text, w, why)) << text;
        EXPECT_FALSE(why.empty()) << text;
    }
}

}  // namespace
}  // namespace sallyport::policy
