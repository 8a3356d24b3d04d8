# pg_dump, pg_restore and pg_dumpall: what is dumped must be the same, and come back the same.
here=$1

check() {  # NAME COMMAND…
  local name=$1; shift
  echo "check $name"
  "$@" >out 2>&1
  echo "  exit $?" >>out
  sed 's/^/  /' out
  echo pass
}
# A dump's text, without what is made anew each time.
shown() { sed -E -e 's/^-- Started on.*|^-- Completed on.*|^.(un)?restrict [A-Za-z0-9]+$//' "$@"; }
compared() { shown "$@" | md5sum; shown "$@" | wc -l; }
sql() { psql -X -q -A -t "$@"; }

sql -v ON_ERROR_STOP=0 -f "$here/schema.sql" >made.log 2>&1
check "the schema is made" cat made.log
for format in plain custom directory tar; do
  check "pg_dump --format=$format" pg_dump --format=$format --create -f "shop.$format" shop
done
check "pg_dump --jobs" pg_dump --format=directory --jobs=3 -f shop.parallel shop
shown shop.plain >plain.txt
check "the plain dump" cat plain.txt
for option in --inserts --column-inserts "--rows-per-insert=7 --inserts" --schema-only --data-only \
  "--clean --if-exists" "--no-owner --no-privileges" "--table=notes --table=people" \
  "--exclude-schema=other" "--serializable-deferrable --data-only" "--enable-row-security" \
  "--quote-all-identifiers" "--encoding=LATIN1 --exclude-table-data=people" "--no-blobs" \
  "--load-via-partition-root" "--snapshot=none" "--role=alice" "--lock-wait-timeout=5s" \
  "--strict-names --table=nowhere" "--section=pre-data" "--disable-dollar-quoting" \
  "--use-set-session-authorization" "--include-foreign-data=elsewhere"; do
  # shellcheck disable=SC2086
  check "pg_dump $option" bash -c 'pg_dump "$@" shop >option.sql; echo "status $?"' - $option
  check "pg_dump $option, its text" compared option.sql
done

# Into another database by each way, and dumped again from there.
restored() {
  sql -d restored -c 'drop subscription if exists feed' >emptied.log 2>&1
  sql -d postgres -c 'drop database restored' -c 'create database restored' >>emptied.log 2>&1
  "$@" >restore.log 2>&1
  echo "status $?"
  cat restore.log
  pg_dump restored | shown >again.txt
  if cmp -s plain.sql again.txt; then echo "the same"; else diff plain.sql again.txt; fi
}
pg_dump shop | shown >plain.sql
pg_dump shop >through.sql
check "restored by psql" restored psql -X -q -d restored -f through.sql
for format in custom directory tar; do
  check "restored from $format" restored pg_restore -d restored "shop.$format"
done
check "restored in parallel" restored pg_restore --jobs=3 -d restored shop.parallel
check "restored in one transaction" restored pg_restore -1 --no-owner -d restored shop.custom
pg_dump --inserts --rows-per-insert=50 shop >inserts.sql
check "restored from inserts" restored psql -X -q -d restored -f inserts.sql
check "the list of an archive" bash -c "pg_restore -l shop.custom | grep -c ';'"
check "pg_dumpall --globals-only" bash -c \
  "pg_dumpall --globals-only -l shop | sed -E 's/SCRAM-SHA-256.*/verifier/; s/restrict .*//'"
check "pg_dumpall --roles-only --no-role-passwords" bash -c \
  "pg_dumpall --roles-only --no-role-passwords -l shop | sed 's/restrict .*//'"
pg_dumpall -l shop >all.sql 2>all.log
echo "check pg_dumpall"
{ cat all.log; sed -E 's/SCRAM-SHA-256.*/verifier/' all.sql | shown; } | md5sum | sed 's/^/  /'
sed 's/^/  /' all.log
echo pass
echo end
