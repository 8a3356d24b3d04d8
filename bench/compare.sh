#!/usr/bin/env bash
# What Sallyport costs, side by side on this machine: PostgreSQL directly, through PgBouncer (session mode),
# and through Sallyport with inspection and audit on. Rounds are interleaved, medians are printed.
#
#   bash bench/compare.sh [--rounds N] [--seconds S] [--clients C] [--copy-mb M] [--idle N] [--perf]
#
# --perf   also records the proxy with perf(1) during one more round, and prints its hottest functions
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rounds=3 seconds=5 clients=16 copy_mb=512 idle=1000 perf=no
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds|--seconds|--clients|--copy-mb|--idle)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "compare.sh: $1 needs a number" >&2; exit 2; }
      name=${1#--}; printf -v "${name//-/_}" '%s' "$2"; shift ;;
    --perf) perf=yes ;;
    *) echo "compare.sh: unknown option $1" >&2; sed -n '5,7p' "${BASH_SOURCE[0]}" | cut -c3- >&2; exit 2 ;;
  esac
  shift
done

say() { echo "$*" >&2; }
fail() { say "compare.sh: $*"; exit 1; }
. "$root/config/throwaway.sh"
. "$root/bench/world.sh"
build_bench

# --- a throwaway world, gone afterwards ---------------------------------------------------------------
world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-bench.XXXXXX")
chmod 711 "$world"
bouncer_pid=
proxy_pid=
idle_pid=
leave() {
  local code=$? pid
  trap - EXIT INT TERM
  for pid in $idle_pid $proxy_pid $bouncer_pid; do kill "$pid" 2>/dev/null || true; done
  for pid in $idle_pid $proxy_pid $bouncer_pid; do wait "$pid" 2>/dev/null || true; done
  [ ! -e "$world/pg/postmaster.pid" ] || as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -m immediate -s stop || true
  rm -rf "$world"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
ulimit -n "$(ulimit -H -n)" 2>/dev/null || true

free_port 25400; pg_port=$found
free_port 25400; bouncer_port=$found
free_port 25400; proxy_port=$found
free_port 25400; admin_port=$found

mkdir -m 755 "$world/bouncer"
[ "$(id -u)" -ne 0 ] || chown postgres "$world/bouncer"
begin_server "$world/pg" -c max_connections=$((idle + 100)) -c shared_buffers=256MB
say "filling tables …"
"$pg_bin/pgbench" -i -q -s 5 -p "$pg_port" shop >"$world/init.log" 2>&1 || { cat "$world/init.log" >&2; exit 1; }
psql -X -q -p "$pg_port" -d shop -c "CREATE TABLE big AS
  SELECT i AS id, repeat(md5(i::text), 4) AS payload FROM generate_series(1, $copy_mb * 7400) AS i" -c 'VACUUM ANALYZE'

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
  -keyout "$world/key.pem" -out "$world/crt.pem" 2>/dev/null
cp "$world/key.pem" "$world/bouncer/key.pem"; cp "$world/crt.pem" "$world/bouncer/crt.pem"
echo '"bench" "bench"' >"$world/bouncer/users.txt"
cat >"$world/bouncer/pgbouncer.ini" <<INI
[databases]
shop = host=127.0.0.1 port=$pg_port dbname=shop
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = $bouncer_port
unix_socket_dir =
auth_type = scram-sha-256
auth_file = $world/bouncer/users.txt
pool_mode = session
max_client_conn = $((idle * 2 + 200))
default_pool_size = $((clients + 20))
client_tls_sslmode = allow
client_tls_key_file = $world/bouncer/key.pem
client_tls_cert_file = $world/bouncer/crt.pem
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
INI
[ "$(id -u)" -ne 0 ] || chown postgres "$world/bouncer/"*
begin_bouncer() {
  (
    cd "$world"
    if [ "$(id -u)" -eq 0 ]; then exec setpriv --reuid postgres --regid postgres --clear-groups "$(command -v pgbouncer)" -q "$world/bouncer/pgbouncer.ini"
    else exec pgbouncer -q "$world/bouncer/pgbouncer.ini"; fi
  ) >"$world/bouncer.log" 2>&1 &
  bouncer_pid=$!
  wait_until busy "$bouncer_port" || { cat "$world/bouncer.log" >&2; fail "PgBouncer did not start"; }
}

mkdir -m 700 "$world/var"
printf 'bench\n' >"$world/bench-password"; chmod 600 "$world/bench-password"
cp "$root/config/policy.yaml" "$world/policy.yaml"
{ echo "users:"; echo bench | "$sallyport" passwd bench - --groups dev
  # The example policy's approvers must be somebody.
  for group in security hr-owners oncall dba; do
    for n in 1 2; do echo "unused-$group-$n" | "$sallyport" passwd "$group-$n" - --groups "$group"; done
  done; } >"$world/users.yaml"
chmod 600 "$world/users.yaml"
target() {
  printf '  %s: { host: 127.0.0.1, port: %s, dbname: shop, tls: { mode: disable }, login: { user: bench, password_file: bench-password } }\n' "$1" "$pg_port"
}
cat >"$world/sallyport.yaml" <<YAML
listen:
  postgres: { address: 127.0.0.1, port: $proxy_port, tls: { mode: prefer, certificate: crt.pem, key: key.pem } }
  admin:    { address: 127.0.0.1, port: $admin_port }
state: { sqlite: var/sallyport.db }
audit: { directory: var/audit, signing_key: var/audit.key }
users: users.yaml
policy: policy.yaml
targets:
$(target shop)
$(target hr)
limits: { connections: $((idle * 2 + 200)) }
YAML
chmod 600 "$world/key.pem"
begin_bouncer
start_proxy "$sallyport" "$proxy_port" "$admin_port"

# --- measuring ------------------------------------------------------------------------------------------
tick=$(getconf CLK_TCK)
cpu_ticks() {  # PID: utime + stime of all its threads
  [ -n "$1" ] || { echo 0; return; }
  sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
rss_kib() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }
pid_of() { case $1 in pgbouncer) echo "$bouncer_pid" ;; sallyport) echo "$proxy_pid" ;; *) echo ;; esac; }
port_of() { case $1 in direct) echo "$pg_port" ;; pgbouncer) echo "$bouncer_port" ;; sallyport) echo "$proxy_port" ;; esac; }
median() { sort -g | awk '{ v[NR] = $1 } END { if (NR == 0) print "nan"; else if (NR % 2) print v[(NR + 1) / 2]; else print (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

# One pgbench run; appends "TPS CPU-µs-per-transaction" to its file.
transactions() {  # WAY MODE
  local pid ticks out
  pid=$(pid_of "$1"); ticks=$(cpu_ticks "$pid")
  out=$("$pg_bin/pgbench" -n -S -M "$2" -c "$clients" -j 2 -T "$seconds" -p "$(port_of "$1")" shop 2>"$world/pgbench.err") ||
    { cat "$world/pgbench.err" >&2; tail -n 5 "$world/sallyport.log" >&2; exit 1; }
  ticks=$(($(cpu_ticks "$pid") - ticks))
  awk -v ticks="$ticks" -v tick="$tick" '
    /^tps = / { tps = $3 }
    /actually processed/ { n = $NF }
    END { printf "%s %.3f\n", tps, ticks / tick * 1e6 / n }' <<<"$out" >>"$world/tps-$1-$2"
}

copy_out() {  # WAY
  local pid ticks
  pid=$(pid_of "$1"); ticks=$(cpu_ticks "$pid")
  psql -X -q -p "$(port_of "$1")" -d shop -c 'COPY big TO STDOUT' >/dev/null
  ticks=$(($(cpu_ticks "$pid") - ticks))
  awk -v ticks="$ticks" -v tick="$tick" -v bytes="$copy_bytes" 'BEGIN { printf "%.3f\n", ticks / tick / (bytes / 1e9) }' >>"$world/copy-$1"
}

# A new process: one that has had connections grows into the memory that they left behind.
begin_anew() {  # WAY
  local pid
  pid=$(pid_of "$1")
  kill "$pid" && { wait "$pid" || true; }
  case $1 in
    pgbouncer) begin_bouncer ;;
    sallyport) start_proxy "$sallyport" "$proxy_port" "$admin_port" ;;
  esac
}

