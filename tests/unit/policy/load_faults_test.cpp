#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/load.h"
#include "tests/unit/policy/files.h"

namespace sallyport::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using tests::data_files;
using tests::known_people;
using tests::read_text;

std::vector<std::string> lines_of(const std::vector<fault>& faults) {
    std::vector<std::string> out;
    for (const auto& f : faults) {
        out.push_back(std::to_string(f.line) + ":" + std::to_string(f.column) + ": " + f.what);
        EXPECT_EQ(to_string(f), f.file + ":" + out.back());
    }
    return out;
}

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
        out.push_back(line);
    return out;
}

TEST(load_faults, every_fault_of_a_file_is_reported_at_its_place) {
    const auto files = data_files("policy/faults", ".yaml");
    ASSERT_GE(files.size(), 12U);

    for (const auto& path : files) {
        const auto loaded = load_policy(path, known_people());

        auto golden = path;
        golden.replace_extension(".faults");
        EXPECT_EQ(lines_of(loaded.faults), split(read_text(golden))) << path;
        EXPECT_EQ(loaded.rules, nullptr) << path;
    }
}

std::vector<std::string> faults_of(const std::string& text) {
    return lines_of(load_policy_text(text, "p.yaml", {}).faults);
}

TEST(load_faults, missing_file_is_one_fault_that_names_it) {
    const auto loaded = load_policy("/nowhere/policy.yaml", {});

    ASSERT_EQ(loaded.faults.size(), 1U);
    EXPECT_THAT(to_string(loaded.faults[0]), HasSubstr("/nowhere/policy.yaml:1:1: cannot be read"));
}

TEST(load_faults, folder_in_place_of_a_file_is_a_fault) {
    EXPECT_EQ(load_policy("/tmp", {}).faults.size(), 1U);
}

TEST(load_faults, empty_text_is_a_fault) {
    EXPECT_EQ(faults_of("").size(), 1U);
    EXPECT_EQ(faults_of("# only a comment\n").size(), 1U);
    EXPECT_EQ(faults_of("~\n").size(), 1U);
}

TEST(load_faults, languages_that_can_do_anything_are_not_harmless) {
    const std::string head = "version: 1\ndefault: allow\nopaque: allow\n";

    EXPECT_THAT(faults_of(head + "harmless: { languages: [plperl], extensions: [ip4r], functions: "
                                 "[public.slug], foreign_servers: [archive] }\n"),
                testing::IsEmpty());
    EXPECT_THAT(faults_of(head + "harmless: { languages: [c] }\n"),
                ElementsAre(HasSubstr("the language c is nothing to be trusted as a whole")));
    EXPECT_THAT(faults_of(head + "harmless: { functions: [slug] }\n"),
                ElementsAre(HasSubstr("'slug' must be schema.function")));
    EXPECT_THAT(faults_of(head + "harmless: { language: [plperl] }\n"),
                ElementsAre(HasSubstr("did you mean languages?")));
}

TEST(load_faults, nul_byte_is_reported_at_its_place) {
    const std::string text("version: 1\ndefault: al\0low\n", 27);

    EXPECT_THAT(faults_of(text), ElementsAre("2:12: a NUL byte is not accepted here"));
}

TEST(load_faults, bytes_that_are_not_utf8_are_reported_at_their_place) {
    EXPECT_THAT(faults_of("version: 1\n\xff"), ElementsAre("2:1: this byte is not UTF-8"));
    EXPECT_THAT(faults_of("a: \xc0\xaf"), ElementsAre("1:4: this byte is not UTF-8"));
    EXPECT_THAT(faults_of("a: \xed\xa0\x80"), ElementsAre("1:4: this byte is not UTF-8"));
    EXPECT_THAT(faults_of("\xfe\xff"), ElementsAre("1:1: this byte is not UTF-8"));
}

TEST(load_faults, control_character_behind_an_escape_is_a_fault) {
    EXPECT_THAT(faults_of("version: 1\ndefault: allow\nrules:\n"
                          "  - { id: a, effect: deny, do: [ddl], message: \"x\\x1b[2J\" }\n"),
                ElementsAre("4:48: 'message' has a control character"));
    EXPECT_EQ(faults_of("version: 1\ndefault: allow\nrules:\n"
                        "  - { id: \"a\\0\", effect: deny, do: [ddl] }\n")
                  .size(),
              1U);
}

TEST(load_faults, too_long_file_is_refused_before_it_is_parsed) {
    const std::string text = "version: 1\n" + std::string(8U << 20U, '#');

    EXPECT_THAT(faults_of(text), ElementsAre("1:1: the file is longer than 8388608 bytes"));
}

TEST(load_faults, towers_of_brackets_are_refused) {
    for (const std::string open : {"[", "{", "{a: ", "[[]", "- "}) {
        std::string text;
        while (text.size() + open.size() < (1U << 20U))
            text += open;

        EXPECT_EQ(faults_of(text).size(), 1U) << open;
    }
}

TEST(load_faults, deep_nesting_is_reported_where_it_is_too_deep) {
    const std::string text = "version: " + std::string(40, '[') + std::string(40, ']') + "\n";

    EXPECT_THAT(faults_of(text), ElementsAre("1:41: maps and lists are nested too deeply"));
}

TEST(load_faults, too_many_values_are_refused) {
    std::string text = "version: [";
    for (int i = 0; i < 1'000'001; ++i)
        text += "1,";
    text += "1]";

    const auto found = faults_of(text);

    ASSERT_EQ(found.size(), 1U);
    EXPECT_THAT(found[0], HasSubstr("too many values"));
}

TEST(load_faults, report_is_bounded) {
    std::string text = "version: 1\ndefault: allow\nrules:\n";
    for (int i = 0; i < 1000; ++i)
        text += "  - 1\n";

    EXPECT_LE(faults_of(text).size(), 200U);
}

TEST(load_faults, alias_bomb_is_refused_at_its_first_anchor) {
    std::string text = "a: &a [x,x,x,x,x,x,x,x,x]\n";
    for (char c = 'b'; c < 'z'; ++c) {
        text += std::string(1, c) + ": &" + c + " [";
        for (int i = 0; i < 9; ++i)
            text += std::string("*") + static_cast<char>(c - 1) + ",";
        text += "]\n";
    }

    EXPECT_THAT(faults_of(text), ElementsAre("1:4: anchors (&name) are not accepted here"));
}

TEST(load_faults, unstaffed_is_not_judged_without_a_users_file) {
    const auto loaded = load_policy_text(
        "version: 1\ndefault: allow\nrules:\n"
        "  - { id: a, effect: hold, do: [ddl], hold: { approvers: { groups: [nobody] } } }\n",
        "p.yaml", {});

    EXPECT_TRUE(loaded.faults.empty());
    EXPECT_NE(loaded.rules, nullptr);
}

}  // namespace
}  // namespace sallyport::policy
