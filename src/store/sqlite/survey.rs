//! How the database and its writer stand, for metrics and the status.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::OpenFlags;
use rustix::fs::statvfs;

use super::definition::distrust;
use super::files::with_suffix;
use crate::store::state::WriterState;

/// How long a look waits for a process that has the database locked.
const LOOK_PATIENCE: Duration = Duration::from_millis(250);

/// Looks at an open database. Its connection is opened by the first look, and does not keep the writer from ending.
#[derive(Debug)]
pub struct Survey {
    path: PathBuf,
    connection: Mutex<Option<rusqlite::Connection>>,
    state: Arc<WriterState>,
}

/// What is found. What could not be looked at is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Changes that wait for the writer.
    pub queued_jobs: usize,
    /// Whether the storage takes no changes.
    pub read_only: bool,
    /// Bytes of the database file.
    pub database_bytes: Option<u64>,
    /// Bytes of its write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Bytes of pages in the database file that hold nothing.
    pub freelist_bytes: Option<u64>,
    /// Bytes left for us on its file system.
    pub disk_free_bytes: Option<u64>,
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes left for us; what is kept for root is not.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// How much room there is where this file or directory lies.
///
/// # Errors
/// When the system cannot tell.
pub fn room(path: &Path) -> std::io::Result<Room> {
    let found = statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Room { free_bytes: bytes(found.f_bavail), total_bytes: bytes(found.f_blocks) })
}

impl Survey {
    pub(super) fn new(path: &Path, state: Arc<WriterState>) -> Self {
        Self { path: path.to_owned(), connection: Mutex::default(), state }
    }

    /// Looks now.
    pub fn figures(&self) -> Figures {
        let bytes = |path: &Path| std::fs::metadata(path).ok().map(|file| file.len());
        Figures {
            queued_jobs: self.state.queued(),
            read_only: self.state.fault().is_some(),
            database_bytes: bytes(&self.path),
            wal_bytes: bytes(&with_suffix(&self.path, "-wal")),
            freelist_bytes: self.freelist_bytes(),
            disk_free_bytes: room(&self.path).ok().map(|room| room.free_bytes),
        }
    }

    /// Nobody waits for the connection: who finds somebody else looking goes without.
    fn freelist_bytes(&self) -> Option<u64> {
        let mut connection = self.connection.try_lock()?;
        if connection.is_none() {
            *connection = connect(&self.path).ok();
        }
        let connection = connection.as_ref()?;
        let number = |sql| connection.prepare_cached(sql)?.query_row((), |row| row.get::<_, i64>(0));
        let (pages, page_bytes) = (number("PRAGMA freelist_count").ok()?, number("PRAGMA page_size").ok()?);
        u64::try_from(pages.saturating_mul(page_bytes)).ok()
    }
}

fn connect(path: &Path) -> rusqlite::Result<rusqlite::Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOOK_PATIENCE)?;
    distrust(&connection)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use crate::store::testing::opened;

    #[test]
    fn figures_are_those_of_the_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let store = opened(&path);
        let survey = store.survey();
        let execute = |sql| store.connection.0.execute_batch(sql).unwrap();
        execute("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000)); DELETE FROM t;");
        let found = survey.figures();
        let bytes = |name: &str| Some(std::fs::metadata(directory.path().join(name)).unwrap().len());
        assert_eq!((found.database_bytes, found.wal_bytes), (bytes("a.db"), bytes("a.db-wal")));
        assert!(found.freelist_bytes.unwrap() >= 90_000, "{found:?}");
        assert!(found.disk_free_bytes.unwrap() > 0 && found.queued_jobs == 0 && !found.read_only, "{found:?}");
        let _looking = survey.connection.lock();
        assert_eq!(survey.figures().freelist_bytes, None, "nobody waits");
    }
}
