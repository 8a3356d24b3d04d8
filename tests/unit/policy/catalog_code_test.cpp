#include <gtest/gtest.h>

#include "policy/catalog/row_code.h"
#include "tests/unit/policy/shop.h"

/// Code that runs without any text that names it, and what runs as somebody else or later.
namespace sallyport::policy::catalog {
namespace {

/// A function that reads the protected table.
oid leak(shop& s, const std::string& name = "leak") {
    return s.function(public_schema, name, "sql", "SELECT ssn FROM pii.customers");
}

trigger_row& trigger(shop& s, oid relation, oid function) {
    auto& t = s.r.triggers.emplace_back();
    t.name = "t";
    t.relation = relation;
    t.function = function;
    t.sees_rows = true;
    return t;
}

expression_row& expression(shop& s, expression_row::use what, oid relation,
                           const std::string& text) {
    auto& e = s.r.expressions.emplace_back();
    e.what = what;
    e.relation = relation;
    e.text = text;
    return e;
}

/// Columns of pii.customers that a statement reads; "*": all of them.
std::vector<std::string> read_of_customers(const question& q, const std::string& sql) {
    std::vector<std::string> out;
    const auto found = q.ask(sql);
    for (const auto& u : found.facts->statements[0].relations) {
        if (u.schema != "pii" || u.name != "customers" || u.how != access::read) continue;
        if (u.columns.empty()) return {"*"};
        for (const auto& c : u.columns)
            if (c != no_column) out.push_back(c);
    }
    std::ranges::sort(out);
    return out;
}
using names = std::vector<std::string>;

TEST(CatalogCode, OperatorsAndAggregatesOverFunctionsThatReadTheirArguments) {
    shop s;
    s.r.builtins = {{100, "ts_stat", "ts_stat1"},
                    {101, "set_config", "set_config_by_name"},
                    {102, "int4eq", "int4eq"}};
    s.r.operators.push_back({s.next++, public_schema, "@@@@", {100}, ""});
    s.r.operators.push_back({s.next++, public_schema, "====", {102}, ""});
    const oid crosstab = s.function(public_schema, "crosstab2", "c", "crosstab");
    s.r.functions.back().extension = "tablefunc";
    s.r.operators.push_back({s.next++, public_schema, "####", {crosstab}, ""});
    const oid sum = s.function(public_schema, "sc", "internal", "aggregate_dummy");
    s.r.functions.back().kind = 'a';
    s.r.aggregates.push_back({sum, {101}});
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT OPERATOR(public.@@@@) 'x'", "opaque"));
    EXPECT_TRUE(q.finds("SELECT OPERATOR(public.####) 'x'", "opaque"));
    EXPECT_FALSE(q.finds("SELECT 1 OPERATOR(public.====) 1", "opaque"));
    EXPECT_FALSE(q.finds("SELECT crosstab2('SELECT 1')", "opaque"));
    EXPECT_FALSE(q.ask("SELECT public.sc('a', true)").facts->statements[0].settings.empty());
    EXPECT_TRUE(q.finds("CREATE OPERATOR <~> (RIGHTARG = text, FUNCTION = ts_stat)", "opaque"));
}

TEST(CatalogCode, LanguageInternalGoesByTheSymbol) {
    shop s;
    s.r.builtins = {{100, "ts_stat", "ts_stat1"},
                    {101, "set_config", "set_config_by_name"},
                    {102, "length", "textlen"}};
    s.function(public_schema, "st", "internal", "ts_stat1");
    s.function(public_schema, "setc", "internal", "set_config_by_name");
    s.function(public_schema, "len", "internal", "textlen");
    s.function(public_schema, "other", "internal", "nobody_knows");
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT public.st('SELECT 1')", "opaque"));
    EXPECT_TRUE(q.finds("SELECT public.other()", "opaque"));
    EXPECT_FALSE(q.finds("SELECT public.len('a')", "opaque"));
    EXPECT_FALSE(q.ask("SELECT public.setc('a')").facts->statements[0].settings.empty());
}

TEST(CatalogCode, WhatLiesInATemporarySchemaOfAnotherSessionIsNotKnown) {
    shop s;
    trigger(s, s.id_of("orders"), 99'999).on_insert = true;
    const oid t = s.table(public_schema, "tdf", {"a"});
    expression(s, expression_row::use::default_value, t, "pg_temp_3.df()");
    const oid u = s.table(public_schema, "typed", {"a"});
    s.r.relations.back().columns[0].type = 99'998;
    const auto q = about(s);
    EXPECT_NE(t, u);
    EXPECT_TRUE(q.finds("INSERT INTO orders VALUES (1)", "opaque"));
    EXPECT_TRUE(q.finds("INSERT INTO tdf VALUES (1)", "opaque"));
    EXPECT_TRUE(q.finds("SELECT a FROM typed", "opaque"));
    EXPECT_FALSE(q.finds("SELECT id FROM orders", "opaque"));
}

TEST(CatalogCode, WhoRunsAsAnotherMayMeanAnySchema) {
    const std::string body = "SELECT ssn FROM customers";
    for (const int how : {0, 1, 2, 3}) {
        shop s;
        s.function(public_schema, "f", "sql", body);
        auto& f = s.r.functions.back();
        if (how == 1) f.security_definer = true;
        if (how == 2) f.settings = {"search_path=\"$user\", crm"};
        if (how == 3) f.settings = {"role=pii"};
        auto q = about(s);
        q.path = {"pg_catalog", "crm", "public"};
        EXPECT_EQ(q.finds("SELECT public.f()", "read pii.customers"), how != 0) << how;
    }
    shop s;
    s.function(public_schema, "f", "sql", body);
    s.r.functions.back().security_definer = true;
    s.r.functions.back().settings = {"search_path=crm"};
    EXPECT_FALSE(about(s).finds("SELECT public.f()", "read pii.customers"));
}

TEST(CatalogCode, DeferredTriggersAndHeldCursorsLookUpTheirNamesLater) {
    for (const bool deferrable : {false, true}) {
        shop s;
        const oid f = s.function(public_schema, "dt", "plpgsql",
                                 "BEGIN PERFORM ssn FROM customers; RETURN NULL; END");
        auto& t = trigger(s, s.id_of("orders"), f);
        t.on_insert = true;
        t.deferrable = deferrable;
        auto q = about(s);
        q.path = {"pg_catalog", "crm", "public"};
        EXPECT_EQ(q.finds("INSERT INTO orders VALUES (1)", "read pii.customers"), deferrable);
        EXPECT_FALSE(q.finds("DECLARE c CURSOR FOR SELECT dt()", "read pii.customers"));
        EXPECT_TRUE(q.finds("DECLARE c CURSOR WITH HOLD FOR SELECT dt()", "read pii.customers"));
    }
}

TEST(CatalogCode, AnAlteredTableBringsWhatHangsOnItToItsNewName) {
    shop s;
    const oid tt = s.table(public_schema, "tt", {"id"});
    trigger(s, tt, leak(s)).on_insert = true;
    const auto q = about(s);
    const auto last = [&](const std::string& sql) {
        const auto found = q.ask(sql);
        const auto& all = found.facts->statements.back().relations;
        return std::ranges::any_of(all, [](const relation_use& u) { return u.schema == "pii"; });
    };
    const std::string away = "ALTER TABLE public.orders RENAME TO old; ";
    const std::string use = "INSERT INTO public.orders VALUES (1)";
    EXPECT_FALSE(last(use));
    EXPECT_FALSE(last(away + use));
    EXPECT_TRUE(last(away + "ALTER TABLE public.tt RENAME TO orders; " + use));
    EXPECT_TRUE(last("ALTER TABLE public.tt INHERIT public.orders; " + use));
    EXPECT_TRUE(last("ALTER SCHEMA crm RENAME TO x; INSERT INTO x.tt VALUES (1)"));
    EXPECT_FALSE(last("ALTER TABLE public.tt ADD COLUMN x int; SELECT id FROM public.orders"));
}

TEST(CatalogCode, RowSecurityThatIsTurnedOnReadsWhatItsPoliciesRead) {
    shop s;
    leak(s);
    expression(s, expression_row::use::policy_using, s.id_of("orders"), "public.leak()");
    const auto q = about(s);
    EXPECT_FALSE(q.finds("SELECT id FROM orders", "read pii.customers"));
    EXPECT_TRUE(q.finds("ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "read pii.customers"));
}

TEST(CatalogCode, RowsOfAPartitionMeetTheKeyOfItsParent) {
    shop s;
    leak(s);
    const oid parent = s.relation(public_schema, "pt", 'p', {"a"});
    const oid child = s.table(public_schema, "pt1", {"a"});
    s.r.inheritance.push_back({child, parent});
    expression(s, expression_row::use::partition_key, parent, "public.leak()");
    EXPECT_TRUE(about(s).finds("INSERT INTO pt1 VALUES (1)", "read pii.customers"));
}

TEST(CatalogCode, ACascadeFollowsWhatATriggerOrAGeneratedColumnChanges) {
    const auto cascades = [](const std::string& body, bool generated) {
        shop s;
        const oid keyed = s.table(public_schema, "keyed", {"id", "a", "title"});
        s.r.foreign_keys.push_back({s.id_of("customers", pii), keyed, {"id"}, true, false});
        if (generated) {
            expression(s, expression_row::use::generated, keyed, "(a * 2)").column = "id";
        }
        auto& t = trigger(s, keyed, s.function(public_schema, "b", "plpgsql", body));
        t.on_update = t.before = true;
        const auto q = about(s);
        EXPECT_TRUE(q.finds("UPDATE keyed SET id = 1", "write pii.customers"));
        EXPECT_EQ(q.finds("UPDATE keyed SET a = 1", "write pii.customers"),
                  generated || q.finds("UPDATE keyed SET title = 1", "write pii.customers"));
        return q.finds("UPDATE keyed SET title = 'x'", "write pii.customers");
    };
    EXPECT_FALSE(cascades("BEGIN NEW.title := now(); RETURN NEW; END", false));
    EXPECT_FALSE(cascades("BEGIN NEW.title := now(); RETURN NEW; END", true));
    EXPECT_TRUE(cascades("BEGIN NEW.id := NEW.id + 100; RETURN NEW; END", false));
    EXPECT_TRUE(cascades("BEGIN NEW.a := 1; RETURN NEW; END", true));
    EXPECT_TRUE(cascades("BEGIN SELECT * INTO NEW FROM x; RETURN NEW; END", false));
}

TEST(CatalogCode, CastsAndComparisonsOfBuiltInTypesAreEverywhere) {
    for (const int how : {0, 1, 2}) {
        shop s;
        const oid f = leak(s);
        if (how == 1) s.r.casts.push_back({600, 23, f, ""});
        if (how == 2) s.r.supports.push_back({0, 600, f});
        const auto q = about(s);
        EXPECT_EQ(q.finds("SELECT '(1,2)'::point::int", "read pii.customers"), how != 0);
        EXPECT_FALSE(q.finds("COMMIT", "read pii.customers"));
    }
}

TEST(CatalogCode, WhoAsksForTheDetailOfAnErrorSeesTheRowThatFailed) {
    shop s;
    s.function(public_schema, "fails", "sql", "UPDATE pii.customers SET id = NULL");
    s.function(public_schema, "tells", "plpgsql",
               "BEGIN PERFORM public.fails(); EXCEPTION WHEN others THEN GET STACKED DIAGNOSTICS d "
               "= PG_EXCEPTION_DETAIL; RETURN d; END");
    s.function(public_schema, "logs", "plpgsql",
               "BEGIN PERFORM public.fails(); EXCEPTION WHEN others THEN RAISE; END");
    const auto q = about(s);
    EXPECT_EQ(read_of_customers(q, "SELECT public.fails()"), names{});
    EXPECT_EQ(read_of_customers(q, "SELECT public.logs()"), names{});
    EXPECT_EQ(read_of_customers(q, "SELECT public.tells()"), names{"*"});
    EXPECT_EQ(read_of_customers(q,
                                "DO $$ BEGIN PERFORM public.fails(); EXCEPTION WHEN others THEN "
                                "GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL; END $$"),
              names{"*"});
}

TEST(CatalogCode, WhatASuperuserPutIntoTheServersSchemas) {
    shop s;
    s.view(11, "cust", "SELECT ssn FROM pii.customers");
    s.view(public_schema, "over", "SELECT ssn FROM cust");
    s.function(11, "lpad", "sql", "SELECT ssn FROM pii.customers");
    s.r.builtin_functions.push_back("lpad");
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT ssn FROM pg_catalog.cust", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT ssn FROM cust", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT ssn FROM over", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT lpad('a', 3)", "read pii.customers"));
}

TEST(CatalogCode, CodeThatDefinesFiresEventTriggers) {
    shop s;
    s.r.triggers.emplace_back().function = leak(s);
    s.function(public_schema, "mk", "plpgsql", "BEGIN CREATE TEMP TABLE zz(a int); END");
    s.function(public_schema, "mks", "sql", "CREATE TEMP TABLE zz(a int)");
    s.function(public_schema, "plain", "plpgsql", "BEGIN RETURN 1; END");
    s.relation(public_schema, "mv", 'm', {"id"});
    s.r.relations.back().definition = "SELECT 1";
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT mk()", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT mks()", "read pii.customers"));
    EXPECT_TRUE(q.finds("DO 'BEGIN CREATE TEMP TABLE zz(a int); END'", "read pii.customers"));
    EXPECT_TRUE(q.finds("REFRESH MATERIALIZED VIEW mv", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT plain()", "read pii.customers"));
}

TEST(CatalogCode, CodeThatDropsLeavesNamesInDoubt) {
    shop s;
    s.function(public_schema, "mv", "plpgsql", "BEGIN DROP TABLE crm.base CASCADE; END");
    s.function(public_schema, "rp", "plpgsql", "BEGIN EXECUTE 'DEALLOCATE p'; END");
    auto q = about(s);
    q.path = {"pg_catalog", "crm", "pii", "public"};
    EXPECT_FALSE(q.finds("SELECT ssn FROM customers", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT mv(); SELECT ssn FROM customers", "read pii.customers"));
    EXPECT_NE(q.ask("SELECT rp()").facts->statements[0].effects & code_effect::prepares, 0);
}

TEST(CatalogCode, DdlThatChangesAnotherTable) {
    shop s;
    const oid keyed = s.table(public_schema, "keyed", {"id", "title"});
    s.r.foreign_keys.push_back({s.id_of("customers", pii), keyed, {"id"}, false, false});
    const oid seq = s.relation(public_schema, "cseq", 'S');
    expression(s, expression_row::use::default_value, s.id_of("customers", pii),
               "nextval('public.cseq'::regclass)");
    EXPECT_NE(seq, 0u);
    const auto q = about(s);
    for (const auto* sql :
         {"ALTER TABLE keyed DROP CONSTRAINT k CASCADE", "ALTER TABLE keyed DROP COLUMN id CASCADE",
          "ALTER TABLE keyed ALTER COLUMN id TYPE bigint", "DROP SEQUENCE public.cseq CASCADE"})
        EXPECT_TRUE(q.finds(sql, "write pii.customers")) << sql;
    for (const auto* sql :
         {"ALTER TABLE keyed ADD COLUMN x int", "ALTER TABLE keyed DROP COLUMN title",
          "ALTER TABLE keyed ALTER COLUMN title TYPE text", "ALTER TABLE keyed DROP CONSTRAINT k"})
        EXPECT_FALSE(q.finds(sql, "write pii.customers")) << sql;
}

TEST(CatalogCode, ATriggerReadsTheColumnsThatItNames) {
    const auto reads = [](const std::string& body, const std::string& condition = "") {
        shop s;
        s.function(public_schema, "tell", "plpgsql", "BEGIN RETURN true; END");
        const oid f = s.function(public_schema, "tr", "plpgsql", body);
        auto& t = trigger(s, s.id_of("customers", pii), f);
        t.on_update = true;
        t.condition = condition;
        return read_of_customers(about(s), "UPDATE pii.customers SET name = 'x'");
    };
    EXPECT_EQ(reads("BEGIN NEW.name := now(); RETURN NEW; END"), names{});
    EXPECT_EQ(reads("BEGIN IF NEW.* IS DISTINCT FROM OLD.* THEN RETURN NEW; END IF; END"), names{});
    EXPECT_EQ(reads("BEGIN INSERT INTO l VALUES (NEW.ssn); RETURN NEW; END"), names{"ssn"});
    EXPECT_EQ(reads("BEGIN PERFORM pg_notify('c', row_to_json(OLD)); RETURN NEW; END"), names{"*"});
    EXPECT_EQ(reads("BEGIN RETURN NEW; END", "public.tell(old.ssn)"), names{"ssn"});
    EXPECT_EQ(reads("BEGIN RETURN NEW; END", "old.ssn IS DISTINCT FROM new.ssn"), names{});
}

TEST(CatalogCode, ExpressionsReadTheColumnsThatTheyTell) {
    const auto reads = [](expression_row::use what, const std::string& text,
                          const std::string& sql) {
        shop s;
        s.function(public_schema, "tell", "plpgsql", "BEGIN RETURN true; END");
        for (auto& r : s.r.relations)
            r.row_security = true;
        expression(s, what, s.id_of("customers", pii), text);
        return read_of_customers(about(s), sql);
    };
    using use = expression_row::use;
    const std::string update = "UPDATE pii.customers SET name = 'x'";
    EXPECT_EQ(reads(use::check, "public.tell(ssn)", update), names{"ssn"});
    EXPECT_EQ(reads(use::check, "public.tell(customers.*)", update), names{"*"});
    EXPECT_EQ(reads(use::check, "(ssn ~ '^[0-9]+$'::text)", update), names{});
    EXPECT_EQ(reads(use::check, "public.tell(name)", update), names{"name"});
    EXPECT_EQ(reads(use::policy_using, "(ssn ~~ 'x'::text)", "SELECT id FROM pii.customers"),
              (names{"id", "ssn"}));
}

TEST(CatalogCode, AFunctionOfTheSessionIsKnown) {
    auto q = about({});
    const auto made = [&](const std::string& body) {
        q.own.note(q.ask("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS '" + body + "'")
                       .facts->statements[0]);
    };
    made("SELECT 1");
    EXPECT_FALSE(q.finds("SELECT pg_temp.f()", "opaque"));
    EXPECT_TRUE(q.finds("SELECT pg_temp.g()", "opaque"));
    made("SELECT ssn FROM pii.customers");
    EXPECT_TRUE(q.finds("SELECT pg_temp.f()", "read pii.customers"));
}

TEST(CatalogCode, RowsInTokens) {
    EXPECT_FALSE(columns_read("RETURN COALESCE(NEW, OLD);").whole);
    EXPECT_FALSE(columns_read("IF ROW(NEW.*) IS DISTINCT FROM ROW(OLD.*) THEN").whole);
    EXPECT_TRUE(columns_read("r := NEW;").whole);
    EXPECT_TRUE(columns_read("'unterminated").whole);
    EXPECT_FALSE(may_set("BEGIN x := f(NEW); IF NEW.id = 1 THEN RETURN NEW; END IF; END", "id"));
    EXPECT_TRUE(may_set("BEGIN NEW.id = 1; RETURN NEW; END", "id"));
    EXPECT_TRUE(may_set("BEGIN SELECT 1 INTO NEW.id; RETURN NEW; END", "id"));
    EXPECT_TRUE(may_set("BEGIN NEW := other; RETURN NEW; END", "id"));
    EXPECT_TRUE(may_set("BEGIN RETURN other; END", "id"));
}

TEST(CatalogCode, ThatTheTransactionMadeIsFollowedWhereverItIsCalled) {
    shop s;
    s.function(public_schema, "h", "plpgsql", "BEGIN RETURN 1; END");
    s.view(public_schema, "vh", "SELECT public.h() AS h", {"h"});
    trigger(s, s.id_of("orders"), s.function(public_schema, "tr", "plpgsql", "BEGIN END"))
        .on_update = true;
    const auto q = about(s);
    const auto last_is_opaque = [&](const std::string& sql) {
        return q.ask(sql).facts->statements.back().has(kind::opaque);
    };
    const auto made = [](const std::string& name, const std::string& body) {
        return "CREATE OR REPLACE FUNCTION " + name +
               "() RETURNS text LANGUAGE plpgsql AS $$ BEGIN " + body + " END $$; ";
    };
    const std::string builds = "EXECUTE 'SEL' || 'ECT 1';";
    for (const auto* use : {"SELECT h()", "SELECT * FROM vh", "DO $$ BEGIN PERFORM h(); END $$",
                            "ALTER FUNCTION h() RENAME TO k; SELECT * FROM vh",
                            "CREATE DOMAIN d AS text CHECK (h() = VALUE); SELECT 'a'::d",
                            "CREATE TABLE t (a text DEFAULT h()); INSERT INTO t DEFAULT VALUES",
                            "CREATE CAST (text AS int) WITH FUNCTION h() AS IMPLICIT; SELECT 1"})
        EXPECT_TRUE(last_is_opaque(made("h", builds) + use)) << use;
    EXPECT_TRUE(last_is_opaque(made("tr", builds) + "UPDATE orders SET id = 1"));
    EXPECT_TRUE(
        last_is_opaque("CREATE FUNCTION p() RETURNS int LANGUAGE plperl AS ''; SELECT p()"));
    for (const auto* other :
         {"ALTER FUNCTION h() OWNER TO bob", "GRANT EXECUTE ON FUNCTION h() TO bob",
          "COMMENT ON FUNCTION h() IS ''", "CREATE VIEW v AS SELECT h()", "DROP FUNCTION h()",
          "CREATE TRIGGER x AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION h()",
          "SELECT id FROM orders"})
        EXPECT_FALSE(last_is_opaque(made("h", builds) + other)) << other;
    EXPECT_FALSE(last_is_opaque(made("h", "RETURN 2;") + "SELECT * FROM vh"));
}

TEST(CatalogCode, ThatTheTransactionMadeMayCallTheNextAsOftenAsItLikes) {
    auto q = about(shop{});
    const auto made = [&](int i, const std::string& body) {
        q.own.note(q.ask("CREATE FUNCTION f" + std::to_string(i) +
                         "() RETURNS int LANGUAGE plpgsql AS $$ BEGIN " + body + " END $$")
                       .facts->statements[0]);
    };
    constexpr int last = 5'000;
    for (int i = 0; i < last; ++i)
        made(i, "RETURN f" + std::to_string(i + 1) + "();");
    made(last, "EXECUTE 'SEL' || 'ECT 1';");
    EXPECT_TRUE(q.finds("SELECT f0()", "opaque"));
}

TEST(CatalogCode, NamesThatNobodyHadUntilTheTransactionAreSeenInBodies) {
    shop s;
    s.function(public_schema, "calls", "plpgsql", "BEGIN RETURN public.\"Later\"(); END");
    s.function(public_schema, "reads", "sql", "SELECT ssn FROM pii.other");
    s.function(public_schema, "nested", "plpgsql", "BEGIN EXECUTE $x$SELECT later2()$x$; END");
    const auto q = about(s);
    const auto last = [&](const std::string& sql) { return q.ask(sql).facts->statements.back(); };
    const std::string body =
        "() RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SEL' || 'ECT 1'; END $$; ";
    EXPECT_TRUE(last("CREATE FUNCTION \"Later\"" + body + "SELECT calls()").has(kind::opaque));
    EXPECT_TRUE(last("CREATE FUNCTION later2" + body + "SELECT nested()").has(kind::opaque));
    const auto renamed = last("ALTER TABLE pii.customers RENAME TO other; SELECT reads()");
    EXPECT_TRUE(std::ranges::any_of(renamed.relations, [](const relation_use& u) {
        return u.schema == "pii" && u.name == "customers" && u.how == access::read;
    }));
}

}  // namespace
}  // namespace sallyport::policy::catalog
