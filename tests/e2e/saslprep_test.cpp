#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// The same password gives the same verifier here, in PostgreSQL and in libpq, whatever its
/// letters.
namespace sallyport::tests {
namespace {

const std::vector<std::string>& passwords() {
    static const std::vector<std::string> all{
        "plain ascii \x7f\t",
        "I\u00ADX",                        // a soft hyphen goes
        "\u00AA \u2168 \uFB01",            // compatibility
        "e\u0301\u212B",                   // composition
        "a\u00A0b\u3000c\u2003d\u1680e",   // blanks beyond ASCII
        "\u00AD",                          // nothing would be left
        "\u200B\u2060\uFEFF\u00E9",        // more that goes
        "\u05D0\u05D1\u05D2",              // right to left
        "\u05D0 a \u05D1",                 // both directions
        "\u0627\u0031",                    // ends in the other direction
        "\u0627\u0031\u0628",              // does not
        "\u0221x",                         // unassigned in Unicode 3.2
        "\U0001F600",                      // the same
        "\uE000\u00E9",                    // private use
        "\u0007\u00E9",                    // a control character
        "\U0002F868\U0002F874\U0002F91F",  // normalisation that was corrected later
        "\u1100\u0300\u1161\u0B47\u0300\u0B3E",
        std::string(500, 'x') + "\u00E9\u00E9",
        "caf\xe9",
        "\xff\xfe",
        "\xed\xa0\x80\u00AA",
        "\u00AA\xe2\x82",
        "\xc0\xaf",
    };
    return all;
}

std::string hex(const std::string& bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        out += digits[static_cast<unsigned char>(c) >> 4];
        out += digits[static_cast<unsigned char>(c) & 15];
    }
    return out;
}

class saslprep : public e2e {
  protected:
    static void SetUpTestSuite() {
        auto& server = postgres_server::shared();
        // A database whose text is only bytes, so that what is no UTF-8 can be said too.
        server.query("postgres",
                     "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
        std::string sql = "SET client_encoding = 'SQL_ASCII';";
        for (std::size_t i = 0; i < passwords().size(); ++i) {
            const auto role = "prepared_" + std::to_string(i);
            sql += "CREATE ROLE " + role + " LOGIN; DO $$ BEGIN EXECUTE 'ALTER ROLE " + role +
                   " PASSWORD ' || quote_literal(convert_from(decode('" + hex(passwords()[i]) +
                   "', 'hex'), 'SQL_ASCII')); END $$;";
        }
        server.query("bytes", sql);
    }
    static void TearDownTestSuite() {
        auto& server = postgres_server::shared();
        server.drop_database("bytes");
        std::string roles;
        for (std::size_t i = 0; i < passwords().size(); ++i)
            roles += (i == 0 ? "prepared_" : ", prepared_") + std::to_string(i);
        server.query("postgres", "DROP ROLE " + roles);
    }
    [[nodiscard]] std::string verifier_of_postgresql(std::size_t i) const {
        return server.query("postgres",
                            "SELECT rolpassword FROM pg_authid WHERE rolname = 'prepared_" +
                                std::to_string(i) + "'");
    }
    [[nodiscard]] std::string psql_error(const std::string& user,
                                         const std::string& password) const {
        auto o = psql_as(user);
        o.password = password;
        const auto r = psql_once(o, "SELECT 1");
        return r.out == "1\n" ? "" : r.err + " ";
    }
};

TEST_F(saslprep, we_log_in_at_postgresql_with_every_password) {
    const auto& all = passwords();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto n = std::to_string(i);
        options.targets["t" + n] = {
            .port = server.port(),
            .dbname = "bytes",
            .login = "{ user: prepared_" + n + ", password_file: secrets/p" + n + " }"};
        options.targets["t" + n].more = "    require_auth: [scram-sha-256]\n";
    }
    proxy = std::make_unique<proxy_process>(options);
    for (std::size_t i = 0; i < all.size(); ++i)
        write_file(proxy->file("secrets/p" + std::to_string(i)), all[i] + "\n");
    proxy->start();

    for (std::size_t i = 0; i < all.size(); ++i)
        EXPECT_NO_THROW(static_cast<void>(client_as("alice", "t" + std::to_string(i))))
            << hex(all[i]);
}

TEST_F(saslprep, psql_logs_in_here_with_verifiers_of_ours_and_of_postgresql) {
    const auto& all = passwords();
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto n = std::to_string(i);
        const auto made =
            run({.argv = {sallyport_binary(), "passwd", "ours" + n, "-"}, .input = all[i] + "\n"});
        ASSERT_EQ(made.exit_code, 0) << made.err;
        options.users["ours" + n] = made.out.substr(made.out.find('{'));
        options.users["theirs" + n] = "{ scram: \"" + verifier_of_postgresql(i) + "\" }";
    }
    start();

    for (std::size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(psql_error("ours" + std::to_string(i), all[i]), "") << hex(all[i]);
        EXPECT_EQ(psql_error("theirs" + std::to_string(i), all[i]), "") << hex(all[i]);
    }
    EXPECT_NE(psql_error("ours1", "I-X"), "");
    EXPECT_EQ(psql_error("ours1", "IX"), "") << "another spelling of the same password";
}

TEST_F(saslprep, http_login_takes_the_passwords_that_json_can_carry) {
    const auto& all = passwords();
    for (std::size_t i = 1; i < 5; ++i)
        options.users["theirs" + std::to_string(i)] =
            "{ scram: \"" + verifier_of_postgresql(i) + "\" }";
    start();

    for (std::size_t i = 1; i < 5; ++i) {
        admin_session s(proxy->admin_port());
        EXPECT_EQ(s.login("theirs" + std::to_string(i), all[i]).status, 200) << hex(all[i]);
    }
    admin_session s(proxy->admin_port());
    EXPECT_EQ(s.login("theirs1", "I-X").status, 401);
}

}  // namespace
}  // namespace sallyport::tests
