#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/admin/world.h"

namespace sallyport::proxy::admin::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string body_for(const route& r) {
    const std::string pattern(r.pattern);
    if (pattern.ends_with("/opt-outs"))
        return R"({"rule":"pii-needs-approval","for":"2h","reason":"incident"})";
    if (pattern.ends_with("/tokens"))
        return R"({"name":"nightly","scopes":["see-holds"],"for":"1d"})";
    if (pattern == "/api/v1/holds") return R"({"on":"shop","sql":"select 1","reason":"r"})";
    if (pattern.ends_with("/candidate")) return R"({"policy":"version: 1"})";
    if (pattern.ends_with("/decisions")) return R"({"on":"shop","sql":"select 1"})";
    if (pattern.ends_with("/reload") || pattern.ends_with("/logout") ||
        pattern.ends_with("/withdraw-vote") || pattern.ends_with("/escalate"))
        return "{}";
    if (pattern.ends_with("/reassign")) return R"({"to":"bob","reason":"she knows it"})";
    if (pattern.ends_with("/extend")) return R"({"for":"1h","reason":"it goes on"})";
    if (pattern.ends_with("/sign-off") || pattern.ends_with("/finding"))
        return R"({"note":"looked at"})";
    if (pattern.ends_with("/flags") || pattern.ends_with("/locks"))
        return R"({"principal":"eve","for":"8h","reason":"odd hours"})";
    return R"({"reason":"because"})";
}

std::string path_for(const route& r) {
    std::string path(r.pattern);
    const auto at = path.find("{}");
    if (path.ends_with("/story") || path.ends_with("/bundle")) return path + "?hold=7";
    if (at == std::string::npos) return path;
    const bool of_opt_out =
        path.find("/opt-outs/") != std::string::npos || path.find("/reviews/") != std::string::npos;
    const char* const id = of_opt_out                                     ? "3"
                           : path.find("/sessions/") != std::string::npos ? "12"
                                                                          : "7";
    return path.replace(at, 2, id);
}

// The table of roles, written a second time: who gets further than 401, 403 and 404 on each route.
struct expectation {
    std::string method;
    std::string pattern;
    std::string allowed;  // initials of alice, bob, carol (admin), dave (auditor), eve
};
const std::vector<expectation> expected{
    {"POST", "/api/v1/logout", "abcde"},
    {"GET", "/api/v1/me", "abcde"},
    {"GET", "/api/v1/holds", "abcde"},
    {"GET", "/api/v1/holds/{}", "abcd"},
    {"POST", "/api/v1/holds", "abcde"},
    {"POST", "/api/v1/holds/{}/escalate", "abcd"},
    {"POST", "/api/v1/holds/{}/reassign", "abcd"},
    {"POST", "/api/v1/holds/{}/approve", "b"},
    {"POST", "/api/v1/holds/{}/deny", "b"},
    {"GET", "/api/v1/opt-outs", "abcde"},
    {"POST", "/api/v1/opt-outs", "abcde"},
    {"GET", "/api/v1/opt-outs/{}", "abcd"},
    {"GET", "/api/v1/opt-outs/{}/uses", "abcd"},
    // For these the steward has the last word; the surface only hides what is not visible.
    {"POST", "/api/v1/opt-outs/{}/approve", "abcd"},
    {"POST", "/api/v1/opt-outs/{}/deny", "abcd"},
    {"POST", "/api/v1/opt-outs/{}/revoke", "abcd"},
    {"POST", "/api/v1/opt-outs/{}/extend", "abcd"},
    {"POST", "/api/v1/opt-outs/{}/withdraw-vote", "abcd"},
    {"POST", "/api/v1/holds/{}/withdraw-vote", "abcd"},
    {"GET", "/api/v1/reviews", "abcde"},
    {"POST", "/api/v1/reviews/{}/sign-off", "abcd"},
    {"POST", "/api/v1/reviews/{}/finding", "abcd"},
    {"GET", "/api/v1/flags", "cd"},
    {"POST", "/api/v1/flags", "c"},
    {"POST", "/api/v1/locks", "c"},
    {"POST", "/api/v1/flags/{}/lift", "c"},
    {"GET", "/api/v1/sessions", "cd"},
    {"POST", "/api/v1/sessions/{}/kill", "c"},
    {"GET", "/api/v1/audit", "d"},
    {"POST", "/api/v1/decisions", "abcde"},
    {"POST", "/api/v1/reload", "c"},
    {"GET", "/api/v1/rules", "abcde"},
    {"GET", "/api/v1/rules/findings", "cd"},
    {"POST", "/api/v1/rules/candidate", "cd"},
    {"GET", "/api/v1/audit/story", "d"},
    {"GET", "/api/v1/audit/bundle", "d"},
    {"GET", "/api/v1/audit/verify", "d"},
    {"GET", "/api/v1/insight", "cd"},
    {"GET", "/api/v1/tokens", "abcde"},
    {"POST", "/api/v1/tokens", "abcde"},
    {"DELETE", "/api/v1/tokens/{}", "ac"},
    {"GET", "/api/v1/events", "abcde"},
    {"GET", "/api/v1/deliveries", "cd"},
    {"GET", "/api/v1/report", "d"},
};

