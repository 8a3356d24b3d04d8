#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// `sallyport explain` and POST /api/v1/decisions with the catalog of a real server.
namespace sallyport::tests {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* catalog_login =
    "    catalog: { user: sallyport_catalog, password_file: secrets/sallyport_catalog, "
    "interval: 100ms }\n";

class explain : public e2e {
  protected:
    explain() { options.targets["shop"].more = catalog_login; }

    /// A view over a view over a function over pii.customers.
    void make_road() const {
        direct(
            "CREATE FUNCTION birthdays(first int) RETURNS SETOF date LANGUAGE sql AS 'SELECT "
            "birthday FROM pii.customers WHERE id >= first'; CREATE VIEW days AS SELECT d FROM "
            "birthdays(1) AS d; CREATE VIEW calendar AS SELECT d FROM days");
    }
    void prepare() {
        if (!proxy) proxy = std::make_unique<proxy_process>(options);
    }
    command_result ask(std::vector<std::string> more) {
        prepare();
        std::vector<std::string> arguments{
            "explain", "--config", proxy->config_path(), "--as", "alice", "--on", "shop"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return proxy->run_tool(arguments);
    }
    json ask_json(std::vector<std::string> more) {
        more.emplace_back("--json");
        const auto r = ask(std::move(more));
        EXPECT_EQ(r.exit_code, 0) << r.err;
        return json::parse(r.out);
    }
    static json relation(const json& answer, const std::string& schema, const std::string& name) {
        for (const auto& s : answer.at("statements"))
            for (const auto& r : s.at("relations"))
                if (r.at("schema") == schema && r.at("name") == name) return r;
        return nullptr;
    }
};

TEST_F(explain, road_through_views_and_a_function_is_shown) {
    make_road();
    const auto r = ask({"select d from calendar"});
    EXPECT_EQ(r.exit_code, 0) << r.err;
    EXPECT_THAT(r.out, HasSubstr("hold by rule pii-needs-approval\n"));
    EXPECT_THAT(r.out,
                HasSubstr("  read    pii.customers (birthday, id, first) <- pii-needs-approval\n"
                          "          by view public.calendar → view public.days → function "
                          "public.birthdays\n"));
    EXPECT_THAT(r.out, HasSubstr("read just now"));
    EXPECT_THAT(r.out, HasSubstr("path      pg_catalog, public (PostgreSQL's default)"));
}

TEST_F(explain, json_has_the_road_the_snapshot_and_every_rule) {
    make_road();
    const auto a = ask_json({"select d from calendar"});
    EXPECT_EQ(a.at("effect"), "hold");
    EXPECT_EQ(a.at("catalog").at("state"), "followed");
    EXPECT_EQ(a.at("catalog").at("database"), database);
    EXPECT_GE(a.at("catalog").at("server_version"), 120000);
    EXPECT_FALSE(a.at("cut"));
    const auto reached = relation(a, "pii", "customers");
    EXPECT_EQ(reached.at("road"),
              "view public.calendar → view public.days → function public.birthdays");
    EXPECT_FALSE(reached.at("named"));
    EXPECT_EQ(reached.at("rules"), json::array({"pii-needs-approval"}));
    EXPECT_TRUE(relation(a, "public", "calendar").at("named"));
    bool decides = false;
    for (const auto& rule : a.at("rules"))
        decides =
            decides || (rule.at("id") == "pii-needs-approval" && rule.at("state") == "decides" &&
                        rule.at("why") == json::array({"read of pii.customers"}));
    EXPECT_TRUE(decides) << a.at("rules").dump(1);
}

TEST_F(explain, running_proxy_gives_the_same_by_its_own_snapshot) {
    make_road();
    start();
    const auto cli = ask_json({"select d from calendar"});
    const auto api =
        post("alice", "/api/v1/decisions", {{"on", "shop"}, {"sql", "select d from calendar"}});
    for (const char* key : {"effect", "rule", "reasons", "facts", "statements", "rules", "text",
                            "search_path", "hold", "notes", "policy"})
        EXPECT_EQ(api.at(key), cli.at(key)) << key;
    EXPECT_EQ(api.at("catalog").at("state"), "followed");
    EXPECT_GE(api.at("catalog").at("age_ms"), 0);
    // What the gate does with it is what was explained.
    auto c = client_as("alice");
    c.send(wire::query("select d from calendar"));
    EXPECT_NE(pending_hold_of("alice"), 0U);
    // A view made around the proxy is in the next answer.
    direct("CREATE VIEW fresh AS TABLE pii.cards");
    const auto later = post("alice", "/api/v1/decisions", {{"on", "shop"}, {"sql", "table fresh"}});
    EXPECT_EQ(relation(later, "pii", "cards").at("road"), "view public.fresh");
}

TEST_F(explain, unknown_name_is_said_with_what_the_proxy_does) {
    const auto r = ask({"--exit-code", "select * from calender"});
    EXPECT_EQ(r.exit_code, 1) << r.err;
    EXPECT_THAT(r.out, HasSubstr("opaque  no relation calender is known"));
    EXPECT_THAT(r.out, HasSubstr("a name is not in the catalog: the proxy looks at the catalog"));
}

TEST_F(explain, without_a_catalog_what_that_means_is_said) {
    make_road();
    const auto off = ask_json({"--no-catalog", "select d from calendar"});
    EXPECT_EQ(off.at("effect"), "allow");
    EXPECT_EQ(off.at("catalog").at("state"), "off");
    EXPECT_THAT(off.at("notes").dump(), HasSubstr("explained from the text alone"));
    const auto called = ask({"--no-catalog", "select birthdays(1)"});
    EXPECT_THAT(called.out, HasSubstr("hold by rule opaque\n"));
    EXPECT_THAT(called.out, HasSubstr("there is no catalog to tell what birthdays() reaches"));
    proxy.reset();
    options.targets["shop"].more.clear();
    const auto none = ask_json({"select d from calendar"});
    EXPECT_EQ(none.at("catalog"), json({{"state", "none"}}));
    EXPECT_THAT(none.at("notes").dump(), HasSubstr("has no catalog: login, so only names count"));
}

TEST_F(explain, catalog_that_cannot_be_read_is_said_and_decided_like_the_proxy) {
    make_road();
    options.targets["shop"].more =
        "    catalog: { user: sallyport_catalog, password_file: secrets/app }\n";
    const auto a = ask_json({"select birthdays(1)"});
    EXPECT_EQ(a.at("effect"), "hold");
    EXPECT_EQ(a.at("rule"), "opaque");
    EXPECT_EQ(a.at("catalog").at("state"), "unreachable");
    EXPECT_THAT(a.at("catalog").at("why"), HasSubstr("password authentication failed"));
    EXPECT_THAT(a.dump(), Not(HasSubstr("app-password")));
}

TEST_F(explain, search_path_is_that_of_the_role_or_the_one_given) {
    direct("CREATE TABLE pii.orders (id int)");
    EXPECT_EQ(ask_json({"select id from orders"}).at("effect"), "allow");
    const auto given = ask_json({"--search-path", "pii, nowhere, public", "select id from orders"});
    EXPECT_EQ(given.at("effect"), "hold");
    EXPECT_EQ(given.at("search_path").at("schemas"), json::array({"pg_catalog", "pii", "public"}));
    direct("ALTER ROLE app IN DATABASE " + database + " SET search_path = pii, public");
    const auto role = ask_json({"select id from orders"});
    EXPECT_EQ(role.at("effect"), "hold");
    EXPECT_EQ(role.at("search_path").at("from"), "the setting of role app in database " + database);
    direct("ALTER ROLE app IN DATABASE " + database + " RESET search_path");
    const auto start_value = ask_json({"select id from orders"});
    EXPECT_TRUE(start_value.at("search_path").at("matters"));
    EXPECT_EQ(start_value.at("search_path").at("otherwise"),
              json({{"effect", "hold"}, {"rule", "pii-needs-approval"}}));
}

TEST_F(explain, text_comes_from_a_file_or_standard_input) {
    prepare();
    write_file(proxy->file("q.sql"), "-- why\nselect ssn from customers", 0644);
    const auto file = ask_json({"-f", proxy->file("q.sql")});
    EXPECT_EQ(file.at("rule"), "pii-needs-approval");
    const auto input = run({.argv = {sallyport_binary(), "explain", "--config",
                                     proxy->config_path(), "--as", "alice", "--on", "shop", "-"},
                            .env = {},
                            .input = "create table x (a int)"});
    EXPECT_THAT(input.out, HasSubstr("deny by rule no-ddl-outside-dba\n"));
    EXPECT_EQ(ask({"-f", proxy->file("nothing.sql")}).exit_code, 2);
    write_file(proxy->file("empty.sql"), "", 0644);
    EXPECT_EQ(ask({"-f", proxy->file("empty.sql")}).exit_code, 2);
}

TEST_F(explain, exit_code_is_the_decision_where_that_is_wanted) {
    EXPECT_EQ(ask({"--exit-code", "select 1"}).exit_code, 0);
    EXPECT_EQ(ask({"--exit-code", "select ssn from customers"}).exit_code, 1);
    EXPECT_EQ(ask({"--exit-code", "create table x (a int)"}).exit_code, 3);
    EXPECT_EQ(ask({"--exit-code", "--at", "yesterday", "select 1"}).exit_code, 2);
    EXPECT_EQ(ask({"--exit-code", "--address", "nowhere", "select 1"}).exit_code, 2);
    EXPECT_EQ(ask({"create table x (a int)"}).exit_code, 0);
}

TEST_F(explain, names_that_act_on_a_terminal_are_written_out) {
    const std::string hostile =
        "\x1b[2J\xE2\x80\xAE"
        "evil\nhold by nobody";
    direct("CREATE VIEW \"" + hostile + "\" AS TABLE pii.cards");
    for (const auto& sql : {"table \"" + hostile + "\"", std::string("select '\x1b]0;x\x07'")}) {
        const auto r = ask({sql});
        EXPECT_EQ(r.exit_code, 0) << r.err;
        EXPECT_THAT(r.out, Not(HasSubstr("\x1b")));
        EXPECT_THAT(r.out, Not(HasSubstr("\x07")));
        EXPECT_THAT(r.out, Not(HasSubstr("\xE2\x80\xAE")));
        EXPECT_THAT(r.out, Not(HasSubstr("\nhold by nobody")));
        const auto j = ask({"--json", sql});
        EXPECT_EQ(j.exit_code, 0) << j.err;
        EXPECT_TRUE(json::accept(j.out));
        for (const char c : j.out)
            EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~')) << int{c};
    }
}

TEST_F(explain, megabyte_is_answered_within_bounds) {
    prepare();
    std::string sql = "select * from pii.cards where number in ('a'";
    while (sql.size() < (1U << 20U))
        sql += ", '\xE2\x80\xAE\x1b'";
    sql += ")";
    write_file(proxy->file("long.sql"), sql, 0644);
    const auto text = ask({"-f", proxy->file("long.sql")});
    EXPECT_EQ(text.exit_code, 0) << text.err;
    EXPECT_LT(text.out.size(), 20'000U);
    EXPECT_THAT(text.out, Not(HasSubstr("\x1b")));
    const auto a = ask_json({"-f", proxy->file("long.sql")});
    EXPECT_TRUE(a.at("cut"));
    EXPECT_LT(a.dump().size(), 100'000U);
}

TEST_F(explain, who_may_not_open_a_session_learns_nothing_of_the_catalog) {
    make_road();
    start_with_policy(
        "version: 1\ndefault: allow\nopaque: deny\nrules:\n"
        "  - { id: not-alice, tier: 1, who: { users: [alice] }, do: [connect], effect: deny }\n");
    const auto own =
        post("alice", "/api/v1/decisions", {{"on", "shop"}, {"sql", "select d from calendar"}});
    EXPECT_EQ(own.at("catalog").at("state"), "off");
    EXPECT_THAT(own.dump(), Not(HasSubstr("birthdays")));
    const auto admin = post("root", "/api/v1/decisions",
                            {{"as", "alice"}, {"on", "shop"}, {"sql", "select d from calendar"}});
    EXPECT_THAT(admin.dump(), HasSubstr("birthdays"));
}

}  // namespace
}  // namespace sallyport::tests
