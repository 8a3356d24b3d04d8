#pragma once

/// The step of the schema that adds API tokens; see schema.h.
namespace sallyport::proxy::store::schema {

inline constexpr const char* api_tokens = R"sql(
CREATE TABLE api_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL CHECK (owner <> ''),
    made_by TEXT NOT NULL CHECK (made_by <> ''),
    name TEXT NOT NULL CHECK (name <> ''),
    scopes TEXT NOT NULL CHECK (scopes <> ''),  -- names of actions, a blank between
    secret_sha256 TEXT NOT NULL UNIQUE
        CHECK (length(secret_sha256) = 64 AND secret_sha256 NOT GLOB '*[^0-9a-f]*'),
    made_at INTEGER NOT NULL CHECK (made_at > 0),
    expires_at INTEGER NOT NULL
        CHECK (expires_at > made_at AND expires_at - made_at <= 366 * 24 * 3600 * 1000),
    used_at INTEGER NOT NULL DEFAULT 0,
    revoked_at INTEGER NOT NULL DEFAULT 0,
    revoked_by TEXT NOT NULL DEFAULT '',
    CHECK ((revoked_at = 0) = (revoked_by = ''))
) STRICT;
CREATE INDEX api_tokens_by_expiry ON api_tokens (expires_at);

CREATE TRIGGER api_token_is_born_fresh BEFORE INSERT ON api_tokens
WHEN NEW.used_at <> 0 OR NEW.revoked_at <> 0
BEGIN SELECT RAISE(ABORT, 'a token begins unused and unrevoked'); END;
CREATE TRIGGER api_token_facts_do_not_change
BEFORE UPDATE OF id, owner, made_by, name, scopes, secret_sha256, made_at, expires_at ON api_tokens
BEGIN SELECT RAISE(ABORT, 'what a token is does not change'); END;
CREATE TRIGGER api_token_is_revoked_once BEFORE UPDATE ON api_tokens WHEN OLD.revoked_at <> 0
BEGIN SELECT RAISE(ABORT, 'a revoked token stays as it is'); END;
CREATE TRIGGER api_token_uses_go_on BEFORE UPDATE OF used_at ON api_tokens
WHEN NEW.used_at < OLD.used_at
BEGIN SELECT RAISE(ABORT, 'the last use of a token does not go back'); END;
CREATE TRIGGER api_token_is_not_deleted BEFORE DELETE ON api_tokens
BEGIN SELECT RAISE(ABORT, 'a token is kept'); END;
)sql";

}  // namespace sallyport::proxy::store::schema