TEST(api_roles, each_route_lets_in_whom_the_table_names_and_nobody_else) {
    std::size_t checked = 0;
    for (const auto& r : routes()) {
        if (r.guard == gate::open) continue;
        const auto row = std::find_if(expected.begin(), expected.end(), [&](const auto& e) {
            return e.method == r.method && e.pattern == r.pattern;
        });
        ASSERT_NE(row, expected.end()) << r.method << " " << r.pattern << " has no expectation";
        for (const auto* const name : {"alice", "bob", "carol", "dave", "eve"}) {
            api_world w;
            const auto answer = w.send_as(name, std::string(r.method), path_for(r), body_for(r));
            const bool in = answer.status < 400;
            EXPECT_EQ(in, row->allowed.find(name[0]) != std::string::npos)
                << name << " " << r.method << " " << r.pattern << ": " << answer.status << " "
                << answer.body;
            EXPECT_TRUE(in || answer.status == 403 || answer.status == 404) << answer.status;
            ++checked;
        }
    }
    EXPECT_EQ(checked, expected.size() * 5);
}

TEST(api_roles, every_route_but_the_open_ones_refuses_a_request_without_login) {
    for (const auto& r : routes()) {
        api_world w;
        const auto answer = w.send(std::string(r.method), path_for(r), {}, body_for(r));
        if (r.guard == gate::logged_in) {
            EXPECT_EQ(answer.status, 401U) << r.pattern;
            EXPECT_EQ(header_of(answer, "WWW-Authenticate"), "Bearer");
        } else {
            EXPECT_NE(answer.status, 403U) << r.pattern;
        }
    }
}

TEST(api_roles, action_outside_the_table_is_refused_even_to_admins) {
    EXPECT_THAT(check_action(action::count_, {.admin = true, .auditor = true}), Not(IsEmpty()));
}

TEST(api_roles, every_action_has_a_line_in_the_table) {
    for (std::size_t i = 0; i < action_count; ++i)
        EXPECT_NE(to_string(static_cast<action>(i)), "unknown") << i;
}

TEST(api_routes, unknown_path_and_wrong_method_are_told_apart) {
    api_world w;

    EXPECT_EQ(w.send("GET", "/api/v1/nothing").status, 404U);
    const auto wrong = w.send("DELETE", "/api/v1/holds");
    EXPECT_EQ(wrong.status, 405U);
    EXPECT_EQ(header_of(wrong, "Allow"), "GET");
}

