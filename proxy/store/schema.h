#pragma once

#include <array>

#include "proxy/store/schema_assignments.h"
#include "proxy/store/schema_outbox.h"
#include "proxy/store/schema_tokens.h"

/// The tables of the embedded state, as steps from one version to the next (PRAGMA user_version).
///
/// What may not happen is refused here, not only in C++: transitions are rows of a table, and
/// triggers hold every road in (also a shell on the file) to them. A released step is never edited;
/// a change is a new step. Instants and durations are milliseconds (UTC since 1970); 64-bit ids are
/// stored as signed integers.
namespace sallyport::proxy::store::schema {

inline constexpr const char* version_1 = R"sql(
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;

-- holds -----------------------------------------------------------------------------------------
CREATE TABLE hold_transition (
    from_state TEXT NOT NULL, to_state TEXT NOT NULL, PRIMARY KEY (from_state, to_state)
) STRICT, WITHOUT ROWID;
INSERT INTO hold_transition VALUES
    ('pending', 'approved'), ('pending', 'denied'), ('pending', 'expired'),
    ('pending', 'withdrawn');

CREATE TABLE holds (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('session', 'statement')),
    state TEXT NOT NULL
        CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'withdrawn')),
    person TEXT NOT NULL CHECK (person <> ''),
    target TEXT NOT NULL,
    rule TEXT NOT NULL CHECK (rule <> ''),
    session_id INTEGER NOT NULL,
    opened_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at >= opened_at),
    ended_at INTEGER NOT NULL DEFAULT 0,
    ended_reason TEXT NOT NULL DEFAULT '',
    approvals_needed INTEGER NOT NULL CHECK (approvals_needed >= 1),
    granted TEXT NOT NULL DEFAULT 'statement'
        CHECK (granted IN ('statement', 'shape', 'transaction', 'session')),
    granted_for INTEGER NOT NULL DEFAULT 0,
    statement TEXT NOT NULL,
    shape TEXT NOT NULL,
    details TEXT NOT NULL,  -- JSON of what nothing is searched by: groups, parameters, bounds …
    CHECK ((state = 'pending') = (ended_at = 0))
) STRICT;
CREATE INDEX holds_by_state ON holds (state, id);

CREATE TABLE hold_votes (
    hold_id INTEGER NOT NULL REFERENCES holds (id) ON DELETE CASCADE,
    person TEXT NOT NULL CHECK (person <> ''),
    approve INTEGER NOT NULL CHECK (approve IN (0, 1)),
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    surface TEXT NOT NULL,
    PRIMARY KEY (hold_id, person)
) STRICT;

CREATE TRIGGER hold_is_born_pending BEFORE INSERT ON holds WHEN NEW.state <> 'pending'
BEGIN SELECT RAISE(ABORT, 'a hold begins as pending'); END;

CREATE TRIGGER hold_moves_by_the_table BEFORE UPDATE OF state ON holds
WHEN NOT EXISTS (SELECT 1 FROM hold_transition
                 WHERE from_state = OLD.state AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal transition of a hold'); END;

CREATE TRIGGER hold_is_approved_by_votes BEFORE UPDATE OF state ON holds
WHEN NEW.state = 'approved'
     AND ((SELECT count(*) FROM hold_votes WHERE hold_id = OLD.id AND approve = 1)
              < OLD.approvals_needed
          OR EXISTS (SELECT 1 FROM hold_votes WHERE hold_id = OLD.id AND approve = 0))
BEGIN SELECT RAISE(ABORT, 'a hold is approved by the votes it needs and no deny'); END;

CREATE TRIGGER hold_facts_do_not_change
BEFORE UPDATE OF id, kind, person, target, rule, session_id, opened_at, expires_at,
                 approvals_needed, statement, shape, details ON holds
BEGIN SELECT RAISE(ABORT, 'what a hold is about does not change'); END;

CREATE TRIGGER hold_pending_is_not_deleted BEFORE DELETE ON holds WHEN OLD.state = 'pending'
BEGIN SELECT RAISE(ABORT, 'a pending hold cannot be deleted'); END;

CREATE TRIGGER hold_vote_is_legal BEFORE INSERT ON hold_votes
WHEN NOT EXISTS (SELECT 1 FROM holds WHERE id = NEW.hold_id AND state = 'pending'
                                       AND person <> NEW.person)
BEGIN SELECT RAISE(ABORT, 'a vote needs a pending hold of another person'); END;

CREATE TRIGGER hold_vote_does_not_change BEFORE UPDATE ON hold_votes
BEGIN SELECT RAISE(ABORT, 'a vote does not change'); END;

CREATE TRIGGER hold_vote_stays BEFORE DELETE ON hold_votes
WHEN EXISTS (SELECT 1 FROM holds WHERE id = OLD.hold_id)
BEGIN SELECT RAISE(ABORT, 'a vote stays as long as its hold'); END;

-- passes ----------------------------------------------------------------------------------------
CREATE TABLE passes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hold_id INTEGER NOT NULL UNIQUE REFERENCES holds (id) ON DELETE CASCADE,
    scope TEXT NOT NULL CHECK (scope IN ('statement', 'shape', 'transaction', 'session')),
    rule TEXT NOT NULL,
    person TEXT NOT NULL,
    target TEXT NOT NULL,
    shape TEXT NOT NULL,
    session_id INTEGER NOT NULL,
    until INTEGER NOT NULL CHECK (until > 0),
    approved_by TEXT NOT NULL CHECK (approved_by <> ''),
    CHECK (scope <> 'shape' OR shape <> ''),
    CHECK (scope NOT IN ('session', 'transaction') OR session_id <> 0)
) STRICT;
CREATE INDEX passes_by_until ON passes (until);
CREATE INDEX passes_by_session ON passes (session_id);

