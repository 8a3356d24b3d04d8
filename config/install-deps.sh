#!/usr/bin/env bash
# Installs from Debian 12 what Sallyport needs and this machine lacks. Quick when nothing is missing.
#
#   config/install-deps.sh            to build and to run the quick start
#   config/install-deps.sh --tests    also what tests/run.sh needs
#   config/install-deps.sh --bench    also what bench/compare.sh needs
#   config/install-deps.sh --conformance          also the clients of tests/conformance.sh
#   config/install-deps.sh --conformance-quick    also those of tests/conformance.sh --quick
set -euo pipefail

packages=(
  g++ cmake ninja-build pkg-config ccache
  libboost1.81-dev libssl-dev libpqxx-dev libpq-dev libspdlog-dev nlohmann-json3-dev
  libpg-query-dev libprotobuf-c-dev libyaml-cpp-dev libcli11-dev libsqlite3-dev
  libidn-dev libunistring-dev prometheus-cpp-dev libsystemd-dev dpkg-dev
  postgresql-15 postgresql-client-15 openssl jq
)
clients=(
  python3 python3-psycopg2 python3-psycopg python3-asyncpg python3-pg8000
  libpostgresql-jdbc-java openjdk-17-jdk-headless ruby ruby-pg libdbd-pg-perl
  golang-go golang-github-lib-pq-dev golang-github-jackc-pgx-v4-dev
)
# The web page is built with npm. Node.js may have come with its npm from elsewhere; Debian's would not
# go with it.
command -v npm >/dev/null || packages+=(nodejs npm)
for argument in "$@"; do
  case "$argument" in
    --tests) packages+=(libgtest-dev libgmock-dev libbenchmark-dev
                        clang-14 libfuzzer-14-dev libclang-rt-14-dev
                        postgresql-plperl-15 postgresql-plpython3-15 python3
                        prometheus zsh fish groff-base procps adduser chromium) ;;
    --bench) packages+=(libbenchmark-dev pgbouncer) ;;
    --conformance) packages+=("${clients[@]}" python3-sqlalchemy php-cli php-pgsql libecpg-dev
                              odbc-postgresql unixodbc python3-pyodbc) ;;
    --conformance-quick) packages+=("${clients[@]}") ;;
    *) echo "install-deps.sh: unknown option $argument" \
         "(known: --tests, --bench, --conformance, --conformance-quick)" >&2
       exit 2 ;;
  esac
done

installed() {
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing=()
for package in "${packages[@]}"; do
  installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ]; then
  echo "install-deps.sh: these Debian packages are missing, and only root can install them:" >&2
  echo "  apt-get install ${missing[*]}" >&2
  exit 1
fi

# Debian starts a server with a package that brings one. Ours are throwaway, and start themselves:
# the new package must not start anything, and what ran before must not be touched.
if ! installed postgresql-15; then
  mkdir -p /etc/postgresql-common
  if ! grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf; then
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
  fi
fi
quiet=()  # services that come with what is missing
for service in pgbouncer prometheus; do
  [[ " ${missing[*]} " != *" $service "* ]] || quiet+=("$service")
done
blocker=
service_policy() {
  # Only while we install, and only if nobody else has a policy.
  if [ ${#quiet[@]} -gt 0 ] && [ ! -e /usr/sbin/policy-rc.d ]; then
    blocker=/usr/sbin/policy-rc.d
    local names
    names=$(IFS='|'; echo "${quiet[*]}")
    printf '#!/bin/sh\ncase "$1" in %s) exit 101 ;; esac\nexit 0\n' "$names" >"$blocker"
    chmod 755 "$blocker"
    trap 'rm -f "$blocker"' EXIT
  fi
}
service_policy

export DEBIAN_FRONTEND=noninteractive
install_missing() {
  apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confold "${missing[@]}"
}
echo "install-deps.sh: installing ${missing[*]}"
log=$(mktemp)
# The package lists of a bare machine are empty or old; a machine in use need not fetch them again.
if ! install_missing >"$log" 2>&1; then
  if ! { apt-get update -qq && install_missing; } >"$log" 2>&1; then
    cat "$log" >&2
    echo "install-deps.sh: apt-get failed (see above). Is this Debian 12 with a network?" >&2
    rm -f "$log"
    exit 1
  fi
fi
rm -f "$log"
# Nor at the next boot: the tests start their own.
for service in "${quiet[@]}"; do
  systemctl disable --quiet "$service" 2>/dev/null || true
  update-rc.d "$service" disable 2>/dev/null || true
done
