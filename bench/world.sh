# What the benchmarks share. Sourced behind config/throwaway.sh, with what that wants, and `say` defined.

# → $sallyport, $idle_connections
build_bench() {
  local log=$root/build/bench.log
  "$root/config/install-deps.sh" --bench
  mkdir -p "$root/build"
  say "building …"
  if ! { cd "$root" && cmake --preset release -DSALLYPORT_BENCH=ON &&
         cmake --build build/release --target sallyport idle_connections; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    exit 1
  fi
  sallyport=$root/build/release/sallyport
  idle_connections=$root/build/release/bench/idle_connections
}

# $world/sallyport.yaml: a proxy on these ports before the database shop of the server on $pg_port, whose
# user bench it logs in as, also for the catalog. What comes on standard input goes behind it.
write_settings() {  # PORT ADMIN-PORT
  mkdir -p -m 700 "$world/var"
  printf 'bench\n' >"$world/bench-password"
  chmod 600 "$world/bench-password" "$world/users.yaml"
  cat - >"$world/more.yaml"
  cat - "$world/more.yaml" >"$world/sallyport.yaml" <<YAML
listen:
  postgres: { address: 127.0.0.1, port: $1, tls: { mode: disable } }
  admin:    { address: 127.0.0.1, port: $2 }
state: { sqlite: var/sallyport.db }
audit: { directory: var/audit, signing_key: var/audit.key }
users: users.yaml
policy: policy.yaml
targets:
  shop:
    host: 127.0.0.1
    port: $pg_port
    dbname: shop
    tls: { mode: disable }
    login: { user: bench, password_file: bench-password }
    catalog: { user: bench, password_file: bench-password }
YAML
}

# A server in FOLDER on $pg_port whose superuser is bench, with password bench, and the database shop.
begin_server() {  # FOLDER OPTION…
  local folder=$1; shift
  mkdir -m 700 "$folder"
  [ "$(id -u)" -ne 0 ] || chown postgres "$folder"
  printf 'bench' >"$folder.password"; chmod 644 "$folder.password"
  as_postgres "$pg_bin/initdb" -D "$folder" -U bench -A scram-sha-256 --pwfile="$folder.password" --locale=C \
    -E UTF8 --no-sync >"$folder.initdb" 2>&1 || { cat "$folder.initdb" >&2; exit 1; }
  as_postgres "$pg_bin/pg_ctl" -D "$folder" -l "$folder/log" -w -s \
    -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off $*" start
  export PGHOST=127.0.0.1 PGUSER=bench PGPASSWORD=bench PGSSLMODE=disable HOME=$world
  unset PGOPTIONS PGSERVICE PGDATABASE 2>/dev/null || true
  psql -X -q -p "$pg_port" -d postgres -c 'CREATE DATABASE shop'
}
