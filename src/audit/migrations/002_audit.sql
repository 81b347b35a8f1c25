-- Who changed what, from where, written in the transaction of the change itself when AUDIT_ENABLED is set. Ids have no
-- gaps; each row carries the hash of the one before it and that of its own content (src/audit/chain.rs). `metadata` is
-- a JSON object or null.
CREATE TABLE audit_events (
    id         INTEGER PRIMARY KEY,
    ts         INTEGER NOT NULL,
    request_id TEXT,
    user_id    TEXT,
    action     TEXT    NOT NULL,
    draft_id   TEXT,
    metadata   TEXT,
    ip         TEXT,
    user_agent TEXT,
    prev_hash  BLOB    NOT NULL,
    hash       BLOB    NOT NULL
) STRICT;

-- Where the rows above begin, once older ones were removed: id and hash of the last that was.
CREATE TABLE audit_anchor (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    removed_id   INTEGER NOT NULL,
    removed_hash BLOB    NOT NULL
) STRICT;
