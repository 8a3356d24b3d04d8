#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/decide.h"
#include "policy/loader.h"
#include "policy/opt_out.h"
#include "tests/unit/policy/files.h"
#include "tests/unit/policy/shop.h"
#include "tests/unit/policy/sql_text.h"

/// A rule on reading or writing speaks of whatever does that to rows, in which words it may be put.
namespace sallyport::policy {
namespace {

using namespace std::chrono_literals;
using catalog::about;
using catalog::pii;
using catalog::public_schema;
using catalog::shop;

const instant noon = *parse_instant("2026-03-02T12:00:00Z");

/// Rules about the protected column ("numbers") and everything ("shop"); no rule: `otherwise`.
rule_set_ptr with_rules(const std::string& otherwise, const std::string& rules) {
    return tests::load_sound("version: 1\ndefault: " + otherwise + "\nopaque: " + otherwise +
                             R"yaml(
resources:
  shop: { target: shop, relations: ["pii.*", "public.*"] }
  numbers: { target: shop, relations: ["pii.customers(ssn)"] }
rules:
)yaml" + rules);
}

constexpr const char* held = R"yaml(
    hold: { approvers: { groups: [security] }, wait: 5m }
    opt_out: { approvers: { groups: [security] }, max_duration: 1h }
)yaml";

/// The shop with functions and procedures that read and write the protected column.
class row_kinds : public testing::Test {
  protected:
    row_kinds() {
        world.view(public_schema, "numbers", "SELECT ssn FROM pii.customers", {"ssn"});
        world.r.builtin_functions.emplace_back("pg_notify");
        world.r.builtins.push_back({200, "pg_notify", "pg_notify"});
        world.function(public_schema, "shows", "sql", "SELECT ssn FROM pii.customers");
        world.function(public_schema, "sets", "sql",
                       "UPDATE pii.customers SET ssn = '' RETURNING 1");
        world.function(public_schema, "looks_at", "plpgsql", "BEGIN RETURN true; END");
        world.function(public_schema, "harmless", "sql", "SELECT 1 FROM orders");
        for (const auto* name : {"show_all", "set_all"}) {
            world.function(public_schema, name, "sql",
                           name == std::string_view{"show_all"}
                               ? "SELECT ssn FROM pii.customers"
                               : "UPDATE pii.customers SET ssn = ''");
            world.r.functions.back().kind = 'p';
        }
    }

    [[nodiscard]] facts_ptr facts_of(const std::string& sql) const {
        auto q = about(world);
        return q.ask(sql).facts;
    }
    [[nodiscard]] effect decided(const std::string& sql) const {
        return decide(*rules, who, facts_of(sql).get(), given, noon).effect;
    }
    void expect(effect what, std::initializer_list<const char*> statements) const {
        for (const auto* sql : statements)
            EXPECT_EQ(decided(sql), what) << sql;
    }

