#!/usr/bin/env bash
# Shows Sallyport at work in a throwaway world: a small PostgreSQL, the example policy, alice and bob.
#
#   bash config/quickstart.sh             builds, walks through the main job, then stays up to try by hand
#   bash config/quickstart.sh --tour      ends after the walk; exit 0 only if every step showed what it must
#   bash config/quickstart.sh --port N    the proxy's port (default: a free one from 6432 on)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
tour_only=no
port=
while [ $# -gt 0 ]; do
  case "$1" in
    --tour) tour_only=yes ;;
    --port) port=${2:?--port needs a number}; shift ;;
    -h|--help) sed -n '2,7p' "${BASH_SOURCE[0]}" | cut -c3-; exit 0 ;;
    *) echo "quickstart.sh: unknown option $1 (known: --tour, --port N)" >&2; exit 2 ;;
  esac
  shift
done

if [ -t 1 ]; then
  bold=$'\e[1m'; dim=$'\e[2m'; green=$'\e[32m'; red=$'\e[31m'; plain=$'\e[0m'
else
  bold=; dim=; green=; red=; plain=
fi

# --- what must be gone at the end -------------------------------------------------------------------
world=
proxy_pid=
postgres_up=no
session_pid=
waiting_pid=

leave() {
  local code=$?
  trap - EXIT INT TERM HUP
  end_process "$waiting_pid"
  end_process "$session_pid"
  end_process "$proxy_pid"
  if [ "$postgres_up" = yes ]; then
    as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -m immediate -s stop >/dev/null 2>&1 || true
  fi
  [ -z "$world" ] || rm -rf "$world"
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

fail() { echo "${red}quickstart.sh: $*${plain}" >&2; exit 1; }
. "$root/config/throwaway.sh"

# --- build ------------------------------------------------------------------------------------------
"$root/config/install-deps.sh"
sallyport=$root/build/release/sallyport
build_release || exit 1

# --- a throwaway world ------------------------------------------------------------------------------
[ -x "$pg_bin/initdb" ] || fail "there is no PostgreSQL 15 in $pg_bin"
world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-quickstart.XXXXXX")
chmod 711 "$world"

if [ -n "$port" ]; then
  busy "$port" && fail "port $port is in use: give another one with --port"
  taken+="$port "
else
  free_port 6432; port=$found
fi
free_port 6480; admin_port=$found
free_port 25432; pg_port=$found

mkdir -m 700 "$world/pg"
[ "$(id -u)" -ne 0 ] || chown postgres "$world/pg"
secret() { openssl rand -hex 12; }
superuser_password=$(secret); app_password=$(secret); catalog_password=$(secret)
install -m 644 /dev/null "$world/superuser"
printf '%s' "$superuser_password" >"$world/superuser"
as_postgres "$pg_bin/initdb" -D "$world/pg" -U postgres -A scram-sha-256 --pwfile="$world/superuser" \
  -E UTF8 --locale=C --no-sync >"$world/initdb.log" 2>&1 || { cat "$world/initdb.log" >&2; fail "initdb failed"; }
rm "$world/superuser"
as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -l "$world/pg/server.log" -w -s \
  -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start ||
  fail "PostgreSQL did not start on port $pg_port"
postgres_up=yes

direct() {  # DATABASE, SQL on stdin
  PGPASSWORD=$superuser_password psql -X -q -v ON_ERROR_STOP=1 -o /dev/null \
    -h 127.0.0.1 -p "$pg_port" -U postgres -d "$1" -f -
}
direct postgres <<SQL
CREATE ROLE app LOGIN PASSWORD '$app_password';
CREATE ROLE sallyport_catalog LOGIN PASSWORD '$catalog_password';
CREATE DATABASE shop;
CREATE DATABASE hr;
SQL
direct shop <<'SQL'
CREATE TABLE orders (id int PRIMARY KEY, item text, amount numeric(8,2), placed date);
INSERT INTO orders VALUES (1, 'lamp', 39.90, '2024-03-01'), (2, 'desk', 249.00, '2024-03-02'),
                          (3, 'chair', 119.50, '2024-03-02');
CREATE TABLE customers (id int PRIMARY KEY, name text, city text, email text, ssn text);
INSERT INTO customers VALUES (1, 'Ada', 'London', 'ada@example.com', '111-11-1111'),
                             (2, 'Grace', 'New York', 'grace@example.com', '222-22-2222');
CREATE SCHEMA pii;
CREATE TABLE pii.customers (id int PRIMARY KEY, birthday date);
INSERT INTO pii.customers VALUES (1, '1815-12-10'), (2, '1906-12-09');
CREATE TABLE pii.cards (customer int, number text);
INSERT INTO pii.cards VALUES (1, '4111 1111 1111 1111');
GRANT USAGE ON SCHEMA pii TO app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, pii TO app;
SQL
direct hr <<'SQL'
CREATE TABLE payroll (person text PRIMARY KEY, salary int);
INSERT INTO payroll VALUES ('alice', 5000), ('bob', 5200);
GRANT SELECT, INSERT, UPDATE, DELETE ON payroll TO app;
SQL

# --- Sallyport's configuration ------------------------------------------------------------------------
mkdir -m 700 "$world/secrets" "$world/var"
(umask 077
 printf '%s\n' "$app_password" >"$world/secrets/app"
 printf '%s\n' "$catalog_password" >"$world/secrets/catalog")
cp "$root/config/policy.yaml" "$world/policy.yaml"
{
  echo "users:"
  user() {  # NAME PASSWORD GROUPS
    printf '%s\n' "$2" | "$sallyport" passwd "$1" - --groups "$3"
  }
  user alice alice-secret dev,oncall
  user bob   bob-secret   dev,security
  user carol carol-secret dev,security,hr-owners
  user dave  dave-secret  hr-owners
  user dba   dba-secret   dba
} >"$world/users.yaml"
chmod 600 "$world/users.yaml"
cat >"$world/sallyport.yaml" <<YAML
listen:
  postgres: { address: 127.0.0.1, port: $port, tls: { mode: disable } }
  admin:    { address: 127.0.0.1, port: $admin_port }
state: { sqlite: var/sallyport.db }
audit: { directory: var/audit, signing_key: var/audit.key }
users: users.yaml
policy: policy.yaml
roles:
  admin: { groups: [dba] }
  auditor: { groups: [security, dba] }
targets:
  shop:
    host: 127.0.0.1
    port: $pg_port
    tls: { mode: disable }
    login: { user: app, password_file: secrets/app }
    catalog: { user: sallyport_catalog, password_file: secrets/catalog }
  hr:
    host: 127.0.0.1
    port: $pg_port
    tls: { mode: disable }
    login: { user: app, password_file: secrets/app }
    catalog: { user: sallyport_catalog, password_file: secrets/catalog }
YAML
start_proxy "$sallyport" "$port" "$admin_port"

# --- the walk -----------------------------------------------------------------------------------------
export PGHOST=127.0.0.1 PGPORT=$port PGCONNECT_TIMEOUT=0 PGAPPNAME=psql HOME=$world
export SALLYPORT_URL=http://127.0.0.1:$admin_port
unset PGOPTIONS PGSERVICE PGSSLMODE PGDATABASE PGUSER 2>/dev/null || true

steps=0
failed=0
shown=        # what the newest command printed
step() { steps=$((steps + 1)); printf '\n%s%d. %s%s\n' "$bold" "$steps" "$1" "$plain"; }
must() {  # WHAT, then a command that must succeed
  local what=$1; shift
  if "$@"; then
    printf '   %s✔ %s%s\n' "$green" "$what" "$plain"
  else
    printf '   %s✘ %s%s\n' "$red" "$what" "$plain"
    failed=$((failed + 1))
  fi
}
contains() { grep -qE -- "$1" <<<"$shown"; }
lacks() { ! contains "$1"; }
type_line() { printf '   %s%s$%s %s\n' "$dim" "$1" "$plain" "$2"; }
show() { sed 's/^/   │ /' <<<"$1"; }
as_psql() { PGUSER=$1 PGPASSWORD=$1-secret PGDATABASE=$2 psql -X -P pager=off "${@:3}"; }
run_psql() {  # USER DATABASE SQL
  type_line "$1" "psql -d $2 -c \"$3\""
  shown=$(as_psql "$1" "$2" -c "$3" 2>&1) || true
  show "$shown"
}
run_cli() {  # USER ARGUMENTS…
  local user=$1; shift
  type_line "$user" "sallyport $(printf '%s ' "$@" | sed 's/ $//')"
  shown=$(SALLYPORT_PASSWORD=$user-secret "$sallyport" "$@" --user "$user" 2>&1) && status=0 || status=$?
  show "$shown"
}
held_number() {  # FILE: the number of the hold that psql was told
  sed -nE 's/.*hold ([0-9]+), rule.*/\1/p' "$1" 2>/dev/null | tail -n 1
}
has_number() { [ -n "$(held_number "$1")" ]; }

# Starts a statement in the background and shows what psql says while it waits; its number is in $hold.
hold_psql() {  # USER DATABASE SQL
  type_line "$1" "psql -d $2 -c \"$3\""
  : >"$world/held"
  PGOPTIONS="-c sallyport.reason=ticket-4711" PGUSER=$1 PGPASSWORD=$1-secret PGDATABASE=$2 \
    psql -X -P pager=off -c "$3" >"$world/held" 2>&1 &
  waiting_pid=$!
  wait_until has_number "$world/held" || true
  hold=$(held_number "$world/held")
  hold=${hold:-0}
  shown=$(cat "$world/held")
  held_lines=$(wc -l <<<"$shown")
  show "$shown"
}
gone() { ! kill -0 "$1" 2>/dev/null; }
held_psql_ends() {
  wait_until gone "$waiting_pid" || true
  waiting_pid=
  shown=$(cat "$world/held")
  show "$(tail -n +"$((held_lines + 1))" <<<"$shown")"
}

walk() {
  step "Nothing changes for what no rule speaks of: alice reads orders."
  run_psql alice shop "select item, amount from orders where id < 3"
  must "the rows are there" contains 'lamp.*39.90'

  step "Personal data is held until another person says yes: psql tells alice at once, and waits."
  hold_psql alice shop "select name, ssn from customers"
  must "psql shows the hold's number and its rule" contains "hold [0-9]+, rule pii-needs-approval"
  must "no row has come" lacks '111-11-1111'
  run_cli bob holds
  must "bob sees who asks for what" contains 'alice'

  step "Alice cannot approve her own request, by any road."
  run_cli alice approve "$hold" --reason "it is me"
  must "the CLI refuses" test "$status" -ne 0
  type_line alice "psql -d sallyport -c \"APPROVE $hold REASON 'it is me'\""
  shown=$(as_psql alice sallyport -c "APPROVE $hold REASON 'it is me'" 2>&1) || true
  show "$shown"
  must "the console refuses" contains 'ERROR'
  shown=$(cat "$world/held")
  must "it is still held" lacks '111-11-1111'

  step "Bob of the security group approves, and the rows arrive in the psql that waited."
  run_cli bob approve "$hold" --reason "agreed in ticket 4711"
  must "the approval is accepted" test "$status" -eq 0
  held_psql_ends
  must "the rows are there" contains '111-11-1111'

  step "A denied statement fails like any server error: its transaction cannot commit."
  type_line alice "psql -d shop   (BEGIN; INSERT …; DROP TABLE orders; COMMIT)"
  shown=$(as_psql alice shop 2>&1 <<'SQL' || true
BEGIN;
INSERT INTO orders VALUES (9, 'ghost', 1, '2024-03-03');
DROP TABLE orders;
COMMIT;
SELECT count(*) AS ghosts FROM orders WHERE id = 9;
SQL
  )
  show "$shown"
  must "the rule's own message is shown" contains 'migrations pipeline'
  must "COMMIT answers ROLLBACK" contains '^ROLLBACK$'
  must "the row is absent" contains '^ +0$'

  walk_opt_out

  step "Each use of the opt-out is in the log, written before the statement went to the server."
  type_line bob "sallyport audit search var/audit --event bypass"
  shown=$("$sallyport" audit search "$world/var/audit" --event bypass 2>&1) || true
  show "$shown"
  must "the bypass names alice" contains 'bypass.*alice'
  must "and the opt-out with its ticket" contains 'INC-4711'

  step "The log proves that nobody changed it since."
  type_line bob "sallyport audit verify var/audit --public-key var/audit.key.pub"
  shown=$("$sallyport" audit verify "$world/var/audit" --public-key "$world/var/audit.key.pub" 2>&1) &&
    status=0 || status=$?
  show "$shown"
  must "audit verify finds the chain whole" test "$status" -eq 0
}

walk_opt_out() {
  step "Alice is on call. She asks for an opt-out, with a reason and a ticket; bob approves it."
  run_cli alice opt-out request --rule pii-needs-approval --for 2h \
    --reason "incident: checkout is down" --ticket INC-4711
  must "the request is stored" test "$status" -eq 0
  opt_out=$(SALLYPORT_PASSWORD=bob-secret "$sallyport" opt-out list --json --user bob 2>/dev/null |
    jq -r '[.. | objects | select(.rule? == "pii-needs-approval") | .id] | max // 0' 2>/dev/null || echo 0)
  run_cli bob opt-out approve "$opt_out" --reason "on call, confirmed"
  must "bob's approval activates it" test "$status" -eq 0

  step "Until its end her statements pass at once. Then bob revokes it, while her psql stays open."
  mkfifo "$world/input"
  : >"$world/session"  # read before psql's own redirection may have made it
  PGOPTIONS="-c sallyport.on_hold=refuse -c sallyport.reason=INC-4711" PGUSER=alice PGPASSWORD=alice-secret \
    PGDATABASE=shop psql -X -P pager=off <"$world/input" >"$world/session" 2>&1 &
  session_pid=$!
  exec 7>"$world/input"
  type_line alice "psql -d shop   (stays open; asked not to wait: sallyport.on_hold=refuse)"
  ask_session "select name, email from customers where id = 1;"
  must "the statement passes at once" contains 'ada@example.com'
  run_cli bob opt-out revoke "$opt_out" --reason "the incident is over"
  must "the revocation is accepted" test "$status" -eq 0
  ask_session "select name, email from customers where id = 2;"
  must "the same session needs a person again" contains 'ERROR'
  must "no row of it came" lacks 'grace@example.com'
  exec 7>&-
  wait_until gone "$session_pid" || true
  session_pid=
}

asked=0
ask_session() {  # SQL to the psql that is open; what it answers is in $shown
  asked=$((asked + 1))
  local before; before=$(wc -l <"$world/session")
  printf '%s\n\\echo answered %d\n' "$1" "$asked" >&7
  answered() { grep -q "^answered $asked\$" "$world/session"; }
  wait_until answered || true
  shown=$(tail -n +"$((before + 1))" "$world/session" | grep -v '^answered ')
  printf '   %sshop=>%s %s\n' "$dim" "$plain" "$1"
  show "$shown"
}

status=0
walk

echo
if [ "$failed" -ne 0 ]; then
  echo "${red}$failed of the things above did not show what they must. Sallyport's log:${plain}"
  tail -n 40 "$world/sallyport.log"
  [ "$tour_only" = no ] || exit 1
else
  echo "${green}All $steps steps showed what they must.${plain}"
fi
[ "$tour_only" = no ] || exit 0

cat <<TEXT

${bold}Sallyport is up. Its page, for a browser:${plain}

  $SALLYPORT_URL/      log in as bob, password bob-secret: he approves what alice is held for, and reads the log
                              (dba, password dba-secret, also sees and ends sessions)

${bold}By hand, each line in a terminal of its own:${plain}

  PGPASSWORD=alice-secret psql -h 127.0.0.1 -p $port -U alice -d shop
      select * from orders;               -- passes
      select * from customers;            -- is held (Ctrl-C withdraws)
  PGPASSWORD=alice-secret psql -h 127.0.0.1 -p $port -U alice -d hr         # the session itself is held, in office hours
  PGPASSWORD=bob-secret psql -h 127.0.0.1 -p $port -U bob -d sallyport      # the console: SHOW HOLDS; APPROVE 1 REASON 'ok'; HELP

  export SALLYPORT_URL=$SALLYPORT_URL SALLYPORT_PASSWORD=bob-secret
  $sallyport holds --user bob
  $sallyport approve ID --reason 'ok' --user bob
  $sallyport opt-out list --user bob
  $sallyport sessions --user bob
  $sallyport explain --config $world/sallyport.yaml --as alice --on shop "select ssn from customers"
  $sallyport audit verify $world/var/audit --public-key $world/var/audit.key.pub

  People (password: NAME-secret): alice (dev, oncall) · bob (dev, security) · carol (dev, security, hr-owners) ·
  dave (hr-owners) · dba (dba).   Files: $world
  ${bold}Ctrl-C ends everything and removes it.${plain}
TEXT
wait "$proxy_pid" || true
proxy_pid=
fail "sallyport ended by itself"
