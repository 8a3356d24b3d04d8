"""psycopg 3: prepared statements, pipelines, binary formats. Prints a transcript (see compare.py)."""

import asyncio
import datetime
import decimal
import os
import threading
import uuid

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Json, Jsonb
from psycopg.types.range import Range
from transcript import TYPES, Checks, say

check = Checks()


def fault_of(action):
    try:
        action()
        say("no error")
    except psycopg.Error as e:
        d = e.diag
        say(type(e).__name__, e.sqlstate, d.severity, d.message_primary, d.message_detail,
            d.message_hint, d.statement_position, d.context, d.schema_name, d.table_name,
            d.column_name, d.datatype_name, d.constraint_name)


@check
def tls_and_login(c):
    for mode in ("disable", "prefer", "require", "verify-full"):
        with psycopg.connect(f"host=localhost sslmode={mode} sslrootcert="
                             + os.environ["CONFORMANCE_CA"]) as n:
            say(mode, n.pgconn.ssl_in_use, n.info.server_version)
    try:
        psycopg.connect("password=wrong")
    except psycopg.OperationalError as e:
        say("password authentication failed" in str(e))


@check
def every_type_in_text_and_binary(c):
    for binary in (False, True):
        with c.cursor(binary=binary) as q:
            for t in TYPES:
                try:
                    q.execute("select " + t)
                    say(t, q.description[0].type_code, q.fetchone())
                except Exception as e:
                    say(t, type(e).__name__, str(e))
                    c.rollback()


@check
def values_go_both_ways(c):
    for binary in (False, True):
        with c.cursor(binary=binary) as q:
            for v in (1, 2**40, 1.5, decimal.Decimal("1.10"), "it's \\ %", b"\x00'\\\xff", None, True,
                      datetime.date(2024, 2, 29), datetime.timedelta(days=1, seconds=2),
                      uuid.UUID(int=7), [1, 2, None], ["a", "b,c"], Json({"a": 1}), Jsonb([1]),
                      Range(1, 5),
                      datetime.datetime(2024, 1, 2, 3, 4, 5, 6, datetime.timezone.utc)):
                for f in ("%s", "%b", "%t"):
                    try:
                        q.execute(f"select {f}", (v,))
                        say(f, type(v).__name__, q.fetchone())
                    except Exception as e:
                        say(f, type(v).__name__, type(e).__name__)
                        c.rollback()


@check
def prepared_statements_and_their_threshold(c):
    c.prepare_threshold = 2
    c.prepared_max = 3
    for i in range(6):
        for s in ("select %s + 1", "select %s + 2", "select %s + 3", "select %s + 4"):
            say(c.execute(s, (i,)).fetchone())
    say(c.execute("select count(*) from pg_prepared_statements", prepare=False).fetchone())
    say(c.execute("select %s::text", ("now",), prepare=True).fetchone())
    c.execute("create temp table t (a int)")
    for i in range(4):
        say(c.execute("select * from t", prepare=True).description)
    c.execute("alter table t add b int")
    fault_of(lambda: c.execute("select * from t", prepare=True))
    c.rollback()
    c.execute("deallocate all")
    fault_of(lambda: c.execute("select %s + 1", (1,)))
    c.rollback()


@check
def transactions_and_savepoints(c):
    c.execute("create table t (a int primary key, b text not null)")
    c.commit()
    for q in ("selec", "select * from nowhere", "insert into t values (1)", "select 1/0", ""):
        fault_of(lambda: c.execute(q))
        say(c.info.transaction_status.name)
        fault_of(lambda: c.execute("select 1"))
        c.rollback()
    with c.transaction() as outer:
        c.execute("insert into t values (1, 'one')")
        try:
            with c.transaction("inner"):
                c.execute("insert into t values (1, 'again')")
        except psycopg.errors.UniqueViolation as e:
            say(e.diag.constraint_name)
        with c.transaction():
            c.execute("insert into t values (2, 'two')")
            raise psycopg.Rollback()
    with c.transaction(force_rollback=True):
        c.execute("insert into t values (3, 'three')")
    say(c.execute("select * from t").fetchall())
    c.commit()
    c.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    c.read_only = True
    fault_of(lambda: c.execute("delete from t"))
    c.rollback()


@check
def server_side_cursors(c):
    with c.cursor("named", scrollable=True) as q:
        q.execute("select g from generate_series(1, %s) g", (100,))
        say(q.fetchmany(3))
        q.scroll(10)
        say(q.fetchone())
        q.itersize = 9
        say(sum(r[0] for r in q))
    with psycopg.ServerCursor(c, "kept", withhold=True, row_factory=dict_row) as q:
        q.execute("select g from generate_series(1, 5) g")
        c.commit()
        say(q.fetchall())
    with psycopg.ClientCursor(c) as q:
        q.execute("select %s, %s; select 3", (1, "x"))
        say(q.fetchall(), q.nextset(), q.fetchall())
    with c.cursor() as q:
        say([r for r in q.stream("select g from generate_series(1, 5) g")])


