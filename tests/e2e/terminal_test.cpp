#include <csignal>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/cli/table.h"
#include "tests/e2e/fixture.h"
#include "tests/support/temp_dir.h"

/// The commands for people, on a terminal of 80 and of 200 columns.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class terminal : public e2e {
  protected:
    using environment = std::map<std::string, std::string>;

    [[nodiscard]] environment env(environment more = {}) const {
        more.merge(environment{
            {"SALLYPORT_URL", "http://127.0.0.1:" + std::to_string(proxy->admin_port())},
            {"XDG_STATE_HOME", home.path()},
            {"SALLYPORT_PASSWORD", ""},
            {"SALLYPORT_USER", ""},
            {"TERM", "xterm"}});
        return more;
    }
    /// A subcommand on a terminal of so many columns.
    [[nodiscard]] std::unique_ptr<child_process> on_terminal(int columns,
                                                             std::vector<std::string> arguments,
                                                             environment more = {}) const {
        std::vector<std::string> argv{
            "sh", "-c", "stty cols " + std::to_string(columns) + " rows 40; exec \"$@\"", "sh",
            sallyport_binary()};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return std::make_unique<child_process>(
            command{.argv = argv, .env = env(std::move(more)), .terminal = true});
    }
    /// Its whole output; it must end well.
    [[nodiscard]] std::string shown(int columns, std::vector<std::string> arguments,
                                    environment more = {}) const {
        more.merge(environment{{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "bob-password"}});
        const auto p = on_terminal(columns, std::move(arguments), std::move(more));
        EXPECT_EQ(p->wait_exit(), 0) << p->output();
        return p->output();
    }
    [[nodiscard]] command_result without_terminal(std::vector<std::string> arguments,
                                                  environment more = {}) const {
        arguments.insert(arguments.begin(), sallyport_binary());
        return run({.argv = std::move(arguments), .env = env(std::move(more)), .input = ""});
    }
    void log_in(const std::string& user) const {
        const auto made = without_terminal({"login", "--user", user},
                                           {{"SALLYPORT_PASSWORD", user + "-password"}});
        ASSERT_EQ(made.exit_code, 0) << made.err;
    }
    [[nodiscard]] std::string kept_file() const {
        return home.file("sallyport/http%3a%2f%2f127.0.0.1%3a" +
                         std::to_string(proxy->admin_port()));
    }

    temp_dir home{"sallyport-home"};
};

TEST_F(terminal, tables_fit_their_terminal_and_lose_nothing) {
    start();
    auto who = login_as("alice");
    who.more = {{"application_name", "the-quarterly-report-of-the-data-team-in-its-third-version"}};
    wire_client c(proxy->port());
    c.login(who);
    EXPECT_EQ(c.ask("SET sallyport.reason = 'somebody asked for all of it, twice, and in "
                    "writing, before the end of the month'")
                  .sqlstate(),
              "");
    c.send(wire::query(held_sql));
    ASSERT_NE(pending_hold_of("alice"), 0u);
    for (const int columns : {80, 200}) {
        for (const auto* list : {"holds", "rules", "opt-out", "reviews", "flags", "sessions"}) {
            std::vector<std::string> arguments{list};
            if (arguments[0] == "opt-out") arguments.emplace_back("list");
            std::istringstream lines(shown(columns, arguments,
                                           {{"NO_COLOR", "1"},
                                            {"SALLYPORT_USER", "root"},
                                            {"SALLYPORT_PASSWORD", "root-password"}}));
            for (std::string line; std::getline(lines, line);) {
                if (line.ends_with('\r')) line.pop_back();
                EXPECT_LE(proxy::cli::display_width(line), static_cast<std::size_t>(columns))
                    << list << ": " << line;
            }
        }
        const auto holds = shown(columns, {"holds"}, {{"NO_COLOR", "1"}});
        for (const auto* word : {"alice", "pending", "month", "ssn", "customers"})
            EXPECT_THAT(holds, HasSubstr(word));
    }
    std::istringstream wide(shown(200, {"holds"}, {{"NO_COLOR", "1"}}));
    std::string heading;
    std::getline(wide, heading);
    EXPECT_THAT(heading, HasSubstr("EXPIRES"));
}

