#include <gtest/gtest.h>

#include "policy/sql/analyse.h"
#include "policy/sql/cache.h"

namespace sallyport::policy::sql {
namespace {

facts_ptr fill(facts_cache& cache, const std::string& sql, bool scs = true) {
    auto f = analyse(sql, {.standard_conforming_strings = scs});
    cache.insert(sql, scs, f);
    return f;
}

TEST(facts_cache, serves_texts_that_differ_in_plain_literals_from_one_entry) {
    facts_cache cache;
    const auto f = fill(cache, "select a from t where b = 1");

    EXPECT_EQ(cache.lookup("select a from t where b = 2", true), f);
    EXPECT_EQ(cache.lookup("select a from t where b = '2'", true), nullptr);
    EXPECT_EQ(cache.lookup("select a from u where b = 1", true), nullptr);
    EXPECT_EQ(cache.entries(), 1u);
    EXPECT_EQ(cache.hits(), 1u);
    EXPECT_EQ(cache.misses(), 2u);
}

TEST(facts_cache, serves_literal_sensitive_facts_for_the_exact_text_only) {
    facts_cache cache;
    const auto f = fill(cache, "select nextval('a')");

    EXPECT_EQ(cache.lookup("select nextval('a')", true), f);
    EXPECT_EQ(cache.lookup("select nextval('b')", true), nullptr);
    const auto g = fill(cache, "select nextval('b')");
    EXPECT_EQ(cache.lookup("select nextval('b')", true), g);
    EXPECT_EQ(cache.lookup("select nextval('a')", true), f);
}

TEST(facts_cache, a_template_that_was_once_sensitive_stays_exact) {
    facts_cache cache;
    const auto f = fill(cache, "select f('a')");
    ASSERT_FALSE(f->literal_sensitive);
    auto sensitive = std::make_shared<facts>(*f);
    sensitive->literal_sensitive = true;
    cache.insert("select f('b')", true, sensitive);
    cache.insert("select f('c')", true, f);

    EXPECT_EQ(cache.lookup("select f('b')", true), sensitive);
    EXPECT_EQ(cache.lookup("select f('c')", true), f);
    EXPECT_EQ(cache.lookup("select f('d')", true), nullptr);
}

TEST(facts_cache, keeps_the_two_readings_of_strings_apart) {
    facts_cache cache;
    const auto on = fill(cache, "select 'a\\', b --'", true);

    EXPECT_EQ(cache.lookup("select 'a\\', b --'", true), on);
    EXPECT_EQ(cache.lookup("select 'a\\', b --'", false), nullptr);
}

TEST(facts_cache, stays_within_its_bytes_and_keeps_what_is_used) {
    facts_cache cache{{.bytes_max = 64u << 10}};
    const auto hot = fill(cache, "select hot");
    for (std::size_t i = 0; i < 1000; ++i) {
        fill(cache, "select cold_" + std::string(1 + i % 7, 'x') + std::to_string(i) + "y");
        EXPECT_LE(cache.bytes(), 64u << 10);
        EXPECT_EQ(cache.lookup("select hot", true), hot) << i;
    }
    EXPECT_GT(cache.entries(), 10u);
    cache.clear();
    EXPECT_EQ(cache.bytes(), 0u);
    EXPECT_EQ(cache.lookup("select hot", true), nullptr);
}

TEST(facts_cache, does_not_keep_long_texts) {
    facts_cache cache{{.text_bytes_max = 32}};
    fill(cache, "select " + std::string(40, 'a'));
    EXPECT_EQ(cache.entries(), 0u);
}

}  // namespace
}  // namespace sallyport::policy::sql
