#include "proxy/auth/users.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/net/certificates.h"

namespace sallyport::proxy::auth {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string verifier =
    "SCRAM-SHA-256$4096:Ddgq+344WIJPyN9lCBk2hQ==$sBhrrruTFK0QcevNGQXp6kARpHgJpOJSZMhMsiqpIjg=:"
    "cltudU5TfJ2YxrAnH5y8O+4Vlr1cxlYwGVLiTGTalAQ=";

std::vector<std::string> faults_of(const std::string& text) {
    std::vector<std::string> out;
    for (const auto& f : load_users_text(text, "users.yaml").faults)
        out.push_back(to_string(f));
    return out;
}

TEST(users_test, users_are_read_with_groups_certificates_and_ends) {
    const auto loaded = load_users_text(
        "users:\n"
        "  alice: { scram: \"" +
            verifier +
            "\", groups: [dev, oncall] }\n"
            "  ci: { certificate: \"CN=ci, O=Example\", groups: pipelines, service: true,\n"
            "        valid_until: 2026-12-31T18:00:00+01:00 }\n",
        "users.yaml");
    ASSERT_TRUE(loaded.users) << to_string(loaded.faults.at(0));

    const auto* alice = loaded.users->find("alice");
    ASSERT_NE(alice, nullptr);
    EXPECT_EQ(alice->principal, (policy::principal{"alice", {"dev", "oncall"}, false}));
    ASSERT_TRUE(alice->scram);
    EXPECT_FALSE(alice->valid_until);
    const auto* ci = loaded.users->find_certificate("cn=ci,O=Example");
    ASSERT_NE(ci, nullptr);
    EXPECT_EQ(ci->principal, (policy::principal{"ci", {"pipelines"}, true}));
    EXPECT_FALSE(ci->scram);
    using namespace std::chrono;
    EXPECT_EQ(ci->valid_until, policy::instant(sys_days{year{2026} / 12 / 31} + hours{17}));
    EXPECT_EQ(loaded.users->find("bob"), nullptr);
    EXPECT_EQ(loaded.users->find_certificate("CN=ci"), nullptr);
    EXPECT_THAT(loaded.users->names(), ElementsAre("alice", "ci"));
    EXPECT_THAT(loaded.users->groups(), ElementsAre("dev", "oncall", "pipelines"));
}

TEST(users_test, date_ends_at_its_first_instant_as_in_postgresql) {
    const auto loaded = load_users_text(
        "users: { alice: { scram: \"" + verifier + "\", valid_until: 2026-12-31 } }", "users.yaml");
    ASSERT_TRUE(loaded.users);
    using namespace std::chrono;
    const policy::instant end = sys_days{year{2026} / 12 / 31};

    EXPECT_TRUE(loaded.users->find("alice")->valid_at(end - milliseconds{1}));
    EXPECT_FALSE(loaded.users->find("alice")->valid_at(end));
}

TEST(users_test, every_fault_is_told_at_once_with_its_place) {
    const auto faults = faults_of(
        "users:\n"
        "  alice: { scram: \"alice-demo\", groups: [dev] }\n"
        "  bob: { scram: \"md5d8578edf8458ce06fbc5bb76a58c5ca4\" }\n"
        "  carol: { groups: [dev, dev, \"a,b\"], servce: true }\n"
        "  dave: { certificate: /CN=dave }\n"
        "  erin: { certificate: \"CN=x\", valid_until: tomorrow }\n"
        "  frank: { certificate: \"cn=x\" }\n"
        "  pg_monitor: { certificate: \"CN=y\" }\n"
        "  grace: nothing\n");

    EXPECT_THAT(
        faults,
        ElementsAre(
            "users.yaml:2:19: this is not a SCRAM-SHA-256 verifier; make one with: sallyport "
            "passwd alice",
            "users.yaml:3:17: md5 hashes are not accepted; make one with: sallyport passwd bob",
            "users.yaml:4:3: the user has neither scram nor certificate and could never log in; "
            "make a line "
            "with: sallyport passwd carol",
            "users.yaml:4:26: 'dev' is listed twice in 'groups'",
            "users.yaml:4:31: the group's name has a comma",
            "users.yaml:4:39: unknown key 'servce' in a user (did you mean service?)",
            "users.yaml:5:24: this is not a distinguished name; write it as in CN=ci,O=Example "
            "(openssl x509 "
            "-subject -nameopt RFC2253 shows a certificate's)",
            "users.yaml:6:45: 'valid_until' must be a date or an instant, such as 2026-12-31 or "
            "2026-12-31T18:00:00Z",
            "users.yaml:7:25: this certificate already belongs to erin",
            "users.yaml:8:3: names that begin with pg_ are PostgreSQL's own",
            "users.yaml:9:10: a user must be a map, such as { scram: \"…\", groups: [dev] }"));
}

TEST(users_test, same_name_twice_is_a_fault) {
    const auto faults =
        faults_of("users:\n  alice: { certificate: CN=a }\n  alice: { certificate: CN=b }\n");

    EXPECT_THAT(faults, ElementsAre("users.yaml:3:3: the key 'alice' is given twice"));
}

TEST(users_test, files_that_are_no_users_file_are_faults) {
    EXPECT_EQ(faults_of("").size(), 1u);
    EXPECT_EQ(faults_of("users: [alice]").size(), 1u);
    EXPECT_EQ(faults_of("people: {}").size(), 2u);
    EXPECT_EQ(faults_of("users: {alice: {").size(), 1u);
    EXPECT_EQ(faults_of(std::string("users:\0", 7)).size(), 1u);
    EXPECT_THAT(load_users("/nowhere/users.yaml").faults.at(0).what,
                "the users file cannot be read: No such file or directory");
}

TEST(users_test, passwords_put_there_by_mistake_are_not_repeated) {
    for (const auto& f : faults_of("users: { alice: { scram: hunter2, valid_until: hunter2 } }"))
        EXPECT_EQ(f.find("hunter2"), std::string::npos) << f;
}

TEST(users_test, impossible_dates_are_faults) {
    for (const std::string date :
         {"2026-02-29", "2026-13-01", "2026-1-1", "2026-12-31T24:00:00Z", "2026-12-31T10:00:00",
          "2026-12-31 10:00:00Z", "2026-12-31T10:00:00+1", "2026-12-31Z", "-001-01-01", ""})
        EXPECT_EQ(
            faults_of("users: { a: { certificate: CN=a, valid_until: \"" + date + "\" } }").size(),
            1u)
            << date;
}

TEST(users_test, names_that_differ_in_capitals_only_are_a_warning) {
    const auto loaded = load_users_text(
        "users:\n  alice: { certificate: CN=a }\n  Alice: { certificate: CN=b }\n", "u");

    EXPECT_TRUE(loaded.users);
    ASSERT_EQ(loaded.warnings.size(), 1u);
    EXPECT_EQ(loaded.warnings[0].line, 3);
}

TEST(users_test, file_open_to_others_is_a_warning) {
    const net::testing::temporary_folder folder;
    const auto text = "users: { a: { certificate: CN=a } }";

    EXPECT_THAT(load_users(folder.write("closed", text, 0600)).warnings, IsEmpty());
    const auto open = load_users(folder.write("open", text, 0644));
    EXPECT_TRUE(open.users);
    ASSERT_EQ(open.warnings.size(), 1u);
    EXPECT_NE(open.warnings[0].what.find("chmod 0600"), std::string::npos);
}

TEST(users_test, mock_exchanges_show_the_count_most_users_have) {
    const auto with = [](std::initializer_list<std::uint32_t> counts) {
        std::vector<user> users;
        for (const auto n : counts) {
            user u;
            u.principal.name = "user" + std::to_string(users.size());
            u.scram = scram_verifier{};
            u.scram->iterations = n;
            users.push_back(std::move(u));
        }
        return user_directory(std::move(users)).usual_iterations();
    };
    EXPECT_EQ(with({}), scram_iterations_default);
    EXPECT_EQ(with({10'000, 4096, 10'000}), 10'000u);
}

TEST(user_name_test, names_that_mislead_are_refused) {
    for (const std::string good : {"alice", "bob@example.com", "O'Neil", "Zoë", "a b", "postgres"})
        EXPECT_EQ(user_name_fault(good), "") << good;
    for (const std::string& bad :
         {std::string(), std::string("alice,bob"), std::string(" alice"), std::string("alice "),
          std::string("a\nb"), std::string("a\0b", 3), std::string(64, 'a'), std::string("PUBLIC"),
          std::string("sallyport"), std::string("pg_read_all_data")})
        EXPECT_NE(user_name_fault(bad), "") << bad;
}

TEST(distinguished_name_test, spellings_of_one_name_are_one) {
    for (const std::string dn : {"CN=ci,O=Example", "cn=ci, o=Example", " CN = ci , O = Example ",
                                 "CN=ci;O=Example", "CN=\\63i,O=Example"})
        EXPECT_EQ(normalise_dn(dn), "CN=ci,O=Example") << dn;
    EXPECT_EQ(normalise_dn("CN=Zo\\C3\\AB"), "CN=Zoë");
    EXPECT_EQ(normalise_dn("CN=a\\, b+UID=7,O=x"), "CN=a\\, b+UID=7,O=x");
    EXPECT_EQ(normalise_dn("CN=\\ a\\ "), "CN=\\ a\\ ");
    EXPECT_EQ(normalise_dn("2.5.4.3=#0c026369"), "2.5.4.3=#0C026369");
    EXPECT_EQ(normalise_dn("CN=\\#0c02"), "CN=\\#0c02");
}

TEST(distinguished_name_test, names_that_could_be_read_two_ways_stay_different) {
    EXPECT_NE(normalise_dn("CN=a\\,O=b"), normalise_dn("CN=a,O=b"));
    EXPECT_NE(normalise_dn("CN=a\\+O\\=b"), normalise_dn("CN=a+O=b"));
    EXPECT_NE(normalise_dn("CN=A"), normalise_dn("CN=a"));
    EXPECT_NE(normalise_dn("O=Example,CN=ci"), normalise_dn("CN=ci,O=Example"));
}

TEST(distinguished_name_test, what_is_no_name_is_empty) {
    for (const std::string& dn :
         {std::string(), std::string("ci"), std::string("/CN=ci"), std::string("CN="),
          std::string("=x"), std::string("CN=a,"), std::string(",CN=a"), std::string("CN=a\\"),
          std::string("CN=\\00"), std::string("CN=\"a\""), std::string("CN=#0"),
          std::string("CN=a\0b", 6), "CN=" + std::string(5000, 'a')})
        EXPECT_EQ(normalise_dn(dn), "") << dn.substr(0, 40);
}

}  // namespace
}  // namespace sallyport::proxy::auth
