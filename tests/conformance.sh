#!/usr/bin/env bash
# The clients that Debian 12 and npm ship, each run twice: directly against a throwaway PostgreSQL 15,
# and through Sallyport with a policy that allows, inspects and logs everything. What a client shows
# its user must be equal, check by check.
#
#   bash tests/conformance.sh                  every suite
#   bash tests/conformance.sh --quick          the suites of the clients met most, in some minutes
#   bash tests/conformance.sh --only NAME      this suite (may be given several times)
#   bash tests/conformance.sh --binary PATH    this sallyport (default: builds build/release/sallyport)
#   bash tests/conformance.sh --list           the suites
#
# One line per suite: checks that passed and that failed through Sallyport, and how many pass directly.
# The exit status is 0 only if everything that passes directly is the same through Sallyport. What
# each run printed stays in build/results/conformance.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$root/tests/conformance
work=$root/build/conformance
results=$root/build/results/conformance
quick=no
binary=
only=()
quick_suites=(libpq libpqxx psycopg2 psycopg3 asyncpg pg8000 pgjdbc node-pg postgres-js ruby-pg
  dbd-pg go-pq go-pgx psql dump pgbench)
all_suites=("${quick_suites[@]}" knex sequelize typeorm drizzle sqlalchemy php odbc ecpg tools)

while [ $# -gt 0 ]; do
  case "$1" in
    --quick) quick=yes ;;
    --only) only+=("${2:?--only needs the name of a suite}"); shift ;;
    --binary) binary=${2:?--binary needs a path}; shift ;;
    --list) printf '%s\n' "${all_suites[@]}"; exit 0 ;;
    -h|--help) sed -n '2,15p' "${BASH_SOURCE[0]}" | cut -c3-; exit 0 ;;
    *) echo "conformance.sh: unknown option $1 (known: --quick, --only, --binary, --list)" >&2
       exit 2 ;;
  esac
  shift
done
suites=("${all_suites[@]}")
[ "$quick" = no ] || suites=("${quick_suites[@]}")
for name in "${only[@]}"; do
  [[ " ${all_suites[*]} " == *" $name "* ]] ||
    { echo "conformance.sh: no suite $name (see --list)" >&2; exit 2; }
done
[ ${#only[@]} -eq 0 ] || suites=("${only[@]}")

# --- what must be gone at the end ---------------------------------------------------------------
world=
proxy_pid=
clusters=()

leave() {
  local code=$? job
  trap - EXIT INT TERM HUP
  for job in $(jobs -p); do
    [ "$job" = "$proxy_pid" ] || kill "$job" 2>/dev/null
  done
  end_process "$proxy_pid"
  for cluster in "${clusters[@]}"; do
    as_postgres "$pg_bin/pg_ctl" -D "$cluster" -m immediate -s stop >/dev/null 2>&1
  done
  [ -z "$world" ] || rm -rf "$world"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() { echo "conformance.sh: $*" >&2; exit 1; }
. "$root/config/throwaway.sh"

# --- what is needed -----------------------------------------------------------------------------
if [ "$quick" = yes ]; then clients=--conformance-quick; else clients=--conformance; fi
bash "$root/config/install-deps.sh" "$clients" ||
  echo "conformance.sh: going on with the clients that are installed" >&2

if [ -z "$binary" ]; then
  binary=$root/build/release/sallyport
  build_release || exit 1
fi
[ -x "$binary" ] || fail "there is no program $binary"
binary=$(realpath "$binary")
[ -x "$pg_bin/initdb" ] || fail "there is no PostgreSQL 15 in $pg_bin"
mkdir -p "$work" "$results"

. "$here/world.sh"
. "$here/suites.sh"
make_world

# --- the suites ---------------------------------------------------------------------------------
started=$SECONDS
passed=0
failed=0
skipped=0

# Runs one side of a suite; its transcript goes to a file, what else it says to another one.
run_side() {  # SUITE SIDE
  local scratch=$world/scratch-$2
  rm -rf "$scratch"
  mkdir -p "$scratch"
  (
    side_environment "$2"
    export CONFORMANCE_DIR=$scratch HOME=$scratch
    cd "$scratch" || exit 1
    # A client that hangs is ended, and whatever it started with it.
    timeout -k 5 "${suite_seconds_max:-150}" bash -c '
      . "$1"; here=$2 work=$3 root=$4 pg_bin=$5; "run_${6//-/_}"' \
      - "$here/suites.sh" "$here" "$work" "$root" "$pg_bin" "$1" \
      >"$results/$1.$2.txt" 2>"$results/$1.$2.log" </dev/null
    echo "$?" >"$results/$1.$2.status"
  )
}

# Both sides of a suite, compared: good, bad and baseline.
play() {
  local name=$1 first counts
  fresh_databases || fail "the databases could not be made anew"
  run_side "$name" direct &
  first=$!
  run_side "$name" through &
  wait "$first" $!
  kill -0 "$proxy_pid" 2>/dev/null ||
    { tail -n 40 "$world/sallyport.log" >&2; fail "sallyport ended during the suite $name"; }
  counts=$(/usr/bin/python3 "$here/compare.py" "$results/$name" "$direct_port" "$through_port" \
    2>"$results/$name.diff")
  read -r good bad baseline <<<"$counts"
}

run_suite() {  # NAME
  local name=$1 reason before=$SECONDS
  rm -f "$results/$name".*
  if ! reason=$("prepare_${name//-/_}" 2>"$results/$name.prepare.log"); then
    skipped=$((skipped + 1))
    printf '%-12s skipped: %s\n' "$name" "${reason:-it could not be built, see $name.prepare.log}"
    return
  fi
  rm -f "$results/$name.prepare.log"
  local good bad baseline
  play "$name"
  # A cancel races with what it cancels, at PostgreSQL itself too: what differs must do so twice.
  if [ "${bad:-1}" -ne 0 ]; then
    mv "$results/$name.diff" "$results/$name.first.diff"
    printf '%-12s differed in %d, once more (%s)\n' "$name" "${bad:-1}" "$results/$name.first.diff"
    play "$name"
  fi
  passed=$((passed + ${good:-0}))
  failed=$((failed + ${bad:-1}))
  printf '%-12s %4d passed, %2d failed   %4d pass directly   %3d s\n' \
    "$name" "${good:-0}" "${bad:-1}" "${baseline:-0}" $((SECONDS - before))
  if [ -s "$results/$name.diff" ]; then head -n 60 "$results/$name.diff"; fi
}

for name in "${suites[@]}"; do run_suite "$name"; done

# The audit log has seen all of it: it must be whole, and it must not be empty.
if ! "$binary" audit verify "$world/var/audit" --public-key "$world/var/audit.key.pub" \
  >"$results/audit-verify.txt" 2>&1; then
  failed=$((failed + 1))
  echo "the audit log does not verify:"
  cat "$results/audit-verify.txt"
fi
printf '\n%d passed, %d failed, %d suites skipped, %d s\n' \
  "$passed" "$failed" "$skipped" $((SECONDS - started))
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
exit $?
