'use strict';
// node-postgres with its cursors, streams and COPY. Prints a transcript (see ../compare.py).
const fs = require('fs');
const { Readable } = require('stream');
const { pipeline } = require('stream/promises');
const pg = require('pg');
const Cursor = require('pg-cursor');
const QueryStream = require('pg-query-stream');
const copy = require('pg-copy-streams');
const { say, sayFault, faultOf, check, run, types, within } = require('./transcript');

const client = async (more) => {
  const c = new pg.Client(more);
  c.on('error', (e) => console.error('idle', e.message));
  await c.connect();
  return c;
};
const ca = () => fs.readFileSync(process.env.CONFORMANCE_CA, 'utf8');

check('TLS modes and logins', async () => {
  for (const ssl of [false, { rejectUnauthorized: false }, { ca: ca() }]) {
    const c = await client({ ssl, host: 'localhost' });
    say(typeof ssl, (await c.query('select 1 as one')).rows, c.connection.stream.encrypted === true);
    await c.end();
  }
  const other = fs.readFileSync(process.env.CONFORMANCE_OTHER_CA, 'utf8');
  await faultOf(client({ ssl: { ca: other }, host: 'localhost' }));
  await faultOf(client({ password: 'wrong' }));
  await faultOf(client({ user: 'nobody' }));
  try { await client({ database: 'ghost' }); } catch (e) { say(e.code, e.severity); }
  const c = await client({ application_name: 'mine', statement_timeout: 7000, query_timeout: 20000,
    idle_in_transaction_session_timeout: 9000, lock_timeout: 100, keepAlive: true,
    options: '-c search_path=x,public' });
  say((await c.query("select current_setting('application_name') a, current_setting('search_path') b,"
    + "current_setting('statement_timeout') c, current_setting('lock_timeout') d")).rows);
  await c.end();
});

check('every type, in text and binary', async (c) => {
  for (const binary of [false, true]) {
    for (const t of types) {
      try {
        const r = await c.query({ text: 'select ' + t + ' as v', binary });
        say(t, r.fields[0].dataTypeID, r.fields[0].format, r.rows[0].v);
      } catch (e) { say(t, e.code); }
    }
  }
});

check('values go both ways', async (c) => {
  for (const [t, v] of [['int', 1], ['text', "it's \\ é"], ['bytea', Buffer.from([0, 255])],
    ['jsonb', { a: [1, null] }], ['text[]', ['a', 'b,"c', null]], ['timestamptz', new Date(0)],
    ['bool', true], ['text', null], ['numeric', '1.10'], ['int8', 2n ** 40n], ['float8', 1.5]]) {
    say(t, (await c.query(`select $1::${t} as v`, [v])).rows[0].v);
  }
});

check('results', async (c) => {
  const show = (r) => say(r.command, r.rowCount, r.oid, r.fields.map((f) => f.name), r.rows);
  await c.query('create temp table t (a int primary key, b text not null)');
  show(await c.query("insert into t values (1, 'one'), (2, 'two') returning *"));
  show(await c.query('update t set b = $1 where a = $2', ['x', 1]));
  show(await c.query(''));
  show(await c.query('select'));
  show(await c.query({ text: 'select a, a from t', rowMode: 'array' }));
  for (const r of await c.query("select 1; insert into t values (3, 'c'); select 2; ")) show(r);
  show(await c.query({ text: 'select g from generate_series(1, 10) g', rows: 3 }));
});

check('prepared statements', async (c) => {
  for (let i = 0; i < 6; i++) {
    say((await c.query({ name: 'add', text: 'select $1::int + 1 as n', values: [i] })).rows);
  }
  await faultOf(c.query({ name: 'add', text: 'select 2' }));
  await faultOf(c.query({ name: 'broken', text: 'selec' }));
  await faultOf(c.query({ name: 'broken', text: 'select 3' }));
  await c.query('deallocate all');
  await faultOf(c.query({ name: 'add', text: 'select $1::int + 1 as n', values: [1] }));
  say((await c.query('select name, statement from pg_prepared_statements')).rows);
});

check('errors and transactions', async (c) => {
  await c.query('create temp table t (a int primary key, b text not null, check (a < 100))');
  for (const q of ['selec', 'select * from nowhere', 'insert into t values (1)', 'select 1/0',
    "insert into t values (200, 'x')", "select 'x'::int", 'fetch 1 from c', 'select $1::int']) {
    await faultOf(c.query(q));
    await faultOf(c.query(q, []));
    await faultOf(c.query('select $1::text', ['still there']));
  }
  await c.query('begin');
  await c.query("insert into t values (1, 'one')");
  await c.query('savepoint s');
  await faultOf(c.query('insert into t values ($1, $2)', [1, 'again']));
  await faultOf(c.query('select 1'));
  await c.query('rollback to s');
  say((await c.query('select * from t')).rows);
  await faultOf(c.query('selec'));
  say((await c.query('commit')).command);
  await faultOf(c.query('select $1::int, $2::int', [1]));
});

