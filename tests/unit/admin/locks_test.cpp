#include <future>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proxy/admin/console.h"
#include "tests/unit/admin/world.h"

/// What somebody under a lock or a flag may still do on the admin surfaces.
namespace sallyport::proxy::admin::testing {
namespace {

using policy::flag_kind;
using policy::flag_on;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(admin_locks, whoever_is_locked_may_read_and_change_nothing) {
    const std::vector<std::pair<std::string, std::string>> posts{
        {"/api/v1/holds", R"({"on":"shop","sql":"select 1","reason":"r"})"},
        {"/api/v1/holds/7/escalate", "{}"},
        {"/api/v1/holds/7/reassign", R"({"to":"bob","reason":"r"})"},
        {"/api/v1/holds/7/approve", R"({"reason":"r"})"},
        {"/api/v1/holds/7/deny", R"({"reason":"r"})"},
        {"/api/v1/holds/7/withdraw-vote", "{}"},
        {"/api/v1/opt-outs", R"({"rule":"pii-needs-approval","for":"2h","reason":"r"})"},
        {"/api/v1/opt-outs/3/approve", R"({"reason":"r"})"},
        {"/api/v1/opt-outs/3/deny", R"({"reason":"r"})"},
        {"/api/v1/opt-outs/3/revoke", R"({"reason":"r"})"},
        {"/api/v1/opt-outs/3/extend", R"({"for":"1h","reason":"r"})"},
        {"/api/v1/opt-outs/3/withdraw-vote", "{}"},
        {"/api/v1/reviews/3/sign-off", R"({"note":"n"})"},
        {"/api/v1/flags", R"({"principal":"eve","for":"8h","reason":"r"})"},
        {"/api/v1/locks", R"({"principal":"eve","for":"8h","reason":"r"})"},
        {"/api/v1/flags/7/lift", R"({"reason":"r"})"},
        {"/api/v1/sessions/12/kill", R"({"reason":"r"})"},
        {"/api/v1/reload", "{}"},
        {"/api/v1/tokens", R"({"name":"n","scopes":["see-holds"],"for":"1d"})"}};
    for (const auto& [on, subject] :
         {std::pair{flag_on::principal, "carol"}, std::pair{flag_on::address, "127.0.0.0/8"}}) {
        api_world w;
        w.flags.push_back(w.restraint(flag_kind::lock, on, subject, 8));
        for (const auto& [path, body] : posts) {
            const auto r = w.send_as("carol", "POST", path, body);
            EXPECT_EQ(r.status, 403U) << path << ": " << r.body;
            EXPECT_THAT(r.body, HasSubstr("locked (lock 8)")) << path;
            EXPECT_THAT(r.body, HasSubstr("ask an admin who is not locked")) << path;
        }
        EXPECT_EQ(w.send_as("carol", "DELETE", "/api/v1/tokens/7").status, 403U);
        EXPECT_THAT(w.steward_heard, IsEmpty());
        EXPECT_EQ(w.send_as("carol", "GET", "/api/v1/holds/7").status, 200U);
        EXPECT_EQ(w.send_as("carol", "GET", "/api/v1/flags").status, 200U);
    }
}

TEST(admin_locks, every_action_either_reads_or_is_shut_by_a_lock) {
    world w;
    const policy::grants g{{}, {}, {w.restraint(flag_kind::lock, flag_on::principal, "carol", 8)}};
    for (std::size_t i = 0; i < action_count; ++i) {
        const auto a = static_cast<action>(i);
        const auto name = std::string(to_string(a));
        const bool reads =
            name.starts_with("see-") || name.starts_with("explain-") || a == action::check_policy;
        EXPECT_EQ(check_locks(a, w.as("carol"), g, w.time.now()).empty(), reads) << name;
        EXPECT_EQ(check_locks(a, w.as("bob"), g, w.time.now()), "") << name;
    }
    EXPECT_NE(check_locks(action::count_, w.as("carol"), g, w.time.now()), "");
    EXPECT_EQ(check_locks(action::lift_flag, w.as("carol"), g, g.flags[0].until), "");
}

TEST(admin_locks, console_that_was_open_before_the_lock_cannot_act_and_another_admin_can) {
    world w;
    w.roles.admins.users.emplace_back("dave");
    console c(w.make());
    const auto run = [&](const std::string& user, const std::string& text) {
        std::promise<console_result> said;
        c.execute({w.people.at(user), "127.0.0.1"}, text,
                  [&](console_result r) { said.set_value(std::move(r)); });
        return said.get_future().get();
    };
    w.flags.push_back(w.restraint(flag_kind::lock, flag_on::principal, "bob", 8));
    w.flags.push_back(w.restraint(flag_kind::lock, flag_on::principal, "carol", 9));

    for (const auto* const text :
         {"APPROVE 7 REASON 'ok'", "DENY 7 REASON 'no'", "REVOKE OPT OUT 3 REASON 'x'"}) {
        const auto r = run("bob", text);
        EXPECT_EQ(r.sqlstate, "42501") << text;
        EXPECT_THAT(r.message, HasSubstr("locked (lock 8)")) << text;
    }
    EXPECT_EQ(run("carol", "LIFT 8 REASON 'x'").sqlstate, "42501");
    EXPECT_EQ(run("bob", "SHOW HOLDS").sqlstate, "");
    EXPECT_THAT(w.steward_heard, IsEmpty());

    EXPECT_EQ(run("dave", "LIFT 9 REASON 'x'").sqlstate, "");
}

TEST(admin_locks, lock_on_the_own_address_is_not_set_so_that_somebody_can_lift_it) {
    api_world w;
    const auto lock = [&](const std::string& range) {
        return w.send_as("carol", "POST", "/api/v1/locks",
                         R"({"address":")" + range + R"(","for":"8h","reason":"r"})");
    };
    EXPECT_EQ(lock("127.0.0.0/8").status, 422U);
    EXPECT_THAT(lock("0.0.0.0/0").body, HasSubstr("lock a narrower range"));
    EXPECT_EQ(lock("192.0.2.7").status, 201U);
}

TEST(admin_locks, flag_is_not_lifted_from_an_address_that_it_is_on) {
    api_world w;
    w.flags.push_back(w.restraint(flag_kind::flag, flag_on::address, "10.0.0.0/8", 8));
    w.flags.push_back(w.restraint(flag_kind::flag, flag_on::application, "psql", 9));
    const auto lift = [&](const std::string& id) {
        return w.send_as("carol", "POST", "/api/v1/flags/" + id + "/lift", R"({"reason":"r"})");
    };
    w.address = "10.1.2.3";
    EXPECT_EQ(lift("8").status, 403U);
    EXPECT_THAT(lift("8").body, HasSubstr("ask an admin at another address"));
    EXPECT_EQ(lift("9").status, 200U);
    EXPECT_EQ(lift("10").status, 404U);
    EXPECT_EQ(w.steward_heard.size(), 1U);

    w.address = "192.0.2.7";
    EXPECT_EQ(lift("8").status, 200U);

    console c(w.make());
    std::promise<console_result> said;
    c.execute({w.people.at("carol"), "10.1.2.3"}, "LIFT 8 REASON 'x'",
              [&](console_result r) { said.set_value(std::move(r)); });
    EXPECT_EQ(said.get_future().get().sqlstate, "42501");
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
