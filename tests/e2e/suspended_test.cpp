#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/bounds_fixture.h"

/// Flags and locks on applications, addresses and targets: whom they mean, until when, and who may
/// not lift them.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;

constexpr const char* elsewhere = "127.0.0.2";

class suspended : public bounded {
  protected:
    suspended() {
        options.targets["crm"] = options.targets["shop"];
        options.roles = "{ admin: { groups: [admin], users: [carol] } }";
    }
    std::uint64_t restrain(const std::string& path, const std::string& about,
                           const std::string& subject, const std::string& lasts = "1h",
                           const std::string& by = "root") const {
        return post(by, "/api/v1/" + path, {{about, subject}, {"for", lasts}, {"reason", "a leak"}})
            .at("id")
            .get<std::uint64_t>();
    }
    std::uint64_t flag(const std::string& about, const std::string& subject,
                       const std::string& lasts = "1h", const std::string& by = "root") const {
        return restrain("flags", about, subject, lasts, by);
    }
    std::uint64_t lock(const std::string& about, const std::string& subject,
                       const std::string& lasts = "1h", const std::string& by = "root") const {
        return restrain("locks", about, subject, lasts, by);
    }
    [[nodiscard]] http_response lift(const std::string& who, std::uint64_t id) const {
        return api(who).post("/api/v1/flags/" + std::to_string(id) + "/lift",
                             R"({"reason":"it was nothing"})");
    }
    /// A client of this application, from this address, that does not wait.
    [[nodiscard]] wire_client client(const std::string& user, const std::string& application,
                                     const std::string& target = "shop",
                                     const std::string& from = "127.0.0.1") const {
        auto o = login_as(user, target);
        o.more.emplace_back("application_name", application);
        o.more.emplace_back("options", "-c sallyport.on_hold=refuse");
        wire_client c(proxy->port(), from);
        c.login(o);
        return c;
    }
    /// The SQLSTATE with which such a client is refused at the door; "": it was let in.
    [[nodiscard]] std::string at_the_door(const std::string& user, const std::string& application,
                                          const std::string& target = "shop",
                                          const std::string& from = "127.0.0.1") const {
        auto o = login_as(user, target);
        o.more.emplace_back("application_name", application);
        o.more.emplace_back("options", "-c sallyport.on_hold=refuse");
        wire_client c(proxy->port(), from);
        try {
            c.authenticate(o);
            for (;;) {
                const auto m = c.read();
                if (m.type == 'E') return fields_of(m).at('C');
                if (m.type == 'Z') return "";
            }
        } catch (const login_refused& e) {
            return e.sqlstate();
        }
    }
    static void expect_locked_out(wire_client& c, const std::string& what) {
        const auto rest = c.read_to_end();
        ASSERT_FALSE(rest.empty());
        const auto fatal = fields_of(rest.back());
        EXPECT_EQ(fatal.at('S'), "FATAL");
        EXPECT_EQ(fatal.at('C'), "SP003");
        EXPECT_THAT(fatal.at('M'), HasSubstr("the " + what + " is locked: a leak"));
    }
};

TEST_F(suspended, flag_on_an_application_holds_its_sessions_and_no_others) {
    start();
    auto before = client("alice", "batch");
    auto other = client("alice", "shell");
    ASSERT_EQ(outcome(before, "SELECT 1"), "");

    const auto id = flag("application", "batch");

    EXPECT_EQ(outcome(before, "SELECT 1"), "SP001");
    EXPECT_EQ(at_the_door("erin", "batch"), "SP001") << "whoever it is";
    EXPECT_EQ(outcome(other, "SELECT 1"), "");
    EXPECT_EQ(outcome(other, "SET application_name = 'batch'"), "");
    EXPECT_EQ(outcome(other, "SELECT 1"), "SP001") << "it is one of them now";
    EXPECT_EQ(lift("root", id).status, 200);
    EXPECT_EQ(outcome(before, "SELECT 1"), "");
}

TEST_F(suspended, flag_on_an_application_suspends_the_opt_outs_of_its_sessions) {
    start();
    static_cast<void>(active_opt_out());
    auto batch = client("alice", "batch");
    auto other = client("alice", "shell");
    ASSERT_EQ(outcome(batch), "");

    static_cast<void>(flag("application", "batch"));

    EXPECT_EQ(outcome(batch), "SP001");
    EXPECT_EQ(outcome(other), "");
}

