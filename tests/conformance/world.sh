# Two PostgreSQL servers from one template, one to be reached directly and one behind Sallyport, and
# the certificates of all three. Sourced by tests/conformance.sh, behind config/throwaway.sh.

make_certificates() {
  local dir=$world/tls
  mkdir "$dir"
  (
    cd "$dir" || exit 1
    for ca in ca other-ca; do
      openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$ca" \
        -keyout "$ca.key" -out "$ca.crt"
    done
    openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n' >server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
      -extfile server.ext -out server.crt
  ) >"$dir/log" 2>&1 || { cat "$dir/log" >&2; fail "the certificates could not be made"; }
  chmod 600 "$dir"/*.key
}

start_cluster() {  # NAME PORT
  local data=$world/pg-$1
  cp "$world/tls/server.crt" "$world/tls/server.key" "$data/"
  [ "$(id -u)" -ne 0 ] || chown postgres "$data/server.crt" "$data/server.key"
  clusters+=("$data")
  as_postgres "$pg_bin/pg_ctl" -D "$data" -l "$data/server.log" -w -s \
    -o "-p $2 -c listen_addresses=localhost -c unix_socket_directories= -c fsync=off -c ssl=on" \
    -o "-c max_prepared_transactions=10 -c wal_level=logical -c shared_buffers=32MB" \
    -o "-c max_connections=60 -c autovacuum=off" start ||
    { tail -n 20 "$data/server.log" >&2; fail "PostgreSQL did not start on port $2"; }
}

make_clusters() {
  mkdir -m 700 "$world/pg-direct"
  [ "$(id -u)" -ne 0 ] || chown postgres "$world/pg-direct"
  install -m 644 /dev/null "$world/superuser"
  printf alice-secret >"$world/superuser"
  as_postgres "$pg_bin/initdb" -D "$world/pg-direct" -U alice -A scram-sha-256 \
    --pwfile="$world/superuser" -E UTF8 --locale=C --no-sync >"$world/initdb.log" 2>&1 ||
    { cat "$world/initdb.log" >&2; fail "initdb failed"; }
  cp -a "$world/pg-direct" "$world/pg-through"
  start_cluster direct "$direct_port"
  start_cluster through "$upstream_port"
}

write_configuration() {
  mkdir -m 700 "$world/secrets" "$world/var"
  (umask 077; printf 'alice-secret\n' >"$world/secrets/alice")
  {
    echo "users:"
    printf 'alice-secret\n' | "$binary" passwd alice - --groups dev
  } >"$world/users.yaml"
  chmod 600 "$world/users.yaml"
  cat >"$world/policy.yaml" <<'YAML'
version: 1
default: allow
opaque: allow
log: all
rules:
  - { id: functions-by-number, tier: 10, do: [fastpath], effect: allow }
YAML
  local target
  {
    cat <<YAML
listen:
  postgres:
    address: 127.0.0.1
    port: $through_port
    tls: { mode: prefer, certificate: tls/server.crt, key: tls/server.key }
  admin: { address: 127.0.0.1, port: $admin_port }
state: { sqlite: var/sallyport.db }
audit: { directory: var/audit, signing_key: var/audit.key }
users: users.yaml
policy: policy.yaml
targets:
YAML
    # A target named ghost has no database: what a client is told then is compared too.
    for target in shop restored postgres template1 alice ghost; do
      cat <<YAML
  $target:
    host: localhost
    port: $upstream_port
    tls: { mode: verify-full, ca: tls/ca.crt }
    login: { user: alice, password_file: secrets/alice }
YAML
    done
  } >"$world/sallyport.yaml"
}

make_world() {
  world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-conformance.XXXXXX")
  chmod 711 "$world"
  # Below the ports that the system gives to outgoing connections; others may do the same now.
  local first=$((20000 + RANDOM % 12000))
  free_port "$first"; direct_port=$found
  free_port "$first"; upstream_port=$found
  free_port "$first"; through_port=$found
  free_port "$first"; admin_port=$found
  make_certificates
  make_clusters
  write_configuration
  start_proxy "$binary" "$through_port" "$admin_port"
}

as_alice() {  # PORT DATABASE, SQL on stdin
  PGPASSWORD=alice-secret psql -X -q -A -t -v ON_ERROR_STOP=1 -o /dev/null -h 127.0.0.1 -p "$1" \
    -U alice -d "$2"
}

# Both servers begin each suite with the same, empty databases.
fresh_databases() {
  local port database
  for port in "$direct_port" "$upstream_port"; do
    for database in shop restored; do  # one with a subscription cannot be dropped
      as_alice "$port" "$database" <<'SQL' 2>/dev/null
SELECT format('DROP SUBSCRIPTION %I', subname) FROM pg_subscription JOIN pg_database d
ON d.oid = subdbid WHERE datname = current_database() \gexec
SQL
    done
    as_alice "$port" template1 <<'SQL' || return 1
SET client_min_messages = error;
DROP DATABASE IF EXISTS shop WITH (FORCE);
DROP DATABASE IF EXISTS restored WITH (FORCE);
DROP ROLE IF EXISTS conformance_reader;
CREATE DATABASE shop STRATEGY file_copy;
CREATE DATABASE restored STRATEGY file_copy;
SQL
  done
}

# What every client is given, the same for both ways but for the port.
side_environment() {  # SIDE
  local port=$direct_port
  [ "$1" = direct ] || port=$through_port
  local name
  for name in $(compgen -e | grep -E '^(PG|NODE_|PERL|RUBY|GO|JAVA|PYTHON)'); do unset "$name"; done
  export PGHOST=127.0.0.1 PGPORT=$port PGUSER=alice PGPASSWORD=alice-secret PGDATABASE=shop
  export PGCONNECT_TIMEOUT=20 PGAPPNAME=conformance LC_ALL=C.UTF-8 TZ=UTC
  export PYTHONDONTWRITEBYTECODE=1
  export CONFORMANCE_CA=$world/tls/ca.crt CONFORMANCE_OTHER_CA=$world/tls/other-ca.crt
}
