#include <gtest/gtest.h>

#include "policy/sql/analyse.h"
#include "policy/sql/cache.h"
#include "policy/sql/walker.h"
#include "tests/unit/policy/sql_text.h"

/// Functions, operators, types and attributes: what can run code that no relation's name tells.
namespace sallyport::policy::sql {
namespace {

struct expectation {
    const char* sql;
    const char* names;
};

void check(std::initializer_list<expectation> table) {
    for (const auto& e : table)
        EXPECT_EQ(names_text(*analyse(e.sql, {})), e.names) << e.sql;
}

TEST(sql_names, every_operator_is_told_as_the_server_looks_it_up) {
    check({
        {"select 1", ""},
        {"select a + b, -c, @ d from t", "op +; op -; op @"},
        {"select 1 operator(s.+) 2, 1 + 2", "op s.+; op +"},
        {"select a <> b, a != b from t", "op <>"},
        {"select a in (1, 2), a not in (3) from t", "op =; op <>"},
        {"select a between 1 and 2 from t", "op >=; op <="},
        {"select a not between symmetric 1 and 2 from t", "op <; op >"},
        {"select a like 'x', a not ilike 'y', a similar to 'z' from t",
         "fn pg_catalog.similar_to_escape; op ~~; op !~~*; op ~"},
        {"select nullif(a, b) from t", "op ="},
        {"select a is distinct from b from t", "op ="},
        {"select a = any(b), c operator(s.<) all(d) from t", "op =; op s.<"},
        {"select a in (select 1) from t", "op ="},
        {"select a operator(s.~) any (select 1) from t", "op s.~"},
        {"select exists (select 1), (select 2), array(select 3)", ""},
        {"select (a, b) < (c, d) from t", "op <"},
        {"select case a when 1 then 2 end from t", "op ="},
        {"select case when a then 2 end from t", ""},
        {"select 1 from t order by a using operator(s.<)", "op s.<"},
        {"select 1 from t order by a, b desc", ""},
        {"select distinct a from t group by a union select 1", ""},
        {"select 1 from t join u using (a)", "op ="},
        {"select 1 from t natural join u", "op ="},
        {"select 1 from t join u on true", ""},
        {"create table t (a int, exclude using gist (a with operator(s.&&)))", "op s.&&"},
        {"select query_to_xml('select 1 # 2', true, true, '')", "fn query_to_xml; op #"},
    });
}

TEST(sql_names, every_type_is_told_that_may_run_code_or_name_an_object) {
    check({
        {"select a::int, b::text[], c::timestamptz(3) from t", ""},
        {"select a::code, b::s.code[], c::pg_catalog.int4, d::s.int4 from t",
         "type code; type s.code; type s.int4"},
        {"select cast(a as \"char\"), code 'x'", "type code"},
        {"create table t (a s.code default 1, b int, c code[])", "type s.code; type code"},
        {"create table t of s.code", "type s.code"},
        {"alter table t alter a type code using a::other, of kind",
         "type code; type other; type kind"},
        {"create domain d as s.code check (value > 1)", "op >; type s.code"},
        {"create type r as (a s.code, b int)", "type s.code"},
        {"create function f(a s.code, out b int) returns setof kind as 'x' language c",
         "type s.code; type kind"},
        {"create sequence q as code", "type code"},
        {"create index on t (a) with (fastupdate = off)", ""},
        {"select xmlserialize(document a as code) from t", "type code"},
        {"select * from f() as (a code)", "fn f; type code"},
        {"select * from xmltable('/x' passing y columns a code path 'z')", "type code"},
        {"prepare p (code) as select 1", "type code"},
    });
    EXPECT_EQ(to_text(*analyse("create function f(a s.t.c%type) returns t.d%type as 'x' "
                               "language c",
                               {})),
              "create function: ddl | read s.t(c); read t(d)");
}

TEST(sql_names, attributes_are_the_last_parts_of_what_is_selected) {
    check({
        {"select a from t", ""},
        {"select t.* from t", ""},
        {"select t.a, s.t.b, d.s.t.c, t.a from t", "attr a; attr b; attr c"},
        {"select (t).label, ((t).a).b, (f(x)).*, (array[1])[1] from t",
         "fn f; attr label; attr b; attr a"},
        {"update t set a.b = 1, c = t.d", "attr d"},
        {"select t.\"Label\" from t order by t.x", "attr Label; attr x"},
        {"select 1 from t tablesample s.mine (1)", "fn s.mine"},
    });
}

TEST(sql_names, do_not_stop_the_sharing_of_facts) {
    for (const char* sql : {"select t.a from t where b = 'x' and c in (1)", "select a::s.code"})
        EXPECT_FALSE(analyse(sql, {})->literal_sensitive) << sql;
}

TEST(sql_names, are_bounded) {
    std::string sql = "select 1";
    for (std::size_t i = 0; i <= names_max; ++i)
        sql += ", t.c" + std::to_string(i);

    const auto f = analyse(sql + " from t", {});

    const auto& s = f->statements.at(0);
    EXPECT_EQ(s.attributes.size(), names_max);
    EXPECT_TRUE(s.has(kind::opaque));
    EXPECT_GT(memory_bytes(*f), names_max * sizeof(std::string));
}

}  // namespace
}  // namespace sallyport::policy::sql
