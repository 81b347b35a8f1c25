//! The way from every older schema to that of `schema.sql`: one entry per version.
//!
//! An entry is never changed once it was released. A new version is a new entry at the end and the same change to
//! `schema.sql`; a test holds the two to each other.

/// The whole of a new database.
pub(super) const SCHEMA: &str = include_str!("../../schema.sql");

/// What leads from schema version `n` to `n + 1`, from 1 on.
const STEPS: [&str; 1] = [
    // 2: the audit log.
    "CREATE TABLE audit_events (
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
    CREATE TABLE audit_anchor (
        id           INTEGER PRIMARY KEY CHECK (id = 1),
        removed_id   INTEGER NOT NULL,
        removed_hash BLOB    NOT NULL
    ) STRICT;",
];

/// The shape of the database that this program reads and writes (`PRAGMA user_version`).
pub const SCHEMA_VERSION: i32 = 1 + STEPS.len() as i32;

/// What has still to be done to a database of schema version `from`, which is at least 1.
pub(super) fn after(from: i32) -> &'static [&'static str] {
    let done = usize::try_from(from - 1).unwrap_or_default();
    STEPS.get(done..).unwrap_or_default()
}
