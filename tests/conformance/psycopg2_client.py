"""psycopg2: libpq through Python's DB API. Prints a transcript (see compare.py)."""

import io
import os
import select
import threading

import psycopg2
import psycopg2.extras
import psycopg2.extensions as ext
from transcript import TYPES, Checks, say

check = Checks()
psycopg2.extras.register_uuid()


def fault_of(action):
    try:
        action()
        say("no error")
    except psycopg2.Error as e:
        d = e.diag
        say(type(e).__name__, e.pgcode, d.severity, d.message_primary, d.message_detail,
            d.message_hint, d.statement_position, d.context, d.schema_name, d.table_name,
            d.column_name, d.datatype_name, d.constraint_name, d.source_function)


@check
def tls_modes(c):
    for mode in ("disable", "prefer", "require", "verify-full"):
        n = psycopg2.connect(host="localhost", sslmode=mode,
                             sslrootcert=os.environ["CONFORMANCE_CA"])
        say(mode, n.info.ssl_in_use, n.info.ssl_attribute("protocol"))
        n.close()
    try:
        psycopg2.connect(password="wrong")
    except psycopg2.OperationalError as e:
        say(type(e).__name__, "password authentication failed" in str(e))


@check
def every_type(c):
    with c.cursor() as q:
        for t in TYPES:
            q.execute("select " + t)
            say(t, q.description[0].type_code, q.fetchone())


@check
def values_go_both_ways(c):
    import datetime
    import decimal
    import uuid
    with c.cursor() as q:
        for v in (1, 2**40, 1.5, decimal.Decimal("1.10"), "it's \\ %", b"\x00'\\\xff", None, True,
                  datetime.date(2024, 2, 29), datetime.timedelta(days=1, seconds=2),
                  uuid.UUID(int=7), [1, 2, None], ["a", "b,c"], (1, 2), psycopg2.extras.Json({"a": 1}),
                  psycopg2.extras.DateRange(datetime.date(2024, 1, 1), None)):
            q.execute("select %s as v", (v,))
            say(type(v).__name__, q.fetchone())


@check
def errors_and_transactions(c):
    q = c.cursor()
    q.execute("create table t (a int primary key, b text not null, check (a < 100))")
    c.commit()
    for sql in ("selec", "select * from nowhere", "insert into t values (1)",
                "insert into t values (200, 'x')", "select 1/0", "", "select 'x'::int"):
        fault_of(lambda: q.execute(sql))
        say(c.info.transaction_status)
        fault_of(lambda: q.execute("select 1"))
        c.rollback()
    q.execute("insert into t values (1, 'one')")
    q.execute("savepoint s")
    fault_of(lambda: q.execute("insert into t values (1, 'again')"))
    q.execute("rollback to savepoint s")
    c.commit()
    q.execute("select * from t")
    say(q.fetchall(), q.rowcount, q.statusmessage)
    c.rollback()
    for level in (ext.ISOLATION_LEVEL_SERIALIZABLE, ext.ISOLATION_LEVEL_REPEATABLE_READ):
        c.set_session(isolation_level=level, readonly=True, deferrable=True)
        q.execute("show transaction_isolation")
        say(q.fetchone())
        fault_of(lambda: q.execute("insert into t values (2, 'two')"))
        c.rollback()
    c.set_session(autocommit=True, readonly=False, deferrable=False)
    q.execute("insert into t values (3, 'three')")
    q.executemany("insert into t values (%s, %s)", [(4, "four"), (5, "five")])
    psycopg2.extras.execute_values(q, "insert into t values %s", [(i, "v") for i in range(10, 90)])
    psycopg2.extras.execute_batch(q, "update t set b = %s where a = %s", [("w", 10), ("w", 11)])
    q.execute("select count(*), max(b) from t")
    say(q.fetchone())


@check
def server_side_cursors(c):
    with c.cursor("named", scrollable=True) as q:
        q.itersize = 7
        q.execute("select g, repeat('x', g) from generate_series(1, 50) g")
        say(q.fetchmany(3))
        q.scroll(10)
        say(q.fetchone())
        q.scroll(1, mode="absolute")
        say(q.fetchone())
        say(sum(r[0] for r in q))
    with c.cursor("kept", withhold=True) as q:
        q.execute("select g from generate_series(1, 5) g")
        c.commit()
        say(q.fetchall())


