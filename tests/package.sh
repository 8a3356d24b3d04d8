#!/usr/bin/env bash
# Builds the Debian package, installs it on this machine, uses it with psql, upgrades, removes and purges it, and
# looks at what stays. Takes away what it made, also when it fails.
#
#   bash tests/package.sh             (root; a machine on which no sallyport is installed)
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
world=
proxy_pid=
postgres_up=no
touched=no
had_user=no

leave() {
  local code=$?
  trap - EXIT INT TERM HUP
  set +e
  end_process "$proxy_pid"
  if [ "$postgres_up" = yes ]; then
    as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -m immediate -s stop >/dev/null 2>&1
  fi
  if [ "$touched" = yes ]; then
    dpkg --purge sallyport >/dev/null 2>&1
    rm -rf /etc/sallyport /var/lib/sallyport /var/log/sallyport
    [ "$had_user" = yes ] || deluser --system --quiet sallyport >/dev/null 2>&1
  fi
  [ -z "$world" ] || rm -rf "$world"
  [ $code -eq 0 ] && echo "package.sh: every step passed" || echo "package.sh: FAILED" >&2
  exit "$code"
}
fail() { echo "package.sh: $*" >&2; exit 1; }
. "$root/config/throwaway.sh"
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step() { echo "--- $*"; }
is() {  # WHAT GOT WANTED
  [ "$2" = "$3" ] || fail "$1: got '$2', wanted '$3'"
}
has() {  # WHAT TEXT WANTED
  [[ $2 == *"$3"* ]] || fail "$1: '$3' is not in: $2"
}
mode_of() { stat -c '%a %U:%G' "$1"; }

[ "$(id -u)" -eq 0 ] || fail "only root can install a package"
[ -x "$pg_bin/initdb" ] || fail "there is no PostgreSQL 15 in $pg_bin"
! dpkg-query -W sallyport >/dev/null 2>&1 || fail "a package sallyport is installed here; this test would replace it"
for folder in /etc/sallyport /var/lib/sallyport; do
  [ ! -e "$folder" ] || fail "$folder is there already; this test would change it"
done
getent passwd sallyport >/dev/null && had_user=yes

