#include "proxy/notify/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace sallyport::proxy::notify {
namespace {

using policy::notice;
using policy::notice_about;
using policy::notice_event;
using ::testing::HasSubstr;
using ::testing::Not;
using json = nlohmann::json;

const std::string base = "https://sallyport.example";

notice held() {
    notice n;
    n.event = notice_event::requested;
    n.about = notice_about::hold;
    n.id = 7;
    n.at = policy::instant(policy::milliseconds(1'772'357'400'123));
    n.person = "alice";
    n.target = "shop";
    n.rule = "pii";
    n.reason = "checkout is down";
    n.asked = "group security";
    n.until = n.at + policy::milliseconds(900'000);
    n.statement = "select ssn from customers where id = $1";
    n.statement_bytes = n.statement.size();
    return n;
}

/// Everything a client or a person could write, in every field that they have.
notice hostile() {
    auto n = held();
    const std::string text =
        "<!channel> <@U1> <https://evil.example|click> @here @Everyone *bold* [a](http://evil) "
        "\x1b[31m \xE2\x80\xAE reversed www.evil.example & \n# head <at>all</at>";
    n.person = n.reason = n.ticket = n.note = n.what = n.application = n.statement = text;
    n.statement_bytes = text.size();
    return n;
}

std::string all_texts(const json& j) {
    std::string out;
    if (j.is_string()) return j.get<std::string>() + "\n";
    if (!j.is_structured()) return out;
    for (const auto& item : j)
        out += all_texts(item);
    return out;
}

TEST(render, headline_says_who_and_what_for_each_event) {
    EXPECT_EQ(headline(held()), "alice waits for approval on shop (hold 7)");
    auto n = held();
    n.event = notice_event::denied;
    n.by = "bob";
    EXPECT_EQ(headline(n), "Hold 7 of alice was denied by bob");
    n.event = notice_event::escalated;
    n.by.clear();
    EXPECT_EQ(headline(n), "Hold 7 of alice was escalated: it still waits for approval");
    n.event = notice_event::reassigned;
    n.by = "bob";
    n.asked = "carol";
    EXPECT_EQ(headline(n), "Hold 7 of alice was reassigned to carol by bob");
    n.about = notice_about::opt_out;
    n.event = notice_event::break_glass;
    EXPECT_THAT(headline(n), HasSubstr("alice broke glass"));
    n.about = notice_about::review;
    n.event = notice_event::overdue;
    EXPECT_EQ(headline(n), "Overdue: the review of opt-out 7 of alice");
}

TEST(render, every_event_has_a_headline_and_a_link) {
    for (std::size_t a = 0; a < static_cast<std::size_t>(notice_about::count_); ++a)
        for (std::size_t e = 0; e < static_cast<std::size_t>(notice_event::count_); ++e) {
            auto n = held();
            n.about = static_cast<notice_about>(a);
            n.event = static_cast<notice_event>(e);
            EXPECT_FALSE(headline(n).empty());
            EXPECT_TRUE(link_to(base, n).starts_with(base + "/"));
            for (const auto f : {form::generic, form::slack, form::teams})
                EXPECT_TRUE(json::parse(render(f, n, "k", base), nullptr, false).is_object());
        }
}

TEST(render, names_of_events_and_subjects_are_read_back) {
    for (const auto& name : policy::notice_event_names()) {
        notice_event e{};
        EXPECT_TRUE(policy::parse_notice_event(name, e));
        EXPECT_EQ(policy::to_string(e), name);
    }
    notice_event e{};
    EXPECT_FALSE(policy::parse_notice_event("unknown", e));
}

TEST(render, generic_form_has_the_facts_as_members) {
    const auto j = json::parse(render(form::generic, held(), "abc", base));
    EXPECT_EQ(j.at("delivery"), "abc");
    EXPECT_EQ(j.at("event"), "requested");
    EXPECT_EQ(j.at("subject").at("kind"), "hold");
    EXPECT_EQ(j.at("subject").at("id"), 7);
    EXPECT_EQ(j.at("at"), "2026-03-01T09:30:00.123Z");
    EXPECT_EQ(j.at("until"), "2026-03-01T09:45:00.123Z");
    EXPECT_EQ(j.at("link"), base + "/holds/7");
    EXPECT_EQ(j.at("reason"), "checkout is down");
    EXPECT_EQ(j.at("statement_cut"), false);
    EXPECT_FALSE(j.contains("ticket"));
}

TEST(render, no_form_lets_text_of_others_act) {
    for (const auto f : {form::generic, form::slack, form::teams}) {
        const auto text = all_texts(json::parse(render(f, hostile(), "k", base)));
        EXPECT_THAT(text, Not(HasSubstr("\x1b")));
        EXPECT_THAT(text, Not(HasSubstr("\xE2\x80\xAE")));
        EXPECT_THAT(text, HasSubstr("\\u{202e}"));
    }
}

TEST(render, slack_text_mentions_nobody_and_links_nowhere) {
    const auto body = render(form::slack, hostile(), "k", base);
    const auto text = all_texts(json::parse(body));
    EXPECT_THAT(text, Not(HasSubstr("<!")));
    EXPECT_THAT(text, Not(HasSubstr("<@")));
    EXPECT_THAT(text, Not(HasSubstr("<http")));
    EXPECT_THAT(text, Not(HasSubstr("@here")));
    EXPECT_THAT(text, Not(HasSubstr("@Everyone")));
    EXPECT_THAT(text, Not(HasSubstr("://evil")));
    EXPECT_THAT(text, Not(HasSubstr("www.evil")));
    EXPECT_THAT(body, Not(HasSubstr("\"mrkdwn\",")));
    EXPECT_EQ(json::parse(body).at("mrkdwn"), false);
}

TEST(render, slack_message_has_a_button_that_opens_the_page_and_fits_slacks_bounds) {
    auto n = hostile();
    n.statement = std::string(4000, '<');
    n.statement_bytes = 1'000'000;
    n.person = std::string(2000, '&');
    const auto j = json::parse(render(form::slack, n, std::string(32, 'k'), base));
    bool button = false;
    for (const auto& b : j.at("blocks")) {
        if (b.at("type") == "header") {
            EXPECT_LE(b.at("text").at("text").get<std::string>().size(), 150u);
        }
        if (b.at("type") == "section" && b.contains("text")) {
            EXPECT_LE(b.at("text").at("text").get<std::string>().size(), 3000u);
            EXPECT_EQ(b.at("text").at("type"), "plain_text");
        }
        if (b.contains("fields")) {
            EXPECT_LE(b.at("fields").size(), 10u);
            for (const auto& f : b.at("fields")) {
                EXPECT_LE(f.at("text").get<std::string>().size(), 2000u);
            }
        }
        if (b.at("type") != "actions") continue;
        button = b.at("elements")[0].at("url") == base + "/holds/7" &&
                 b.at("elements")[0].at("value") == "hold 7";
    }
    EXPECT_TRUE(button);
    EXPECT_LE(j.at("blocks").size(), 50u);
}

TEST(render, long_statement_is_cut_in_chat_with_a_note_and_whole_in_the_generic_form) {
    auto n = held();
    n.statement = std::string(3000, 'x');
    n.statement_bytes = 3000;
    for (const auto f : {form::slack, form::teams}) {
        const auto text = all_texts(json::parse(render(f, n, "k", base)));
        EXPECT_THAT(text, HasSubstr("3000 bytes in all; see the page"));
        EXPECT_THAT(text, Not(HasSubstr(std::string(700, 'x'))));
    }
    EXPECT_THAT(render(form::generic, n, "k", base), HasSubstr(std::string(3000, 'x')));
}

TEST(render, teams_card_reads_no_markdown) {
    const auto j = json::parse(render(form::teams, hostile(), "k", base));
    const auto& card = j.at("attachments")[0].at("content");
    EXPECT_EQ(j.at("type"), "message");
    EXPECT_EQ(card.at("type"), "AdaptiveCard");
    for (const auto& b : card.at("body"))
        EXPECT_EQ(b.at("type"), "RichTextBlock");
    EXPECT_EQ(card.at("actions")[0].at("url"), base + "/holds/7");
    EXPECT_FALSE(card.contains("msteams"));
}

TEST(render, cut_text_counts_characters_and_breaks_none) {
    EXPECT_EQ(cut_text("abc", 3), "abc");
    EXPECT_EQ(cut_text("abcd", 3), "abc…");
    EXPECT_EQ(cut_text("ééé", 2), "éé…");
    EXPECT_EQ(cut_text("", 0), "");
}

}  // namespace
}  // namespace sallyport::proxy::notify