CREATE TRIGGER pass_needs_an_approved_hold BEFORE INSERT ON passes
WHEN NOT EXISTS (SELECT 1 FROM holds WHERE id = NEW.hold_id AND state = 'approved'
                   AND person = NEW.person AND rule = NEW.rule AND target = NEW.target)
BEGIN SELECT RAISE(ABORT, 'a pass needs an approved hold of the same person, rule and target'); END;

CREATE TRIGGER pass_only_gets_shorter BEFORE UPDATE ON passes
WHEN NEW.until > OLD.until OR NEW.id <> OLD.id OR NEW.hold_id <> OLD.hold_id
     OR NEW.scope <> OLD.scope OR NEW.rule <> OLD.rule OR NEW.person <> OLD.person
     OR NEW.target <> OLD.target OR NEW.shape <> OLD.shape
     OR NEW.session_id <> OLD.session_id OR NEW.approved_by <> OLD.approved_by
BEGIN SELECT RAISE(ABORT, 'a pass can only be made shorter'); END;

-- opt-outs --------------------------------------------------------------------------------------
CREATE TABLE opt_out_transition (
    from_state TEXT NOT NULL, to_state TEXT NOT NULL, PRIMARY KEY (from_state, to_state)
) STRICT, WITHOUT ROWID;
INSERT INTO opt_out_transition VALUES
    ('requested', 'active'), ('requested', 'denied'), ('requested', 'withdrawn'),
    ('requested', 'lapsed'),
    ('active', 'expired'), ('active', 'revoked'), ('active', 'used_up');

CREATE TABLE opt_outs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL CHECK (state IN ('requested', 'active', 'denied', 'withdrawn', 'lapsed',
                                         'expired', 'revoked', 'used_up')),
    rule TEXT NOT NULL CHECK (rule <> ''),
    person TEXT NOT NULL CHECK (person <> ''),
    requested_by TEXT NOT NULL CHECK (requested_by <> ''),
    reason TEXT NOT NULL,
    ticket TEXT NOT NULL,
    target TEXT NOT NULL,
    duration INTEGER NOT NULL CHECK (duration > 0),
    requested_at INTEGER NOT NULL,
    request_expires_at INTEGER NOT NULL,
    live_from INTEGER NOT NULL DEFAULT 0,
    live_until INTEGER NOT NULL DEFAULT 0,
    uses INTEGER NOT NULL DEFAULT 0 CHECK (uses >= 0),
    max_uses INTEGER NOT NULL CHECK (max_uses >= 0),
    approvals_needed INTEGER NOT NULL CHECK (approvals_needed >= 1),
    ended_at INTEGER NOT NULL DEFAULT 0,
    ended_reason TEXT NOT NULL DEFAULT '',
    policy_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    CHECK (max_uses = 0 OR uses <= max_uses),
    CHECK (state <> 'active' OR (live_from > 0 AND live_until > live_from
                                 AND live_until - live_from <= duration)),
    CHECK (state NOT IN ('requested', 'denied', 'withdrawn', 'lapsed')
           OR (live_from = 0 AND live_until = 0 AND uses = 0))
) STRICT;
CREATE INDEX opt_outs_by_state ON opt_outs (state, id);

