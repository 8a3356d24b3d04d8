# The lanes of tests/evasion.sh: each a PostgreSQL server of its own (cases change roles, settings and
# databases) with two proxies in front, one per policy. Sourced behind config/throwaway.sh.

template=   # the data directory that the lanes' are copies of

make_template() {
  template=$world/template
  mkdir -m 700 "$template"
  [ "$(id -u)" -ne 0 ] || chown postgres "$template"
  as_postgres "$pg_bin/initdb" -D "$template" -U postgres -A trust -E UTF8 --locale=C --no-sync \
    >"$world/initdb.log" 2>&1 || { cat "$world/initdb.log" >&2; fail "initdb failed"; }
  cat >>"$template/postgresql.conf" <<'CONF'
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_buffers = 64MB
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = logical
max_wal_senders = 4
max_replication_slots = 8
max_prepared_transactions = 8
max_connections = 40
max_wal_size = 4GB
checkpoint_timeout = 1h
autovacuum = off
jit = off
password_encryption = 'scram-sha-256'
shared_preload_libraries = 'pg_stat_statements'
pg_stat_statements.track = none
max_parallel_workers_per_gather = 0
timezone = 'UTC'
logging_collector = on
log_directory = 'log'
log_filename = 'server.log'
log_statement = 'none'
CONF
  cat >"$template/pg_hba.conf" <<'CONF'
host all         postgres 127.0.0.1/32 trust
host all         all      127.0.0.1/32 scram-sha-256
host replication all      127.0.0.1/32 scram-sha-256
CONF
  start_server "$template" "$1"
  psql -qX -h 127.0.0.1 -p "$1" -U postgres -d postgres \
    -c "CREATE ROLE sallyport_catalog LOGIN PASSWORD 'catalog-secret'" || fail "no role was made"
  local variant
  for variant in a b c; do
    [ "$variant" = a ] || [ "$prove" = yes ] || continue
    {
      echo "CREATE DATABASE tmpl_$variant TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';"
      echo "\\connect tmpl_$variant"
      cat "$root/tests/data/evasion/schema.sql"
    } | psql -qX -v ON_ERROR_STOP=1 -v variant=$variant -h 127.0.0.1 -p "$1" -U postgres \
      -d postgres >"$world/schema.log" 2>&1 ||
      { cat "$world/schema.log" >&2; fail "the schema of the corpus could not be made"; }
  done
  as_postgres "$pg_bin/pg_ctl" -D "$template" -m fast -w -s stop ||
    fail "the template server did not stop"
  clusters=()
}

start_server() {  # DATA PORT
  clusters+=("$1")
  as_postgres "$pg_bin/pg_ctl" -D "$1" -l "$1/startup.log" -w -s -o "-p $2" start ||
    { tail -n 20 "$1/startup.log" >&2; fail "PostgreSQL did not start on port $2"; }
}

make_users() {
  local name
  {
    echo "users:"
    for name in app_user limited pii owner app_admin app_repl dba; do
      printf 'pw\n' | "$binary" passwd "$name" - --groups clients
    done
    printf 'bob-secret\n' | "$binary" passwd bob - --groups security
  } >"$world/users.yaml" || fail "sallyport passwd failed"
  chmod 600 "$world/users.yaml"
}

# The resources of the corpus. The target otherdb is nobody's: a database that is renamed to it has
# left its rules behind.
write_policy() {  # FILE RELATIONS
  cat >"$1" <<YAML
version: 1
default: allow
opaque:
  effect: hold
  hold: { approvers: { groups: [security] }, wait: 5m, clients: refuse }
resources:
  sensitive: { target: appdb, relations: $2 }
rules:
  - id: sensitive-needs-approval
    tier: 10
    on: [sensitive]
    effect: hold
    hold: { approvers: { groups: [security] }, wait: 5m, clients: refuse }
YAML
}

write_configuration() {  # FOLDER SERVER-PORT PROXY-PORT ADMIN-PORT
  local target
  mkdir -m 700 "$1/var"
  {
    cat <<YAML
listen:
  postgres: { address: 127.0.0.1, port: $3, tls: { mode: disable } }
  admin: { address: 127.0.0.1, port: $4 }
state: { sqlite: var/sallyport.db }
audit: { directory: var/audit, signing_key: var/audit.key }
users: users.yaml
policy: policy.yaml
targets:
YAML
    for target in appdb otherdb postgres; do
      cat <<YAML
  $target:
    host: 127.0.0.1
    port: $2
    tls: { mode: disable }
    login: { as: client, password_file: client-password }
    catalog: { user: sallyport_catalog, password_file: catalog-password }
YAML
    done
  } >"$1/sallyport.yaml"
}

make_proxy() {  # LANE POLICY SERVER-PORT → $found, its port
  local folder=$world/lane-$1-$2
  mkdir -m 700 "$folder"
  cp "$world/users.yaml" "$folder/"
  (umask 077; echo pw >"$folder/client-password"; echo catalog-secret >"$folder/catalog-password")
  cp "$world/$2.yaml" "$folder/policy.yaml"
  free_port "$first"; local port=$found
  free_port "$first"; local admin=$found
  write_configuration "$folder" "$3" "$port" "$admin"
  local parent=$world
  world=$folder
  start_proxy "$binary" "$port" "$admin"
  world=$parent
  proxies+=("$proxy_pid")
  found=$port
}

make_world() {  # → $lane_options
  world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-evasion.XXXXXX")
  chmod 711 "$world"
  # Below the ports that the system gives to outgoing connections; others may do the same now.
  first=$((20000 + RANDOM % 12000))
  free_port "$first"
  make_template "$found"
  if [ "$prove" = no ]; then
    make_users
    write_policy "$world/table.yaml" '[pii.customers, finance.payroll,
      pii.kyc_documents_and_identity_verification_records_master_archive_]'
    write_policy "$world/column.yaml" '["pii.customers(ssn)"]'
  fi
  lane_options=()
  local n server table=0 column=0
  for n in $(seq "$jobs"); do
    cp -a "$template" "$world/pg-$n"
    free_port "$first"; server=$found
    start_server "$world/pg-$n" "$server"
    if [ "$prove" = no ]; then
      make_proxy "$n" table "$server"; table=$found
      make_proxy "$n" column "$server"; column=$found
    fi
    lane_options+=(--lane "$server:$table:$column")
  done
}

# Every proxy still runs, no sanitizer found anything in it, and its audit log is whole.
check_proxies() {
  local folder fine=0
  for pid in "${proxies[@]}"; do
    kill -0 "$pid" 2>/dev/null || { echo "a proxy ended before its time"; fine=1; }
    end_process "$pid"
  done
  proxies=()
  for folder in "$world"/lane-*; do
    if grep -E 'ERROR: (Address|Leak|Thread)Sanitizer|runtime error:' "$folder/sallyport.log"; then
      tail -n 60 "$folder/sallyport.log"
      fine=1
    fi
    "$binary" audit verify "$folder/var/audit" --public-key "$folder/var/audit.key.pub" \
      >"$folder/verify.log" 2>&1 || { cat "$folder/verify.log"; fine=1; }
  done
  return "$fine"
}
