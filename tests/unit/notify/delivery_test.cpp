#include <csignal>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <future>
#include <map>
#include <mutex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "proxy/notify/attempts.h"
#include "proxy/notify/courier.h"
#include "proxy/notify/hook.h"
#include "proxy/notify/sign.h"
#include "proxy/notify/url.h"

namespace sallyport::proxy::notify {
namespace {

using policy::instant;
using policy::milliseconds;
using ::testing::HasSubstr;

const instant t0{milliseconds(1'772'357'400'000)};

TEST(sign, hmac_is_that_of_rfc_4231) {
    EXPECT_EQ(hmac_sha256_hex("Jefe", "what do ya want for nothing?"),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hmac_sha256_hex(std::string(20, '\x0b'), "Hi There"),
              "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
}

TEST(sign, signature_covers_time_and_body) {
    const auto one = signature("Jefe", 1772357400, "{}");
    EXPECT_EQ(one, "t=1772357400,v1=" + hmac_sha256_hex("Jefe", "1772357400.{}"));
    EXPECT_NE(one, signature("Jefe", 1772357400, "{ }"));
    EXPECT_NE(one.substr(13), signature("Jefe", 1772357401, "{}").substr(13));
}

TEST(retry_delay, doubles_up_to_five_minutes_and_at_most_half_of_it_is_chance) {
    EXPECT_EQ(retry_delay(1, 1), milliseconds(500));
    EXPECT_EQ(retry_delay(1, 0), milliseconds(250));
    EXPECT_EQ(retry_delay(2, 1), milliseconds(1000));
    EXPECT_EQ(retry_delay(3, 1), milliseconds(2000));
    EXPECT_EQ(retry_delay(1'000'000'000'000, 1), milliseconds(300'000));
    for (std::uint64_t n = 0; n < 30; ++n)
        for (const double chance : {-1.0, 0.0, 0.3, 1.0, 7.0}) {
            EXPECT_GE(retry_delay(n, chance), milliseconds(250));
            EXPECT_LE(retry_delay(n, chance), milliseconds(300'000));
        }
}

TEST(lane, few_run_at_once_and_while_it_fails_one_finds_out) {
    lane l;
    for (std::uint64_t id = 1; id <= lane::at_once_max; ++id)
        EXPECT_TRUE(l.begin(id, t0));
    EXPECT_FALSE(l.begin(99, t0));
    EXPECT_FALSE(l.begin(1, t0));
    for (std::uint64_t id = 1; id <= lane::at_once_max; ++id)
        l.failed(id, t0, 1);
    EXPECT_EQ(l.room(t0), 0u);
    ASSERT_GT(l.not_before(), t0);
    EXPECT_EQ(l.room(l.not_before()), 1u);
    EXPECT_TRUE(l.begin(5, l.not_before()));
    EXPECT_FALSE(l.begin(6, l.not_before()));
    l.succeeded(5);
    EXPECT_EQ(l.room(t0), lane::at_once_max);
}

TEST(webhook_url, is_read_strictly) {
    webhook_url u;
    ASSERT_TRUE(parse_webhook_url("https://hooks.slack.com/services/T0/B0/x?y=1#z", u));
    EXPECT_TRUE(u.tls);
    EXPECT_EQ(u.host, "hooks.slack.com");
    EXPECT_EQ(u.port, "443");
    EXPECT_EQ(u.path, "/services/T0/B0/x?y=1");
    EXPECT_EQ(u.shown(), "https://hooks.slack.com");
    ASSERT_TRUE(parse_webhook_url("http://[::1]:8080", u));
    EXPECT_EQ(u.host, "::1");
    EXPECT_EQ(u.path, "/");
    EXPECT_TRUE(u.loopback());
    EXPECT_EQ(u.shown(), "http://[::1]:8080");
    for (const char* bad : {"", "ftp://x/", "https://", "https://u:p@host/", "https://ho st/",
                            "https://host:port/", "https://host\r\nX: y/", "//host/"})
        EXPECT_FALSE(parse_webhook_url(bad, u)) << bad;
    ASSERT_TRUE(parse_webhook_url("http://127.evil.example/", u));
    EXPECT_FALSE(u.loopback());
}

class hooks : public ::testing::Test {
  protected:
    hooks() {
        std::signal(SIGPIPE, SIG_IGN);
        std::string name = (std::filesystem::temp_directory_path() / "hook_test.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
    }
    ~hooks() override {
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    hooks(const hooks&) = delete;
    hooks& operator=(const hooks&) = delete;
    hook_run shell(const std::string& script, milliseconds timeout = milliseconds(20'000)) const {
        return {{"/bin/sh", "-c", script}, "{\"a\":1}\n", {"X=1"}, timeout, nullptr};
    }
    std::string directory;
};

TEST_F(hooks, command_that_ends_well_is_a_delivery) {
    EXPECT_EQ(run_hook(shell("test \"$(cat)\" = '{\"a\":1}' && test $X = 1 && test -z \"$HOME\"")),
              "");
}

TEST_F(hooks, exit_code_and_the_beginning_of_what_it_said_are_told) {
    const auto error = run_hook(shell("echo 'no \033[31m way' >&2; yes | head -c 1000000; exit 3"));
    EXPECT_THAT(error, HasSubstr("exit code 3: no \\x1b[31m way"));
    EXPECT_LT(error.size(), 500u);
}

TEST_F(hooks, late_one_is_killed_with_all_that_it_started) {
    const auto file = directory + "/late";
    const auto error =
        run_hook(shell("(sleep 2; touch " + file + ") & sleep 60", milliseconds(300)));
    EXPECT_THAT(error, HasSubstr("did not end within 300 ms"));
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST_F(hooks, one_that_reads_nothing_and_one_that_is_not_there_are_survived) {
    auto r = shell("exec <&-; exit 0");
    r.input = std::string(1'000'000, 'x');
    EXPECT_EQ(run_hook(r), "");
    r.command = {directory + "/nothing"};
    EXPECT_THAT(run_hook(r), HasSubstr("cannot be run"));
}

/// An outbox in memory, with the promises of the real one.
class fake_outbox {
  public:
    void add(const std::string& subject_event, std::uint64_t hold) {
        const std::lock_guard lock(mutex_);
        store::delivery d;
        d.id = next_++;
        d.key = std::to_string(d.id);
        d.channel = "page";
        d.what.about = policy::notice_about::hold;
        d.what.id = hold;
        d.what.at = t0;
        d.what.note = subject_event;
        waiting_.push_back(d);
    }
    void exchange(const approval::delivery_exchange& e,
                  const std::function<void(approval::delivery_work)>& done) {
        approval::delivery_work w;
        {
            const std::lock_guard lock(mutex_);
            w.stored = !broken;
            if (w.stored) write_and_read(e, w);
        }
        done(std::move(w));
    }
    std::size_t left() {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }
    std::atomic<bool> broken{false};

  private:
    void write_and_read(const approval::delivery_exchange& e, approval::delivery_work& w) {
        for (const auto& o : e.outcomes)
            for (auto d = waiting_.begin(); d != waiting_.end(); ++d) {
                if (d->id != o.id) continue;
                ++d->attempts;
                d->next_at = t0;
                if (o.to != store::delivery_state::waiting) waiting_.erase(d);
                break;
            }
        std::set<std::uint64_t> heads;
        for (const auto& [channel, limit] : e.wanted)
            for (const auto& d : waiting_)
                if (w.due.size() < limit && heads.insert(d.what.id).second) w.due.push_back(d);
    }
    std::mutex mutex_;
    std::uint64_t next_ = 1;
    std::deque<store::delivery> waiting_;
};

class still final : public clock {
  public:
    [[nodiscard]] instant now() const noexcept override { return t0; }
};

TEST_F(hooks, courier_runs_each_subject_in_order_and_survives_a_store_that_is_gone) {
    fake_outbox outbox;
    still time;
    outbox.broken = true;
    for (std::uint64_t n = 0; n < 12; ++n)
        outbox.add(std::to_string(n), n % 3);
    courier c({[&](approval::delivery_exchange e,
                   std::function<void(approval::delivery_work)> done) { outbox.exchange(e, done); },
               [](const store::delivery&) {}, [](courier::severity, const std::string&) {}, &time});
    auto s = std::make_shared<settings>();
    s->url = "https://x.example";
    channel page;
    page.name = "page";
    page.command = {"/bin/sh", "-c", "cat >> " + directory + "/said"};
    s->channels.push_back(page);
    c.set(s);
    c.start();
    c.wake();
    outbox.broken = false;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (outbox.left() > 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    EXPECT_EQ(outbox.left(), 0u);
    c.stop();

    std::ifstream said(directory + "/said");
    std::map<std::string, std::vector<int>> by_subject;
    for (std::string line; std::getline(said, line);) {
        const auto id = line.find("\"id\":");
        const auto note = line.find("\"note\":\"");
        ASSERT_NE(note, std::string::npos) << line;
        by_subject[line.substr(id, 6)].push_back(std::stoi(line.substr(note + 8)));
    }
    EXPECT_EQ(by_subject.size(), 3u);
    for (const auto& [subject, order] : by_subject) {
        EXPECT_EQ(order.size(), 4u);
        EXPECT_TRUE(std::is_sorted(order.begin(), order.end())) << subject;
    }
    EXPECT_EQ(c.statuses().at(0).delivered, 12u);
}

TEST(routes, channel_is_told_what_its_filter_selects) {
    auto s = std::make_shared<settings>();
    channel all;
    all.name = "all";
    channel some;
    some.name = "some";
    some.events = {policy::notice_event::denied};
    some.rules = {"pii"};
    some.targets = {"shop"};
    s->channels = {all, some};
    const auto routes = routes_of(s);
    policy::notice n;
    n.event = policy::notice_event::denied;
    n.rule = "pii";
    n.target = "shop";
    EXPECT_EQ(routes.of(n).size(), 2u);
    n.target = "hr";
    EXPECT_EQ(routes.of(n), (std::vector<std::string>{"all"}));
    n.target.clear();
    n.event = policy::notice_event::approved;
    EXPECT_EQ(routes.of(n), (std::vector<std::string>{"all"}));
    EXPECT_FALSE(routes_of(nullptr).of);
}

TEST(routes, channel_of_a_person_is_told_what_is_for_her_and_what_is_announced_to_her) {
    auto s = std::make_shared<settings>();
    channel ops;
    ops.name = "ops";
    channel bob;
    bob.name = "bob";
    bob.users = {"bob"};
    bob.events = {policy::notice_event::reassigned};
    channel leads;
    leads.name = "leads";
    leads.groups = {"leads"};
    s->channels = {ops, bob, leads};
    const auto routes = routes_of(s, {{"security", {"bob", "carol"}}});
    policy::notice n;
    using names = std::vector<std::string>;
    n.event = policy::notice_event::reassigned;
    EXPECT_EQ(routes.of(n), (names{"ops"}));
    n.to_users = {"bob"};
    EXPECT_EQ(routes.of(n), (names{"ops", "bob"}));
    n.to_users = {"carol"};
    n.to_groups = {"leads"};
    EXPECT_EQ(routes.of(n), (names{"ops", "leads"}));
    n.to_groups = {"security"};
    EXPECT_EQ(routes.of(n), (names{"ops", "bob"}));
    n.event = policy::notice_event::requested;
    EXPECT_EQ(routes.of(n), (names{"ops"}));
    // Whoever is on the list is told, whatever her channel is for.
    n.event = policy::notice_event::break_glass;
    EXPECT_EQ(routes.of(n), (names{"ops", "bob"}));
    n.event = policy::notice_event::break_glass_use;
    EXPECT_EQ(routes.of(n), (names{"ops", "bob"}));
}

}  // namespace
}  // namespace sallyport::proxy::notify
