#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/catalog/reader.h"

namespace sallyport::proxy::catalog {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(catalog_array, every_way_of_writing_an_element_is_read) {
    EXPECT_THAT(parse_array("{}"), IsEmpty());
    EXPECT_THAT(parse_array("{a,b}"), ElementsAre("a", "b"));
    EXPECT_THAT(parse_array(R"({"search_path=pii, public","x=\"y\\z\""})"),
                ElementsAre("search_path=pii, public", R"(x="y\z")"));
    EXPECT_THAT(parse_array(R"({"",NULL,"NULL"})"), ElementsAre("", "NULL"));
    EXPECT_THAT(parse_array(R"({"a,b}",c})"), ElementsAre("a,b}", "c"));
}

TEST(catalog_array, what_is_no_array_gives_something_and_ends) {
    for (const char* text : {"", "{", "}", "a", "{\"", "{\"a", "{\\}", "{a,,b}", "{,}", "{\"a\"b}"})
        EXPECT_LE(parse_array(text).size(), 3U) << text;
}

TEST(catalog_trigger, when_is_found_behind_names_that_look_like_it) {
    EXPECT_EQ(when_of("CREATE TRIGGER t BEFORE UPDATE ON public.x FOR EACH ROW WHEN ((old.a IS "
                      "DISTINCT FROM new.a)) EXECUTE FUNCTION public.f()"),
              "(old.a IS DISTINCT FROM new.a)");
    EXPECT_EQ(
        when_of("CREATE TRIGGER \"a WHEN (1)\" BEFORE UPDATE ON public.\"b\"\" WHEN (2)\" "
                "FOR EACH ROW WHEN ((new.c = ') WHEN ('::text)) EXECUTE FUNCTION f(' WHEN (x')"),
        "(new.c = ') WHEN ('::text)");
    EXPECT_EQ(when_of("CREATE TRIGGER t AFTER INSERT ON x EXECUTE FUNCTION f(' WHEN (x)')"), "");
    EXPECT_EQ(when_of("CREATE TRIGGER t AFTER INSERT ON x WHEN (f('a"), "");
    EXPECT_EQ(when_of(""), "");
}

}  // namespace
}  // namespace sallyport::proxy::catalog
