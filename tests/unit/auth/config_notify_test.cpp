#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "proxy/config.h"

namespace sallyport::proxy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string head =
    "listen: { postgres: {}, admin: {} }\n"
    "state: { sqlite: s.db, keep: 30d }\n"
    "audit: { directory: a, signing_key: k }\n"
    "users: u.yaml\n"
    "policy: p.yaml\n"
    "targets: { shop: { host: 127.0.0.1, login: { as: client } } }\n";

class notify_config : public ::testing::Test {
  protected:
    notify_config() {
        std::string name = (std::filesystem::temp_directory_path() / "notify_cfg.XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        directory = name;
        put("key", "0123456789abcdef\n");
        put("slack", "https://hooks.slack.com/services/T0/B0/x\n");
    }
    ~notify_config() override {
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    notify_config(const notify_config&) = delete;
    notify_config& operator=(const notify_config&) = delete;

    void put(const std::string& name, const std::string& text, mode_t mode = 0600) const {
        std::ofstream(directory + "/" + name) << text;
        ::chmod((directory + "/" + name).c_str(), mode);
    }
    [[nodiscard]] loaded_settings load(const std::string& notify) const {
        return load_settings_text(head + "notify: " + notify + "\n", directory + "/c.yaml");
    }
    /// The faults of one channel.
    [[nodiscard]] std::vector<std::string> faults(const std::string& channel) const {
        std::vector<std::string> out;
        for (const auto& f : load("{ channels: { ops: " + channel + " } }").faults)
            out.push_back(std::to_string(f.line) + ": " + f.what);
        return out;
    }
    std::string directory;
};

constexpr const char* good = "webhook: { url: \"https://x.example/h\", secret_file: key }";

TEST_F(notify_config, everything_that_can_be_said_is_read) {
    const auto l = load(
        "{ url: \"https://page.example/\", channels: { ops: { " + std::string(good) +
        ", events: [requested, overdue], rules: [pii], targets: shop, timeout: 9s, give_up_after: "
        "2h }, chat: { webhook: { url_file: slack, form: slack } }, page: { command: [/bin/cat, -] "
        "} }, slack: { signing_secret_file: key, people: { U1: bob } } }");
    ASSERT_THAT(l.faults, IsEmpty()) << to_string(l.faults.front());
    const auto& n = l.config->notify;
    EXPECT_EQ(l.config->state_keep, policy::milliseconds(std::chrono::hours(24 * 30)));
    EXPECT_EQ(n.url, "https://page.example");
    ASSERT_EQ(n.channels.size(), 3u);
    const auto& ops = n.channels[0];
    EXPECT_EQ(ops.hook->as, notify::form::generic);
    EXPECT_EQ(ops.hook->key->view(), "0123456789abcdef");
    EXPECT_EQ(ops.events.size(), 2u);
    EXPECT_EQ(ops.timeout, policy::milliseconds(9000));
    EXPECT_EQ(ops.give_up_after, policy::milliseconds(std::chrono::hours(2)));
    EXPECT_EQ(n.channels[1].hook->url.view(), "https://hooks.slack.com/services/T0/B0/x");
    EXPECT_EQ(n.channels[1].hook->shown, "https://hooks.slack.com");
    EXPECT_THAT(n.channels[2].command, ElementsAre("/bin/cat", "-"));
    EXPECT_EQ(n.slack->people.at("U1"), "bob");
    ASSERT_EQ(l.rule_names.size(), 1u);
    EXPECT_EQ(l.rule_names[0].what, "pii");
    EXPECT_EQ(l.role_names.back().name, "bob");
}

TEST_F(notify_config, links_begin_with_the_admin_url_unless_said_otherwise) {
    EXPECT_EQ(load("{ channels: { ops: { " + std::string(good) + " } } }").config->notify.url,
              "http://127.0.0.1:6480");
}

TEST_F(notify_config, names_that_are_not_known_have_the_nearest_one) {
    const std::string hook(good);
    EXPECT_THAT(faults("{ " + hook + ", events: [reqested] }"),
                ElementsAre("7: there is no event 'reqested' (did you mean requested?)"));
    EXPECT_THAT(faults("{ " + hook + ", targets: [shpo] }"),
                ElementsAre("7: there is no target 'shpo' (did you mean shop?)"));
    EXPECT_THAT(faults("{ " + hook + ", evnts: [requested] }"), ElementsAre(HasSubstr("events")));
    EXPECT_THAT(faults("{ " + hook + ", events: [] }"), ElementsAre(HasSubstr("is empty")));
    EXPECT_THAT(faults("{ webhook: { url: \"https://x/\", secret_file: key, form: slak } }"),
                ElementsAre(HasSubstr("slack")));
}

TEST_F(notify_config, channel_is_a_webhook_or_a_command_and_not_both) {
    EXPECT_THAT(faults("{ }"), ElementsAre(HasSubstr("exactly one of")));
    EXPECT_THAT(faults("{ " + std::string(good) + ", command: [/bin/cat] }"),
                ElementsAre(HasSubstr("exactly one of")));
    EXPECT_THAT(faults("{ command: [cat] }"), ElementsAre(HasSubstr("absolute path")));
    EXPECT_THAT(faults("{ command: [/no/such/program] }"),
                ElementsAre(HasSubstr("is not there, or cannot be run")));
}

TEST_F(notify_config, clear_text_leaves_this_machine_only_when_said) {
    const auto with = [&](const std::string& url, const std::string& more = {}) {
        return faults("{ webhook: { url: \"" + url + "\", secret_file: key" + more + " } }");
    };
    EXPECT_THAT(with("http://127.0.0.1:9/h"), IsEmpty());
    EXPECT_THAT(with("http://[::1]:9/h"), IsEmpty());
    EXPECT_THAT(with("http://hooks.example/h"), ElementsAre(HasSubstr("in clear")));
    EXPECT_THAT(with("http://127.0.0.1.evil.example/h"), ElementsAre(HasSubstr("in clear")));
    EXPECT_THAT(with("http://hooks.example/h", ", insecure: true"), IsEmpty());
    EXPECT_THAT(with("gopher://x/"), ElementsAre(HasSubstr("looks like")));
}

TEST_F(notify_config, generic_form_is_signed_with_a_key_that_is_closed_and_long) {
    EXPECT_THAT(faults("{ webhook: { url: \"https://x/\" } }"),
                ElementsAre(HasSubstr("'secret_file' is missing")));
    put("short", "abc\n");
    EXPECT_THAT(faults("{ webhook: { url: \"https://x/\", secret_file: short } }"),
                ElementsAre(HasSubstr("at least 16 characters")));
    put("open", "0123456789abcdef\n", 0644);
    EXPECT_THAT(faults("{ webhook: { url: \"https://x/\", secret_file: open } }"),
                ElementsAre(HasSubstr("open to other users")));
    for (const auto& f :
         load("{ channels: { c: { webhook: { url: \"https://very-secret/path\" } } } }").faults)
        EXPECT_EQ(f.what.find("very-secret"), std::string::npos);
}

TEST_F(notify_config, without_secrets_no_file_is_opened) {
    const auto l = load_settings_text(
        head +
            "notify: { channels: { ops: { webhook: { url_file: none, form: slack } }, page: { "
            "command: [/no/such/program] } } }\n",
        directory + "/c.yaml", secrets::skip);
    EXPECT_THAT(l.faults, IsEmpty());
}

TEST_F(notify_config, odd_shapes_never_throw) {
    for (const char* odd :
         {"7", "[]", "{ channels: [] }", "{ channels: {} }", "{ channels: { ops: 7 } }",
          "{ channels: { \"a b\": { command: [/bin/cat] } } }",
          "{ channels: { ops: { webhook: 1 } } }", "{ channels: { ops: { command: {} } } }",
          "{ slack: 1 }", "{ slack: { people: 1 } }",
          "{ slack: { signing_secret_file: key, people: { U1: [] } } }", "{ url: 7 }",
          "{ channels: { ops: { command: [] } } }"})
        EXPECT_FALSE(load(odd).faults.empty()) << odd;
}

}  // namespace
}  // namespace sallyport::proxy
