//! What a file says of itself: is it ours, of which version, with which tables.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::definition::Definition;
use crate::store::error::{Error, OpenError};
use crate::store::reader::{Query as _, Reader};
use crate::store::schema::Schema;

/// Marks a file as ours: `inkr` in ASCII (`PRAGMA application_id`).
pub const APPLICATION_ID: i32 = 0x696e_6b72;

/// Names of the tables that a database has, in alphabetical order.
///
/// # Errors
/// When the schema cannot be read.
pub fn tables(reader: &Reader) -> Result<Vec<String>, Error> {
    Ok(table_names(&reader.connection().0)?)
}

/// The schema version of a database.
///
/// # Errors
/// When it cannot be read.
pub fn schema_version(reader: &Reader) -> Result<i32, Error> {
    Ok(user_version(&reader.connection().0)?)
}

/// Refuses what another program or a newer inkring wrote, or somebody has changed the tables of, before anything in it is changed.
pub(super) fn check_ours(connection: &Connection, path: &Path, schema: &Schema) -> Result<(), OpenError> {
    let known = schema.version();
    let foreign = |found: String| OpenError::Foreign { path: path.to_owned(), found };
    let failed = |error: rusqlite::Error| OpenError::Database { path: path.to_owned(), source: error.into() };
    let id = application_id(connection).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => foreign("it is not an SQLite file".to_owned()),
        _ => failed(error),
    })?;
    let version = user_version(connection).map_err(failed)?;
    // An empty file is a database not yet made: the start that was to make it was cut short.
    let empty = id == 0 && version == 0 && table_names(connection).map_err(failed)?.is_empty();
    match id {
        _ if empty => Ok(()),
        APPLICATION_ID if version > known => Err(OpenError::Newer { path: path.to_owned(), found: version, known }),
        APPLICATION_ID if version < 1 => Err(foreign(format!("schema version {version}"))),
        APPLICATION_ID => {
            let wanted = Definition::wanted(schema, version).map_err(failed)?;
            let found = Definition::found(connection).map_err(failed)?.difference(&wanted);
            found.map_or(Ok(()), |found| Err(OpenError::Altered { path: path.to_owned(), found }))
        }
        0 => Err(foreign("an SQLite database of another program".to_owned())),
        id => Err(foreign(format!("an SQLite database with application id {id:#x}"))),
    }
}

pub(super) fn application_id(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "application_id", |row| row.get(0))
}

pub(super) fn user_version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

pub(super) fn table_names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    // Those of FTS5 are its own affair; the one that stands for them is named.
    let mut statement = connection.prepare_cached(
        "SELECT name FROM sqlite_schema AS t WHERE type = 'table' AND NOT EXISTS ( \
         SELECT 1 FROM sqlite_schema AS v WHERE v.sql LIKE 'CREATE VIRTUAL TABLE%' \
         AND substr(t.name, 1, length(v.name) + 1) = v.name || '_') ORDER BY name",
    )?;
    statement.query_map((), |row| row.get(0))?.collect()
}
