//! The lock of a database. SQLite lets many processes write; our answers, numbering and caches rely on there being one.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::files::{chown_like, make_directory, with_suffix};
use crate::store::error::OpenError;

/// The right to write to a database, which need not be there: no server opens it for as long as this is kept.
#[derive(Debug)]
pub struct DatabaseLock {
    database: PathBuf,
    _file: File,
}

impl DatabaseLock {
    /// Takes it. The directory of the database is made if absent.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        make_directory(database)?;
        Ok(Self { database: database.to_owned(), _file: take(database)? })
    }

    /// The database.
    pub fn database(&self) -> &Path {
        &self.database
    }
}

/// The process that has the database open to write, as far as it told; changes nothing.
///
/// # Errors
/// When its lock cannot be read.
pub fn in_use(database: &Path) -> Result<Option<String>, OpenError> {
    let path = lock_path(database);
    let mut lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(OpenError::File { path, source }),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut lock))),
        Err(TryLockError::Error(source)) => Err(OpenError::File { path, source }),
    }
}

fn lock_path(database: &Path) -> PathBuf {
    with_suffix(database, ".lock")
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    let _ = lock.read_to_string(&mut pid);
    if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() }
}

fn take(database: &Path) -> Result<File, OpenError> {
    let path = lock_path(database);
    let file = |source| OpenError::File { path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(&path).map_err(file)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { path: database.to_owned(), pid: holder(&mut lock) });
        }
        Err(TryLockError::Error(source)) => return Err(file(source)),
    }
    // Only root can, and only for root it matters.
    let _ = chown_like(&lock, database);
    lock.set_len(0).and_then(|()| lock.rewind()).map_err(file)?;
    // The lock is what counts. Who holds it is a service to people, and no reason not to serve reads on a full disk.
    if let Err(error) = writeln!(lock, "{}", std::process::id()) {
        log::warn!(error = error.to_string(), path = path.display().to_string(); "store.lock_unsigned");
    }
    Ok(lock)
}
