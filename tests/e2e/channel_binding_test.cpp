#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/hostile_server.h"

/// SCRAM-SHA-256-PLUS towards clients and towards servers.
namespace sallyport::tests {
namespace {

class channel_binding : public e2e {
  protected:
    void start_with(const certificate_request& request, const std::string& binding = "",
                    const std::string& mode = "prefer") {
        const key_pair pair = authority.issue(request);
        options.postgres_tls =
            "{ mode: " + mode + ", certificate: " + pair.certificate + ", key: " + pair.key + " }";
        options.channel_binding = binding;
        start();
    }
    [[nodiscard]] wire_client encrypted() const {
        wire_client c(proxy->port());
        c.start_tls({.ca = authority.certificate()});
        return c;
    }
    [[nodiscard]] login_options plus(const std::string& user = "alice") const {
        auto o = login_as(user);
        o.mechanism = "SCRAM-SHA-256-PLUS";
        o.gs2_header = "p=tls-server-end-point,,";
        return o;
    }
    [[nodiscard]] login_options plain(const std::string& header) const {
        auto o = login_as("alice");
        o.gs2_header = header;
        return o;
    }
    /// SQLSTATE of a login over TLS; "" = it succeeded.
    [[nodiscard]] std::string outcome(const login_options& o) const {
        auto c = encrypted();
        try {
            c.login(o);
            return "";
        } catch (const login_refused& e) {
            return e.sqlstate();
        }
    }
    /// What libpq makes of it: "" = logged in, else its words.
    [[nodiscard]] std::string psql_with(const std::string& binding) const {
        auto o = psql_as("alice");
        o.sslmode = "require";
        o.env["PGCHANNELBINDING"] = binding;
        const auto r = psql_once(o, "SELECT 1");
        return r.out == "1\n" ? "" : r.err + " ";
    }

