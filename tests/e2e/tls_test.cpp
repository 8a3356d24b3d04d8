#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// The client's side of TLS.
namespace sallyport::tests {
namespace {

class tls : public e2e {
  protected:
    void start_with_tls(const std::string& mode, const std::string& more = "") {
        const key_pair pair = authority.issue({.file = "proxy"});
        options.postgres_tls = "{ mode: " + mode + ", certificate: " + pair.certificate +
                               ", key: " + pair.key + more + " }";
        options.users["machine"] =
            "{ certificate: \"CN=machine,O=Example\", groups: [pipelines], service: true }";
        start();
    }
    void start_mutual() { start_with_tls("mutual", ", client_ca: " + authority.certificate()); }
    [[nodiscard]] tls_client_options identity(const std::string& name) const {
        const key_pair pair = authority.issue({.file = name,
                                               .common_name = name,
                                               .organisation = "Example",
                                               .alternative_names = ""});
        return {.ca = authority.certificate(), .certificate = pair.certificate, .key = pair.key};
    }

    temp_dir dir;
    certificate_authority authority{dir.path()};
};

TEST_F(tls, disabled_answers_n_and_goes_on_in_plain) {
    start();
    wire_client c(proxy->port());

    c.send(wire::ssl_request());

    EXPECT_EQ(c.read_byte(), 'N');
    c.login(login_as("alice"));
    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(tls, preferred_serves_both_plain_and_encrypted_clients) {
    start_with_tls("prefer");
    wire_client encrypted(proxy->port());

    encrypted.start_tls({.ca = authority.certificate()});
    encrypted.login(login_as("alice"));

    EXPECT_EQ(encrypted.ask("SELECT 1").types(), "TDCZ");
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(tls, required_refuses_a_plain_startup_before_any_password) {
    start_with_tls("require");
    wire_client c(proxy->port());

    c.send(wire::startup({{"user", "alice"}, {"database", "shop"}}));
    const auto all = c.read_to_end();

    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].type, 'E');
    EXPECT_EQ(fields_of(all[0]).at('C'), "28000");
    EXPECT_EQ(fields_of(all[0]).at('S'), "FATAL");
}

TEST_F(tls, psql_verifies_the_proxy_fully) {
    start_with_tls("require");
    auto o = psql_as("alice");
    o.sslmode = "verify-full";
    o.env["PGSSLROOTCERT"] = authority.certificate();

    const auto r = psql_once(o, "SELECT 'over tls'");

    EXPECT_EQ(r.out, "over tls\n") << r.err;
}

TEST_F(tls, large_results_and_statements_pass_over_tls) {
    start_with_tls("require");
    wire_client c(proxy->port());
    c.start_tls();
    c.login(login_as("alice"));
    const std::string big(300'000, 'x');

    const auto x = c.ask("SELECT length('" + big + "'), repeat('y', 2000000)");

    ASSERT_EQ(x.rows.size(), 1u);
    EXPECT_EQ(x.rows[0][0], "300000");
    EXPECT_EQ(x.rows[0][1]->size(), 2'000'000u);
}

TEST_F(tls, mutual_takes_the_certificate_as_identity) {
    start_mutual();
    wire_client c(proxy->port());
    c.start_tls(identity("machine"));

    auto o = login_as("machine");
    o.password = "";
    c.login(o);

    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
    EXPECT_TRUE(eventually([&] { return audit_records("login.accepted").size() == 1; }));
}

TEST_F(tls, mutual_refuses_a_client_without_certificate) {
    start_mutual();
    wire_client c(proxy->port());

    // With TLS 1.3 the client's handshake may end before the server has judged it.
    EXPECT_ANY_THROW({
        c.start_tls({.ca = authority.certificate()});
        c.login(login_as("alice"));
    });
    EXPECT_EQ(upstream_sessions(), 0);
}

TEST_F(tls, mutual_refuses_a_certificate_of_another_authority) {
    start_mutual();
    temp_dir elsewhere;
    const certificate_authority other(elsewhere.path());
    const key_pair pair =
        other.issue({.file = "machine", .common_name = "machine", .organisation = "Example"});
    wire_client c(proxy->port());

    EXPECT_ANY_THROW({
        c.start_tls(
            {.ca = authority.certificate(), .certificate = pair.certificate, .key = pair.key});
        c.login(login_as("machine"));
    });
    EXPECT_EQ(upstream_sessions(), 0);
}

TEST_F(tls, mutual_refuses_a_certificate_that_names_somebody_else) {
    start_mutual();
    wire_client c(proxy->port());
    c.start_tls(identity("mallory"));
    auto o = login_as("machine");
    o.password = "";

    try {
        c.login(o);
        FAIL() << "mallory logged in as machine";
    } catch (const login_refused& e) {
        EXPECT_EQ(e.sqlstate().substr(0, 2), "28") << e.what();
    }
}

TEST_F(tls, mutual_takes_the_subject_for_the_identity_and_no_alternative_name) {
    start_mutual();
    const auto outcome = [&](const std::string& subject, const std::string& alternative) {
        const key_pair pair = authority.issue({.file = "named",
                                               .common_name = subject,
                                               .organisation = "Example",
                                               .alternative_names = alternative});
        wire_client c(proxy->port());
        tls_client_options o;
        o.certificate = pair.certificate;
        o.key = pair.key;
        c.start_tls(o);
        try {
            c.login(login_as("machine"));
            return std::string();
        } catch (const login_refused& e) {
            return e.sqlstate();
        }
    };

    EXPECT_EQ(outcome("mallory", "DNS:machine,email:machine@example.com"), "28000");
    EXPECT_EQ(outcome("machine", "DNS:alice"), "");
}

TEST_F(tls, gssenc_is_answered_n_and_ssl_still_works_afterwards) {
    start_with_tls("prefer");
    wire_client c(proxy->port());

    c.send(wire::gssenc_request());
    EXPECT_EQ(c.read_byte(), 'N');
    c.start_tls();
    c.login(login_as("alice"));

    EXPECT_EQ(c.ask("SELECT 1").types(), "TDCZ");
}

TEST_F(tls, startup_stuffed_behind_the_ssl_request_never_becomes_a_session) {
    start_with_tls("prefer");
    wire_client c(proxy->port());

    c.send(wire::ssl_request() + wire::startup({{"user", "alice"}, {"database", "shop"}}));

    bool authentication_asked = false;
    try {
        if (c.read_byte() == 'S') c.handshake({});
        for (const auto& m : c.read_to_end())
            authentication_asked |= m.type == 'R';
    } catch (const std::runtime_error&) {
        // The handshake failed, which is as good.
    }
    EXPECT_FALSE(authentication_asked);
    EXPECT_EQ(client_as("alice").ask("SELECT 1").types(), "TDCZ");
}

TEST_F(tls, startup_stuffed_behind_the_gssenc_request_never_becomes_a_session) {
    start_with_tls("prefer");
    wire_client c(proxy->port());

    c.send(wire::gssenc_request() + wire::startup({{"user", "alice"}, {"database", "shop"}}));

    const auto all = c.read_to_end();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].type, 'E');
    EXPECT_EQ(fields_of(all[0]).at('C'), "08P01");
}

TEST_F(tls, second_ssl_request_is_not_negotiated_again) {
    start_with_tls("prefer");
    wire_client c(proxy->port());
    c.start_tls();

    c.send(wire::ssl_request());

    const auto all = c.read_to_end();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(fields_of(all[0]).at('C'), "0A000") << "as PostgreSQL, which takes it for a version";
}

TEST_F(tls, endless_negotiation_is_cut_off) {
    start();
    wire_client c(proxy->port());
    int answers = 0;

    try {
        for (int i = 0; i < 1000; ++i) {
            if (!c.try_send(i % 2 == 0 ? wire::gssenc_request() : wire::ssl_request())) break;
            if (c.read_byte() != 'N') break;
            ++answers;
        }
    } catch (const wire_closed&) {
        // cut off
    }

    EXPECT_LE(answers, 3);
}

TEST_F(tls, client_that_vanishes_without_close_notify_leaves_no_upstream_session) {
    start_with_tls("require");
    {
        wire_client c(proxy->port());
        c.start_tls();
        c.login(login_as("alice"));
        ASSERT_EQ(upstream_sessions(), 1);
        c.reset();
    }

    EXPECT_TRUE(eventually([&] { return upstream_sessions() == 0; }));
}

TEST_F(tls, key_that_cannot_be_read_stops_the_start_with_one_clear_line) {
    options.postgres_tls = "{ mode: require, certificate: nowhere.crt, key: nowhere.key }";
    proxy = std::make_unique<proxy_process>(options);

    proxy->launch();

    EXPECT_EQ(proxy->process().wait_exit(), 2) << proxy->log();
    EXPECT_NE(proxy->log().find("nowhere.crt"), std::string::npos) << proxy->log();
}

}  // namespace
}  // namespace sallyport::tests
