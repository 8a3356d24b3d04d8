#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/policy/shop.h"

/// Calls that look like columns, types or extensions, and what takes a path or a setting away.
namespace sallyport::policy::catalog {
namespace {

TEST(Catalog, TheEndOfATransactionBringsBackAnotherPath) {
    auto q = about({});
    q.path = {"pg_catalog", "crm"};
    for (const auto* first :
         {"COMMIT", "ROLLBACK", "ROLLBACK TO s", "COMMIT AND CHAIN", "PREPARE TRANSACTION 'x'"})
        EXPECT_TRUE(
            q.finds(std::string{first} + "; SELECT id FROM customers", "read pii.customers"))
            << first;
    EXPECT_FALSE(q.finds("BEGIN; SELECT id FROM customers; COMMIT", "read pii.customers"));
    EXPECT_FALSE(q.finds("SAVEPOINT s; SELECT id FROM customers", "read pii.customers"));
}

TEST(Catalog, StatementsOfOthersAreShownByEveryRoad) {
    shop s;
    s.view(public_schema, "act", "SELECT pid, query AS q FROM pg_stat_activity", {"pid", "q"});
    s.view(public_schema, "pids", "SELECT pid FROM pg_stat_activity", {"pid"});
    s.view(public_schema, "pg_stat_statements",
           "SELECT calls, query FROM public.pg_stat_statements(true) x(calls, query)",
           {"calls", "query"});
    s.function(public_schema, "pg_stat_statements", "c", "");
    s.r.functions.back().extension = "pg_stat_statements";
    s.function(public_schema, "by_body", "sql", "SELECT query FROM pg_stat_activity");
    s.function(public_schema, "by_code", "plpgsql",
               "BEGIN PERFORM query FROM pg_stat_activity; END");
    const auto q = about(s);
    for (const auto* sql :
         {"SELECT query FROM pg_stat_activity", "SELECT q FROM act", "SELECT by_body()",
          "SELECT by_code()", "DO $$BEGIN PERFORM query FROM pg_stat_activity; END$$",
          "SELECT a.to_json FROM pg_stat_activity a", "SELECT query FROM pg_stat_statements(true)",
          "SELECT query FROM pg_stat_statements"})
        EXPECT_TRUE(q.finds(sql, "opaque")) << sql;
    for (const auto* sql : {"SELECT pid FROM pg_stat_activity", "SELECT pid FROM pids",
                            "SELECT calls FROM pg_stat_statements"})
        EXPECT_FALSE(q.finds(sql, "opaque")) << sql;
}

TEST(Catalog, AnUpdateOfAViewOverTheSettingsChangesThem) {
    shop s;
    s.view(public_schema, "ps", "SELECT name, setting FROM pg_settings", {"name", "setting"});
    s.view(public_schema, "ps2", "SELECT name, setting FROM public.ps", {"name", "setting"});
    s.function(public_schema, "up", "plpgsql", "BEGIN UPDATE ps2 SET setting = 'x'; END");
    const auto q = about(s);
    const auto sets = [&](const std::string& sql) {
        return !q.ask(sql).facts->statements.at(0).settings.empty();
    };
    for (const auto* sql :
         {"UPDATE ps SET setting = 'pii'", "UPDATE ps2 SET setting = 'pii'", "SELECT up()",
          "DO $$BEGIN UPDATE pg_settings SET setting = 'pii'; END$$"})
        EXPECT_TRUE(sets(sql)) << sql;
    EXPECT_FALSE(sets("SELECT setting FROM ps"));
}

TEST(Catalog, AFunctionThatReadsStringsInAnotherWayIsOpaque) {
    shop s;
    s.function(public_schema, "off", "sql", "SELECT 1");
    s.r.functions.back().settings = {"standard_conforming_strings=off"};
    s.function(public_schema, "on", "sql", "SELECT 1");
    s.r.functions.back().settings = {"standard_conforming_strings=on"};
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT \"off\"()", "opaque"));
    EXPECT_FALSE(q.finds("SELECT \"on\"()", "opaque"));
}

