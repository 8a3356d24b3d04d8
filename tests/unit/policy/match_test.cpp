#include "policy/match.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

std::vector<relation_pattern> patterns(const std::vector<std::string>& texts) {
    std::vector<relation_pattern> out;
    for (const auto& t : texts) {
        std::string why;
        out.emplace_back();
        EXPECT_TRUE(parse_relation_pattern(t, out.back(), why)) << t << ": " << why;
    }
    return out;
}

relation_use use(const std::string& schema, const std::string& name,
                 std::vector<std::string> columns = {}) {
    relation_use u;
    u.schema = schema;
    u.name = name;
    u.columns = std::move(columns);
    return u;
}

bool covered(const std::vector<std::string>& texts, const relation_use& u, effect e,
             const std::vector<std::string>& path = {}) {
    match_context c;
    c.search_path = &path;
    return covers(patterns(texts), u, e, c);
}

std::string pattern_text(const std::string& text) {
    relation_pattern p;
    std::string why;
    return parse_relation_pattern(text, p, why) ? to_string(p) : "refused";
}

TEST(relation_patterns, names_fold_as_the_server_folds_them) {
    EXPECT_EQ(pattern_text("PII.Customers"), "pii.customers");
    EXPECT_EQ(pattern_text("\"PII\".\"Customers\""), "\"PII\".\"Customers\"");
    EXPECT_EQ(pattern_text("customers"), "*.customers");
    EXPECT_EQ(pattern_text("*"), "*.*");
    EXPECT_EQ(pattern_text("pii.*"), "pii.*");
    EXPECT_EQ(pattern_text("\"a.b\".\"c\"\"d\""), "\"a.b\".\"c\"\"d\"");
    EXPECT_EQ(pattern_text("public.customers(Email, \"SSN\")"), "public.customers(email, \"SSN\")");
    EXPECT_EQ(pattern_text("\xc3\x84pfel"), "*.\xc3\x84pfel");
}

TEST(relation_patterns, malformed_patterns_are_refused) {
    for (const std::string text :
         {"",      ".",  "a.",  ".a",  "a.b.c", "a b",    "a*",     "*a",   "\"",    "\"a", "\"\"",
          "\"*\"", "t(", "t()", "t(a", "t(a,)", "t(a a)", "t(a,a)", "t(*)", "t(a)x", "1a",  "a-b"})
        EXPECT_EQ(pattern_text(text), "refused") << text;
    EXPECT_EQ(pattern_text(std::string(64, 'a')), "refused");
    EXPECT_EQ(pattern_text(std::string(63, 'a')), "*." + std::string(63, 'a'));
}

TEST(relation_matching, unqualified_name_matches_the_table_in_any_schema) {
    for (const auto e : {effect::hold, effect::deny}) {
        EXPECT_TRUE(covered({"pii.customers"}, use("", "customers"), e));
        EXPECT_TRUE(covered({"*.customers"}, use("", "customers"), e));
        EXPECT_FALSE(covered({"pii.customers"}, use("public", "customers"), e));
        EXPECT_FALSE(covered({"pii.customers"}, use("", "orders"), e));
    }
}

TEST(relation_matching, whole_schema_matches_an_unqualified_name_only_on_the_search_path) {
    EXPECT_FALSE(covered({"pii.*"}, use("", "customers"), effect::hold));
    EXPECT_FALSE(covered({"pii.*"}, use("", "customers"), effect::hold, {"public"}));
    EXPECT_TRUE(covered({"pii.*"}, use("", "customers"), effect::hold, {"public", "pii"}));
    EXPECT_TRUE(covered({"pii.*"}, use("pii", "customers"), effect::hold));
    EXPECT_TRUE(covered({"*.*"}, use("", "customers"), effect::hold));
}

TEST(relation_matching, search_path_elsewhere_does_not_hide_a_named_table) {
    EXPECT_TRUE(covered({"pii.customers"}, use("", "customers"), effect::hold, {"public"}));
}

TEST(relation_matching, catalogs_match_only_patterns_that_name_them) {
    EXPECT_FALSE(covered({"*.*"}, use("pg_catalog", "pg_class"), effect::hold));
    EXPECT_FALSE(covered({"*"}, use("information_schema", "tables"), effect::hold));
    EXPECT_TRUE(covered({"pg_catalog.*"}, use("pg_catalog", "pg_authid"), effect::hold));
    EXPECT_TRUE(covered({"pg_catalog.*"}, use("", "pg_authid"), effect::hold));
    EXPECT_TRUE(covered({"pg_authid"}, use("pg_catalog", "pg_authid"), effect::hold));
    EXPECT_TRUE(covered({"pg_catalog.pg_authid"}, use("", "pg_authid"), effect::hold));
}

