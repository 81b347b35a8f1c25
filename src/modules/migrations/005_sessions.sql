-- Sessions of the household. `hash` is the SHA-256 of the token that only its browser has.
CREATE TABLE household_sessions (
    id           INTEGER PRIMARY KEY,
    hash         BLOB    NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    address      TEXT    NOT NULL,
    agent        TEXT
) STRICT;
