"""asyncpg: its own protocol code, binary formats, statement cache. Prints a transcript."""

import asyncio
import datetime
import decimal
import io
import os
import ssl
import uuid

import asyncpg
from transcript import TYPES, Checks, say

check = Checks()


async def fault_of(action):
    try:
        await action
        say("no error")
    except asyncpg.PostgresError as e:
        say(type(e).__name__, e.sqlstate, e.severity, e.message, e.detail, e.hint, e.position,
            e.context, e.schema_name, e.table_name, e.column_name, e.constraint_name)
    except (asyncpg.InterfaceError, asyncio.TimeoutError) as e:
        say(type(e).__name__, str(e))


def rows(found):
    return [tuple(r) for r in found]


@check
async def tls_and_login(c):
    verify = ssl.create_default_context(cafile=os.environ["CONFORMANCE_CA"])
    for mode in (False, "disable", "prefer", "allow", "require", verify):
        n = await asyncpg.connect(host="localhost", ssl=mode)
        say(str(mode)[:7], n.get_server_version(), n.get_settings().TimeZone)
        await n.close()
    other = ssl.create_default_context(cafile=os.environ["CONFORMANCE_OTHER_CA"])
    try:
        await asyncpg.connect(host="localhost", ssl=other)
    except ssl.SSLError as e:
        say(type(e).__name__)
    await fault_of(asyncpg.connect(password="wrong"))
    await fault_of(asyncpg.connect(user="nobody", password="wrong"))
    try:
        await asyncpg.connect(database="ghost")
    except asyncpg.PostgresError as e:
        say(type(e).__name__, e.sqlstate)
    n = await asyncpg.connect(server_settings={"application_name": "mine", "search_path": "x,public",
                                               "jit": "off", "statement_timeout": "7s"})
    say(*await n.fetchrow("select current_setting('application_name'), current_setting('jit'), "
                          "current_setting('search_path'), current_setting('statement_timeout')"))
    await n.close()
    await fault_of(asyncpg.connect(server_settings={"datestyle": "nonsense"}))


@check
async def every_type(c):
    for t in TYPES:
        try:
            say(t, str(await c.fetchval("select " + t)))
        except Exception as e:
            say(t, type(e).__name__)


@check
async def values_go_both_ways(c):
    cases = [("int4", 1), ("int8", 2**40), ("float8", 1.5), ("numeric", decimal.Decimal("1.10")),
             ("text", "it's \\ é"), ("bytea", b"\x00\xff"), ("bool", True), ("text", None),
             ("date", datetime.date(2024, 2, 29)), ("interval", datetime.timedelta(1, 2, 3)),
             ("uuid", uuid.UUID(int=7)), ("int4[]", [1, None]), ("text[]", ["a", "b,c"]),
             ("jsonb", '{"a": 1}'), ("int4range", asyncpg.Range(1, 5)),
             ("timestamptz", datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)),
             ("point", asyncpg.Point(1, 2)), ("inet", "10.0.0.1")]
    for name, v in cases:
        say(name, str(await c.fetchval(f"select $1::{name}", v)))
    await c.execute("create type mood as enum ('sad', 'ok'); create type pair as (a int, b text)")
    await c.set_type_codec("json", encoder=str, decoder=lambda s: "<" + s + ">", schema="pg_catalog")
    say(str(await c.fetchrow("select 'ok'::mood, row(1, 'x')::pair, array[row(2, 'y')::pair], "
                             "'[1]'::json")))
    say(await c.fetchval("select $1::mood::text", "sad"))


@check
async def statement_cache_and_schema_changes(c):
    await c.execute("create table t (a int)")
    for i in range(5):
        say(rows(await c.fetch("select * from t")))
    await c.execute("alter table t add b int default 7; insert into t values (1)")
    say(rows(await c.fetch("select * from t")))
    p = await c.prepare("select $1::int + 1 as n, $2::text")
    say([(a.name, a.oid) for a in p.get_parameters()], [a.name for a in p.get_attributes()])
    say(rows(await p.fetch(1, "x")), await p.fetchval(2, "y"), p.get_statusmsg())
    await c.execute("deallocate all")
    await fault_of(p.fetch(1, "x"))
    await fault_of(c.fetch("select * from t"))
    for i in range(150):
        await c.fetchval(f"select {i} + $1::int", i)
    say(await c.fetchval("select count(*) from pg_prepared_statements") > 50)
    await c.reload_schema_state()
    await c.reset()


@check
async def errors_and_transactions(c):
    await c.execute("create table t (a int primary key, b text not null)")
    for sql in ("selec", "select * from nowhere", "insert into t values (1)", "select 1/0"):
        await fault_of(c.execute(sql))
        await fault_of(c.fetch(sql))
    say(await c.fetch(""), await c.execute("select 1; select 2"))
    await fault_of(c.fetch("select 1; select 2"))
    async with c.transaction(isolation="serializable"):
        await c.execute("insert into t values (1, 'one')")
        try:
            async with c.transaction():
                await c.execute("insert into t values ($1, $2)", 1, "again")
        except asyncpg.UniqueViolationError as e:
            say(e.constraint_name)
        say(rows(await c.fetch("select * from t")))
    t = c.transaction()
    await t.start()
    await fault_of(c.execute("selec"))
    await fault_of(c.fetch("select 1"))
    await t.rollback()
    async with c.transaction(readonly=True, deferrable=True, isolation="serializable"):
        await fault_of(c.execute("delete from t"))
    say(c.is_in_transaction())


