#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/catalog/world.h"

/// What changes the fingerprint of a catalog, and what does not.
namespace sallyport::tests {
namespace {

using proxy::catalog::connection;

constexpr const char* prepared = R"(
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE VIEW v AS SELECT id FROM orders;
CREATE MATERIALIZED VIEW m AS SELECT id, item FROM orders;
CREATE UNIQUE INDEX ON m (id);
CREATE TABLE part (a int, b text) PARTITION BY LIST (a);
CREATE TABLE whole (a int, b text);
CREATE TABLE leaf (a int, b text);
CREATE TABLE ruled (a int);
CREATE RULE r AS ON INSERT TO ruled DO INSTEAD NOTHING;
CREATE POLICY p ON ruled USING (a > 1);
CREATE TRIGGER t BEFORE INSERT ON ruled FOR EACH ROW EXECUTE FUNCTION trg();
CREATE DOMAIN dom AS text;
CREATE SEQUENCE seq;
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER s FOREIGN DATA WRAPPER w;
CREATE FOREIGN TABLE ft (a int) SERVER s;
)";

class catalog_freshness : public catalog_world {
  protected:
    catalog_freshness() { sql(prepared); }
    [[nodiscard]] std::string fingerprint() {
        return proxy::catalog::read_if_changed(connection_, 7, known_, limits_).fingerprint;
    }
    [[nodiscard]] std::string transactions() {
        return proxy::catalog::take_look(connection_, limits_).transactions;
    }
    /// By the fingerprint; what was read for it is forgotten.
    bool changed_by(const std::string& text) {
        known_ = fingerprint();
        const auto look = transactions();
        sql(text);
        const bool written = transactions() != look;
        const bool changed = fingerprint() != known_;
        EXPECT_TRUE(written || !changed) << "the first look would not have seen it";
        return changed;
    }

    const proxy::catalog::read_limits limits_;
    const proxy::catalog::stop_signal stop_;
    connection connection_{address(), stop_};
    std::string known_;
};

// One after the other in one database: a database for each would take a minute.
constexpr const char* changes[] = {
    "CREATE VIEW v2 AS TABLE orders",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM customers",
    "DROP VIEW v",
    "ALTER TABLE orders RENAME TO orders2",
    "ALTER TABLE orders2 RENAME TO orders",
    "ALTER TABLE orders RENAME item TO thing",
    "ALTER TABLE orders SET SCHEMA pii",
    "ALTER TABLE pii.orders SET SCHEMA public",
    "ALTER TABLE orders ADD COLUMN x int",
    "ALTER TABLE orders DROP COLUMN x",
    "ALTER TABLE orders ALTER thing SET DEFAULT upper('x')",
    "ALTER TABLE orders ALTER thing SET DEFAULT lower('x')",
    "ALTER TABLE orders ADD CHECK (length(thing) > 2)",
    "ALTER TABLE ruled ENABLE ROW LEVEL SECURITY",
    "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 3'",
    "ALTER FUNCTION f() SET search_path = pii",
    "DROP FUNCTION g()",
    "CREATE TRIGGER t2 BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION trg()",
    "ALTER TRIGGER t ON ruled RENAME TO u",
    "ALTER TABLE ruled DISABLE TRIGGER u",
    "DROP TRIGGER u ON ruled",
    "CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION ev()",
    "DROP EVENT TRIGGER e",
    "CREATE OR REPLACE RULE r AS ON INSERT TO ruled DO INSTEAD SELECT 1",
    "DROP RULE r ON ruled",
    "CREATE POLICY q ON orders USING (id > 1)",
    "ALTER POLICY p ON ruled USING (a > 2)",
    "ALTER TABLE leaf INHERIT whole",
    "ALTER TABLE leaf NO INHERIT whole",
    "ALTER TABLE part ATTACH PARTITION leaf FOR VALUES IN (1)",
    "CREATE INDEX ON orders (lower(thing))",
    "CREATE STATISTICS st ON lower(thing), id FROM orders",
    "ALTER DOMAIN dom ADD CHECK (value <> '')",
    "ALTER DOMAIN dom SET DEFAULT 'x'",
    "CREATE TYPE en AS ENUM ('a')",
    "CREATE SCHEMA new",
    "ALTER SCHEMA pii RENAME TO pij",
    "CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)",
    "CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int)",
    "CREATE CAST (dom AS int) WITH INOUT",
    "ALTER SEQUENCE seq OWNED BY orders.id",
    "ALTER FOREIGN TABLE ft OPTIONS (schema_name 'pii')",
    "ALTER SERVER s OPTIONS (dbname 'x')",
    "CREATE EXTENSION pg_trgm",
    "ALTER EXTENSION plpgsql ADD FUNCTION f()",
    "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = pii', current_database()); "
    "END$$",
    "DO $$BEGIN EXECUTE format('ALTER ROLE app IN DATABASE %I SET search_path = pii', "
    "current_database()); END$$",
    "ALTER TABLE public.ledger ADD FOREIGN KEY (id) REFERENCES public.customers",
    "CREATE TABLE public.made AS TABLE public.orders",
    "DROP TABLE public.ledger",
};
TEST_F(catalog_freshness, every_kind_of_ddl_is_seen) {
    for (const char* statement : changes)
        EXPECT_TRUE(changed_by(statement)) << statement;
}

constexpr const char* routine[] = {
    "INSERT INTO ledger VALUES (1, 'x')",
    "UPDATE orders SET amount = 1",
    "DELETE FROM orders",
    "TRUNCATE orders",
    "ANALYZE",
    "VACUUM orders",
    "VACUUM FULL orders",
    "REFRESH MATERIALIZED VIEW m",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "SELECT nextval('seq')",
    "REINDEX TABLE orders",
    "CLUSTER orders USING orders_pkey",
    "CREATE TEMP TABLE x (id serial PRIMARY KEY, a text DEFAULT 'x' CHECK (a <> 'y')); CREATE "
    "INDEX ON x (lower(a)); CREATE TEMP VIEW w AS TABLE x; CREATE FUNCTION pg_temp.f() RETURNS int "
    "LANGUAGE sql AS 'SELECT 1'; CREATE TYPE pg_temp.e AS ENUM ('a')",
    "CREATE TEMP TABLE kept (a text); INSERT INTO kept VALUES ('a'); DROP TABLE kept",
};
TEST_F(catalog_freshness, routine_work_is_no_change) {
    for (const char* statement : routine)
        EXPECT_FALSE(changed_by(statement)) << statement;
}

TEST_F(catalog_freshness, open_temporary_tables_of_others_are_no_change) {
    known_ = fingerprint();
    const auto psql = hold("CREATE TEMP TABLE x (id serial PRIMARY KEY, a text)");
    EXPECT_EQ(fingerprint(), known_);
}

TEST_F(catalog_freshness, unwritten_database_looks_the_same) {
    const auto look = transactions();
    sql("SELECT count(*) FROM orders");
    EXPECT_EQ(transactions(), look);
}

TEST_F(catalog_freshness, fingerprints_of_another_seed_are_others) {
    using proxy::catalog::read_if_changed;
    EXPECT_NE(read_if_changed(connection_, 1, "", limits_).fingerprint,
              read_if_changed(connection_, 2, "", limits_).fingerprint);
}

TEST_F(catalog_freshness, what_is_known_is_not_read_again) {
    using proxy::catalog::read_if_changed;
    const auto first = read_if_changed(connection_, 1, "", limits_);
    EXPECT_TRUE(first.rows);
    EXPECT_FALSE(read_if_changed(connection_, 1, first.fingerprint, limits_).rows);
}

}  // namespace
}  // namespace sallyport::tests
