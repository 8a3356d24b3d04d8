"""SQLAlchemy over psycopg2: reflection, ORM, pool. Prints a transcript (see compare.py)."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import Session, declarative_base, relationship
from transcript import Checks, say

check = Checks()
Base = declarative_base()


class Person(Base):
    __tablename__ = "people"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String(50), unique=True, nullable=False)
    data = sa.Column(pg.JSONB)
    tags = sa.Column(pg.ARRAY(sa.Text))
    mood = sa.Column(sa.Enum("sad", "ok", name="mood"))
    notes = relationship("Note", order_by="Note.id")


class Note(Base):
    __tablename__ = "notes"
    id = sa.Column(sa.Integer, primary_key=True)
    person = sa.Column(sa.ForeignKey("people.id", ondelete="cascade"))
    body = sa.Column(sa.Text, index=True)


def fault_of(action):
    try:
        action()
        say("no error")
    except sa.exc.DBAPIError as e:
        say(type(e).__name__, e.orig.pgcode, str(e.orig))


@check
def schema_and_reflection(e):
    Base.metadata.drop_all(e)
    Base.metadata.create_all(e)
    look = sa.inspect(e)
    say(look.get_table_names(), look.get_columns("people"), look.get_indexes("notes"))
    say(look.get_foreign_keys("notes"), look.get_unique_constraints("people"), look.get_enums())
    say(sorted(sa.MetaData().tables), look.default_schema_name)


@check
def objects(e):
    with Session(e) as s:
        s.add(Person(name="alice", data={"a": [1, None]}, tags=["x", "y,z"], mood="ok",
                     notes=[Note(body=f"note {i}") for i in range(50)]))
        s.add_all([Person(name="bob"), Person(name="o'brien")])
        s.commit()
        p = s.execute(sa.select(Person).where(Person.data["a"][0].as_integer() == 1)).scalar_one()
        say(p.name, p.tags, len(p.notes), p.notes[3].body)
        s.add(Person(name="alice"))
        fault_of(s.flush)
        s.rollback()
        with s.begin_nested():
            s.add(Person(name="dave"))
        s.commit()
        say(s.query(Person).count())
        s.bulk_insert_mappings(Note, [{"body": "b", "person": 2}] * 500)
        s.commit()
        say(s.query(Note).filter_by(person=2).delete())
        s.commit()


@check
def core(e):
    with e.connect().execution_options(isolation_level="SERIALIZABLE") as c:
        say(c.execute(sa.text("select :a + 1, cast(:b as text)"), {"a": 1, "b": "x"}).fetchall())
        r = c.execution_options(stream_results=True, yield_per=7).execute(
            sa.text("select g from generate_series(1, 100) g"))
        say(sum(row[0] for part in r.partitions() for row in part))
        fault_of(lambda: c.execute(sa.text("selec")))
    with e.connect() as c:
        t = c.begin_twophase("'x'".strip("'"))
        c.execute(sa.text("insert into notes (body) values ('two')"))
        t.prepare()
        t.commit()
        say(c.execute(pg.insert(Person).values(id=1, name="alice").on_conflict_do_update(
            index_elements=["id"], set_={"mood": "sad"}).returning(Person.mood)).fetchall())


engine = sa.create_engine("postgresql+psycopg2://", pool_size=2, pool_pre_ping=True)
check.run(lambda: engine, lambda e: None)
