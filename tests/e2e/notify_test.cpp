#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

#include "tests/e2e/fixture.h"
#include "tests/support/hostile_server.h"
#include "tests/support/webhook_receiver.h"

/// Notices to people: what reaches a receiver that fails, delays, hangs and repeats.
namespace sallyport::tests {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* key = "0123456789abcdef0123456789abcdef";

class notices : public e2e {
  protected:
    notices() { write_file(dir.file("key"), std::string(key) + "\n"); }

    /// A channel `ops` to the receiver; `more`: further members of it.
    void start_with_channel(const std::string& more = {}, const std::string& notify = {}) {
        options.more = "notify:\n  url: https://sallyport.example\n" + notify +
                       "  channels:\n    ops:\n      webhook: { url: \"" + hooks.url() +
                       "\", secret_file: " + dir.file("key") + " }\n" + more;
        start();
    }
    /// A statement of alice's that waits; its hold.
    std::uint64_t held(wire_client& c, const std::string& sql = held_sql) const {
        c.send(wire::query(sql));
        return pending_hold_of("alice");
    }
    [[nodiscard]] std::vector<std::string> events_of(const std::string& subject) const {
        std::vector<std::string> out;
        for (const auto& r : hooks.accepted())
            if (r.subject() == subject) out.push_back(r.event());
        return out;
    }
    [[nodiscard]] bool arrives(const std::string& subject, const std::string& event) const {
        return eventually([&] {
            const auto all = events_of(subject);
            return std::find(all.begin(), all.end(), event) != all.end();
        });
    }
    [[nodiscard]] nlohmann::json channel_of(const std::string& name) const {
        const auto all = get("root", "/api/v1/deliveries").at("channels");
        for (const auto& c : all)
            if (c.at("channel") == name) return c;
        return {};
    }

    temp_dir dir{"sallyport-notify"};
    webhook_receiver hooks;
};

std::string hold(std::uint64_t id) {
    return "hold " + std::to_string(id);
}

std::string hmac(const std::string& text) {
    std::array<unsigned char, 32> mac{};
    unsigned size = 0;
    HMAC(EVP_sha256(), key, 32,
         static_cast<const unsigned char*>(static_cast<const void*>(text.data())), text.size(),
         mac.data(), &size);
    std::string out;
    for (const auto byte : mac) {
        std::array<char, 3> hex{};
        std::snprintf(hex.data(), hex.size(), "%02x", byte);
        out += hex.data();
    }
    return out;
}

TEST_F(notices, hold_and_its_approval_arrive_in_order_signed_and_with_a_link) {
    start_with_channel();
    auto c = client_as("alice");
    const auto id = held(c);
    approve(id);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);

    ASSERT_TRUE(arrives(hold(id), "approved"));
    EXPECT_THAT(events_of(hold(id)), ElementsAre("requested", "approved"));
    const auto first = hooks.accepted().front();
    const auto j = first.json();
    EXPECT_EQ(j.at("person"), "alice");
    EXPECT_EQ(j.at("target"), "shop");
    EXPECT_EQ(j.at("rule"), "pii-needs-approval");
    EXPECT_EQ(j.at("link"), "https://sallyport.example/holds/" + std::to_string(id));
    EXPECT_THAT(j.at("asked").get<std::string>(), HasSubstr("security"));
    EXPECT_THAT(j.at("statement").get<std::string>(), Not(HasSubstr("= 1")));
    EXPECT_EQ(first.headers.at("sallyport-delivery"), j.at("delivery"));
    const auto signature = first.headers.at("sallyport-signature");
    const auto comma = signature.find(",v1=");
    ASSERT_NE(comma, std::string::npos) << signature;
    EXPECT_EQ(signature.substr(comma + 4), hmac(signature.substr(2, comma - 2) + "." + first.body));
}

TEST_F(notices, receiver_that_fails_and_closes_early_gets_everything_once_more_and_in_order) {
    std::atomic<int> left{3};
    hooks.answer_with([&left](const received_hook&) {
        const int n = left.fetch_sub(1);
        if (n <= 0) return hook_answer{};
        return n % 2 == 0 ? hook_answer{.status = 0} : hook_answer{.status = 503};
    });
    start_with_channel();
    auto c = client_as("alice");
    const auto id = held(c);
    deny(id, "not today");
    ASSERT_TRUE(arrives(hold(id), "denied"));

    EXPECT_THAT(events_of(hold(id)), ElementsAre("requested", "denied"));
    const auto all = hooks.received();
    EXPECT_GE(all.size(), 5u);
    std::set<std::string> keys;
    for (const auto& r : all)
        keys.insert(r.headers.at("sallyport-delivery"));
    EXPECT_EQ(keys.size(), 2u) << "each attempt has its delivery's number";
}

