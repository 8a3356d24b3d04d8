# How each suite is made ready and run. prepare_NAME prints why it cannot be run and returns 1;
# run_NAME runs in a scratch folder, with $here, $work, $root and $pg_bin set, and prints a
# transcript (see compare.py). Sourced by tests/conformance.sh, and again by each run.

python=/usr/bin/python3

has_package() {  # PACKAGE
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ||
    { echo "the package $1 is not installed"; return 1; }
}

# Compiles only what is newer than its program.
compile() {  # PROGRAM SOURCE COMPILER ARGUMENTS…
  local program=$1 source=$2; shift 2
  [ "$program" -nt "$source" ] || "$@" "$source" -o "$program" "${compile_libraries[@]}" >&2
}

prepare_libpq() {
  has_package libpq-dev || return 1
  compile_libraries=(-lpq)
  compile "$work/libpq" "$here/libpq.c" gcc -std=gnu11 -O1 -Wall -I"$(pg_config --includedir)"
}
run_libpq() { "$work/libpq"; }

prepare_libpqxx() {
  has_package libpqxx-dev || return 1
  compile_libraries=(-lpqxx -lpq)
  compile "$work/libpqxx" "$here/libpqxx.cpp" g++ -std=c++17 -O1
}
run_libpqxx() { "$work/libpqxx"; }

prepare_psycopg2() { has_package python3-psycopg2; }
run_psycopg2() { "$python" "$here/psycopg2_client.py"; }
prepare_psycopg3() { has_package python3-psycopg; }
run_psycopg3() { "$python" "$here/psycopg3_client.py"; }
prepare_asyncpg() { has_package python3-asyncpg; }
run_asyncpg() { "$python" "$here/asyncpg_client.py"; }
prepare_pg8000() { has_package python3-pg8000; }
run_pg8000() { "$python" "$here/pg8000_client.py"; }
prepare_sqlalchemy() { has_package python3-sqlalchemy && has_package python3-psycopg2; }
run_sqlalchemy() { "$python" "$here/sqlalchemy_client.py"; }

prepare_pgjdbc() {
  has_package libpostgresql-jdbc-java || return 1
  command -v javac >/dev/null || { echo "there is no javac"; return 1; }
  [ "$work/java/Pgjdbc.class" -nt "$here/Pgjdbc.java" ] ||
    javac -d "$work/java" -cp /usr/share/java/postgresql.jar "$here/Pgjdbc.java" >&2
}
run_pgjdbc() {
  java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$work/java:/usr/share/java/postgresql.jar" \
    Pgjdbc
}

# The lock file names no registry: npm asks the one that it is configured for.
prepare_node() {
  command -v npm >/dev/null || { echo "there is no npm"; return 1; }
  mkdir -p "$work/node"
  cmp -s "$here/node/package-lock.json" "$work/node/installed-lock.json" && return 0
  cp "$here/node/package.json" "$here/node/package-lock.json" "$work/node/"
  (cd "$work/node" && timeout 400 npm ci --no-audit --no-fund) >&2 ||
    { echo "npm ci did not succeed, see $name.prepare.log"; return 1; }
  cp "$here/node/package-lock.json" "$work/node/installed-lock.json"
}
run_node() {  # PROGRAM
  NODE_PATH=$work/node/node_modules node "$here/node/$1"
}
for package in node-pg postgres-js knex sequelize typeorm drizzle; do
  eval "prepare_${package//-/_}() { prepare_node; }"
  eval "run_${package//-/_}() { run_node ${package//-/_}.js; }"
done

prepare_ruby_pg() { has_package ruby-pg; }
run_ruby_pg() { ruby -I"$here" "$here/ruby_pg.rb"; }

prepare_dbd_pg() { has_package libdbd-pg-perl; }
run_dbd_pg() { perl "$here/dbd_pg.pl"; }

# Debian's Go libraries are sources in a GOPATH.
prepare_go() {  # PROGRAM PACKAGE
  has_package golang-go && has_package "$2" || return 1
  [ "$work/$1" -nt "$here/go/$1.go" ] ||
    GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= GOCACHE=$work/go-cache \
      go build -o "$work/$1" "$here/go/$1.go" >&2
}
prepare_go_pq() { prepare_go go_pq golang-github-lib-pq-dev; }
run_go_pq() { "$work/go_pq"; }
prepare_go_pgx() { prepare_go go_pgx golang-github-jackc-pgx-v4-dev; }
run_go_pgx() { "$work/go_pgx"; }

prepare_php() { has_package php-pgsql && has_package php-cli; }
run_php() { php "$here/php_client.php"; }

prepare_odbc() { has_package odbc-postgresql && has_package python3-pyodbc; }
run_odbc() { "$python" "$here/odbc_client.py"; }

prepare_ecpg() {
  has_package libecpg-dev || return 1
  [ "$work/ecpg" -nt "$here/ecpg.pgc" ] && return 0
  ecpg -o "$work/ecpg.c" "$here/ecpg.pgc" >&2 &&
    gcc -O1 -I"$(pg_config --includedir)" "$work/ecpg.c" -o "$work/ecpg" -lecpg >&2
}
run_ecpg() { "$work/ecpg"; }

prepare_psql() { command -v psql >/dev/null || { echo "there is no psql"; return 1; }; }
run_psql() { bash "$here/psql.sh" "$here"; }
prepare_dump() { prepare_psql; }
run_dump() { bash "$here/dump.sh" "$here"; }
prepare_pgbench() { [ -x "$pg_bin/pgbench" ] || { echo "there is no pgbench"; return 1; }; }
run_pgbench() { PATH=$pg_bin:$PATH bash "$here/pgbench.sh"; }
prepare_tools() { prepare_psql; }
run_tools() { PATH=$pg_bin:$PATH bash "$here/tools.sh"; }