TEST_F(suspended, flag_on_an_address_holds_who_comes_from_there) {
    start();
    auto there = client("alice", "psql", "shop", elsewhere);
    auto here = client("alice", "psql");
    ASSERT_EQ(outcome(there, "SELECT 1"), "");

    cli("root", {"flag", "address", "127.0.0.2/31", "--for", "1h", "--reason", "a leak"});

    EXPECT_EQ(outcome(there, "SELECT 1"), "SP001");
    EXPECT_EQ(at_the_door("erin", "psql", "shop", elsewhere), "SP001");
    EXPECT_EQ(outcome(here, "SELECT 1"), "");
    EXPECT_EQ(at_the_door("erin", "psql"), "");
    const auto shown = cli("root", {"flags"});
    EXPECT_THAT(shown, HasSubstr("address"));
    EXPECT_THAT(shown, HasSubstr("127.0.0.2/31"));
}

TEST_F(suspended, flag_on_a_target_holds_its_sessions_and_a_person_lets_them_in) {
    start();
    auto shop = client_as("alice");
    auto crm = client("alice", "psql", "crm");
    static_cast<void>(flag("target", "shop"));

    shop.send(wire::query("SELECT 'let in'"));
    const auto notice = fields_of(shop.read_until('N'));
    EXPECT_THAT(notice.at('M'), HasSubstr("rule flag"));
    EXPECT_EQ(outcome(crm, "SELECT 1"), "");
    EXPECT_EQ(at_the_door("erin", "psql"), "SP001");
    approve(pending_hold_of("alice"));

    EXPECT_EQ(shop.read_exchange().rows.at(0).at(0), "let in");
}

TEST_F(suspended, flag_and_lock_end_by_themselves_at_their_end) {
    start();
    auto c = client("alice", "batch");
    static_cast<void>(flag("application", "batch", "1500ms"));
    static_cast<void>(lock("target", "crm", "1500ms"));
    EXPECT_EQ(outcome(c, "SELECT 1"), "SP001");
    EXPECT_EQ(at_the_door("erin", "psql", "crm"), "SP003");
    EXPECT_EQ(get("root", "/api/v1/flags").at("flags").size(), 2u);

    ASSERT_TRUE(eventually([&] { return audit_records("lock.ended").size() == 1; }));

    EXPECT_EQ(audit_records("flag.ended").size(), 1u);
    EXPECT_EQ(outcome(c, "SELECT 1"), "");
    EXPECT_EQ(at_the_door("erin", "psql", "crm"), "");
    EXPECT_TRUE(get("root", "/api/v1/flags").at("flags").empty());
    const auto past = get("root", "/api/v1/flags?state=all").at("flags");
    ASSERT_EQ(past.size(), 2u);
    EXPECT_EQ(past[0].at("live"), false);
    EXPECT_TRUE(past[0].at("lifted_by").is_null()) << past[0];
}

TEST_F(suspended, flag_outlives_a_kill_and_its_end_does_not_move) {
    start();
    static_cast<void>(flag("application", "batch"));
    const auto until = get("root", "/api/v1/flags").at("flags").at(0).at("until");

    proxy->kill();
    proxy->start();

    EXPECT_EQ(at_the_door("alice", "batch"), "SP001");
    EXPECT_EQ(get("root", "/api/v1/flags").at("flags").at(0).at("until"), until);
}

TEST_F(suspended, lock_on_an_application_ends_its_sessions_and_refuses_new_ones) {
    start();
    auto batch = client("alice", "batch");
    auto also = client("erin", "batch");
    auto other = client("alice", "shell");
    ASSERT_EQ(outcome(batch, "BEGIN"), "");

    const auto id = lock("application", "batch");

    expect_locked_out(batch, "application");
    expect_locked_out(also, "application");
    EXPECT_EQ(at_the_door("alice", "batch"), "SP003");
    EXPECT_EQ(outcome(other, "SELECT 1"), "");
    EXPECT_EQ(outcome(other, "SET application_name = 'batch'"), "");
    EXPECT_EQ(outcome(other, "SELECT 1"), "SP003") << "no way round by another name";
    EXPECT_EQ(lift("root", id).status, 200);
    EXPECT_EQ(at_the_door("alice", "batch"), "");
}

