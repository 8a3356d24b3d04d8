#include <algorithm>

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

TEST(sql_names, attributes_are_told_with_the_relation_that_they_are_of) {
    check({
        {"select a from t", ""},
        {"select t.* from t", ""},
        {"select t.a, s.t.b, d.s.t.c, t.a from t", "attr t.a; attr t.b; attr t.c"},
        {"select o.a from s.t o, u where o.b = u.c", "op =; attr s.t.a; attr s.t.b; attr u.c"},
        {"select a.x from t a join u b on a.i = b.i", "op =; attr t.x; attr t.i; attr u.i"},
        {"select (t).label, ((t).a).b, (f(x)).*, (array[1])[1] from t",
         "fn f; attr label; attr b; attr a"},
        {"update t set a.b = 1, c = t.d", "attr t.d"},
        {"insert into s.t values (1) on conflict (a) do update set b = excluded.c", "attr s.t.c"},
        {"select t.\"Label\" from t order by t.x", "attr t.Label; attr t.x"},
        // What the text shows to be a column is none.
        {"select s.a, s.b, s.count, s.d from (select a, 1 as b, count(*), c from t) s",
         "fn count; attr d"},
        {"select s.a, s.b from (select 1, 2) s(a)", "attr b"},
        {"select x.a, x.b from f() as x(a int)", "fn f; attr b"},
        // What is not certain is of no relation.
        {"with t as (select 1) select t.a from t", "attr a"},
        {"select (select x.a from u x) from t x", "attr u.a"},
        {"select (select 1 from f(x.a) x) from t x", "fn f; attr a"},
        {"select j.a from (t join u using (b)) j", "op =; attr a"},
        {"select t.a from t x(b), t y", "attr a"},
        {"select 1 from t tablesample s.mine (1)", "fn s.mine"},
    });
}

TEST(sql_names, of_definitions_are_told) {
    check({
        {"create operator s.@ (leftarg = s.code, rightarg = text, function = evil.eq, commutator = "
         "operator(s.@), negator = <>, restrict = eqsel)",
         "fn evil.eq; fn eqsel; op s.@; op <>; type s.code"},
        {"create aggregate s.a (code) (sfunc = s.f, stype = kind, finalfunc = g, sortop = >)",
         "fn s.f; fn g; op >; type kind; type code"},
        {"create aggregate a (basetype = code, sfunc1 = f, stype1 = int4)", "fn f; type code"},
        {"create type t (input = s.f, output = g, alignment = int4, like = s.x)",
         "fn s.f; fn g; type s.x"},
        {"create type r as range (subtype = s.t, subtype_diff = s.f)", "fn s.f; type s.t"},
        {"create cast (a as b) with function s.f(a)", "fn s.f; type a; type b"},
        {"create conversion c for 'LATIN1' to 'UTF8' from s.f", "fn s.f"},
        {"create language l handler s.h inline i validator v", "fn s.h; fn i; fn v"},
        {"create access method m type index handler s.h", "fn s.h"},
        {"create event trigger e on ddl_command_end execute function s.f()", "fn s.f"},
        {"create foreign data wrapper w handler s.h validator v", "fn s.h; fn v"},
        {"create operator class s.c for type s.t using btree as operator 1 s.<, function 1 f(a, a)",
         "fn s.<; fn f; op s.<; type s.t; type a"},
        {"create transform for t language l (from sql with function f(internal))",
         "fn f; type t; type internal"},
        {"alter operator s.@ (none, code) set (restrict = f)", "fn s.@; fn f; op s.@; type code"},
        {"alter domain s.d set not null", "type s.d"},
        {"alter domain s.d add check (value <> f())", "fn f; op <>; type s.d"},
        {"alter type s.t rename value 'w' to 'x'", "type s.t"},
        {"alter type s.t rename to u", "type s.t"},
        {"alter type s.t add attribute a int cascade", "type s.t"},
        {"alter domain s.d rename constraint a to b", "type s.d"},
        {"comment on constraint c on domain s.d is 'x'", "type s.d"},
        {"alter function s.f(code) set search_path = x", "fn s.f; type code"},
        {"alter function f rename to g", "fn f"},
        {"grant execute on function s.f to x", "fn s.f"},
        {"drop function s.f(code), g", "fn s.f; fn g; type code"},
        {"drop operator s.@ (none, int)", "fn s.@; op s.@"},
        {"drop type s.t, u", "type s.t; type u"},
        {"drop cast (a as s.b)", "type a; type s.b"},
        {"create function f(a int default g()) returns int as 'x' language c support s.h",
         "fn g; fn s.h"},
    });
}

TEST(sql_names, of_bodies_are_told_when_a_function_is_made) {
    const auto f = analyse(
        "create or replace function s.f() returns text language plpgsql as "
        "$$begin perform x from pii.t where a operator(s.@) b; execute y; end$$",
        {});
    const auto& s = f->statements.at(0);
    const auto has = [](const auto& list, const function_use& use) {
        return std::ranges::find(list, use) != list.end();
    };

    EXPECT_TRUE(has(s.mentions, {"s", "f"}));
    EXPECT_TRUE(has(s.mentions, {"pii", "t"}));
    EXPECT_TRUE(has(s.operators, {"s", "@"}));
    EXPECT_FALSE(s.has(kind::opaque));  // made, not run
    EXPECT_EQ(to_text(*analyse("create function f(a int) returns text language sql as "
                               "'select x from pii.t where i = f.a; set role y'",
                               {})),
              "create function: ddl, read | read pii.t(x,i)");
    EXPECT_TRUE(analyse("create function f() returns text language sql as 'nonsense'", {})
                    ->statements.at(0)
                    .has(kind::opaque));
}

TEST(sql_names, types_that_only_look_like_names_of_objects_are_told) {
    check({
        {"select 'a'::s.regevil = 'a', 'b'::regevil <> 'b'",
         "op =; op <>; type s.regevil; type regevil"},
        {"select 1 from pg_class where oid = 'pii.t'::regclass", "op ="},
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
