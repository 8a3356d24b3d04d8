#include "proxy/admin/console.h"

#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/admin/console_command.h"
#include "tests/unit/admin/world.h"

namespace sallyport::proxy::admin::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct language_case {
    std::string text;
    verb what;
    std::string sqlstate;  // non-empty: an error, `what` does not count
};

class console_language : public ::testing::TestWithParam<language_case> {};

TEST_P(console_language, gives_the_command_or_the_error_of_the_table) {
    const auto& c = GetParam();

    const auto got = parse_command(c.text);

    EXPECT_EQ(got.sqlstate, c.sqlstate) << c.text << ": " << got.message << " " << got.hint;
    EXPECT_TRUE(!c.sqlstate.empty() || got.what == c.what) << c.text;
}

INSTANTIATE_TEST_SUITE_P(
    table, console_language,
    ::testing::Values(
        language_case{"SHOW HOLDS", verb::show_holds, ""},
        language_case{"show holds all;", verb::show_holds, ""},
        language_case{"/* pool */ Show -- x\n Holds ; ", verb::show_holds, ""},
        language_case{"SHOW HOLD 7", verb::show_hold, ""},
        language_case{"SHOW HOLD", verb::nothing, "42601"},
        language_case{"SHOW HOLD 0", verb::nothing, "42601"},
        language_case{"SHOW HOLD 18446744073709551616", verb::nothing, "42601"},
        language_case{"SHOW HOLD '7'", verb::nothing, "42601"},
        language_case{"APPROVE 7", verb::approve, ""},
        language_case{"approve 7 reason 'it''s fine' pass shape for '30m'", verb::approve, ""},
        language_case{"APPROVE 7 FOR 30m PASS session", verb::approve, ""},
        language_case{"APPROVE 7 PASS everything", verb::nothing, "22023"},
        language_case{"APPROVE 7 PASS shape FOR 'soon'", verb::nothing, "22023"},
        language_case{"APPROVE 7 REASON 'a' REASON 'b'", verb::nothing, "42601"},
        language_case{"APPROVE 7 8", verb::nothing, "42601"},
        language_case{"APPROVE 7 REASON unquoted", verb::nothing, "42601"},
        language_case{"APPROVE 7 REASON 'never ends", verb::nothing, "42601"},
        language_case{"APPROVE 7; APPROVE 8", verb::nothing, "42601"},
        language_case{"ESCALATE 7", verb::escalate, ""},
        language_case{"ESCALATE", verb::nothing, "42601"},
        language_case{"ESCALATE 7 REASON 'x'", verb::nothing, "42601"},
        language_case{"reassign 7 to carol reason 'she knows it'", verb::reassign, ""},
        language_case{"REASSIGN 7 REASON 'x' TO \"Carol\"", verb::reassign, ""},
        language_case{"REASSIGN 7 TO carol", verb::nothing, "42601"},
        language_case{"REASSIGN 7 REASON 'x'", verb::nothing, "42601"},
        language_case{"REASSIGN TO carol REASON 'x'", verb::nothing, "42601"},
        language_case{"REQUEST HOLD TARGET shop STATEMENT 'select 1' REASON 'r' FOR '2h'",
                      verb::request_hold, ""},
        language_case{"REQUEST HOLD TARGET shop REASON 'r' APPLICATION 'cron'", verb::request_hold,
                      ""},
        language_case{"REQUEST HOLD STATEMENT 'select 1' REASON 'r'", verb::nothing, "42601"},
        language_case{"REQUEST HOLD TARGET shop", verb::nothing, "42601"},
        language_case{"REQUEST HOLD TARGET shop STATEMENT select REASON 'r'", verb::nothing,
                      "42601"},
        language_case{"DENY 7 REASON 'no'", verb::deny, ""},
        language_case{"DENY 7", verb::nothing, "42601"},
        language_case{"DENY 7 PASS shape REASON 'x'", verb::nothing, "42601"},
        language_case{"SHOW OPT_OUTS", verb::show_opt_outs, ""},
        language_case{"show opt outs all", verb::show_opt_outs, ""},
        language_case{"REQUEST OPT OUT RULE pii-needs-approval FOR '2h' REASON 'x' TICKET 'INC-1' "
                      "TARGET shop",
                      verb::request_opt_out, ""},
        language_case{"request opt_out for '2h' reason 'x' rule \"Odd Name\"",
                      verb::request_opt_out, ""},
        language_case{"REQUEST OPT OUT RULE r REASON 'x'", verb::nothing, "42601"},
        language_case{"APPROVE OPT OUT 3", verb::approve_opt_out, ""},
        language_case{"APPROVE OPT_OUT 3 REASON 'ok'", verb::approve_opt_out, ""},
        language_case{"APPROVE OPT OUT 3 PASS shape", verb::nothing, "42601"},
        language_case{"DENY OPT OUT 3 REASON 'no'", verb::deny_opt_out, ""},
        language_case{"REVOKE OPT OUT 3 REASON 'over'", verb::revoke_opt_out, ""},
        language_case{"REVOKE OPT OUT 3", verb::nothing, "42601"},
        language_case{"SHOW SESSIONS", verb::show_sessions, ""},
        language_case{"KILL 12 REASON 'runaway'", verb::kill, ""},
        language_case{"KILL 12", verb::nothing, "42601"},
        language_case{"SHOW RULES", verb::show_rules, ""},
        language_case{"SHOW STATS", verb::show_stats, ""},
        language_case{"SHOW VERSION", verb::show_version, ""},
        language_case{"RELOAD", verb::reload, ""}, language_case{"HELP", verb::help, ""},
        language_case{"SHOW HELP", verb::help, ""}, language_case{"", verb::nothing, ""},
        language_case{" ; -- nothing", verb::nothing, ""},
        language_case{"/* never ends", verb::nothing, "42601"},
        language_case{"SELECT 1", verb::driver_select, ""},
        language_case{"select version();", verb::driver_select, ""},
        language_case{"SHOW server_version", verb::driver_show, ""},
        language_case{"SHOW TRANSACTION ISOLATION LEVEL", verb::driver_show, ""},
        language_case{"SET extra_float_digits = 3", verb::driver_command, ""},
        language_case{"BEGIN", verb::driver_command, ""},
        language_case{"START TRANSACTION READ ONLY", verb::driver_command, ""},
        language_case{"rollback", verb::driver_command, ""},
        language_case{"SELECT * FROM pg_catalog.pg_class", verb::nothing, "0A000"},
        language_case{"DROP TABLE holds", verb::nothing, "0A000"},
        language_case{"\\d", verb::nothing, "0A000"},
        language_case{"SHOW HODLS", verb::nothing, "42601"},
        language_case{"'APPROVE' 7", verb::nothing, "42601"},
        language_case{"\xff\xfe", verb::nothing, "42601"}));

