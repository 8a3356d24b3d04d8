# psql: everything that its manual offers and that ends. Prints a transcript (see compare.py).
here=$1
PSQLRC=/dev/null

# What psql prints, on both streams, in the order that it prints it; object numbers do not count.
check() {  # NAME OPTIONS…, the script on stdin
  local name=$1; shift
  echo "check $name"
  psql -X "$@" >out 2>&1
  echo "  exit $?" >>out
  sed -E -e 's/"pg_toast_[0-9]+/"pg_toast_N/; s/^(lo_import|lo_unlink) [0-9]{5,6}$/\1 N/; s/\x27[0-9]{5,6}\x27/N/g;
    s/with PID [0-9]+/with PID N/' -e 's/^/  /' out
  echo pass
}

check "the schema is made" -q -v ON_ERROR_STOP=0 -f "$here/schema.sql" </dev/null
family=$(for c in d d+ da dA dA+ dAc dAf dAo dAp db db+ dc dC+ dd dD+ dconfig ddp dE dE+ des+ det+ \
  deu+ dew+ df df+ dF dF+ dFd dFp dFt dg dg+ di di+ dl dl+ dL dL+ dm dm+ dn dn+ do do+ dO+ dp z dP \
  dP+ dPn dPt drds dRp dRp+ dRs dRs+ ds ds+ dt dt+ dT dT+ du du+ dv dv+ dx dx+ dX dX+ dy dy+ l l+ \
  lo_list sf sv; do
  echo "\\echo == $c"
  case $c in
    dconfig) echo '\dconfig *work_mem*' ;;
    dA*|dc|dO+|dF*|do*|dT*) echo "\\$c *p*" ;;
    da|df*) echo "\\$c public.*" ;;
    sf) echo '\sf several'; echo '\sf+ several' ;;
    sv) echo '\sv adults'; echo '\sv+ adults' ;;
    *) echo "\\$c" ;;
  esac
