#include "proxy/cli/cli.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "proxy/cli/http_client.h"
#include "proxy/cli/new_file.h"
#include "proxy/cli/table.h"
#include "proxy/cli/views.h"

namespace sallyport::proxy::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr long long now_ms = 1'772'357'400'000;  // 2026-03-01T09:30:00Z
const screen wide{.width = 100, .now_ms = now_ms};

TEST(table_text, fits_the_width_and_loses_nothing) {
    table t({"ID", "REASON"});
    const std::string reason = "one two three four five six seven eight nine ten eleven twelve";
    t.add({"7", reason});

    const auto out = t.print(30);

    std::string joined;
    std::size_t from = 0;
    while (from < out.size()) {
        const auto end = out.find('\n', from);
        const auto line = out.substr(from, end - from);
        EXPECT_LE(display_width(line), 30U) << line;
        joined += line + " ";
        from = end + 1;
    }
    for (const auto* const word : {"one", "seven", "twelve"})
        EXPECT_THAT(joined, HasSubstr(word));
}

TEST(table_text, what_is_left_out_beneath_a_row_is_said_and_where_to_find_it) {
    table t({"ID"});
    t.add({"7"}, "a\nb\nc\nd\ne");

    const auto out = t.print(80, 2, "sallyport hold ");

    EXPECT_THAT(out, HasSubstr("    b\n"));
    EXPECT_THAT(out, Not(HasSubstr("    c\n")));
    EXPECT_THAT(out, HasSubstr("(3 more lines: sallyport hold 7)"));
}

TEST(table_text, wide_and_combining_characters_keep_columns_straight) {
    EXPECT_EQ(display_width("\xE6\x97\xA5\xE6\x9C\xAC"), 4U);
    EXPECT_EQ(display_width("e\xCC\x81"), 1U);
}

TEST(wrapped_text, breaks_at_spaces_near_the_end_else_anywhere) {
    EXPECT_THAT(wrap("aaaa bbb cc", 8), ElementsAre("aaaa bbb", "cc"));
    EXPECT_THAT(wrap("aaaaaaaaaa", 4), ElementsAre("aaaa", "aaaa", "aa"));
    EXPECT_THAT(wrap("a\n\nb", 4), ElementsAre("a", "", "b"));
    EXPECT_THAT(wrap("", 4), ElementsAre(""));
    EXPECT_THAT(wrap("\xE6\x97\xA5\xE6\x9C\xAC", 1), ElementsAre("\xE6\x97\xA5", "\xE6\x9C\xAC"));
}

TEST(relative_time, is_shown_with_the_absolute_one) {
    EXPECT_EQ(when("2026-03-01T09:42:00.000Z", now_ms), "in 12m (2026-03-01 09:42:00Z)");
    EXPECT_EQ(when("2026-03-01T06:25:00.000Z", now_ms), "3h 5m ago (2026-03-01 06:25:00Z)");
    EXPECT_EQ(when("", now_ms), "");
    EXPECT_EQ(when("soon", now_ms), "soon");
}

