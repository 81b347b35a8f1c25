//! The lock of a database. SQLite lets many processes write; our answers, numbering and caches rely on there being one.
//!
//! There are two, and a writer holds both: on a file beside the database, which is there before the database is and tells
//! people who has it, and on the database itself, which has other names than one (links, mounts) and is still locked when
//! somebody removes the file beside it. Both are `flock`, which does not meet the locks that SQLite takes.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::fstatfs;
use rustix::io::Errno;

use super::files::{chown_like, is_not_offered, make_directory, with_suffix};
use super::place::real_path;
use crate::store::error::OpenError;

/// Numbers of file systems (`f_type`) that lie on another machine: NFS, SMB (three) and 9p.
const OF_OTHER_MACHINES: [u64; 5] = [0x6969, 0x517b, 0xfe53_4d42, 0xff53_4d42, 0x0102_1997];

/// The right to write to a database, which need not be there: no server opens it for as long as this is kept.
#[derive(Debug)]
pub struct DatabaseLock {
    database: PathBuf,
    beside: File,
    /// On the database itself, once there is one. Not to be closed before SQLite has closed the same file: with any
    /// descriptor of a file, a process gives up all locks of SQLite's kind that it has on it.
    itself: Option<File>,
}

impl DatabaseLock {
    /// Takes it. The directory of the database is made if absent.
    pub(super) fn take(named: &Path) -> Result<Self, OpenError> {
        make_directory(named)?;
        let database = real(named)?;
        let beside = take(&database)?;
        let mut lock = Self { database, beside, itself: None };
        lock.take_itself()?;
        Ok(lock)
    }

    /// Locks the file that lies at the path now, if there is one: after one was made there, or put there.
    pub(super) fn take_itself(&mut self) -> Result<(), OpenError> {
        self.itself = None;
        let path = &self.database;
        let file = |source| OpenError::File { path: path.clone(), source };
        let itself = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(itself) => itself,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            // What may only be read is refused in SQLite's words, if it is a database at all.
            Err(_) => File::open(path).map_err(file)?,
        };
        let metadata = itself.metadata().map_err(file)?;
        if !keeps_flock_apart(&itself) {
            log::warn!(path = path.display().to_string(); "store.file_not_locked");
        } else {
            match itself.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(by_another_name(path, &metadata)),
                Err(TryLockError::Error(source)) => return Err(unlocked(path, path, source)),
            }
        }
        if metadata.nlink() > 1 {
            return Err(OpenError::ManyNames { path: path.clone(), names: metadata.nlink() });
        }
        self.itself = Some(itself);
        Ok(())
    }

    /// The database: the file itself, to which links have been followed.
    pub fn database(&self) -> &Path {
        &self.database
    }
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        // A child that this process is just starting has a copy of each file until it runs its own program, and a lock ends with the last
        // copy, unless it is given up. What cannot be given up ends so.
        for file in self.itself.iter().chain([&self.beside]) {
            let _ = file.unlock();
        }
    }
}

/// The process that has the database open to write, as far as it told; changes nothing.
///
/// # Errors
/// When its lock cannot be read.
pub fn in_use(named: &Path) -> Result<Option<String>, OpenError> {
    let database = real(named)?;
    let looks = [lock_path(&database), database];
    for (path, says_who) in looks.into_iter().zip([true, false]) {
        let mut lock = match File::open(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(OpenError::File { path, source }),
        };
        if !says_who && !keeps_flock_apart(&lock) {
            continue;
        }
        match lock.try_lock_shared() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) if says_who => return Ok(Some(holder(&mut lock))),
            Err(TryLockError::WouldBlock) => {
                let metadata = lock.metadata().map_err(|source| OpenError::File { path, source })?;
                return Ok(Some(locked_by(&metadata).unwrap_or_else(unknown)));
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::File { path, source }),
        }
    }
    Ok(None)
}

/// The process that has a file locked, as the system shows it.
#[must_use]
pub fn locked_by(file: &Metadata) -> Option<String> {
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locking(&locks, file.dev(), file.ino())
}

/// The process by which the text of `/proc/locks` has this file locked.
fn locking(locks: &str, device: u64, inode: u64) -> Option<String> {
    let device = format!("{:02x}:{:02x}", rustix::fs::major(device), rustix::fs::minor(device));
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, by, file, ..] = words[..] else { return None };
        let (on, number) = file.rsplit_once(':')?;
        (number.parse() == Ok(inode) && on == device).then(|| by.to_owned())
    })
}

/// Whether `flock` on a file is something else than SQLite's locks on it. Over a network the two can be one, and the first
/// would keep out the second.
fn keeps_flock_apart(file: &File) -> bool {
    let number = fstatfs(file).map_or(0, |found| found.f_type as u64 & 0xffff_ffff);
    !OF_OTHER_MACHINES.contains(&number)
}

fn real(named: &Path) -> Result<PathBuf, OpenError> {
    real_path(named).map_err(|source| OpenError::File { path: named.to_owned(), source })
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn by_another_name(path: &Path, metadata: &Metadata) -> OpenError {
    OpenError::InUseAsIs { path: path.to_owned(), pid: locked_by(metadata).unwrap_or_else(unknown) }
}

/// Why a file of a database cannot be locked, which is not because somebody else has it.
fn unlocked(database: &Path, file: &Path, source: io::Error) -> OpenError {
    let has_none = is_not_offered(&source) || source.raw_os_error() == Some(Errno::NOLCK.raw_os_error());
    match has_none {
        true => OpenError::FileSystem { path: database.to_owned(), lacks: "lock files", source },
        false => OpenError::File { path: file.to_owned(), source },
    }
}

fn lock_path(database: &Path) -> PathBuf {
    with_suffix(database, ".lock")
}

fn holder(lock: &mut File) -> String {
    let mut pid = String::new();
    let _ = lock.read_to_string(&mut pid);
    if pid.trim().is_empty() { unknown() } else { pid.trim().to_owned() }
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
        Err(TryLockError::Error(source)) => return Err(unlocked(database, &path, source)),
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
