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
. "$root/bench/world.sh"
build_bench
binary=${binary:-$sallyport}

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

free_port 25700; pg_port=$found
free_port 25700; port=$found
free_port 25700; admin_port=$found
begin_server "$world/pg" -c max_connections=$((sessions + 20)) -c shared_buffers=64MB -c jit=off
psql -X -q -p "$pg_port" -d shop -c 'CREATE TABLE secrets AS SELECT 1 AS id'

{ echo "users:"
  for name in alice bob; do echo "$name" | "$binary" passwd "$name" -; done; } >"$world/users.yaml"
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
echo "limits: { connections: $((sessions + 100)) }" | write_settings "$port" "$admin_port"
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
PGPASSWORD=alice "$idle_connections" "$sessions" "host=127.0.0.1 port=$port user=alice dbname=shop sslmode=disable" \
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
gone() { [ "$(psql -X -A -t -p "$pg_port" -d postgres -c "select count(*) from pg_stat_activity where datname = 'shop' and application_name not like 'sallyport%'")" -eq 0 ]; }
wait_until gone || fail "sessions are left on the server"
awk -v end="$until" -v now="$(date +%s.%N)" 'BEGIN { printf "the server has none of them left after %.1f s\n", now - end }'