TEST_F(notices, subject_that_fails_does_not_block_another) {
    std::atomic<bool> broken{true};
    std::atomic<std::uint64_t> bad{0};
    hooks.answer_with([&](const received_hook& r) {
        return broken && r.subject() == hold(bad) ? hook_answer{.status = 500} : hook_answer{};
    });
    bad = 1;
    start_with_channel();
    auto one = client_as("alice");
    ASSERT_EQ(held(one), 1u);
    ASSERT_TRUE(eventually([&] { return !hooks.received().empty(); }));
    auto two = client_as("erin");
    two.send(wire::query("SELECT email FROM customers"));
    const auto other = pending_hold_of("erin");
    approve(1);
    approve(other);
    ASSERT_TRUE(arrives(hold(other), "approved"));
    EXPECT_THAT(events_of(hold(other)), ElementsAre("requested", "approved"));
    EXPECT_TRUE(events_of(hold(1)).empty());
    broken = false;
    ASSERT_TRUE(arrives(hold(1), "approved"));
    EXPECT_THAT(events_of(hold(1)), ElementsAre("requested", "approved"));
}

TEST_F(notices, hanging_receiver_is_never_in_the_way_and_shows_as_failing_everywhere) {
    hooks.answer_with([](const received_hook&) { return hook_answer{.hang = true}; });
    start_with_channel("      timeout: 1s\n");
    auto c = client_as("alice");
    const auto id = held(c);
    ASSERT_TRUE(eventually([&] { return !hooks.received().empty(); }));
    const auto before = std::chrono::steady_clock::now();
    approve(id);
    EXPECT_EQ(c.read_exchange().rows.at(0).at(0), held_value);
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(900));

    ASSERT_TRUE(eventually([&] { return channel_of("ops").at("failing").get<bool>(); }));
    EXPECT_EQ(channel_of("ops").at("error"), "no answer in time");
    EXPECT_GE(channel_of("ops").at("waiting").get<int>(), 2);
    EXPECT_THAT(cli("root", {"deliveries"}), HasSubstr("FAILING"));
    EXPECT_THAT(cli("root", {"deliveries", "--json"}), HasSubstr("no answer in time"));
    const auto console = client_as("root", "sallyport").ask("SHOW DELIVERIES");
    ASSERT_EQ(console.rows.size(), 1u);
    EXPECT_EQ(console.rows[0][2], "failing");
    const auto ready = http_request(proxy->admin_port(), "GET", "/readyz");
    EXPECT_EQ(ready.status, 200);
    EXPECT_THAT(ready.body, HasSubstr("notices do not reach channel ops"));
    const auto metrics = http_request(proxy->admin_port(), "GET", "/metrics");
    EXPECT_THAT(metrics.body, HasSubstr("sallyport_notices_failing{channel=\"ops\"} 1"));
    EXPECT_EQ(api("alice").get("/api/v1/deliveries").status, 403);
}

TEST_F(notices, killed_proxy_delivers_after_its_restart) {
    std::atomic<bool> up{false};
    hooks.answer_with(
        [&up](const received_hook&) { return hook_answer{.status = up ? 200 : 503}; });
    start_with_channel();
    auto c = client_as("alice");
    const auto id = held(c);
    deny(id, "not today");
    proxy->kill();
    EXPECT_TRUE(hooks.accepted().empty());
    up = true;
    proxy->start();
    ASSERT_TRUE(arrives(hold(id), "denied"));
    EXPECT_THAT(events_of(hold(id)), ElementsAre("requested", "denied"));
}

TEST_F(notices, hold_that_a_kill_left_behind_is_told_as_withdrawn) {
    start_with_channel();
    auto c = client_as("alice");
    const auto id = held(c);
    ASSERT_TRUE(arrives(hold(id), "requested"));
    proxy->kill();
    proxy->start();
    ASSERT_TRUE(arrives(hold(id), "withdrawn"));
}

TEST_F(notices, channel_that_takes_nothing_is_given_up_on_record) {
    hooks.answer_with([](const received_hook&) { return hook_answer{.status = 500}; });
    start_with_channel("      give_up_after: 1s\n");
    auto c = client_as("alice");
    const auto id = held(c);
    ASSERT_TRUE(eventually([&] { return !audit_records("notice.given_up").empty(); }));
    const auto record = audit_records("notice.given_up").front();
    EXPECT_EQ(record.at("channel"), "ops");
    EXPECT_EQ(record.at("subject"), hold(id));
    EXPECT_THAT(get("root", "/api/v1/deliveries").at("deliveries").dump(), HasSubstr("given_up"));
    approve(id);
}

