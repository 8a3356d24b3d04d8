#include <gtest/gtest.h>

#include "tests/unit/house/sources.h"

namespace sallyport::tests::house {
namespace {

std::vector<std::string> faults_of(const std::string& path, const std::string& text) {
    return form_faults(source_of(path, text));
}

TEST(tidy, every_file_keeps_the_form_of_the_house) {
    const auto files = read_sources({"protocol", "policy", "proxy", "tests", "bench", "config"},
                                    {".h", ".cpp", ".sh", ".yaml", ".ts", ".tsx", ".md"});
    ASSERT_FALSE(files.empty());

    for (const auto& file : files) {
        for (const auto& fault : form_faults(file))
            ADD_FAILURE() << fault;
    }
}

TEST(tidy, unfinished_work_is_found) {
    const auto faults = faults_of("policy/x.cpp",
                                  "int f();  // TO"
                                  "DO: later\n");

    ASSERT_EQ(faults.size(), 1u);
    EXPECT_EQ(faults[0].rfind("policy/x.cpp:1: ", 0), 0u) << faults[0];
}

TEST(tidy, sleeping_unit_test_is_found_and_end_to_end_is_not_judged) {
    const std::string text =
        "std::this_thread::sle"
        "ep_for(1s);\n";

    EXPECT_EQ(faults_of("tests/unit/x.cpp", text).size(), 1u);
    EXPECT_EQ(faults_of("tests/e2e/x.cpp", text).size(), 0u);
}

TEST(tidy, comparison_that_tells_by_its_time_is_found_where_secrets_are) {
    const std::string text =
        "return std::mem"
        "cmp(a, b, 32) == 0;\n";

    EXPECT_EQ(faults_of("proxy/auth/x.cpp", text).size(), 1u);
    EXPECT_EQ(faults_of("proxy/net/x.cpp", text).size(), 0u);
    EXPECT_EQ(faults_of("proxy/auth/x.cpp",
                        "return CRYPTO_mem"
                        "cmp(a, b, 32) == 0;\n")
                  .size(),
              0u);
}

TEST(tidy, capturing_lambda_inside_of_a_co_await_is_found) {
    EXPECT_EQ(faults_of("proxy/x.cpp", "co_await ask([this, h](auto done) {\n").size(), 1u);
    EXPECT_EQ(faults_of("proxy/x.cpp", "co_await names[i](done);\n").size(), 0u);
    EXPECT_EQ(faults_of("proxy/x.cpp", "co_await ask([](auto done) {\n").size(), 0u);
    EXPECT_EQ(faults_of("proxy/x.cpp", "co_await send(text[1]);\n").size(), 0u);
}

TEST(tidy, clock_in_pure_code_is_found) {
    const std::string text =
        "auto t = std::chrono::system_clock::n"
        "ow();\n";

    EXPECT_EQ(faults_of("policy/x.cpp", text).size(), 1u);
    EXPECT_EQ(faults_of("proxy/clock.h", "#pragma once\n" + text).size(), 0u);
}

TEST(tidy, long_line_is_found_by_characters_not_bytes) {
    std::string accents;
    for (int i = 0; i < 100; ++i)
        accents += "\xC3\xA9";

    EXPECT_EQ(faults_of("policy/x.cpp", std::string(101, 'x') + "\n").size(), 1u);
    EXPECT_EQ(faults_of("policy/x.cpp", accents + "\n").size(), 0u);
}

TEST(tidy, long_file_is_found) {
    std::string text;
    for (int i = 0; i < 601; ++i)
        text += "\n";

    EXPECT_EQ(faults_of("policy/x.cpp", text).size(), 1u);
}

TEST(tidy, header_without_pragma_once_is_found) {
    EXPECT_EQ(faults_of("policy/x.h", "int f();\n").size(), 1u);
    EXPECT_EQ(faults_of("policy/x.h", "#pragma once\nint f();\n").size(), 0u);
}

}  // namespace
}  // namespace sallyport::tests::house
