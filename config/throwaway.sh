# What scripts with a throwaway world of PostgreSQL and Sallyport share. Sourced, with `root` set,
# `world` a folder of the script's own (or empty), and `fail MESSAGE` defined, which does not return.

pg_bin=/usr/lib/postgresql/15/bin

# Builds $root/build/release/sallyport; quick and silent when there is nothing to do.
build_release() (
  log=$root/build/release.log
  mkdir -p "$root/build"
  { cd "$root" && cmake --preset release -DSALLYPORT_TESTS=OFF -DSALLYPORT_BENCH=OFF; } \
    >"$log" 2>&1 || { cat "$log" >&2; fail "cmake failed; the whole log is in $log"; }
  [ -x "$root/build/release/sallyport" ] ||
    echo "Building Sallyport, once, with $(nproc) cores …"
  export CCACHE_DIR=${CCACHE_DIR:-$root/build/.ccache}
  cmake --build "$root/build/release" --target sallyport >"$log" 2>&1 ||
    { tail -n 60 "$log" >&2; fail "the build failed; the whole log is in $log"; }
)

# PostgreSQL does not run as root.
as_postgres() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd "$world" && runuser -u postgres -- "$@")
  else
    "$@"
  fi
}

end_process() {  # PID
  [ -n "$1" ] || return 0
  kill "$1" 2>/dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$1" 2>/dev/null || return 0
    sleep 0.05
  done
  kill -9 "$1" 2>/dev/null || true
}

# Asks again and again until the command succeeds, at most 20 seconds.
wait_until() {
  local end=$((SECONDS + 20))
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

busy() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
taken=" "
# FIRST is below the ports that the system gives to whoever connects: while such a connection lingers,
# nothing can listen there, and trying to connect does not show it.
free_port() {  # FIRST → $found
  found=$1
  while busy "$found" || [[ $taken == *" $found "* ]]; do found=$((found + 1)); done
  taken+="$found "
}

# Checks $world/sallyport.yaml, serves it and waits until both ports answer.
start_proxy() {  # BINARY PORT ADMIN-PORT → $proxy_pid
  local ports=("$2" "$3")
  "$1" check --config "$world/sallyport.yaml" >"$world/check.log" 2>&1 ||
    { cat "$world/check.log" >&2; fail "the configuration does not pass \`sallyport check\`"; }
  "$1" serve --config "$world/sallyport.yaml" >"$world/sallyport.log" 2>&1 &
  proxy_pid=$!
  proxy_is_up() {
    ! kill -0 "$proxy_pid" 2>/dev/null || { busy "${ports[0]}" && busy "${ports[1]}"; }
  }
  wait_until proxy_is_up && kill -0 "$proxy_pid" 2>/dev/null ||
    { cat "$world/sallyport.log" >&2; fail "sallyport did not start"; }
}