TEST(relation_matching, columns_match_when_they_overlap_or_are_not_known) {
    EXPECT_TRUE(covered({"customers(ssn)"}, use("", "customers"), effect::hold));
    EXPECT_TRUE(covered({"customers(ssn)"}, use("", "customers", {"name", "ssn"}), effect::hold));
    EXPECT_FALSE(covered({"customers(ssn)"}, use("", "customers", {"name"}), effect::hold));
    EXPECT_TRUE(covered({"customers"}, use("", "customers", {"name"}), effect::hold));
}

TEST(relation_matching, allow_needs_every_column_and_their_knowledge) {
    EXPECT_FALSE(covered({"customers(name)"}, use("", "customers"), effect::allow));
    EXPECT_FALSE(
        covered({"customers(name)"}, use("", "customers", {"name", "ssn"}), effect::allow));
    EXPECT_TRUE(covered({"customers(name)"}, use("", "customers", {"name"}), effect::allow));
    EXPECT_TRUE(covered({"customers(name)", "customers(ssn)"},
                        use("", "customers", {"name", "ssn"}), effect::allow));
}

TEST(relation_matching, allow_needs_every_schema_of_a_known_search_path) {
    EXPECT_TRUE(covered({"public.orders"}, use("", "orders"), effect::allow));
    EXPECT_TRUE(covered({"public.orders"}, use("", "orders"), effect::allow, {"public"}));
    EXPECT_FALSE(covered({"public.orders"}, use("", "orders"), effect::allow, {"pii", "public"}));
    EXPECT_TRUE(
        covered({"public.*", "pii.*"}, use("", "orders"), effect::allow, {"pii", "public"}));
    EXPECT_FALSE(covered({"public.*"}, use("", "orders"), effect::allow));
}

TEST(relation_matching, allowing_everything_does_not_allow_the_catalog) {
    EXPECT_FALSE(covered({"*.*"}, use("pg_catalog", "pg_authid"), effect::allow));
    EXPECT_FALSE(covered({"*.*"}, use("", "pg_authid"), effect::allow));
    EXPECT_TRUE(covered({"*.*", "pg_catalog.*"}, use("", "pg_class"), effect::allow));
}

TEST(relation_matching, a_use_of_a_whole_schema_may_be_of_any_of_its_tables) {
    for (const auto e : {effect::hold, effect::deny}) {
        EXPECT_TRUE(covered({"pii.customers"}, use("pii", "*"), e));
        EXPECT_TRUE(covered({"pii.customers(ssn)"}, use("pii", "*"), e));
        EXPECT_TRUE(covered({"customers"}, use("pii", "*"), e));
        EXPECT_TRUE(covered({"pii.*"}, use("pii", "*"), e));
        EXPECT_FALSE(covered({"pii.customers"}, use("public", "*"), e));
        EXPECT_FALSE(covered({"*.*"}, use("pg_catalog", "*"), e));
        EXPECT_TRUE(covered({"pii.customers"}, use("", "*"), e, {"public"}));
    }
    EXPECT_FALSE(covered({"pii.customers"}, use("pii", "*"), effect::allow));
    EXPECT_TRUE(covered({"pii.*"}, use("pii", "*"), effect::allow));
    EXPECT_FALSE(covered({"public.*"}, use("", "*"), effect::allow, {"public"}));
    EXPECT_TRUE(covered({"*.*"}, use("", "*"), effect::allow, {"public"}));
}

TEST(who_matching, fields_are_conjunctive_and_entries_alternative) {
    principal alice{"alice", {"dev", "oncall"}, false};
    match_context c;
    c.principal = &alice;
    c.application = "psql";
    c.address = "10.1.2.3";

    who w;
    EXPECT_EQ(matches(w, c), truth::yes);
    w.groups = {"dba", "dev"};
    EXPECT_EQ(matches(w, c), truth::yes);
    w.users = {"bob"};
    EXPECT_EQ(matches(w, c), truth::no);
    w.users = {"alice"};
    w.applications = {"pgadmin"};
    EXPECT_EQ(matches(w, c), truth::no);
}

TEST(who_matching, address_that_cannot_be_read_is_unknown_also_under_not) {
    principal alice{"alice", {}, false};
    match_context c;
    c.principal = &alice;
    c.address = "[local]";
    who inner;
    inner.addresses = {"10.0.0.0/8"};
    inner.networks = {*parse_network("10.0.0.0/8")};
    who outer;
    outer.not_ = std::make_shared<const who>(inner);

    EXPECT_EQ(matches(inner, c), truth::unknown);
    EXPECT_EQ(matches(outer, c), truth::unknown);
    c.address = "10.9.9.9";
    EXPECT_EQ(matches(inner, c), truth::yes);
    EXPECT_EQ(matches(outer, c), truth::no);
}

}  // namespace
}  // namespace sallyport::policy
