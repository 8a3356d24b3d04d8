"""One PostgreSQL server with the proxies in front of it: where cases run, one after the other."""

import json
import re
import time

from wire import Connection, LoginError, Silence

database = "appdb"
roles = ("postgres", "owner", "app_user", "limited", "pii", "app_admin", "app_repl", "dba",
         "sallyport_catalog")
kept_databases = ("postgres", "template0", "template1", "tmpl_a", "tmpl_b", "tmpl_c")

protected = ("pii.customers", "finance.payroll",
             "pii.kyc_documents_and_identity_verification_records_master_archive_")
partitions = ("finance.payroll_2023", "finance.payroll_2024", "archive.p_2022")

secrets_of_column = "SELECT ssn FROM pii.customers"
secrets_of_tables = f"""{secrets_of_column}
UNION SELECT email FROM pii.customers UNION SELECT (address).street FROM pii.customers
UNION SELECT nick::text FROM pii.customers UNION SELECT name FROM pii.customers
UNION SELECT 'DOCMARK-' || right(split_part(doc, '.', 1), 3) FROM pii.customers
UNION SELECT iban FROM finance.payroll UNION SELECT salary::text FROM finance.payroll
UNION SELECT body FROM {protected[2]}"""


class Trouble(Exception):
    """A case could not be set up, or its world is not as it must be."""


def fingerprint_query(oids, namespaces, types):
    """What the catalog says of the protected tables, their schemas and types, a line for each."""
    with open(__file__.replace("lane.py", "fingerprint.sql"), encoding="utf-8") as f:
        text = f.read()
    for name, value in (("oids", oids), ("namespaces", namespaces), ("types", types)):
        text = text.replace(f":'{name}'", "'{" + value + "}'")
    return text


