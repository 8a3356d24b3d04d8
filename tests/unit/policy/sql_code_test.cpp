#include <algorithm>

#include <gtest/gtest.h>

#include "policy/sql/code.h"

namespace sallyport::policy::sql {
namespace {

bool mentions(const code_facts& f, const std::string& schema, const std::string& name) {
    return std::ranges::find(f.mentions, function_use{schema, name}) != f.mentions.end();
}

TEST(Code, StaticSqlIsMentionedWithItsSchema) {
    const auto f = analyse_code(
        "DECLARE r bigint; BEGIN SELECT sum(qty) INTO r FROM public.\"Orders\" o; RETURN r; END");
    EXPECT_TRUE(f.opaque_reasons.empty());
    EXPECT_TRUE(mentions(f, "public", "Orders"));
    EXPECT_TRUE(mentions(f, "", "sum"));
    EXPECT_FALSE(mentions(f, "", "bigint "));
    EXPECT_FALSE(f.changes_settings);
}

TEST(Code, NamesAreFoldedAndCutAsTheServerDoes) {
    const auto f = analyse_code("SELECT 1 FROM PII . Customers; SELECT " + std::string(70, 'x'));
    EXPECT_TRUE(mentions(f, "pii", "customers"));
    EXPECT_TRUE(mentions(f, "", std::string(63, 'x')));
}

TEST(Code, OnlyAConstantMayBeExecuted) {
    for (const auto* body :
         {"EXECUTE 'select * from ' || t;", "RETURN QUERY EXECUTE q;",
          "FOR r IN EXECUTE format('select %I', c) LOOP END LOOP;", "OPEN c FOR EXECUTE q;",
          "EXECUTE E'select \\x70';", "EXECUTE function;", "EXECUTE procedure || x;",
          "EXECUTE function('x');", "EXECUTE \"on\";", "EXECUTE 'select 1' 'x';"})
        EXPECT_FALSE(analyse_code(body).opaque_reasons.empty()) << body;
    const auto f = analyse_code("EXECUTE 'select * from pii.customers where id = $1' USING 1;");
    EXPECT_TRUE(f.opaque_reasons.empty());
    EXPECT_TRUE(mentions(f, "pii", "customers"));
    EXPECT_TRUE(mentions(analyse_code("EXECUTE $q$ select * from pii.c $q$ INTO x;"), "pii", "c"));
    EXPECT_TRUE(
        analyse_code("CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION f();")
            .opaque_reasons.empty());
}

TEST(Code, TextThatIsReadAsANameIsAMention) {
    EXPECT_TRUE(mentions(analyse_code("x := 'pii.customers'::regclass;"), "pii", "customers"));
    EXPECT_TRUE(mentions(analyse_code("x := regclass 'pii.customers';"), "pii", "customers"));
    EXPECT_TRUE(mentions(analyse_code("x := nextval('pii.s');"), "pii", "s"));
    EXPECT_FALSE(analyse_code("x := U&'pii.customers'::regclass;").opaque_reasons.empty());
}

TEST(Code, WhatRunsOtherTextIsOpaque) {
    for (const auto* body :
         {"x := query_to_xml('select 1', true, true, '');", "PERFORM dblink('c', 'select 1');",
          "COPY t TO '/tmp/x';", "x := 'a\\'; y := 'b';", "x := U&\"a\";", "x := 'open"})
        EXPECT_FALSE(analyse_code(body).opaque_reasons.empty()) << body;
}

TEST(Code, WhatMakesOrChangesCodeOrReachesBeyondItsNamesIsOpaque) {
    for (const auto* body :
         {"DO $x$ begin perform 1 from pii.t; end $x$;", "do language plpgsql 'x';",
          "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'select 1';",
          "create or replace procedure p() language sql as 'select 1';",
          "ALTER FUNCTION f() SET search_path = pii;", "DROP SCHEMA pii CASCADE;",
          "ALTER SCHEMA crm RENAME TO x;", "GRANT SELECT ON ALL TABLES IN SCHEMA pii TO bob;",
          "GRANT owner TO bob;", "DROP OWNED BY bob;", "create foreign table t (a int) server s;"})
        EXPECT_FALSE(analyse_code(body).opaque_reasons.empty()) << body;
    for (const auto* body :
         {"INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING;", "GRANT SELECT ON t TO bob;",
          "GRANT EXECUTE ON FUNCTION f() TO bob;", "CREATE TEMP TABLE t AS SELECT 1;",
          "IF name = schema THEN RETURN 1; END IF;"})
        EXPECT_TRUE(analyse_code(body).opaque_reasons.empty()) << body;
}

TEST(Code, ANameIsToldOnlyByAWholeString) {
    for (const auto* body :
         {"PERFORM connectby('pii.cust' || 'omers', 'a', 'b', 'c', 0);",
          "PERFORM table_to_xml('customers_archive'::varchar(9)::regclass, true, false, '');",
          "PERFORM nextval('a' || 'b');",
          "PERFORM setval(pg_get_serial_sequence('t' || x, 'i'), 1);",
          "PERFORM table_to_xml(pg_get_serial_sequence('t', 'i'), true, false, '');"})
        EXPECT_FALSE(analyse_code(body).opaque_reasons.empty()) << body;
    const auto f = analyse_code(
        "PERFORM table_to_xml('pii.c'::regclass, true, false, ''); RETURN currval('s');");
    EXPECT_TRUE(f.opaque_reasons.empty());
    EXPECT_TRUE(mentions(f, "pii", "c"));
    const auto own = analyse_code("RETURN setval(pg_get_serial_sequence('pii.t', 'id'), 1);");
    EXPECT_TRUE(own.opaque_reasons.empty());
    EXPECT_TRUE(mentions(own, "pii", "t"));
}

TEST(Code, AnUpdateOfTheSettingsIsNoticed) {
    for (const auto* body :
         {"UPDATE pg_settings SET setting = 'x' WHERE name = 'search_path';",
          "update only pg_catalog.pg_settings s set setting = '';", "UPDATE \"pg_settings\" SET x"})
        EXPECT_TRUE(analyse_code(body).changes_settings) << body;
    EXPECT_FALSE(analyse_code("SELECT setting FROM pg_settings;").changes_settings);
}

TEST(Code, SettingsAreNoticed) {
    for (const auto* body : {"SET search_path = pii;", "SET LOCAL x = 1;", "RESET ALL;",
                             "PERFORM set_config('search_path', 'pii', false);", "SET ROLE bob;",
                             "SET \"SEARCH_PATH\" = pii;"})
        EXPECT_TRUE(analyse_code(body).changes_settings) << body;
    EXPECT_FALSE(analyse_code("UPDATE t SET price = price + 1;").changes_settings);
}

TEST(Code, OperatorsAreListedSpelledOnesToo) {
    const auto f = analyse_code("IF a ## b OR c LIKE d THEN END IF;");
    EXPECT_NE(std::ranges::find(f.operators, function_use{"", "##"}), f.operators.end());
    EXPECT_NE(std::ranges::find(f.operators, function_use{"", "~~"}), f.operators.end());
    EXPECT_EQ(analyse_code("IF 1 != 2 THEN").operators.front(), (function_use{"", "<>"}));
}

TEST(Code, OperatorsKeepTheirSchema) {
    const auto f = analyse_code("x := a OPERATOR(evil.=) b;");
    EXPECT_EQ(f.operators.front(), (function_use{"evil", "="}));
}

TEST(Code, MemoryAndTimeAreBounded) {
    std::string body;
    for (int i = 0; i < 100'000; ++i)
        body += "a" + std::to_string(i) + " ";
    EXPECT_FALSE(analyse_code(body).opaque_reasons.empty());
    EXPECT_FALSE(analyse_code(std::string(2u << 20, ' ')).opaque_reasons.empty());
}

}  // namespace
}  // namespace sallyport::policy::sql
