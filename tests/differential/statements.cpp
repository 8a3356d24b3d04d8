#include "tests/differential/statements.h"

#include <vector>

#include "tests/differential/sequence.h"

namespace sallyport::tests::differential {
namespace {

using texts = std::vector<std::string>;

std::string number(random_source& r, std::size_t most = 30) {
    return std::to_string(r.below(most));
}

std::string word(random_source& r) {
    static const texts words{"a", "bc", "it''s", "", "x y", "\xc3\xa4", "a\tb", "nine", "\\x41"};
    return r.pick(words);
}

// A number where the text has a '#', a word where it has a '@'.
std::string fill(random_source& r, const std::string& pattern) {
    std::string out;
    for (const char c : pattern) {
        if (c == '#')
            out += number(r);
        else if (c == '@')
            out += word(r);
        else
            out += c;
    }
    return out;
}

const texts reads{
    "select #",
    "select # as a, '@' as b, null as c",
    "select id, v from t order by id",
    "select id, v from t where id < # order by id",
    "select * from t where id = #",
    "select generate_series(1, #)",
    "select count(*) from t",
    "values (1, '@'), (2, '@')",
    "table u order by id",
    "with w as (select id from t where id > #) select * from w order by id",
    "select '@' || '@'",
    "select v from t where v like '%@%' order by id",
    "select E'a\\'b', '@'",
    "select 'a\\', '@'",
    "select U&'d\\0061t'",
    "select $$dollar '@'$$",
    "select say('notice', '@')",
    "select say('warning', 'w'), say('info', 'i')",
    "select current_setting('DateStyle')",
    "select repeat('x', # * 1000)",
    "select id, b from u order by id",
    "select 1.5::numeric, true, '2020-01-02'::date, array[1,2], '{\"a\":1}'::json",
    "select from t where id < 3",
    "select",
    "show work_mem",
    "show client_encoding",
    "explain (costs off) select * from t where id = #",
    "select id from t where id < # order by id for update",
    "select pg_notify('ch', '@')",
    "select set_config('application_name', '@', false)",
    "select distinct name from pg_prepared_statements order by 1",
    "select name, is_holdable from pg_cursors order by 1",
};

const texts writes{
    "insert into t values (#, '@')",
    "insert into t values (#, '@') returning id, v",
    "insert into t values (# + 100, '@')",
    "insert into t select g, 'g' from generate_series(200, 200 + #) g on conflict do nothing",
    "update t set v = '@' where id = #",
    "update t set v = v || '!' where id = # returning *",
    "delete from t where id = #",
    "delete from t where id > #",
    "insert into u values (#, #, '\\x00ff'::bytea)",
    "insert into d values (#)",
    "insert into d values (1), (#)",
    "truncate u",
    "merge into u using (values (#)) s(i) on u.id = s.i when matched then update set n = 0 "
    "when not matched then insert (id, n) values (s.i, 1)",
    "with w as (delete from t where id = # returning *) select count(*) from w",
    "select id into temp tt from t where id < #",
    "create temp table tmp (a int) on commit drop",
    "create temp table tmp as select 1 as a",
    "insert into tmp values (#)",
    "drop table if exists tmp",
    "create table z1 (a int)",
    "drop table z1",
};

const texts mistakes{
    "select 1/0",
    "selct #",
    "select * from missing",
    "select missing from t",
    "select 'open",
    "insert into t values ('x')",
    "insert into t values (1, 'twice')",
    "select 1 / (id - 3) from t order by id",
    "select $1",
    "select say('exception', '@')",
    "select # from t where",
    "foo bar",
    "select '\xff'",
    "copy missing from stdin",
    "select /* open",
    "create table z1 (a int, a int)",
    "execute nobody",
    "fetch from nobody",
    "deallocate nobody",
    "prepare transaction 'x'",
    "alter system set work_mem = 1",
    "vacuum t",
    "select )(",
};

const texts transactions{
    "begin",
    "begin",
    "begin",
    "start transaction",
    "begin isolation level serializable",
    "begin read only",
    "commit",
    "commit",
    "commit",
    "end",
    "rollback",
    "rollback",
    "abort",
    "savepoint a",
    "savepoint b",
    "rollback to a",
    "rollback to savepoint b",
    "release a",
    "commit and chain",
    "rollback and chain",
    "set transaction read only",
    "set constraints all immediate",
    "set constraints all deferred",
    "lock table t in share mode",
};

const texts settings{
    "set application_name = 'app #'",
    "set datestyle = 'german'",
    "set datestyle to iso, mdy",
    "set timezone = 'Europe/Berlin'",
    "set local timezone = 'UTC'",
    "set intervalstyle = 'iso_8601'",
    "set client_min_messages = notice",
    "set client_min_messages = warning",
    "set client_min_messages = error",
    "set local client_min_messages = log",
    "set client_encoding = 'LATIN1'",
    "set client_encoding to 'UTF8'",
    "set names 'SQL_ASCII'",
    "set standard_conforming_strings = off",
    "set standard_conforming_strings = on",
    "set escape_string_warning = off",
    "set work_mem = '1MB'",
    "set local work_mem = '2MB'",
    "set nonsense = 1",
    "set work_mem = 'much'",
    "set search_path = pg_catalog, public",
    "set default_transaction_read_only = on",
    "set default_transaction_read_only = off",
    "set session authorization default",
    "set role none",
    "set role postgres",
    "reset all",
    "reset datestyle",
    "discard plans",
    "discard temp",
    "discard all",
    "show all_nonsense",
};

// Without EXPLAIN EXECUTE: PostgreSQL 15 does not bound the depth of a statement that explains
// itself, and Parse makes one.
const texts names{
    "prepare s1 as select id, v from t where id < 5 order by id",
    "prepare s2 (int) as select $1 + 1",
    "prepare S1 as insert into t values (# + 300, 's1')",
    "prepare \"S1\" as select 'upper'",
    "execute s1",
    "execute s2 (#)",
    "execute \"S1\"",
    "create temp table et as execute s1",
    "deallocate s1",
    "deallocate prepare s2",
    "deallocate all",
    "declare c1 cursor for select id from t order by id",
    "declare c1 scroll cursor with hold for select id, v from t order by id",
    "declare p1 cursor for select generate_series(1, 7)",
    "declare c1 binary cursor for select id from t order by id",
    "declare \"C1\" no scroll cursor for values (1), (2), (3)",
    "fetch 2 from c1",
    "fetch all c1",
    "fetch backward 1 from c1",
    "fetch absolute 1 c1",
    "fetch next from p1",
    "fetch 0 from c1",
    "fetch \"C1\"",
    "move 1 in c1",
    "move all p1",
    "close c1",
    "close p1",
    "close all",
    "listen ch",
    "listen other",
    "notify ch",
    "notify ch, '@'",
    "unlisten ch",
    "unlisten *",
};

const texts blocks{
    "do $$ begin raise notice 'in a block'; end $$",
    "do $$ begin raise exception 'from a block' using errcode = 'P0042'; end $$",
    "do $$ begin execute 'insert into t values (400, ''dyn'')'; end $$",
    "do $$ begin perform 1/0; exception when others then raise warning 'caught'; end $$",
    "do $$ begin insert into t values (401, 'x'); commit; insert into t values (401, 'y'); end $$",
    "do $$ begin execute 'deallocate all'; end $$",
    "do $$ begin execute 'prepare s1 as select 77'; end $$",
    "call keep(#)",
    "call keep(null)",
    "select '@'; commit; select '@'",
};

}  // namespace

std::string plain_statement(random_source& r) {
    static const texts plain{
        "select #",
        "select id, v from t where id < # order by id",
        "update t set v = 'seen' where id = #",
        "delete from t where id = #",
        "insert into u values (#, 1, null)",
        "select say('notice', 'seen')",
    };
    return fill(r, r.pick(plain));
}

std::string any_statement(random_source& r) {
    const auto n = r.below(100);
    if (n < 26) return fill(r, r.pick(reads));
    if (n < 46) return fill(r, r.pick(writes));
    if (n < 54) return fill(r, r.pick(mistakes));
    if (n < 72) return fill(r, r.pick(transactions));
    if (n < 79) return fill(r, r.pick(settings));
    if (n < 95) return fill(r, r.pick(names));
    return fill(r, r.pick(blocks));
}

std::string query_text(random_source& r) {
    const auto n = r.below(100);
    if (n < 4) {
        static const texts nothing{"",     " ",         ";",      ";;",
                                   "-- x", "/* c */ ;", "\n;\t;", "/* a /* nested */ b */"};
        return r.pick(nothing);
    }
    if (n < 70) return any_statement(r) + (r.percent(40) ? ";" : "");
    if (n < 76) return "/* " + std::to_string(n) + " */ " + any_statement(r) + " -- end";
    std::string text;
    const auto count = 2 + r.below(3);
    for (std::size_t i = 0; i < count; ++i)
        text += (i == 0 ? "" : "; ") + any_statement(r);
    return text;
}

parameterised parse_text(random_source& r) {
    static const std::vector<parameterised> known{
        {"select $1::int + 1", "i"},
        {"select $1::int4, $2::text", "it"},
        {"select id, v from t where id < $1 order by id", "i"},
        {"insert into t values ($1, $2)", "it"},
        {"insert into t values ($1, $2) returning v, id", "it"},
        {"update t set v = $2 where id = $1", "it"},
        {"delete from t where id = $1", "i"},
        {"select length($1::text), length($2::bytea)", "tb"},
        {"insert into u (id, b) values ($1, $2)", "ib"},
        {"select 100 / $1::int", "i"},
        {"select generate_series(1, $1::int)", "i"},
        {"select say($1, $2)", "tt"},
        {"select pg_notify('ch', $1)", "t"},
        {"select $1::text like '%' || $2", "tt"},
        {"select id, v, $1::int from t order by id", "i"},
    };
    const auto n = r.below(100);
    if (n < 45) return r.pick(known);
    if (n < 96) return {any_statement(r), ""};
    return {query_text(r), ""};
}

std::string forbidden_statement(random_source& r) {
    static const texts all{
        "insert into forbidden values (#, 'x')",
        "update forbidden set v = 'x' where id = #",
        "delete from forbidden",
        "select * from forbidden",
        "select t.id from t, forbidden f where f.id = t.id",
        "with w as (delete from forbidden returning *) select * from w",
        "insert into t select id + 500, v from forbidden",
        "truncate forbidden",
        "copy forbidden to stdout",
        "copy forbidden from stdin",
        "declare f3 cursor with hold for select * from forbidden",
        "explain (costs off) delete from forbidden",
        "create temp table ft as select * from forbidden",
    };
    return fill(r, r.pick(all));
}

const std::string& schema_sql() {
    static const std::string sql = R"(
CREATE TABLE t (id int PRIMARY KEY, v text);
CREATE TABLE u (id int, n numeric, b bytea);
CREATE TABLE d (id int UNIQUE DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE forbidden (id int, v text);
INSERT INTO forbidden VALUES (1, 'untouched');
CREATE FUNCTION say(level text, words text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF level = 'exception' THEN
    RAISE EXCEPTION '%', words USING HINT = 'none', DETAIL = level;
  END IF;
  IF level = 'warning' THEN RAISE WARNING '%', words USING ERRCODE = '01234'; END IF;
  IF level = 'info' THEN RAISE INFO '%', words; END IF;
  IF level = 'notice' THEN RAISE NOTICE '%', words; END IF;
  RETURN words;
END $$;
CREATE PROCEDURE keep(i int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO u VALUES (i, 1, NULL);
  COMMIT;
  INSERT INTO t VALUES (i, 'kept');
END $$;
GRANT ALL ON SCHEMA public TO PUBLIC;
GRANT ALL ON t, u, d TO PUBLIC;
)";
    return sql;
}

const std::string& reset_sql() {
    static const std::string sql =
        "TRUNCATE t, u, d; DROP TABLE IF EXISTS z1; "
        "INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 9) AS i; "
        "INSERT INTO u VALUES (1, 1.5, '\\x0102'), (2, NULL, NULL)";
    return sql;
}

const std::string& state_query() {
    static const std::string sql =
        "SELECT '" + std::string(state_marker) +
        "', (SELECT md5(coalesce(string_agg(t::text, ';' ORDER BY t::text), '')) FROM t), "
        "(SELECT md5(coalesce(string_agg(u::text, ';' ORDER BY u::text), '')) FROM u), "
        "(SELECT md5(coalesce(string_agg(d::text, ';' ORDER BY d::text), '')) FROM d), "
        "to_regclass('public.z1') IS NULL, (SELECT count(*) FROM pg_cursors), "
        "(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_locks "
        "WHERE locktype = 'advisory' AND pid = pg_backend_pid())";
    return sql;
}

}  // namespace sallyport::tests::differential