CREATE TABLE opt_out_votes (
    opt_out_id INTEGER NOT NULL REFERENCES opt_outs (id),
    person TEXT NOT NULL CHECK (person <> ''),
    approve INTEGER NOT NULL CHECK (approve IN (0, 1)),
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    surface TEXT NOT NULL,
    PRIMARY KEY (opt_out_id, person)
) STRICT;

CREATE TRIGGER opt_out_is_born_requested BEFORE INSERT ON opt_outs WHEN NEW.state <> 'requested'
BEGIN SELECT RAISE(ABORT, 'an opt-out begins as requested'); END;

CREATE TRIGGER opt_out_moves_by_the_table BEFORE UPDATE OF state ON opt_outs
WHEN NOT EXISTS (SELECT 1 FROM opt_out_transition
                 WHERE from_state = OLD.state AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal transition of an opt-out'); END;

CREATE TRIGGER opt_out_is_activated_by_votes BEFORE UPDATE OF state ON opt_outs
WHEN NEW.state = 'active'
     AND ((SELECT count(*) FROM opt_out_votes WHERE opt_out_id = OLD.id AND approve = 1)
              < OLD.approvals_needed
          OR EXISTS (SELECT 1 FROM opt_out_votes WHERE opt_out_id = OLD.id AND approve = 0))
BEGIN SELECT RAISE(ABORT, 'an opt-out is activated by the votes it needs and no deny'); END;

CREATE TRIGGER opt_out_facts_do_not_change
BEFORE UPDATE OF id, rule, person, requested_by, reason, ticket, target, duration, requested_at,
                 request_expires_at, max_uses, approvals_needed, policy_hash, role ON opt_outs
BEGIN SELECT RAISE(ABORT, 'what an opt-out is about does not change'); END;

CREATE TRIGGER opt_out_window_is_set_once BEFORE UPDATE OF live_from, live_until ON opt_outs
WHEN (NEW.live_from <> OLD.live_from OR NEW.live_until <> OLD.live_until)
     AND NOT (OLD.state = 'requested' AND NEW.state = 'active')
BEGIN SELECT RAISE(ABORT, 'the window of an opt-out is set once, when it is activated'); END;

CREATE TRIGGER opt_out_uses_only_grow BEFORE UPDATE OF uses ON opt_outs
WHEN NEW.uses <> OLD.uses + 1 OR OLD.state <> 'active' OR NEW.state <> 'active'
BEGIN SELECT RAISE(ABORT, 'uses are counted one by one, while active'); END;

CREATE TRIGGER opt_out_is_not_deleted BEFORE DELETE ON opt_outs
BEGIN SELECT RAISE(ABORT, 'an opt-out is kept'); END;

CREATE TRIGGER opt_out_vote_is_legal BEFORE INSERT ON opt_out_votes
WHEN NOT EXISTS (SELECT 1 FROM opt_outs WHERE id = NEW.opt_out_id AND state = 'requested'
                   AND person <> NEW.person AND requested_by <> NEW.person)
BEGIN SELECT RAISE(ABORT, 'a vote needs a requested opt-out of another person'); END;

CREATE TRIGGER opt_out_vote_does_not_change BEFORE UPDATE ON opt_out_votes
BEGIN SELECT RAISE(ABORT, 'a vote does not change'); END;

CREATE TRIGGER opt_out_vote_stays BEFORE DELETE ON opt_out_votes
BEGIN SELECT RAISE(ABORT, 'a vote stays'); END;

CREATE TRIGGER hold_transitions_do_not_change BEFORE DELETE ON hold_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER opt_out_transitions_do_not_change BEFORE DELETE ON opt_out_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER hold_transitions_do_not_grow BEFORE INSERT ON hold_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER opt_out_transitions_do_not_grow BEFORE INSERT ON opt_out_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER hold_transitions_are_fixed BEFORE UPDATE ON hold_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER opt_out_transitions_are_fixed BEFORE UPDATE ON opt_out_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
)sql";

