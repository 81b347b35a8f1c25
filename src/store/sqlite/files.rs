//! Files beside the database: their names, their owner, and that their names are on disk.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, fchown};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::store::error::OpenError;

/// The name of a database with a suffix: its lock, its log.
pub fn with_suffix(database: &Path, suffix: impl AsRef<OsStr>) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The directory of a file.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// How large a database is: its file and the log beside it, in which what is newest may have pages of its own. What cannot be
/// looked at counts for nothing.
pub fn bytes_of(database: &Path) -> u64 {
    let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    bytes(database) + bytes(&with_suffix(database, "-wal"))
}

/// Whether an error says that a file system has no such thing, as shares and file systems of programs do, and not that it
/// has gone wrong. EIO never does.
pub fn is_not_offered(error: &io::Error) -> bool {
    const NOT_OFFERED: [Errno; 3] = [Errno::INVAL, Errno::NOTSUP, Errno::NOSYS];
    error.raw_os_error().is_some_and(|found| NOT_OFFERED.iter().any(|errno| errno.raw_os_error() == found))
}

/// Refuses a database whose file system cannot sync directories: after a power failure its log could be gone, and with it
/// changes that were acknowledged.
///
/// # Errors
/// When that is so. What else is wrong with the directory is for those who write there.
pub fn require_directory_sync(database: &Path) -> Result<(), OpenError> {
    match sync_directory(directory_of(database)) {
        Err(source) if is_not_offered(&source) => {
            Err(OpenError::FileSystem { path: database.to_owned(), lacks: "sync directories", source })
        }
        _ => Ok(()),
    }
}

/// A new file is only on disk when its name is.
///
/// # Errors
/// When the directory cannot be synced; [`is_not_offered`] tells whether it ever can.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory).and_then(|directory| directory.sync_all())
}

/// Gives a file beside a database to the owner of the database, or of its directory while there is none: the
/// server's user must be able to open it, also when root was here before.
///
/// # Errors
/// When it belongs to somebody else and cannot be given away.
pub fn chown_like(file: &File, database: &Path) -> std::io::Result<()> {
    let wanted = std::fs::metadata(database).or_else(|_| std::fs::metadata(directory_of(database)))?;
    let found = file.metadata()?;
    if (wanted.uid(), wanted.gid()) == (found.uid(), found.gid()) {
        return Ok(());
    }
    match fchown(file, Some(wanted.uid()), Some(wanted.gid())) {
        // The group is a matter of taste, and the directory's may be one that we are not in.
        Err(_) if wanted.uid() == found.uid() => Ok(()),
        owned => owned,
    }
}

/// Whether there is a database to read.
///
/// # Errors
/// There is none, or this user may not look.
pub fn require(database: &Path) -> Result<(), OpenError> {
    match database.try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::Absent { path: database.to_owned() }),
        Err(source) => Err(OpenError::File { path: database.to_owned(), source }),
    }
}

/// Whether a database can be where this path leads to, without making anything.
///
/// # Errors
/// A directory has this path, or it leads to where no database comes to be.
pub fn check_place(database: &Path) -> Result<(), OpenError> {
    if database.is_dir() {
        return Err(OpenError::Foreign { path: database.to_owned(), found: "it is a directory".to_owned() });
    }
    let directory = directory_of(database);
    match directory.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(OpenError::File { path: database.to_owned(), source: Errno::NOTDIR.into() }),
        Err(_) if directory_of(directory).is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(OpenError::NoDirectory { path: database.to_owned(), missing: directory_of(directory).to_owned() })
        }
        Err(source) => Err(OpenError::File { path: database.to_owned(), source }),
    }
}

/// Makes the directory of a database if it is absent, for its owner alone. Only the last one: where more is missing, the path is
/// mistyped, or a disk is not mounted.
pub(super) fn make_directory(database: &Path) -> Result<(), OpenError> {
    check_place(database)?;
    match database.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        Some(directory) => match std::fs::DirBuilder::new().mode(0o700).create(directory) {
            Err(_) if directory.is_dir() => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(OpenError::NoDirectory { path: database.to_owned(), missing: directory_of(directory).to_owned() })
            }
            made => made.map_err(|source| OpenError::File { path: directory.to_owned(), source }),
        },
        None => Ok(()),
    }
}

/// Creates the file with our mode, which SQLite copies to its -wal and -shm. True if it was not there.
pub(super) fn create_file(database: &Path) -> Result<bool, OpenError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(database) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(OpenError::File { path: database.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_system_has_not_is_told_from_what_goes_wrong() {
        let error = |errno: Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        for errno in [Errno::INVAL, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert!(is_not_offered(&error(errno)), "{errno}");
        }
        for errno in [Errno::IO, Errno::NOSPC, Errno::ROFS, Errno::ACCESS, Errno::PERM, Errno::STALE, Errno::DQUOT] {
            assert!(!is_not_offered(&error(errno)), "{errno}");
        }
        assert!(!is_not_offered(&io::ErrorKind::InvalidInput.into()), "nobody but the system says so");
        // A file system that has directories and cannot sync them.
        assert!(is_not_offered(&sync_directory(Path::new("/proc/self")).unwrap_err()));
        let refused = require_directory_sync(Path::new("/proc/self/a.db")).unwrap_err().to_string();
        assert!(refused.contains("cannot sync directories (Invalid argument"), "{refused}");
        let directory = tempfile::tempdir().unwrap();
        require_directory_sync(&directory.path().join("a.db")).unwrap();
    }

    #[test]
    fn a_database_is_as_large_as_its_file_and_its_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        assert_eq!(bytes_of(&path), 0);
        std::fs::write(&path, [0; 7]).unwrap();
        assert_eq!(bytes_of(&path), 7);
        std::fs::write(with_suffix(&path, "-wal"), [0; 90]).unwrap();
        assert_eq!(bytes_of(&path), 97);
    }
}
