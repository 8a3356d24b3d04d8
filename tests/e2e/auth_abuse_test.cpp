#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/scram.h"

/// Clients that break the rules before they are anybody.
namespace sallyport::tests {
namespace {

class auth_abuse : public e2e {
  protected:
    auth_abuse() {
        options.limits = "{ unauthenticated_per_address: 1000 }";
        start();
    }
    /// A connection that has been asked for SCRAM; `answered`: and has had its challenge.
    [[nodiscard]] wire_client asked(bool answered) const {
        wire_client c(proxy->port());
        c.send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
        static_cast<void>(c.read_until('R'));
        if (answered) {
            c.send(wire::sasl_initial("SCRAM-SHA-256", scram_client("x").first()));
            static_cast<void>(c.read_until('R'));
        }
        return c;
    }
    static std::string sqlstate_at_end(wire_client& c) {
        const auto all = c.read_to_end();
        if (all.size() != 1 || all[0].type != 'E') return "not one error";
        return fields_of(all[0]).at('S') + " " + fields_of(all[0]).at('C');
    }
};

TEST_F(auth_abuse, every_other_message_is_a_violation_in_every_state_of_the_login) {
    for (const bool answered : {false, true}) {
        for (int type = 0; type < 256; ++type) {
            if (type == 'p') continue;
            auto c = asked(answered);
            c.try_send(wire::frame(static_cast<char>(type), "SELECT 1"));
            EXPECT_EQ(sqlstate_at_end(c), "FATAL 08P01") << type << " " << answered;
        }
    }
}

TEST_F(auth_abuse, second_startup_packet_is_a_violation) {
    auto c = asked(false);
    c.try_send(wire::startup({{"user", "bob"}, {"database", "shop"}}));

    EXPECT_EQ(sqlstate_at_end(c), "FATAL 08P01");
}

TEST_F(auth_abuse, password_before_the_startup_packet_is_closed) {
    wire_client c(proxy->port());
    c.try_send(wire::password("alice-password"));

    EXPECT_TRUE(c.read_to_end().empty());
}

TEST_F(auth_abuse, password_in_clear_is_not_taken) {
    auto c = asked(false);
    c.try_send(wire::password("alice-password"));

    EXPECT_EQ(sqlstate_at_end(c), "FATAL 08P01");
}

TEST_F(auth_abuse, lengths_of_the_first_answer_are_exact) {
    const std::string mechanism("SCRAM-SHA-256\0", 14);
    for (const std::uint32_t length : {0xfffffffeU, 0xfffffff0U, 0x7fffffffU, 0U, 1U, 4U, 100U}) {
        auto c = asked(false);
        c.try_send(wire::frame('p', mechanism + wire::int32(length) + "n,,"));
        EXPECT_EQ(sqlstate_at_end(c), "FATAL 08P01") << length;
    }
    auto none = asked(false);
    none.send(wire::frame('p', mechanism + wire::int32(0xffffffffU)));
    const auto empty = none.read();
    EXPECT_EQ(empty.type, 'R') << "-1 is no data: the server asks for it";
    EXPECT_EQ(empty.body, wire::int32(11));
}

TEST_F(auth_abuse, guesses_beyond_the_burst_wait_whoever_is_asked_for_and_only_from_there) {
    const auto attempt = [this](const std::string& user, const std::string& password,
                                const std::string& from) {
        wire_client c(proxy->port(), from);
        auto o = login_as(user);
        o.password = password;
        try {
            c.login(o);
            return std::string("in");
        } catch (const login_refused& e) {
            return e.field('M').substr(0, 8);
        }
    };
    for (const char* user : {"alice", "mallory"})
        for (int i = 0; i < 10; ++i)
            ASSERT_EQ(attempt(user, "guess", "127.0.0.1"), "password") << user << i;

    EXPECT_EQ(attempt("alice", "alice-password", "127.0.0.1"), "too many");
    EXPECT_EQ(attempt("mallory", "guess", "127.0.0.1"), "too many");
    EXPECT_EQ(attempt("alice", "alice-password", "127.0.0.2"), "in");
    EXPECT_EQ(attempt("bob", "bob-password", "127.0.0.1"), "in");
}

// libpq's sslmode=prefer tries again in clear after a refusal: both tries count for the same pair.
TEST_F(auth_abuse, psql_that_tries_twice_is_counted_twice) {
    proxy.reset();
    temp_dir dir;
    const certificate_authority authority(dir.path());
    const key_pair pair = authority.issue({.file = "proxy"});
    options.postgres_tls =
        "{ mode: prefer, certificate: " + pair.certificate + ", key: " + pair.key + " }";
    start();
    auto o = psql_as("alice");
    o.sslmode = "prefer";
    o.password = "wrong";

    for (int i = 0; i < 5; ++i)
        EXPECT_NE(psql_once(o, "SELECT 1").exit_code, 0);

    ASSERT_TRUE(eventually([&] { return audit_records("login.refused").size() == 10; }));
    o.password = "alice-password";
    EXPECT_NE(psql_once(o, "SELECT 1").err.find("too many failed logins"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tests