const std::string one_hold =
    R"({"id":7,"kind":"statement","state":"pending","user":"alice","groups":["dev"],)"
    R"("target":"shop",)"
    R"("rule":"pii","statement":"select 1 \u001b[2J \u202e evil","parameters":["\u0007"],)"
    R"("expires_at":"2026-03-01T09:42:00.000Z","approvals":{"needed":1,"groups":["security"],)"
    R"("users":[],"votes":[]},"pass":{"statement":true,"shape":"30m"},"may_vote":true})";

TEST(hold_view, shows_the_whole_statement_and_nothing_that_acts_on_the_terminal) {
    const auto out = show_hold(one_hold, wide);

    EXPECT_THAT(out, HasSubstr("select 1 \\x1b[2J \\u{202e} evil"));
    EXPECT_THAT(out, HasSubstr("\\x07"));
    EXPECT_THAT(out, HasSubstr("shape up to 30m"));
    EXPECT_THAT(out, HasSubstr("in 12m"));
    EXPECT_THAT(out, Not(HasSubstr("\x1b")));
    EXPECT_THAT(out, Not(HasSubstr("\xE2\x80\xAE")));
}

TEST(hold_view, open_transaction_is_shown_with_its_age_and_locks_or_why_not) {
    const auto with = [](const std::string& transaction) {
        return show_hold(one_hold.substr(0, one_hold.size() - 1) +
                             R"(,"in_transaction":true,"transaction":)" + transaction + "}",
                         wide);
    };
    const auto known =
        with(R"({"since":"2026-03-01T09:27:00.000Z","blocks":2,"locks_cut":true,"locks":[)"
             R"({"type":"relation","on":"public.\u001borders","mode":"ShareLock","granted":true},)"
             R"({"type":"transactionid","on":"","mode":"ShareLock","granted":false}]})");
    const auto unknown = with(
        R"({"since":"2026-03-01T09:27:00.000Z","locks":null,"locks_unknown_because":"no login"})");

    EXPECT_THAT(known, HasSubstr("open since         3m ago"));
    EXPECT_THAT(known, HasSubstr("holds              ShareLock on relation public.\\x1borders"));
    EXPECT_THAT(known, HasSubstr("waits for          ShareLock on transactionid"));
    EXPECT_THAT(known, HasSubstr("and more"));
    EXPECT_THAT(known, HasSubstr("2 other sessions"));
    EXPECT_THAT(unknown, HasSubstr("not known: no login"));
    EXPECT_THAT(with("null"), Not(HasSubstr("locks")));
}

TEST(hold_view, nothing_is_said_to_be_granted_before_it_is) {
    EXPECT_THAT(show_hold(one_hold, wide), Not(HasSubstr("granted")));
    EXPECT_THAT(
        show_hold(R"({"id":7,"state":"approved","granted":"shape","granted_for":"30m"})", wide),
        HasSubstr("granted            shape for 30m"));
}

TEST(hold_view, list_shows_the_statement_beneath) {
    const auto out = show_holds(R"({"holds":[)" + one_hold + "]}", wide);

    EXPECT_THAT(out, HasSubstr("    select 1 \\x1b[2J"));
    EXPECT_EQ(show_holds(R"({"holds":[]})", wide), "Nothing waits that you can see.\n");
}

TEST(story_view, records_stand_in_order_and_nothing_acts_on_the_terminal) {
    const auto out = show_story(
        R"({"about":"opt_out 3","cut":true,"records":[)"
        R"({"seq":4,"time":"2026-03-01T09:27:00.000Z","event":"opt_out.requested","user":"alice",)"
        R"("reason":"inc\u001b[2Jident","policy":"abc"},)"
        R"({"seq":9,"time":"2026-03-01T09:28:00.000Z","event":"bypass","user":"alice",)"
        R"("rule":"pii","statement":"select ssn\nfrom customers"}]})",
        wide);

    EXPECT_THAT(out, HasSubstr("the story of opt_out 3\n"));
    EXPECT_THAT(out, HasSubstr("4  2026-03-01T09:27:00.000Z  opt_out.requested  alice\n"));
    EXPECT_THAT(out, HasSubstr("    reason inc\\x1b[2Jident\n"));
    EXPECT_THAT(out, HasSubstr("    | select ssn"));
    EXPECT_LT(out.find("opt_out.requested"), out.find("bypass"));
    EXPECT_THAT(out, HasSubstr("There are more"));
    EXPECT_THAT(out, Not(HasSubstr("abc")));
}

TEST(rules_view, hits_of_a_rule_stand_beneath_it) {
    const auto out = show_rules(
        R"({"policy":"abc","default":"allow","opaque":"hold","rules":[{"id":"pii","tier":20,)"
        R"("effect":"hold","message":"say why","observe":false,)"
        R"("hits":{"allow":0,"pass":2,"bypass":1,"hold":4,"refuse":0,"deny":0}},)"
        R"({"id":"other","tier":30,"effect":"deny","message":"","observe":false,"hits":{}}]})",
        wide);

    EXPECT_THAT(out, HasSubstr("4 held, 2 passed, 1 bypassed; say why"));
}

TEST(new_file, is_private_and_never_in_the_place_of_another) {
    const auto folder =
        std::filesystem::path(testing::TempDir()) / ("sallyport-cli-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const auto path = (folder / "story.bundle").string();

    write_new_file(path, "one");

    EXPECT_EQ(std::filesystem::status(path).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    EXPECT_THROW(write_new_file(path, "two"), failure);
    std::ifstream in(path);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    EXPECT_EQ(text, "one");
    EXPECT_THROW(write_new_file((folder / "no" / "such").string(), "x"), failure);
    std::filesystem::remove_all(folder);
}

TEST(views, answers_of_any_other_form_do_not_break_them) {
    for (const auto* const text :
         {"", "x", "[]", "7", "null", R"({"holds":7})", R"({"holds":[7,null,"x",[]]})",
          R"({"opt_outs":[{"id":{},"approvals":[],"votes":1}]})", R"({"sessions":[{"id":-1}]})",
          R"({"rules":[{"hold":3,"opt_out":[],"on":"x"}]})", R"({"id":[],"pass":{"a":{}}})"}) {
        for (const auto view : {show_holds, show_hold, show_opt_outs, show_opt_out, show_sessions,
                                show_rules, show_me, show_answer, show_story})
            EXPECT_NO_THROW(static_cast<void>(view(text, wide))) << text;
        EXPECT_NO_THROW(static_cast<void>(pretty(text)));
        EXPECT_FALSE(read_problem(500, text).detail.empty());
        EXPECT_FALSE(read_problem(500, text).next.empty());
    }
}

TEST(views, json_for_programs_is_ascii_alone) {
    const auto out = pretty("{\"a\":\"\xE2\x80\xAE\xC2\x9B\x7f\"}");

    for (const char c : out)
        EXPECT_LT(static_cast<unsigned char>(c), 0x80U);
}

TEST(address, forms_are_told_apart_and_nonsense_is_a_usage_fault) {
    EXPECT_EQ(parse_url("http://127.0.0.1:6480").port, "6480");
    EXPECT_EQ(parse_url("https://sallyport.example/").port, "443");
    EXPECT_EQ(parse_url("http://[::1]:6480").host, "::1");
    EXPECT_EQ(parse_url("http://[::1]:6480").host_header(), "[::1]:6480");
    EXPECT_TRUE(parse_url("http://[::1]:6480").loopback());
    EXPECT_FALSE(parse_url("http://192.0.2.1").loopback());
    for (const auto* const bad :
         {"", "ftp://x", "localhost:6480", "http://", "http://x:port", "http://user@x",
          "http://x/api", "http://x:123456", "http://x\r\nHost: y"}) {
        try {
            static_cast<void>(parse_url(bad));
            ADD_FAILURE() << bad;
        } catch (const failure& f) {
            EXPECT_EQ(f.status(), usage) << bad;
            EXPECT_FALSE(f.next().empty());
        }
    }
}

int run_with(std::vector<std::string> words) {
    std::vector<char*> argv;
    for (auto& w : words)
        argv.push_back(w.data());
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int status = run(static_cast<int>(argv.size()), argv.data());
    static_cast<void>(::testing::internal::GetCapturedStdout());
    static_cast<void>(::testing::internal::GetCapturedStderr());
    return status;
}

TEST(command_line, usage_faults_exit_with_2_and_help_with_0) {
    for (const auto& words : std::vector<std::vector<std::string>>{
             {"sallyport"},
             {"sallyport", "nonsense"},
             {"sallyport", "approve"},
             {"sallyport", "approve", "x"},
             {"sallyport", "approve", "-1"},
             {"sallyport", "approve", "7", "--pass", "everything"},
             {"sallyport", "deny", "7"},
             {"sallyport", "kill", "12"},
             {"sallyport", "opt-out"},
             {"sallyport", "opt-out", "request", "--rule", "r"},
             {"sallyport", "holds", "--ca", "/nonexistent"},
             {"sallyport", "holds", "--url", "nonsense"}})
        EXPECT_EQ(run_with(words), usage) << words.back();
    EXPECT_EQ(run_with({"sallyport", "--help"}), done);
    EXPECT_EQ(run_with({"sallyport", "approve", "--help"}), done);
}

TEST(command_line, password_is_never_sent_in_the_clear_beyond_loopback) {
    EXPECT_EQ(run_with({"sallyport", "holds", "--url", "http://192.0.2.1:6480"}), usage);
}

TEST(command_line, nobody_answering_exits_with_3) {
    setenv("SALLYPORT_TOKEN", "sp_x", 1);

    // Port 1 of loopback: nothing listens there and nothing may without being root.
    EXPECT_EQ(run_with({"sallyport", "holds", "--url", "http://127.0.0.1:1"}), unreachable);

    unsetenv("SALLYPORT_TOKEN");
}

}  // namespace
}  // namespace sallyport::proxy::cli