class Lane:
    """Owns nothing: the server and the proxies are started and stopped by tests/evasion.sh.

    A case gets the database made anew from the template, unless the one before it wrote nothing
    (no WAL) and asked for the same variant."""

    def __init__(self, server_port, proxy_ports):
        self.server_port = server_port
        self.proxy_ports = proxy_ports
        self.control = self.superuser("postgres")
        self.members = self._members()
        self.data_directory = self.value("SHOW data_directory")
        self.variant = None
        self.clean_at = None
        self.lsn = None
        self._secrets = {}
        self._names = {}
        self.made = 0

    # --- asking the server ---
    def superuser(self, name=database):
        return Connection(self.server_port, "postgres", name, timeout=30)

    def value(self, sql):
        rows = self.control.query(sql).rows
        return rows[0][0].decode() if rows and rows[0][0] is not None else ""

    def column(self, sql, name=database):
        """The first column of an answer to a superuser; an error of the server is Trouble."""
        c = self.superuser(name)
        try:
            c.query("SET row_security = off; SET track_counts = off")
            result = c.query(sql)
        finally:
            c.close()
        if result.errors:
            raise Trouble(f"{sql[:100]}: {result.text()}")
        return [row[0].decode() if row[0] else "" for row in result.rows]

    def written(self):
        return self.value("SELECT pg_current_wal_insert_lsn()")

    def _members(self):
        return set(self.column_of_control(
            "SELECT roleid::regrole || ' TO ' || member::regrole FROM pg_auth_members"
            " WHERE roleid > 16000 OR member > 16000"))

    def column_of_control(self, sql):
        return [row[0].decode() for row in self.control.query(sql).rows]

    # --- the database ---
    def fresh_database(self, variant="a", anew=False):
        """Gives the case a database nobody has written to; True if it was made anew."""
        if not anew and self.variant == variant and self.clean_at == self.written():
            return False
        self.clean_at = None
        self._control(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        self._control(f"CREATE DATABASE {database} TEMPLATE tmpl_{variant} OWNER owner")
        self._control(f"GRANT CREATE ON DATABASE {database} TO app_user")
        self.variant = variant
        self.made += 1
        self.lsn = self.clean_at = self.written()
        return True

    def dirty(self):
        return self.clean_at != self.written()

    def _control(self, sql):
        """Tries again for a while: somebody may be connected to a template for an instant."""
        deadline = time.monotonic() + 10
        while True:
            result = self.control.query(sql)
            if not result.errors:
                return
            if result.closed or time.monotonic() > deadline:
                raise Trouble(f"{sql}: {result.text()}")
            time.sleep(0.05)

    def clean_up(self, case):
        """Takes back what a case did to the cluster; its database is left to fresh_database."""
        for sql in case.get("teardown_su", ()):
            self.control.query(sql)
        for name, pid in self.control.query(
                "SELECT slot_name, active_pid FROM pg_replication_slots").rows:
            if pid:
                self.control.query(f"SELECT pg_terminate_backend({pid.decode()}, 5000)")
            self._control(f"SELECT pg_drop_replication_slot('{name.decode()}')")
        if not self.dirty():
            return
        for name in self.column_of_control(
                f"SELECT gid FROM pg_prepared_xacts WHERE database = '{database}'"):
            c = self.superuser()
            c.query(f"ROLLBACK PREPARED '{name}'")
            c.close()
        kept = ", ".join(f"'{name}'" for name in kept_databases)
        for name in self.column_of_control(
                f"SELECT format('%I', datname) FROM pg_database WHERE datname NOT IN ({kept})"):
            if name != database:
                self.control.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        for name in self.column_of_control(
                "SELECT format('%I', rolname) FROM pg_db_role_setting"
                " JOIN pg_roles ON oid = setrole WHERE setdatabase = 0"):
            self.control.query(f"ALTER ROLE {name} RESET ALL")
        for grant in self._members() - self.members:
            self.control.query("REVOKE " + grant.replace(" TO ", " FROM "))
        for grant in self.members - self._members():
            self.control.query("GRANT " + grant)
        known = ", ".join(f"'{name}'" for name in roles)
        strangers = self.column_of_control(
            "SELECT format('%I', rolname) FROM pg_roles"
            f" WHERE oid > 16000 AND rolname NOT IN ({known})")
        if strangers:
            self.control.query(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
            self.clean_at = None
        for name in strangers:
            self.control.query(f"DROP ROLE IF EXISTS {name}")

    # --- what is protected ---
    def secrets(self, policy, variant="a"):
        """Every protected value of the template."""
        key = (policy, variant)
        if key not in self._secrets:
            sql = secrets_of_column if policy == "column" else secrets_of_tables
            self._secrets[key] = [v for v in self.column(sql, f"tmpl_{variant}") if v]
        return self._secrets[key]

    def names(self):
        """The oids of protected tables, schemas and types; a clone has those of its template."""
        if self.variant not in self._names:
            template = f"tmpl_{self.variant}"
            listed = ", ".join(f"'{t}'::regclass" for t in protected + partitions)
            self._names[self.variant] = [",".join(self.column(sql, template)) for sql in (
                f"SELECT o::oid::text FROM unnest(ARRAY[{listed}]) o",
                "SELECT oid::text FROM pg_namespace WHERE nspname IN ('pii', 'finance')",
                "SELECT oid::text FROM pg_type WHERE typname IN ('ssn_t', 'tier_enum', 'addr_t')")]
        return self._names[self.variant]

    def content(self):
        """A checksum of each protected table; GONE where there is none any more."""
        out = []
        for table in protected:
            try:
                out += [f"{table} {v}" for v in self.column(
                    "SELECT count(*) || ' ' || md5(coalesce(string_agg(t::text, '|' ORDER BY"
                    f" t::text), '')) FROM {table} t")]
            except (Trouble, LoginError):
                out.append(f"{table} GONE")
        return out

    def fingerprint(self):
        try:
            return self.column(fingerprint_query(*self.names()))
        except LoginError as e:
            return [f"GONE {e}"]

    def scans(self):
        return int(self.column(
            "SELECT coalesce(sum(coalesce(seq_scan, 0) + coalesce(idx_scan, 0) + n_tup_ins +"
            " n_tup_upd + n_tup_del), 0)::text FROM pg_stat_all_tables WHERE relid ="
            f" ANY('{{{self.names()[0]}}}'::oid[])")[0])

    def check(self, sql):
        return self.column(self.filled_in(sql)) == ["t"]

    # --- placeholders ---
    def filled_in(self, text):
        queries = {"oid": "SELECT '{}'::regclass::oid::text",
                   "path": "SELECT pg_relation_filepath('{}')",
                   "toast": "SELECT reltoastrelid::regclass::text FROM pg_class"
                            " WHERE oid = '{}'::regclass",
                   "toid": "SELECT '{}'::regtype::oid::text",
                   "foid": "SELECT '{}'::regprocedure::oid::text"}
        port = self.server_port
        plain = {"PORT": str(port), "HOST": "127.0.0.1", "DB": database, "lsn": self.lsn,
                 "datadir": self.data_directory,
                 "PSQL": "PGPASSWORD=pw /usr/lib/postgresql/15/bin/psql -X -h 127.0.0.1"
                         f" -p {port} -U app_user -d {database}"}

        def value(match):
            key, _, argument = match.group(1).partition(":")
            if key == "CONN":
                return (f"host=127.0.0.1 port={port} dbname={database}"
                        f" user={argument or 'app_user'} password=pw")
            if key in queries:
                return self.column(queries[key].format(argument))[0]
            return plain[key]
        return re.sub(r"\{\{([^{}]+)\}\}", value, text) if "{{" in text else text

    def filled_in_deep(self, value):
        return json.loads(self.filled_in(json.dumps(value)))

    # --- preparing a case ---
    def set_up(self, case):
        for key, user in (("setup_su", "postgres"), ("setup", "owner")):
            if not case.get(key):
                continue
            c = Connection(self.server_port, user, database, timeout=30)
            try:
                for sql in case[key]:
                    result = c.query(self.filled_in(sql))
                    if result.errors:
                        raise Trouble(f"{key}: {sql[:120]}: {result.text()}")
            finally:
                c.close()

    def wait_until(self, sql, seconds=2.0):
        """Asks on new connections until the condition holds; goes on when it does not."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.column(sql) == ["t"]:
                    return
            except (Trouble, LoginError, Silence):
                pass
            time.sleep(0.05)
