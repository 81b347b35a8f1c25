//! A shard's own read-only connection, and the verbs of reading.

use std::sync::Arc;

use super::error::Error;
use super::row::Row;
use super::sqlite::connection::{Connection, Interrupter};
use super::sqlite::texts::{Order, Search, TextGroup};
use super::state::WriterState;
use super::value::Value;

/// What reads rows: a [`Reader`], or the transaction of a change ([`super::Tx`]). Statements are texts that never change, so
/// that each is prepared once; values stand at `?1` to `?n`.
pub trait Query {
    /// What the statements are sent by.
    #[doc(hidden)]
    fn connection(&self) -> &Connection;

    /// The first row of the answer, if it has one.
    ///
    /// # Errors
    /// When the statement fails, or what `read` says.
    fn one<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.connection().one(sql, values, read)
    }

    /// Every row of the answer, in its order.
    ///
    /// # Errors
    /// When the statement fails, or what `read` says; no further row is read then.
    fn each(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.connection().each(sql, values, read)
    }

    /// What `read` makes of every row, in their order. For answers that have a bound.
    ///
    /// # Errors
    /// When the statement fails, or what `read` says.
    fn all<T>(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        self.each(sql, values, |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The same until `read` says that this is enough.
    ///
    /// # Errors
    /// When the statement fails, or what `read` says.
    fn until(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
        read: impl FnMut(&Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.connection().until(sql, values, read)
    }

    /// Has `take` see the numbers of those texts of these groups that have what is searched for, until it says that this is enough
    /// ([`Tx::add_text`](super::Tx::add_text)).
    ///
    /// # Errors
    /// When the search fails, or what `take` says.
    fn search(
        &self,
        search: &Search,
        groups: &[TextGroup],
        order: Order,
        take: impl FnMut(i64) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        self.connection().search(search, groups, order, take)
    }

    /// The values of labels of this name ([`TextWords::label`](super::TextWords::label)), each with how many texts of the group have
    /// it: the most frequent ones, so many at most.
    ///
    /// # Errors
    /// When they cannot be read.
    fn labels(&self, group: TextGroup, name: &str, most: usize) -> Result<Vec<(String, i64)>, Error> {
        self.connection().labels(group, name, most)
    }

    /// Whether there is a row.
    fn exists(&self, sql: &'static str, values: &[Value<'_>]) -> Result<bool, Error> {
        self.one(sql, values, |_| Ok(())).map(|found| found.is_some())
    }
}

/// Reads what is committed. Belongs to one thread; each query is its own short transaction, so it never holds back a
/// checkpoint for long.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    /// The writer that alone commits, where this process has it.
    writer: Option<Arc<WriterState>>,
}

impl Reader {
    pub(super) fn new(connection: Connection, writer: Option<Arc<WriterState>>) -> Self {
        Self { connection, writer }
    }

    /// A number that stands for what is committed: while it is the same, nothing was. Ask before reading: what was read is
    /// current for as long as the number is the same, because the writer counts up after a commit and before anyone is told
    /// of it. Nothing when nobody can tell, as where another process writes: look, then.
    pub fn version(&self) -> Option<u64> {
        self.writer.as_ref().map(|writer| writer.commits())
    }

    /// What was changed in the tables and indexes of the database since this process opened it, if anything was: by whom, nobody
    /// can know. Cheap while nothing is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn altered(&self) -> Result<Option<String>, Error> {
        self.writer.as_ref().map_or(Ok(None), |writer| writer.altered(&self.connection))
    }

    /// Has `read` see one state of the database in all its queries, whatever is committed meanwhile. Holds back the
    /// checkpoint, so it is for those who have a bound or whom nobody waits for.
    ///
    /// # Errors
    /// When it cannot be begun, or what `read` says.
    pub fn snapshot<T>(&self, read: impl FnOnce(&Self) -> Result<T, Error>) -> Result<T, Error> {
        self.connection.snapshot(|| read(self))
    }

    /// What stops a query of this reader from another thread.
    pub fn interrupter(&self) -> Interrupter {
        self.connection.interrupter()
    }
}

impl Query for Reader {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}
