//! Connections of verbs, which look into a database without being its server.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::OpenFlags;

use super::connection::Connection;
use super::definition::distrust;
use super::files::{require, with_suffix};
use super::identity::{check_ours, schema_version};
use super::lock::DatabaseLock;
use crate::store::error::OpenError;
use crate::store::reader::Reader;
use crate::store::schema::Schema;

/// Opens a database to read: its server may run, be stopped or be dead.
///
/// # Errors
/// When there is nothing, when it is not ours or of another version, or when SQLite refuses.
pub fn open_read_only(path: &Path, schema: &Schema) -> Result<Reader, OpenError> {
    require_one_name(path)?;
    require_current_schema(path, schema, open_any_version(path, schema)?)
}

/// The same for a database that nobody has open, of which not even SQLite's two files beside it come to be. What is read
/// counts only if nobody has opened it meanwhile.
///
/// # Errors
/// As for [`open_read_only`].
pub fn open_immutable(path: &Path, schema: &Schema) -> Result<Reader, OpenError> {
    require_one_name(path)?;
    // In the name of a file that is a URI, ? and # and % would mean something.
    const PLAIN: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC.remove(b'/').remove(b'.');
    let name = percent_encoding::percent_encode(path.as_os_str().as_encoded_bytes(), PLAIN);
    let uri = PathBuf::from(format!("file:{name}?immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    require_current_schema(path, schema, open_existing(path, &uri, flags, schema)?)
}

/// The same as [`open_read_only`], and nothing is left beside a database that nobody has open, whoever asks.
///
/// # Errors
/// As for [`open_read_only`].
pub fn open_leaving_nothing(path: &Path, schema: &Schema) -> Result<Reader, OpenError> {
    // A process that has it open, or was killed with it open, has left a log beside it.
    let log = with_suffix(path, "-wal");
    if log.exists() {
        return open_read_only(path, schema);
    }
    let found = open_immutable(path, schema);
    // Somebody has opened it meanwhile: what was read may be half of this and half of that.
    if log.exists() { open_read_only(path, schema) } else { found }
}

/// The same as [`open_read_only`] where an older version will do.
///
/// # Errors
/// When there is nothing, when it is not ours or of a newer version, or when SQLite refuses.
pub fn open_any_version(path: &Path, schema: &Schema) -> Result<Reader, OpenError> {
    open_existing(path, path, OpenFlags::SQLITE_OPEN_READ_ONLY, schema)
}

/// Opens the database that this lock is for, as it is: nothing is brought up to date but its log, as SQLite does.
///
/// # Errors
/// As for [`open_any_version`].
pub fn open_locked(lock: &DatabaseLock, schema: &Schema) -> Result<Reader, OpenError> {
    open_existing(lock.database(), lock.database(), OpenFlags::SQLITE_OPEN_READ_WRITE, schema)
}

/// By another name of the same file, its log would not be found.
fn require_one_name(path: &Path) -> Result<(), OpenError> {
    match std::fs::metadata(path).map_or(1, |found| found.nlink()) {
        0 | 1 => Ok(()),
        names => Err(OpenError::ManyNames { path: path.to_owned(), names }),
    }
}

fn require_current_schema(path: &Path, schema: &Schema, reader: Reader) -> Result<Reader, OpenError> {
    let found = schema_version(&reader).map_err(|source| OpenError::Database { path: path.to_owned(), source })?;
    let known = schema.version();
    if found < known {
        return Err(OpenError::Older { path: path.to_owned(), found, known });
    }
    Ok(reader)
}

/// `name` is what SQLite calls it.
fn open_existing(path: &Path, name: &Path, access: OpenFlags, schema: &Schema) -> Result<Reader, OpenError> {
    require(path)?;
    let failed = |error: rusqlite::Error| OpenError::Database { path: path.to_owned(), source: error.into() };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(name, flags).map_err(failed)?;
    connection.busy_timeout(std::time::Duration::from_secs(5)).map_err(failed)?;
    distrust(&connection).map_err(failed)?;
    check_ours(&connection, path, schema)?;
    Ok(Reader::new(Connection(connection), None))
}
