#!/usr/bin/env bash
# What many rules cost: CPU of the proxy per transaction under `pgbench -S`, with a policy of few rules and
# with one of many. Both proxies run side by side over one PostgreSQL and take turns within each round.
#
#   bash bench/rules.sh [--rounds N] [--seconds S] [--clients C] [--few N] [--many N] [--binary PATH]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
rounds=5 seconds=5 clients=8 few=10 many=10000 binary=
while [ $# -gt 0 ]; do
  case "$1" in
    --rounds|--seconds|--clients|--few|--many)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "rules.sh: $1 needs a number" >&2; exit 2; }
      name=${1#--}; printf -v "$name" '%s' "$2"; shift ;;
    --binary) binary=${2:?rules.sh: --binary needs a path}; shift ;;
    *) echo "rules.sh: unknown option $1" >&2; sed -n '5p' "${BASH_SOURCE[0]}" | cut -c3- >&2; exit 2 ;;
  esac
  shift
done

say() { echo "$*" >&2; }
fail() { say "rules.sh: $*"; exit 1; }
. "$root/config/throwaway.sh"
. "$root/bench/world.sh"
if [ -z "$binary" ]; then
  "$root/config/install-deps.sh"
  build_release
  binary=$root/build/release/sallyport
fi

top=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-rules.XXXXXX")
chmod 711 "$top"
world=$top
pids=()
leave() {
  local code=$?
  trap - EXIT INT TERM
  for pid in "${pids[@]}"; do end_process "$pid"; done
  world=$top
  [ ! -e "$top/pg/postmaster.pid" ] || as_postgres "$pg_bin/pg_ctl" -D "$top/pg" -m immediate -s stop || true
  rm -rf "$top"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

free_port 25600; pg_port=$found
begin_server "$top/pg"
"$pg_bin/pgbench" -i -q -s 5 -p "$pg_port" shop >"$top/init.log" 2>&1 || { cat "$top/init.log" >&2; exit 1; }

policy() {  # COUNT: rules on tables of their own, every tenth on a schema; none on pgbench's
  printf 'version: 1\ndefault: allow\nopaque: allow\nresources:\n'
  awk -v n="$1" 'BEGIN { for (i = 0; i < n; ++i)
    printf "  r%d: { target: shop, relations: [%s] }\n", i, i % 10 == 9 ? "s" i ".*" : "pii.t" i }'
  printf 'rules:\n'
  awk -v n="$1" 'BEGIN { for (i = 0; i < n; ++i)
    printf "  - { id: a%d, tier: %d, on: [r%d], effect: deny }\n", i, 10 + i % 90, i }'
}

serve() {  # NAME COUNT → port_NAME, pid_NAME
  world=$top/$1
  mkdir -m 700 "$world"
  free_port 25600; local port=$found
  free_port 25600; local admin=$found
  policy "$2" >"$world/policy.yaml"
  { echo "users:"; echo bench | "$binary" passwd bench -; } >"$world/users.yaml"
  write_settings "$port" "$admin" </dev/null
  start_proxy "$binary" "$port" "$admin"
  pids+=("$proxy_pid")
  declare -g "port_$1=$port" "pid_$1=$proxy_pid"
}
serve few "$few"
serve many "$many"

tick=$(getconf CLK_TCK)
cpu_ticks() { sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'; }  # PID
median() { sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

run() {  # NAME MODE: appends CPU µs per transaction
  local port=port_$1 pid=pid_$1 ticks out
  ticks=$(cpu_ticks "${!pid}")
  out=$("$pg_bin/pgbench" -n -S -M "$2" -c "$clients" -j 2 -T "$seconds" -p "${!port}" shop 2>"$top/pgbench.err") ||
    { cat "$top/pgbench.err" >&2; tail -n 5 "$top/$1/sallyport.log" >&2; exit 1; }
  ticks=$(($(cpu_ticks "${!pid}") - ticks))
  awk -v ticks="$ticks" -v tick="$tick" '/actually processed/ { printf "%.3f\n", ticks / tick * 1e6 / $NF }' \
    <<<"$out" >>"$top/cpu-$1-$2"
}

for round in $(seq "$rounds"); do
  say "round $round of $rounds …"
  for mode in simple prepared; do
    for way in few many; do run $way $mode; done
  done
done

echo "pgbench -S, $clients clients, median of $rounds alternating rounds of $seconds s"
echo
echo "| protocol | CPU µs/tx, $few rules | $many rules | ratio (within each round) |"
echo "|---|---|---|---|"
for mode in simple prepared; do
  ratio=$(paste -d' ' "$top/cpu-many-$mode" "$top/cpu-few-$mode" | awk '{ print $1 / $2 }' | median)
  printf '| %s | %.1f | %.1f | %.2f |\n' "$mode" "$(median <"$top/cpu-few-$mode")" \
    "$(median <"$top/cpu-many-$mode")" "$ratio"
done
