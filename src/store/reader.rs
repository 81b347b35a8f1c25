//! A shard's own read-only connection.

use std::sync::Arc;

use rusqlite::Connection;

use super::writer::WriterState;

/// Reads what is committed. Belongs to one thread; each query is its own short transaction, so it never holds back a
/// checkpoint for long.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    state: Arc<WriterState>,
}

impl Reader {
    pub(super) fn new(connection: Connection, state: Arc<WriterState>) -> Self {
        Self { connection, state }
    }

    /// The connection, for `prepare_cached`.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How many commits there have been. Ask before reading: what was read is current for as long as the number is
    /// the same, because the writer counts up after a commit and before anyone is told of it.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.state.commits()
    }
}
