#include <gtest/gtest.h>

#include "policy/sql/analyse.h"
#include "policy/sql/walker.h"
#include "tests/unit/policy/sql_text.h"

namespace sallyport::policy::sql {
namespace {

struct expectation {
    const char* sql;
    const char* facts;
};

void check(std::initializer_list<expectation> table) {
    for (const auto& e : table)
        EXPECT_EQ(to_text(*analyse(e.sql, {})), e.facts) << e.sql;
}

TEST(sql_facts, of_queries) {
    check({
        {"", ""},
        {" ; -- nothing", ""},
        {"select 1", "select: read"},
        {"select id from t where a = 1", "select: read | read t(id,a)"},
        {"select count(*) from pii.t", "select: read | read pii.t((none)) | fn count"},
        {"select * from pii.t", "select: read | read pii.t"},
        {"select t from t", "select: read | read t"},
        {"select c.id from pii.t c", "select: read | read pii.t(id)"},
        {"select pii.t.id from pii.t", "select: read | read pii.t(id)"},
        {"select f(c) from pii.t c", "select: read | read pii.t | fn f"},
        {"select a from t u(a, b)", "select: read | read t"},
        {"select id from t, u", "select: read | read t(id); read u(id)"},
        {"table db.pii.t", "select: read | read pii.t"},
        {"select 1 operator(public.+) 2", "select: read | op public.+"},
        {"select id from t for update of t", "select: read, lock | read t(id)"},
        {"select a into u from t", "select into: read, ddl | write u; read t(a)"},
        {"create table u as select a from t", "create table as: ddl, read | write u; read t(a)"},
        {"create materialized view u as select 1", "create materialized view: ddl, read | write u"},
        {"explain analyze delete from t", "explain: explain, write | write t"},
        {"select 1; select 2", "select: read / select: read"},
        {"select \"Straße\" from \"T.x\"", "select: read | read T.x(Straße)"},
    });
}

TEST(sql_facts, empty_places_are_accepted_only_where_the_grammar_makes_them) {
    check(
        {{"select distinct a from t", "select: read | read t(a)"},
         {"select distinct on (a) b from t", "select: read | read t(a,b)"},
         {"select * from f(), rows from (g(), h() as (x int))", "select: read | fn f; fn g; fn h"},
         {"select sum(a) over (partition by b), array[1], a[:2] from t group by ()",
          "select: read | read t(a,b) | fn sum"},
         {"select a from t limit all", "select: read | read t(a)"},
         {"create table k (a int, primary key (a), check (a > 0)) with (fillfactor = 70)",
          "create table: ddl | write k"},
         {"create index on t (a desc, lower(b)) include (c) where a > 1",
          "create index: ddl | read t(a,b); write t | fn lower"}});
    PgQuery__Node empty = PG_QUERY__NODE__INIT;
    PgQuery__Node* list[] = {&empty};
    PgQuery__SelectStmt select = PG_QUERY__SELECT_STMT__INIT;
    select.n_target_list = 1;
    select.target_list = list;
    PgQuery__Node root = PG_QUERY__NODE__INIT;
    root.node_case = PG_QUERY__NODE__NODE_SELECT_STMT;
    root.select_stmt = &select;
    statement_facts out;

    walker{out, 0}.run(root);

    EXPECT_TRUE(out.has(kind::opaque));
}

TEST(sql_facts, of_changes) {
    check({
        {"insert into t (a, b) values (1, 2)", "insert: write | write t(a,b)"},
        {"insert into t values (1)", "insert: write | write t"},
        {"insert into t (a) select b from u", "insert: write, read | write t(a); read u(b)"},
        {"insert into t (a) values (1) returning a", "insert: write, read | write t(a); read t(a)"},
        {"insert into t (a) values (1) on conflict (a) do update set b = excluded.b",
         "insert: write, read | write t(a,b); read t(b,a)"},
        {"update t set a = 1", "update: write | write t(a)"},
        {"update t set a = a + 1 where id = 2", "update: write, read | write t(a); read t(a,id)"},
        {"update t set a = u.a from u",
         "update: write, read | write t(a); read t((none)); read u(a)"},
        {"delete from t", "delete: write | write t"},
        {"delete from t where id = 1", "delete: write, read | write t; read t(id)"},
        {"delete from t using u where t.id = u.id",
         "delete: write, read | write t; read t(id); read u(id)"},
        {"merge into t using u on t.id = u.id when matched then delete",
         "merge: write, read | write t; read t(id); read u(id)"},
        {"truncate t, pii.u", "truncate: write | write t; write pii.u"},
        {"with d as (delete from t returning a) select * from d",
         "select: read, write | write t; read t(a)"},
    });
}

TEST(sql_facts, of_common_table_expressions_follow_the_servers_scopes) {
    check({
        {"with t as (select 1) select * from t", "select: read"},
        {"with t as (select 1) select * from public.t", "select: read | read public.t"},
        {"with t as (select * from t) select * from t", "select: read | read t"},
        {"with recursive t as (select 1 union select * from t) select * from t", "select: read"},
        {"with a as (select * from b), b as (select 1) select * from a", "select: read | read b"},
        {"with recursive a as (select * from b), b as (select 1) select * from a", "select: read"},
        {"with t as (select 1) insert into t select * from t", "insert: write, read | write t"},
        {"select (with t as (select 1) select count(*) from t), a from t",
         "select: read | read t(a) | fn count"},
        {"with t as (select 1) update t set a = 1", "update: write, read | write t(a)"},
        {"with x as (with t as (select 1) select * from t) select * from t, x",
         "select: read | read t"},
        {"with t as (select 1) select (select count(*) from (select * from t) q)",
         "select: read | fn count"},
    });
}

TEST(sql_facts, of_copy) {
    check({
        {"copy t to stdout", "copy: read, copy-out | read t"},
        {"copy t (a, b) to stdout", "copy: read, copy-out | read t(a,b)"},
        {"copy t (a) from stdin", "copy: write, copy-in | write t(a)"},
        {"copy t from '/x'", "copy: write, server-file | write t"},
        {"copy t to program 'x'", "copy: read, copy-program, opaque | read t"},
        {"copy (delete from t returning a) to stdout",
         "copy: read, copy-out, write | write t; read t(a)"},
    });
}

TEST(sql_facts, of_cursors_and_prepared_statements) {
    check({
        {"declare C cursor for select a from t",
         "declare: cursor, read | read t(a) | declare c {select: read | read t(a)}"},
        {"fetch all from \"C\"", "fetch: cursor | fetch C"},
        {"move 2 in c", "move: cursor | fetch c"},
        {"close c", "close: cursor | close c"},
        {"close all", "close: cursor | close all"},
        {"prepare P as delete from t", "prepare: prepared | prepare p {delete: write | write t}"},
        {"execute p(1)", "execute: prepared | execute p"},
        {"explain execute p", "explain: explain, prepared | execute p"},
        {"create table x as execute p", "create table as: ddl, prepared | write x | execute p"},
        {"deallocate p", "deallocate: prepared | deallocate p"},
        {"deallocate all", "deallocate: prepared | deallocate all"},
        {"discard all", "discard: session-identity | set = | discard all"},
    });
}

TEST(sql_facts, of_settings) {
    check({
        {"set work_mem = '8MB'", "set: session-setting | set work_mem=8MB"},
        {"set local Search_Path to a, b", "set: session-identity | set local search_path=a, b"},
        {"set role x", "set: session-identity | set role=x"},
        {"reset role", "reset: session-identity | set role="},
        {"reset all", "reset: session-identity | set ="},
        {"set session authorization x", "set: session-identity | set session_authorization=x"},
        {"set names 'SJIS'", "set: session-identity | set client_encoding=SJIS"},
        {"set schema 'x'", "set: session-identity | set search_path=x"},
        {"set transaction read only", "set: transaction"},
        {"show search_path", "show: show"},
        {"select set_config('Role', 'x', true)",
         "select: read, session-identity | fn set_config | set local role=x"},
        {"select set_config('search_path_x'::varchar(11), 'x', true)",
         "select: read, session-identity, opaque | fn set_config | set ="},
        {"select set_config('a' || 'b', 'x', true)",
         "select: read, session-identity, opaque | fn set_config | set ="},
        {"alter role x set search_path = y",
         "alter role: grant, session-identity | set search_path=y"},
        {"alter system set work_mem = 1", "alter system: ddl, maintenance | set work_mem=1"},
        {"update pg_settings set setting = 'x'",
         "update: write, session-identity, opaque | write pg_settings(setting) | set ="},
    });
}

TEST(sql_facts, of_functions_that_take_text) {
    check({
        {"select query_to_xml('select a from pii.t', true, true, '')",
         "select: read | read pii.t(a) | fn query_to_xml"},
        {"select query_to_xml(x, true, true, '')", "select: read, opaque | fn query_to_xml"},
        // What a cast cuts or rewrites is not what stands there.
        {"select query_to_xml('select a from t'::varchar(8), true, true, '')",
         "select: read, opaque | fn query_to_xml"},
        {"select query_to_xml('select a from pii.t'::text, true, true, '')",
         "select: read | read pii.t(a) | fn query_to_xml"},
        {"select query_to_xml('x'::e::text, true, true, '')",
         "select: read, opaque | fn query_to_xml"},
        {"select query_to_xml('t'::regclass::text, true, true, '')",
         "select: read, opaque | fn query_to_xml"},
        {"select table_to_xml('pii.t'::text::regclass, true, true, '')",
         "select: read | read pii.t | fn table_to_xml"},
        {"select table_to_xml('pii.tt'::varchar(5)::regclass, true, true, '')",
         "select: read, opaque | fn table_to_xml"},
        {"select table_to_xml('pii.tt'::name::regclass, true, true, '')",
         "select: read, opaque | fn table_to_xml"},
        {"select setval(pg_get_serial_sequence('s.t', 'id'), 1)",
         "select: read, write | write s.t | fn setval; fn pg_get_serial_sequence"},
        {"select table_to_xml(pg_get_serial_sequence('s.t', 'id'), true, true, '')",
         "select: read, opaque | fn table_to_xml; fn pg_get_serial_sequence"},
        {"select query_to_xml('select query_to_xml(''delete from "
         "t'',true,true,'''')',true,true,'')",
         "select: read, write | write t | fn query_to_xml"},
        {"select query_to_xml('nonsense', true, true, '')",
         "select: read, opaque | fn query_to_xml"},
        {"select table_to_xml('\"Pii\" . T', true, true, '')",
         "select: read | read Pii.t | fn table_to_xml"},
        {"select table_to_xml(16402, true, true, '')", "select: read, opaque | fn table_to_xml"},
        {"select schema_to_xml('pii', true, true, '')", "select: read, opaque | fn schema_to_xml"},
        {"select heap_force_kill('pii.t', array['(0,1)'::tid])",
         "select: read, write | write pii.t | fn heap_force_kill"},
        {"select heap_force_kill((a || 't')::regclass, null)",
         "select: read, opaque | fn heap_force_kill"},
        {"select pg_get_wal_records_info('0/1', '0/2')",
         "select: read, opaque | fn pg_get_wal_records_info"},
        {"select nextval('public.s')", "select: read, write | write public.s | fn nextval"},
        {"select pg_read_file('/x')", "select: read, server-file, opaque | fn pg_read_file"},
        {"select 'pii.t'::regclass", "select: read"},
        {"select to_regclass('pii.t')", "select: read | fn to_regclass"},
        {"select 1 from pg_class where oid = 'pii.t'::regclass",
         "select: read | read pg_class(oid)"},
        {"select pg_relation_size('pii.t'::regclass)", "select: read | fn pg_relation_size"},
        {"select * from crosstab('select 1 from t', 5)",
         "select: read | read t((none)) | fn crosstab"},
    });
}

TEST(sql_facts, of_definitions_and_rights) {
    check({
        {"create table k (like pii.t)", "create table: ddl | write k; read pii.t"},
        {"create table k (a int references pii.t)", "create table: ddl | write k; read pii.t"},
        {"create table k partition of pii.t default", "create table: ddl | write k; write pii.t"},
        {"alter table k inherit pii.t", "alter table: ddl | write k; write pii.t"},
        {"alter table a.k attach partition pii.t default",
         "alter table: ddl | read pii.t; write a.k; write pii.t"},
        {"drop table k, pii.t", "drop table: ddl | write k; write pii.t"},
        {"drop trigger x on pii.t", "drop trigger: ddl | write pii.t"},
        {"drop policy x on db.pii.t", "drop policy: ddl, grant | write pii.t"},
        {"drop schema pii cascade", "drop schema: ddl, opaque | write pii.*"},
        {"alter table t rename to u", "alter table: ddl | write t"},
        {"alter table pii.t set schema x", "alter table: ddl | write pii.t"},
        {"comment on column pii.t.a is 'x'", "comment: ddl | write pii.t"},
        {"create view v as select a from t", "create view: ddl, read | write v; read t(a)"},
        {"create index on pii.t (a)", "create index: ddl | write pii.t"},
        {"create rule r as on insert to t do also delete from u",
         "create rule: ddl, write | write t; write u"},
        {"create trigger x before insert on t execute function s.f()",
         "create trigger: ddl | write t | fn s.f"},
        {"create sequence s owned by pii.t.a", "create sequence: ddl | write s; write pii.t"},
        {"grant select on pii.t to x", "grant: grant | write pii.t"},
        {"grant select on all tables in schema pii to x", "grant: grant | write pii.*"},
        {"create publication p for all tables", "create publication: ddl, replication, opaque"},
        {"drop schema pii", "drop schema: ddl | write pii.*"},
        {"drop type t cascade", "drop type: ddl, opaque"},
        {"drop extension e", "drop extension: ddl, opaque"},
        {"drop view v cascade", "drop view: ddl | write v"},
        {"alter schema pii rename to x", "alter schema: ddl | write pii.*; write x.*"},
        {"alter schema pii owner to x", "alter schema: ddl, grant | write pii.*"},
        {"comment on schema pii is 'x'", "comment: ddl"},
        {"grant usage on schema pii to x", "grant: grant | write pii.*"},
        {"grant execute on all functions in schema pii to x", "grant: grant"},
        {"grant a to b", "grant: grant | write *"},
        {"create role a login", "create role: grant"},
        {"create role a superuser", "create role: grant | write *"},
        {"alter role a bypassrls", "alter role: grant | write *"},
        {"alter role a password 'x'", "alter role: grant"},
        {"create publication p for tables in schema pii, s",
         "create publication: ddl, replication | read pii.*; read s.*"},
        {"create publication p for tables in schema current_schema",
         "create publication: ddl, replication | read *"},
        {"create foreign table f (a int) server s", "create foreign table: ddl, opaque | write f"},
        {"alter database a rename to b", "alter database: ddl, opaque"},
        {"reindex schema pii", "reindex: maintenance | write pii.*"},
        {"reindex database d", "reindex: maintenance | write *"},
        {"vacuum", "vacuum: maintenance | write *"},
        {"analyze", "analyze: maintenance | read *"},
        {"cluster", "cluster: maintenance | write *"},
        {"refresh materialized view v", "refresh materialized view: write | write v"},
        {"lock pii.t", "lock table: lock | read pii.t"},
        {"vacuum full pii.t", "vacuum: maintenance | write pii.t"},
        {"analyze pii.t", "analyze: maintenance | read pii.t"},
        {"do $$begin end$$", "do: execute-code, opaque"},
        {"call p((select 1 from t))", "call: execute-code, opaque, read | read t((none)) | fn p"},
        {"listen x", "listen: notify"},
    });
}

TEST(sql_facts, of_transaction_control) {
    using control = statement_facts::transaction_control;
    const auto of = [](const char* sql) { return analyse(sql, {})->statements.at(0).transaction; };
    EXPECT_EQ(of("begin"), control::begin);
    EXPECT_EQ(of("start transaction"), control::begin);
    EXPECT_EQ(of("end"), control::commit);
    EXPECT_EQ(of("abort"), control::rollback);
    EXPECT_EQ(of("savepoint a"), control::savepoint);
    EXPECT_EQ(of("release a"), control::release);
    EXPECT_EQ(of("rollback to a"), control::rollback_to);
    EXPECT_EQ(of("prepare transaction 'a'"), control::prepare);
    EXPECT_EQ(of("commit prepared 'a'"), control::commit_prepared);
    EXPECT_EQ(of("rollback prepared 'a'"), control::rollback_prepared);
    EXPECT_EQ(of("select 1"), control::none);
}

TEST(sql_facts, names_are_cut_like_the_server_cuts_them) {
    const std::string long_name = std::string(62, 'x') + "ä";
    const auto f = analyse("select 1 from \"" + long_name + "\"; fetch c" + std::string(100, 'y') +
                               "; select nextval('" + long_name + "')",
                           {});
    EXPECT_EQ(f->statements.at(0).relations.at(0).name, std::string(62, 'x'));
    EXPECT_EQ(f->statements.at(1).names.at(0).name, "c" + std::string(62, 'y'));
    EXPECT_EQ(f->statements.at(2).relations.at(0).name, std::string(62, 'x'));
}

TEST(sql_facts, literal_sensitivity_is_the_rule_and_plain_statements_the_exception) {
    for (const char* plain :
         {"select a from t where b = 'x' and c = 1.5", "insert into t values (1, 'x')",
          "update t set a = 'x'", "delete from t", "begin", "commit", "fetch 5 from c", "close c",
          "select '2020-01-01'::date, interval '1 day', 'x'::varchar(5)"})
        EXPECT_FALSE(analyse(plain, {})->literal_sensitive) << plain;
    for (const char* sensitive :
         {"set a.b = 'x'", "select set_config('a', 'b', true)", "select 'x'::regclass",
          "select 'x'::public.code", "select nextval('s')", "do 'x'", "copy t to '/x'",
          "select query_to_xml('x', true, true, '')",
          "create function f() returns int as 'x' language c", "prepare p as select 1",
          "commit prepared 'x'", "not sql", "explain select 1", "select pg_read_file('x')"})
        EXPECT_TRUE(analyse(sensitive, {})->literal_sensitive) << sensitive;
}

TEST(sql_facts, what_must_not_reach_the_parser_is_opaque) {
    const auto reason = [](const std::string& sql, analyse_options o = {}) {
        const auto f = analyse(sql, o);
        const auto& s = f->statements.at(0);
        EXPECT_TRUE(s.has(kind::opaque));
        return s.opaque_reasons.at(0);
    };
    EXPECT_EQ(reason(std::string("select 1\0; drop table t", 22)), "a zero byte in the text");
    EXPECT_EQ(reason("select '\xff'"), "not valid UTF-8");
    EXPECT_EQ(reason("select 123", {.bytes_max = 5}),
              "longer than the inspection limit (10 > 5 bytes)");
    EXPECT_EQ(reason("select 'a\\'", {.standard_conforming_strings = false}),
              "a backslash in a string while standard_conforming_strings is off or not known");
    EXPECT_EQ(reason("selec hunter2"), "does not parse: syntax error at character 1");
}

TEST(sql_facts, reasons_quote_nothing_of_the_text) {
    for (const char* sql : {"alter role a password hunter2", "alter role a hunter2",
                            "select 'hunter2", "select \"hunter2", "set a to hunter2 hunter2"}) {
        const auto f = analyse(sql, {});
        for (const auto& r : f->statements.at(0).opaque_reasons)
            EXPECT_EQ(r.find("hunter2"), std::string::npos) << r;
    }
}

TEST(sql_facts, end_of_a_transaction_is_seen_and_what_stands_behind_it) {
    for (const char* sql : {"commit", "end", "rollback", "abort", "commit and chain",
                            "rollback and chain", "prepare transaction 'x'", "select 1; commit"}) {
        EXPECT_TRUE(analyse(sql, {})->ends_transaction()) << sql;
        EXPECT_FALSE(analyse(sql, {})->leaves_transaction()) << sql;
    }
    for (const char* sql :
         {"begin", "savepoint a", "rollback to a", "release a", "select 1; select 2",
          "rollback to savepoint a; select 1", "do $$ begin end $$; select 1", "execute a"}) {
        EXPECT_FALSE(analyse(sql, {})->may_end_transaction()) << sql;
        EXPECT_FALSE(analyse(sql, {})->leaves_transaction()) << sql;
    }
    for (const char* sql : {"commit; select 1", "commit and chain; select 1",
                            "begin; select 1; rollback; begin; select 2", "execute a; commit"})
        EXPECT_TRUE(analyse(sql, {})->leaves_transaction()) << sql;
    const auto unread = analyse("commit; selec 1", {});
    EXPECT_FALSE(unread->ends_transaction());
    EXPECT_TRUE(unread->may_end_transaction());
}

}  // namespace
}  // namespace sallyport::policy::sql
