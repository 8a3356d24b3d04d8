'use strict';
// knex: migrations, transactions, streams over node-postgres. Prints a transcript.
const knex = require('knex');
const { pipeline } = require('stream/promises');
const { Writable } = require('stream');
const { say, faultOf, check, run } = require('./transcript');

check('schema', async (db) => {
  await db.schema.createTable('people', (t) => {
    t.increments('id');
    t.string('name').notNullable().unique();
    t.jsonb('data');
    t.specificType('tags', 'text[]');
    t.timestamp('at', { useTz: true }).defaultTo(db.raw("timestamptz 'epoch'"));
    t.enu('mood', ['sad', 'ok'], { useNative: true, enumName: 'mood' });
    t.decimal('amount', 12, 3);
    t.binary('raw');
  });
  await db.schema.createTable('notes', (t) => {
    t.uuid('id').primary().defaultTo(db.raw("'00000000-0000-0000-0000-000000000001'"));
    t.integer('person').references('people.id').onDelete('cascade');
    t.text('body');
    t.index(['person', 'body']);
  });
  await db.schema.alterTable('people', (t) => { t.boolean('alive').defaultTo(true); });
  say(await db.schema.hasTable('people'), await db.schema.hasColumn('people', 'alive'));
  say(await db('people').columnInfo());
});

check('rows', async (db) => {
  say(await db('people').insert([{ name: 'alice', data: { a: [1, null] }, tags: ['x', 'y,z'],
    mood: 'ok', amount: '1.250', raw: Buffer.from([0, 255]) }, { name: "o'brien" }]).returning('*'));
  await db.batchInsert('notes', [{ person: 1, body: 'first' }]);
  say(await db('people').join('notes', 'people.id', 'notes.person').select('name', 'body'));
  say(await db('people').where('id', '>', 0).whereIn('name', ['alice', 'bob']).count());
  say(await db('people').where({ id: 1 }).update({ alive: false }, ['id', 'alive']));
  say(await db('people').insert({ id: 1, name: 'again' }).onConflict('id').merge().returning('name'));
  say(await db.with('w', db('people').select('name')).select('*').from('w').orderBy('name'));
  say((await db.raw('select ?::int + ?? as n from people where id = 1', [1, 'id'])).rows);
});

check('transactions', async (db) => {
  await faultOf(db.transaction(async (t) => {
    await t('people').insert({ name: 'carol' });
    await faultOf(t.transaction((s) => s('people').insert({ name: 'carol' })));
    say(await t('people').count());
    await t('nowhere').select();
  }));
  say(await db('people').count());
  await db.transaction((t) => t('people').insert({ name: 'carol' }),
    { isolationLevel: 'serializable' });
  const t = await db.transaction();
  await t('people').del();
  await t.rollback();
  say(await db('people').count());
});

check('streams, errors and timeouts', async (db) => {
  let n = 0;
  await pipeline(db.select(db.raw('generate_series(1, 2000) as g')).stream(),
    new Writable({ objectMode: true, write(row, _, done) { n += row.g; done(); } }));
  say(n);
  await faultOf(db('people').insert({ name: null }));
  await faultOf(db.raw('selec'));
  await faultOf(db.raw('select pg_sleep(30)').timeout(200, { cancel: true }));
  say(await db.select(db.raw("'still there' as x")));
});

check('end', async (db) => {
  await db.schema.dropTable('notes');
  await db.schema.dropTable('people');
  await db.raw('drop type mood');
});

const db = knex({ client: 'pg', connection: {}, pool: { min: 0, max: 3 } });
run(async () => db, async () => {});