TEST(Catalog, ABackslashInABodyIsReadAsTheSessionReadsStrings) {
    shop s;
    s.function(public_schema, "q", "sql", "SELECT 'a\\' || 'b'");
    s.function(public_schema, "p", "plpgsql", "BEGIN RETURN x ~ '^\\d+$'; END");
    s.function(public_schema, "plain", "sql", "SELECT E'a\\n'");
    auto q = about(s);
    for (const char* call : {"SELECT q()", "SELECT p()", "SELECT plain()"})
        EXPECT_FALSE(q.finds(call, "opaque")) << call;
    q.strings_conform = false;
    EXPECT_TRUE(q.finds("SELECT q()", "opaque"));
    EXPECT_TRUE(q.finds("SELECT p()", "opaque"));
    EXPECT_FALSE(q.finds("SELECT plain()", "opaque"));
}

TEST(Catalog, OfAKnownExtensionOnlyCompiledCodeIsTrusted) {
    shop s;
    const auto member = [&](const std::string& name, const std::string& language,
                            const std::string& source) {
        s.function(public_schema, name, language, source);
        s.r.functions.back().extension = "citext";
    };
    member("leak", "plpgsql", "BEGIN PERFORM ssn FROM pii.customers; END");
    member("bare", "sql", "SELECT helper()");
    member("compiled", "c", "x");
    s.function(crm, "helper", "sql", "SELECT ssn FROM pii.customers");
    auto q = about(s);
    q.path = {"pg_catalog", "public", "crm"};
    EXPECT_TRUE(q.finds("SELECT leak()", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT bare()", "read pii.customers"));
    EXPECT_EQ(q.reaches("SELECT compiled()"), std::vector<std::string>{});
}

TEST(Catalog, APathMayPutATypeBeforeTheServersOwn) {
    shop s;
    s.function(crm, "chk", "sql", "SELECT ssn FROM pii.customers");
    type_row domain;
    domain.id = 18'600;
    domain.schema = crm;
    domain.name = "uuid";
    domain.kind = 'd';
    domain.expressions = {"crm.chk(VALUE)"};
    s.r.types.push_back(domain);
    s.function(public_schema, "fixed", "sql", "SELECT 'x'::uuid");
    s.r.functions.back().settings = {"search_path=crm, pg_catalog"};
    auto q = about(s);
    EXPECT_FALSE(q.finds("SELECT 'x'::uuid", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT fixed()", "read pii.customers"));
    q.path = {"pg_catalog", "crm"};
    EXPECT_FALSE(q.finds("SELECT 'x'::uuid", "read pii.customers"));
    q.path = {"crm", "pg_catalog"};
    EXPECT_TRUE(q.finds("SELECT 'x'::uuid", "read pii.customers"));
    EXPECT_FALSE(q.finds("SET application_name = 'x'", "read pii.customers"));
    q.path_known = false;
    EXPECT_TRUE(q.finds("SELECT 'x'::uuid", "read pii.customers"));
}

TEST(Catalog, ADropOfNothingReachesNothing) {
    shop s;
    s.function(public_schema, "there", "sql", "SELECT 1");
    const auto q = about(s);
    for (const auto* sql :
         {"DROP FUNCTION IF EXISTS public.f() CASCADE", "DROP TYPE IF EXISTS public.t CASCADE"})
        EXPECT_FALSE(q.finds(sql, "opaque")) << sql;
    for (const auto* sql :
         {"DROP FUNCTION IF EXISTS public.there() CASCADE", "DROP FUNCTION f() CASCADE",
          "DROP SCHEMA IF EXISTS s CASCADE", "DROP EXTENSION IF EXISTS e CASCADE"})
        EXPECT_TRUE(q.finds(sql, "opaque")) << sql;
}

TEST(Catalog, AnApplicationsScheduleIsItsOwn) {
    shop s;
    s.function(public_schema, "schedule", "sql", "SELECT 1");
    auto q = about(s);
    EXPECT_FALSE(q.finds("SELECT public.schedule(1)", "opaque"));
    EXPECT_FALSE(q.finds("SELECT o.schedule FROM orders o", "opaque"));
    s.r.functions.back().language = "c";
    EXPECT_TRUE(about(s).finds("SELECT public.schedule('x', 'y')", "opaque"));
    EXPECT_TRUE(about({}).finds("SELECT cron.schedule('x', 'y')", "opaque"));
}

TEST(Catalog, ADotCallsAnyFunctionOfOneArgument) {
    shop s;
    s.function(public_schema, "label", "sql", "SELECT ssn FROM pii.customers");
    s.r.functions.back().argument_types = {2'283};  // anyelement
    s.function(public_schema, "by_body", "sql", "SELECT o.label FROM public.orders o");
    s.function(public_schema, "by_code", "plpgsql", "BEGIN PERFORM (t).ts_stat; END");
    s.function(public_schema, "runs_text", "sql", "SELECT ($1).ts_stat");
    s.table(crm, "labels", {"id", "label"});
    s.view(crm, "v_labels", "SELECT l.label FROM crm.labels l", {"label"});
    auto q = about(s);
    for (const auto* sql :
         {"SELECT o.label FROM orders o", "SELECT (1).label", "SELECT ($1::text).label",
          "SELECT o.label FROM orders o, crm.labels l", "SELECT (f).label FROM orders f",
          "SELECT s.label FROM (SELECT * FROM orders) s", "SELECT by_body()",
          "WITH labels AS (SELECT 1) SELECT labels.label FROM labels"})
        EXPECT_TRUE(q.finds(sql, "read pii.customers")) << sql;
    for (const auto* sql :
         {"SELECT l.label FROM crm.labels l", "SELECT s.label FROM (SELECT 1 AS label) s",
          "SELECT label FROM crm.labels", "SELECT label FROM crm.v_labels",
          "SELECT o.id, o.ctid FROM orders o"})
        EXPECT_FALSE(q.finds(sql, "read pii.customers")) << sql;
    for (const auto* sql : {"SELECT ('SELECT 1'::text).ts_stat", "SELECT o.ts_stat FROM orders o",
                            "SELECT by_code()", "SELECT runs_text('x')"})
        EXPECT_TRUE(q.finds(sql, "opaque")) << sql;
    // A temporary table of the name may have other columns.
    EXPECT_FALSE(q.finds("SELECT labels.label FROM crm.labels", "read pii.customers"));
    q.path = {"pg_temp_3", "pg_catalog", "crm"};
    q.temporary = {"labels"};
    q.path.emplace_back("public");
    EXPECT_TRUE(q.finds("SELECT labels.label FROM labels", "read pii.customers"));
}

TEST(Catalog, AColumnOfTheNameIsNoCall) {
    shop s;
    s.table(public_schema, "plans", {"id", "ts_stat", "nextval"});
    const auto q = about(s);
    EXPECT_FALSE(q.finds("SELECT p.ts_stat, p.nextval FROM plans p", "opaque"));
    EXPECT_TRUE(q.finds("SELECT o.nextval FROM orders o", "opaque"));
}

TEST(Catalog, AFunctionOfTheRowGetsAllItsColumns) {
    shop s;
    s.function(public_schema, "short", "sql", "SELECT 1");
    s.r.functions.back().argument_types = {2'249};  // record
    const auto q = about(s);
    const auto all = [&](const std::string& sql) {
        const auto found = q.ask(sql);
        return std::ranges::any_of(found.facts->statements.at(0).relations, [](const auto& u) {
            return u.schema == "pii" && u.columns.empty();
        });
    };
    for (const auto* sql :
         {"SELECT c.to_jsonb FROM pii.customers c", "SELECT c.short FROM pii.customers c",
          "SELECT id FROM pii.customers c WHERE c.hstore IS NULL",
          "SELECT (c).short FROM pii.customers c", "SELECT (c).to_json FROM pii.customers c",
          "SELECT (c).name FROM pii.customers c", "SELECT c.any_function FROM pii.customers c",
          "SELECT c FROM pii.customers c"})
        EXPECT_TRUE(all(sql)) << sql;
    for (const auto* sql : {"SELECT c.name FROM pii.customers c",
                            "SELECT o.any_function, c.name FROM pii.customers c, orders o"})
        EXPECT_FALSE(all(sql)) << sql;
}

}  // namespace
}  // namespace sallyport::policy::catalog
