#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/unit/admin/world.h"

/// Findings, candidates and hits, as far as the surface has a part in them.
namespace sallyport::proxy::admin::testing {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(api_policy, rules_come_with_their_hits) {
    api_world w;

    const auto all = json::parse(w.send_as("eve", "GET", "/api/v1/rules").body);

    const auto& hits = all.at("rules").at(0).at("hits");
    EXPECT_EQ(hits.at("hold"), 4);
    EXPECT_EQ(hits.at("pass"), 2);
    EXPECT_EQ(hits.at("bypass"), 1);
    EXPECT_EQ(hits.at("deny"), 0);
    EXPECT_EQ(all.at("default_hits").at("allow"), 9);
    EXPECT_EQ(all.at("opaque_hits").at("hold"), 0);
}

TEST(api_policy, only_auditors_get_a_candidate_compared_with_the_log) {
    api_world w;
    for (const auto* who : {"carol", "dave"})
        EXPECT_EQ(
            w.send_as(who, "POST", "/api/v1/rules/candidate", R"({"policy":"version: 1"})").status,
            200U);

    EXPECT_THAT(w.candidates, ElementsAre("version: 1", "version: 1 with the log"));
}

TEST(api_policy, candidate_that_is_none_is_refused_before_anything_is_compared) {
    api_world w;
    for (const auto* body : {"{}", R"({"policy":""})", R"({"policy":7})", R"({"text":"x"})"}) {
        const auto answer = w.send_as("carol", "POST", "/api/v1/rules/candidate", body);
        EXPECT_EQ(answer.status, 400U) << body << answer.body;
    }
    EXPECT_TRUE(w.candidates.empty());
}

TEST(api_policy, one_candidate_at_a_time_and_a_failure_frees_the_place) {
    api_world w;
    const std::string good = R"({"policy":"good"})";
    EXPECT_EQ(w.send_as("carol", "POST", "/api/v1/rules/candidate", R"({"policy":"bad"})").status,
              500U);
    EXPECT_FALSE(w.context->comparing);
    w.context->comparing = true;

    const auto second = w.send_as("carol", "POST", "/api/v1/rules/candidate", good);

    EXPECT_EQ(second.status, 503U);
    EXPECT_THAT(second.body, HasSubstr("Another candidate"));
    EXPECT_FALSE(header_of(second, "Retry-After").empty());
    w.context->comparing = false;
    EXPECT_EQ(w.send_as("carol", "POST", "/api/v1/rules/candidate", good).status, 200U);
    // Not even begun: too much else waits.
    w.context->run_blocking = [](const std::function<void()>&) { return false; };
    EXPECT_EQ(w.send_as("carol", "POST", "/api/v1/rules/candidate", good).status, 503U);
    EXPECT_FALSE(w.context->comparing);
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
