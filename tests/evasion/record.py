"""Writes data/evasion/clients/*.sql anew: what psql, pg_dump and pgjdbc send to look at a database.

    python3 record.py PORT LOG

PORT is a PostgreSQL 15 with the database appdb of data/evasion/schema.sql, `log_statement = all` and
`log_destination = jsonlog`; LOG is its server.json. Oids of its tables become placeholders, so that a
recording means the same objects in every database.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
target = os.path.join(os.path.dirname(here), "data", "evasion", "clients")
port, log = sys.argv[1:3]
environment = dict(os.environ, PGHOST="127.0.0.1", PGPORT=port, PGUSER="app_user", PGPASSWORD="pw",
                   PGDATABASE="appdb", PGAPPNAME="recorded", LC_ALL="C.UTF-8")

psql_commands = r"""
\d
\d+
\dS
\d public.orders
\d+ public.orders
\d pii.customers
\d+ pii.customers
\d+ finance.payroll
\d finance.payroll_2023
\d public.v_customers
\d+ public.v_customers
\d+ public.mv_products
\d public.orders_pkey
\d public.audit_log_id_seq
\dA+
\da
\db
\dc
\dC+
\dconfig
\dd
\dD+
\ddp
\dE
\des+
\det+
\deu+
\dew+
\df
\df+ public.*
\dfa
\dF+
\dFd+
\dFp+
\dFt+
\dg+
\di+
\dl+
\dL+
\dm+
\dn
\dn+
\do public.*
\dO
\dp
\dp pii.customers
\dP+
\drds
\dRp+
\ds+
\dt
\dt+ *.*
\dt pii.*
\dT
\dT+ public.*
\du+
\dv+
\dx
\dx+ hstore
\dX
\dy
\l+
\sf public.price_of
\sf+ public.total_qty
\sv public.v_customers
\sv+ public.v_products
\z
\encoding
\conninfo
\lo_list
\h select
"""

not_sensitive = ["-N", "pii", "-N", "finance", "-N", "archive"]


def client_of(command, text=""):
    subprocess.run(command, input=text, text=True, env=environment, check=False,
                   stdout=subprocess.DEVNULL, stderr=sys.stderr)


def java():
    jars = "/usr/share/java/postgresql.jar"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["javac", "-cp", jars, "-d", folder, os.path.join(here, "Metadata.java")],
                       check=True)
        client_of(["java", "-cp", f"{folder}:{jars}", "Metadata",
                   f"jdbc:postgresql://127.0.0.1:{port}/appdb?sslmode=disable"])


def oids():
    """oid → its placeholder, for what a user can make."""
    query = """SELECT oid, '{{oid:' || oid::regclass || '}}' FROM pg_class
               WHERE oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'i', 'S')
               UNION ALL SELECT oid, '{{toid:' || oid::regtype || '}}' FROM pg_type WHERE oid >= 16384
               UNION ALL SELECT oid, '{{foid:' || oid::regprocedure || '}}' FROM pg_proc
               WHERE oid >= 16384"""
    out = subprocess.run(["psql", "-XAtF", "\t", "-c", query], env=environment, text=True,
                         check=True, capture_output=True).stdout
    return dict(line.split("\t") for line in out.splitlines())


def statements(since):
    """What was logged behind `since` bytes, each text once, in order."""
    found = {}
    with open(log, encoding="utf-8") as f:
        f.seek(since)
        for line in f:
            entry = json.loads(line)
            match = re.match(r"(?:statement|execute [^:]*): (.*)", entry.get("message", ""), re.S)
            if match and entry.get("application_name") == "recorded":
                values = dict(re.findall(r"(\$\d+) = ('[^']*')", entry.get("detail", "")))
                text = re.sub(r"\$\d+", lambda m: values.get(m.group(), m.group()), match.group(1))
                found.setdefault(text.strip(), None)
    return list(found)


def main():
    os.makedirs(target, exist_ok=True)
    placeholders = oids()
    recordings = {
        "psql": lambda: client_of(["psql", "-X", "-q"], psql_commands),
        "pg_dump_schema": lambda: client_of(["pg_dump", "-s", *not_sensitive]),
        "pg_dump_data": lambda: client_of(["pg_dump", "-B", *not_sensitive]),
        "pgjdbc": java,
    }
    for name, run in recordings.items():
        since = os.path.getsize(log)
        run()
        texts = [re.sub(r"(?<![\w.])\d{5}(?![\w.])",
                        lambda m: placeholders.get(m.group(), m.group()), text)
                 for text in statements(since)]
        with open(os.path.join(target, name + ".sql"), "w", encoding="utf-8") as f:
            f.write(f"-- What {name.replace('_', ' ')} sends; made by tests/evasion/record.py.\n")
            for text in texts:
                f.write("-- next\n" + text + "\n")
        print(name, len(texts))


main()