TEST_F(notices, redirects_are_not_followed) {
    webhook_receiver elsewhere;
    hooks.answer_with([&](const received_hook&) {
        return hook_answer{.status = 307, .headers = "Location: " + elsewhere.url() + "\r\n"};
    });
    start_with_channel();
    auto c = client_as("alice");
    static_cast<void>(held(c));
    ASSERT_TRUE(eventually([&] {
        return channel_of("ops").value("error", nlohmann::json()).dump().find("redirects") !=
               std::string::npos;
    }));
    EXPECT_TRUE(elsewhere.received().empty());
}

TEST_F(notices, endless_answers_are_not_read_to_their_end) {
    hooks.answer_with([](const received_hook&) {
        return hook_answer{.status = 500, .body = std::string(8u << 20u, 'x')};
    });
    start_with_channel();
    auto c = client_as("alice");
    static_cast<void>(held(c));
    ASSERT_TRUE(eventually([&] { return channel_of("ops").at("failing").get<bool>(); }));
    EXPECT_LT(channel_of("ops").at("error").get<std::string>().size(), 400u);
}

TEST_F(notices, opt_out_tells_its_whole_life) {
    start_with_channel();
    const auto id = active_opt_out("2h");
    const auto subject = "opt_out " + std::to_string(id);
    auto c = client_as("alice");
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    EXPECT_EQ(c.ask(held_sql).rows.at(0).at(0), held_value);
    post("bob", "/api/v1/opt-outs/" + std::to_string(id) + "/revoke", {{"reason", "enough"}});
    const auto review = "review " + std::to_string(id);
    ASSERT_TRUE(arrives(review, "review_due"));
    EXPECT_THAT(events_of(subject), ElementsAre("requested", "approved", "first_use", "revoked"));
    post("bob", "/api/v1/reviews/" + std::to_string(id) + "/finding", {{"note", "why twice?"}});
    ASSERT_TRUE(arrives(review, "finding"));
    for (const auto& r : hooks.accepted())
        if (r.event() == "finding") {
            EXPECT_EQ(r.json().at("note"), "why twice?");
            EXPECT_EQ(r.json().at("link"),
                      "https://sallyport.example/reviews/" + std::to_string(id));
        }
}

TEST_F(notices, flags_locks_and_refused_reloads_are_told) {
    start_with_channel();
    const auto flag = post("root", "/api/v1/flags",
                           {{"principal", "erin"}, {"for", "1h"}, {"reason", "odd hours"}});
    const auto subject = "flag " + std::to_string(flag.at("id").get<std::uint64_t>());
    post("root", "/api/v1/flags/" + std::to_string(flag.at("id").get<std::uint64_t>()) + "/lift",
         {{"reason", "it was nothing"}});
    ASSERT_TRUE(arrives(subject, "lifted"));
    EXPECT_THAT(events_of(subject), ElementsAre("flag", "lifted"));
    proxy->set_policy("version: 1\ndefault: perhaps\n");
    EXPECT_EQ(api("root").post("/api/v1/reload", "{}").status, 422);
    ASSERT_TRUE(arrives("policy 0", "reload_refused"));
}

TEST_F(notices, filter_of_a_channel_selects_events_and_unknown_names_are_faults) {
    start_with_channel("      events: [approved]\n      rules: [pii-needs-approval]\n");
    auto c = client_as("alice");
    const auto id = held(c);
    approve(id);
    ASSERT_TRUE(arrives(hold(id), "approved"));
    EXPECT_THAT(events_of(hold(id)), ElementsAre("approved"));

    auto text = read_file(proxy->config_path());
    text.replace(text.find("[approved]"), 10, "[aproved]");
    write_file(proxy->config_path(), text, 0644);
    const auto check = proxy->run_tool({"check", "--config", proxy->config_path()});
    EXPECT_EQ(check.exit_code, 2);
    EXPECT_THAT(check.err, HasSubstr("there is no event 'aproved' (did you mean approved?)"));
}

TEST_F(notices, command_gets_json_on_its_input_and_nothing_of_our_environment) {
    const auto script = dir.file("page");
    write_file(script,
               "#!/bin/sh\ncat > " + dir.file("said") + "\nenv > " + dir.file("env") +
                   "\nls /proc/self/fd > " + dir.file("fds") + "\n",
               0755);
    options.env["SALLYPORT_TEST_SECRET"] = "not-for-children";
    options.more = "notify:\n  channels:\n    page: { command: [" + script + ", \"$(id)\"] }\n";
    start();
    auto c = client_as("alice");
    const auto id = held(c);
    ASSERT_TRUE(eventually([&] { return channel_of("page").at("delivered").get<int>() > 0; }));
    const auto j = nlohmann::json::parse(read_file(dir.file("said")));
    EXPECT_EQ(j.at("subject").at("id"), id);
    EXPECT_THAT(read_file(dir.file("env")), Not(HasSubstr("not-for-children")));
    EXPECT_THAT(read_file(dir.file("env")), HasSubstr("SALLYPORT_EVENT=requested"));
    EXPECT_THAT(read_file(dir.file("fds")), Not(HasSubstr("5")));
}