check('queries that are queued together', async (c) => {
  const all = await Promise.allSettled([...Array(50).keys()].map((i) => c.query(
    i % 7 === 3 ? 'select 1 / ($1::int - $1::int)' : 'select $1::int as n', [i])));
  say(all.map((r) => (r.status === 'fulfilled' ? r.value.rows[0].n : r.reason.code)));
});

check('cursors and streams', async (c) => {
  const cursor = c.query(new Cursor('select g from generate_series(1, $1) g', [20]));
  say((await cursor.read(3)).length, (await cursor.read(30)).length, (await cursor.read(5)).length);
  await cursor.close();
  const early = c.query(new Cursor('select g, 1 / (5 - g) as q from generate_series(1, 20) g'));
  say(await early.read(2));
  await faultOf(early.read(10));
  const left = c.query(new Cursor('select g from generate_series(1, 20) g'));
  await left.read(2);
  await left.close();
  let sum = 0;
  const stream = c.query(new QueryStream('select g from generate_series(1, $1) g', [5000],
    { batchSize: 77 }));
  for await (const row of stream) sum += row.g;
  say(sum);
  for await (const row of c.query(new QueryStream('select g from generate_series(1, 100) g', [],
    { highWaterMark: 4 }))) { if (row.g === 9) break; }
  say((await c.query("select 'still there' as x")).rows);
});

check('COPY both ways', async (c) => {
  await c.query('create temp table t (a int, b text)');
  const lines = Array.from({ length: 20000 }, (_, i) => `${i}\tvalue ${i}\n`);
  const to = c.query(copy.from('copy t from stdin'));
  await pipeline(Readable.from(lines), to);
  say(to.rowCount);
  const parts = [];
  const from = c.query(copy.to('copy (select * from t order by a) to stdout csv header'));
  for await (const part of from) parts.push(part);
  say(Buffer.concat(parts), from.rowCount);
  await faultOf(pipeline(Readable.from(['bad\n']), c.query(copy.from('copy t from stdin'))));
  async function* broken() { yield '1\tx\n'; throw new Error('the program\'s own'); }
  await faultOf(pipeline(Readable.from(broken()), c.query(copy.from('copy t from stdin'))));
  say((await c.query('select count(*) from t')).rows);
});

check('notifications and notices', async (c) => {
  const heard = [];
  let done;
  const all = new Promise((resolve) => { done = resolve; });
  c.on('notice', (n) => heard.push([n.severity, n.message, n.code]));
  c.on('notification', (n) => { heard.push([n.channel, n.payload]); if (!n.payload) done(); });
  await c.query("do $$ begin raise notice 'seen'; raise warning 'too'; end $$");
  await c.query('listen news');
  const other = await client();
  await other.query("notify news, 'hello'");
  await other.query('notify news');
  await within(all, 20);
  say(heard);
  await other.end();
});

check('timeouts', async (c) => {
  await faultOf(c.query({ text: 'select pg_sleep(0.4)', query_timeout: 50 }));
  say((await c.query("select 'still there' as x")).rows);
  await c.query('set statement_timeout = 50');
  await faultOf(c.query('select pg_sleep(30)'));
  await faultOf(c.query('select pg_sleep($1)', [30]));
});

check('pool', async () => {
  const pool = new pg.Pool({ max: 3, maxUses: 5 });
  pool.on('error', (e) => console.error('pool', e.message));
  const got = await Promise.all([...Array(40).keys()].map((i) => pool.query('select $1::int as n',
    [i])));
  say(got.map((r) => r.rows[0].n), pool.totalCount <= 3);
  await pool.end();
});

check('big values', async (c) => {
  const big = Buffer.alloc(3000000, 'abc');
  say((await c.query('select $1::bytea as v', [big])).rows[0].v.equals(big));
  say((await c.query("select repeat('é', 2000000) as v")).rows[0].v);
  say((await c.query("select length('" + 'q'.repeat(3000000) + "')")).rows);
});

check('a session that is ended', async (c) => {
  const other = new pg.Client();
  const ended = new Promise((resolve) => { other.once('error', resolve); });
  await other.connect();
  const pid = (await other.query('select pg_backend_pid() as p')).rows[0].p;
  say((await c.query('select pg_terminate_backend($1, 10000)', [pid])).rows);
  sayFault(await within(ended, 10));
});

run(client, (c) => c.end());