step "build the package, in two versions"
build_release || exit 1
world=$(mktemp -d "${TMPDIR:-/tmp}/sallyport-package.XXXXXX")
chmod 711 "$world"
package() {  # VERSION → $deb
  (cd "$root/build/release" &&
    cpack -G DEB -R "$1" -B "$world/deb-$1" >"$world/cpack.log" 2>&1) || { cat "$world/cpack.log" >&2; fail "cpack failed"; }
  deb=$(ls "$world/deb-$1"/*.deb)
}
package 0.1.0; first=$deb
package 0.1.1; second=$deb
depends=$(dpkg-deb -f "$first" Depends)
has "computed dependencies" "$depends" "libpq5"
has "computed dependencies" "$depends" "libsystemd0"
has "computed dependencies" "$depends" "adduser"

step "a PostgreSQL of its own"
mkdir -m 700 "$world/pg"
chown postgres "$world/pg"
free_port 25432; pg_port=$found
free_port 6432; port=$found
free_port 6480; admin_port=$found
printf 'superuser-secret' >"$world/superuser"; chmod 644 "$world/superuser"
as_postgres "$pg_bin/initdb" -D "$world/pg" -U postgres -A scram-sha-256 --pwfile="$world/superuser" \
  -E UTF8 --locale=C --no-sync >"$world/initdb.log" 2>&1 || { cat "$world/initdb.log" >&2; fail "initdb failed"; }
as_postgres "$pg_bin/pg_ctl" -D "$world/pg" -l "$world/pg/server.log" -w -s \
  -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off" start ||
  fail "PostgreSQL did not start"
postgres_up=yes
direct() { PGPASSWORD=superuser-secret psql -X -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$pg_port" -U postgres -d "$1" -f -; }
direct postgres <<'SQL'
CREATE ROLE app LOGIN PASSWORD 'app-secret';
CREATE ROLE sallyport_catalog LOGIN PASSWORD 'catalog-secret';
CREATE DATABASE shop;
SQL
direct shop <<'SQL'
CREATE SCHEMA pii;
CREATE TABLE pii.cards (number text);
INSERT INTO pii.cards VALUES ('4111');
GRANT USAGE ON SCHEMA pii TO app;
GRANT SELECT ON pii.cards TO app;
SQL

step "install"
touched=yes
# Debian's own way would fetch missing libraries; here the build has them all.
dpkg -i "$first" >"$world/dpkg.log" 2>&1 || { cat "$world/dpkg.log" >&2; fail "dpkg -i failed"; }
has "advice at the end" "$(cat "$world/dpkg.log")" "sallyport init /etc/sallyport"
is "user" "$(getent passwd sallyport | cut -d: -f6)" /var/lib/sallyport
is "state's folder" "$(mode_of /var/lib/sallyport)" "700 sallyport:sallyport"
is "logs' folder" "$(mode_of /var/log/sallyport)" "750 sallyport:sallyport"
is "configuration's folder" "$(mode_of /etc/sallyport)" "750 root:sallyport"
[ ! -e /etc/sallyport/sallyport.yaml ] || fail "a configuration with known passwords was installed"
conffiles=$(dpkg-query -W -f='${Conffiles}' sallyport)
for file in /etc/sallyport/examples/sallyport.yaml /etc/default/sallyport; do
  has "conffiles" "$conffiles" "$file"
done
contents=$(dpkg-deb -c "$first")
for page in man1/sallyport.1.gz man5/sallyport.yaml.5.gz man5/policy.yaml.5.gz; do
  has "man pages" "$contents" "usr/share/man/$page"
done

step "the unit"
unit=/usr/lib/systemd/system/sallyport.service
if command -v systemd-analyze >/dev/null; then
  complaints=$(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F sallyport.service || true)
  is "systemd-analyze verify" "$complaints" ""
  systemd-analyze security --offline=true --threshold=25 "$unit" >"$world/security.log" 2>&1 ||
    { cat "$world/security.log" >&2; fail "the unit is not hardened enough"; }
fi
serve=$(sed -n 's/^ExecStart=//p' "$unit")
check=$(sed -n 's/^ExecStartPre=//p' "$unit")
has "type" "$(cat "$unit")" "Type=notify"

step "a first configuration"
(umask 077
 printf 'app-secret\n' >"$world/app"; printf 'catalog-secret\n' >"$world/catalog"; printf 'carol-secret\n' >"$world/carol")
init() {
  sallyport init /etc/sallyport --target shop --port "$pg_port" --login app --login-password-file "$world/app" \
    --catalog-login sallyport_catalog --catalog-password-file "$world/catalog" \
    --admin-user carol --admin-password-file "$world/carol" --listen-port "$port" --admin-port "$admin_port"
}
init >"$world/init.log" 2>&1 || { cat "$world/init.log" >&2; fail "sallyport init failed"; }
is "secret" "$(mode_of /etc/sallyport/secrets/shop)" "640 root:sallyport"
is "users" "$(mode_of /etc/sallyport/users.yaml)" "640 root:sallyport"
if init >"$world/init.log" 2>&1; then fail "sallyport init has overwritten a configuration"; fi
has "refusal" "$(cat "$world/init.log")" "overwrites nothing"
as_service() { cd / && exec runuser -u sallyport -- sh -c "umask 0077; exec $1"; }  # in a subshell
(as_service "$check") >/dev/null || fail "the service's user finds faults in the new configuration"
printf 'alice-secret\n' | sallyport passwd alice - --groups dev >>/etc/sallyport/users.yaml

step "start, as the unit does"
start() {
  as_service "$serve" >>"$world/sallyport.log" 2>&1 &
  proxy_pid=$!
  up() { ! kill -0 "$proxy_pid" 2>/dev/null || { busy "$port" && busy "$admin_port"; }; }
  { wait_until up && kill -0 "$proxy_pid" 2>/dev/null; } || { cat "$world/sallyport.log" >&2; fail "the service did not start"; }
}
# Should runuser stand before the proxy: it does not pass SIGHUP on.
main_pid() { pgrep -P "$proxy_pid" -x sallyport || echo "$proxy_pid"; }
stop() {
  kill -TERM "$(main_pid)"
  wait "$proxy_pid" || true
  proxy_pid=
}
ask() { PGPASSWORD=alice-secret psql -X -At -h 127.0.0.1 -p "$port" -U alice -d shop -c "$1" 2>"$world/psql.err"; }
as_carol() { SALLYPORT_URL=http://127.0.0.1:$admin_port SALLYPORT_USER=carol SALLYPORT_PASSWORD=carol-secret sallyport "$@"; }
start

step "use"
is "a plain statement" "$(ask 'SELECT 6 * 7')" 42
ask 'SELECT number FROM pii.cards' >"$world/held" & asking=$!
waits() { as_carol holds 2>/dev/null | grep -q alice; }
wait_until waits || fail "nothing waits for approval"
as_carol approve 1 >/dev/null
wait "$asking"
is "what was approved" "$(cat "$world/held")" 4111
kill -HUP "$(main_pid)"
reloaded() { grep -q "reloaded: policy" "$world/sallyport.log"; }
wait_until reloaded || fail "SIGHUP did not reload"

step "upgrade"
echo "# mine" >>/etc/default/sallyport
stop
dpkg -i "$second" >"$world/dpkg.log" 2>&1 || { cat "$world/dpkg.log" >&2; fail "the upgrade failed"; }
is "installed version" "$(dpkg-query -W -f='${Version}' sallyport)" 0.1.1
has "a changed conffile" "$(cat /etc/default/sallyport)" "# mine"
start
has "the hold of before" "$(as_carol holds --all)" "approved"
is "after the upgrade" "$(ask 'SELECT 1')" 1
stop
verify() { sallyport audit verify /var/lib/sallyport/audit --public-key /var/lib/sallyport/audit.key.pub; }
has "audit log" "$(verify)" "OK:"

step "remove"
records=$(cat /var/lib/sallyport/audit/*.jsonl | wc -l)
dpkg --remove sallyport >"$world/dpkg.log" 2>&1 || { cat "$world/dpkg.log" >&2; fail "the removal failed"; }
[ ! -e /usr/bin/sallyport ] || fail "the binary is still there"
for kept in /etc/sallyport/sallyport.yaml /etc/sallyport/secrets/shop /etc/default/sallyport \
            /var/lib/sallyport/sallyport.db /var/lib/sallyport/audit.key; do
  [ -e "$kept" ] || fail "$kept is gone after the removal"
done
getent passwd sallyport >/dev/null || fail "the user is gone, and its files belong to nobody"

step "install again, and go on"
dpkg -i "$second" >"$world/dpkg.log" 2>&1 || fail "installing again failed"
start
has "the hold of before" "$(as_carol holds --all)" "approved"
stop
has "one audit log" "$(verify)" "OK:"
[ "$(cat /var/lib/sallyport/audit/*.jsonl | wc -l)" -gt "$records" ] || fail "the audit log did not go on"

step "purge"
dpkg --purge sallyport >"$world/dpkg.log" 2>&1 || { cat "$world/dpkg.log" >&2; fail "the purge failed"; }
has "what it says" "$(cat "$world/dpkg.log")" "/var/lib/sallyport stays"
[ -e /var/lib/sallyport/sallyport.db ] || fail "the state is gone: it is evidence"
[ ! -e /etc/default/sallyport ] || fail "a conffile is still there"