TEST_F(notices, command_that_does_not_end_is_killed) {
    const auto script = dir.file("page");
    write_file(script, "#!/bin/sh\nsleep 600\n", 0755);
    options.more = "notify:\n  channels:\n    page: { command: [" + script + "], timeout: 1s }\n";
    start();
    auto c = client_as("alice");
    static_cast<void>(held(c));
    ASSERT_TRUE(eventually([&] { return channel_of("page").at("failing").get<bool>(); }));
    EXPECT_THAT(channel_of("page").at("error").get<std::string>(), HasSubstr("did not end within"));
}

TEST_F(notices, https_is_verified_against_the_configured_authority) {
    const certificate_authority good(dir.path(), "good");
    const certificate_authority other(dir.path(), "other");
    const auto identity = good.issue({.file = "hook"});
    std::atomic<int> taken{0};
    hostile_server tls([&](hostile_connection& c) {
        c.accept_tls(identity, "");
        c.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        ++taken;
        c.drain();
    });
    const auto channel = [&](const char* name, const std::string& ca) {
        return "    " + std::string(name) +
               ": { webhook: { url: \"https://localhost:" + std::to_string(tls.port()) +
               "/\", secret_file: " + dir.file("key") + ca + " } }\n";
    };
    options.more = "notify:\n  channels:\n" + channel("right", ", ca: " + good.certificate()) +
                   channel("wrong", ", ca: " + other.certificate()) + channel("none", "");
    start();
    auto c = client_as("alice");
    static_cast<void>(held(c));
    EXPECT_TRUE(eventually([&] { return channel_of("right").at("delivered") == 1; }));
    for (const char* name : {"wrong", "none"}) {
        EXPECT_TRUE(eventually([&] { return channel_of(name).at("failing").get<bool>(); }));
        EXPECT_THAT(channel_of(name).at("error").get<std::string>(), HasSubstr("certificate"));
    }
}

TEST_F(notices, no_secret_and_no_url_is_in_log_audit_or_answers) {
    hooks.answer_with([](const received_hook&) { return hook_answer{.status = 500}; });
    options.more = "notify:\n  channels:\n    ops: { webhook: { url: \"" +
                   hooks.url("/services/T0/B0/very-secret-path") +
                   "\", secret_file: " + dir.file("key") + " } }\nlog: { level: trace }\n";
    start();
    auto c = client_as("alice");
    static_cast<void>(held(c));
    ASSERT_TRUE(eventually([&] { return channel_of("ops").at("failing").get<bool>(); }));
    std::string all = proxy->log() + get("root", "/api/v1/deliveries").dump();
    for (const auto& r : audit_records())
        all += r.dump();
    EXPECT_THAT(all, Not(HasSubstr("very-secret-path")));
    EXPECT_THAT(all, Not(HasSubstr(key)));
    EXPECT_THAT(all, HasSubstr("http://127.0.0.1:" + std::to_string(hooks.port())));
}

TEST_F(notices, slack_click_is_answered_with_a_link_and_decides_nothing) {
    write_file(dir.file("slack"), std::string(key) + "\n");
    start_with_channel("", "  slack: { signing_secret_file: " + dir.file("slack") +
                               ", people: { U0BOB: bob, U0ERIN: erin } }\n");
    auto c = client_as("alice");
    const auto id = held(c);
    const auto click = [&](const std::string& user, std::int64_t age, const std::string& more) {
        const auto t = std::to_string(std::time(nullptr) - age);
        const std::string body =
            "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22" + user +
            "%22%7D%2C%22actions%22%3A%5B%7B%22value%22%3A%22hold+" + std::to_string(id) +
            "%22%7D%5D%7D";
        return http_request(proxy->admin_port(), "POST", "/api/v1/slack/actions",
                            {{"Content-Type", "application/x-www-form-urlencoded"},
                             {"X-Slack-Request-Timestamp", t},
                             {"X-Slack-Signature", "v0=" + hmac("v0:" + t + ":" + body) + more}},
                            body);
    };
    const auto answer = click("U0BOB", 0, "");
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_THAT(answer.body, HasSubstr("https://sallyport.example/holds/" + std::to_string(id)));
    EXPECT_EQ(click("U0BOB", 0, "").status, 401) << "a replay";
    EXPECT_EQ(click("U0BOB", 1, "0").status, 401) << "a forgery";
    EXPECT_EQ(click("U0BOB", 400, "").status, 401) << "too old";
    EXPECT_THAT(click("U0ERIN", 2, "").body, Not(HasSubstr("/holds/")));
    EXPECT_THAT(click("U0NOBODY", 3, "").body, HasSubstr("does not know who you are"));
    EXPECT_EQ(state_of_hold(id), "pending");
}

}  // namespace
}  // namespace sallyport::tests