    temp_dir dir;
    certificate_authority authority{dir.path()};
};

const std::vector<std::string> both{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
const std::vector<std::string> plain_alone{"SCRAM-SHA-256"};

TEST_F(channel_binding, client_and_flag_matrix_with_binding_offered) {
    start_with({.file = "proxy"});

    EXPECT_EQ(outcome(plus()), "");
    EXPECT_EQ(outcome(plain("n,,")), "");
    EXPECT_EQ(outcome(plain("y,,")), "28000") << "PLUS was offered: somebody hid it";
    EXPECT_EQ(outcome(plain("p=tls-server-end-point,,")), "08P01");
    auto mixed = plus();
    mixed.gs2_header = "n,,";
    EXPECT_EQ(outcome(mixed), "08P01");
    auto foreign = plus();
    foreign.end_point = std::string(32, 'x');
    EXPECT_EQ(outcome(foreign), "28000");
    auto other_type = plus();
    other_type.gs2_header = "p=tls-unique,,";
    EXPECT_EQ(outcome(other_type), "08P01");
}

TEST_F(channel_binding, unknown_user_is_offered_and_answered_the_same) {
    start_with({.file = "proxy"});
    auto known = encrypted();
    auto unknown = encrypted();
    auto wrong = plus("alice");
    wrong.password = "wrong";

    known.begin_login(wrong);
    unknown.begin_login(plus("mallory"));

    EXPECT_EQ(known.mechanisms(), both);
    EXPECT_EQ(unknown.mechanisms(), both);
    EXPECT_EQ(outcome(wrong), "28P01");
    EXPECT_EQ(outcome(plus("mallory")), "28P01");
}

TEST_F(channel_binding, is_not_offered_without_tls_or_when_it_is_off) {
    start_with({.file = "proxy"});
    wire_client in_clear(proxy->port());
    in_clear.begin_login(login_as("alice"));
    EXPECT_EQ(in_clear.mechanisms(), plain_alone);
    proxy.reset();

    start_with({.file = "proxy"}, "off");
    auto c = encrypted();
    c.begin_login(plain("y,,"));
    EXPECT_EQ(c.mechanisms(), plain_alone);
    c.finish_login(plain("y,,"));
    EXPECT_EQ(psql_with("prefer"), "");
    EXPECT_NE(psql_with("require"), "");
}

TEST_F(channel_binding, required_lets_in_who_binds_and_nobody_else) {
    start_with({.file = "proxy"}, "require");

    EXPECT_EQ(outcome(plus()), "");
    EXPECT_EQ(psql_with("prefer"), "");
    EXPECT_NE(psql_with("disable"), "");
    EXPECT_EQ(outcome(plain("n,,")), "08P01");
    wire_client in_clear(proxy->port());
    try {
        in_clear.login(login_as("alice"));
        FAIL() << "logged in without binding";
    } catch (const login_refused& e) {
        EXPECT_EQ(e.sqlstate(), "28000");
    }
}

// libpq computes the hash itself, from whatever certificate it is shown.
TEST_F(channel_binding, libpq_logs_in_with_every_kind_of_certificate) {
    for (const char* type : {"EC", "RSA", "RSA-PSS"}) {
        start_with({.file = "proxy", .key_type = type, .self_signed = true});
        for (const char* binding : {"disable", "prefer", "require"})
            EXPECT_EQ(psql_with(binding), "") << type << " " << binding;
        proxy.reset();
    }
}

TEST_F(channel_binding, is_not_offered_with_a_certificate_that_has_no_hash) {
    start_with({.file = "proxy", .key_type = "ED25519", .self_signed = true});

    EXPECT_EQ(psql_with("disable"), "");
    EXPECT_EQ(psql_with("prefer"), "") << "libpq would refuse if PLUS were offered";
    EXPECT_NE(psql_with("require"), "");
    EXPECT_NE(proxy->log().find("has no hash that SCRAM-SHA-256-PLUS could bind to"),
              std::string::npos);
}

TEST_F(channel_binding, login_under_way_is_bound_to_the_certificate_it_saw) {
    start_with({.file = "proxy"});
    auto before = encrypted();
    before.begin_login(plus());
    const auto old = before.end_point();

    static_cast<void>(authority.issue({.file = "proxy"}));  // the same files, another certificate
    proxy->signal(SIGHUP);
    ASSERT_NE(proxy->process().wait_for("reloaded"), std::string::npos);
    before.finish_login(plus());

    EXPECT_EQ(before.ask("SELECT 1").types(), "TDCZ");
    auto after = encrypted();
    EXPECT_NE(after.end_point(), old);
    after.login(plus());
    auto stale = plus();
    stale.end_point = old;
    EXPECT_EQ(outcome(stale), "28000");
}

TEST_F(channel_binding, method_is_on_record) {
    start_with({.file = "proxy"});

    EXPECT_EQ(outcome(plus()), "");
    EXPECT_EQ(outcome(plain("y,,")), "28000");

    ASSERT_TRUE(eventually([&] { return audit_records("login.refused").size() == 1; }));
    EXPECT_EQ(audit_records("login.accepted").at(0).value("method", ""), "scram-sha-256-plus");
    EXPECT_EQ(audit_records("login.refused").at(0).value("reason", ""),
              "SCRAM channel binding negotiation error");
}

// Towards servers ---------------------------------------------------------------------------------

postgres_server& tls_server() {
    static postgres_server server({.tls = true});
    return server;
}

class upstream_binding : public channel_binding {
  protected:
    void to(std::uint16_t port, const std::string& more, const std::string& tls) {
        options.targets["shop"] = {.port = port, .dbname = "shop_template", .tls = tls};
        options.targets["shop"].more = more;
        start();
    }
    /// Somebody in the middle who has a certificate of her own, and changes the list of mechanisms.
    void through_the_middle(const std::string& more, bool hide_plus) {
        const key_pair pair = authority.issue({.file = "middle"});
        middle = std::make_unique<hostile_server>([pair, hide_plus](hostile_connection& c) {
            static_cast<void>(c.read_startup());
            c.send("S");
            c.accept_tls(pair);
            wire_client beyond(tls_server().port());
            beyond.start_tls();
            beyond.send(c.read_startup());
            auto asked = beyond.read();
            if (hide_plus) asked.body = wire::int32(10) + std::string("SCRAM-SHA-256\0\0", 15);
            c.send(wire::frame(asked.type, asked.body));
            for (;;) {
                beyond.send(wire::frame('p', c.read_message().second));
                const auto answer = beyond.read();
                c.send(wire::frame(answer.type, answer.body));
                if (answer.type == 'E') break;
            }
            c.drain();
        });
        to(middle->port(), more, "{ mode: require }");
    }
    [[nodiscard]] std::string refused() const {
        wire_client c(proxy->port());
        try {
            c.login(login_as("alice"));
            return "";
        } catch (const login_refused& e) {
            return e.sqlstate() + " " + e.field('M');
        }
    }
    std::unique_ptr<hostile_server> middle;
};

TEST_F(upstream_binding, is_used_where_the_server_offers_it) {
    to(tls_server().port(), "    channel_binding: require\n", "{ mode: require }");

    EXPECT_EQ(refused(), "");
}

TEST_F(upstream_binding, required_fails_closed_without_tls) {
    to(tls_server().port(), "    channel_binding: require\n", "{ mode: prefer }");
    EXPECT_EQ(refused(), "");
    proxy.reset();
    options.targets["shop"] = {
        .port = server.port(), .dbname = database, .tls = "{ mode: prefer }"};
    options.targets["shop"].more = "    channel_binding: require\n";
    start();

    EXPECT_NE(refused().find("channel_binding is require"), std::string::npos) << refused();
}

TEST_F(upstream_binding, somebody_in_the_middle_is_found_out_by_the_hash) {
    through_the_middle("", false);

    EXPECT_NE(refused().find("channel binding check failed"), std::string::npos) << refused();
}

TEST_F(upstream_binding, somebody_in_the_middle_who_hides_it_is_found_out_by_the_flag) {
    through_the_middle("", true);
    EXPECT_NE(refused().find("channel binding negotiation error"), std::string::npos) << refused();
    proxy.reset();

    through_the_middle("    channel_binding: require\n", true);
    EXPECT_NE(refused().find("channel_binding is require"), std::string::npos) << refused();
}

// What binding is worth: without it the one in the middle gets through.
TEST_F(upstream_binding, switched_off_it_protects_nobody) {
    const key_pair pair = authority.issue({.file = "middle"});
    std::atomic<bool> let_in{false};
    middle = std::make_unique<hostile_server>([pair, &let_in](hostile_connection& c) {
        static_cast<void>(c.read_startup());
        c.send("S");
        c.accept_tls(pair);
        wire_client beyond(tls_server().port());
        beyond.start_tls();
        beyond.send(c.read_startup());
        const auto asked = beyond.read();
        c.send(wire::frame(asked.type, asked.body));
        for (int i = 0; i < 2; ++i) {
            beyond.send(wire::frame('p', c.read_message().second));
            const auto answer = beyond.read();
            let_in = answer.type == 'R' && i == 1;
            c.send(wire::frame(answer.type, answer.body));
        }
    });
    to(middle->port(), "    channel_binding: off\n", "{ mode: require }");

    static_cast<void>(refused());
    middle.reset();

    EXPECT_TRUE(let_in);
}

TEST_F(upstream_binding, certificate_without_hash_is_taken_only_when_it_is_verified) {
    const key_pair pair =
        authority.issue({.file = "ed25519", .key_type = "ED25519", .self_signed = true});
    middle = std::make_unique<hostile_server>([pair](hostile_connection& c) {
        static_cast<void>(c.read_startup());
        c.send("S");
        c.accept_tls(pair);
        static_cast<void>(c.read_startup());
        c.send(wire::frame(
            'R', wire::int32(10) + std::string("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34)));
        c.drain();
    });
    to(middle->port(), "", "{ mode: require }");

    EXPECT_NE(refused().find("no hash to bind to"), std::string::npos) << refused();
}

TEST_F(upstream_binding, plus_without_tls_means_that_tls_was_taken_away) {
    middle = std::make_unique<hostile_server>([](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.send(wire::frame(
            'R', wire::int32(10) + std::string("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", 34)));
        c.drain();
    });
    to(middle->port(), "", "{ mode: prefer }");

    EXPECT_NE(refused().find("without TLS"), std::string::npos) << refused();
}

}  // namespace
}  // namespace sallyport::tests
