//! What an error of SQLite says about the storage, and what it says about single rows.
//!
//! [Decision 0009](../../docs/decisions/0009-storage-faults.md) has the table.

use std::sync::atomic::{AtomicU8, Ordering};

use rusqlite::{Error, ErrorCode};

/// Why the database takes no changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Fault {
    /// The disk, or what we may use of it, is full.
    Full = 1,
    /// Reading or writing failed.
    Io,
    /// It may not be written to.
    NotWritable,
    /// A file of it cannot be opened.
    NotOpened,
    /// It is no longer a sound database.
    Damaged,
}

impl Fault {
    const ALL: [Self; 5] = [Self::Full, Self::Io, Self::NotWritable, Self::NotOpened, Self::Damaged];

    /// What this error says about the storage as a whole, if anything.
    pub(super) fn of(error: &Error) -> Option<Self> {
        match error.sqlite_error_code()? {
            ErrorCode::DiskFull => Some(Self::Full),
            ErrorCode::SystemIoFailure => Some(Self::Io),
            ErrorCode::ReadOnly => Some(Self::NotWritable),
            ErrorCode::CannotOpen => Some(Self::NotOpened),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Some(Self::Damaged),
            _ => None,
        }
    }

    /// In words, for probers and the log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Full => "the disk is full",
            Self::Io => "reading or writing its files fails",
            Self::NotWritable => "its files may not be written to",
            Self::NotOpened => "one of its files cannot be opened",
            Self::Damaged => "its file is damaged",
        }
    }
}

/// The fault that all threads see, if there is one.
#[derive(Debug, Default)]
pub(super) struct Sign(AtomicU8);

impl Sign {
    pub(super) fn read(&self) -> Option<Fault> {
        let number = self.0.load(Ordering::Acquire);
        Fault::ALL.into_iter().find(|fault| *fault as u8 == number)
    }

    pub(super) fn set(&self, fault: Option<Fault>) {
        self.0.store(fault.map_or(0, |fault| fault as u8), Ordering::Release);
    }
}

/// Whether this error means that the rows asked for are not as they were written: a page that is broken, a value that is
/// none, or a row that is in the way of one that must be new.
#[must_use]
pub fn is_damage(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
    ) || matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation)
    )
}

/// The error for rows that contradict each other; the sentence says which.
#[must_use]
pub fn damage(sentence: String) -> Error {
    Error::FromSqlConversionFailure(0, rusqlite::types::Type::Null, sentence.into())
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn faults_are_told_from_other_failures_by_their_primary_code() {
        let of = |code| Fault::of(&Error::SqliteFailure(ffi::Error::new(code), None));
        for (code, fault) in [
            (ffi::SQLITE_FULL, Some(Fault::Full)),
            (ffi::SQLITE_IOERR, Some(Fault::Io)),
            (ffi::SQLITE_IOERR_WRITE, Some(Fault::Io)),
            (ffi::SQLITE_IOERR_FSYNC, Some(Fault::Io)),
            (ffi::SQLITE_READONLY, Some(Fault::NotWritable)),
            (ffi::SQLITE_READONLY_DBMOVED, Some(Fault::NotWritable)),
            (ffi::SQLITE_CANTOPEN, Some(Fault::NotOpened)),
            (ffi::SQLITE_CORRUPT, Some(Fault::Damaged)),
            (ffi::SQLITE_CORRUPT_INDEX, Some(Fault::Damaged)),
            (ffi::SQLITE_NOTADB, Some(Fault::Damaged)),
            (ffi::SQLITE_BUSY, None),
            (ffi::SQLITE_CONSTRAINT_UNIQUE, None),
            (ffi::SQLITE_ABORT_ROLLBACK, None),
        ] {
            assert_eq!(of(code), fault, "{code}");
        }
    }

    #[test]
    fn a_sign_shows_what_it_was_set_to() {
        let sign = Sign::default();
        assert_eq!(sign.read(), None);
        for fault in Fault::ALL {
            sign.set(Some(fault));
            assert_eq!(sign.read(), Some(fault));
        }
        sign.set(None);
        assert_eq!(sign.read(), None);
    }

    #[test]
    fn damage_is_about_rows_and_not_about_the_disk() {
        assert!(is_damage(&damage("counts differ".into())));
        let failure = |code| Error::SqliteFailure(ffi::Error::new(code), None);
        assert!(is_damage(&failure(ffi::SQLITE_CORRUPT)) && is_damage(&failure(ffi::SQLITE_CONSTRAINT_UNIQUE)));
        assert!(!is_damage(&failure(ffi::SQLITE_IOERR_READ)) && !is_damage(&failure(ffi::SQLITE_BUSY)));
    }
}
