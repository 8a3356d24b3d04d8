#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "proxy/page/assets.h"
#include "tests/unit/admin/world.h"

/// How the web page is served, and what the API tells it alone.
namespace sallyport::proxy::admin::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string path_of(const std::string& suffix) {
    for (const auto& a : page::assets())
        if (a.path.ends_with(suffix)) return std::string(a.path);
    return {};
}

TEST(page, browsers_get_the_page_and_programs_get_words) {
    api_world w;

    const auto browser =
        w.send("GET", "/", {{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8"}});
    const auto program = w.send("GET", "/", {{"Accept", "*/*"}});
    const auto unwanted = w.send("GET", "/", {{"Accept", "text/html;q=0, text/plain"}});

    EXPECT_THAT(browser.content_type, StartsWith("text/html"));
    EXPECT_THAT(browser.body, StartsWith("<!doctype html>"));
    EXPECT_THAT(program.body, StartsWith("Sallyport "));
    EXPECT_THAT(unwanted.body, StartsWith("Sallyport "));
    EXPECT_THAT(header_of(browser, "Vary"), HasSubstr("Accept"));
    EXPECT_THAT(header_of(program, "Vary"), HasSubstr("Accept"));
}

TEST(page, links_to_one_thing_lead_to_the_page) {
    api_world w;

    for (const char* path :
         {"/holds/7", "/opt-outs/3", "/reviews/3", "/sessions", "/audit", "/policy"})
        EXPECT_THAT(w.send("GET", path).body, StartsWith("<!doctype html>")) << path;
    EXPECT_EQ(w.send("GET", "/holds/7/8").status, 404U);
    EXPECT_EQ(w.send("POST", "/holds/7").status, 405U);
}

TEST(page, may_load_and_reach_nothing_from_elsewhere) {
    api_world w;

    const auto csp = header_of(w.send("GET", "/holds/7"), "Content-Security-Policy");

    EXPECT_THAT(csp, StartsWith("default-src 'none'; script-src 'self'; style-src 'self'; "
                                "connect-src 'self'; img-src 'self' data:;"));
    EXPECT_THAT(csp, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(csp, Not(HasSubstr("unsafe")));
    EXPECT_EQ(header_of(w.send("GET", "/healthz"), "Content-Security-Policy"),
              "default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
}

TEST(page, each_header_stands_there_once) {
    api_world w;

    const auto r = w.send("GET", path_of(".js"), {{"Accept-Encoding", "gzip"}});

    for (const auto& [name, value] : r.headers)
        EXPECT_EQ(std::count_if(r.headers.begin(), r.headers.end(),
                                [&](const auto& h) { return h.first == name; }),
                  1)
            << name;
    EXPECT_THAT(header_of(r, "Cache-Control"), HasSubstr("immutable"));
}

TEST(page, parts_are_compressed_for_whoever_takes_that) {
    api_world w;
    const auto path = path_of(".js");
    ASSERT_THAT(path, Not(IsEmpty()));

    const auto plain = w.send("GET", path);
    EXPECT_EQ(header_of(plain, "Content-Encoding"), "");
    for (const char* takes : {"gzip", "br, GZIP;q=0.5", "*"}) {
        const auto packed = w.send("GET", path, {{"Accept-Encoding", takes}});
        EXPECT_EQ(header_of(packed, "Content-Encoding"), "gzip") << takes;
        EXPECT_THAT(packed.body, StartsWith("\x1f\x8b")) << takes;
        EXPECT_LT(packed.body.size(), plain.body.size() / 2) << takes;
    }
    for (const char* refuses : {"gzip;q=0", "br", "*;q=0.000", "", ",,;"})
        EXPECT_EQ(w.send("GET", path, {{"Accept-Encoding", refuses}}).body, plain.body) << refuses;
}

TEST(page, what_the_browser_has_is_not_sent_again) {
    api_world w;
    const auto etag = header_of(w.send("GET", "/holds/7"), "ETag");
    ASSERT_THAT(etag, StartsWith("\""));

    for (const auto& has : {etag, "W/" + etag, "\"old\", " + etag, std::string("*")}) {
        const auto r = w.send("GET", "/holds/7", {{"If-None-Match", has}});
        EXPECT_EQ(r.status, 304U) << has;
        EXPECT_THAT(r.body, IsEmpty());
        EXPECT_EQ(header_of(r, "ETag"), etag);
    }
    EXPECT_EQ(w.send("GET", "/holds/7", {{"If-None-Match", "\"old\""}}).status, 200U);
    EXPECT_EQ(w.send("GET", "/assets/app-0000.js").status, 404U);
}

TEST(page, is_under_150_kb_and_has_nothing_inline) {
    std::size_t bytes = 0;
    for (const auto& a : page::assets())
        bytes += a.gzip.size();
    const auto& first = page::assets().front();
    const std::string html(first.plain.begin(), first.plain.end());

    EXPECT_LT(bytes, 150'000U);
    EXPECT_THAT(html, Not(HasSubstr("<script>")));
    EXPECT_THAT(html, Not(HasSubstr("<style")));
    EXPECT_THAT(html, Not(HasSubstr(" style=")));
    for (const auto& a : page::assets().subspan(1))
        EXPECT_THAT(html, HasSubstr(std::string(a.path)));
}

TEST(page, me_tells_every_role_and_the_servers_time) {
    api_world w;

    const auto me = w.send_as("carol", "GET", "/api/v1/me").body;

    EXPECT_EQ(json_member(me, "admin"), "true");
    EXPECT_EQ(json_member(me, "monitor"), "false");
    EXPECT_EQ(json_member(me, "now"), "2026-03-01T09:30:00.000Z");
}

TEST(page, opt_out_says_why_its_reader_may_not_vote) {
    api_world w;

    const auto own = w.send_as("alice", "GET", "/api/v1/opt-outs/3").body;
    const auto approver = w.send_as("bob", "GET", "/api/v1/opt-outs/3").body;

    EXPECT_EQ(json_member(own, "may_vote"), "false");
    EXPECT_EQ(json_member(own, "may_not_vote_because"),
              "nobody may approve or deny her own request");
    EXPECT_EQ(json_member(approver, "may_vote"), "true");
    EXPECT_THAT(approver, Not(HasSubstr("may_not_vote_because")));
}

TEST(page, uses_of_an_opt_out_are_for_whoever_sees_it) {
    api_world w;

    const auto reviewer = w.send_as("bob", "GET", "/api/v1/opt-outs/3/uses?before=900");
    EXPECT_EQ(reviewer.status, 200U);
    EXPECT_THAT(reviewer.body, HasSubstr("\"records\":["));
    EXPECT_EQ(w.audit_asked.event, "bypass");
    EXPECT_EQ(w.audit_asked.opt_out, "3");
    EXPECT_EQ(w.audit_before, 900U);

    EXPECT_EQ(w.send_as("eve", "GET", "/api/v1/opt-outs/3/uses").status, 404U);
    EXPECT_EQ(w.send_as("bob", "GET", "/api/v1/opt-outs/4/uses").status, 404U);
    EXPECT_EQ(w.send_as("bob", "GET", "/api/v1/opt-outs/3/uses?before=x").status, 400U);
    EXPECT_EQ(w.send_as("bob", "GET", "/api/v1/opt-outs/3/uses?user=alice").status, 400U);
}

TEST(page, rules_come_with_the_resources_they_speak_of) {
    api_world w;
    w.rules->resources["customer-pii"] = {
        .name = "customer-pii",
        .targets = {"shop"},
        .relations = {{.schema = "pii", .name = "*", .columns = {}},
                      {.schema = "public", .name = "customers", .columns = {"email", "ssn"}}}};

    const auto all = nlohmann::json::parse(w.send_as("eve", "GET", "/api/v1/rules").body);

    const auto& pii = all.at("resources").at("customer-pii");
    EXPECT_EQ(pii.at("targets"), nlohmann::json({"shop"}));
    EXPECT_EQ(pii.at("relations"), nlohmann::json({"pii.*", "public.customers(email, ssn)"}));
}

TEST(page, stream_tells_of_flags_only_those_who_see_flags) {
    api_world w;
    const approval::steward::change_event flagged{"flag", 3, "flag"};

    for (const auto& [who, sees] : {std::pair{"alice", false}, std::pair{"bob", false},
                                    std::pair{"carol", true}, std::pair{"dave", true}}) {
        const auto r = w.send_as(who, "GET", "/api/v1/events");
        ASSERT_NE(r.stream, nullptr) << who;
        std::optional<bool> told;
        r.stream->visible(flagged, [&](bool visible) { told = visible; });
        EXPECT_EQ(told, sees) << who;
    }
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