TEST(console_command_text, literals_keep_their_bytes_and_doubled_quotes_become_one) {
    const auto c = parse_command("approve 7 reason 'it''s; -- \"fine\"'");

    EXPECT_EQ(c.reason, "it's; -- \"fine\"");
}

TEST(console_command_text, unknown_command_names_the_nearest_one_and_help) {
    const auto c = parse_command("SHOW HODLS");

    EXPECT_THAT(c.hint, HasSubstr("SHOW HOLDS"));
    EXPECT_THAT(c.hint, HasSubstr("HELP"));
}

TEST(console_command_text, no_text_of_random_pieces_breaks_the_parser) {
    const std::vector<std::string> pieces{
        "SHOW", "HOLD",   "7",   "'",    "''",   "\"", ";",  "/*", "*/",  "--",      "\n",  "OPT",
        "OUT",  "REASON", "FOR", "PASS", "\xff", "\0", "\\", "(",  "ALL", "REQUEST", "RULE"};
    std::uint32_t seed = 1;
    for (int i = 0; i < 5'000; ++i) {
        std::string text;
        for (int n = 0; n < 12; ++n) {
            seed = seed * 1'664'525U + 1'013'904'223U;
            text += pieces[(seed >> 16U) % pieces.size()];
            if ((seed & 0x8000U) != 0) text += ' ';
        }
        const auto c = parse_command(text);
        EXPECT_TRUE(c.sqlstate.empty() || !c.hint.empty()) << text;
    }
}

struct console_world : world {
    console_world() : under_test(make()) {}
    console_result run(const std::string& user, const std::string& text) {
        std::promise<console_result> said;
        under_test.execute({people.at(user), "127.0.0.1"}, text,
                           [&](console_result r) { said.set_value(std::move(r)); });
        return said.get_future().get();
    }
    console under_test;
};

TEST(console_command_text, short_form_that_is_incomplete_shows_the_long_one) {
    EXPECT_EQ(parse_command("EXTEND 5").hint, "The form is: EXTEND OPT OUT 3 FOR '1h' REASON '…'");
}

TEST(console_answers, rows_fit_the_columns_described_for_every_command) {
    for (const auto* const text :
         {"SHOW HOLDS", "SHOW HOLD 7", "APPROVE 7", "DENY 7 REASON 'x'", "SHOW OPT_OUTS",
          "REQUEST OPT OUT RULE r FOR '2h' REASON 'x'", "APPROVE OPT OUT 3",
          "DENY OPT OUT 3 REASON 'x'", "REVOKE OPT OUT 3 REASON 'x'", "SHOW RULES", "SHOW VERSION",
          "HELP", "SELECT 1", "select pg_is_in_recovery()", "SHOW search_path", "SET x = 1", ""}) {
        console_world w;

        const auto r = w.run("bob", text);

        EXPECT_EQ(r.sqlstate, "") << text << ": " << r.message;
        const auto described = w.under_test.describe(text);
        ASSERT_EQ(described.size(), r.columns.size()) << text;
        for (const auto& row : r.rows)
            EXPECT_EQ(row.size(), described.size()) << text;
        EXPECT_EQ(r.rows.empty(), described.empty()) << text;
    }
}

