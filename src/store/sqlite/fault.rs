//! What an error of SQLite says about the storage, and in the store's words.

use rusqlite::{Error as SqliteError, ErrorCode, ffi};

use crate::store::error::Error;
use crate::store::fault::Fault;

/// What this error says about the storage as a whole, if anything.
pub(super) fn fault_of(error: &SqliteError) -> Option<Fault> {
    if matches!(error, SqliteError::SqliteFailure(failure, _) if failure.extended_code == ffi::SQLITE_READONLY_DBMOVED)
    {
        return Some(Fault::Displaced);
    }
    match error.sqlite_error_code()? {
        ErrorCode::DiskFull => Some(Fault::Full),
        ErrorCode::SystemIoFailure => Some(Fault::Io),
        ErrorCode::ReadOnly => Some(Fault::NotWritable),
        ErrorCode::CannotOpen => Some(Fault::NotOpened),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Fault::Damaged),
        _ => None,
    }
}

impl From<SqliteError> for Error {
    fn from(error: SqliteError) -> Self {
        Self::from(&error)
    }
}

impl From<&SqliteError> for Error {
    fn from(error: &SqliteError) -> Self {
        let sentence = error.to_string();
        match error {
            SqliteError::InvalidColumnType(..)
            | SqliteError::FromSqlConversionFailure(..)
            | SqliteError::IntegralValueOutOfRange(..)
            | SqliteError::Utf8Error(..) => return Self::Damaged(sentence),
            _ => {}
        }
        match (fault_of(error), error.sqlite_error_code()) {
            (Some(Fault::Full), _) => Self::Full(sentence),
            (Some(Fault::Io), _) => Self::Io(sentence),
            (Some(Fault::NotWritable | Fault::Displaced), _) => Self::NotWritable(sentence),
            (Some(Fault::NotOpened), _) => Self::NotOpened(sentence),
            (Some(Fault::Damaged), _) => Self::Damaged(sentence),
            (None, Some(ErrorCode::ConstraintViolation)) => Self::Conflict(sentence),
            (None, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)) => Self::Busy(sentence),
            (None, Some(ErrorCode::OperationAborted)) => Self::Lost(sentence),
            (None, _) => Self::Other(sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> SqliteError {
        SqliteError::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn faults_are_told_from_other_failures_by_their_primary_code() {
        for (code, fault) in [
            (ffi::SQLITE_FULL, Some(Fault::Full)),
            (ffi::SQLITE_IOERR, Some(Fault::Io)),
            (ffi::SQLITE_IOERR_WRITE, Some(Fault::Io)),
            (ffi::SQLITE_IOERR_FSYNC, Some(Fault::Io)),
            (ffi::SQLITE_READONLY, Some(Fault::NotWritable)),
            (ffi::SQLITE_READONLY_DBMOVED, Some(Fault::Displaced)),
            (ffi::SQLITE_CANTOPEN, Some(Fault::NotOpened)),
            (ffi::SQLITE_CORRUPT, Some(Fault::Damaged)),
            (ffi::SQLITE_CORRUPT_INDEX, Some(Fault::Damaged)),
            (ffi::SQLITE_NOTADB, Some(Fault::Damaged)),
            (ffi::SQLITE_BUSY, None),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, None),
            (ffi::SQLITE_ABORT_ROLLBACK, None),
        ] {
            assert_eq!(fault_of(&failure(code)), fault, "{code}");
        }
    }

    #[test]
    fn errors_have_the_stores_words_and_damage_is_about_rows_and_not_about_the_disk() {
        let of = |code| Error::from(failure(code));
        assert!(matches!(of(ffi::SQLITE_FULL), Error::Full(_)));
        assert!(matches!(of(ffi::SQLITE_BUSY), Error::Busy(_)));
        assert!(matches!(of(ffi::SQLITE_ABORT_ROLLBACK), Error::Lost(_)));
        assert!(matches!(of(ffi::SQLITE_ERROR), Error::Other(_)));
        assert!(of(ffi::SQLITE_CORRUPT).is_damage() && of(ffi::SQLITE_CONSTRAINT_UNIQUE).is_damage());
        assert!(!of(ffi::SQLITE_IOERR_READ).is_damage() && !of(ffi::SQLITE_BUSY).is_damage());
        assert!(Error::from(SqliteError::IntegralValueOutOfRange(0, 7)).is_damage());
    }
}