@check
def copy_both_ways(c):
    q = c.cursor()
    q.execute("create temp table t (a int, b text)")
    q.copy_from(io.StringIO("1\tone\n2\t\\N\n"), "t")
    q.copy_expert("copy t from stdin csv", io.StringIO('3,"th,ree"\n'))
    q.copy_expert("copy t from stdin", io.StringIO("".join(f"{i}\t{'y' * 90}\n"
                                                            for i in range(30000))))
    say(q.rowcount)
    out = io.StringIO()
    q.copy_expert("copy (select * from t order by a, b limit 4) to stdout csv header", out)
    say(out.getvalue())
    out = io.StringIO()
    q.copy_to(out, "t", columns=("b",))
    say(out.getvalue())
    c.commit()
    fault_of(lambda: q.copy_from(io.StringIO("x\ty\tz\n"), "t"))
    c.rollback()

    class Broken:
        def read(self, size):
            raise ValueError("the file is broken")

    fault_of(lambda: q.copy_from(Broken(), "t"))
    c.rollback()


@check
def notifications_and_notices(c):
    c.autocommit = True
    q = c.cursor()
    q.execute("listen news")
    other = psycopg2.connect("")
    other.autocommit = True
    other.cursor().execute("notify news, 'hello'")
    say("ready", select.select([c], [], [], 20)[0] == [c])
    c.poll()
    say([(n.channel, n.payload, n.pid == other.info.backend_pid) for n in c.notifies])
    other.close()
    q.execute("do $$ begin raise notice 'seen'; raise warning 'too'; end $$")
    say(c.notices)


@check
def large_objects(c):
    o = c.lobject(0, "wb")
    say(o.write(b"abc" * 50000))
    say(o.tell(), o.seek(10), o.tell())
    o.truncate(1000)
    o.close()
    r = c.lobject(o.oid, "rb")
    say(r.read())
    r.export("exported")
    r.close()
    t = c.lobject(0, "wt", 0, "exported")
    t.close()
    t = c.lobject(t.oid, "rt")
    say(t.read(10))
    t.unlink()
    c.commit()
    fault_of(lambda: c.lobject(1, "rb"))


@check
def two_phase_commit(c):
    c.cursor().execute("create table two (a int)")
    c.commit()
    for n, commit in (("one", True), ("two", False)):
        c.tpc_begin(c.xid(42, n, "branch"))
        c.cursor().execute("insert into two values (1)")
        c.tpc_prepare()
        c.reset()
        say([x.gtrid for x in c.tpc_recover()])
        c.rollback()
        if commit:
            c.tpc_commit(c.xid(42, n, "branch"))
        else:
            c.tpc_rollback(c.xid(42, n, "branch"))
    q = c.cursor()
    q.execute("select count(*) from two")
    say(q.fetchone())


@check
def cancel_and_timeout(c):
    q = c.cursor()
    q.execute("set statement_timeout = 50")
    fault_of(lambda: q.execute("select pg_sleep(30)"))
    c.rollback()
    watch = psycopg2.connect("")
    watch.autocommit = True

    def cancel():
        w = watch.cursor()
        while True:
            w.execute("select count(*) from pg_stat_activity where pid = %s "
                      "and query like 'select pg_sleep(31)%%' and state = 'active'",
                      (c.info.backend_pid,))
            if w.fetchone()[0]:
                break
        c.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    fault_of(lambda: q.execute("select pg_sleep(31)"))
    thread.join()
    watch.close()
    c.rollback()
    q.execute("select 1")
    say(q.fetchone())


@check
def asynchronous_mode(_):
    c = psycopg2.connect(async_=True)

    def wait():
        while True:
            state = c.poll()
            if state == ext.POLL_OK:
                return
            sets = ([c], [], []) if state == ext.POLL_READ else ([], [c], [])
            select.select(*sets, 20)

    wait()
    q = c.cursor()
    q.execute("select pg_sleep(0.01), %s", ("x" * 2000000,))
    wait()
    say(q.fetchone()[1])
    q.callproc("upper", ("abc",))
    wait()
    say(q.fetchone())
    c.close()


@check
def big_values(c):
    q = c.cursor()
    big = bytes(range(256)) * 12000
    q.execute("select %s::bytea", (psycopg2.Binary(big),))
    say(bytes(q.fetchone()[0]) == big)
    q.execute("select repeat('é', 2000000)")
    say(q.fetchone()[0])


@check
def session_that_is_ended(c):
    other = psycopg2.connect("")
    q = c.cursor()
    q.execute("select pg_terminate_backend(%s, 10000)", (other.info.backend_pid,))
    say(q.fetchone())
    fault_of(lambda: other.cursor().execute("select 1"))
    say(other.closed)


check.run(lambda: psycopg2.connect(""), lambda c: c.close())
