#include "proxy/config.h"

#include <cstdlib>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/net/certificates.h"

namespace sallyport::proxy {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

const std::string head =
    "listen: { postgres: {} }\n"
    "state: { sqlite: s.db }\n"
    "audit: { directory: a, signing_key: k }\n"
    "users: u.yaml\n"
    "policy: p.yaml\n";
const std::string target = "targets: { shop: { host: 127.0.0.1, login: { as: client } } }\n";

std::vector<std::string> texts(const std::vector<policy::fault>& faults) {
    std::vector<std::string> out;
    for (const auto& f : faults)
        out.push_back(to_string(f));
    return out;
}
std::vector<std::string> faults_of(const std::string& text) {
    return texts(load_settings_text(text, "c.yaml").faults);
}
settings_ptr loaded(const std::string& text, const std::string& path = "c.yaml") {
    auto l = load_settings_text(text, path);
    EXPECT_THAT(texts(l.faults), IsEmpty());
    return l.config;
}

TEST(config_test, smallest_file_gets_the_documented_defaults) {
    const auto c = loaded(head + target, "etc/c.yaml");
    ASSERT_TRUE(c);

    EXPECT_EQ(c->postgres.address, "127.0.0.1");
    EXPECT_EQ(c->postgres.port, 6432);
    EXPECT_EQ(c->postgres.tls.mode, net::server_tls_mode::disable);
    EXPECT_FALSE(c->admin);
    EXPECT_EQ(c->admin_url, "");
    EXPECT_EQ(c->state_sqlite, "etc/s.db");
    EXPECT_EQ(c->audit_directory, "etc/a");
    EXPECT_EQ(c->audit_signing_key, "etc/k");
    EXPECT_EQ(c->users_path, "etc/u.yaml");
    EXPECT_EQ(c->policy_path, "etc/p.yaml");
    const auto& shop = c->targets.at("shop");
    EXPECT_EQ(shop.dbname, "shop");
    EXPECT_EQ(shop.port, 5432);
    EXPECT_EQ(shop.tls.mode, net::client_tls_mode::prefer);
    EXPECT_TRUE(shop.login.as_client);
    EXPECT_FALSE(shop.login.password);
    EXPECT_FALSE(shop.catalog);
    EXPECT_EQ(c->limits.login_timeout, std::chrono::seconds(15));
    EXPECT_EQ(c->limits.inspect_bytes, 4u << 20);
    EXPECT_EQ(c->limits.message_bytes, 1u << 30);
    EXPECT_EQ(c->limits.pipeline_bytes, 1u << 20);
    EXPECT_EQ(c->workers, std::max(1u, std::thread::hardware_concurrency()));
    EXPECT_EQ(c->hold_remind, std::chrono::seconds(60));
    EXPECT_EQ(c->format, log_format::text);
}

TEST(config_test, everything_that_can_be_said_is_read) {
    const net::testing::temporary_folder folder;
    folder.write("shop.password", "app secret\n");
    const auto c = loaded(
        "listen:\n"
        "  postgres: { address: \"::1\", port: 7000 }\n"
        "  admin: { address: localhost, port: 7001 }\n"
        "admin: { url: \"https://sp.example.com/\" }\n"
        "state: { postgres: \"host=db password=x\" }\n"
        "audit: { directory: /var/log/sp, signing_key: ../k }\n"
        "users: u.yaml\n"
        "policy: p.yaml\n"
        "targets:\n"
        "  shop:\n"
        "    host: db.example.com\n"
        "    port: 5433\n"
        "    dbname: shop_live\n"
        "    tls: { mode: disable }\n"
        "    login: { user: app, password_file: shop.password }\n"
        "    catalog: { user: cat, interval: 250ms, max_staleness: 40ms }\n"
        "    connect_timeout: 3s\n"
        "limits: { connections: 5, connections_per_address: 2, unauthenticated: 3, "
        "unauthenticated_per_address: 1,\n"
        "          login_timeout: 20s, inspect_bytes: 64KiB, message_bytes: 16MiB, "
        "prepared_statements: 7,\n"
        "          pipeline_bytes: 2MiB, held_sessions: 9 }\n"
        "workers: 3\n"
        "roles: { admin: { groups: [dba], users: [bob] }, auditor: { groups: security } }\n"
        "log: { level: debug, format: json }\n"
        "hold: { remind: 5s }\n"
        "drain_timeout: 1m\n",
        folder.file("c.yaml"));
    ASSERT_TRUE(c);

    EXPECT_EQ(c->postgres.address, "::1");
    ASSERT_TRUE(c->admin);
    EXPECT_EQ(c->admin->address, "127.0.0.1");
    EXPECT_EQ(c->admin->port, 7001);
    EXPECT_EQ(c->admin_url, "https://sp.example.com");
    EXPECT_EQ(c->state_sqlite, "");
    EXPECT_EQ(c->state_postgres->view(), "host=db password=x");
    EXPECT_EQ(c->audit_directory, "/var/log/sp");
    const auto& shop = c->targets.at("shop");
    EXPECT_EQ(shop.host, "db.example.com");
    EXPECT_EQ(shop.dbname, "shop_live");
    EXPECT_EQ(shop.login.user, "app");
    EXPECT_EQ(shop.login.password->view(), "app secret");
    EXPECT_EQ(shop.catalog->login.user, "cat");
    EXPECT_EQ(shop.catalog->interval, std::chrono::milliseconds(250));
    EXPECT_EQ(shop.catalog->max_staleness, std::chrono::milliseconds(40));
    EXPECT_EQ(shop.connect_timeout, std::chrono::seconds(3));
    EXPECT_EQ(c->limits.connections_per_address, 2u);
    EXPECT_EQ(c->limits.prepared_statements, 7u);
    EXPECT_EQ(c->limits.held_sessions, 9u);
    EXPECT_EQ(c->workers, 3u);
    EXPECT_TRUE(c->admins.has({"bob", {}, false}));
    EXPECT_TRUE(c->admins.has({"carol", {"dba"}, false}));
    EXPECT_FALSE(c->admins.has({"carol", {"security"}, false}));
    EXPECT_TRUE(c->auditors.has({"carol", {"security"}, false}));
    EXPECT_EQ(c->level, log_level::debug);
    EXPECT_EQ(c->format, log_format::json);
    EXPECT_EQ(c->hold_remind, std::chrono::seconds(5));
    EXPECT_EQ(c->drain_timeout, std::chrono::minutes(1));
}

TEST(config_test, admin_url_is_made_of_the_listener_unless_given) {
    auto with_admin = head;
    with_admin.replace(0, std::string("listen: { postgres: {} }").size(),
                       "listen: { postgres: {}, admin: { address: \"::1\" } }");
    EXPECT_EQ(loaded(with_admin + target)->admin_url, "http://[::1]:6480");
}

TEST(config_test, every_fault_is_told_at_once_with_its_place) {
    const auto faults = faults_of(
        "listen:\n"
        "  postgres: { address: everywhere, port: 70000, tls: { mode: perfer } }\n"
        "  admin: { address: 0.0.0.0 }\n"
        "state: { sqlite: a, postgres: b }\n"
        "audit: { directory: a }\n"
        "user: users.yaml\n"
        "policy: p.yaml\n"
        "targets:\n"
        "  shop: { host: /tmp, login: { user: app, password: secret } }\n"
        "  sallyport: { host: db, login: { user: app, as: client } }\n"
        "  hr: { host: \"db:5432\", prot: 5432 }\n"
        "limits: { connections: many, login_timeout: 1h, inspect_bytes: 1TiB }\n"
        "workers: 0\n"
        "log: { level: loud }\n"
        "roles: { admin: {} }\n"
        "hold: { remind: 0s }\n");

    EXPECT_THAT(
        faults,
        ElementsAre(
            "c.yaml:1:1: 'users' is missing: the file of users",
            "c.yaml:2:24: 'address' must be an IP address, such as 127.0.0.1, ::1 or 0.0.0.0",
            "c.yaml:2:42: 'port' must be a whole number from 1 to 65535",
            "c.yaml:2:62: 'mode' must be one of disable, prefer, require, mutual, not 'perfer' "
            "(did you mean "
            "prefer?)",
            "c.yaml:3:10: the admin listener takes passwords and is reachable beyond this machine: "
            "give tls: { "
            "certificate: …, key: … } or address: 127.0.0.1",
            "c.yaml:4:8: 'state' needs exactly one of sqlite: PATH and postgres: \"host=… "
            "dbname=…\"",
            "c.yaml:5:8: 'signing_key' is missing: a file, made at the first start",
            "c.yaml:6:1: unknown key 'user' in the configuration (did you mean users?)",
            "c.yaml:9:17: Unix sockets are not supported; give a name or an IP address",
            "c.yaml:9:53: passwords do not stand in this file; put it in a file of its own and "
            "give "
            "password_file: PATH (or password_env: NAME)",
            "c.yaml:10:3: the name sallyport is the console's; choose another for this target",
            "c.yaml:10:33: 'login' needs exactly one of user: NAME and as: client",
            "c.yaml:11:3: 'login' is missing: { user: app, password_file: … }, or { as: client } "
            "for a role "
            "named like the client",
            "c.yaml:11:15: 'host' must be a name or an IP address, without port",
            "c.yaml:11:26: unknown key 'prot' in a target (did you mean port?)",
            "c.yaml:12:24: 'connections' must be a whole number from 1 to 1000000",
            "c.yaml:12:45: 'login_timeout' must be from 1s to 10m",
            "c.yaml:12:64: 'inspect_bytes' must be a number of bytes such as 64KiB, 4MiB or 1GiB",
            "c.yaml:13:10: 'workers' must be a whole number from 1 to 256",
            "c.yaml:14:15: 'level' must be one of trace, debug, info, warn, error, not 'loud'",
            "c.yaml:15:17: this role is nobody's; give groups: […] or users: […], or leave it out",
            "c.yaml:16:17: 'remind' must be a duration such as 30s, 15m, 4h or 7d"));
}

TEST(config_test, files_that_are_no_configuration_are_faults) {
    EXPECT_EQ(faults_of("").size(), 1u);
    EXPECT_EQ(faults_of("[]").size(), 1u);
    EXPECT_EQ(faults_of("listen: {").size(), 1u);
    EXPECT_GE(faults_of("{}").size(), 6u);
    EXPECT_THAT(
        texts(load_settings("/nowhere/c.yaml").faults),
        ElementsAre(
            "/nowhere/c.yaml:1:1: the configuration cannot be read: No such file or directory"));
}

TEST(config_test, catalog_login_is_a_role_of_its_own_with_bounded_times) {
    const auto with = [](const std::string& catalog) {
        return head + "targets:\n  shop:\n    host: 127.0.0.1\n    login: { as: client }\n" +
               "    catalog: " + catalog + "\n";
    };
    const auto c = loaded(with("{ user: cat }"));
    ASSERT_TRUE(c);
    EXPECT_EQ(c->targets.at("shop").catalog->interval, std::chrono::seconds(5));
    EXPECT_EQ(c->targets.at("shop").catalog->max_staleness, std::chrono::milliseconds(2));

    EXPECT_THAT(faults_of(with("{ as: client }")),
                ElementsAre("c.yaml:10:14: the catalog is read without a client; give user:"));
    EXPECT_THAT(faults_of(with("{ user: cat, interval: 1ms }")),
                ElementsAre("c.yaml:10:37: 'interval' must be from 100ms to 1h"));
    EXPECT_THAT(faults_of(with("{ user: cat, max_staleness: 2h }")),
                ElementsAre("c.yaml:10:42: 'max_staleness' must be from 1ms to 1m"));
    EXPECT_THAT(faults_of(with("{ user: cat, max_stale: 2s }")),
                ElementsAre(HasSubstr("max_stale")));
    EXPECT_THAT(faults_of(with("{ user: cat, password: x }")),
                ElementsAre(HasSubstr("passwords do not stand in this file")));
    EXPECT_THAT(faults_of(head + "targets: { shop: { host: 127.0.0.1, login: { as: client, "
                                 "interval: 5s } } }"),
                ElementsAre(HasSubstr("interval")));
}

TEST(config_test, odd_shapes_never_throw) {
    for (const std::string block :
         {"listen: 7", "listen: { postgres: [] }", "targets: []", "targets: { a: }",
          "targets: { a: [] }", "targets: { a: { host: [], login: [], tls: x, catalog: 3 } }",
          "limits: x", "roles: [a]", "roles: { admin: x }", "log: null", "state: []", "audit: x",
          "hold: []", "admin: { url: [] }", "workers: {}", "users: {}", "policy: []"})
        EXPECT_FALSE(faults_of(block).empty()) << block;
}

TEST(config_test, admin_beyond_loopback_is_refused_without_tls_only) {
    const net::testing::certificate_folder files;
    files.issue("server");
    const std::string rest = head.substr(head.find('\n') + 1) + target;
    const auto with = [&](const std::string& tls) {
        return faults_of("listen: { postgres: {}, admin: { address: 192.0.2.1, tls: " + tls +
                         " } }\n" + rest);
    };
    EXPECT_THAT(with("{ certificate: " + files.certificate("server") +
                     ", key: " + files.key("server") + " }"),
                IsEmpty());
    EXPECT_THAT(with("{ mode: disable }"), ElementsAre(HasSubstr("reachable beyond this machine")));
    EXPECT_THAT(with("{ mode: prefer }"), Contains(HasSubstr("must be one of disable, require")));
}

TEST(config_test, certificates_and_keys_are_tried_at_load) {
    const net::testing::certificate_folder files;
    files.issue("server");
    files.issue("other");
    const std::string rest = head.substr(head.find('\n') + 1) + target;
    const auto with = [&](const std::string& key, secrets s) {
        return texts(load_settings_text("listen: { postgres: { tls: { certificate: " +
                                            files.certificate("server") + ", key: " + key +
                                            " } } }\n" + rest,
                                        "c.yaml", s)
                         .faults);
    };
    EXPECT_THAT(with(files.key("server"), secrets::read), IsEmpty());
    EXPECT_THAT(
        with(files.key("other"), secrets::read),
        ElementsAre(HasSubstr("c.yaml:1:28: TLS key " + files.key("other") + " does not belong")));
    EXPECT_THAT(with("missing.key", secrets::skip), IsEmpty());
}

TEST(config_test, password_files_must_be_closed_and_hold_one_line) {
    const net::testing::temporary_folder folder;
    folder.write("open", "secret\n", 0644);
    folder.write("empty", "\n");
    folder.write("two", "one\ntwo\n");
    folder.write("long", std::string(2000, 'x'));
    folder.write("dos", "secret\r\n");
    const auto with = [&](const std::string& login) {
        auto l = load_settings_text(
            head + "targets: { shop: { host: 127.0.0.1, login: { user: app, " + login + " } } }",
            folder.file("c.yaml"));
        return l.config ? std::vector<std::string>{std::string(
                              l.config->targets.at("shop").login.password->view())}
                        : texts(l.faults);
    };
    EXPECT_THAT(with("password_file: open"),
                ElementsAre(HasSubstr("chmod 0600 " + folder.file("open"))));
    EXPECT_THAT(with("password_file: empty"), ElementsAre(HasSubstr("must hold one line")));
    EXPECT_THAT(with("password_file: two"), ElementsAre(HasSubstr("must hold one line")));
    EXPECT_THAT(with("password_file: long"), ElementsAre(HasSubstr("longer than")));
    EXPECT_THAT(with("password_file: none"), ElementsAre(HasSubstr("No such file")));
    EXPECT_THAT(with("password_file: dos"), ElementsAre("secret"));
    EXPECT_THAT(with("password_file: dos, password_env: X"),
                ElementsAre(HasSubstr("leave one out")));
    ::unsetenv("SALLYPORT_TEST_PASSWORD");
    EXPECT_THAT(with("password_env: SALLYPORT_TEST_PASSWORD"),
                ElementsAre(HasSubstr("is not set")));
    ::setenv("SALLYPORT_TEST_PASSWORD", "from the environment", 1);
    EXPECT_THAT(with("password_env: SALLYPORT_TEST_PASSWORD"), ElementsAre("from the environment"));
}

TEST(config_test, connection_beyond_this_machine_is_verified_unless_said_otherwise) {
    const auto mode_of = [&](const std::string& rest) {
        const auto l = load_settings_text(
            head + "targets: { shop: { login: { as: client }, " + rest + " } }", "c.yaml");
        return l.config ? std::string(to_string(l.config->targets.at("shop").tls.mode)) +
                              (l.warnings.empty() ? "" : " with a warning")
                        : to_string(l.faults.at(0));
    };
    EXPECT_EQ(mode_of("host: db.example.com"), "verify-full");
    EXPECT_EQ(mode_of("host: 127.0.0.1"), "prefer");
    EXPECT_EQ(mode_of("host: localhost"), "prefer");
    EXPECT_EQ(mode_of("host: 10.0.0.1, tls: { mode: require }"), "require with a warning");
    EXPECT_EQ(mode_of("host: 10.0.0.1, tls: { mode: disable }"), "disable with a warning");
}

class load_all_test : public ::testing::Test {
  protected:
    std::string write(const std::string& config, const std::string& users,
                      const std::string& rules) {
        folder_.write("u.yaml", users);
        folder_.write("p.yaml", rules);
        return folder_.write("c.yaml", config);
    }
    net::testing::temporary_folder folder_;
};

TEST_F(load_all_test, three_good_files_are_three_snapshots) {
    const auto all = load_all(write(head + target + "roles: { admin: { users: [alice] } }\n",
                                    "users: { alice: { certificate: CN=alice, groups: [dev] } }",
                                    "version: 1\ndefault: allow\nopaque: deny\n"));

    EXPECT_THAT(texts(all.faults), IsEmpty());
    EXPECT_TRUE(all.config);
    EXPECT_TRUE(all.users);
    EXPECT_TRUE(all.rules);
}

TEST_F(load_all_test, faults_of_all_three_files_are_told_together) {
    const auto all =
        load_all(write(head + target + "workers: 0\nroles: { admin: { users: [alic] } }\n",
                       "users: { alice: { certificate: CN=alice, groops: [dev] } }",
                       "version: 1\ndefault: perhaps\nopaque: deny\n"));

    const auto faults = texts(all.faults);
    EXPECT_THAT(faults, Contains(HasSubstr("c.yaml:7:10: 'workers'")));
    EXPECT_THAT(faults, Contains(HasSubstr("u.yaml:1:42: unknown key 'groops'")));
    EXPECT_THAT(faults, Contains(HasSubstr("p.yaml:2:10:")));
    EXPECT_FALSE(all.config);
    EXPECT_FALSE(all.users);
    EXPECT_FALSE(all.rules);
}

TEST_F(load_all_test, role_for_nobody_is_a_fault_and_for_an_empty_group_a_warning) {
    const auto all =
        load_all(write(head + target + "roles: { admin: { users: [alic], groups: [dbas] } }\n",
                       "users: { alice: { certificate: CN=alice, groups: [dba] } }",
                       "version: 1\ndefault: allow\nopaque: deny\n"));

    EXPECT_THAT(
        texts(all.faults),
        ElementsAre(HasSubstr("c.yaml:7:27: there is no user 'alic' (did you mean alice?)")));
    EXPECT_THAT(texts(all.warnings),
                Contains(HasSubstr("no user is in group 'dbas' (did you mean dba?)")));
}

TEST_F(load_all_test, targets_that_the_policy_names_must_exist) {
    const auto all = load_all(write(head + target, "users: { alice: { certificate: CN=alice } }",
                                    "version: 1\ndefault: allow\nopaque: deny\n"
                                    "resources: { all: { target: shopp } }\n"));

    EXPECT_THAT(texts(all.faults), ElementsAre(HasSubstr("shopp")));
}

TEST_F(load_all_test, whom_no_channel_tells_of_a_broken_glass_is_named) {
    const auto warned = [&](const std::string& notify) {
        const auto all = load_all(
            write(head + target + notify,
                  "users: { alice: { certificate: CN=alice, groups: [dev] }, bob: { certificate: "
                  "CN=bob, groups: [security] }, carol: { certificate: CN=carol } }",
                  "version: 1\ndefault: allow\nopaque: deny\nresources: { all: { target: shop } }\n"
                  "rules:\n  - { id: pii, tier: 1, on: [all], effect: hold, hold: { approvers: { "
                  "groups: [security] } }, opt_out: { who: { groups: [dev] }, approvers: { groups: "
                  "[security] }, max_duration: 1h, review: { within: 3d }, break_glass: { who: { "
                  "groups: [dev] }, "
                  "max_duration: 10m, announce: { users: [carol], groups: [security] } } } }\n"));
        EXPECT_THAT(texts(all.faults), IsEmpty());
        return texts(all.warnings);
    };
    const auto channel = [](const std::string& more) {
        return "notify: { url: \"https://page.example\", channels: { ops: { command: [/bin/true]" +
               more + " } } }\n";
    };
    EXPECT_THAT(warned(""), Contains(HasSubstr("p.yaml:6:1: no channel tells carol, group "
                                               "security when the glass of rule 'pii'")));
    EXPECT_THAT(warned(channel(", for: { users: [bob] }")),
                Contains(HasSubstr("no channel tells carol when")));
    EXPECT_THAT(warned(channel(", events: [requested]")),
                Contains(HasSubstr("tells carol, group")));
    EXPECT_THAT(warned(channel("")), Not(Contains(HasSubstr("no channel"))));
}

TEST(example_test, example_files_load_without_a_fault) {
    const auto all =
        load_all(std::string(SALLYPORT_SOURCE_DIR) + "/config/sallyport.yaml", secrets::skip);

    EXPECT_THAT(texts(all.faults), IsEmpty());
    ASSERT_TRUE(all.users);
    for (const std::string name : {"alice", "bob", "carol", "ci", "dave"}) {
        const auto* u = all.users->find(name);
        ASSERT_NE(u, nullptr) << name;
        EXPECT_TRUE(auth::verify_password(*u->scram, name + "-demo")) << name;
    }
}

TEST(secret_test, copies_are_independent_and_moves_leave_nothing) {
    secret a("hunter2");
    secret b = a;
    secret c = std::move(a);

    EXPECT_EQ(b.view(), "hunter2");
    EXPECT_EQ(c.view(), "hunter2");
    b = secret("other");
    EXPECT_EQ(b.view(), "other");
    EXPECT_EQ(c.view(), "hunter2");
    EXPECT_TRUE(secret().empty());
    EXPECT_TRUE(secret("").empty());
}

}  // namespace
}  // namespace sallyport::proxy
