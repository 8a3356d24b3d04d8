'use strict';
// typeorm: schema synchronisation, repositories, streams. Prints a transcript.
require('reflect-metadata');
const { DataSource, EntitySchema, In } = require('typeorm');
const { say, faultOf, check, run } = require('./transcript');

const person = new EntitySchema({ name: 'Person', tableName: 'people', columns: {
  id: { type: 'int', primary: true, generated: true },
  name: { type: 'varchar', unique: true },
  data: { type: 'jsonb', nullable: true },
  tags: { type: 'text', array: true, nullable: true },
  mood: { type: 'enum', enum: ['sad', 'ok'], default: 'ok' },
  at: { type: 'timestamptz', default: () => "timestamptz 'epoch'" },
  raw: { type: 'bytea', nullable: true },
}, relations: { notes: { type: 'one-to-many', target: 'Note', inverseSide: 'person' } } });
const note = new EntitySchema({ name: 'Note', tableName: 'notes', columns: {
  id: { type: 'int', primary: true, generated: true }, body: { type: 'text' },
}, relations: { person: { type: 'many-to-one', target: 'Person', joinColumn: true } } });
const db = new DataSource({ type: 'postgres', host: process.env.PGHOST, port: +process.env.PGPORT,
  username: 'alice', password: process.env.PGPASSWORD, database: 'shop', entities: [person, note],
  logging: false });
const plain = (x) => JSON.parse(JSON.stringify(x));

check('synchronised schema', async () => {
  await db.initialize();
  await db.synchronize(true);
  await db.synchronize();
  say(await db.query('select table_name from information_schema.tables where table_schema = $1 '
    + 'order by 1', ['public']));
});

check('rows', async () => {
  const people = db.getRepository('Person');
  const p = await people.save({ name: 'alice', data: { a: [1, null] }, tags: ['x', 'y,z'],
    raw: Buffer.from([0, 255]) });
  await people.save([{ name: 'bob' }, { name: "o'brien" }]);
  await db.getRepository('Note').save({ body: 'first', person: p });
  say(plain(await people.find({ relations: { notes: true }, order: { id: 'ASC' } })));
  say(plain(await people.findAndCount({ where: { name: In(['alice', 'bob']) }, take: 1,
    order: { id: 'ASC' } })));
  say(plain(await people.upsert({ name: 'bob', mood: 'sad' }, ['name'])).raw.length);
  say(await people.createQueryBuilder('p').where('p.mood = :m', { m: 'ok' }).getCount());
  say(plain((await people.delete({ name: 'bob' })).affected));
});

check('transactions and errors', async () => {
  await faultOf(db.getRepository('Person').insert({ name: 'alice' }));
  await faultOf(db.query('selec'));
  await faultOf(db.transaction('SERIALIZABLE', async (m) => {
    await m.insert('Person', { name: 'dave' });
    await faultOf(m.transaction((inner) => inner.insert('Person', { name: 'dave' })));
    await m.query('select * from nowhere');
  }));
  say(await db.getRepository('Person').count());
  const runner = db.createQueryRunner();
  await runner.startTransaction();
  say((await runner.query('select 1 as one')));
  await runner.rollbackTransaction();
  let n = 0;
  const stream = await runner.stream('select g from generate_series(1, 500) g');
  for await (const row of stream) n += row.g;
  say(n);
  await runner.release();
});

check('end', async () => { await db.dropDatabase(); await db.destroy(); });

run(async () => db, async () => {});
