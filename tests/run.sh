#!/usr/bin/env bash
# Every test of the project, from a bare Debian 12 on:
#
#   bash tests/run.sh            unit, simulation, end to end and differential under ASan + UBSan;
#                                what is concurrent under TSan; every fuzz target for a few seconds; the
#                                quick start as a tour; the web page in a browser; evasions; the clients
#                                met most
#   bash tests/run.sh --quick    unit tests under ASan + UBSan
#
# A stage that fails does not hide the ones behind it. The last line is `N passed, M failed`; the exit
# status is 0 only if nothing failed.
set -uo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root" || exit 1
quick=no
case "${1:-}" in
  "") ;;
  --quick) quick=yes ;;
  *) echo "run.sh: unknown option $1 (known: --quick)" >&2; exit 2 ;;
esac

bash config/install-deps.sh --tests || exit 1

export CCACHE_DIR=${CCACHE_DIR:-$root/build/.ccache}
export SALLYPORT_TEST_ROOT
SALLYPORT_TEST_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-tests.XXXXXX")
chmod 711 "$SALLYPORT_TEST_ROOT"
trap 'rm -rf "$SALLYPORT_TEST_ROOT"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
results=$root/build/results
rm -rf "$results"
mkdir -p "$results"

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

passed=0
failed=0
faults=()
started=$SECONDS

say() { printf '\n=== %s (%d min %02d s so far)\n' "$1" $(((SECONDS - started) / 60)) $(((SECONDS - started) % 60)); }
stage_passed() { passed=$((passed + 1)); }
stage_failed() {  # WHAT
  failed=$((failed + 1))
  faults+=("$1")
  printf '!!! %s\n' "$1"
}

# Configures a preset and builds targets of it (none named: all). The log of a failure is shown.
build() {  # PRESET [TARGET…]
  local preset=$1; shift
  say "building $preset"
  local log=$results/build-$preset.log
  if ! cmake --preset "$preset" >"$log" 2>&1; then
    cat "$log"
    stage_failed "configuring $preset"
    return 1
  fi
  if ! ninja -C "build/$preset" -k 0 "$@" >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" | tail -n 150
    stage_failed "building $preset (the whole log: $log)"
    return 1
  fi
  stage_passed
}

attribute() {  # NAME, of the first element in stdin that has it
  grep -oE -m1 "\b$1=\"[0-9]+\"" | head -n 1 | grep -oE '[0-9]+' || echo 0
}

# Adds what one ctest run found: each GoogleTest case counts; a program without a report counts as one.
count() {  # PRESET DIRECTORY
  local name state report cases bad skipped
  while IFS=$'\t' read -r name state; do
    report=$2/$name.xml
    if [ -s "$report" ]; then
      cases=$(attribute tests <"$report"); bad=$(attribute failures <"$report")
      skipped=$(grep -c '<skipped' "$report" || true)
      passed=$((passed + cases - bad - skipped))
      failed=$((failed + bad))
      [ "$bad" -eq 0 ] || faults+=("$1: $name: $bad of $cases cases")
      # All cases fine and still not well: a leak or a crash after the last one.
      if [ "$state" = fail ] && [ "$bad" -eq 0 ]; then stage_failed "$1: $name: failed after its cases"; fi
    elif [ "$state" = run ]; then
      stage_passed
    else
      stage_failed "$1: $name"
    fi
  done < <(sed -nE 's/.*<testcase name="([^"]+)".* status="(run|fail)".*/\1\t\2/p' "$2/ctest.xml")
}

run_tests() {  # NAME PRESET CTEST-OPTIONS…
  local name=$1 preset=$2; shift 2
  local directory=$results/$name
  mkdir -p "$directory"
  say "testing: $name"
  GTEST_OUTPUT="xml:$directory/" GTEST_BRIEF=1 ctest --test-dir "build/$preset" --output-on-failure \
    --output-junit "$directory/ctest.xml" "$@"
  local status=$?
  if [ ! -s "$directory/ctest.xml" ]; then
    stage_failed "$name: ctest did not run"
    return
  fi
  local before=$failed
  count "$name" "$directory"
  if [ $status -ne 0 ] && [ "$failed" -eq "$before" ]; then stage_failed "$name"; fi
}

finish() {
  if [ ${#faults[@]} -gt 0 ]; then
    printf '\nFailed:\n'
    printf '  %s\n' "${faults[@]}"
  fi
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit $?
}

unit_targets() {  # the test programs of a configured preset
  ninja -C "build/$1" -t targets all 2>/dev/null | sed -nE 's/^tests\/([a-z0-9_]+_test): .*/\1/p' | sort -u
}

if [ "$quick" = yes ]; then
  if cmake --preset asan >"$results/configure.log" 2>&1; then
    mapfile -t targets < <(unit_targets asan | grep -vE '^(e2e|sim|model|differential|catalog)_test$')
    build asan "${targets[@]}"
  else
    build asan
  fi
  run_tests unit-asan asan -L unit -j "$(nproc)"
  finish
fi

build asan
run_tests unit-asan asan -L 'unit|sim' -j "$(nproc)"
run_tests e2e-asan asan -L e2e -j 3
run_tests differential-asan asan -L differential

# The parts with more than one thread; the rest is pure and has nothing to race.
concurrent='audit_test|store_test|approval_test|notify_test|net_test|session_test|admin_test'
if cmake --preset tsan >"$results/configure.log" 2>&1; then
  mapfile -t targets < <(unit_targets tsan | grep -E "^($concurrent)\$")
  build tsan "${targets[@]}"
  run_tests unit-tsan tsan -R "^($concurrent)\$" -j "$(nproc)"
else
  cat "$results/configure.log"
  stage_failed "configuring tsan"
fi

if [ -f tests/fuzz/CMakeLists.txt ]; then
  build fuzz
  run_tests fuzz fuzz -L fuzz -j "$(nproc)"
fi

say "the quick start"
if timeout 1500 bash config/quickstart.sh --tour; then
  stage_passed
else
  stage_failed "config/quickstart.sh --tour"
fi

# Behind the quick start, which has built what it looks at.
say "testing: the web page"
timeout -k 30 600 bash tests/page.sh | tee "$results/page.txt"
closing=$(tail -n 1 "$results/page.txt")
if [[ $closing =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
  passed=$((passed + BASH_REMATCH[1]))
  failed=$((failed + BASH_REMATCH[2]))
  [ "${BASH_REMATCH[2]}" -eq 0 ] || faults+=("tests/page.sh: ${BASH_REMATCH[2]} cases")
else
  stage_failed "tests/page.sh did not come to its end"
fi

# Behind the quick start, which has built it: each case reads the catalog anew, which a sanitizer makes slow.
say "testing: evasion"
if timeout -k 30 1200 bash tests/evasion.sh --binary build/release/sallyport | tee "$results/evasion.txt"; then
  stage_passed
else
  stage_failed "tests/evasion.sh --binary build/release/sallyport"
fi

say "testing: the package"
if timeout -k 30 600 bash tests/package.sh | tee "$results/package.txt"; then
  stage_passed
else
  stage_failed "tests/package.sh"
fi

say "testing: conformance"
if timeout -k 30 900 bash tests/conformance.sh --quick | tee "$results/conformance.txt"; then
  stage_passed
else
  stage_failed "tests/conformance.sh --quick"
fi

finish
