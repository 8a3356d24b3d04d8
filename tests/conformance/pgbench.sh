# pgbench in every query mode, and pipelines. Prints what does not depend on speed.

sql() { psql -X -q -A -t "$@"; }
check() {  # NAME PGBENCH-OPTIONS…
  local name=$1; shift
  echo "check $name"
  pgbench --random-seed=7 "$@" >out 2>&1
  echo "  exit $?"
  grep -E 'query mode|transactions actually|failed transactions|error|ERROR|maximum number' out |
    sed 's/^/  /'
  echo pass
}
state() {
  echo "check the database after it"
  sql -c 'select sum(abalance) from pgbench_accounts' -c 'select count(*) from pgbench_history' \
    -c 'select sum(tbalance) from pgbench_tellers' | sed 's/^/  /'
  echo pass
}

echo "check initialising"
pgbench -i -I dtgvpf -s 2 --foreign-keys >out 2>&1
echo "  exit $?"
sql -c 'select count(*), min(aid), max(aid) from pgbench_accounts' | sed 's/^/  /'
pgbench -i -I dtGvp -s 1 --partitions=3 >out 2>&1
echo "  exit $?"
sql -c 'select count(*), min(aid), max(aid) from pgbench_accounts' | sed 's/^/  /'
echo pass

for mode in simple extended prepared; do
  check "$mode, 4 clients" -M $mode -c 4 -j 2 -t 100
  check "$mode, one connection each" -M $mode -c 2 -t 10 -C
  check "$mode, select only" -M $mode -S -c 2 -t 200
  state
done

cat >pipeline.sql <<'SQL'
\set a random(1, 100000)
\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = :a;
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :a;
INSERT INTO pgbench_history (aid, delta, mtime) VALUES (:a, 1, now());
COMMIT;
SELECT 1;
\endpipeline
SELECT count(*) AS n FROM pgbench_branches \gset
\if :n = 1
\startpipeline
SELECT 2;
SELECT 3;
\endpipeline
\endif
SQL
cat >combined.sql <<'SQL'
SELECT 1 AS a \; SELECT 2 AS b \gset x
BEGIN \; UPDATE pgbench_tellers SET tbalance = tbalance + :xb WHERE tid = 1 \; COMMIT;
SQL
cat >broken.sql <<'SQL'
\startpipeline
SELECT 1;
SELECT 1/0;
SELECT 2;
\endpipeline
SQL
cat >retried.sql <<'SQL'
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE pgbench_branches SET bbalance = bbalance + 1 WHERE bid = 1;
COMMIT;
SQL
for mode in extended prepared; do
  check "pipelines, $mode" -n -M $mode -f pipeline.sql -c 4 -j 2 -t 100
  check "a pipeline that fails, $mode" -n -M $mode -f broken.sql -c 1 -t 1
  state
done
check "combined statements" -n -f combined.sql -c 1 -t 50
state
check "failures that are tried again" -n -f retried.sql -c 4 -t 20 --max-tries=1000
sql -c 'select bbalance from pgbench_branches' >/dev/null
check "paced, with logs" -n -S -c 2 -t 20 -R 2000 -L 5000 -l --aggregate-interval=1
check "by the weight" -n -b simple-update@2 -b select-only@5 -c 2 -t 20
echo end
