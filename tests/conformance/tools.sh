# The small programs of postgresql-client. Prints a transcript (see compare.py).

check() {  # NAME COMMAND…
  local name=$1; shift
  echo "check $name"
  "$@" >out 2>&1
  echo "exit $?" >>out
  grep -v '^CPU: ' out | sed -E 's/^done in .*/done/; s/^/  /'
  echo pass
}
psql -X -q -c 'create table t (a int primary key, b text)' \
  -c "insert into t select g, 'b' from generate_series(1, 1000) g" -c 'cluster t using t_pkey'

check "pg_isready" pg_isready
check "pg_isready, another database" pg_isready -d ghost
check "pg_isready, quiet" pg_isready -q
check "vacuumdb" vacuumdb shop
check "vacuumdb --analyze --jobs" vacuumdb --analyze --jobs=3 shop
check "vacuumdb --full --table" vacuumdb --full --table=t shop
check "vacuumdb --analyze-in-stages" vacuumdb --analyze-in-stages shop
check "vacuumdb --table=nowhere" vacuumdb --table=nowhere shop
check "vacuumdb --echo" vacuumdb --echo --table='t(a)' --analyze shop
check "reindexdb" reindexdb shop
check "reindexdb --concurrently" reindexdb --concurrently --table=t shop
check "reindexdb --system --echo" bash -c 'reindexdb --system --echo shop | head -n 20'
check "reindexdb --jobs" reindexdb --jobs=2 --schema=public --echo shop
check "clusterdb" clusterdb --echo shop
check "clusterdb --table" clusterdb --verbose --table=t shop
check "createuser and dropuser" bash -c \
  'createuser --echo --no-password made; dropuser --echo made; dropuser made'
check "createdb and dropdb" bash -c 'createdb --echo made; dropdb --echo --force made; dropdb made'
check "pg_amcheck" pg_amcheck --install-missing --table=t shop
check "oid2name" bash -c 'oid2name -d shop -q | grep -c .'
check "vacuumlo" vacuumlo -v shop
check "pgbench's own clean-up" pgbench -i -I d
check "a wrong password" env PGPASSWORD=wrong vacuumdb shop
echo end
