//! SQLite: one file, one writer, a reader per shard. Nothing of the library is seen outside this folder.

pub(super) mod bounds;
pub(super) mod check;
pub(super) mod connection;
pub(super) mod copy;
pub(super) mod copying;
pub(super) mod definition;
mod fault;
pub(super) mod files;
pub(super) mod identity;
pub(super) mod last_change;
pub(super) mod lock;
pub(super) mod look;
pub(super) mod migrate;
pub(super) mod open;
pub(super) mod place;
mod reserve;
pub(super) mod restoring;
pub(super) mod row;
pub(super) mod survey;
pub(super) mod tallies;
pub(super) mod texts;
pub(super) mod vacuum;
pub(super) mod writer;

/// The version of the library that is built in.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}
