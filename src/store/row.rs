//! One row of an answer.

use super::error::Error;
use super::sqlite::row as sqlite;
use super::value::Column;

/// A row, for as long as the statement stands on it.
pub struct Row<'r> {
    row: sqlite::Row<'r>,
}

impl<'r> Row<'r> {
    pub(super) fn new(row: sqlite::Row<'r>) -> Self {
        Self { row }
    }

    /// The column at `index`, counted from 0.
    ///
    /// # Errors
    /// [`Error::Damaged`] when it holds something else.
    pub fn get<T: Column<'r>>(&self, index: usize) -> Result<T, Error> {
        T::read(self.row.value(index)?, index)
    }

    /// A text or bytes as they lie there, for rows that somebody may have tampered with: what should be text need not be
    /// UTF-8. Nothing for anything else.
    ///
    /// # Errors
    /// When there is no such column.
    pub fn bytes(&self, index: usize) -> Result<Option<&'r [u8]>, Error> {
        self.row.bytes(index)
    }
}
