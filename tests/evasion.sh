#!/usr/bin/env bash
# The evasion corpus: sessions that reach protected rows by every road there is, and harmless ones that
# look like them, played through Sallyport against a throwaway PostgreSQL 15.
#
#   bash tests/evasion.sh                     every case; what is known to be open is in evasion/open.txt
#   bash tests/evasion.sh --only E001,B002    these cases
#   bash tests/evasion.sh --class view        one class (the field category)
#   bash tests/evasion.sh --level parse       what the text alone can show (also: catalog, runtime)
#   bash tests/evasion.sh --benign            the harmless ones
#   bash tests/evasion.sh --clients           what clients and tools ask the catalog
#   bash tests/evasion.sh --extended          each text by the extended protocol, too
#   bash tests/evasion.sh --prove             no proxy: proves the cases on the server itself
#   bash tests/evasion.sh --prune             takes what passes out of evasion/open.txt
#   bash tests/evasion.sh --binary PATH       this sallyport (default: builds build/release/sallyport)
#   bash tests/evasion.sh --jobs N            servers side by side (default: one per core)
#   bash tests/evasion.sh --keep              the servers stay up until Enter is pressed
#
# One line per case that is not as it must be, and a summary. The exit status is 0 only if every case
# passes that is not in the list, and none that is. What each case did stays in build/results/evasion.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$root/tests/evasion
results=$root/build/results/evasion
binary=
jobs=$(nproc)
keep=no
prove=no
pass_on=()

while [ $# -gt 0 ]; do
  case "$1" in
    --only|--class|--level) pass_on+=("$1" "${2:?$1 needs a value}"); shift ;;
    --benign|--clients|--extended|--prune) pass_on+=("$1") ;;
    --prove) prove=yes; pass_on+=("$1") ;;
    --binary) binary=${2:?--binary needs a path}; shift ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift ;;
    --keep) keep=yes ;;
    -h|--help) sed -n '2,21p' "${BASH_SOURCE[0]}" | cut -c3-; exit 0 ;;
    *) echo "evasion.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
  shift
done

world=
proxies=()
clusters=()

leave() {
  local code=$? pid
  trap - EXIT INT TERM HUP
  for pid in "${proxies[@]}"; do end_process "$pid"; done
  for cluster in "${clusters[@]}"; do
    as_postgres "$pg_bin/pg_ctl" -D "$cluster" -m immediate -s stop >/dev/null 2>&1
  done
  [ -z "$world" ] || rm -rf "$world"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() { echo "evasion.sh: $*" >&2; exit 1; }
. "$root/config/throwaway.sh"
. "$here/world.sh"

bash "$root/config/install-deps.sh" --tests || exit 1
if [ -z "$binary" ] && [ "$prove" = no ]; then
  binary=$root/build/release/sallyport
  build_release || exit 1
fi
[ "$prove" = yes ] || [ -x "$binary" ] || fail "there is no program $binary"
[ -z "$binary" ] || binary=$(realpath "$binary")
mkdir -p "$results"

started=$SECONDS
make_world
echo "the servers are up after $((SECONDS - started)) s: $jobs lanes"
/usr/bin/python3 -B "$here/run.py" "${lane_options[@]}" "${pass_on[@]}" --results "$results/cases.txt"
code=$?
if [ "$keep" = yes ]; then
  printf '%s\n' "The world stays in $world; lanes (server:table policy:column policy):" \
    "${lane_options[@]}" "Press Enter to end it."
  read -r _
fi
if [ "$prove" = no ]; then check_proxies || code=1; fi
exit $code
