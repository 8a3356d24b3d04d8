"""psqlODBC through unixODBC and pyodbc. Prints a transcript (see compare.py)."""

import os
import threading

import pyodbc
from transcript import Checks, say

check = Checks()
E = os.environ
pyodbc.pooling = False


def opened(**more):
    given = dict(Driver="PostgreSQL Unicode", Server=E["PGHOST"], Port=E["PGPORT"], Database="shop",
                 UID="alice", PWD=E["PGPASSWORD"], SSLmode="disable")
    given.update(more)
    return pyodbc.connect(";".join(f"{k}={v}" for k, v in given.items()))


def fault_of(action):
    try:
        action()
        say("no error")
    except pyodbc.Error as e:
        say(type(e).__name__, *[str(a).replace("\n", "\\n") for a in e.args])


@check
def tls_modes_and_logins(_):
    for mode in ("disable", "prefer", "require"):
        c = opened(SSLmode=mode)
        say(mode, c.getinfo(pyodbc.SQL_DBMS_VER), c.execute("select 1").fetchall())
        c.close()
    fault_of(lambda: opened(PWD="wrong"))


def variant(name, **more):
    def body(_):
        c = opened(**more)
        q = c.cursor()
        q.execute("drop table if exists t")
        q.execute("create table t (a int primary key, b text not null, c bytea, d timestamp, "
                  "e numeric(10,2), f bool)")
        c.commit()
        q.execute("insert into t values (?, ?, ?, ?, ?, ?)",
                  (1, "it's \\ é", b"\x00\xff", None, "1.50", True))
        q.fast_executemany = False
        q.executemany("insert into t (a, b) values (?, ?)", [(i, "x" * i) for i in range(2, 50)])
        q.execute("select * from t where a < ? order by a", 4)
        say([d[:2] for d in q.description])
        say([tuple(r) for r in q.fetchall()])
        for sql in ("selec", "select * from nowhere", "insert into t (a, b) values (1, 'again')",
                    "select 1/0"):
            fault_of(lambda: q.execute(sql))
            fault_of(lambda: q.execute("select count(*) from t").fetchall())
        c.rollback()
        c.autocommit = True
        for i in range(7):
            say(q.execute("select ?::int + 1, ?::text", i, "x").fetchall())
        q.execute("select 1; select 2")
        say(q.fetchall(), q.nextset(), q.fetchall())
        say(len(q.execute("select g, repeat('r', 50) from generate_series(1, 5000) g").fetchall()))
        say([r.column_name for r in q.columns("t")], [r[2] for r in q.tables(table="t")])
        say([r.column_name for r in q.primaryKeys("t")])
        say(q.execute("select ?::text", "z" * 100000).fetchval())
        c.close()
    body.__name__ = "queries " + name
    check(body)


variant("by default")
variant("with UseDeclareFetch", UseDeclareFetch=1, Fetch=7)
variant("with UseServerSidePrepare=0", UseServerSidePrepare=0)
variant("with Protocol 7.4-0", Protocol="7.4-0")
variant("with Protocol 7.4-1", Protocol="7.4-1")
variant("with Protocol 7.4-2", Protocol="7.4-2")
variant("with ByteaAsLongVarBinary", ByteaAsLongVarBinary=1, LFConversion=0)


@check
def cancel_and_timeout(_):
    c = opened()
    c.autocommit = True
    q = c.cursor()
    watch = opened()
    watch.autocommit = True

    def cancel():
        while not watch.execute("select count(*) from pg_stat_activity where query like "
                                "'select pg_sleep(31)%' and wait_event = 'PgSleep'").fetchval():
            pass
        q.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    fault_of(lambda: q.execute("select pg_sleep(31)"))
    thread.join()
    c.execute("set statement_timeout = 50")
    fault_of(lambda: q.execute("select pg_sleep(30)"))
    say(q.execute("select 'still there'").fetchall())


check.run(lambda: None, lambda c: None)