/// Scopes, later starts, break-glass, withdrawn votes, reviews, flags and locks.
inline constexpr const char* version_2 = R"sql(
ALTER TABLE opt_outs ADD COLUMN kind TEXT NOT NULL DEFAULT 'request'
    CHECK (kind IN ('request', 'break_glass', 'file'));
ALTER TABLE opt_outs ADD COLUMN starts_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE opt_outs ADD COLUMN extends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE opt_outs ADD COLUMN for_group TEXT NOT NULL DEFAULT '';
ALTER TABLE opt_outs ADD COLUMN details TEXT NOT NULL DEFAULT '{}';  -- JSON: scope, groups …
CREATE INDEX opt_outs_by_rule ON opt_outs (rule, live_from);

CREATE TRIGGER break_glass_is_short BEFORE INSERT ON opt_outs
WHEN NEW.kind = 'break_glass' AND NEW.duration > 4 * 3600 * 1000
BEGIN SELECT RAISE(ABORT, 'a broken glass lasts 4 hours at most'); END;

DROP TRIGGER opt_out_is_activated_by_votes;
CREATE TRIGGER opt_out_is_activated_by_votes BEFORE UPDATE OF state ON opt_outs
WHEN NEW.state = 'active'
     AND ((OLD.kind <> 'break_glass'
           AND (SELECT count(*) FROM opt_out_votes WHERE opt_out_id = OLD.id AND approve = 1)
               < OLD.approvals_needed)
          OR EXISTS (SELECT 1 FROM opt_out_votes WHERE opt_out_id = OLD.id AND approve = 0))
BEGIN SELECT RAISE(ABORT, 'an opt-out is activated by the votes it needs and no deny'); END;

DROP TRIGGER opt_out_facts_do_not_change;
CREATE TRIGGER opt_out_facts_do_not_change
BEFORE UPDATE OF id, rule, person, requested_by, reason, ticket, target, duration, requested_at,
                 request_expires_at, max_uses, approvals_needed, policy_hash, role, kind, starts_at,
                 extends, for_group, details ON opt_outs
BEGIN SELECT RAISE(ABORT, 'what an opt-out is about does not change'); END;

-- votes taken back ------------------------------------------------------------------------------
CREATE TABLE withdrawn_votes (
    about TEXT NOT NULL CHECK (about IN ('hold', 'opt_out')),
    subject_id INTEGER NOT NULL,
    person TEXT NOT NULL,
    reason TEXT NOT NULL,  -- of the vote
    at INTEGER NOT NULL,   -- when it was cast
    withdrawn_at INTEGER NOT NULL
) STRICT;
CREATE INDEX withdrawn_votes_by_subject ON withdrawn_votes (about, subject_id);

DROP TRIGGER hold_vote_stays;
CREATE TRIGGER hold_vote_stays BEFORE DELETE ON hold_votes
WHEN EXISTS (SELECT 1 FROM holds WHERE id = OLD.hold_id)
     AND NOT (OLD.approve = 1
              AND (SELECT state FROM holds WHERE id = OLD.hold_id) = 'pending'
              AND EXISTS (SELECT 1 FROM withdrawn_votes
                          WHERE about = 'hold' AND subject_id = OLD.hold_id
                            AND person = OLD.person AND at = OLD.at))
BEGIN SELECT RAISE(ABORT, 'a vote stays as long as its hold, unless it is withdrawn'); END;

DROP TRIGGER opt_out_vote_stays;
CREATE TRIGGER opt_out_vote_stays BEFORE DELETE ON opt_out_votes
WHEN NOT (OLD.approve = 1
          AND (SELECT state FROM opt_outs WHERE id = OLD.opt_out_id) = 'requested'
          AND EXISTS (SELECT 1 FROM withdrawn_votes
                      WHERE about = 'opt_out' AND subject_id = OLD.opt_out_id
                        AND person = OLD.person AND at = OLD.at))
BEGIN SELECT RAISE(ABORT, 'a vote stays, unless it is withdrawn'); END;

-- reviews ---------------------------------------------------------------------------------------
CREATE TABLE review_transition (
    from_state TEXT NOT NULL, to_state TEXT NOT NULL, PRIMARY KEY (from_state, to_state)
) STRICT, WITHOUT ROWID;
INSERT INTO review_transition VALUES ('open', 'signed_off'), ('open', 'finding');
CREATE TRIGGER review_transitions_do_not_change BEFORE DELETE ON review_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER review_transitions_do_not_grow BEFORE INSERT ON review_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;
CREATE TRIGGER review_transitions_are_fixed BEFORE UPDATE ON review_transition
BEGIN SELECT RAISE(ABORT, 'the transitions are part of the schema'); END;

