#pragma once

/// The step of the schema that lets a hold be one person's task; see schema.h.
namespace sallyport::proxy::store::schema {

inline constexpr const char* assignments = R"sql(
ALTER TABLE holds ADD COLUMN assigned_to TEXT NOT NULL DEFAULT '';
ALTER TABLE holds ADD COLUMN assigned_by TEXT NOT NULL DEFAULT '';
ALTER TABLE holds ADD COLUMN assigned_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE holds ADD COLUMN assigned_at INTEGER NOT NULL DEFAULT 0;

CREATE TRIGGER hold_is_another_persons_task
BEFORE UPDATE OF assigned_to, assigned_by, assigned_reason, assigned_at ON holds
WHEN OLD.state <> 'pending' OR NEW.assigned_to IN ('', OLD.person)
     OR NEW.assigned_by IN ('', OLD.person) OR NEW.assigned_reason = '' OR NEW.assigned_at <= 0
BEGIN SELECT RAISE(ABORT, 'a pending hold is the task of another person, by another, for a reason');
END;
)sql";

}  // namespace sallyport::proxy::store::schema
