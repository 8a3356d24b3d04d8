#include <gtest/gtest.h>

#include "policy/sql/analyse.h"
#include "tests/unit/policy/sql_text.h"

/// Which columns of which table a statement mentions.
namespace sallyport::policy::sql {
namespace {

struct expectation {
    const char* sql;
    const char* relations;
};

void check(std::initializer_list<expectation> table) {
    for (const auto& e : table)
        EXPECT_EQ(columns_text(*analyse(e.sql, {})), e.relations) << e.sql;
}

TEST(sql_columns, of_joins_go_to_the_table_that_the_qualifier_names) {
    check({
        {"select o.id, c.name from orders o join pii.c c on c.id = o.customer",
         "read orders(id,customer); read pii.c(name,id)"},
        {"select a.x, b.y from a, s.b where a.i = s.b.i", "read a(x,i); read s.b(y,i)"},
        {"select x from a, b", "read a(x); read b(x)"},
        {"select a.x, y from a left join b on a.i = b.i order by z",
         "read a(x,i,y,z); read b(i,y,z)"},
        {"select count(*) from a, b", "read a((none)); read b((none))"},
        {"select a.x from a cross join b", "read a(x); read b((none))"},
        {"select a.x from a join b using (i)", "read a(x,i); read b(i)"},
        {"select a.x from a natural join b", "read a; read b"},
        {"select a.x from a natural join (select y from b) q", "read a; read b(y)"},
        {"select c1.x, c2.y from c c1, c c2", "read c(x,y)"},
        {"select db.s.a.x from s.a, b", "read s.a(x); read b((none))"},
        {"select s.a.x from a, t.a, s.a z", "read a(x); read t.a((none)); read s.a((none))"},
        {"select a.x from a tablesample system (1), b", "read a(x); read b((none))"},
        {"select \"A\".x, a.y from \"A\", a", "read A(x); read a(y)"},
    });
}

TEST(sql_columns, of_whole_rows_are_all) {
    check({
        {"select * from a, b", "read a; read b"},
        {"select a.* from a, b", "read a; read b((none))"},
        {"select s.a.* from s.a, b", "read s.a; read b((none))"},
        {"select a from a, b", "read a; read b(a)"},
        {"select row_to_json(x) from a x, b", "read a; read b(x)"},
        {"select x::text, x is null from a x, b", "read a; read b(x)"},
        {"select count(x) from a x, b", "read a; read b(x)"},
        {"select (x).i from a x, b", "read a; read b(x)"},
        {"select (x).to_json from a x, b", "read a; read b(x)"},
        {"select x.to_jsonb from a x, b", "read a; read b((none))"},
        {"select row(x.*) from a x, b", "read a; read b((none))"},
        {"select x.i from a x(i, j), b", "read a; read b((none))"},
        {"select j.i from (a join b on a.k = b.k) j", "read a(i,k); read b(i,k)"},
        {"select j.* from (a join b on a.k = b.k) j, c", "read a; read b; read c((none))"},
        {"select j from (a join b on a.k = b.k) j, c", "read a; read b; read c(j)"},
        {"select i from (a join b on true) j(i, k), c", "read a; read b; read c(i)"},
        {"select j.k from a join b using (k) as j", "read a(k); read b(k)"},
        {"table a", "read a"},
        {"copy a to stdout", "read a"},
        {"copy a (x, y) to stdout", "read a(x,y)"},
    });
}

TEST(sql_columns, of_every_clause_count) {
    check({
        {"select 1 from a, b where a.w = 1 group by a.g having max(a.h) > 1 window v as (order by "
         "a.v) order by a.o",
         "read a(w,g,h,v,o); read b((none))"},
        {"select distinct on (a.d) 1 from a, b", "read a(d); read b((none))"},
        {"select count(*) filter (where a.f), sum(1) over (partition by a.p) from a, b",
         "read a(f,p); read b((none))"},
        {"select case when a.c then 1 end, array[a.d], f(x => a.e), a.g::numeric(3, 1) from a, b",
         "read a(c,d,e,g); read b((none))"},
        {"select xmlelement(name n, xmlattributes(a.x), a.y) from a, b",
         "read a(x,y); read b((none))"},
        {"select 1 from a, f(a.x), b", "read a(x); read b((none))"},
        {"select grouping(a.x) from a, b group by rollup (a.y)", "read a(x,y); read b((none))"},
        {"select a.x from a, b for update of a", "read a(x); read b((none))"},
    });
}

TEST(sql_columns, of_subqueries_follow_the_servers_levels) {
    check({
        {"select q.i from (select i from a) q, b", "read a(i); read b((none))"},
        {"select * from (select i from a) q", "read a(i)"},
        {"select q from (select i from a) q", "read a(i)"},
        {"select * from (select * from a) q", "read a"},
        {"select o.i from o where exists (select 1 from c where c.i = o.k)",
         "read o(i,k); read c(i)"},
        {"select o.i from o where i in (select x from c)", "read o(i,x); read c(x)"},
        {"select o.i from o where exists (select * from c where c.i = o.k)",
         "read o(i,k); read c(i)"},
        {"select 1 from o where exists (select c.*, x from c)", "read o(x); read c(x)"},
        {"select 1 from o where exists (select distinct * from c)", "read o((none)); read c"},
        {"select 1 from o where exists (select * from c except select * from d)",
         "read o((none)); read c; read d"},
        {"select 1 from o where exists (select * from c group by 1)", "read o((none)); read c"},
        {"select 1 from o where exists (select c from c)", "read o(c); read c"},
        {"select 1 from o where exists (select 1 from (select * from c) q)",
         "read o((none)); read c"},
        {"select (select c.x from d c) from c", "read d(x); read c((none))"},
        {"select (select c.x from d) from c", "read d((none)); read c(x)"},
        {"select (select c from d) from c", "read d(c); read c"},
        {"select (select c.* from d) from c", "read d((none)); read c"},
        {"select (select (select c.x from e) from d) from c",
         "read e((none)); read d((none)); read c(x)"},
        {"select c.i from c, (select x from d) q", "read c(i); read d(x)"},
        {"select c.i from c, lateral (select x, c.y from d) q", "read c(i,y,x); read d(x)"},
        {"select c.i from c, lateral (select c.* from d) q", "read c; read d((none))"},
        {"values ((select x from c))", "read c(x)"},
    });
}

TEST(sql_columns, a_name_that_one_level_may_hide_counts_for_the_level_outside_too) {
    check({
        // The ON of a join sees only the two that it joins.
        {"select (select 1 from a join b on c.x = 1, d c) from c",
         "read a((none)); read b((none)); read d(x); read c(x)"},
        // The names inside a join with an alias are not visible outside of it.
        {"select (select c.x from (a c join b on true) j) from c",
         "read a(x); read b((none)); read c(x)"},
        {"select (select q.x from (select 1) q) from c q", "read c((none))"},
    });
}

TEST(sql_columns, of_common_table_expressions_and_set_operations) {
    check({
        {"with q as (select i from a) select * from q, b", "read a(i); read b"},
        {"with q as (select i from a) select q.x from q, b", "read a(i); read b((none))"},
        {"with q(x) as (select * from a) select x from q", "read a"},
        {"with recursive q as (select a.i from a union all select a.k from a, q where a.p = q.i) "
         "select * from q",
         "read a(i,k,p)"},
        {"select x from a union select y from b order by x", "read a(x); read b(y)"},
        {"select * from a intersect select y from b", "read a; read b(y)"},
        {"select (with q as (select c.x) select * from q) from c", "read c(x)"},
        {"with d as (delete from a where i = 1 returning x) select * from d, b",
         "write a; read a(i,x); read b"},
    });
}

TEST(sql_columns, of_changes_tell_what_is_written_from_what_is_read) {
    check({
        {"insert into a (x, y) select u, v from b", "write a(x,y); read b(u,v)"},
        {"insert into a select u from b", "write a; read b(u)"},
        {"insert into a default values", "write a"},
        {"insert into a (x) values ((select y from b)) returning z",
         "write a(x); read a(z); read b(y)"},
        {"insert into a (x) values (1) returning *", "write a(x); read a"},
        {"insert into a (x) values (1) on conflict do nothing", "write a(x); read a(x)"},
        {"insert into a (x) values (1) on conflict (i) do update set y = excluded.z, w = b.w "
         "where b.v",
         "write a(x,y,w); read a(z,i,x,y,w)"},
        {"insert into a as t (x) values (1) on conflict (i) do update set y = t.z",
         "write a(x,y); read a(z,i,x,y)"},
        {"insert into a (x) values (1) on conflict (i) do update set y = (excluded).z",
         "write a(x,y); read a"},
        {"update a set x = 1", "write a(x)"},
        {"update a set x = 1 where true", "write a(x); read a((none))"},
        {"update a t set x = t.y from b where t.i = b.i", "write a(x); read a(y,i); read b(i)"},
        {"update a set (x, y) = (select u, b.v from b)", "write a(x,y); read a(u); read b(v,u)"},
        {"update a set x[z] = 1", "write a(x); read a(z)"},
        {"update a set x = 1 from b where b.i = 1 returning a.*", "write a(x); read a; read b(i)"},
        {"delete from a using b where a.i = b.i", "write a; read a(i); read b(i)"},
        {"delete from a t where t.i = (select c.x from c)", "write a; read a(i); read c(x)"},
        {"merge into a t using b s on t.i = s.i when matched and s.k then update set x = s.y when "
         "not matched then insert (i, z) values (s.i, s.z)",
         "write a(x,i,z); read a(i); read b(i,k,y,z)"},
        {"merge into a using (select u from b) s on a.i = s.u when not matched then insert "
         "values (1)",
         "write a; read a(i); read b(u)"},
        {"merge into a using b on a.i = b.i when matched then delete",
         "write a; read a(i); "
         "read b(i)"},
        {"merge into a using b on true when matched then do nothing",
         "write a((none)); read a((none)); read b((none))"},
        {"with q as (select 1) update a set x = q.y from q", "write a(x); read a((none))"},
    });
}

TEST(sql_columns, of_statements_inside_others) {
    check({
        {"create view v as select c.i from c, d", "write v; read c(i); read d((none))"},
        {"create table n as select c.i from c, d", "write n; read c(i); read d((none))"},
        {"copy (select c.i from c, d) to stdout", "read c(i); read d((none))"},
        {"explain select c.i from c, d", "read c(i); read d((none))"},
        {"declare k cursor for select c.i from c, d", "read c(i); read d((none))"},
        {"select query_to_xml('select c.i from c, d', true, true, '')",
         "read c(i); read d((none))"},
        {"create function f(i int) returns int begin atomic select f.i from c; end",
         "read c((none))"},
        {"create policy p on t using (exists (select 1 from c where c.i = t.k))",
         "write t; read c(i)"},
    });
}

TEST(sql_columns, names_are_compared_as_the_server_cuts_them) {
    const std::string stem(62, 'x');
    const auto f = analyse("select \"" + stem + "ä\".i from c \"" + stem + "Ā\", d", {});
    EXPECT_EQ(columns_text(*f), "read c(i); read d((none))");
}

TEST(sql_columns, that_are_too_many_are_all) {
    std::string many = "select 1";
    for (int i = 0; i < 2000; ++i)
        many += ", c" + std::to_string(i);
    std::string from = " from t0";
    for (int i = 1; i < 200; ++i)
        from += ", t" + std::to_string(i);

    const auto f = analyse(many + from, {});

    ASSERT_EQ(f->statements.at(0).relations.size(), 200u);
    for (const auto& r : f->statements.at(0).relations)
        EXPECT_TRUE(r.columns.empty()) << r.name;
}

}  // namespace
}  // namespace sallyport::policy::sql