done; echo '\d people
\d+ people
\d notes
\d+ notes
\d parted
\d+ parted_low
\d adults
\d+ adults
\d+ totals
\d counter
\d people_pkey
\d+ far
\d mood
\dt other.*
\dS pg_class
\d+ pg_catalog.pg_am
\df+ twice
\do+ ~~~
\dx+ pgcrypto
\d nothing_like_it
\d (
\lo_list+
\set
\conninfo')
# Sizes and access times are the machine's, and so is the port.
check "the \\d family" -P footer=on <<<"$(sed 's/^\\set$//' <<<"$family")"
check "the \\d family, its queries" -E -A -t <<'SQL'
\d people
\dt
\df public.*
\du
\l shop
SQL

check "formats and variables" <<'SQL'
\pset null '(null)'
SELECT id, name, feels, doubled FROM people ORDER BY id LIMIT 3;
\x auto
\x on
SELECT * FROM people ORDER BY id LIMIT 2;
\x off
\a
SELECT 1 AS a, NULL AS b;
\t
\pset format csv
SELECT id, name FROM people WHERE id > 200 ORDER BY id;
\pset format html
SELECT id, name FROM people WHERE id > 202 ORDER BY id;
\pset format wrapped
\pset format latex
SELECT 1;
\pset format asciidoc
SELECT 1;
\pset format aligned
\t
\set v it''s
SELECT :'v', :'v' AS ":v";
\unset v
SELECT :v;
\echo :DBNAME :USER :HOST :ENCODING :SERVER_VERSION_NAME :SQLSTATE :LAST_ERROR_SQLSTATE
\echo :LAST_ERROR_MESSAGE
\echo :ERROR :ROW_COUNT
\encoding
\encoding LATIN1
SELECT chr(233);
\encoding UTF8
\if :{?v}
\echo set
\else
\echo unset
\endif
\timing off
\prompt 
\! echo shell
\cd .
\warn to stderr
\qecho to output
SQL

check "\\gdesc, \\gset, \\gexec, \\g, \\gx, \\crosstabview, \\bind" <<'SQL'
SELECT 1 AS a, 'x'::text AS b, now() AS c, NULL AS d \gdesc
SELECT 1 \gdesc
INSERT INTO quick VALUES (1) \gdesc
selec \gdesc
SELECT 41 + 1 AS answer, 'x' AS letter \gset my_
\echo :my_answer :my_letter
SELECT 1 AS a WHERE false \gset
SELECT g AS a FROM generate_series(1, 2) g \gset
SELECT format('SELECT %s AS n', g) FROM generate_series(1, 3) g \gexec
SELECT 'SELECT 1/0' UNION ALL SELECT 'SELECT ''after''' \gexec
SELECT 1 AS a, 2 AS b \gx
SELECT 1 \g out.txt
\! cat out.txt
SELECT 'piped' \g | cat
SELECT 1 \g (format=unaligned tuples_only=on)
SELECT r, c, r * c AS v FROM generate_series(1, 3) r, generate_series(1, 3) c
\crosstabview r c v
SELECT 1 \crosstabview
SELECT $1 \bind 5 \g
SELECT 1 \; SELECT 2 \; SELECT 3;
\set SHOW_ALL_RESULTS off
SELECT 1 \; SELECT 2 \; SELECT 3;
SELECT 1 \; SELECT 1/0 \; SELECT 3;
SELECT 'abc
def', "
" FROM people;
SQL

check "errors: VERBOSITY, SHOW_CONTEXT, \\errverbose" <<'SQL'
\errverbose
SELECT 1/0;
\errverbose
\set VERBOSITY verbose
SELEC;
INSERT INTO people (id, name) VALUES (1, 'x');
\set VERBOSITY terse
SELECT * FROM nowhere;
\set VERBOSITY sqlstate
SELECT * FROM nowhere;
\set VERBOSITY default
\set SHOW_CONTEXT always
DO $$ BEGIN RAISE NOTICE 'with context'; PERFORM 1/0; END $$;
\set ECHO errors
SELECT  *  FROM nowhere;
\echo :ERROR :SQLSTATE :LAST_ERROR_MESSAGE
SELECT 1;
\echo :ERROR :SQLSTATE :LAST_ERROR_MESSAGE
SQL

check "ON_ERROR_ROLLBACK and AUTOCOMMIT" <<'SQL'
\set ON_ERROR_ROLLBACK on
BEGIN;
INSERT INTO quick VALUES (10);
SELECT 1/0;
INSERT INTO quick VALUES (11);
SELEC;
SELECT $1 \gdesc
COMMIT;
SELECT * FROM quick WHERE a >= 10 ORDER BY a;
BEGIN; SAVEPOINT a; SELECT 1/0; ROLLBACK TO a; RELEASE a; COMMIT;
BEGIN;
COPY quick FROM stdin;
bad
\.
SELECT count(*) FROM quick;
ROLLBACK AND CHAIN;
COMMIT;
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT off
INSERT INTO quick VALUES (20);
\echo before
ROLLBACK;
SELECT count(*) FROM quick WHERE a = 20;
VACUUM quick;
COMMIT;
\set AUTOCOMMIT on
VACUUM (VERBOSE off) quick;
BEGIN;
SELECT 1/0;
SELECT 'refused';
COMMIT;
SQL

check "FETCH_COUNT" -v FETCH_COUNT=7 <<'SQL'
SELECT g, repeat('x', g) FROM generate_series(1, 30) g;
SELECT g, 10 / (20 - g) FROM generate_series(1, 30) g;
SELECT 'still there';
BEGIN;
SELECT g FROM generate_series(1, 9) g;
INSERT INTO quick VALUES (30) RETURNING a;
WITH d AS (DELETE FROM quick WHERE a = 30 RETURNING a) SELECT * FROM d;
COMMIT;
SELECT 1 \; SELECT 2;
EXPLAIN (COSTS OFF) SELECT 1;
SQL

printf 'select 1\nselect 1/0\n\\echo done\nselect 2; select 3\n' | check "SINGLELINE" -S
printf '\\set ON_ERROR_STOP on\nselect 1;\nselec;\nselect 3;\n' >stop.sql
check "ON_ERROR_STOP" -f stop.sql </dev/null
printf 'create table one_tx (a int);\ninsert into one_tx values (1);\nselec;\n' >one.sql
check "one transaction that fails" -1 -f one.sql </dev/null
check "one transaction" -1 -c 'create table one_tx (a int)' -c 'insert into one_tx values (1)' \
  -c 'table one_tx' </dev/null
check "options -c with several statements" -c 'select 1; select 2' -c '\dt one_tx' \
  -c 'begin; insert into one_tx values (2); select 1/0; commit' -c 'table one_tx' </dev/null
check "options -l, -A, -F, -R, -x" -A -F '|' -R '!' -x -c 'select 1 a, 2 b' </dev/null
check "step by step, echoed" -a -e -b -L log.txt -c 'select 1' </dev/null

check "\\copy and COPY both ways" <<'SQL'
CREATE TEMP TABLE c (a int, b text);
\copy c from stdin
1	one
2	tab\tand \\ and \N
\.
COPY c FROM stdin WITH (FORMAT csv);
3,"quoted, ""text"""
\.
\copy (select * from c order by a) to stdout csv header
\copy c to 'copied.txt'
\copy c from 'copied.txt'
\copy c from 'nosuchfile'
\copy c to program 'wc -l'
\copy c from program 'seq 10 12 | sed s/$/,p/' csv
COPY c TO stdout;
COPY c (a) FROM stdin;
1
bad
\.
\copy people to 'people.bin' binary
CREATE TEMP TABLE again (LIKE people);
ALTER TABLE again DROP COLUMN doubled;
\copy (select id,name,feels,born,age,raw,data,tags,twosome,during,german from people) to 'p.bin' binary
\copy again from 'p.bin' binary
SELECT count(*), md5(string_agg(name, '' ORDER BY id)) FROM again;
COPY (SELECT repeat('w', 1000000)) TO stdout \g wide.txt
\! wc -c wide.txt
COPY c FROM PROGRAM 'echo 77';
COPY nowhere TO stdout;
SELECT count(*) FROM c;
SQL

check "large objects" <<'SQL'
\! head -c 300000 /dev/zero | tr '\0' z > object
\lo_import object 'an imported file'
SELECT length(lo_get(:LASTOID));
\lo_export :LASTOID exported
\! cmp object exported && echo equal
\set imported :LASTOID
SELECT obj_description(:LASTOID, 'pg_largeobject');
\lo_unlink :LASTOID
\lo_unlink 1
\lo_import nosuchfile
\lo_export 70001 exported
\! od -c exported
BEGIN;
\lo_export 70002 exported
\lo_unlink 4000000000
SELECT 1;
ROLLBACK;
SQL

echo 'check \watch until it fails'
psql -X -q -A -t <<'SQL' 2>&1 | sed 's/^/  /'
CREATE TEMP SEQUENCE w;
\pset title watched
SELECT 'turn ' || n, 1 / (4 - n) FROM nextval('w') n \watch 0.01
SELECT 'after';
SQL
echo pass

check "\\c, \\password's helper, \\sf, \\ef without change" <<'SQL'
\c
\c - - - -
\c shop alice
\c "dbname=shop application_name=again"
SHOW application_name;
\c postgres
SELECT current_database();
\c -reuse-previous=on shop
SELECT current_database(), current_user;
\setenv EDITOR true
\sf twice
\help select
\q
SQL
check "notices and notifications" <<'SQL'
LISTEN news;
NOTIFY news, 'hello';
SELECT 1;
DROP TABLE IF EXISTS no_such_table;
SET client_min_messages = debug1;
CREATE TEMP TABLE s (a serial);
SQL
check "a wrong password" -d 'password=wrong sslmode=disable' -c 'select 1' </dev/null
check "a cancelled statement" -c "set statement_timeout = '50ms'" -c 'select pg_sleep(30)' \
  -c 'select 1' </dev/null
echo "check Ctrl-C"
psql -X -c "select 'before'" -c "select pg_sleep(33)" -c "select 'after'" >out 2>&1 &
running=$!
until [ "$(psql -X -A -t -c "select count(*) from pg_stat_activity where wait_event = 'PgSleep'
  and query like '%pg_sleep(33)%' and pid <> pg_backend_pid()")" = 1 ]; do :; done
kill -INT "$running"
wait "$running"
echo "  exit $?"
sed 's/^/  /' out
echo pass
check "a very long statement" -A -t < <(echo "select length('$(head -c 3000000 /dev/zero |
  tr '\0' q)')")
echo end
