'use strict';
// drizzle over node-postgres and over postgres.js. Prints a transcript.
const pg = require('pg');
const postgres = require('postgres');
const core = require('drizzle-orm/pg-core');
const { eq, sql, inArray } = require('drizzle-orm');
const overPg = require('drizzle-orm/node-postgres');
const overPostgres = require('drizzle-orm/postgres-js');
const { say, faultOf, check, run } = require('./transcript');

const mood = core.pgEnum('mood', ['sad', 'ok']);
const people = core.pgTable('people', { id: core.serial('id').primaryKey(),
  name: core.text('name').notNull().unique(), data: core.jsonb('data'),
  tags: core.text('tags').array(), mood: mood('mood').default('ok'),
  at: core.timestamp('at', { withTimezone: true }).default(sql`timestamptz 'epoch'`),
  amount: core.numeric('amount', { precision: 12, scale: 3 }) });

for (const way of ['node-postgres', 'postgres.js']) {
  check('queries over ' + way, async () => {
    const client = way === 'postgres.js' ? postgres({ max: 2 }) : new pg.Pool({ max: 2 });
    const db = way === 'postgres.js' ? overPostgres.drizzle(client) : overPg.drizzle(client);
    await db.execute(sql`create type mood as enum ('sad', 'ok')`);
    await db.execute(sql`create table people (id serial primary key, name text not null unique,
      data jsonb, tags text[], mood mood, at timestamptz default timestamptz 'epoch',
      amount numeric(12,3))`);
    say(await db.insert(people).values([{ name: 'alice', data: { a: [1, null] }, tags: ['x', 'y,z'],
      amount: '1.25' }, { name: "o'brien" }]).returning());
    say(await db.select().from(people).where(inArray(people.name, ['alice', 'bob'])));
    say(await db.update(people).set({ mood: 'sad' }).where(eq(people.id, 1)).returning());
    say(await db.insert(people).values({ id: 1, name: 'x' }).onConflictDoNothing().returning());
    const prepared = db.select().from(people).where(eq(people.id, sql.placeholder('id')))
      .prepare('one_person');
    for (let i = 0; i < 4; i++) say(await prepared.execute({ id: 1 }));
    await faultOf(db.transaction(async (t) => {
      await t.insert(people).values({ name: 'carol' });
      await faultOf(t.transaction((s) => s.insert(people).values({ name: 'carol' })));
      await t.execute(sql`selec`);
    }));
    await db.transaction((t) => t.delete(people).where(eq(people.id, 2)),
      { isolationLevel: 'serializable' });
    say(await db.$count(people));
    await faultOf(db.insert(people).values({ name: null }));
    await db.execute(sql`drop table people; drop type mood`).catch(async () => {
      await db.execute(sql`drop table people`);
      await db.execute(sql`drop type mood`);
    });
    await client.end();
  });
}

run(async () => null, async () => {});