    shop world;
    rule_set_ptr rules =
        with_rules("allow", std::string("  - id: numbers-are-read-with-leave\n    on: [numbers]\n"
                                        "    do: [read]\n    effect: hold") +
                                held +
                                "  - id: numbers-are-not-written\n    on: [numbers]\n"
                                "    do: [write]\n    effect: deny\n");
    subject who{{"alice", {"dev"}, false}, "shop", "10.0.0.7", "psql", session_id{7}, {"public"}};
    grants given;
};

TEST_F(row_kinds, what_code_reads_is_read) {
    expect(effect::hold, {
                             "SELECT ssn FROM pii.customers",
                             "CALL show_all()",
                             "SELECT shows()",
                             "SELECT shows() FROM orders FOR UPDATE",
                             "SELECT shows(), pg_notify('a', 'b')",
                             "DECLARE c CURSOR FOR SELECT shows()",
                             "EXPLAIN ANALYZE SELECT shows()",
                             "CREATE TABLE copy AS SELECT shows()",
                             "CREATE INDEX ON orders (shows())",
                             "CREATE VIEW v AS SELECT shows()",
                             "COPY (SELECT shows()) TO STDOUT",
                         });
}

TEST_F(row_kinds, what_code_writes_is_written) {
    expect(effect::deny, {
                             "UPDATE pii.customers SET ssn = ''",
                             "DO $$ BEGIN UPDATE pii.customers SET ssn = ''; END $$",
                             // Of plpgsql only the names are known: it may do anything with them.
                             "DO $$ BEGIN PERFORM ssn FROM pii.customers; END $$",
                             "CALL set_all()",
                             "SELECT sets()",
                             "SELECT sets() FROM orders FOR UPDATE",
                             "SELECT sets(), pg_notify('a', 'b')",
                             "DECLARE c CURSOR FOR SELECT sets()",
                             "CREATE INDEX ON orders (sets())",
                             "COPY (SELECT sets()) TO STDOUT",
                         });
}

TEST_F(row_kinds, are_those_of_every_use_without_a_catalog_too) {
    const auto by_text = [&](const char* sql) {
        return decide(*rules, who, sql::analyse(sql, {}).get(), given, noon).effect;
    };
    for (const auto* sql :
         {"DELETE FROM pii.customers WHERE ssn = '1'",
          "EXPLAIN ANALYZE DELETE FROM orders USING pii.customers c WHERE ssn = '1'",
          "UPDATE orders SET id = 1 FROM pii.customers WHERE ssn LIKE '1%'"})
        EXPECT_NE(by_text(sql), effect::allow) << sql;
    EXPECT_EQ(by_text("EXPLAIN ANALYZE DELETE FROM orders WHERE id = 1"), effect::allow);
}

TEST_F(row_kinds, code_that_does_neither_passes) {
    expect(effect::allow, {
                              "DO $$ BEGIN PERFORM 1; END $$",
                              "DO $$ BEGIN PERFORM id FROM orders; END $$",
                              "SELECT harmless()",
                              "SELECT name FROM pii.customers FOR UPDATE",
                              "UPDATE pii.customers SET name = ''",
                          });
}

TEST_F(row_kinds, ddl_that_looks_at_rows_reads_them) {
    expect(effect::hold,
           {
               "CREATE UNIQUE INDEX ON pii.customers (ssn)",
               "CREATE INDEX ON pii.customers ((ssn::int))",
               "CREATE INDEX ON pii.customers (name) WHERE looks_at(ssn)",
               "CREATE INDEX ON pii.customers (looks_at(customers))",
               "ALTER TABLE pii.customers ADD CHECK (looks_at(ssn))",
               "ALTER TABLE pii.customers ADD CHECK (looks_at(customers.*))",
               "ALTER TABLE pii.customers ADD PRIMARY KEY (ssn)",
               "ALTER TABLE pii.customers ADD FOREIGN KEY (ssn) REFERENCES orders (id)",
               "ALTER TABLE pii.customers ADD EXCLUDE (left(ssn, 1) WITH =)",
               "CREATE STATISTICS s ON (looks_at(ssn)), id FROM pii.customers",
               "ALTER TABLE pii.customers VALIDATE CONSTRAINT any_of_them",
               "ALTER TABLE pii.customers ALTER ssn TYPE int USING ssn::int",
               "ALTER TABLE pii.customers ALTER name TYPE text USING ssn",
               "ALTER TABLE pii.customers ALTER ssn SET NOT NULL",
               "ALTER TABLE pii.customers ADD z text GENERATED ALWAYS AS (ssn) STORED",
               "ALTER TABLE pii.customers ADD z text, ADD CHECK (ssn <> '')",
               "ALTER TABLE orders ATTACH PARTITION pii.customers FOR VALUES IN ('a')",
           });
    expect(effect::allow,
           {
               "CREATE INDEX ON pii.customers (ssn)",
               "CREATE UNIQUE INDEX ON pii.customers (name)",
               "CREATE INDEX ON pii.customers (lower(name)) WHERE id > 1",
               "ALTER TABLE pii.customers ADD z int DEFAULT 1",
               "ALTER TABLE pii.customers ADD CHECK (name <> '')",
               "ALTER TABLE pii.customers ALTER name SET NOT NULL",
               "ALTER TABLE pii.customers RENAME COLUMN name TO called",
               "DROP TABLE pii.customers",
               "DROP VIEW numbers",
               "ALTER VIEW numbers RENAME TO others",
               "COMMENT ON COLUMN pii.customers.ssn IS 'a number'",
               "ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES pii.customers",
           });
}

TEST_F(row_kinds, who_may_do_ddl_needs_no_leave_to_read_for_it) {
    rules = with_rules("deny",
                       "  - { id: migrations, tier: 1, on: [shop], do: [ddl], effect: allow }\n");
    expect(effect::allow, {"CREATE UNIQUE INDEX ON pii.customers (ssn)",
                           "ALTER TABLE pii.customers ADD CHECK (ssn <> '')"});
    expect(effect::deny, {"SELECT ssn FROM pii.customers", "CALL show_all()"});
}

TEST_F(row_kinds, leave_for_ddl_is_none_to_look_at_what_is_held) {
    rules = with_rules("deny",
                       "  - { id: migrations, tier: 1, on: [shop], do: [ddl], effect: allow }\n"
                       "  - { id: numbers, tier: 2, on: [numbers], do: [read], effect: deny }\n");
    expect(effect::allow, {"CREATE UNIQUE INDEX ON pii.customers (name)"});
    expect(effect::deny, {"CREATE UNIQUE INDEX ON pii.customers (ssn)"});
}

TEST_F(row_kinds, word_for_running_code_covers_what_it_does) {
    rules = with_rules("deny",
                       "  - { id: procedures, tier: 1, on: [shop], do: [call], effect: allow }\n");
    expect(effect::allow, {"CALL show_all()", "CALL set_all()"});
    expect(effect::deny, {"SELECT shows()", "DO $$ BEGIN PERFORM ssn FROM pii.customers; END $$"});
}

TEST_F(row_kinds, opt_out_from_reading_is_none_from_what_code_writes) {
    rules = with_rules(
        "allow",
        std::string("  - id: numbers\n    on: [numbers]\n    do: [read, write]\n    effect: hold") +
            held);
    opt_out o;
    o.id = opt_out_id{1};
    o.state = opt_out_state::active;
    o.rule = "numbers";
    o.person = "alice";
    o.scope.kinds = {kind::read};
    o.from = noon - 1min;
    o.until = noon + 1min;
    given.opt_outs.push_back(o);
    expect(effect::allow, {"SELECT ssn FROM pii.customers", "SELECT shows()",
                           "CREATE UNIQUE INDEX ON pii.customers (ssn)"});
    expect(effect::hold, {"SELECT sets()", "CALL set_all()", "SELECT sets() FROM orders FOR UPDATE",
                          "DO $$ BEGIN UPDATE pii.customers SET ssn = ''; END $$"});
    given.opt_outs.front().scope.kinds = {kind::write};
    expect(effect::hold, {"SELECT shows()", "CREATE UNIQUE INDEX ON pii.customers (ssn)"});
}

/// What the open transaction has done to columns, a map of before does not have.
class retold_columns : public row_kinds {
  protected:
    [[nodiscard]] effect after(const std::string& sql) const {
        auto q = about(world);
        const auto found = q.ask(sql).facts;
        facts last = *found;
        last.statements.assign({found->statements.back()});
        return decide(*rules, who, &last, given, noon).effect;
    }
};

TEST_F(retold_columns, column_may_be_any_other_until_the_transaction_ends) {
    for (const auto* sql : {
             "ALTER TABLE pii.customers RENAME ssn TO note; SELECT note FROM pii.customers",
             "ALTER TABLE pii.customers ADD z text GENERATED ALWAYS AS (ssn) STORED; "
             "SELECT z FROM pii.customers",
             "ALTER TABLE pii.customers ALTER name TYPE text USING ssn; "
             "SELECT name FROM pii.customers",
             "ALTER TABLE parent RENAME ssn TO note; SELECT note FROM pii.customers",
             "DO $$ BEGIN ALTER TABLE pii.customers RENAME ssn TO note; END $$; "
             "SELECT note FROM pii.customers",
         })
        EXPECT_EQ(after(sql), effect::hold) << sql;
    for (const auto* sql : {
             "ALTER TABLE pii.customers ADD z text; SELECT z FROM pii.customers",
             "ALTER TABLE pii.customers ADD z text; UPDATE pii.customers SET z = name",
             "DROP TABLE orders; SELECT name FROM pii.customers",
         })
        EXPECT_EQ(after(sql), effect::allow) << sql;
}

}  // namespace
}  // namespace sallyport::policy