@check
async def cursors(c):
    async with c.transaction():
        say([r[0] async for r in c.cursor("select g from generate_series(1, 120) g", prefetch=7)])
        q = await c.cursor("select g from generate_series(1, $1::int) g", 100)
        say(rows(await q.fetch(3)), await q.forward(10), tuple(await q.fetchrow()))
    try:
        await c.cursor("select 1")
    except asyncpg.PostgresError as e:
        say(type(e).__name__, str(e))


@check
async def batches_and_copy(c):
    await c.execute("create table t (a int primary key, b text, c bytea)")
    await c.executemany("insert into t values ($1, $2, $3)",
                        [(i, "x" * 500, b"\x00") for i in range(3000)])
    await fault_of(c.executemany("insert into t values ($1, $2, $3)",
                                 [(9000, "a", b""), (1, "again", b""), (9001, "c", b"")]))
    say(await c.fetchval("select count(*) from t"))
    say(await c.copy_records_to_table("t", records=[(-i, None, b"r") for i in range(1, 5000)]))
    await fault_of(c.copy_records_to_table("t", records=[(1, None, b"r")] * 10))
    out = io.BytesIO()
    say(await c.copy_from_query("select * from t where a < $1 order by a limit 5", 100, output=out,
                                format="csv", header=True))
    say(out.getvalue())
    out = io.BytesIO()
    say(await c.copy_from_table("t", columns=["a", "b"], output=out, format="binary"))
    say(len(out.getvalue()))
    await c.execute("create table u (a int, b text)")
    out.seek(0)
    say(await c.copy_to_table("u", source=out, format="binary"))

    async def broken():
        yield b"1\tx\n"
        raise ZeroDivisionError("the program's own")

    try:
        await c.copy_to_table("u", source=broken())
    except ZeroDivisionError as e:
        say(str(e))
    say(await c.fetchval("select count(*) from u"))


@check
async def notifications_and_notices(c):
    seen = asyncio.Queue()
    c.add_log_listener(lambda _, m: seen.put_nowait((m.severity, m.message, m.sqlstate)))
    await c.execute("do $$ begin raise notice 'seen'; raise warning 'too'; end $$")
    say(await asyncio.wait_for(seen.get(), 20), await asyncio.wait_for(seen.get(), 20))
    heard = asyncio.Queue()

    def hear(_, pid, channel, text):
        heard.put_nowait((channel, text))

    await c.add_listener("news", hear)
    other = await asyncpg.connect()
    await other.execute("notify news, 'hello'")
    say(await asyncio.wait_for(heard.get(), 20))
    await other.close()
    await c.remove_listener("news", hear)


@check
async def cancel_and_timeout(c):
    await fault_of(c.fetch("select pg_sleep(30)", timeout=0.1))
    say(await c.fetchval("select 'still there'"))
    task = asyncio.ensure_future(c.fetch("select pg_sleep(31)"))
    other = await asyncpg.connect()
    while not await other.fetchval("select count(*) from pg_stat_activity where state = 'active' "
                                   "and query = 'select pg_sleep(31)' and wait_event = 'PgSleep'"):
        pass
    await other.close()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        say("cancelled")
    say(await c.fetchval("select 'still there'"))
    await c.execute("set statement_timeout = 50")
    await fault_of(c.fetch("select pg_sleep(30)"))


@check
async def pool(c):
    async with asyncpg.create_pool(min_size=2, max_size=4) as p:
        async def work(i):
            async with p.acquire() as n:
                await n.execute("set application_name = 'pooled'; listen x")
                return await n.fetchval("select $1::int * 2", i)
        say(sorted(await asyncio.gather(*[work(i) for i in range(40)])))
        async with p.acquire() as n:
            say(await n.fetchval("show application_name"))


@check
async def big_values(c):
    big = bytes(range(256)) * 12000
    say(await c.fetchval("select $1::bytea", big) == big)
    say(await c.fetchval("select repeat('é', 2000000)"))
    say(len(await c.fetch("select g, repeat('r', 100) from generate_series(1, 30000) g")))


@check
async def session_that_is_ended(c):
    other = await asyncpg.connect()
    say(await c.fetchval("select pg_terminate_backend($1, 10000)", other.get_server_pid()))
    while not other.is_closed():
        await asyncio.sleep(0.01)
    await fault_of(other.fetch("select 1"))


async def opened():
    c = await asyncpg.connect()
    await c.execute("drop table if exists t, u")
    return c


asyncio.run(check.run_async(opened, lambda c: c.close()))