TEST_F(terminal, colours_are_for_terminals_that_want_them) {
    start();
    EXPECT_THAT(shown(80, {"rules"}), HasSubstr("\x1b[1m"));
    EXPECT_THAT(shown(80, {"rules"}, {{"NO_COLOR", "1"}}), Not(HasSubstr("\x1b[")));
    EXPECT_THAT(shown(80, {"rules"}, {{"TERM", "dumb"}}), Not(HasSubstr("\x1b[")));
    EXPECT_THAT(cli("bob", {"rules"}), Not(HasSubstr("\x1b")));
}

TEST_F(terminal, approve_alone_shows_what_waits_and_asks) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    ASSERT_NE(pending_hold_of("alice"), 0u);
    const auto bob = on_terminal(
        80, {"approve"}, {{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "bob-password"}});
    auto at = bob->wait_for("[a]pprove, [d]eny, [s]kip, [q]uit?");
    ASSERT_NE(at, std::string::npos) << bob->output();
    EXPECT_THAT(bob->output(), HasSubstr("ssn FROM customers"));
    bob->send("what\n");
    at = bob->wait_for("Answer a, d, s or q.", at);
    bob->send("a\n");
    ASSERT_NE(bob->wait_for("Reason", at), std::string::npos);
    bob->send("ticket 7\n");
    EXPECT_EQ(bob->wait_exit(), 0) << bob->output();
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_THAT(shown(80, {"approve"}), HasSubstr("Nothing waits"));
}

TEST_F(terminal, approve_alone_denies_with_a_reason_and_not_without) {
    start();
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    ASSERT_NE(pending_hold_of("alice"), 0u);
    const auto bob = on_terminal(
        80, {"approve"}, {{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "bob-password"}});
    auto at = bob->wait_for("[q]uit?");
    bob->send("d\n");
    at = bob->wait_for("Reason: ", at);
    bob->send("\n");
    at = bob->wait_for("[q]uit?", bob->wait_for("needs a reason", at));
    bob->send("d\n");
    ASSERT_NE(bob->wait_for("Reason: ", at), std::string::npos) << bob->output();
    bob->send("not today\n");
    EXPECT_EQ(bob->wait_exit(), 0);
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
}

TEST_F(terminal, approve_alone_does_not_ask_where_nobody_is) {
    start();
    const auto said = without_terminal(
        {"approve"}, {{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "bob-password"}});
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.err, HasSubstr("sallyport holds"));
}

TEST_F(terminal, login_is_kept_for_the_commands_to_come_and_ended_by_logout) {
    start();
    log_in("bob");
    EXPECT_THAT(run({.argv = {"stat", "-c", "%a", kept_file()}}).out, HasSubstr("600"));
    EXPECT_THAT(run({.argv = {"stat", "-c", "%a", home.file("sallyport")}}).out, HasSubstr("700"));
    const auto me = without_terminal({"whoami"});
    EXPECT_EQ(me.exit_code, 0) << me.err;
    EXPECT_THAT(me.out, HasSubstr("bob"));
    EXPECT_EQ(without_terminal({"whoami", "--user", "carol"}).exit_code, 4);  // it is bob's
    const auto token = nlohmann::json::parse(read_file(kept_file())).at("token").get<std::string>();
    EXPECT_EQ(without_terminal({"logout"}).exit_code, 0);
    EXPECT_NE(run({.argv = {"test", "-e", kept_file()}}).exit_code, 0);
    EXPECT_EQ(without_terminal({"whoami"}, {{"SALLYPORT_TOKEN", token}}).exit_code, 4);
    EXPECT_THAT(without_terminal({"logout"}).out, HasSubstr("No login was kept"));
}

