//! Putting a backup in place of the database.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::check::{Checked, faults, verify};
use super::error::BackupError;
use super::files::{self, Returned};
use super::halt::{Halt, checksum};
use super::room::check_room;
use crate::clock::Timestamp;
use crate::feature::FilesAt;
use crate::store::{self, CopyTarget, Depth, Error, OpenError, Reader, Schema, directory_of};

/// What a restore has done, or would do.
#[derive(Debug)]
pub(super) struct Restored<N> {
    /// The backup.
    pub checked: Checked,
    /// What the old database has and the backup has not, or why nobody can tell; nothing when there was no old one.
    pub newer: Option<Result<N, String>>,
    /// What became of the files that go with it; nothing if none do.
    pub files: Option<Returned>,
    /// Where the old database lies now; nothing when there was none, or nothing was changed.
    pub old: Option<PathBuf>,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// A server has the database, or it cannot be got at.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no backup to read.
    #[error("{path}: {source}", path = path.display())]
    Unreadable {
        /// The backup.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not good.
    #[error("{path} is not good, and nothing was changed:\n{}", .problems.join("\n"), path = path.display())]
    Bad {
        /// The backup.
        path: PathBuf,
        /// What is wrong with it.
        problems: Vec<String>,
    },
    /// It is what it should replace.
    #[error("{path} is the database itself; give a backup", path = .0.display())]
    Itself(PathBuf),
    /// A file that goes with the backup could not be brought back.
    #[error("{path}: {source}; the database was not changed", path = path.display())]
    Brought {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk is too small.
    #[error(transparent)]
    NoRoom(#[from] BackupError),
    /// A file beside the database could not be written or moved.
    #[error("the files of {path} could not be moved: {source}; the old database is not lost, see {path}*", path = path.display())]
    Files {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be moved when it was decided already.
    #[error(
        "{path} will be the backup, but its files could not all be moved: {source}; fix that, and the next start or restore \
         finishes it. The old database is not lost, see {path}*",
        path = path.display()
    )]
    Unfinished {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The copy is not what the backup was.
    #[error("the copy of {path} next to the database differs from it; nothing was changed", path = path.display())]
    Copy {
        /// The backup.
        path: PathBuf,
    },
}

/// Puts the backup at `file` in place of the database that `named` leads to, which no server may have open, and the files that go
/// with it where the server keeps them. The old one is moved aside with
/// its log; `newer` says what it has and the backup has not. With `only_check` everything is looked at and nothing changed.
///
/// # Errors
/// When it did not happen. The old database is in its place then, or (after an error of the file system while files were
/// moved) the next start finishes what was begun.
pub(super) fn restore<N>(
    file: &Path,
    named: &Path,
    schema: &Schema,
    kept: &[FilesAt],
    now: Timestamp,
    only_check: bool,
    newer: impl FnOnce(&Reader, &Reader) -> Result<N, Error>,
) -> Result<Restored<N>, RestoreError> {
    let lock = match store::in_use(named)? {
        Some(pid) => return Err(OpenError::InUse { path: named.to_owned(), pid }.into()),
        None if only_check => None,
        None => Some(store::lock_database(named)?),
    };
    let database = &store::real_path(named).map_err(|source| OpenError::File { path: named.to_owned(), source })?;
    let unreadable = |source| RestoreError::Unreadable { path: file.to_owned(), source };
    let found = file.canonicalize().map_err(unreadable)?;
    if database.canonicalize().is_ok_and(|database| database == found) {
        return Err(RestoreError::Itself(file.to_owned()));
    }
    let checked = verify(file, schema).map_err(unreadable)?;
    if !checked.problems.is_empty() {
        return Err(RestoreError::Bad { path: file.to_owned(), problems: checked.problems });
    }
    let newer = database.exists().then(|| compare(database, file, schema, newer));
    check_room(directory_of(database), checked.bytes)?;
    store::require_directory_sync(database)?;
    // Before the database: it shall find them all from the first moment.
    let with_it = checked.manifest.as_ref().and_then(|manifest| manifest.files.as_ref());
    let bring = |with_it| files::bring_back(file, with_it, kept, database, only_check);
    let files = with_it.map(bring).transpose().map_err(|(path, source)| RestoreError::Brought { path, source })?;
    let Some(lock) = lock else { return Ok(Restored { checked, newer, files, old: None }) };
    stage(file, database, schema, &checked)?;
    let old = store::put_in_place(&lock, &now.compact()).map_err(|source| {
        let path = database.to_owned();
        // What is decided has another name.
        let decided = !store::staging(database).exists();
        if decided { RestoreError::Unfinished { path, source } } else { RestoreError::Files { path, source } }
    })?;
    Ok(Restored { checked, old: newer.is_some().then_some(old), files, newer })
}

/// What the old database has and the backup has not. That it cannot be read may be why there is a restore.
fn compare<N>(
    old: &Path,
    backup: &Path,
    schema: &Schema,
    newer: impl FnOnce(&Reader, &Reader) -> Result<N, Error>,
) -> Result<N, String> {
    let open = |path| store::open_any_version(path, schema).map_err(|error| error.to_string());
    newer(&open(old)?, &open(backup)?).map_err(|error| error.to_string())
}

/// Writes the backup beside the database, whole and synced.
fn stage(file: &Path, database: &Path, schema: &Schema, checked: &Checked) -> Result<(), RestoreError> {
    let staging = store::staging(database);
    let files = |source| RestoreError::Files { path: database.to_owned(), source };
    match std::fs::remove_file(&staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(files(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut staged = options.read(true).write(true).create_new(true).mode(0o600).open(&staging).map_err(files)?;
    let written = write(file, &staging, &mut staged, schema, checked);
    let written =
        written.and_then(|()| store::chown_like(&staged, database).and_then(|()| staged.sync_all()).map_err(files));
    if written.is_err() {
        let _ = std::fs::remove_file(&staging);
    }
    written
}

fn write(
    file: &Path,
    staging: &Path,
    staged: &mut File,
    schema: &Schema,
    checked: &Checked,
) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::Unreadable { path: file.to_owned(), source };
    let differs = |_| RestoreError::Copy { path: file.to_owned() };
    if std::fs::metadata(store::with_suffix(file, "-wal")).is_ok_and(|log| log.len() > 0) {
        // Not one of ours, but a database that was moved aside, and part of it is in its log.
        let from = store::open_any_version(file, schema)?;
        let mut to = CopyTarget::open(staging).map_err(differs)?;
        store::copy_alone(&from, &mut to).map_err(|_| RestoreError::Copy { path: file.to_owned() })?;
        let sound = faults(&to.into_reader(), Depth::Pages, &Halt::default()).map_err(differs)?.is_empty();
        return if sound { Ok(()) } else { Err(RestoreError::Copy { path: file.to_owned() }) };
    }
    io::copy(&mut File::open(file).map_err(failed)?, staged).map_err(failed)?;
    staged.rewind().map_err(failed)?;
    let sum = checksum(staged, &Halt::default()).map_err(failed)?;
    match sum {
        Some((_, sha256)) if sha256 == checked.sha256 => Ok(()),
        _ => Err(RestoreError::Copy { path: file.to_owned() }),
    }
}