TEST_F(suspended, lock_on_a_target_ends_its_sessions_and_refuses_new_ones) {
    start();
    auto shop = client("alice", "psql");
    auto crm = client("alice", "psql", "crm");
    auto held = client_as("erin");
    held.send(wire::query(held_sql));
    const auto waiting = pending_hold_of("erin");

    cli("root", {"lock", "target", "shop", "--for", "1h", "--reason", "a leak"});

    expect_locked_out(shop, "target");
    expect_locked_out(held, "target");
    EXPECT_TRUE(hold_becomes(waiting, "withdrawn"));
    EXPECT_EQ(at_the_door("erin", "psql"), "SP003");
    EXPECT_EQ(outcome(crm, "SELECT 1"), "");
    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 1; }));
}

TEST_F(suspended, person_does_not_lift_what_she_is_under_nor_what_her_address_is_under) {
    start();
    const auto on_her = flag("principal", "root", "1h", "carol");
    const auto on_here = flag("address", "127.0.0.1", "1h", "carol");

    const auto own = lift("root", on_her);
    EXPECT_EQ(own.status, 403);
    EXPECT_THAT(detail_of(own), HasSubstr("nobody may lift what she is under herself"));
    const auto typed =
        proxy->cli("root", {"lift", std::to_string(on_her), "--reason", "it was nothing"});
    EXPECT_NE(typed.exit_code, 0);
    EXPECT_THAT(typed.err, HasSubstr("nobody may lift what she is under herself"));
    for (const auto* who : {"root", "carol"}) {
        const auto here = lift(who, on_here);
        EXPECT_EQ(here.status, 403) << who;
        EXPECT_THAT(detail_of(here), HasSubstr("Nobody may lift what her own address"));
    }
    EXPECT_EQ(get("root", "/api/v1/flags").at("flags").size(), 2u);

    EXPECT_EQ(lift("carol", on_her).status, 200) << "another admin may";
    wire_client console(proxy->port(), elsewhere);
    console.login(login_as("root", "sallyport"));
    EXPECT_EQ(console.ask("LIFT " + std::to_string(on_here) + " REASON 'nothing'").sqlstate(), "")
        << "and another address";
    EXPECT_EQ(audit_records("flag.lifted").size(), 2u);
}

TEST_F(suspended, person_without_a_role_lifts_nothing_and_a_reason_is_needed) {
    start();
    const auto id = flag("target", "shop");

    EXPECT_EQ(lift("alice", id).status, 403);
    EXPECT_NE(proxy->cli("alice", {"lift", std::to_string(id), "--reason", "x"}).exit_code, 0);
    EXPECT_EQ(
        client_as("bob", "sallyport").ask("LIFT " + std::to_string(id) + " REASON 'x'").sqlstate(),
        "42501");
    EXPECT_EQ(api("root")
                      .post("/api/v1/flags/" + std::to_string(id) + "/lift", R"({"reason":" "})")
                      .status /
                  100,
              4);

    EXPECT_EQ(get("root", "/api/v1/flags").at("flags").size(), 1u);
}

TEST_F(suspended, session_that_a_person_let_in_goes_on_without_another_approval) {
    start();
    static_cast<void>(flag("principal", "alice"));
    psql_session alice(psql_as("alice"));
    alice.send("SELECT 'first'");
    ASSERT_TRUE(alice.shows("waits for approval"));
    approve(pending_hold_of("alice"));
    ASSERT_THAT(alice.finish().text, HasSubstr("first"));

    EXPECT_EQ(alice.ask("SELECT 'second'").text, "second");
    EXPECT_EQ(at_the_door("alice", "psql"), "SP001") << "the next one needs a person again";
}

TEST_F(suspended, lock_on_a_target_ends_the_wait_at_its_door) {
    start();
    psql_session alice(psql_as("alice", "hr"));
    alice.send("SELECT 1");
    ASSERT_TRUE(alice.shows("waits for approval"));
    const auto waiting = pending_hold_of("alice", "carol");

    static_cast<void>(lock("target", "hr"));

    EXPECT_TRUE(alice.shows("the target is locked: a leak"));
    EXPECT_TRUE(eventually([&] { return state_of_hold(waiting, "carol") == "withdrawn"; }));
    EXPECT_NE(
        api("carol").post("/api/v1/holds/" + std::to_string(waiting) + "/approve", "{}").status,
        200);
}

