-- One room that was ever written to. What is in it is its newest snapshot and the updates behind that. The figures are of the
-- updates that no snapshot has yet, so that a room need not be loaded to be listed. `quarantine` says why it is only read.
CREATE TABLE rooms (
    id             INTEGER PRIMARY KEY,
    name           TEXT    NOT NULL UNIQUE,
    creator_id     TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    used_at        INTEGER NOT NULL,
    quarantine     TEXT,
    snapshot_bytes INTEGER NOT NULL DEFAULT 0,
    log_rows       INTEGER NOT NULL DEFAULT 0,
    log_bytes      INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX rooms_by_use ON rooms (used_at);

-- Every accepted update as it came, numbered within its room, until a snapshot has it.
CREATE TABLE room_updates (
    room       INTEGER NOT NULL REFERENCES rooms (id),
    seq        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    user_id    TEXT    NOT NULL,
    bytes      BLOB    NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;

-- All of a room up to an update, as one update. The last two are kept.
CREATE TABLE room_snapshots (
    room       INTEGER NOT NULL REFERENCES rooms (id),
    seq        INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    format     INTEGER NOT NULL,
    sha256     BLOB    NOT NULL,
    bytes      BLOB    NOT NULL,
    PRIMARY KEY (room, seq)
) STRICT, WITHOUT ROWID;
