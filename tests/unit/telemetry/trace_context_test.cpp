#include "proxy/telemetry/trace_context.h"

#include <string>

#include <gtest/gtest.h>

// W3C Trace Context, and where sqlcommenter puts it.
namespace sallyport::proxy::telemetry {
namespace {

const std::string trace = "0af7651916cd43dd8448eb211c80319c";
const std::string parent = "b7ad6b7169203331";
const std::string whole = "00-" + trace + "-" + parent + "-01";

TEST(traceparent, what_w3c_calls_valid) {
    struct {
        std::string text;
        bool sampled;
    } const table[] = {
        {whole, true},
        {"00-" + trace + "-" + parent + "-00", false},
        {"00-" + trace + "-" + parent + "-03", true},  // other flags do not matter
        {"00-" + trace + "-" + parent + "-02", false},
        {"00-" + trace + "-" + parent + "-ff", true},
        {"00-00000000000000000000000000000001-0000000000000001-01", true},
        // Later versions keep these fields, and may be longer behind a dash.
        {"01-" + trace + "-" + parent + "-01", true},
        {"cc-" + trace + "-" + parent + "-01-what-the-future-will-be-like", true},
        {"fe-" + trace + "-" + parent + "-00-", false},
    };
    for (const auto& row : table) {
        const auto c = parse_traceparent(row.text);
        ASSERT_TRUE(c) << row.text;
        EXPECT_EQ(c->sampled, row.sampled) << row.text;
        EXPECT_EQ(to_hex(c->trace), row.text.substr(3, 32));
        EXPECT_EQ(to_hex(c->parent), row.text.substr(36, 16));
    }
}

TEST(traceparent, what_w3c_calls_invalid) {
    const std::string table[] = {
        "",
        "00",
        "ff-" + trace + "-" + parent + "-01",                                   // version 255
        "00-" + std::string(32, '0') + "-" + parent + "-01",                    // all-zero trace
        "00-" + trace + "-" + std::string(16, '0') + "-01",                     // all-zero parent
        "00-" + trace + "-" + parent,                                           // no flags
        "00-" + trace + "-" + parent + "-1",                                    // half a flag
        "00-" + trace + "-" + parent + "-.0",                                   // no digits
        "00-" + trace + "-" + parent + "-01-extra",                             // 00 has an end
        "00-" + trace + "-" + parent + "-01.",                                  //
        "01-" + trace + "-" + parent + "-01.what-the-future-will-not-be-like",  // no dash
        "0-" + trace + "-" + parent + "-01",                                    //
        "000-" + trace + "-" + parent + "-01",                                  //
        ".0-" + trace + "-" + parent + "-01",                                   //
        "00-" + trace.substr(1) + "-" + parent + "-01",                         // short
        "00-" + trace + "1-" + parent + "-01",                                  // long
        "00-" + trace + "-" + parent.substr(1) + "-01",                         //
        "00-0AF7651916CD43DD8448EB211C80319C-" + parent + "-01",                // upper case
        "00-" + trace + "-B7AD6B7169203331-01",                                 //
        "00-" + trace + "-" + parent + "-0A",                                   //
        "00_" + trace + "_" + parent + "_01",                                   //
        " " + whole,
        whole + " ",
        "00-" + trace + "-" + parent + "-0" + std::string(1, '\0'),
    };
    for (const auto& text : table)
        EXPECT_FALSE(parse_traceparent(text)) << text;
}

TEST(tracestate, what_w3c_calls_valid_and_what_not) {
    for (const std::string text : {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "foo=1 , bar=2",
                                   "foo=1,,bar=2", "tenant@system=x", "0a=1", "a-_*/z=!~ x"})
        EXPECT_TRUE(valid_tracestate(text)) << text;
    std::string many;
    for (int i = 0; i < 33; ++i)
        many += (i == 0 ? "k" : ",k") + std::to_string(i) + "=1";
    for (const std::string& text : std::initializer_list<std::string>{
             "", ",", "foo", "foo=", "=1", "FOO=1", "foo=1=2", "foo=b\x01r", "foo=b\xc3\xa4r",
             "a@b@c=1", "foo =1", many, "foo=" + std::string(600, 'x')})
        EXPECT_FALSE(valid_tracestate(text)) << text;
}

TEST(sql_comment, holds_the_context_wherever_it_stands) {
    const std::string c = "/*traceparent='" + whole + "'*/";
    for (const std::string& sql : std::initializer_list<std::string>{
             c, "select 1 " + c, c + " select 1", "select " + c + " 1",
             "select 1 /*action='%2Fpolls',traceparent='" + whole + "',framework='django'*/",
             "select 1 /* traceparent='" + whole + "' */",
             "select 1 /*traceparent='00%2D" + trace + "%2d" + parent + "%2D01'*/",
             "select 1 -- traceparent='" + whole + "'\n",
             "select 1 /* outer /* inner */ ,traceparent='" + whole + "'*/",
             "select '/*', $$ /* $$, \"/*\" " + c, "select 1 " + c + ";"}) {
        const auto found = find_trace_context(sql);
        ASSERT_TRUE(found) << sql;
        EXPECT_EQ(to_hex(found->trace), trace) << sql;
        EXPECT_EQ(to_hex(found->parent), parent) << sql;
        EXPECT_TRUE(found->sampled);
    }
}

TEST(sql_comment, what_only_looks_like_one_is_none) {
    for (const std::string& sql : std::initializer_list<std::string>{
             "select 1", "select 'traceparent'", "select '/*traceparent=''" + whole + "''*/'",
             "select $$/*traceparent='" + whole + "'*/$$",
             "select \"/*traceparent='" + whole + "'*/\"",
             "select E'\\'/*traceparent=\\'" + whole + "\\'*/'",
             "select 1 /*xtraceparent='" + whole + "'*/", "select 1 /*traceparent=" + whole + "*/",
             "select 1 /*traceparent='" + whole + "*/", "select 1 /*traceparent='" + whole,
             "select 1 /*traceparent='00%2'*/", "select 1 /*traceparent='%zz'*/",
             "select 1 /*traceparent='" + whole + "%00'*/",
             "select 1 /*" + std::string(5000, ' ') + "traceparent='" + whole + "'*/"})
        EXPECT_FALSE(find_trace_context(sql)) << sql.substr(0, 200);
}

TEST(sql_comment, the_last_valid_one_counts) {
    const std::string other = "00-11111111111111111111111111111111-2222222222222222-00";
    const auto found =
        find_trace_context("/*traceparent='" + other + "'*/ select 1 /*traceparent='" + whole +
                           "'*/ /*traceparent='nonsense'*/");
    ASSERT_TRUE(found);
    EXPECT_EQ(to_hex(found->trace), trace);
}

TEST(sql_comment, tracestate_comes_along_if_it_is_valid) {
    const auto with = [&](const std::string& state) {
        return find_trace_context("select 1 /*traceparent='" + whole + "',tracestate='" + state +
                                  "'*/")
            ->state;
    };
    EXPECT_EQ(with("congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7"),
              "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7");
    EXPECT_EQ(with("no%0Done"), "");
}

TEST(sql_comment, of_a_long_text_its_end_counts) {
    const std::string filler(1u << 20, 'x');
    const std::string c = "/*traceparent='" + whole + "'*/";
    EXPECT_TRUE(find_trace_context("select '" + filler + "' " + c));
    EXPECT_TRUE(find_trace_context("select '" + filler + "' " + c + " ;\n"));
    EXPECT_FALSE(find_trace_context(c + "select '" + filler + "'"));
    EXPECT_FALSE(find_trace_context("select '" + filler + c + "'"));
}

TEST(span_ids, belong_to_the_parent_or_begin_a_trace) {
    const auto mine = make_span_ids(parse_traceparent(whole));
    EXPECT_EQ(to_hex(mine.trace), trace);
    EXPECT_EQ(to_hex(mine.parent), parent);
    EXPECT_NE(to_hex(mine.span), parent);
    EXPECT_TRUE(mine.sampled);
    EXPECT_FALSE(make_span_ids(parse_traceparent("00-" + trace + "-" + parent + "-00")).sampled);

    const auto a = make_span_ids({});
    const auto b = make_span_ids({});
    EXPECT_NE(a.trace, b.trace);
    EXPECT_NE(a.span, b.span);
    EXPECT_EQ(a.parent, span_id{});
    EXPECT_TRUE(a.any());
}

TEST(sampling, keeps_the_ratio_and_decides_alike_for_one_trace) {
    int kept = 0;
    for (int i = 0; i < 10'000; ++i) {
        const auto ids = make_span_ids({});
        EXPECT_TRUE(falls_into(ids.trace, 1));
        EXPECT_FALSE(falls_into(ids.trace, 0));
        const bool quarter = falls_into(ids.trace, 0.25);
        kept += quarter ? 1 : 0;
        if (quarter) {
            EXPECT_TRUE(falls_into(ids.trace, 0.5));
        }
    }
    EXPECT_GT(kept, 2'200);
    EXPECT_LT(kept, 2'800);
}

}  // namespace
}  // namespace sallyport::proxy::telemetry
