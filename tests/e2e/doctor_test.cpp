#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/fixture.h"

/// `sallyport doctor` against a server with the ways around the proxy in it.
namespace sallyport::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* policy =
    "version: 1\ndefault: allow\nopaque: deny\nresources:\n  pii: { target: shop, relations: "
    "[\"pii.*\"] }\nrules:\n  - { id: no, tier: 1, on: [pii], do: [read], effect: deny }\n";

class doctor : public e2e {
  protected:
    doctor() {
        options.targets.erase("hr");
        options.targets["shop"].more =
            "    catalog: { user: sallyport_catalog, password_file: secrets/sallyport_catalog }\n";
        options.policy = policy;
    }
    command_result examine(std::vector<std::string> more = {}) {
        proxy = std::make_unique<proxy_process>(options);
        std::vector<std::string> arguments{"doctor", "--config", proxy->config_path()};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return proxy->run_tool(arguments);
    }
};

TEST_F(doctor, names_the_ways_around_the_proxy) {
    direct("CREATE FUNCTION peep() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'");
    options.policy += "  - { id: gone, tier: 2, on: [lost], do: [read], effect: deny }\n";
    options.policy.insert(options.policy.find("rules:"),
                          "  lost: { target: shop, relations: [\"pii.nowhere\", "
                          "\"customers(email, iban)\"] }\n");
    const auto r = examine();
    EXPECT_EQ(r.exit_code, 1) << r.err;
    EXPECT_THAT(r.out, HasSubstr("high  shop  public-grant: PUBLIC has "));
    EXPECT_THAT(r.out, HasSubstr(" on pii.cards"));
    EXPECT_THAT(r.out, HasSubstr("role alice can log in to the server itself and reaches "));
    EXPECT_THAT(r.out, HasSubstr("role postgres (a superuser) can log in"));
    EXPECT_THAT(r.out, Not(HasSubstr("role app can log in")));
    EXPECT_THAT(r.out, HasSubstr("security-definer: function public.peep() (sql) runs with the "
                                 "rights of postgres"));
    EXPECT_THAT(r.out, HasSubstr("resource lost: pii.nowhere matches no relation"));
    EXPECT_THAT(r.out, HasSubstr("resource lost: customers has no column iban"));
    EXPECT_THAT(r.out, HasSubstr("note  shop  hba: pg_hba.conf could not be read"));
}

TEST_F(doctor, reads_pg_hba_where_it_may_and_says_it_as_json) {
    direct(
        "GRANT SELECT ON pg_hba_file_rules TO sallyport_catalog; GRANT EXECUTE ON FUNCTION "
        "pg_hba_file_rules() TO sallyport_catalog");
    const auto found = nlohmann::json::parse(examine({"--json", "--target", "shop"}).out);
    bool hba = false;
    for (const auto& f : found) {
        EXPECT_FALSE(f.at("fix").get<std::string>().empty());
        hba = hba || (f.at("check") == "hba" && f.at("severity") == "note");
    }
    // The tests' server admits 127.0.0.1 alone, and that is where the proxy is.
    EXPECT_FALSE(hba) << found.dump(1);
    for (const auto& f : found)
        EXPECT_NE(f.at("check"), "direct-login") << f.dump();
}

TEST_F(doctor, login_with_more_rights_than_it_needs_is_named) {
    options.targets["shop"].login = "{ user: postgres, password_file: secrets/app }";
    const auto r = examine();
    EXPECT_THAT(r.out, HasSubstr("login-attributes: the login postgres is more than it must be: "
                                 "SUPERUSER"));
}

TEST_F(doctor, closed_server_has_nothing_to_find) {
    direct(
        "REVOKE ALL ON ALL TABLES IN SCHEMA pii FROM PUBLIC; GRANT SELECT ON pii.cards TO app; "
        "GRANT SELECT ON pg_hba_file_rules TO sallyport_catalog; GRANT EXECUTE ON FUNCTION "
        "pg_hba_file_rules() TO sallyport_catalog");
    const auto r = examine();
    EXPECT_EQ(r.exit_code, 0) << r.out << r.err;
    EXPECT_EQ(r.out, "nothing found\n");
}

TEST(doctor_hba, lines_that_admit_others_are_named_and_those_behind_a_refusal_are_not) {
    postgres_server server(
        {.hba = {"host all carol 192.0.2.0/24 scram-sha-256",
                 "host all app 198.51.100.7/32 scram-sha-256", "host other dave 192.0.2.0/24 trust",
                 "host all erin 203.0.113.9/32 trust", "host all all 127.0.0.1/32 scram-sha-256",
                 "host all all 0.0.0.0/0 reject", "host all frank 192.0.2.0/24 scram-sha-256"}});
    const auto database = server.create_shop();
    server.query(database,
                 "CREATE ROLE carol LOGIN; GRANT SELECT ON pg_hba_file_rules TO sallyport_catalog; "
                 "GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO sallyport_catalog");
    proxy_options options;
    options.policy = policy;
    options.targets["shop"] = {
        .port = server.port(),
        .dbname = database,
        .more =
            "    catalog: { user: sallyport_catalog, password_file: secrets/sallyport_catalog "
            "}\n"};
    const proxy_process proxy(options);
    const auto r = proxy.run_tool({"doctor", "--config", proxy.config_path()});
    EXPECT_EQ(r.exit_code, 1) << r.err;
    EXPECT_THAT(r.out, HasSubstr("carol may come from 192.0.2.0 (mask 255.255.255.0) by scram"));
    EXPECT_THAT(r.out, HasSubstr("high  shop  hba: pg_hba.conf, line 4: erin may come from "
                                 "203.0.113.9 (mask 255.255.255.255) by trust"));
    for (const char* name : {"app may", "dave may", "all may", "frank may"})
        EXPECT_THAT(r.out, Not(HasSubstr(name)));
    EXPECT_THAT(r.out, HasSubstr("role carol can log in to the server itself"));
    EXPECT_THAT(r.out, Not(HasSubstr("role alice can log in")));
}

TEST_F(doctor, server_that_cannot_be_examined_is_an_error) {
    options.targets["shop"].more =
        "    catalog: { user: sallyport_catalog, password_file: secrets/app }\n";
    const auto r = examine();
    EXPECT_EQ(r.exit_code, 2);
    EXPECT_THAT(r.err, HasSubstr("target shop cannot be examined"));
    EXPECT_EQ(examine({"--target", "nowhere"}).exit_code, 2);
}

}  // namespace
}  // namespace sallyport::tests