TEST_F(terminal, login_that_others_could_read_is_not_used) {
    start();
    log_in("bob");
    ASSERT_EQ(run({.argv = {"chmod", "644", kept_file()}}).exit_code, 0);
    auto said = without_terminal({"whoami"});
    EXPECT_EQ(said.exit_code, 4);
    EXPECT_THAT(said.err, HasSubstr("open to other users"));
    ASSERT_EQ(run({.argv = {"chmod", "600", kept_file()}}).exit_code, 0);
    EXPECT_EQ(without_terminal({"whoami"}).exit_code, 0);
    ASSERT_EQ(run({.argv = {"chmod", "755", home.file("sallyport")}}).exit_code, 0);
    said = without_terminal({"whoami"});
    EXPECT_EQ(said.exit_code, 4);
    EXPECT_THAT(said.err, HasSubstr("open to other users"));
    ASSERT_EQ(run({.argv = {"chmod", "700", home.file("sallyport")}}).exit_code, 0);
    ASSERT_EQ(run({.argv = {"mv", kept_file(), home.file("elsewhere")}}).exit_code, 0);
    ASSERT_EQ(run({.argv = {"ln", "-s", home.file("elsewhere"), kept_file()}}).exit_code, 0);
    EXPECT_EQ(without_terminal({"whoami"}).exit_code, 4);
}

TEST_F(terminal, login_that_has_ended_says_so) {
    start();
    log_in("bob");
    proxy->restart();
    const auto said = without_terminal({"whoami"});
    EXPECT_EQ(said.exit_code, 4);
    EXPECT_THAT(said.err, HasSubstr("sallyport login"));
}

TEST_F(terminal, login_asks_for_the_password_and_does_not_show_it) {
    start();
    const auto p = on_terminal(80, {"login", "--user", "bob"});
    ASSERT_NE(p->wait_for("Password of bob: "), std::string::npos);
    p->send("bob-password\n");
    EXPECT_EQ(p->wait_exit(), 0) << p->output();
    EXPECT_THAT(p->output(), Not(HasSubstr("bob-password")));
    EXPECT_THAT(p->output(), HasSubstr("You are logged in as bob"));
}

TEST_F(terminal, psql_goes_through_the_proxy) {
    start();
    const auto said = without_terminal({"psql", "shop", "--port", std::to_string(proxy->port()),
                                        "--user", "alice", "--", "-X", "-At", "-c", "SELECT 6 * 7"},
                                       {{"SALLYPORT_PASSWORD", "alice-password"}});
    EXPECT_EQ(said.exit_code, 0) << said.err;
    EXPECT_EQ(said.out, "42\n");
    const auto hostile =
        without_terminal({"psql", "x' host='evil", "--port", std::to_string(proxy->port()),
                          "--user", "alice", "--", "-X", "-c", "SELECT 1"},
                         {{"SALLYPORT_PASSWORD", "alice-password"}});
    EXPECT_NE(hostile.exit_code, 0);
    EXPECT_THAT(hostile.err, HasSubstr("does not exist"));
}

TEST_F(terminal, watch_shows_it_again) {
    start();
    const auto p = on_terminal(80, {"holds", "--watch"},
                               {{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "bob-password"}});
    ASSERT_NE(p->wait_for("Nothing waits"), std::string::npos) << p->output();
    EXPECT_THAT(p->output(), HasSubstr("\x1b[H\x1b[J"));
    auto c = client_as("alice");
    c.send(wire::query(held_sql));
    EXPECT_NE(p->wait_for("alice"), std::string::npos) << p->output();
    p->signal(SIGINT);
    EXPECT_EQ(p->wait_exit(), 128 + SIGINT);
}

TEST_F(terminal, exit_codes_are_told_in_help) {
    start();
    EXPECT_THAT(without_terminal({"--help"}).out, HasSubstr("Exit codes: 0 done; 1 refused"));
    EXPECT_EQ(without_terminal({"approve", "x"}).exit_code, 2);
    EXPECT_EQ(without_terminal({"holds", "--url", "http://127.0.0.1:1"},
                               {{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "x"}})
                  .exit_code,
              3);
    EXPECT_EQ(without_terminal({"holds"}, {{"SALLYPORT_USER", "bob"}, {"SALLYPORT_PASSWORD", "x"}})
                  .exit_code,
              4);
}

}  // namespace
}  // namespace sallyport::tests