struct role_case {
    std::string text;
    std::string allowed;  // initials
};
TEST(console_answers, every_command_lets_in_whom_the_table_names_and_nobody_else) {
    for (const auto& c : std::vector<role_case>{{"SHOW HOLDS", "abcde"},
                                                {"SHOW HOLD 7", "abcd"},
                                                {"APPROVE 7", "b"},
                                                {"DENY 7 REASON 'x'", "b"},
                                                {"ESCALATE 7", "abcd"},
                                                {"REASSIGN 7 TO bob REASON 'x'", "abcd"},
                                                {"SHOW OPT_OUTS", "abcde"},
                                                {"REVOKE OPT OUT 3 REASON 'x'", "abcd"},
                                                {"SHOW SESSIONS", "cd"},
                                                {"KILL 12 REASON 'x'", "c"},
                                                {"SHOW STATS", "cd"},
                                                {"RELOAD", "c"},
                                                {"SHOW RULES", "abcde"}}) {
        for (const auto* const name : {"alice", "bob", "carol", "dave", "eve"}) {
            console_world w;

            const auto r = w.run(name, c.text);

            EXPECT_EQ(r.sqlstate.empty(), c.allowed.find(name[0]) != std::string::npos)
                << name << " " << c.text << ": " << r.message;
            EXPECT_TRUE(r.sqlstate.empty() || r.sqlstate == "42501" || r.sqlstate == "42704")
                << r.sqlstate;
        }
    }
}

TEST(console_answers, approval_reaches_the_steward_with_its_surface_and_is_recorded) {
    console_world w;

    const auto r = w.run("bob", "APPROVE 7 REASON 'ok' PASS session FOR '1h'");

    EXPECT_EQ(r.tag, "APPROVE");
    EXPECT_THAT(w.steward_heard, ElementsAre("bob approves hold 7 session 3600000 by console: ok"));
    EXPECT_THAT(w.events(), ElementsAre("admin.action bob hold.approve done"));
}

TEST(console_answers, reassigning_reaches_the_steward_with_the_person_and_is_recorded) {
    console_world w;

    const auto r = w.run("bob", "REASSIGN 7 TO carol REASON 'she knows it'");

    EXPECT_EQ(r.tag, "REASSIGN");
    EXPECT_THAT(w.steward_heard,
                ElementsAre("bob reassigns hold 7 to carol by console: she knows it"));
    EXPECT_THAT(w.events(), ElementsAre("admin.action bob hold.reassign done"));
    EXPECT_EQ(w.run("bob", "REASSIGN 7 TO mallory REASON 'x'").sqlstate, "22023");
}

TEST(console_answers, killing_a_session_names_who_and_why_once) {
    console_world w;

    EXPECT_EQ(w.run("carol", "KILL 12 REASON 'runaway'").sqlstate, "");
    EXPECT_EQ(w.run("carol", "KILL 12 REASON 'again'").sqlstate, "42704");
    EXPECT_THAT(w.sessions.killed, Contains("12 by carol: runaway"));
}

TEST(console_answers, escape_sequences_of_a_statement_cannot_act_on_the_approvers_terminal) {
    console_world w;
    w.holds[0].statement = "select 1 \x1b[2J\x7f \xE2\x80\xAE evil \xff";

    const auto shown = *w.run("bob", "SHOW HOLD 7").rows.back()[1];

    EXPECT_EQ(shown, "select 1 \\x1b[2J\\x7f \\u{202e} evil \\xff");
}

TEST(console_answers, faults_of_a_reload_stand_in_the_detail) {
    console_world w;
    w.reload_says = {
        .done = false, .faults = {"a:1:1: x", "b:2:2: y"}, .warnings = {}, .policy_hash = ""};

    const auto r = w.run("carol", "RELOAD");

    EXPECT_EQ(r.sqlstate, "22023");
    EXPECT_EQ(r.detail, "a:1:1: x\nb:2:2: y");
}

TEST(console_answers, reason_with_control_characters_is_refused) {
    console_world w;

    EXPECT_EQ(w.run("bob", "APPROVE 7 REASON '\x1b[2J'").sqlstate, "22023");
    EXPECT_EQ(w.run("bob", "APPROVE 7 REASON '\xff'").sqlstate, "22023");
    EXPECT_THAT(w.steward_heard, IsEmpty());
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
