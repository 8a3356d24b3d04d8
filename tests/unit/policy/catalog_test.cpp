#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/policy/shop.h"

namespace sallyport::policy::catalog {
namespace {

TEST(Catalog, BareNamesAreThoseOfThePath) {
    auto q = about({});
    EXPECT_EQ(q.reaches("SELECT id FROM orders"), std::vector<std::string>{"read public.orders"});
    q.path = {"pg_catalog", "crm", "pii"};
    EXPECT_EQ(q.reaches("SELECT id FROM customers"),
              std::vector<std::string>{"read crm.customers"});
    q.path = {"pg_catalog", "pii", "crm"};
    EXPECT_EQ(q.reaches("SELECT id FROM customers"),
              std::vector<std::string>{"read pii.customers"});
}

TEST(Catalog, WithoutAPathEveryCandidateCounts) {
    auto q = about({});
    q.path_known = false;
    const auto found = q.ask("SELECT id FROM customers");
    EXPECT_TRUE(found.path_matters);
    EXPECT_TRUE(q.finds("SELECT id FROM customers", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT id FROM customers", "read crm.customers"));
    EXPECT_FALSE(q.ask("SELECT id FROM pii.customers").path_matters);
}

TEST(Catalog, APathThatTheTextItselfSetsIsNotKnown) {
    auto q = about({});
    EXPECT_TRUE(q.finds("SET search_path = pii; SELECT id FROM customers", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT set_config('search_path', 'pii', false), id FROM customers",
                        "read pii.customers"));
}

TEST(Catalog, ViewsReachWhatTheyAreMadeOf) {
    shop s;
    s.view(public_schema, "v1", " SELECT customers.ssn AS a FROM pii.customers;");
    s.view(public_schema, "v2", " SELECT upper(v1.a) AS b FROM public.v1;");
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT b FROM v2", "read pii.customers"));
    EXPECT_TRUE(q.finds("DELETE FROM v2", "write pii.customers"));
    const auto found = q.ask("SELECT b FROM v2");
    const auto& uses = found.facts->statements[0].relations;
    const auto at = std::ranges::find(uses, std::string{"customers"}, &relation_use::name);
    ASSERT_NE(at, uses.end());
    EXPECT_EQ(at->place, "from: view public.v2 → view public.v1");
}

TEST(Catalog, AViewTellsItsColumnsUnlessItHoldsWholeRows) {
    shop s;
    const oid v = s.view(public_schema, "v", " SELECT c.id, c.name FROM pii.customers c, crm.x;");
    for (const auto* column : {"id", "name"})
        s.r.view_columns.push_back({v, s.id_of("customers", pii), column});
    const auto columns = [](const shop& of) {
        const auto found = about(of).ask("SELECT * FROM v");
        const auto& uses = found.facts->statements[0].relations;
        return std::ranges::find(uses, std::string{"customers"}, &relation_use::name)->columns;
    };
    EXPECT_EQ(columns(s), (std::vector<std::string>{"id", "name"}));
    std::ranges::find(s.r.relations, v, &relation_row::id)->whole_row = true;
    EXPECT_FALSE(std::ranges::equal(columns(s), std::vector<std::string>{"id", "name"}));
}

TEST(Catalog, FunctionsReachWhatTheirBodiesDo) {
    shop s;
    s.function(public_schema, "a", "sql", "SELECT ssn FROM pii.customers");
    s.function(public_schema, "b", "plpgsql", "BEGIN RETURN public.a(); END");
    s.function(public_schema, "c", "plpgsql",
               "BEGIN RETURN (SELECT count(*) FROM public.orders); END");
    s.function(public_schema, "d", "plpgsql", "BEGIN EXECUTE q; END");
    s.function(public_schema, "e", "plperl", "1");
    s.function(public_schema, "f", "internal", "query_to_xml");
    s.function(public_schema, "g", "internal", "int4pl");
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT b()", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT c()", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT c()", "opaque"));
    for (const auto* name : {"d", "e", "f"})
        EXPECT_TRUE(q.finds("SELECT " + std::string{name} + "()", "opaque")) << name;
    EXPECT_FALSE(q.finds("SELECT g()", "opaque"));
    EXPECT_FALSE(q.finds("CALL c()", "opaque"));
    EXPECT_TRUE(q.finds("DO $$ BEGIN PERFORM b(); END $$", "read pii.customers"));
    EXPECT_FALSE(q.finds("DO $$ BEGIN PERFORM c(); END $$", "opaque"));
}

TEST(Catalog, BareNamesInBodiesMeanWhatTheCallersPathMakesThem) {
    shop s;
    s.function(public_schema, "f", "sql", "SELECT name FROM customers");
    s.function(public_schema, "g", "sql", "SELECT name FROM customers");
    s.r.functions.back().settings = {"search_path=pii"};
    auto q = about(s);
    q.path = {"pg_catalog", "public", "crm"};
    EXPECT_FALSE(q.finds("SELECT f()", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT f()", "read crm.customers"));
    EXPECT_TRUE(q.finds("SELECT g()", "read pii.customers"));
    q.path = {"pg_catalog", "public", "pii"};
    EXPECT_TRUE(q.finds("SELECT f()", "read pii.customers"));
    q.path = {"pg_catalog", "public", "crm"};
    EXPECT_TRUE(
        q.finds("SELECT set_config('search_path', 'pii', true), f()", "read pii.customers"));
}

TEST(Catalog, APartitionAndItsTableReachEachOther) {
    shop s;
    const oid child = s.table(public_schema, "p_2022", {"id", "ssn"});
    s.table(public_schema, "p_2023", {"id", "ssn"});
    s.r.inheritance.push_back({child, s.id_of("customers", pii)});
    s.r.inheritance.push_back({s.id_of("p_2023"), s.id_of("customers", pii)});
    const auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT id FROM p_2022", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT id FROM p_2022", "read public.p_2023"));
    EXPECT_TRUE(q.finds("SELECT id FROM pii.customers", "read public.p_2022"));
}

TEST(Catalog, CascadesReachWhatRefersToTheTable) {
    shop s;
    s.r.foreign_keys.push_back({s.id_of("customers", pii), s.id_of("orders"), {"id"}, true, true});
    const auto q = about(s);
    EXPECT_TRUE(q.finds("DELETE FROM orders WHERE id = 1", "write pii.customers"));
    EXPECT_TRUE(q.finds("UPDATE orders SET id = 1", "write pii.customers"));
    EXPECT_FALSE(
        q.finds("UPDATE orders SET customer_id = 1 WHERE customer_id = 2", "write pii.customers"));
    EXPECT_FALSE(q.finds("INSERT INTO orders VALUES (1)", "write pii.customers"));
    EXPECT_TRUE(q.finds("TRUNCATE orders CASCADE", "write pii.customers"));
}

TEST(Catalog, TriggersRulesDefaultsAndPoliciesBelongToTheirTable) {
    const auto leak = [](shop& s) {
        return s.function(public_schema, "leak", "sql", "SELECT ssn FROM pii.customers");
    };
    shop s;
    trigger_row t;
    t.relation = s.id_of("orders");
    t.function = leak(s);
    t.on_update = true;
    s.r.triggers.push_back(t);
    EXPECT_TRUE(about(s).finds("UPDATE orders SET id = 1", "read pii.customers"));
    EXPECT_FALSE(about(s).finds("INSERT INTO orders VALUES (1)", "read pii.customers"));

    shop d;
    leak(d);
    expression_row e;
    e.what = expression_row::use::default_value;
    e.relation = d.id_of("orders");
    e.column = "id";
    e.text = "public.leak()";
    d.r.expressions.push_back(e);
    EXPECT_TRUE(
        about(d).finds("INSERT INTO orders (customer_id) VALUES (1)", "read pii.customers"));
    EXPECT_FALSE(about(d).finds("SELECT id FROM orders", "read pii.customers"));

    shop p;
    e.what = expression_row::use::policy_using;
    e.relation = p.id_of("orders");
    e.text = "(EXISTS ( SELECT 1 FROM pii.customers c WHERE (c.id = orders.customer_id)))";
    p.r.expressions.push_back(e);
    EXPECT_FALSE(about(p).finds("SELECT id FROM orders", "read pii.customers"));
    std::ranges::find(p.r.relations, p.id_of("orders"), &relation_row::id)->row_security = true;
    EXPECT_TRUE(about(p).finds("SELECT id FROM orders", "read pii.customers"));

    shop r;
    rule_row rule;
    rule.relation = r.id_of("orders");
    rule.definition =
        "CREATE RULE r AS ON INSERT TO public.orders DO ALSO SELECT "
        "customers.ssn FROM pii.customers;";
    r.r.rules.push_back(rule);
    EXPECT_TRUE(about(r).finds("INSERT INTO orders VALUES (1)", "read pii.customers"));
}

TEST(Catalog, ARenamedTableIsStillTheTableThatItWas) {
    shop s;
    const auto before = build(s.r);
    std::ranges::find(s.r.relations, s.id_of("customers", pii), &relation_row::id)->name = "x";
    question q;
    q.map = build(s.r, before->past());
    EXPECT_TRUE(q.finds("SELECT id FROM pii.x", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT id FROM pii.x", "read pii.x"));
    // Not the table of that name elsewhere, and not for ever more names than some.
    EXPECT_FALSE(q.finds("SELECT id FROM crm.customers", "read pii.customers"));
    q.map = build(s.r, q.map->past());
    EXPECT_TRUE(q.finds("SELECT id FROM pii.x", "read pii.customers"));
    // The same number in another cluster is another table.
    auto elsewhere = q.map->past();
    elsewhere.identity = "7000000000000000001/5";
    q.map = build(s.r, elsewhere);
    EXPECT_FALSE(q.finds("SELECT id FROM pii.x", "read pii.customers"));
}

TEST(Catalog, ARenamedColumnIsStillTheColumnThatItWas) {
    shop s;
    const auto view =
        s.view(public_schema, "cards", "SELECT customers.note FROM pii.customers", {"note"});
    const auto customers =
        std::ranges::find(s.r.relations, s.id_of("customers", pii), &relation_row::id);
    for (int number = 1; auto& c : customers->columns)
        c.number = number++;
    auto& ssn = *std::ranges::find(customers->columns, std::string("ssn"), &column_row::name);
    const auto before = build(s.r)->past();
    ssn.name = "note";
    s.r.view_columns.push_back({view, s.id_of("customers", pii), "note"});
    question q;
    q.map = build(s.r, before);
    const auto reads_ssn = [&](const std::string& sql) {
        const auto found = q.ask(sql);
        const auto& all = found.facts->statements.at(0).relations;
        return std::ranges::any_of(all, [](const auto& u) {
            return u.name == "customers" && std::ranges::find(u.columns, "ssn") != u.columns.end();
        });
    };
    EXPECT_TRUE(reads_ssn("SELECT note FROM pii.customers"));
    EXPECT_TRUE(reads_ssn("SELECT note FROM public.cards"));
    EXPECT_FALSE(reads_ssn("SELECT id FROM pii.customers"));
    // Another column of that name is another column.
    customers->columns.erase(
        std::ranges::find(customers->columns, std::string("note"), &column_row::name));
    customers->columns.push_back({"note", 25, false, 99});
    q.map = build(s.r, q.map->past());
    EXPECT_FALSE(reads_ssn("SELECT note FROM pii.customers"));
}

TEST(Catalog, DotsMayBeCallsAndOperatorsAndTypesAreCode) {
    shop s;
    const oid f = s.function(public_schema, "label", "sql", "SELECT ssn FROM pii.customers");
    for (const auto& t : s.r.relations)
        if (t.name == "orders") s.r.functions.back().argument_types = {t.row_type};
    s.r.operators.push_back({s.next++, crm, "=", {f}, ""});
    type_row domain;
    domain.id = 18'500;
    domain.schema = public_schema;
    domain.name = "code";
    domain.kind = 'd';
    domain.expressions = {"public.label(VALUE)"};
    s.r.types.push_back(domain);
    auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT o.label FROM orders o", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT o.id FROM orders o", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT 'x'::public.code", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT id FROM orders WHERE id = 1", "read pii.customers"));
    q.path = {"crm", "pg_catalog", "public"};
    EXPECT_TRUE(q.finds("SELECT id FROM orders WHERE id = 1", "read pii.customers"));
    auto f2 = std::make_shared<facts>(*sql::analyse("SELECT $1", {}));
    f2->parameter_types = {18'500};
    const auto found = resolve(*f2, *q.map, {});
    EXPECT_TRUE(std::ranges::any_of(found.facts->statements[0].relations,
                                    [](const auto& u) { return u.schema == "pii"; }));
}

TEST(Catalog, TypesWhoseLiteralsRunCodeAreTold) {
    shop s;
    s.function(public_schema, "check_it", "plpgsql", "BEGIN RETURN 1; END");
    const auto type = [&](const std::string& name, char kind, oid base, oid element,
                          std::vector<std::string> checks) {
        type_row t;
        t.id = s.next++;
        t.schema = public_schema;
        t.name = name;
        t.kind = kind;
        t.base = base;
        t.element = element;
        t.expressions = std::move(checks);
        s.r.types.push_back(t);
        return t.id;
    };
    type("plain", 'd', 25, 0, {"(VALUE ~ '^[a-z]+$'::text) AND lower(VALUE) > ''"});
    EXPECT_FALSE(about(s).map->literals_run_code());
    const oid checked = type("checked", 'd', 25, 0, {"(public.check_it(VALUE) > 0)"});
    const oid array = type("_checked", 'b', 0, checked, {});
    s.r.relations.back().columns.push_back({"how", array, false});
    s.view(public_schema, "over", " SELECT o.id FROM public.orders o;", {"id"});
    const auto q = about(s);
    EXPECT_TRUE(q.map->literals_run_code());
    const auto runs = [&](const std::string& sql) { return q.ask(sql).literals_run_code; };
    EXPECT_TRUE(runs("SELECT '{1}'::public.checked[]"));
    EXPECT_TRUE(runs("SELECT 1 FROM public.orders WHERE how = '{1}'"));
    EXPECT_TRUE(runs("SELECT id FROM over"));
    EXPECT_FALSE(runs("SELECT id FROM crm.customers"));
    EXPECT_FALSE(runs("SELECT 'x'::public.plain"));
}

TEST(Catalog, WhatNobodyKnowsIsOpaque) {
    const auto q = about({});
    EXPECT_TRUE(q.ask("SELECT * FROM nothing_here").unknown_name);
    EXPECT_TRUE(q.finds("SELECT * FROM nothing_here", "opaque"));
    EXPECT_TRUE(q.finds("SELECT frobnicate(1)", "opaque"));
    EXPECT_FALSE(q.finds("SELECT lower('x'), id FROM orders", "opaque"));
    EXPECT_FALSE(q.finds("CREATE TABLE nothing_here (id int)", "opaque"));
    EXPECT_FALSE(q.finds("SELECT relname FROM pg_class", "opaque"));
    EXPECT_TRUE(q.finds("SELECT * FROM pg_stats", "opaque"));
}

TEST(Catalog, ASessionKnowsItsOwnObjects) {
    auto q = about({});
    const auto made = q.ask("CREATE TEMP TABLE mine AS SELECT id FROM public.orders");
    q.own.note(made.facts->statements[0]);
    EXPECT_FALSE(q.finds("SELECT * FROM mine", "opaque"));
    const auto view = q.ask("CREATE TEMP VIEW yours AS SELECT id FROM pii.customers");
    q.own.note(view.facts->statements[0]);
    EXPECT_TRUE(q.finds("SELECT * FROM yours", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT * FROM pg_temp.yours", "read pii.customers"));
    EXPECT_FALSE(q.finds("CREATE TABLE t (id int); SELECT * FROM t", "opaque"));
}

TEST(Catalog, ATemporaryTableHidesTheTableOfItsName) {
    auto q = about({});
    q.path = {"pg_temp_3", "pg_catalog", "pii"};
    q.own.note(q.ask("CREATE TEMP TABLE customers (id int)").facts->statements[0]);
    EXPECT_TRUE(q.finds("SELECT * FROM customers", "read pii.customers"));
    q.temporary = {"customers"};
    EXPECT_FALSE(q.finds("SELECT * FROM customers", "read pii.customers"));
    EXPECT_FALSE(q.finds("SELECT * FROM customers", "opaque"));
    EXPECT_TRUE(q.finds("SELECT * FROM pii.customers", "read pii.customers"));
    EXPECT_TRUE(q.finds("DROP TABLE customers; SELECT * FROM customers", "read pii.customers"));
    EXPECT_TRUE(q.finds("DISCARD TEMP; SELECT * FROM customers", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT 1; SELECT * FROM customers", "read pii.customers"));
    q.temporary = {"orders"};  // which no statement of the session has made
    EXPECT_TRUE(q.finds("SELECT * FROM orders", "opaque"));
    q.path = {"pg_catalog", "pii", "pg_temp_3"};
    q.temporary = {"customers"};
    EXPECT_TRUE(q.finds("SELECT * FROM customers", "read pii.customers"));
}

TEST(Catalog, ColumnsOfAViewAreToldApart) {
    shop s;
    s.view(public_schema, "v1",
           " SELECT c.id, c.name, c.ssn AS x FROM pii.customers c WHERE c.email <> '';",
           {"id", "name", "x"});
    s.view(public_schema, "v2", " SELECT v1.id AS a, v1.x AS b FROM public.v1;", {"a", "b"});
    s.view(public_schema, "v3", " SELECT DISTINCT c.id, c.ssn FROM pii.customers c;",
           {"id", "ssn"});
    s.view(public_schema, "v4", " SELECT c.id, unnest(c.tags) AS t FROM pii.customers c;",
           {"id", "t"});
    const auto q = about(s);
    const auto columns = [&](const std::string& sql) {
        const auto found = q.ask(sql);
        const auto& uses = found.facts->statements[0].relations;
        auto out = std::ranges::find(uses, std::string{"customers"}, &relation_use::name)->columns;
        std::ranges::sort(out);
        return out;
    };
    using list = std::vector<std::string>;
    EXPECT_EQ(columns("SELECT id FROM v1"), (list{"email", "id"}));
    EXPECT_EQ(columns("SELECT x FROM v1"), (list{"email", "ssn"}));
    EXPECT_EQ(columns("SELECT a FROM v2"), (list{"email", "id"}));
    EXPECT_EQ(columns("SELECT b FROM v2"), (list{"email", "ssn"}));
    EXPECT_EQ(columns("SELECT count(*) FROM v2"), (list{"email"}));
    EXPECT_EQ(columns("SELECT id FROM v3"), (list{"id", "ssn"}));
    EXPECT_EQ(columns("SELECT id FROM v4"), (list{"id", "tags"}));
    EXPECT_TRUE(q.finds("SELECT a FROM v2", "read public.v1"));
}

TEST(Catalog, WhatThePolicyAnswersForIsNotOpaque) {
    shop s;
    s.function(public_schema, "f", "plperl", "return 1");
    s.function(public_schema, "g", "plpgsql", "BEGIN EXECUTE x; END");
    auto q = about(s);
    EXPECT_TRUE(q.finds("SELECT f()", "opaque"));
    EXPECT_TRUE(q.finds("SELECT g()", "opaque"));
    q.harmless = {"function:public.g", "language:plperl"};
    EXPECT_FALSE(q.finds("SELECT f()", "opaque"));
    EXPECT_FALSE(q.finds("SELECT g()", "opaque"));
}

TEST(Catalog, OperatorClassesAreCalledByTheTableThatUsesThem) {
    shop s;
    const oid f = s.function(public_schema, "cmp", "sql", "SELECT ssn FROM pii.customers");
    s.r.supports.push_back({s.id_of("orders"), 0, f});
    EXPECT_TRUE(about(s).finds("INSERT INTO orders VALUES (1)", "read pii.customers"));
}

TEST(Catalog, WhatASessionMadeFollowsTheNewestCatalog) {
    shop s;
    s.view(public_schema, "plain", "SELECT id FROM public.orders");
    auto q = about(s);
    q.own.note(q.ask("CREATE TEMP VIEW mine AS SELECT * FROM public.plain").facts->statements[0]);
    EXPECT_FALSE(q.finds("SELECT * FROM mine", "read pii.customers"));
    for (auto& r : s.r.relations)
        if (r.name == "plain") r.definition = "SELECT ssn FROM pii.customers";
    const auto own = q.own;
    q = about(s);
    q.own = own;
    EXPECT_TRUE(q.finds("SELECT * FROM mine", "read pii.customers"));
}

TEST(Catalog, TemporaryObjectsStandBeforeAFixedPathToo) {
    shop s;
    s.view(public_schema, "plain", "SELECT id FROM public.orders");
    s.function(public_schema, "f", "plpgsql", "BEGIN RETURN (SELECT count(*) FROM plain); END");
    s.r.functions.back().settings = {"search_path=public"};
    s.function(public_schema, "g", "sql", "SELECT id FROM plain");
    s.r.functions.back().settings = {"search_path=public"};
    auto q = about(s);
    q.own.note(q.ask("CREATE TEMP VIEW plain AS SELECT * FROM pii.customers").facts->statements[0]);
    EXPECT_TRUE(q.finds("SELECT public.f()", "read pii.customers"));
    EXPECT_TRUE(q.finds("SELECT public.g()", "read pii.customers"));
    q.own.clear();
    EXPECT_FALSE(q.finds("SELECT public.f()", "read pii.customers"));
}

TEST(Catalog, WritingThroughAViewOfTheSessionWritesItsTable) {
    auto q = about({});
    q.own.note(q.ask("CREATE TEMP VIEW mine AS SELECT * FROM pii.customers").facts->statements[0]);
    q.own.note(
        q.ask("CREATE TEMP TABLE copied AS SELECT * FROM pii.customers").facts->statements[0]);
    EXPECT_TRUE(q.finds("DELETE FROM mine", "write pii.customers"));
    EXPECT_FALSE(q.finds("SELECT * FROM mine", "write pii.customers"));
    EXPECT_FALSE(q.finds("DELETE FROM copied", "write pii.customers"));
}

TEST(Catalog, DropTakesAlongViewsAndPolicies) {
    shop s;
    const oid view = s.view(pii, "shown", "SELECT id FROM public.orders");
    s.r.view_columns.push_back({view, s.id_of("orders"), "id"});
    const auto q = about(s);
    EXPECT_TRUE(q.finds("DROP TABLE public.orders CASCADE", "write pii.shown"));
    EXPECT_FALSE(q.finds("DELETE FROM public.orders", "write pii.shown"));
}

TEST(Catalog, APolicyWithoutWithCheckIsEvaluatedByInsert) {
    shop s;
    for (auto& r : s.r.relations)
        if (r.name == "orders") r.row_security = true;
    expression_row e;
    e.what = expression_row::use::policy_using;
    e.relation = s.id_of("orders");
    e.text = "EXISTS ( SELECT FROM pii.customers)";
    s.r.expressions.push_back(e);
    EXPECT_TRUE(about(s).finds("INSERT INTO public.orders VALUES (1)", "read pii.customers"));
}

TEST(Catalog, ATemporaryViewStandsBeforeWhatABodyNames) {
    shop s;
    s.function(public_schema, "f", "plpgsql", "BEGIN PERFORM id FROM orders; END");
    auto q = about(s);
    EXPECT_FALSE(q.finds("SELECT f()", "read pii.customers"));
    q.own.note(
        q.ask("CREATE TEMP VIEW orders AS SELECT id FROM pii.customers").facts->statements[0]);
    EXPECT_TRUE(q.finds("SELECT f()", "read pii.customers"));
}

TEST(Catalog, OnDeleteSetNullUpdates) {
    shop s;
    const oid f = s.function(public_schema, "log_change", "sql", "SELECT ssn FROM pii.customers");
    const oid child = s.table(public_schema, "lines", {"order_id"});
    s.r.foreign_keys.push_back({child, s.id_of("orders"), {"id"}, false, true});
    trigger_row t;
    t.relation = child;
    t.function = f;
    t.on_update = true;
    s.r.triggers.push_back(t);
    EXPECT_TRUE(about(s).finds("DELETE FROM public.orders", "read pii.customers"));
}

TEST(Catalog, PlansAndAnalyzeRunWhatIsIndexedAndChecked) {
    for (const auto what : {expression_row::use::check, expression_row::use::index,
                            expression_row::use::statistics}) {
        shop s;
        s.function(public_schema, "told", "sql", "SELECT count(*) FROM pii.customers");
        expression_row e;
        e.what = what;
        e.relation = s.id_of("orders");
        e.text = "public.told()";
        s.r.expressions.push_back(e);
        const auto q = about(s);
        for (const auto* text :
             {"ANALYZE public.orders", "SELECT id FROM public.orders", "DELETE FROM public.orders"})
            EXPECT_TRUE(q.finds(text, "read pii.customers")) << text;
    }
}

TEST(Catalog, DropTakesAlongWhatIsMadeOfTheRowType) {
    shop s;
    s.function(public_schema, "label", "sql", "SELECT 1");
    for (const auto& t : s.r.relations)
        if (t.name == "orders") s.r.functions.back().argument_types = {t.row_type};
    EXPECT_TRUE(about(s).finds("DROP TABLE public.orders CASCADE", "opaque"));
    EXPECT_FALSE(about({}).finds("DROP TABLE public.orders CASCADE", "opaque"));
}

TEST(Catalog, DeepAndRoundGraphsEnd) {
    shop s;
    s.function(public_schema, "f0", "sql", "SELECT ssn FROM pii.customers");
    for (int i = 1; i < 200; ++i)
        s.function(public_schema, "f" + std::to_string(i), "sql",
                   "SELECT public.f" + std::to_string(i - 1) + "(), public.f199()");
    EXPECT_TRUE(about(s).finds("SELECT f199()", "read pii.customers"));
}

}  // namespace
}  // namespace sallyport::policy::catalog
