//! The verbs on a connection of SQLite. Every statement is prepared once and kept; binding allocates nothing.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, InterruptHandle};

use super::row::Row as SqliteRow;
use crate::store::error::Error;
use crate::store::row::Row;
use crate::store::value::Value;

/// A connection, with the statements that it has prepared.
#[derive(Debug)]
pub struct Connection(pub(super) rusqlite::Connection);

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Int(number) => ValueRef::Integer(number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Connection {
    pub(in crate::store) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let mut statement = self.bound(sql, values)?;
        let mut rows = statement.raw_query();
        rows.next()?.map(|row| read(&Row::new(SqliteRow(row)))).transpose()
    }

    pub(in crate::store) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.until(sql, values, |row| read(row).map(|()| true))
    }

    /// The same for as long as `read` says so.
    pub(in crate::store) fn until(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut statement = self.bound(sql, values)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if !read(&Row::new(SqliteRow(row)))? {
                break;
            }
        }
        Ok(())
    }

    /// How many rows it has changed.
    pub(in crate::store) fn change(&self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        // A usize has never more than 64 bits.
        Ok(self.bound(sql, values)?.raw_execute()? as u64)
    }

    /// Changes the one row that it is to change, or has failed.
    pub(in crate::store) fn change_one(&self, sql: &str, values: &[Value<'_>]) -> Result<(), Error> {
        match self.change(sql, values)? {
            1 => Ok(()),
            changed => Err(Error::Damaged(format!("{changed} rows were changed where it must be one: {sql}"))),
        }
    }

    /// The id of the row that it has added.
    pub(in crate::store) fn insert(&self, sql: &str, values: &[Value<'_>]) -> Result<i64, Error> {
        self.change_one(sql, values)?;
        Ok(self.0.last_insert_rowid())
    }

    /// Reads several times and sees one state of the database, whatever is committed meanwhile.
    pub(in crate::store) fn snapshot<T>(&self, read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        let transaction = self.0.unchecked_transaction()?;
        let result = read();
        drop(transaction);
        result
    }

    /// What stops a reading from another thread.
    pub(in crate::store) fn interrupter(&self) -> Interrupter {
        Interrupter(self.0.get_interrupt_handle())
    }

    fn bound(&self, sql: &str, values: &[Value<'_>]) -> Result<CachedStatement<'_>, Error> {
        let mut statement = self.0.prepare_cached(sql)?;
        if statement.parameter_count() != values.len() {
            let (wanted, given) = (statement.parameter_count(), values.len());
            return Err(Error::Other(format!("{wanted} values are wanted and {given} were given: {sql}")));
        }
        for (index, value) in values.iter().enumerate() {
            statement.raw_bind_parameter(index + 1, value)?;
        }
        Ok(statement)
    }
}

#[cfg(test)]
impl Connection {
    pub(in crate::store) fn in_memory() -> Self {
        Self(rusqlite::Connection::open_in_memory().unwrap())
    }

    pub(in crate::store) fn to(path: &std::path::Path) -> Self {
        Self(rusqlite::Connection::open(path).unwrap())
    }

    /// Carries out statements of any kind; from then on triggers as well, by which tests put something in the way.
    pub(in crate::store) fn batch(&self, sql: &str) -> Result<(), Error> {
        self.0.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, true)?;
        Ok(self.0.execute_batch(sql)?)
    }
}

/// Stops a reading from another thread.
pub struct Interrupter(InterruptHandle);

impl Interrupter {
    /// The reading that is under way ends with an error. Without one, nothing happens.
    pub fn interrupt(&self) {
        self.0.interrupt();
    }
}