class monitored : public suspended {
  protected:
    monitored() {
        options.roles = "{ admin: { groups: [admin] }, monitor: { users: [ci, erin] } }";
    }
    [[nodiscard]] http_response with(const std::string& token, const std::string& method,
                                     const std::string& path, const std::string& body = {}) const {
        http_headers headers{{"Authorization", "Bearer " + token}};
        if (method == "POST") headers.emplace_back("Content-Type", "application/json");
        return http_request(proxy->admin_port(), method, path, headers, body);
    }
};

TEST_F(monitored, tool_that_watches_sets_flags_with_a_token_and_can_do_nothing_else) {
    start();
    const auto token = post("root", "/api/v1/tokens",
                            {{"name", "the watch"},
                             {"owner", "ci"},
                             {"scopes", {"set-flag", "see-flags"}},
                             {"for", "1h"}})
                           .at("token")
                           .get<std::string>();
    auto alice = refusing("alice");

    const auto set = with(token, "POST", "/api/v1/flags",
                          R"({"principal":"alice","for":"1h","reason":"odd hours"})");

    ASSERT_EQ(set.status, 201) << set.body;
    EXPECT_EQ(outcome(alice, "SELECT 1"), "SP001");
    const auto record = audit_records("flag.set").at(0);
    EXPECT_EQ(record.at("set_by"), "ci");
    EXPECT_EQ(with(token, "GET", "/api/v1/flags").status, 200);
    const auto number = nlohmann::json::parse(set.body).at("id").dump();
    for (const auto& [path, body] :
         {std::pair{"/api/v1/flags/" + number + "/lift", R"({"reason":"nothing"})"},
          std::pair{std::string("/api/v1/locks"),
                    R"({"principal":"alice","for":"1h","reason":"odd hours"})"},
          std::pair{std::string("/api/v1/reload"), "{}"}})
        EXPECT_EQ(with(token, "POST", path, body).status, 403) << path;
    for (const auto* path : {"/api/v1/sessions", "/api/v1/insight", "/api/v1/audit"})
        EXPECT_EQ(with(token, "GET", path).status, 403) << path;
}

TEST_F(monitored, person_who_watches_flags_on_every_surface_and_neither_locks_nor_lifts) {
    start();
    cli("erin", {"flag", "application", "batch", "--for", "1h", "--reason", "odd hours"});
    auto console = client_as("erin", "sallyport");
    ASSERT_EQ(console.ask("FLAG TARGET crm FOR '1h' REASON 'odd hours'").sqlstate(), "");
    EXPECT_EQ(console.ask("SHOW FLAGS").rows.size(), 2u);

    const auto locked =
        api("erin").post("/api/v1/locks", R"({"target":"shop","for":"1h","reason":"odd hours"})");
    EXPECT_EQ(locked.status, 403);
    EXPECT_THAT(detail_of(locked), HasSubstr("Only admins may do this (set-lock)"));
    EXPECT_EQ(console.ask("LOCK TARGET shop FOR '1h' REASON 'odd hours'").sqlstate(), "42501");
    const auto lifted = proxy->cli("erin", {"lift", "1", "--reason", "nothing"});
    EXPECT_NE(lifted.exit_code, 0);
    EXPECT_THAT(lifted.err, HasSubstr("Only admins may do this (lift-flag)"));
    for (const auto* command : {"SHOW SESSIONS", "SHOW STATS", "RELOAD", "KILL 1 REASON 'x'"})
        EXPECT_EQ(console.ask(command).sqlstate(), "42501") << command;
    EXPECT_EQ(api("erin").get("/api/v1/audit").status, 403);
    EXPECT_EQ(get("root", "/api/v1/flags").at("flags").size(), 2u);

    const auto no_role =
        api("bob").post("/api/v1/flags", R"({"target":"shop","for":"1h","reason":"odd hours"})");
    EXPECT_EQ(no_role.status, 403);
    EXPECT_THAT(detail_of(no_role), HasSubstr("Only admins and monitors may do this (set-flag)"));
    EXPECT_EQ(api("bob").get("/api/v1/flags").status, 403);
}

}  // namespace
}  // namespace sallyport::tests
