#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"
#include "tests/support/hostile_server.h"
#include "tests/support/scram.h"

/// What a server may ask of us, and what it must prove.
namespace sallyport::tests {
namespace {

class require_auth : public e2e {
  protected:
    void to(std::uint16_t port, const std::string& methods, const std::string& user = "app",
            const std::string& tls = "") {
        options.targets["shop"] = {
            .port = port,
            .dbname = database,
            .login = "{ user: " + user + ", password_file: secrets/" + user + " }",
            .tls = tls};
        if (!methods.empty()) options.targets["shop"].more = "    require_auth: " + methods + "\n";
        start();
    }
    void to_script(const std::string& methods, hostile_server::script s,
                   const std::string& tls = "") {
        hostile = std::make_unique<hostile_server>(std::move(s));
        to(hostile->port(), methods, "app", tls);
    }
    /// Why a login failed; "" if it did not.
    [[nodiscard]] std::string refusal() const {
        wire_client c(proxy->port());
        try {
            c.login(login_as("alice"));
            return "";
        } catch (const login_refused& e) {
            EXPECT_EQ(e.sqlstate(), "08006");
            EXPECT_EQ(e.field('S'), "FATAL");
            return e.field('M');
        }
    }
    void expect_refused_for(const std::string& words) const {
        const auto why = refusal();
        EXPECT_NE(why.find(words), std::string::npos) << why;
        EXPECT_TRUE(eventually([&] { return proxy->log().find(words) != std::string::npos; }))
            << "the log names the method, too";
    }
    std::unique_ptr<hostile_server> hostile;
};

std::string offer(const std::string& mechanisms) {
    return wire::frame('R', wire::int32(10) + mechanisms + std::string(1, '\0'));
}

std::string plain_offer() {
    return offer(std::string("SCRAM-SHA-256\0", 14));
}

TEST_F(require_auth, method_that_is_not_listed_is_refused_by_name) {
    to(server.port(), "[scram-sha-256]", "app_md5");
    expect_refused_for("it asks for the method md5, and require_auth takes scram-sha-256 alone");
    proxy.reset();
    to(server.port(), "[scram-sha-256, md5]", "app_clear");
    expect_refused_for("it asks for the method password");
    proxy.reset();
    to(server.port(), "[md5, password, none]");
    expect_refused_for("it asks for the method scram-sha-256");
    proxy.reset();
    to(server.port(), "scram-sha-256-plus");
    expect_refused_for(
        "it asks for the method scram-sha-256, and require_auth takes "
        "scram-sha-256-plus alone");
}

TEST_F(require_auth, listed_method_is_used) {
    to(server.port(), "[scram-sha-256]");
    EXPECT_EQ(refusal(), "");
    proxy.reset();
    to(server.port(), "md5", "app_md5");
    EXPECT_EQ(refusal(), "");
}

TEST_F(require_auth, password_in_clear_still_needs_verified_tls) {
    to(server.port(), "[password]", "app_clear");

    expect_refused_for("it asks for the password in clear");
}

TEST_F(require_auth, server_that_asks_for_nothing_is_refused_unless_none_is_listed) {
    const auto trusting = [](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.accept_login();
        c.drain();
    };
    to_script("[scram-sha-256]", trusting);
    expect_refused_for("it lets us in without authentication (none)");
    proxy.reset();
    to_script("[scram-sha-256, none]", trusting);
    EXPECT_EQ(refusal(), "");
    proxy.reset();
    to_script("", trusting);
    EXPECT_EQ(refusal(), "") << "what is not said allows every method";
}

TEST_F(require_auth, bound_login_cannot_be_got_round_by_asking_for_less) {
    for (const std::string& request :
         {wire::frame('R', wire::int32(0)), wire::frame('R', wire::int32(3)),
          wire::frame('R', wire::int32(5) + "salt"), plain_offer()}) {
        options.targets.erase("shop");
        hostile = std::make_unique<hostile_server>([&request](hostile_connection& c) {
            static_cast<void>(c.read_startup_refusing_tls());
            c.send(request);
            c.drain();
        });
        const stopped_first stopped{hostile};
        options.targets["shop"] = {.port = hostile->port(), .dbname = "shop"};
        options.targets["shop"].tls = "{ mode: prefer }";
        options.targets["shop"].more = "    channel_binding: require\n";
        start();
        expect_refused_for("channel_binding is require");
        proxy.reset();
        hostile.reset();
    }
}

TEST_F(require_auth, mechanism_is_found_wherever_it_stands_in_the_list) {
    for (const std::string& list :
         {std::string("SCRAM-SHA-256\0", 14), std::string("SCRAM-SHA-512\0SCRAM-SHA-256\0", 28),
          std::string("SCRAM-SHA-256\0SCRAM-SHA-512\0OAUTHBEARER\0", 40)}) {
        std::string chosen;
        to_script("", [&chosen, &list](hostile_connection& c) {
            static_cast<void>(c.read_startup_refusing_tls());
            c.send(offer(list));
            const auto body = c.read_message().second;
            chosen = body.substr(0, body.find('\0'));
        });
        const stopped_first stopped{hostile};
        EXPECT_NE(refusal(), "");
        hostile.reset();
        EXPECT_EQ(chosen, "SCRAM-SHA-256");
        proxy.reset();
    }
    for (const std::string& list :
         {std::string("SCRAM-SHA-512\0", 14), std::string("SCRAM-SHA-256-EXTRA\0", 20),
          std::string("XSCRAM-SHA-256\0", 15)}) {
        to_script("", [&list](hostile_connection& c) {
            static_cast<void>(c.read_startup_refusing_tls());
            c.send(offer(list));
            c.drain();
        });
        const stopped_first stopped{hostile};
        expect_refused_for("it does not offer SCRAM-SHA-256");
        proxy.reset();
    }
}

/// A server that goes on with SCRAM as a test says; `answer` gets our nonce.
hostile_server::script scram_script(std::function<std::string(const std::string&)> answer,
                                    std::string last) {
    return [answer = std::move(answer), last = std::move(last)](hostile_connection& c) {
        static_cast<void>(c.read_startup_refusing_tls());
        c.send(plain_offer());
        const auto first = c.read_message().second;
        c.send(wire::frame('R', wire::int32(11) + answer(first.substr(first.find("r=") + 2))));
        static_cast<void>(c.read_message());
        c.send(last);
        c.accept_login();
        c.drain();
    };
}

std::string challenge(const std::string& nonce) {
    return "r=" + nonce + "more,s=c2FsdHNhbHQ=,i=4096";
}

TEST_F(require_auth, server_with_a_wrong_signature_is_refused_whatever_it_says_next) {
    const auto wrong = wire::frame('R', wire::int32(12) + "v=" + base64(std::string(32, 'x')));
    to_script("", scram_script(challenge, wrong));

    expect_refused_for("it could not prove that it knows the password");
}

TEST_F(require_auth, server_that_lets_us_in_before_its_proof_is_refused) {
    to_script("", scram_script(challenge, ""));

    expect_refused_for("without proving that it knows the password");
}

TEST_F(require_auth, nonces_of_any_length_and_other_damage_do_no_harm) {
    const std::vector<std::function<std::string(const std::string&)>> answers{
        [](const std::string& n) {
            return "r=" + n + std::string(60'000, 'n') + ",s=c2FsdA==,i=1";
        },
        [](const std::string& n) { return "r=" + n + std::string(1025, 'n') + ",s=c2FsdA==,i=1"; },
        [](const std::string& n) { return "r=" + n + ",s=c2FsdA==,i=4096"; },
        [](const std::string&) { return std::string("r=other,s=c2FsdA==,i=4096"); },
        [](const std::string& n) { return "r=" + n + "x,s=,i=4096"; },
        [](const std::string& n) { return "r=" + n + "x,s=c2FsdA==,i=0"; },
        [](const std::string& n) { return "r=" + n + "x,s=c2FsdA==,i=2000000000"; },
        [](const std::string& n) { return "m=x,r=" + n + "x,s=c2FsdA==,i=4096"; },
        [](const std::string&) { return std::string(); },
    };
    std::atomic<std::size_t> turn{0};
    to_script("", [&](hostile_connection& c) {
        const auto mine = turn.fetch_add(1);
        scram_script(answers.at(mine), "")(c);
    });
    const stopped_first stopped{hostile};

    for (std::size_t i = 0; i < answers.size(); ++i) {
        EXPECT_NE(refusal(), "") << i;
    }
    EXPECT_TRUE(proxy->process().alive());
}

TEST_F(require_auth, silence_after_the_request_for_tls_ends_at_the_connect_timeout) {
    hostile = std::make_unique<hostile_server>([](hostile_connection& c) { c.drain(); });
    options.targets["shop"] = {.port = hostile->port(),
                               .dbname = "shop",
                               .tls = "{ mode: require }",
                               .connect_timeout = "1s"};
    start();

    EXPECT_NE(refusal(), "");
}

TEST_F(require_auth, expired_certificate_of_a_server_is_refused) {
    temp_dir dir;
    const certificate_authority authority(dir.path());
    const key_pair pair = authority.issue({.file = "expired", .valid_days = -1});
    to_script(
        "",
        [pair](hostile_connection& c) {
            static_cast<void>(c.read_startup());
            c.send("S");
            c.accept_tls(pair);
            static_cast<void>(c.read_startup());
            c.accept_login();
        },
        "{ mode: verify-full, ca: " + authority.certificate() + " }");

    EXPECT_NE(refusal().find("certificate"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tests