TEST(api_routes, malformed_targets_are_refused) {
    for (const auto* const target :
         {"/api/v1/holds/%2e%2e/me", "/api/v1/holds%2f7", "/api/v1//holds", "/api/v1/holds/%zz",
          "/api/v1/holds?state=%", "/api/v1/holds?state=a&state=b", "http://x/", "*", "",
          "/api/v1/holds/", "/api/v1/%00"}) {
        api_world w;
        EXPECT_EQ(w.send("GET", target).status, 400U) << target;
    }
}

TEST(api_problem, has_a_stable_type_and_a_next_step) {
    api_world w;

    const auto r = w.send("GET", "/api/v1/me");

    EXPECT_EQ(r.content_type, "application/problem+json");
    EXPECT_EQ(json_member(r.body, "type"), "urn:sallyport:problem:not-logged-in");
    EXPECT_EQ(json_member(r.body, "status"), "401");
    EXPECT_THAT(json_member(r.body, "next"), HasSubstr("/api/v1/login"));
    EXPECT_EQ(header_of(r, "X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(header_of(r, "Cache-Control"), "no-store");
}

TEST(api_login, right_password_gives_a_strict_http_only_cookie_and_a_record) {
    api_world w;

    const auto r = w.log_in("alice", "alice-password");

    ASSERT_EQ(r.status, 200U);
    const auto cookie = header_of(r, "Set-Cookie");
    EXPECT_THAT(cookie, HasSubstr("HttpOnly"));
    EXPECT_THAT(cookie, HasSubstr("SameSite=Strict"));
    EXPECT_THAT(cookie, Not(HasSubstr("Secure")));
    EXPECT_THAT(w.events(), ElementsAre("admin.login alice"));
}

TEST(api_login, with_tls_the_cookie_is_secure_and_bound_to_the_host) {
    api_world w;
    w.context->options.tls = true;

    const auto cookie = header_of(w.log_in("alice", "alice-password"), "Set-Cookie");

    EXPECT_THAT(cookie, ::testing::StartsWith("__Host-"));
    EXPECT_THAT(cookie, HasSubstr("; Secure"));
}

TEST(api_login, wrong_password_and_unknown_user_get_the_same_answer) {
    api_world w;

    const auto wrong = w.log_in("alice", "guess");
    const auto unknown = w.log_in("mallory", "guess");

    EXPECT_EQ(wrong.status, 401U);
    EXPECT_EQ(unknown.status, 401U);
    EXPECT_EQ(wrong.body, unknown.body);
    EXPECT_THAT(w.events(),
                ElementsAre("admin.login_refused alice", "admin.login_refused mallory"));
}

TEST(api_login, no_password_stands_in_any_record_or_answer) {
    api_world w;

    const auto r = w.log_in("alice", "hunter2-guess");

    EXPECT_THAT(r.body, Not(HasSubstr("hunter2")));
    for (const auto& record : w.records)
        for (const auto& [key, value] : record.fields)
            EXPECT_THAT(value, Not(HasSubstr("hunter2")));
}

TEST(api_login, many_wrong_passwords_are_slowed_down_and_one_right_one_is_not_tried) {
    api_world w;
    unsigned last = 0;
    for (int i = 0; i < 6; ++i)
        last = w.log_in("alice", "guess").status;
    EXPECT_EQ(last, 429U);

    const auto right = w.log_in("alice", "alice-password");

    EXPECT_EQ(right.status, 429U);
    EXPECT_THAT(header_of(right, "Retry-After"), Not(IsEmpty()));
    w.time.offset_ms += 60'000;
    EXPECT_EQ(w.log_in("alice", "alice-password").status, 200U);
}

TEST(api_login, wrong_guesses_from_elsewhere_do_not_shut_a_person_out) {
    api_world w;
    w.address = "192.0.2.9";
    for (int i = 0; i < 6; ++i)
        static_cast<void>(w.log_in("alice", "guess"));
    w.address = "127.0.0.1";

    EXPECT_EQ(w.log_in("alice", "alice-password").status, 200U);
}

TEST(api_login, ends_when_idle_and_after_its_whole_life) {
    api_world w;
    ASSERT_EQ(w.send_as("alice", "GET", "/api/v1/me").status, 200U);

    w.time.offset_ms += 31 * 60'000;
    EXPECT_EQ(w.send_as("alice", "GET", "/api/v1/me").status, 401U);

    w.tokens.clear();
    for (int minutes = 0; minutes < 8 * 60; minutes += 20) {
        ASSERT_EQ(w.send_as("alice", "GET", "/api/v1/me").status, 200U) << minutes;
        w.time.offset_ms += 20 * 60'000;
    }
    EXPECT_EQ(w.send_as("alice", "GET", "/api/v1/me").status, 401U);
}

TEST(api_login, ends_at_once_when_the_user_is_removed_and_roles_follow_her_groups) {
    api_world w;
    ASSERT_EQ(w.send_as("dave", "GET", "/api/v1/sessions").status, 200U);

    w.people["dave"].groups.clear();
    EXPECT_EQ(w.send_as("dave", "GET", "/api/v1/sessions").status, 403U);

    w.people.erase("dave");
    EXPECT_EQ(w.send_as("dave", "GET", "/api/v1/me").status, 401U);
}

TEST(api_login, logout_ends_it) {
    api_world w;

    EXPECT_EQ(w.send_as("alice", "POST", "/api/v1/logout").status, 200U);

    EXPECT_EQ(w.send_as("alice", "GET", "/api/v1/me").status, 401U);
}

struct cookie_login {
    std::string cookie;
    std::string csrf;
};
cookie_login log_in_with_cookie(api_world& w, const std::string& user) {
    const auto r = w.log_in(user, user + "-password");
    const auto cookie = header_of(r, "Set-Cookie");
    return {cookie.substr(0, cookie.find(';')), json_member(r.body, "csrf")};
}

TEST(api_csrf, change_with_a_cookie_needs_the_logins_own_token) {
    api_world w;
    const auto bob = log_in_with_cookie(w, "bob");
    const auto alice = log_in_with_cookie(w, "alice");
    const std::string path = "/api/v1/holds/7/approve";

    EXPECT_EQ(w.send("POST", path, {{"Cookie", bob.cookie}}, "{}").status, 403U);
    EXPECT_EQ(
        w.send("POST", path, {{"Cookie", bob.cookie}, {"X-CSRF-Token", alice.csrf}}, "{}").status,
        403U);
    EXPECT_EQ(w.send("POST", path, {{"Cookie", bob.cookie}, {"X-CSRF-Token", ""}}, "{}").status,
              403U);
    EXPECT_THAT(w.steward_heard, IsEmpty());
    EXPECT_EQ(
        w.send("POST", path, {{"Cookie", bob.cookie}, {"X-CSRF-Token", bob.csrf}}, "{}").status,
        200U);
    EXPECT_EQ(w.send("GET", "/api/v1/me", {{"Cookie", bob.cookie}}).status, 200U);
}

TEST(api_csrf, page_of_another_site_is_refused_before_the_login_counts) {
    api_world w;
    const auto bob = log_in_with_cookie(w, "bob");
    const auto send = [&](const std::string& name, const std::string& value) {
        return w
            .send("POST", "/api/v1/holds/7/approve",
                  {{"Cookie", bob.cookie}, {"X-CSRF-Token", bob.csrf}, {name, value}}, "{}")
            .status;
    };

    EXPECT_EQ(send("Origin", "https://evil.example"), 403U);
    EXPECT_EQ(send("Origin", "null"), 403U);
    EXPECT_EQ(send("Sec-Fetch-Site", "cross-site"), 403U);
    EXPECT_EQ(send("Origin", "http://localhost:6480"), 200U);
}

TEST(api_csrf, form_media_types_are_refused) {
    api_world w;
    for (const auto* const type : {"text/plain", "application/x-www-form-urlencoded",
                                   "multipart/form-data", "application/jsonp", ""}) {
        const auto r = w.send("POST", "/api/v1/login", {{"Content-Type", type}},
                              R"({"user":"alice","password":"alice-password"})");
        EXPECT_EQ(r.status, 415U) << type;
    }
}

TEST(api_csrf, doubled_credentials_are_none) {
    api_world w;
    const auto token = w.token_of("bob");

    const auto r = w.send("GET", "/api/v1/me",
                          {{"Authorization", "Bearer " + token}, {"Authorization", "Bearer x"}});

    EXPECT_EQ(r.status, 401U);
}

TEST(api_host, only_names_of_this_proxy_are_answered) {
    api_world w;
    const auto status = [&](const std::string& host) {
        return w.send("GET", "/healthz", {{"Host", host}}).status;
    };

    for (const auto* const good :
         {"localhost", "localhost:6480", "127.0.0.1:6480", "[::1]:6480", "LOCALHOST:1"})
        EXPECT_EQ(status(good), 200U) << good;
    for (const auto* const bad :
         {"evil.example", "evil.example:6480", "127.0.0.1.evil.example", "localhost.evil.example"})
        EXPECT_EQ(status(bad), 421U) << bad;
    for (const auto* const bad : {"localhost:6480:1", "[::1", "local host", "localhost:x"})
        EXPECT_EQ(status(bad), 400U) << bad;
    w.context->options.url = "https://Sallyport.example:6480/";
    EXPECT_EQ(status("sallyport.example:6480"), 200U);
}

TEST(api_holds, approver_sees_the_whole_statement_and_a_stranger_nothing) {
    api_world w;
    w.holds[0].statement = std::string(200'000, 'x') + "\x1b[2J";

    const auto seen = w.send_as("bob", "GET", "/api/v1/holds/7");
    const auto unseen = w.send_as("eve", "GET", "/api/v1/holds/7");

    EXPECT_EQ(json_member(seen.body, "statement"), w.holds[0].statement);
    EXPECT_EQ(json_member(seen.body, "may_vote"), "true");
    EXPECT_EQ(unseen.status, 404U);
    EXPECT_EQ(w.send_as("eve", "GET", "/api/v1/holds").body, R"({"holds":[]})");
}

TEST(api_holds, statement_that_is_not_utf8_is_valid_json_with_its_bytes_beside) {
    api_world w;
    w.holds[0].statement = "select '\xff'";

    const auto r = w.send_as("bob", "GET", "/api/v1/holds/7");

    EXPECT_EQ(json_member(r.body, "statement"), "select '\xEF\xBF\xBD'");
    EXPECT_EQ(json_member(r.body, "statement_base64"), "c2VsZWN0ICf/Jw==");
}

TEST(api_holds, approval_passes_scope_duration_and_reason_to_the_steward) {
    api_world w;

    const auto r = w.send_as("bob", "POST", "/api/v1/holds/7/approve",
                             R"({"reason":"ok","pass":"shape","for":"30m"})");

    EXPECT_EQ(r.status, 200U);
    EXPECT_THAT(w.steward_heard, ElementsAre("bob approves hold 7 shape 1800000 by api: ok"));
    EXPECT_THAT(w.events(), Contains("admin.action bob hold.approve done"));
}

TEST(api_holds, requester_cannot_approve_her_own_and_the_try_is_recorded) {
    api_world w;
    w.people["alice"].groups = {"security"};

    const auto r = w.send_as("alice", "POST", "/api/v1/holds/7/approve");

    EXPECT_EQ(r.status, 403U);
    EXPECT_THAT(w.steward_heard, IsEmpty());
    EXPECT_THAT(w.events(), Contains("admin.action alice hold.approve forbidden"));
}

TEST(api_holds, admin_who_is_no_approver_cannot_approve) {
    api_world w;

    EXPECT_EQ(w.send_as("carol", "POST", "/api/v1/holds/7/approve").status, 403U);
    EXPECT_THAT(w.steward_heard, IsEmpty());
}

TEST(api_holds, denial_without_a_reason_is_refused) {
    api_world w;
    for (const auto* const body : {"", "{}", R"({"reason":""})", R"({"reason":"  "})"})
        EXPECT_EQ(w.send_as("bob", "POST", "/api/v1/holds/7/deny", body).status, 400U) << body;
    EXPECT_THAT(w.steward_heard, IsEmpty());
}

TEST(api_holds, verdicts_of_the_steward_become_statuses) {
    for (const auto& [what, status] :
         {std::pair{approval::verdict::counted, 200U}, std::pair{approval::verdict::conflict, 409U},
          std::pair{approval::verdict::invalid, 422U},
          std::pair{approval::verdict::forbidden, 403U},
          std::pair{approval::verdict::not_found, 404U},
          std::pair{approval::verdict::unavailable, 503U}}) {
        api_world w;
        w.steward_says.what = what;
        EXPECT_EQ(w.send_as("bob", "POST", "/api/v1/holds/7/approve").status, status);
    }
}

TEST(api_bodies, hostile_json_is_refused_and_never_reaches_the_steward) {
    api_world w;
    const std::string deep = std::string(500'000, '[');
    for (const auto& body :
         {std::string("{"), std::string("[]"), std::string("null"), std::string("7"), deep,
          std::string(R"({"reason":7})"), std::string(R"({"reason":{"a":1}})"),
          std::string(R"({"raeson":"x"})"), std::string(R"({"reason":"x","reason":"y"})"),
          std::string("{\"reason\":\"\xff\"}"), std::string(R"({"reason":"x"}{})"),
          std::string(R"({"pass":"everything"})"), std::string(R"({"for":"-1h","pass":"shape"})"),
          std::string(R"({"for":"1 eternity","pass":"shape"})"),
          "{\"reason\":\"" + std::string(5'000, 'x') + "\"}"}) {
        const auto r = w.send_as("bob", "POST", "/api/v1/holds/7/approve", body);
        EXPECT_EQ(r.status, 400U) << body.substr(0, 80);
    }
    EXPECT_EQ(w.send_as("bob", "POST", "/api/v1/holds/7/approve", R"({"for":"30m"})").status, 422U);
    EXPECT_EQ(
        w.send_as("bob", "POST", "/api/v1/holds/7/approve", R"({"reason":"a\u0000b"})").status,
        422U);
    EXPECT_THAT(w.steward_heard, IsEmpty());
}

TEST(api_bodies, misspelt_member_gets_the_nearest_name) {
    api_world w;

    const auto r = w.send_as("bob", "POST", "/api/v1/holds/7/approve", R"({"raeson":"x"})");

    EXPECT_THAT(json_member(r.body, "detail"), HasSubstr("did you mean \"reason\""));
}

TEST(api_opt_outs, request_is_for_oneself_and_revoke_tells_admins_apart) {
    api_world w;

    EXPECT_EQ(w.send_as("alice", "POST", "/api/v1/opt-outs",
                        R"({"rule":"pii-needs-approval","for":"2h","reason":"incident"})")
                  .status,
              201U);
    EXPECT_EQ(
        w.send_as("carol", "POST", "/api/v1/opt-outs/3/revoke", R"({"reason":"over"})").status,
        200U);
    EXPECT_THAT(w.steward_heard,
                ElementsAre("alice requests pii-needs-approval for 7200000 by api: incident",
                            "carol (admin) revokes opt-out 3: over"));
}

TEST(api_explain, asking_for_somebody_else_or_with_made_up_groups_needs_a_role) {
    api_world w;
    const auto ask = [&](const std::string& user, const std::string& body) {
        return w.send_as(user, "POST", "/api/v1/decisions", body);
    };

    const auto own = ask("alice", R"({"on":"shop","sql":"select 1"})");
    EXPECT_THAT(own.body, HasSubstr("as alice"));
    EXPECT_THAT(own.body, HasSubstr("in dev"));
    EXPECT_EQ(ask("alice", R"({"as":"bob","on":"shop","sql":"select 1"})").status, 403U);
    EXPECT_EQ(ask("alice", R"({"groups":["dba"],"on":"shop","sql":"select 1"})").status, 403U);
    EXPECT_EQ(ask("dave", R"({"as":"bob","on":"shop","sql":"select 1"})").status, 200U);
}

TEST(api_explain, circumstances_are_checked_and_passed_on) {
    api_world w;
    const auto ask = [&](const std::string& user, const std::string& more) {
        return w.send_as(user, "POST", "/api/v1/decisions", R"({"on":"shop")" + more + "}");
    };

    const auto own = ask("alice", R"(,"search_path":"pii, public","at":"2026-03-01T09:30:00Z")");
    EXPECT_THAT(own.body, HasSubstr("path pii, public"));
    EXPECT_THAT(own.body, HasSubstr(R"("at":"2026-03-01T09:30:00.000Z")"));
    EXPECT_THAT(own.body, testing::Not(HasSubstr("sees all")));
    EXPECT_THAT(ask("alice", "").body, HasSubstr("path of the start"));
    EXPECT_THAT(ask("dave", "").body, HasSubstr("sees all"));
    EXPECT_EQ(ask("alice", R"(,"at":"tomorrow")").status, 400U);
    EXPECT_EQ(ask("alice", R"(,"search_path":["pii"])").status, 400U);
}

TEST(api_audit, query_is_checked_and_passed_on) {
    api_world w;

    EXPECT_THAT(w.send_as("dave", "GET", "/api/v1/audit?event=hold.&limit=5&before=99").body,
                HasSubstr("hold./5/99"));
    for (const auto* const bad : {"limit=0", "limit=1001", "limit=x", "from=yesterday", "evnet=x",
                                  "before=-1", "to=2026-02-30T00:00:00Z"})
        EXPECT_EQ(w.send_as("dave", "GET", "/api/v1/audit?" + std::string(bad)).status, 400U)
            << bad;
}

TEST(api_reload, faults_come_back_and_nothing_is_said_to_be_done) {
    api_world w;
    w.reload_says = {.done = false,
                     .faults = {"policy.yaml:3:1: unknown key"},
                     .warnings = {},
                     .policy_hash = "abc"};

    const auto r = w.send_as("carol", "POST", "/api/v1/reload");

    EXPECT_EQ(r.status, 422U);
    EXPECT_THAT(json_member(r.body, "detail"), HasSubstr("policy.yaml:3:1"));
    EXPECT_THAT(w.events(), Contains("admin.action carol reload invalid"));
}

TEST(api_health, ready_follows_store_and_audit_and_alive_does_not) {
    api_world w;
    EXPECT_EQ(w.send("GET", "/readyz").status, 200U);

    w.healthy = false;

    EXPECT_EQ(w.send("GET", "/readyz").status, 503U);
    EXPECT_EQ(w.send("GET", "/healthz").status, 200U);
}

TEST(api_events, stream_shows_only_what_its_reader_may_see) {
    api_world w;
    const auto seen = [&](const std::string& user) {
        const auto r = w.send_as(user, "GET", "/api/v1/events");
        bool visible = false;
        r.stream->visible({.what = "hold", .id = 7, .state = "approved"},
                          [&](bool v) { visible = v; });
        return visible;
    };

    EXPECT_TRUE(seen("alice"));
    EXPECT_TRUE(seen("bob"));
    EXPECT_TRUE(seen("carol"));
    EXPECT_FALSE(seen("eve"));
}

}  // namespace
}  // namespace sallyport::proxy::admin::testing
