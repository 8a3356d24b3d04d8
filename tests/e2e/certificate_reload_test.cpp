#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// Certificates, keys and CAs that change while sessions live.
namespace sallyport::tests {
namespace {

std::string read_file(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

class certificate_reload : public e2e {
  protected:
    void start_with(const std::string& mode, const std::string& more = "") {
        const key_pair pair = authority.issue({.file = "proxy"});
        options.postgres_tls = "{ mode: " + mode + ", certificate: " + pair.certificate +
                               ", key: " + pair.key + more + " }";
        start();
    }
    /// SIGHUP; true if the log then has `words`.
    [[nodiscard]] bool hang_up(const std::string& words) {
        const auto from = proxy->log().size();
        proxy->signal(SIGHUP);
        return proxy->process().wait_for(words, from) != std::string::npos;
    }
    [[nodiscard]] wire_client encrypted(const tls_client_options& o = {}) const {
        wire_client c(proxy->port());
        c.start_tls(o);
        return c;
    }
    [[nodiscard]] std::string admin_certificate() const {
        wire_client c(proxy->admin_port());
        tls_client_options o;
        o.alpn = {"http/1.1"};
        c.handshake(o);
        return c.end_point();
    }

    temp_dir dir;
    certificate_authority authority{dir.path()};
};

TEST_F(certificate_reload, new_connections_see_the_new_one_and_old_sessions_go_on) {
    start_with("require");
    auto old = encrypted();
    old.login(login_as("alice"));
    const auto before = old.end_point();

    static_cast<void>(authority.issue({.file = "proxy"}));
    ASSERT_TRUE(hang_up("reloaded"));

    EXPECT_EQ(old.ask("SELECT repeat('x', 100000)").types(), "TDCZ");
    auto fresh = encrypted({.ca = authority.certificate()});
    EXPECT_NE(fresh.end_point(), before);
    fresh.login(login_as("alice"));
    EXPECT_EQ(fresh.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(certificate_reload, bad_pair_changes_nothing_and_is_named) {
    start_with("require");
    auto old = encrypted();
    old.login(login_as("alice"));
    const auto before = old.end_point();

    const auto other = authority.issue({.file = "other"});
    write_file(dir.file("proxy.key"), read_file(other.key), 0600);
    ASSERT_TRUE(hang_up("does not belong to certificate"));
    EXPECT_EQ(encrypted().end_point(), before);

    write_file(dir.file("proxy.crt"), "no certificate", 0644);
    ASSERT_TRUE(hang_up("reload refused"));
    EXPECT_EQ(encrypted().end_point(), before);
    EXPECT_EQ(old.ask("SELECT 1").types(), "TDCZ");
    EXPECT_TRUE(eventually([&] { return audit_records("policy.refused").size() == 2; }));
}

TEST_F(certificate_reload, admin_listener_follows_and_a_bad_pair_there_changes_nothing_anywhere) {
    const key_pair admin = authority.issue({.file = "admin"});
    options.admin_tls = "{ certificate: " + admin.certificate + ", key: " + admin.key + " }";
    start_with("require");
    const auto admin_before = admin_certificate();
    const auto before = encrypted().end_point();

    static_cast<void>(authority.issue({.file = "admin"}));
    ASSERT_TRUE(hang_up("reloaded"));
    const auto admin_after = admin_certificate();
    EXPECT_NE(admin_after, admin_before);

    static_cast<void>(authority.issue({.file = "proxy"}));
    write_file(admin.key, "no key", 0600);
    ASSERT_TRUE(hang_up("reload refused"));
    EXPECT_EQ(admin_certificate(), admin_after);
    EXPECT_EQ(encrypted().end_point(), before) << "all or nothing";
}

TEST_F(certificate_reload, other_ca_of_clients_counts_from_then_on) {
    write_file(dir.file("clients.crt"), read_file(authority.certificate()), 0644);
    options.users["machine"] =
        "{ certificate: \"CN=machine,O=Example\", groups: [pipelines], service: true }";
    start_with("mutual", ", client_ca: " + dir.file("clients.crt"));
    temp_dir elsewhere;
    const certificate_authority successor(elsewhere.path(), "successor");
    const certificate_request machine{.file = "machine",
                                      .common_name = "machine",
                                      .organisation = "Example",
                                      .alternative_names = ""};
    const auto identity = [&machine](const certificate_authority& by) {
        const key_pair pair = by.issue(machine);
        tls_client_options o;
        o.certificate = pair.certificate;
        o.key = pair.key;
        return o;
    };
    const auto of_old = identity(authority);
    const auto of_new = identity(successor);
    auto old = encrypted(of_old);
    old.login(login_as("machine"));

    write_file(dir.file("clients.crt"), read_file(successor.certificate()), 0644);
    ASSERT_TRUE(hang_up("reloaded"));

    EXPECT_EQ(old.ask("SELECT 1").types(), "TDCZ");
    auto fresh = encrypted(of_new);
    fresh.login(login_as("machine"));
    EXPECT_EQ(fresh.ask("SELECT 1").types(), "TDCZ");
    EXPECT_ANY_THROW({
        auto late = encrypted(of_old);
        late.login(login_as("machine"));
    });
}

TEST_F(certificate_reload, other_ca_and_password_of_a_server_count_from_then_on) {
    postgres_server upstream({.tls = true});
    temp_dir elsewhere;
    const certificate_authority stranger(elsewhere.path(), "stranger");
    write_file(dir.file("servers.crt"), read_file(upstream.ca().certificate()), 0644);
    options.targets["shop"] = {.port = upstream.port(),
                               .dbname = "shop_template",
                               .tls = "{ mode: verify-full, ca: " + dir.file("servers.crt") + " }"};
    start();
    auto old = client_as("alice");

    upstream.query("postgres", "ALTER ROLE app PASSWORD 'another'");
    EXPECT_THROW(static_cast<void>(client_as("alice")), login_refused);
    write_file(proxy->file("secrets/app"), "another\n");
    ASSERT_TRUE(hang_up("reloaded"));
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");

    write_file(dir.file("servers.crt"), read_file(stranger.certificate()), 0644);
    ASSERT_TRUE(hang_up("reloaded"));
    EXPECT_THROW(static_cast<void>(client_as("alice")), login_refused);
    EXPECT_EQ(old.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(certificate_reload, what_needs_a_restart_is_said) {
    start_with("prefer");
    auto text = read_file(proxy->config_path());
    const auto at = text.find("port: " + std::to_string(proxy->port()));
    text.replace(at + 6, std::to_string(proxy->port()).size(), std::to_string(free_port()));
    write_file(proxy->config_path(), text, 0644);

    EXPECT_TRUE(hang_up("takes effect with a restart")) << proxy->log();
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

// Users who end -----------------------------------------------------------------------------------

class expiry : public certificate_reload {
  protected:
    [[nodiscard]] std::map<char, std::string> refusal(const std::string& user,
                                                      const std::string& password) const {
        wire_client c(proxy->port());
        auto o = login_as(user);
        o.password = password;
        try {
            c.login(o);
        } catch (const login_refused& e) {
            return {{'S', e.field('S')},
                    {'C', e.sqlstate()},
                    {'M', e.field('M')},
                    {'D', e.field('D')},
                    {'H', e.field('H')}};
        }
        return {};
    }
    /// users.yaml with `valid_until` of erin.
    void end_erin(const std::string& at) {
        auto text = read_file(proxy->file("users.yaml"));
        const auto line = text.find("erin:");
        text.insert(text.find('}', line), ", valid_until: " + at);
        write_file(proxy->file("users.yaml"), text, 0600);
        ASSERT_TRUE(hang_up("reloaded"));
    }
};

TEST_F(expiry, expired_user_with_the_right_password_looks_like_one_with_a_wrong_one) {
    start();
    end_erin("2020-01-01T00:00:00Z");

    auto expired = refusal("erin", "erin-password");
    auto wrong = refusal("alice", "wrong");
    expired.at('M').replace(expired.at('M').find("erin"), 4, "alice");

    EXPECT_EQ(expired, wrong);
    EXPECT_EQ(expired.at('C'), "28P01");
    ASSERT_TRUE(eventually([&] { return audit_records("login.refused").size() == 2; }));
    EXPECT_EQ(audit_records("login.refused").at(0).value("reason", ""), "expired user");
}

TEST_F(expiry, salt_of_an_expired_user_stays_what_it_was) {
    start();
    const auto salt = [&] {
        wire_client c(proxy->port());
        auto o = login_as("erin");
        o.password = "wrong";
        EXPECT_THROW(c.login(o), login_refused);
        return c.server_first().substr(c.server_first().find(','));
    };
    const auto before = salt();

    end_erin("2020-01-01T00:00:00Z");

    EXPECT_EQ(salt(), before);
}

TEST_F(expiry, login_that_was_good_ends_on_the_admin_surface_and_new_ones_are_refused) {
    start();
    auto session = client_as("erin");
    admin_session browser(proxy->admin_port());
    ASSERT_EQ(browser.login("erin", "erin-password").status, 200);
    ASSERT_EQ(browser.get("/api/v1/me").status, 200);
    end_erin("2020-01-01");

    EXPECT_EQ(browser.get("/api/v1/me").status, 401);
    admin_session again(proxy->admin_port());
    const auto expired = again.login("erin", "erin-password");
    const auto wrong = again.login("alice", "wrong");
    EXPECT_EQ(expired.status, 401);
    EXPECT_EQ(expired.body, wrong.body);
    EXPECT_EQ(session.ask("SELECT 1").types(), "TDCZ") << "as with PostgreSQL's VALID UNTIL";
}

TEST_F(expiry, user_whose_end_is_to_come_logs_in) {
    start();
    end_erin("2999-12-31T23:59:59+01:00");

    EXPECT_EQ(client_as("erin").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(expiry, end_that_is_none_is_a_fault_with_its_place) {
    start();
    auto text = read_file(proxy->file("users.yaml"));
    const auto line = text.find("erin:");
    text.insert(text.find('}', line), ", valid_until: soon");
    write_file(proxy->file("users.yaml"), text, 0600);

    ASSERT_TRUE(hang_up("'valid_until' must be a date or an instant"));
    EXPECT_EQ(client_as("erin").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(expiry, certificate_of_an_expired_user_is_refused_like_an_unknown_one) {
    options.users["machine"] =
        "{ certificate: \"CN=machine,O=Example\", service: true, valid_until: 2020-01-01 }";
    start_with("mutual", ", client_ca: " + authority.certificate());
    const auto refusal_for = [&](const std::string& name) {
        const key_pair pair = authority.issue({.file = name,
                                               .common_name = name,
                                               .organisation = "Example",
                                               .alternative_names = ""});
        tls_client_options o;
        o.certificate = pair.certificate;
        o.key = pair.key;
        auto c = encrypted(o);
        try {
            c.login(login_as(name));
            return std::string("in");
        } catch (const login_refused& e) {
            return e.sqlstate() + " " + e.field('M').substr(0, 33);
        }
    };

    EXPECT_EQ(refusal_for("machine"), "28000 certificate authentication failed");
    EXPECT_EQ(refusal_for("machine"), refusal_for("stranger"));
}

}  // namespace
}  // namespace sallyport::tests
