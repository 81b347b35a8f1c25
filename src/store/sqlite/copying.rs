//! The copying of pages, step by step, and the file that they are copied into.

use std::path::Path;
use std::sync::Weak;
use std::sync::mpsc::SyncSender;

use rusqlite::OpenFlags;
use rusqlite::backup::{Backup, Progress, StepResult};

use super::connection::Connection;
use crate::store::error::{CopyError, Error};
use crate::store::reader::Reader;

/// Pages copied in one step: about a millisecond of the writer.
pub(super) const PAGES_PER_STEP: i32 = 100;
/// A copy that has taken this many times the steps it should is given up: somebody else writes to the database.
pub(super) const STEPS_FACTOR: u32 = 4;

/// An empty file that a database is copied into. Nothing of it need survive a crash before it is whole and synced.
pub struct CopyTarget(pub(super) rusqlite::Connection);

impl CopyTarget {
    /// Opens the file, which has to be there and be empty.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = open_to_write(path)?;
        connection.pragma_update_and_check(None, "journal_mode", "OFF", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        Ok(Self(connection))
    }

    /// Closes it: what was written is in the file then, if not on the disk.
    ///
    /// # Errors
    /// When that fails.
    pub fn close(self) -> Result<(), Error> {
        self.0.close().map_err(|(_, error)| error.into())
    }

    /// Reads it.
    pub fn into_reader(self) -> Reader {
        Reader::new(Connection(self.0), None)
    }
}

/// Makes a copy a database of one file: it says of itself that it has a log, as the original has.
///
/// # Errors
/// When it cannot be read or written.
pub fn make_single_file(path: &Path) -> Result<(), Error> {
    let connection = open_to_write(path)?;
    let mode: String = connection.query_row("PRAGMA journal_mode", (), |row| row.get(0))?;
    if mode != "delete" {
        connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    }
    connection.close().map_err(|(_, error)| error.into())
}

fn open_to_write(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    rusqlite::Connection::open_with_flags(path, flags)
}

/// What the writer is asked for.
pub(in crate::store) struct Copying {
    /// Empty, and nobody else's.
    pub(super) to: CopyTarget,
    /// Gone when nobody waits for it.
    pub(super) wanted: Weak<()>,
    pub(super) done: SyncSender<Result<Copied, CopyError>>,
}

/// A whole copy.
pub struct Copied {
    /// What it was written into; to be closed by the caller.
    pub to: CopyTarget,
    /// In how many steps.
    pub steps: u32,
}

/// Counts the steps of a copy, and measures them.
#[derive(Debug, Default)]
pub(super) struct Steps {
    pub(super) taken: u32,
    pages: i32,
    grown: i32,
}

impl Steps {
    /// Takes one. True when it was the last.
    pub(super) fn take(&mut self, backup: &Backup<'_, '_>) -> Result<bool, CopyError> {
        // What the database grows by between two steps comes on top, so that the end always comes nearer.
        let stepped = backup.step(PAGES_PER_STEP.saturating_add(self.grown)).map_err(Error::from)?;
        match stepped {
            StepResult::Done => {
                self.taken += 1;
                Ok(true)
            }
            StepResult::More => self.count(backup.progress()).map(|()| false),
            _ => Err(CopyError::Locked),
        }
    }

    pub(super) fn count(&mut self, progress: Progress) -> Result<(), CopyError> {
        self.grown = if self.taken == 0 { 0 } else { progress.pagecount.saturating_sub(self.pages).max(0) };
        self.taken += 1;
        self.pages = progress.pagecount;
        let least = u32::try_from(progress.pagecount / PAGES_PER_STEP).unwrap_or_default() + 1;
        if self.taken > least.saturating_mul(STEPS_FACTOR) { Err(CopyError::Endless(self.taken)) } else { Ok(()) }
    }
}
