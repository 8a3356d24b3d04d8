'use strict';
// postgres.js: pipelined by itself, always extended protocol. Prints a transcript.
const fs = require('fs');
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');
const postgres = require('postgres');
const { say, sayFault, faultOf, check, run, types, within } = require('./transcript');

const notices = [];
const open = (more) => postgres({ max: 1, onnotice: (n) => notices.push([n.severity, n.message]),
  ...more });
const ca = () => fs.readFileSync(process.env.CONFORMANCE_CA, 'utf8');

check('TLS modes and logins', async () => {
  for (const ssl of [false, 'prefer', 'allow', 'require', { ca: ca() }]) {
    const sql = open({ ssl, host: 'localhost' });
    say(typeof ssl === 'object' ? 'verify' : ssl, await sql`select 1 as one`);
    await sql.end();
  }
  const other = fs.readFileSync(process.env.CONFORMANCE_OTHER_CA, 'utf8');
  await faultOf(open({ ssl: { ca: other }, host: 'localhost' })`select 1`);
  await faultOf(open({ password: 'wrong' })`select 1`);
  await faultOf(open({ user: 'nobody' })`select 1`);
  try { await open({ database: 'ghost' })`select 1`; } catch (e) { say(e.code, e.severity); }
  const sql = open({ connection: { application_name: 'mine', search_path: 'x,public',
    statement_timeout: 7000 } });
  say(await sql`select current_setting('application_name') a, current_setting('search_path') b,
    current_setting('statement_timeout') c`);
  await sql.end();
});

check('every type', async (sql) => {
  for (const t of types) {
    try { say(t, (await sql.unsafe('select ' + t + ' as v'))[0].v); } catch (e) { say(t, e.code); }
    try { say((await sql.unsafe('select ' + t + ' as v', [], { prepare: true }))[0].v); } catch (e) {
      say(t, e.code);
    }
  }
});

check('values, helpers and arrays', async (sql) => {
  await sql`create temp table t (a int primary key, b text, c jsonb, d text[], e bytea,
    f timestamptz)`;
  const rows = [1, 2, 3].map((a) => ({ a, b: `it's \\ ${a}`, c: sql.json({ a: [1, null] }),
    d: ['x', 'y,"z'], e: Buffer.from([0, 255]), f: new Date(0) }));
  say(await sql`insert into t ${sql(rows)} returning *`);
  say(await sql`select * from t where a in ${sql([1, 3])}`);
  say(await sql`update t set ${sql({ b: 'new' }, 'b')} where a = ${2} returning ${sql('a', 'b')}`);
  const r = await sql`select a, b from ${sql('t')}`;
  say(r.count, r.command, r.columns.map((x) => [x.name, x.type]), r.statement.string);
  say(await sql`select ${sql.array([1, 2])} as v`.values());
  say((await sql`select 1 as x`.raw())[0][0]);
  say(await sql`select ${'a'}::text as x, ${null}::int as y, ${true}::bool as z`.describe()
    .then((d) => [d.string, d.types, d.columns]));
  say(await sql`select 1; select 2`.simple());
  say(await sql.unsafe('select 1 as a; select 2 as b'));
});

check('errors and transactions', async (sql) => {
  await sql`create temp table t (a int primary key, b text not null)`;
  await faultOf(sql`selec`);
  await faultOf(sql`select * from nowhere`);
  await faultOf(sql`insert into t (a) values (${1})`);
  await faultOf(sql`select 1 / ${0}::int`);
  await faultOf(sql`select ${'x'}::int`);
  await faultOf(sql.unsafe('select 1; selec'));
  say(await sql.begin('isolation level serializable', async (tx) => {
    await tx`insert into t values (1, 'one')`;
    await faultOf(tx.savepoint(async (s) => { await s`insert into t values (1, 'again')`; }));
    return tx`select * from t`;
  }));
  await faultOf(sql.begin(async (tx) => { await tx`delete from t`; await tx`selec`; }));
  await faultOf(sql.begin('read only', (tx) => tx`delete from t`));
  say(await sql.begin((tx) => [tx`select 1 as a`, tx`select 2 as b`]));
  say(await sql`select count(*) from t`);
  await sql`begin`.catch(sayFault);
});

