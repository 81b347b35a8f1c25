-- What an operator has revoked: the token of a `jti`, or the tokens of a user that were issued before a moment. `expires_at` is
-- when the token expires, if the operator has said so.
CREATE TABLE revocations (
    id         INTEGER PRIMARY KEY,
    jti        TEXT UNIQUE,
    user_id    TEXT UNIQUE,
    before     INTEGER,
    revoked_at INTEGER NOT NULL,
    expires_at INTEGER,
    CHECK ((jti IS NULL) <> (user_id IS NULL) AND (user_id IS NULL) = (before IS NULL))
) STRICT;