@check
def batches_and_pipelines(c):
    c.execute("create table batch (a int primary key, b text)")
    with c.cursor() as q:
        q.executemany("insert into batch values (%s, %s) returning a",
                      [(i, "x" * i) for i in range(100)], returning=True)
        rows = []
        while True:
            rows.append(q.fetchone()[0])
            if not q.nextset():
                break
        say(sum(rows))
        fault_of(lambda: q.executemany("insert into batch values (%s, %s)",
                                       [(1000, "a"), (1, "b"), (1001, "c")]))
    c.rollback()
    c.autocommit = True
    c.execute("create table batch (a int primary key, b text)")
    with c.pipeline() as p:
        cursors = [c.execute("insert into batch values (%s, 'p') returning a", (i,))
                   for i in range(20)]
        p.sync()
        say([q.fetchone() for q in cursors])
        with c.transaction():
            c.execute("insert into batch values (100, 'q')")
            say(c.execute("select count(*) from batch").fetchone())
    def broken():
        with c.pipeline():
            c.execute("insert into batch values (200, 'r')")
            c.execute("insert into batch values (1, 'again')")
            c.execute("insert into batch values (201, 's')")
    fault_of(broken)
    say(c.execute("select count(*) from batch").fetchone())


@check
def copy_both_ways(c):
    c.execute("create temp table t (a int, b text, c bytea)")
    with c.cursor() as q:
        with q.copy("copy t from stdin") as copy:
            for i in range(5000):
                copy.write_row((i, "text\t\n\\" + "z" * 50, b"\x00\xff"))
        say(q.rowcount)
        with q.copy("copy t from stdin (format binary)") as copy:
            copy.set_types(["int4", "text", "bytea"])
            for i in range(100):
                copy.write_row((-i, None, b"b"))
        say(q.rowcount)
        with q.copy("copy (select * from t order by a limit 3) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text", "bytea"])
            say(list(copy.rows()))
        with q.copy("copy t (b) to stdout") as copy:
            say(sum(len(data) for data in copy))
        def broken():
            with q.copy("copy t from stdin") as copy:
                copy.write("not a number\n")
        fault_of(broken)
        c.rollback()
        def withdrawn():
            with q.copy("copy batch from stdin") as copy:
                raise ZeroDivisionError("the program's own")
        c.execute("create table if not exists batch (a int)")
        fault_of(withdrawn)
        say(c.info.transaction_status.name)


@check
def notifications_and_notices(c):
    c.autocommit = True
    seen = []
    c.add_notice_handler(lambda d: seen.append((d.severity, d.message_primary, d.sqlstate)))
    c.execute("do $$ begin raise notice 'seen'; raise warning 'too'; end $$")
    say(seen)
    c.execute("listen news")
    with psycopg.connect(autocommit=True) as other:
        pid = other.info.backend_pid
        other.execute("notify news, 'one'")
        other.execute("notify news, 'stop'")
        for n in c.notifies():
            say(n.channel, n.payload, n.pid == pid)
            if n.payload == "stop":
                break


@check
def cancel_and_timeout(c):
    c.execute("set statement_timeout = 50")
    fault_of(lambda: c.execute("select pg_sleep(30)"))
    c.rollback()
    with psycopg.connect(autocommit=True) as watch:

        def cancel():
            while not watch.execute(
                    "select count(*) from pg_stat_activity where pid = %s "
                    "and query like 'select pg_sleep(31)%%' and state = 'active'",
                    (c.info.backend_pid,)).fetchone()[0]:
                pass
            c.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        fault_of(lambda: c.execute("select pg_sleep(31)"))
        thread.join()
    c.rollback()
    say(c.execute("select 1").fetchone())


@check
def two_phase_commit(c):
    c.execute("create table two (a int)")
    c.commit()
    x = c.xid(1, "global", "branch")
    c.tpc_begin(x)
    c.execute("insert into two values (1)")
    c.tpc_prepare()
    c.tpc_commit()
    x = c.xid(1, "other", "branch")
    c.tpc_begin(x)
    c.execute("insert into two values (2)")
    c.tpc_prepare()
    with psycopg.connect() as other:
        say([i.gtrid for i in other.tpc_recover()])
    c.tpc_rollback()
    say(c.execute("select * from two").fetchall())


@check
def big_values(c):
    big = os.urandom(10) * 300000
    say(c.execute("select %b", (big,)).fetchone()[0] == big)
    say(c.execute("select repeat('é', 2000000)").fetchone()[0])
    say(c.execute(sql.SQL("select length({})").format("y" * 3000000)).fetchone())


@check
def asyncio_client(_):
    async def main():
        async with await psycopg.AsyncConnection.connect(autocommit=True) as c:
            async with c.pipeline():
                rows = [await (await c.execute("select %s::int", (i,))).fetchone()
                        for i in range(5)]
            say(rows)
            task = asyncio.create_task(c.execute("select pg_sleep(0.01), 'slept'"))
            say((await (await task).fetchone())[1])
            async with c.cursor("served") as q:
                try:
                    await q.execute("select 1")
                except psycopg.Error as e:
                    say(type(e).__name__, e.sqlstate)
    asyncio.run(main())


@check
def session_that_is_ended(c):
    other = psycopg.connect()
    say(c.execute("select pg_terminate_backend(%s, 10000)", (other.info.backend_pid,)).fetchone())
    fault_of(lambda: other.execute("select 1"))
    say(other.closed, other.broken)


check.run(psycopg.connect, lambda c: c.close())
