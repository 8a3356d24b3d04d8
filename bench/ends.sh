#!/usr/bin/env bash
# How late an opt-out's end comes to live sessions: opens sessions that have used one opt-out (or are just using
# it), waits for its end, and says when the first and the last of them was closed, in milliseconds behind it.
#
#   bash bench/ends.sh [--sessions N] [--running] [--binary PATH]
#
# --running   each session is inside a statement when the end comes
# A session needs some 2 MiB in PostgreSQL.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
sessions=1000 running= binary=
while [ $# -gt 0 ]; do
  case "$1" in
    --sessions)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "ends.sh: $1 needs a number" >&2; exit 2; }
      sessions=$2; shift ;;
    --running) running=running ;;
    --binary) binary=${2:?ends.sh: --binary needs a path}; shift ;;
    *) echo "ends.sh: unknown option $1" >&2; sed -n '5p' "${BASH_SOURCE[0]}" | cut -c3- >&2; exit 2 ;;
  esac
  shift
done

say() { echo "$*" >&2; }
fail() { say "ends.sh: $*"; exit 1; }
. "$root/config/throwaway.sh"
"$root/config/install-deps.sh" --bench
mkdir -p "$root/build"
if ! { cd "$root" && cmake --preset release -DSALLYPORT_BENCH=ON &&
       cmake --build build/release --target sallyport idle_connections; } >"$root/build/bench.log" 2>&1; then
  tail -n 40 "$root/build/bench.log" >&2
  exit 1
fi
binary=${binary:-$root/build/release/sallyport}
open_sessions=$(find "$root/build/release" -name idle_connections -type f -perm -u+x | head -n 1)

world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-ends.XXXXXX")
chmod 711 "$world"
proxy_pid= client_pid=
leave() {
  local code=$?
  trap - EXIT INT TERM
  end_process "$client_pid"
  end_process "$proxy_pid"
  [ ! -e "$world/pg/postmaster.pid" ] || as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -m immediate -s stop || true
  rm -rf "$world"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# Two sockets a session.
files=$((sessions * 2 + 1000))
[ "$(ulimit -H -n)" = unlimited ] || [ "$(ulimit -H -n)" -ge "$files" ] || ulimit -H -n "$files" ||
  fail "$sessions sessions need $files file descriptors (ulimit -n)"
ulimit -S -n "$(ulimit -H -n)"

free_port 55700; pg_port=$found
free_port 55700; port=$found
free_port 55700; admin_port=$found
mkdir -m 700 "$world/pg" "$world/var"
[ "$(id -u)" -ne 0 ] || chown postgres "$world/pg"
as_postgres "$pg_bin/initdb" -D "$world/pg" -U bench -A trust --locale=C -E UTF8 --no-sync >"$world/initdb.log" 2>&1 ||
  { cat "$world/initdb.log" >&2; exit 1; }
as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -l "$world/pg/log" -w -s \
  -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
      -c max_connections=$((sessions + 20)) -c shared_buffers=64MB -c jit=off" start
export PGHOST=127.0.0.1 PGSSLMODE=disable HOME=$world
unset PGOPTIONS PGSERVICE PGDATABASE PGUSER 2>/dev/null || true
psql -X -q -p "$pg_port" -U bench -d postgres -c 'CREATE DATABASE shop'
psql -X -q -p "$pg_port" -U bench -d shop -c 'CREATE TABLE secrets AS SELECT 1 AS id'

{ echo "users:"
  for name in alice bob; do echo "$name" | "$binary" passwd "$name" -; done; } >"$world/users.yaml"
printf 'none\n' >"$world/login"
chmod 600 "$world/users.yaml" "$world/login"
cat >"$world/policy.yaml" <<YAML
version: 1
default: allow
opaque: hold
resources:
  secrets: { target: shop, relations: [public.secrets] }
rules:
  - id: secrets
    tier: 10
    on: [secrets]
    do: [read]
    effect: hold
    hold: { approvers: { users: [bob] } }
    opt_out: { who: { users: [alice] }, approvers: { users: [bob] }, max_duration: 8h, at_end: kill }
YAML
cat >"$world/sallyport.yaml" <<YAML
listen:
  postgres: { address: 127.0.0.1, port: $port, tls: { mode: disable } }
  admin:    { address: 127.0.0.1, port: $admin_port }
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
    login: { user: bench, password_file: login }
    catalog: { user: bench, password_file: login }
limits: { connections: $((sessions + 100)) }
YAML
start_proxy "$binary" "$port" "$admin_port"

# Some 20 ms a session on two cores, and a minute to spare.
until=$(($(date +%s) + 60 + sessions / 40))
cat >>"$world/policy.yaml" <<YAML
opt_outs:
  - { who: alice, rule: secrets, reason: measuring ends, approved_by: [bob],
      from: $(date -u -d '-1 second' +%FT%TZ), until: $(date -u -d "@$until" +%FT%TZ) }
YAML
kill -HUP "$proxy_pid"
sleep 2
statement='select id from secrets'
[ -z "$running" ] || statement='select pg_sleep(100000) from secrets'
say "opening $sessions sessions …"
: >"$world/said"
PGPASSWORD=alice "$open_sessions" "$sessions" "host=127.0.0.1 port=$port user=alice dbname=shop sslmode=disable" \
  "$statement" $running >"$world/said" 2>"$world/fault" &
client_pid=$!
until grep -q ready "$world/said" || ! kill -0 "$client_pid" 2>/dev/null; do sleep 0.2; done
grep -q ready "$world/said" || { cat "$world/fault" >&2; tail -n 3 "$world/sallyport.log" >&2; fail "not all of the sessions came"; }
left=$((until - $(date +%s)))
[ "$left" -gt 2 ] || fail "opening them took too long; the end came meanwhile"
say "all are open; the end comes in $left s"
wait "$client_pid" || fail "the sessions could not be watched"
awk -v n="$sessions" -v end="$until" '/^closed/ {
  printf "%d sessions: the first was closed %.0f ms behind the end, the last %.0f ms\n", $2, ($4 - end) * 1000, ($6 - end) * 1000
  exit $2 == n && $4 >= end ? 0 : 1 }' "$world/said"
gone() { [ "$(psql -X -A -t -p "$pg_port" -U bench -d postgres -c "select count(*) from pg_stat_activity where datname = 'shop' and application_name not like 'sallyport%'")" -eq 0 ]; }
wait_until gone || fail "sessions are left on the server"
awk -v end="$until" -v now="$(date +%s.%N)" 'BEGIN { printf "the server has none of them left after %.1f s\n", now - end }'