idle_memory() {  # WAY SSLMODE: KiB per idle connection
  local pid before after
  pid=$(pid_of "$1")
  mkfifo "$world/idle-input"
  before=$(rss_kib "$pid")
  "$idle_connections" "$idle" "host=127.0.0.1 port=$(port_of "$1") user=bench password=bench dbname=shop sslmode=$2" \
    <"$world/idle-input" >"$world/idle-output" 2>&1 &
  idle_pid=$!
  exec 8>"$world/idle-input"
  until grep -q ready "$world/idle-output" 2>/dev/null; do
    kill -0 "$idle_pid" 2>/dev/null || { cat "$world/idle-output" >&2; exit 1; }
    sleep 0.1
  done
  after=$(rss_kib "$pid")
  exec 8>&-
  wait "$idle_pid"; idle_pid=
  rm "$world/idle-input"
  awk -v d="$((after - before))" -v n="$idle" 'BEGIN { printf "%.1f", d / n }'
}

copy_bytes=$(psql -X -q -p "$pg_port" -d shop -c 'COPY big TO STDOUT' | wc -c)
for way in pgbouncer sallyport; do
  declare "idle_plain_$way=$(idle_memory $way disable)"
  begin_anew $way
  declare "idle_tls_$way=$(idle_memory $way require)"
  begin_anew $way