CREATE TABLE reviews (
    opt_out_id INTEGER PRIMARY KEY REFERENCES opt_outs (id),
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'signed_off', 'finding')),
    opened_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL CHECK (due_at >= opened_at),
    closed_at INTEGER NOT NULL DEFAULT 0,
    reviewer TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    overdue_at INTEGER NOT NULL DEFAULT 0,
    CHECK ((state = 'open') = (closed_at = 0)),
    CHECK ((state = 'open') = (reviewer = ''))
) STRICT;
CREATE INDEX reviews_by_state ON reviews (state, due_at);

CREATE TRIGGER review_is_born_open BEFORE INSERT ON reviews
WHEN NEW.state <> 'open'
     OR (SELECT state FROM opt_outs WHERE id = NEW.opt_out_id)
        NOT IN ('expired', 'revoked', 'used_up')
BEGIN SELECT RAISE(ABORT, 'a review begins as open, when its opt-out has ended'); END;

CREATE TRIGGER review_moves_by_the_table BEFORE UPDATE OF state ON reviews
WHEN NOT EXISTS (SELECT 1 FROM review_transition
                 WHERE from_state = OLD.state AND to_state = NEW.state)
BEGIN SELECT RAISE(ABORT, 'illegal transition of a review'); END;

CREATE TRIGGER review_is_anothers BEFORE UPDATE OF reviewer ON reviews
WHEN EXISTS (SELECT 1 FROM opt_outs WHERE id = OLD.opt_out_id
                                      AND NEW.reviewer IN (person, requested_by))
BEGIN SELECT RAISE(ABORT, 'nobody reviews what she used herself'); END;

CREATE TRIGGER review_facts_do_not_change BEFORE UPDATE OF opt_out_id, opened_at, due_at ON reviews
BEGIN SELECT RAISE(ABORT, 'what a review is about does not change'); END;
CREATE TRIGGER review_is_not_deleted BEFORE DELETE ON reviews
BEGIN SELECT RAISE(ABORT, 'a review is kept'); END;

-- flags and locks -------------------------------------------------------------------------------
CREATE TABLE flags (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('flag', 'lock')),
    about TEXT NOT NULL CHECK (about IN ('principal', 'application', 'address', 'target', 'rule')),
    subject TEXT NOT NULL CHECK (subject <> ''),
    reason TEXT NOT NULL CHECK (reason <> ''),
    set_by TEXT NOT NULL CHECK (set_by <> ''),
    set_at INTEGER NOT NULL,
    until INTEGER NOT NULL CHECK (until > set_at),
    lifted_at INTEGER NOT NULL DEFAULT 0,
    lifted_by TEXT NOT NULL DEFAULT '',
    lifted_reason TEXT NOT NULL DEFAULT '',
    CHECK ((lifted_at = 0) = (lifted_by = '')),
    CHECK (about <> 'principal' OR lifted_by <> subject)
) STRICT;
CREATE INDEX flags_by_until ON flags (until);

CREATE TRIGGER flag_is_born_unlifted BEFORE INSERT ON flags WHEN NEW.lifted_at <> 0
BEGIN SELECT RAISE(ABORT, 'a flag begins unlifted'); END;
CREATE TRIGGER flag_is_lifted_once BEFORE UPDATE ON flags
WHEN OLD.lifted_at <> 0 OR NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.about <> OLD.about
     OR NEW.subject <> OLD.subject OR NEW.reason <> OLD.reason OR NEW.set_by <> OLD.set_by
     OR NEW.set_at <> OLD.set_at OR NEW.until <> OLD.until
BEGIN SELECT RAISE(ABORT, 'a flag is lifted once, and does not change otherwise'); END;
CREATE TRIGGER flag_is_not_deleted BEFORE DELETE ON flags
BEGIN SELECT RAISE(ABORT, 'a flag is kept'); END;
)sql";

/// steps[i] leads from version i to version i + 1.
inline constexpr std::array steps{version_1, version_2, outbox, api_tokens, assignments};

}  // namespace sallyport::proxy::store::schema