check('many at once, pipelined', async (sql) => {
  const all = await Promise.allSettled([...Array(300).keys()].map((i) => (i % 7 === 3
    ? sql`select 1 / (${i}::int - ${i}::int)` : sql`select ${i}::int as n`)));
  say(all.map((r) => (r.status === 'fulfilled' ? r.value[0].n : r.reason.code)));
  const many = await Promise.all([...Array(60).keys()].map((i) => sql.unsafe(
    `select ${i} + $1::int as n`, [i], { prepare: i % 2 === 0 })));
  say(many.map((r) => r[0].n));
});

check('cursors and streams', async (sql) => {
  let sum = 0;
  for await (const rows of sql`select g from generate_series(1, 100) g`.cursor(7)) {
    sum += rows.length;
  }
  say(sum);
  await sql`select g from generate_series(1, 100) g`.cursor(10, ([row]) => (row.g > 30 ? sql.CLOSE
    : undefined));
  sum = 0;
  await sql`select g from generate_series(1, 1000) g`.forEach((row) => { sum += row.g; });
  say(sum);
  await faultOf(sql`select 1 / (5 - g) from generate_series(1, 20) g`.cursor(2, () => {}));
  say(await sql`select 'still there' as x`);
});

check('COPY both ways', async (sql) => {
  await sql`create temp table t (a int, b text)`;
  const lines = Array.from({ length: 20000 }, (_, i) => `${i}\tvalue ${i}\n`);
  await pipeline(Readable.from(lines), await sql`copy t from stdin`.writable());
  say(await sql`select count(*), sum(a) from t`);
  const parts = [];
  for await (const part of await sql`copy t to stdout`.readable()) parts.push(part);
  say(Buffer.concat(parts));
});

check('LISTEN, NOTIFY and notices', async (sql) => {
  let heard;
  const once = new Promise((resolve) => { heard = resolve; });
  const { unlisten } = await sql.listen('news', (text) => heard(text));
  await sql.notify('news', 'hello');
  say(await within(once, 20));
  await unlisten();
  notices.length = 0;
  await sql.unsafe("do $$ begin raise notice 'seen'; raise warning 'too'; end $$");
  say(notices);
});

check('large objects', async (sql) => {
  const o = await sql.largeObject();
  await o.write(Buffer.alloc(10000, 'abc'));
  await o.seek(10, 0);
  say((await o.read(5))[0].data, await o.tell(), await o.size());
  await o.truncate(100);
  say(await o.size());
  await o.close();
});

check('cancel and timeout', async (sql) => {
  const q = sql`select pg_sleep(31)`;
  const waits = faultOf(q);
  const other = open();
  for (;;) {
    const [r] = await other`select count(*)::int as n from pg_stat_activity
      where query = 'select pg_sleep(31)' and state = 'active' and wait_event = 'PgSleep'`;
    if (r.n === 1) break;
  }
  await other.end();
  q.cancel();
  await waits;
  // The driver may ask for the cancel twice: in a session of its own no other statement is hit.
  const limited = open();
  await limited`set statement_timeout = 50`;
  await faultOf(limited`select pg_sleep(30)`);
  say(await limited`select 'still there' as x`);
  await limited.end();
  say(await sql`select 'still there' as x`);
});

check('two-phase commit', async (sql) => {
  await sql`create table two (a int)`;
  await sql.begin(async (tx) => { await tx`insert into two values (1)`; await tx.prepare('first'); });
  say(await sql`select gid from pg_prepared_xacts`);
  await sql`commit prepared 'first'`;
  say(await sql`select * from two`);
});

check('big values', async (sql) => {
  const big = Buffer.alloc(3000000, 'abc');
  say((await sql`select ${big}::bytea as v`)[0].v.equals(big));
  say((await sql`select repeat('é', 2000000) as v`)[0].v);
});

check('a session that is ended', async (sql) => {
  const other = open();
  const [{ p }] = await other`select pg_backend_pid() as p`;
  const waits = faultOf(other`select pg_sleep(32)`);
  for (;;) {
    const [r] = await sql`select count(*)::int as n from pg_stat_activity
      where pid = ${p} and state = 'active' and wait_event = 'PgSleep'`;
    if (r.n === 1) break;
  }
  const ended = await sql`select pg_terminate_backend(${p}, 10000)`;
  await waits;  // says its error, before or behind the answer
  say(ended);
  await other.end({ timeout: 1 });
});

run(async () => open(), (sql) => sql.end({ timeout: 5 }));
