#!/usr/bin/env bash
# The web page in a real browser: Chromium against the real proxy, a real PostgreSQL and real psql.
#
#   bash tests/page.sh                  every case
#   bash tests/page.sh --only WORD      the cases with WORD in their name
#   bash tests/page.sh --shots FOLDER   also pictures of what is shown
#   bash tests/page.sh --binary PATH    another sallyport than build/release/sallyport
#
# The last line is `N passed, M failed`; the exit status is 0 only if nothing failed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
binary=
only=
shots=
while [ $# -gt 0 ]; do
  case "$1" in
    --only) only=${2:?--only needs a word}; shift ;;
    --shots) shots=${2:?--shots needs a folder}; shift ;;
    --binary) binary=$(realpath "${2:?--binary needs a path}"); shift ;;
    -h|--help) sed -n '2,9p' "${BASH_SOURCE[0]}" | cut -c3-; exit 0 ;;
    *) echo "page.sh: unknown option $1 (known: --only, --shots, --binary)" >&2; exit 2 ;;
  esac
  shift
done

fail() { echo "page.sh: $*" >&2; exit 1; }
world=
postgres_up=no
runner_pid=
leave() {
  local code=$?
  trap - EXIT INT TERM HUP
  end_process "$runner_pid"
  if [ "$postgres_up" = yes ]; then
    as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -m immediate -s stop >/dev/null 2>&1 || true
  fi
  [ -z "$world" ] || rm -rf "$world"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
. "$root/config/throwaway.sh"

if [ -z "$binary" ]; then
  binary=$root/build/release/sallyport
  [ -x "$binary" ] || build_release || exit 1
fi
[ -x /usr/bin/chromium ] || fail "there is no /usr/bin/chromium: run config/install-deps.sh --tests"
command -v npm >/dev/null || fail "there is no npm: run config/install-deps.sh"

# --- the page's types, and what drives the browser -----------------------------------------------------
tools=$root/build/page-tests
install_from() {  # SOURCE-FOLDER FOLDER
  mkdir -p "$2"
  if ! cmp -s "$1/package-lock.json" "$2/node_modules/.installed"; then
    cp "$1/package.json" "$1/package-lock.json" "$1/.npmrc" "$2/"
    (cd "$2" && npm ci --loglevel=error) >"$2/npm.log" 2>&1 || { cat "$2/npm.log" >&2; return 1; }
    cp "$1/package-lock.json" "$2/node_modules/.installed"
  fi
}
install_from "$root/tests/page" "$tools/drive" || fail "npm ci did not succeed in tests/page"
install_from "$root/proxy/page" "$tools/types" || fail "npm ci did not succeed in proxy/page"
rm -rf "$tools/types/src"
cp -r "$root/proxy/page/src" "$root/proxy/page/tsconfig.json" "$tools/types/"
types=ok
(cd "$tools/types" && node "$tools/drive/node_modules/typescript/bin/tsc" --noEmit) || types=faulty

# --- a throwaway world ------------------------------------------------------------------------------
[ -x "$pg_bin/initdb" ] || fail "there is no PostgreSQL 15 in $pg_bin"
world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-page.XXXXXX")
chmod 711 "$world"
free_port 26432; port=$found
free_port 26480; admin_port=$found
free_port 25432; pg_port=$found
mkdir -m 700 "$world/pg"
[ "$(id -u)" -ne 0 ] || chown postgres "$world/pg"
as_postgres "$pg_bin/initdb" -D "$world/pg" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync \
  >"$world/initdb.log" 2>&1 || { cat "$world/initdb.log" >&2; fail "initdb failed"; }
as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -l "$world/pg/server.log" -w -s \
  -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start ||
  fail "PostgreSQL did not start on port $pg_port"
postgres_up=yes
psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -h 127.0.0.1 -p "$pg_port" -U postgres -d postgres <<'SQL'
CREATE ROLE app LOGIN;
CREATE ROLE sallyport_catalog LOGIN;
CREATE DATABASE shop;
\connect shop
CREATE TABLE orders (id int PRIMARY KEY, item text);
INSERT INTO orders VALUES (1, 'lamp'), (2, 'desk');
CREATE TABLE customers (id int PRIMARY KEY, name text, city text, email text, ssn text);
INSERT INTO customers VALUES (1, 'Ada', 'London', 'ada@example.com', '111-11-1111'),
                             (2, 'Grace', 'New York', 'grace@example.com', '222-22-2222');
CREATE TABLE cards (customer int, number text);
INSERT INTO cards VALUES (1, '4111 1111 1111 1111');
CREATE SCHEMA pii;
CREATE TABLE pii.notes (customer int, note text);
CREATE VIEW contacts AS SELECT name, email FROM customers;
GRANT USAGE ON SCHEMA pii TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, pii TO app;
SQL
mkdir -m 700 "$world/secrets" "$world/var"
(umask 077; echo none >"$world/secrets/app")
cp "$root/tests/page/policy.yaml" "$world/policy.yaml"
{
  echo "users:"
  user() { printf '%s-secret\n' "$1" | "$binary" passwd "$1" - --groups "$2"; }
  user alice dev,oncall
  user bob dev,security
  user carol dev,security
  user dave admins
  user eve dev
} >"$world/users.yaml"
chmod 600 "$world/users.yaml"
cat >"$world/sallyport.yaml" <<YAML
listen:
  postgres: { address: 127.0.0.1, port: $port, tls: { mode: disable } }
  admin:    { address: 127.0.0.1, port: $admin_port, rate: { event_streams: 4 } }
state: { sqlite: var/sallyport.db }
audit: { directory: var/audit, signing_key: var/audit.key }
users: users.yaml
policy: policy.yaml
roles:
  admin: { groups: [admins] }
  auditor: { groups: [admins] }
targets:
  shop:
    host: 127.0.0.1
    port: $pg_port
    tls: { mode: disable }
    login: { user: app, password_file: secrets/app }
    catalog: { user: sallyport_catalog, password_file: secrets/app }
YAML
"$binary" check --config "$world/sallyport.yaml" >"$world/check.log" 2>&1 ||
  { cat "$world/check.log" >&2; fail "the configuration does not pass \`sallyport check\`"; }

# --- the cases ----------------------------------------------------------------------------------------
export WORLD=$world BINARY=$binary PG_PROXY_PORT=$port ADMIN_PORT=$admin_port TOOLS=$tools/drive
export TYPES=$types ONLY=$only SHOTS=$shots HOME=$world PGCONNECT_TIMEOUT=0
unset PGOPTIONS PGSERVICE PGSSLMODE PGDATABASE PGUSER PGPASSWORD 2>/dev/null || true
timeout -k 10 420 node "$root/tests/page/run.mjs" &
runner_pid=$!
code=0
wait "$runner_pid" || code=$?
runner_pid=
[ $code -eq 0 ] || tail -n 15 "$world/sallyport.log" >&2 || true
exit $code
