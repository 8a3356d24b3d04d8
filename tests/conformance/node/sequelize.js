'use strict';
// sequelize: models, managed transactions, its catalogue queries. Prints a transcript.
const { Sequelize, DataTypes, Op, Transaction } = require('sequelize');
const { say, faultOf, check, run } = require('./transcript');

const db = new Sequelize('shop', 'alice', process.env.PGPASSWORD, { dialect: 'postgres',
  host: process.env.PGHOST, port: +process.env.PGPORT, logging: false });
const Person = db.define('person', { name: { type: DataTypes.STRING, unique: true,
  allowNull: false }, data: DataTypes.JSONB, tags: DataTypes.ARRAY(DataTypes.TEXT),
mood: DataTypes.ENUM('sad', 'ok'), amount: DataTypes.DECIMAL(12, 3), raw: DataTypes.BLOB,
span: DataTypes.RANGE(DataTypes.INTEGER) }, { timestamps: false });
const Note = db.define('note', { body: DataTypes.TEXT }, { timestamps: false });
Person.hasMany(Note);
Note.belongsTo(Person);
const plain = (x) => JSON.parse(JSON.stringify(x));

check('synchronised schema', async () => {
  await db.authenticate();
  await db.sync({ force: true });
  await db.sync({ alter: true });
  say(await db.getQueryInterface().describeTable('people'));
  say(plain(await db.getQueryInterface().showAllTables()));
  say((await db.getQueryInterface().showIndex('people')).map((i) => i.name));
});

check('rows', async () => {
  const p = await Person.create({ name: 'alice', data: { a: [1, null] }, tags: ['x', 'y,z'],
    mood: 'ok', amount: '1.25', raw: Buffer.from([0, 255]), span: [1, 5] });
  say(plain(p));
  await Person.bulkCreate([{ name: 'bob' }, { name: "o'brien" }]);
  await p.createNote({ body: 'first' });
  say(plain(await Person.findAll({ include: Note, order: ['id'] })));
  say(plain(await Person.findOrCreate({ where: { name: 'bob' } })));
  say(plain(await Person.upsert({ id: 1, name: 'alice', mood: 'sad' })));
  say(await Person.update({ mood: 'ok' }, { where: { id: { [Op.gt]: 1 } } }));
  say(plain(await Person.findAndCountAll({ where: { data: { a: { [Op.ne]: null } } }, limit: 1 })));
  say(await Person.destroy({ where: { name: 'bob' } }));
});

check('transactions and errors', async () => {
  await faultOf(Person.create({ name: 'alice' }));
  await faultOf(Note.create({ personId: 12345 }));
  await faultOf(db.query('selec'));
  await faultOf(db.transaction({ isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE },
    async (transaction) => {
      await Person.create({ name: 'dave' }, { transaction });
      await faultOf(db.transaction({ transaction }, async (inner) => {
        await Person.create({ name: 'dave' }, { transaction: inner });
      }));
      await db.query('select * from nowhere', { transaction });
    }));
  say(await Person.count());
  say(await db.query('select $1::int as a, $2::text as b', { bind: [1, 'x'] }).then((r) => r[0]));
  say(await db.query('select :a as a', { replacements: { a: "it's" } }).then((r) => r[0]));
});

check('end', async () => { await db.query('drop table notes, people'); await db.close(); });

run(async () => db, async () => {});
