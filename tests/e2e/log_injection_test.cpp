#include <gtest/gtest.h>

#include "tests/e2e/direct.h"

/// Texts of clients in logs and records: they forge nothing, and secrets are not among them.
namespace sallyport::tests {
namespace {

class log_injection : public e2e {
  protected:
    /// Everything that the proxy wrote for people and programs.
    [[nodiscard]] std::string everything() const {
        std::string all = proxy->log();
        for (const auto& r : audit_records())
            all += r.dump() + "\n";
        return all;
    }
};

TEST_F(log_injection, hostile_names_and_texts_stay_inside_their_field) {
    start();
    const std::string forged =
        "x\n{\"event\":\"hold.released\",\"user\":\"bob\"}\n\x1b]0;owned\x07";
    wire_client stranger(proxy->port());
    auto o = login_as("alice");
    o.more = {{"application_name", forged}};
    try {
        stranger.login(o);
        static_cast<void>(stranger.ask("CREATE TABLE t (a int) -- " + forged));
    } catch (const login_refused&) {
        // A name that is refused whole cannot forge anything either.
    }
    auto c = client_as("alice");
    ASSERT_EQ(c.ask("SET application_name = E'a\\nb\\x1b[2J'").sqlstate(), "");
    const std::string name = "x\n\x1b]0;owned\x07";
    EXPECT_EQ(c.ask("CREATE TABLE \"" + name + "\" (a int)").sqlstate(), "42501");
    ASSERT_EQ(c.ask("SET sallyport.reason = E'because\\n\\x1b[31m'").sqlstate(), "");
    c.send(wire::query(held_sql));
    static_cast<void>(c.read_until('N'));
    static_cast<void>(pending_hold_of("alice"));
    c.close();
    proxy->stop();

    EXPECT_EQ(audit_records("hold.released").size(), 0u);
    EXPECT_GE(audit_records("decision.denied").size(), 1u);
    EXPECT_EQ(verify_audit().exit_code, 0);
    EXPECT_EQ(proxy->log().find('\x1b'), std::string::npos);
    EXPECT_EQ(proxy->log().find("\n{\"event\""), std::string::npos);
    const std::string raw = run({.argv = {"sh", "-c", "cat " + proxy->audit_directory() + "/*"},
                                 .env = {},
                                 .input = ""})
                                .out;
    EXPECT_EQ(raw.find('\x1b'), std::string::npos) << "JSON escapes what acts on terminals";
}

TEST_F(log_injection, user_name_of_the_largest_packet_is_cut_in_log_and_record) {
    start();
    wire_client c(proxy->port());
    c.try_send(wire::startup({{"user", std::string(9'000, 'u')}, {"database", "shop"}}));
    static_cast<void>(c.read_to_end());
    proxy->stop();

    EXPECT_EQ(everything().find(std::string(1'000, 'u')), std::string::npos);
}

TEST_F(log_injection, passwords_in_statements_are_in_no_log_record_or_notice) {
    start();
    auto c = client_as("alice");
    for (const char* sql :
         {"ALTER ROLE app PASSWORD 's3cret-one'", "CREATE ROLE x LOGIN PASSWORD 's3cret-two'",
          "CREATE USER MAPPING FOR app SERVER s OPTIONS (password 's3cret-three')",
          "CREATE SUBSCRIPTION s CONNECTION 'password=s3cret-four' PUBLICATION p",
          "ALTER SUBSCRIPTION s CONNECTION 'password=s3cret-five'"}) {
        SCOPED_TRACE(sql);
        EXPECT_EQ(c.ask(sql).sqlstate(), "42501");
    }
    c.send(wire::parse("", "SELECT ssn FROM customers WHERE name = $1") +
           wire::bind("", "", {"s3cret-value"}) + wire::execute("") + wire::sync());
    const auto notice = c.read_until('N');
    EXPECT_EQ(notice.body.find("s3cret"), std::string::npos);
    deny(pending_hold_of("alice"), "no");
    EXPECT_EQ(c.read_exchange().sqlstate(), "42501");
    proxy->stop();

    EXPECT_EQ(everything().find("s3cret"), std::string::npos);
    EXPECT_GE(audit_records("decision.denied").size(), 5u);
}

TEST_F(log_injection, error_of_a_hostile_login_name_has_no_control_characters_in_its_record) {
    start();
    wire_client c(proxy->port());
    c.try_send(wire::startup({{"user", "ali\nce\x1b[2J"}, {"database", "shop"}}));
    static_cast<void>(c.read_to_end());
    proxy->stop();

    EXPECT_EQ(proxy->log().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace sallyport::tests
