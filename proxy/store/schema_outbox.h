#pragma once

/// The step of the schema that adds the outbox.
namespace sallyport::proxy::store::schema {

/// Notices and their deliveries. Facts do not change, a delivery ends once, and what waits is not
/// deleted. `next_at` of those that wait behind another of their subject is the largest number.
inline constexpr const char* outbox = R"sql(
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL CHECK (event <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    at INTEGER NOT NULL,
    details TEXT NOT NULL  -- JSON
) STRICT;

CREATE TABLE delivery_transition (
    from_state TEXT NOT NULL, to_state TEXT NOT NULL, PRIMARY KEY (from_state, to_state)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery_transition VALUES
    ('waiting', 'waiting'), ('waiting', 'delivered'), ('waiting', 'given_up');
CREATE TRIGGER delivery_transitions_do_not_change BEFORE DELETE ON delivery_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER delivery_transitions_do_not_grow BEFORE INSERT ON delivery_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER delivery_transitions_are_fixed BEFORE UPDATE ON delivery_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    notice_id INTEGER NOT NULL REFERENCES notices (id),
    key TEXT NOT NULL UNIQUE CHECK (length(key) = 32),
    channel TEXT NOT NULL CHECK (channel <> ''),
    subject TEXT NOT NULL CHECK (subject <> ''),
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'given_up')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    next_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    CHECK ((state = 'waiting') = (ended_at = 0)),
    UNIQUE (notice_id, channel)
) STRICT;
CREATE INDEX deliveries_due ON deliveries (channel, next_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_in_order ON deliveries (channel, subject, id) WHERE state = 'waiting';
CREATE INDEX deliveries_open ON deliveries (channel) WHERE state <> 'delivered';
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE state <> 'waiting';

CREATE TRIGGER delivery_is_born_waiting BEFORE INSERT ON deliveries WHEN NEW.state <> 'waiting'
BEGIN SELECT RAISE(ABORT, 'a delivery begins as waiting'); END;
CREATE TRIGGER delivery_moves_by_the_table BEFORE UPDATE OF state ON deliveries
WHEN NOT EXISTS (SELECT 1 FROM delivery_transition
                 WHERE from_state = OLD.state AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal transition of a delivery'); END;
CREATE TRIGGER delivery_ends_in_order BEFORE UPDATE OF state ON deliveries
WHEN NEW.state = 'delivered'
     AND EXISTS (SELECT 1 FROM deliveries WHERE channel = OLD.channel AND subject = OLD.subject
                                            AND state = 'waiting' AND id < OLD.id)
BEGIN SELECT RAISE(ABORT, 'an earlier one of the same subject waits'); END;
CREATE TRIGGER delivery_facts_do_not_change
BEFORE UPDATE OF id, notice_id, key, channel, subject ON deliveries
BEGIN SELECT RAISE(ABORT, 'what a delivery is about does not change'); END;
CREATE TRIGGER delivery_waiting_is_not_deleted BEFORE DELETE ON deliveries
WHEN OLD.state = 'waiting'
BEGIN SELECT RAISE(ABORT, 'what waits is not deleted'); END;
CREATE TRIGGER notice_does_not_change BEFORE UPDATE ON notices
BEGIN SELECT RAISE(ABORT, 'a notice does not change'); END;
)sql";

}  // namespace sallyport::proxy::store::schema
