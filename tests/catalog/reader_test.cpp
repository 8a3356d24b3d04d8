#include "proxy/catalog/reader.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/catalog/world.h"

/// What is read of a database with every kind of object in it.
namespace sallyport::tests {
namespace {

using policy::catalog::expression_row;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;

class catalog_reader : public catalog_world {
  protected:
    void read() { rows = read_rows(); }
    [[nodiscard]] const policy::catalog::relation_row& relation(const std::string& name) const {
        const auto it = std::find_if(rows.relations.begin(), rows.relations.end(),
                                     [&](const auto& r) { return name_of(r) == name; });
        if (it == rows.relations.end()) throw std::runtime_error("no relation " + name);
        return *it;
    }
    [[nodiscard]] const policy::catalog::function_row& function(const std::string& name) const {
        const auto it = std::find_if(rows.functions.begin(), rows.functions.end(),
                                     [&](const auto& f) { return f.name == name; });
        if (it == rows.functions.end()) throw std::runtime_error("no function " + name);
        return *it;
    }
    [[nodiscard]] const policy::catalog::type_row& type(const std::string& name) const {
        const auto it = std::find_if(rows.types.begin(), rows.types.end(),
                                     [&](const auto& t) { return t.name == name; });
        if (it == rows.types.end()) throw std::runtime_error("no type " + name);
        return *it;
    }
    [[nodiscard]] std::string schema(policy::catalog::oid id) const {
        for (const auto& s : rows.schemas)
            if (s.id == id) return s.name;
        return "?";
    }
    [[nodiscard]] std::string name_of(const policy::catalog::relation_row& r) const {
        return schema(r.schema) + "." + r.name;
    }
    [[nodiscard]] std::string name_of(policy::catalog::oid id) const {
        for (const auto& r : rows.relations)
            if (r.id == id) return name_of(r);
        return id == 0 ? "" : "?";
    }
    [[nodiscard]] std::vector<std::string> expressions(expression_row::use what) const {
        std::vector<std::string> out;
        for (const auto& e : rows.expressions)
            if (e.what == what)
                out.push_back(name_of(e.relation) + (e.column.empty() ? "" : "." + e.column) +
                              ": " + e.text);
        std::sort(out.begin(), out.end());
        return out;
    }
    policy::catalog::rows rows;
};

TEST_F(catalog_reader, relations_have_their_columns_and_what_they_belong_to) {
    sql("CREATE TABLE t (id serial PRIMARY KEY, gone int, big text, sum int GENERATED ALWAYS AS "
        "(length(big)) STORED); ALTER TABLE t DROP COLUMN gone; CREATE TYPE pair AS (a int, b "
        "text); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE MATERIALIZED VIEW m AS TABLE t");
    read();
    EXPECT_EQ(rows.database, database);
    EXPECT_EQ(rows.server_version / 10000, 15U);
    const auto& t = relation("public.t");
    EXPECT_EQ(t.kind, 'r');
    EXPECT_TRUE(t.row_security);
    ASSERT_EQ(t.columns.size(), 3U);
    EXPECT_EQ(t.columns[0].name, "id");
    EXPECT_EQ(t.columns[1].name, "big");
    EXPECT_EQ(t.columns[1].type, 25U);
    EXPECT_FALSE(t.columns[1].generated);
    EXPECT_TRUE(t.columns[2].generated);
    EXPECT_EQ(relation("public.t_pkey").kind, 'i');
    EXPECT_EQ(relation("public.t_pkey").table, t.id);
    EXPECT_EQ(relation("public.t_id_seq").kind, 'S');
    EXPECT_EQ(relation("public.t_id_seq").table, t.id);
    EXPECT_EQ(relation("public.pair").kind, 'c');
    EXPECT_EQ(relation("public.pair").columns.size(), 2U);
    EXPECT_EQ(relation("public.m").kind, 'm');
    const auto toast = "pg_toast.pg_toast_" + std::to_string(t.id);
    EXPECT_EQ(relation(toast).kind, 't');
    EXPECT_EQ(relation(toast).table, t.id);
    EXPECT_EQ(relation(toast + "_index").table, t.id);
    EXPECT_EQ(type("t").relation, t.id);
    EXPECT_EQ(t.row_type, type("t").id);
    EXPECT_EQ(type("_t").element, type("t").id);
    for (const auto& r : rows.relations)
        EXPECT_THAT(schema(r.schema), Not(testing::AnyOf("pg_catalog", "information_schema")));
}

TEST_F(catalog_reader, views_have_qualified_definitions_and_the_columns_they_use) {
    sql("CREATE VIEW v AS SELECT c.name, b.birthday FROM customers c JOIN pii.customers b USING "
        "(id); CREATE VIEW whole AS SELECT c FROM customers c");
    read();
    const auto& v = relation("public.v");
    EXPECT_EQ(v.kind, 'v');
    EXPECT_THAT(v.definition, HasSubstr("pii.customers b"));
    EXPECT_THAT(v.definition, HasSubstr("public.customers c"));
    EXPECT_FALSE(v.whole_row);
    EXPECT_EQ(v.unreadable, "");
    EXPECT_TRUE(relation("public.whole").whole_row);
    std::vector<std::string> used;
    for (const auto& c : rows.view_columns)
        if (c.view == v.id) used.push_back(name_of(c.relation) + "." + c.column);
    EXPECT_THAT(used, testing::UnorderedElementsAre("public.customers.name", "public.customers.id",
                                                    "pii.customers.id", "pii.customers.birthday"));
}

TEST_F(catalog_reader, expressions_stand_with_their_relation) {
    sql("CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';"
        "CREATE TABLE t (a int DEFAULT f(1), b int GENERATED ALWAYS AS (f(a)) STORED, CHECK (f(a) "
        "> 0), EXCLUDE (f(a) WITH =)) ;"
        "CREATE INDEX both_ ON t (f(a), f(b)) WHERE f(b) > 3;"
        "CREATE TABLE p (a int) PARTITION BY RANGE (f(a));"
        "CREATE STATISTICS s ON f(a), b FROM t;"
        "CREATE POLICY rows ON t USING (f(a) > 1) WITH CHECK (f(a) > 2)");
    read();
    using use = expression_row::use;
    EXPECT_THAT(expressions(use::default_value), ElementsAre("public.t.a: public.f(1)"));
    EXPECT_THAT(expressions(use::generated), ElementsAre("public.t.b: public.f(a)"));
    EXPECT_THAT(expressions(use::check), ElementsAre("public.t: (public.f(a) > 0)"));
    EXPECT_THAT(expressions(use::index),
                ElementsAre("public.t: (public.f(b) > 3)", "public.t: public.f(a)",
                            "public.t: public.f(a), public.f(b)"));
    EXPECT_THAT(expressions(use::partition_key), ElementsAre("public.p: public.f(a)"));
    EXPECT_THAT(expressions(use::statistics), ElementsAre("public.t: public.f(a)"));
    EXPECT_THAT(expressions(use::policy_using), ElementsAre("public.t: (public.f(a) > 1)"));
    EXPECT_THAT(expressions(use::policy_check), ElementsAre("public.t: (public.f(a) > 2)"));
}

TEST_F(catalog_reader, functions_have_bodies_defaults_settings_and_types) {
    sql("CREATE FUNCTION plain(a int, OUT b text) LANGUAGE plpgsql SECURITY DEFINER SET "
        "search_path "
        "= pii, public AS 'BEGIN b := (SELECT birthday FROM customers LIMIT 1); END';"
        "CREATE FUNCTION body(a int DEFAULT length('x')) RETURNS bigint BEGIN ATOMIC SELECT "
        "count(*) FROM customers; END;"
        "CREATE PROCEDURE proc() LANGUAGE sql AS 'SELECT 1';"
        "CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, COMBINEFUNC = int4larger);"
        "CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'");
    read();
    const auto& plain = function("plain");
    EXPECT_EQ(plain.kind, 'f');
    EXPECT_EQ(plain.language, "plpgsql");
    EXPECT_THAT(plain.source, HasSubstr("FROM customers LIMIT 1"));
    EXPECT_THAT(plain.settings, ElementsAre("search_path=pii, public"));
    EXPECT_THAT(plain.argument_types, ElementsAre(23U, 25U));
    EXPECT_EQ(plain.return_type, 25U);
    EXPECT_TRUE(plain.security_definer);
    EXPECT_FALSE(plain.atomic);
    EXPECT_FALSE(plain.trigger);
    const auto& body = function("body");
    EXPECT_TRUE(body.atomic);
    EXPECT_THAT(body.source, HasSubstr("public.customers"));
    EXPECT_EQ(body.defaults, "length('x'::text)");
    EXPECT_EQ(function("proc").kind, 'p');
    EXPECT_EQ(function("total").kind, 'a');
    EXPECT_TRUE(function("trg").trigger);
    ASSERT_EQ(rows.aggregates.size(), 1U);
    EXPECT_EQ(rows.aggregates[0].function, function("total").id);
    EXPECT_EQ(rows.aggregates[0].functions.size(), 2U);
    EXPECT_THAT(rows.builtin_functions,
                IsSupersetOf({"length", "pg_read_file", "_pg_expandarray"}));
    EXPECT_THAT(rows.builtin_functions, Not(Contains("plain")));
    EXPECT_TRUE(std::is_sorted(rows.builtin_functions.begin(), rows.builtin_functions.end()));
}

TEST_F(catalog_reader, operators_casts_and_types_have_their_functions) {
    sql("CREATE FUNCTION same(text, int) RETURNS bool LANGUAGE sql AS 'SELECT true';"
        "CREATE OPERATOR === (FUNCTION = same, LEFTARG = text, RIGHTARG = int, RESTRICT = eqsel);"
        "CREATE TYPE mood AS ENUM ('good', 'bad');"
        "CREATE FUNCTION to_mood(int) RETURNS mood LANGUAGE sql AS $$SELECT 'good'::mood$$;"
        "CREATE CAST (int AS mood) WITH FUNCTION to_mood(int);"
        "CREATE DOMAIN email AS text DEFAULT lower('A') CHECK (value ~ '@') CHECK (length(value) > "
        "3);"
        "CREATE FUNCTION apart(float8, float8) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT $1 "
        "- $2';"
        "CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = apart)");
    read();
    ASSERT_EQ(rows.operators.size(), 1U);
    EXPECT_EQ(rows.operators[0].name, "===");
    EXPECT_THAT(rows.operators[0].functions, Contains(function("same").id));
    EXPECT_EQ(rows.operators[0].functions.size(), 2U);
    const auto cast = std::find_if(rows.casts.begin(), rows.casts.end(), [&](const auto& c) {
        return c.function == function("to_mood").id;
    });
    ASSERT_NE(cast, rows.casts.end());
    EXPECT_EQ(cast->source, 23U);
    EXPECT_EQ(cast->target, type("mood").id);
    EXPECT_EQ(type("email").kind, 'd');
    EXPECT_EQ(type("email").base, 25U);
    EXPECT_THAT(type("email").expressions,
                testing::UnorderedElementsAre("lower('A'::text)", "(VALUE ~ '@'::text)",
                                              "(length(VALUE) > 3)"));
    EXPECT_EQ(type("span").kind, 'r');
    EXPECT_EQ(type("span").element, 701U);
    EXPECT_THAT(type("span").functions, Contains(function("apart").id));
    EXPECT_EQ(type("span_multirange").kind, 'm');
    EXPECT_EQ(type("span_multirange").element, type("span").id);
}

TEST_F(catalog_reader, triggers_rules_inheritance_and_foreign_keys) {
    sql("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';"
        "CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (x int) INHERITS (parent);"
        "CREATE TABLE line (parent int REFERENCES parent ON DELETE CASCADE);"
        "CREATE TRIGGER t BEFORE INSERT OR UPDATE ON line FOR EACH ROW WHEN (new.parent > 3) "
        "EXECUTE FUNCTION f();"
        "CREATE RULE r AS ON DELETE TO line DO ALSO INSERT INTO ledger VALUES (old.parent);"
        "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION ev()");
    read();
    sql("DROP EVENT TRIGGER e");
    ASSERT_EQ(rows.triggers.size(), 2U);
    const auto& t = rows.triggers[0];
    EXPECT_EQ(t.name, "t");
    EXPECT_EQ(name_of(t.relation), "public.line");
    EXPECT_EQ(t.function, function("f").id);
    EXPECT_TRUE(t.on_insert && t.on_update && !t.on_delete && !t.on_truncate);
    EXPECT_EQ(t.condition, "(new.parent > 3)");
    EXPECT_EQ(rows.triggers[1].name, "e");
    EXPECT_EQ(rows.triggers[1].relation, 0U);
    EXPECT_EQ(rows.triggers[1].function, function("ev").id);
    ASSERT_EQ(rows.rules.size(), 1U);
    EXPECT_EQ(name_of(rows.rules[0].relation), "public.line");
    EXPECT_THAT(rows.rules[0].definition, StartsWith("CREATE RULE r AS"));
    EXPECT_THAT(rows.rules[0].definition, HasSubstr("INSERT INTO public.ledger"));
    ASSERT_EQ(rows.inheritance.size(), 1U);
    EXPECT_EQ(name_of(rows.inheritance[0].child), "public.child");
    EXPECT_EQ(name_of(rows.inheritance[0].parent), "public.parent");
    ASSERT_EQ(rows.foreign_keys.size(), 1U);
    EXPECT_EQ(name_of(rows.foreign_keys[0].referencing), "public.line");
    EXPECT_EQ(name_of(rows.foreign_keys[0].referenced), "public.parent");
    EXPECT_THAT(rows.foreign_keys[0].referenced_columns, ElementsAre("id"));
    EXPECT_TRUE(rows.foreign_keys[0].delete_reaches);
    EXPECT_FALSE(rows.foreign_keys[0].update_reaches);
}

TEST_F(catalog_reader, foreign_tables_and_search_paths_and_extensions) {
    sql("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (dbname "
        "'other'); CREATE FOREIGN TABLE ft (a int) SERVER s OPTIONS (schema_name 'pii', table_name "
        "'a, b');"
        "ALTER ROLE app IN DATABASE " +
        database + " SET search_path = pii, public; ALTER DATABASE " + database +
        " SET search_path = public");
    read();
    ASSERT_EQ(rows.foreign_tables.size(), 1U);
    EXPECT_EQ(name_of(rows.foreign_tables[0].relation), "public.ft");
    EXPECT_EQ(rows.foreign_tables[0].server, "s");
    EXPECT_EQ(rows.foreign_tables[0].wrapper, "w");
    EXPECT_THAT(rows.foreign_tables[0].options, ElementsAre("schema_name=pii", "table_name=a, b"));
    EXPECT_THAT(rows.foreign_tables[0].server_options, ElementsAre("dbname=other"));
    std::vector<std::string> settings;
    for (const auto& s : rows.settings)
        settings.push_back(s.role + (s.this_database ? "@" : "") + s.name + "=" + s.value);
    EXPECT_THAT(settings, testing::UnorderedElementsAre("app@search_path=pii, public",
                                                        "@search_path=public"));
    EXPECT_THAT(
        rows.functions,
        Not(Contains(testing::Field(&policy::catalog::function_row::name, "plpgsql_call_handler"))))
        << "the server's own";
}

TEST_F(catalog_reader, what_is_temporary_is_left_out) {
    auto psql = hold(
        "CREATE TEMP TABLE mine (a text); CREATE FUNCTION pg_temp.f() RETURNS int "
        "LANGUAGE sql AS 'SELECT 1'");
    read();
    EXPECT_THAT(rows.functions,
                Not(Contains(testing::Field(&policy::catalog::function_row::name, "f"))));
    for (const auto& s : rows.schemas)
        EXPECT_THAT(s.name, Not(HasSubstr("temp")));
    for (const auto& r : rows.relations)
        EXPECT_NE(r.name, "mine");
}

TEST_F(catalog_reader, one_definition_that_cannot_be_had_costs_no_other) {
    sql("CREATE TABLE locked (a int); CREATE VIEW one AS TABLE orders; CREATE VIEW two AS TABLE "
        "locked; CREATE VIEW three AS TABLE orders");
    auto psql = hold("BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE");
    read();
    EXPECT_EQ(relation("public.two").definition, "");
    EXPECT_THAT(relation("public.two").unreadable, HasSubstr("lock timeout"));
    EXPECT_THAT(relation("public.one").definition, HasSubstr("public.orders"));
    EXPECT_THAT(relation("public.three").definition, HasSubstr("public.orders"));
    EXPECT_EQ(relation("public.three").unreadable, "");
}

TEST_F(catalog_reader, names_of_the_databases_own_do_not_stand_in_the_way) {
    sql("CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC; CREATE TABLE evil.pg_class (oid "
        "int); CREATE FUNCTION evil.boom(oid, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE; "
        "END'; CREATE OPERATOR evil.>= (FUNCTION = evil.boom, LEFTARG = oid, RIGHTARG = int); "
        "CREATE OPERATOR evil.<> (FUNCTION = evil.boom, LEFTARG = oid, RIGHTARG = int); "
        "ALTER ROLE sallyport_catalog IN DATABASE " +
        database + " SET search_path = evil, pg_catalog");
    read();
    EXPECT_EQ(relation("public.orders").kind, 'r');
}

TEST_F(catalog_reader, catalogs_larger_than_the_limits_are_refused_by_name) {
    auto limits = proxy::catalog::read_limits{};
    limits.rows_max = 10;
    EXPECT_THAT([&] { (void)read_rows(limits); },
                testing::ThrowsMessage<proxy::catalog::failure>(HasSubstr("more than 10 rows")));
    limits = {};
    limits.bytes_max = 1000;
    EXPECT_THAT([&] { (void)read_rows(limits); },
                testing::ThrowsMessage<proxy::catalog::failure>(HasSubstr("larger than 0 MiB")));
}

}  // namespace
}  // namespace sallyport::tests
