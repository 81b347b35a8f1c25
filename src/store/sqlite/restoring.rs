//! One database put in place of another, so that at every instant one of the two is found whole.
//!
//! The new one is written beside the old one under a name that nobody looks for, and synced. Its renaming to
//! `DATABASE.restoring-STAMP` is the decision: from then on any process that opens the database, such as the next start
//! after a power failure, first carries on from here ([`finish`]). The old one, with its log, is moved to
//! `DATABASE.before-STAMP` as one set, and the new one takes its place. Each step can be taken up again where it was
//! left.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::files::{directory_of, sync_directory, with_suffix};
use super::lock::DatabaseLock;
use crate::store::error::OpenError;

/// What SQLite keeps beside a database, and the database itself last: without its log it is whole, if older, and the other
/// way round it is nothing.
const SET: [&str; 4] = ["-journal", "-wal", "-shm", ""];

/// Where the new database is written to, until it is whole.
pub fn staging(database: &Path) -> PathBuf {
    with_suffix(database, ".restoring.partial")
}

/// Takes the lock of a database, and finishes a restore that was cut short before anybody looks at it. Its directory is
/// made if absent.
///
/// # Errors
/// When a server has it ([`OpenError::InUse`]), or when the file system refuses.
pub fn lock_database(named: &Path) -> Result<DatabaseLock, OpenError> {
    let mut lock = DatabaseLock::take(named)?;
    let database = lock.database().to_owned();
    let finished = finish(&database).map_err(|source| OpenError::File { path: database.clone(), source })?;
    if let Some(old) = finished {
        // It is another file now.
        lock.take_itself()?;
        log::warn!(path = database.display().to_string(), old = old.display().to_string(); "store.restore_finished");
    }
    if named.is_symlink() && !database.exists() {
        return Err(OpenError::Dangling { path: named.to_owned(), target: database });
    }
    Ok(lock)
}

/// Puts what is whole and synced at [`staging`] in place of the database that is locked. Returns where the old one is
/// now: a name that no file has when there was none. `stamp` keeps it apart from earlier ones.
///
/// # Errors
/// When the file system refuses. The next start, or the next attempt, goes on from there.
pub fn put_in_place(lock: &DatabaseLock, stamp: &str) -> io::Result<PathBuf> {
    let database = lock.database();
    let taken = |stamp: &str| old_name(database, stamp.as_ref()).exists();
    let numbered = (2..100).map(|number| format!("{stamp}-{number}"));
    let stamp = std::iter::once(stamp.to_owned()).chain(numbered).find(|stamp| !taken(stamp));
    let stamp = stamp.ok_or_else(|| io::Error::from(io::ErrorKind::AlreadyExists))?;
    std::fs::rename(staging(database), with_suffix(database, format!(".restoring-{stamp}")))?;
    sync_directory(directory_of(database))?;
    finish(database)?;
    Ok(old_name(database, stamp.as_ref()))
}

fn old_name(database: &Path, stamp: &OsStr) -> PathBuf {
    let mut suffix = OsString::from(".before-");
    suffix.push(stamp);
    with_suffix(database, suffix)
}

/// Carries on with a restore that was decided. Returns where the old database is, if there was something to do. To be
/// called with the database's lock held.
fn finish(database: &Path) -> io::Result<Option<PathBuf>> {
    let directory = directory_of(database);
    let Some(name) = database.file_name() else { return Ok(None) };
    let prefix = [name.as_encoded_bytes(), b".restoring-"].concat();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?.file_name();
        if !entry.as_encoded_bytes().starts_with(&prefix) {
            continue;
        }
        let Some(stamp) = entry.to_str().and_then(|name| name.rsplit_once(".restoring-")).map(|(_, stamp)| stamp)
        else {
            continue;
        };
        // Nothing else that somebody may have put beside it.
        if !stamp.bytes().all(|letter| letter.is_ascii_digit() || matches!(letter, b'T' | b'Z' | b'-')) {
            continue;
        }
        let old = old_name(database, stamp.as_ref());
        for suffix in SET {
            match std::fs::rename(with_suffix(database, suffix), with_suffix(&old, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        sync_directory(directory)?;
        std::fs::rename(directory.join(&entry), database)?;
        sync_directory(directory)?;
        return Ok(Some(old));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::testing::opened;

    /// A database with one row, which is still in its log.
    fn database(path: &Path, mark: i64) -> Connection {
        let store = opened(path);
        store.connection.0.execute("INSERT INTO probe (id, probed_at) VALUES (1, ?1)", [mark]).unwrap();
        store.connection.0
    }

    fn mark(path: &Path) -> i64 {
        let connection = Connection::open(path).unwrap();
        connection.query_row("SELECT probed_at FROM probe", (), |row| row.get(0)).unwrap()
    }

    /// A directory in which a restore is decided, and everything is as SIGKILL leaves it.
    fn decided() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let new = with_suffix(&path, ".restoring-20261121T160000Z");
        let elsewhere = directory.path().join("new.db");
        database(&elsewhere, 2).close().unwrap();
        std::fs::rename(elsewhere, &new).unwrap();
        let (at, running) = (directory.path().join("running.db"), directory.path().join("running.db"));
        let connection = database(&running, 1);
        for suffix in SET {
            let _ = std::fs::copy(with_suffix(&at, suffix), with_suffix(&path, suffix));
            let _ = std::fs::remove_file(with_suffix(&at, suffix));
        }
        drop(connection);
        for suffix in SET {
            let _ = std::fs::remove_file(with_suffix(&at, suffix));
        }
        (directory, path, new)
    }

    #[test]
    fn wherever_a_decided_restore_was_cut_short_the_next_start_finds_the_new_one_and_the_old_one_is_whole() {
        // How many of the renames had happened, in their order.
        for done in 0..=4 {
            let (_directory, path, new) = decided();
            let old = old_name(&path, "20261121T160000Z".as_ref());
            assert!(with_suffix(&path, "-wal").exists(), "the old one has a log");
            let there: Vec<_> = SET.into_iter().filter(|suffix| with_suffix(&path, suffix).exists()).collect();
            assert_eq!(there, ["-wal", "-shm", ""]);
            for suffix in there.iter().take(done) {
                std::fs::rename(with_suffix(&path, suffix), with_suffix(&old, suffix)).unwrap();
            }
            if done == 4 {
                std::fs::rename(&new, &path).unwrap();
            }
            drop(opened(&path));
            assert_eq!((mark(&path), mark(&old)), (2, 1), "{done}");
            assert!(!new.exists());
            drop(opened(&path));
            assert_eq!(mark(&path), 2, "that was all");
        }
    }

    #[test]
    fn what_is_not_decided_does_not_happen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        database(&path, 1).close().unwrap();
        std::fs::write(staging(&path), "half a database").unwrap();
        drop(opened(&path));
        assert_eq!(mark(&path), 1);
        assert!(staging(&path).exists(), "it is for the next restore to write over");
    }

    #[test]
    fn two_restores_of_one_second_leave_two_old_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        database(&path, 1).close().unwrap();
        let lock = lock_database(&path).unwrap();
        for (new, old) in [(2, ".before-20261121T160000Z"), (3, ".before-20261121T160000Z-2")] {
            database(&staging(&path), new).close().unwrap();
            assert_eq!(put_in_place(&lock, "20261121T160000Z").unwrap(), with_suffix(&path, old));
            assert_eq!((mark(&path), mark(&with_suffix(&path, old))), (new, new - 1));
        }
    }
}