done
for round in $(seq "$rounds"); do
  say "round $round of $rounds …"
  for mode in simple prepared; do
    for way in direct pgbouncer sallyport; do transactions $way $mode; done
  done
  for way in direct pgbouncer sallyport; do copy_out $way; done
done

column() { cut -d' ' -f"$2" "$world/tps-$1" | median; }
ratio() {  # WAY MODE: median over the rounds of TPS against the direct run of the same round
  paste -d' ' "$world/tps-$1-$2" "$world/tps-direct-$2" | awk '{ print $1 / $3 }' | median
}
row() {  # WAY NAME PLAIN-KIB TLS-KIB
  printf '| %s |' "$2"
  local mode cpu
  for mode in simple prepared; do
    cpu=$(column "$1-$mode" 2)
    [ "$1" != direct ] || cpu=–
    printf ' %.0f | %.2f | %s |' "$(column "$1-$mode" 1)" "$(ratio "$1" $mode)" "$cpu"
  done
  if [ "$1" = direct ]; then printf ' – |'; else printf ' %s |' "$(median <"$world/copy-$1")"; fi
  printf ' %s | %s |\n' "$3" "$4"
}

echo
echo "Machine: $(nproc) × $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), Linux $(uname -r);" \
  "PostgreSQL $("$pg_bin/postgres" --version | awk '{ print $3 }'), $(pgbouncer --version | head -n 1)," \
  "$(git -C "$root" rev-parse --short HEAD 2>/dev/null || echo 'no git')"
echo "Run: select-only, $clients clients, median of $rounds interleaved rounds of $seconds s;" \
  "COPY of $((copy_bytes / 1000000)) MB; $idle idle connections"
echo
echo "| way | TPS simple | of direct | CPU µs/tx | TPS prepared | of direct | CPU µs/tx | COPY OUT CPU s/GB | idle KiB plain | idle KiB TLS |"
echo "|---|---|---|---|---|---|---|---|---|---|"
row direct "PostgreSQL, directly" – –
row pgbouncer "PgBouncer, session mode" "$idle_plain_pgbouncer" "$idle_tls_pgbouncer"
row sallyport "Sallyport, inspection and audit on" "$idle_plain_sallyport" "$idle_tls_sallyport"

if [ "$perf" = yes ]; then
  if command -v perf >/dev/null; then
    "$pg_bin/pgbench" -n -S -c "$clients" -j 2 -T "$seconds" -p "$proxy_port" shop >/dev/null 2>&1 &
    perf record -q -g -o "$world/perf.data" -p "$proxy_pid" -- sleep "$((seconds > 1 ? seconds - 1 : 1))" >/dev/null 2>&1 || true
    wait $! || true
    echo
    perf report -i "$world/perf.data" --no-children --stdio 2>/dev/null | grep -vE '^$|^#' | grep '%' | head -n 30
  else
    say "perf is not installed: no profile"
  fi
fi
