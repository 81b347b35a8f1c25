//! What can go wrong, in the store's own words: one narrow type for each kind of call.

use std::path::PathBuf;

use super::fault::Fault;

/// Why a statement was not carried out. Each has the engine's own sentence, for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The disk, or what we may use of it, is full.
    #[error("{0}")]
    Full(String),
    /// Reading or writing failed.
    #[error("{0}")]
    Io(String),
    /// The database may not be written to.
    #[error("{0}")]
    NotWritable(String),
    /// A file of it cannot be opened.
    #[error("{0}")]
    NotOpened(String),
    /// Rows are not as they were written: a page is broken, a value is none, or rows contradict each other.
    #[error("{0}")]
    Damaged(String),
    /// A constraint forbids it: a row is in the way of one that must be new, or lacks what it refers to.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else has it to themselves.
    #[error("{0}")]
    Busy(String),
    /// The transaction is over, and nothing in it has happened.
    #[error("{0}")]
    Lost(String),
    /// Anything else, such as a statement that is none.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// Whether the rows asked for are not as they were written. A row in the way of one that must be new is damage, too:
    /// every change looks before it writes.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Conflict(_))
    }
}

/// Why a job did not happen though it may have been right.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The commit failed. The change is not there, but may be after a crash: its log may have reached the disk.
    #[error("the database refused the change: {0}")]
    Failed(Error),
    /// The transaction was lost before its commit: nothing has happened.
    #[error("the transaction was rolled back: {0}")]
    Undone(Error),
    /// The storage takes no changes at present: nothing has happened.
    #[error("the database accepts no changes: {}", .0.reason())]
    ReadOnly(Fault),
    /// The job panicked; the log has the details.
    #[error("the change panicked")]
    Panicked,
}

/// Why a chore has to be taken up again later.
#[derive(Debug, thiserror::Error)]
pub enum ChoreError {
    /// A statement failed.
    #[error("the database refused: {0}")]
    Database(#[from] Error),
    /// Changes of clients go first.
    #[error("too many changes are waiting to be written")]
    QueueFull,
    /// Its transaction came to nothing.
    #[error(transparent)]
    Failed(#[from] StoreError),
    /// There is no writer any more.
    #[error("the writer has ended")]
    NoWriter,
    /// It was asked to stop between two jobs.
    #[error("the server is stopping")]
    Stopping,
}

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The writer did not begin.
    #[error(transparent)]
    PutOff(#[from] ChoreError),
    /// A page could not be read, or not be written to the copy.
    #[error("a page could not be copied: {0}")]
    Page(#[from] Error),
    /// The database has become one that takes no changes, and nobody knows what can still be read.
    #[error("the database accepts no changes: {}", .0.reason())]
    Storage(Fault),
    /// Another process keeps the database to itself.
    #[error("another process has locked the database")]
    Locked,
    /// It began again and again.
    #[error("it was still not finished after {0} steps: another process writes to the database")]
    Endless(u32),
    /// The caller does not want it any more, or there is no writer any more.
    #[error("it was aborted because the server is stopping")]
    GivenUp,
}

/// What to do about a place that cannot be used.
fn remedy(source: &std::io::Error) -> &'static str {
    match source.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "run this as the owner of the database, or set DATABASE_URL to a file in a directory that this user can write to"
        }
        _ => "set DATABASE_URL to a file in a directory that inkring can write to",
    }
}

/// Why the database cannot be used. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory or a file beside the database cannot be made or opened.
    #[error("{path} cannot be created or opened: {source}; {}", remedy(source), path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no directory in which that of the database could be made.
    #[error(
        "{path} cannot be created: the directory {missing} does not exist; correct DATABASE_URL, mount the disk, or create the \
         directory",
        path = path.display(), missing = missing.display()
    )]
    NoDirectory {
        /// The database.
        path: PathBuf,
        /// What is missing.
        missing: PathBuf,
    },
    /// Its file system lacks what the promises rest on.
    #[error(
        "{path} is on a file system that cannot {lacks} ({source}), so acknowledged changes could be lost; set \
         DATABASE_URL to a file on a local disk",
        path = path.display()
    )]
    FileSystem {
        /// The database.
        path: PathBuf,
        /// What cannot be done there.
        lacks: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process writes to it.
    #[error(
        "{path} is in use by another inkring (process {pid}); stop it first, or set DATABASE_URL to another file",
        path = path.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The process that holds the lock, as far as it told.
        pid: String,
    },
    /// Another process writes to the same file, which it has by another name, or whose lock was removed.
    #[error(
        "{path} is in use by another inkring (process {pid}), which opened the same file under another name (a link \
         or a mount), or whose {path}.lock was removed; stop it first, or set DATABASE_URL to another file",
        path = path.display()
    )]
    InUseAsIs {
        /// The database.
        path: PathBuf,
        /// The process that holds the file, as far as the system shows it.
        pid: String,
    },
    /// It is made of something else than what our migrations make.
    #[error("{path} differs from the schema that inkring creates: {found}", path = path.display())]
    Altered {
        /// The database.
        path: PathBuf,
        /// What is different, and what to do about it.
        found: String,
    },
    /// It has other names, under each of which a log of its own would lie.
    #[error(
        "{path} has {names} names (hard links), and SQLite keeps a separate log under each of them, so changes would \
         be lost; find them (find / -xdev -samefile {path}), keep one, and remove the others",
        path = path.display()
    )]
    ManyNames {
        /// The database.
        path: PathBuf,
        /// How many.
        names: u64,
    },
    /// It is a link to nothing.
    #[error(
        "{path} is a link to {target}, which does not exist; mount the disk it is on, or set DATABASE_URL to the \
         file to create",
        path = path.display(), target = target.display()
    )]
    Dangling {
        /// The link.
        path: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// It is a database of some other program, or no database at all.
    #[error(
        "{path} is not an inkring database ({found}); set DATABASE_URL to another file, or move this one away",
        path = path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// There is nothing to read.
    #[error("there is no database at {path}; set DATABASE_URL to where it is", path = path.display())]
    Absent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An older inkring wrote it, and who only reads cannot bring it up to date.
    #[error(
        "{path} has schema version {found}, and this inkring reads version {known}; make a backup and start this \
         inkring's server on it once, which migrates it",
        path = path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// This program's.
        known: i32,
    },
    /// A newer inkring wrote it.
    #[error(
        "{path} has schema version {found}, and this inkring knows versions up to {known}; run the newer inkring, or \
         restore a backup made before the upgrade",
        path = path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// This program's.
        known: i32,
    },
    /// An older inkring wrote it, and who was to do something with it before it is brought up to date could not.
    #[error(
        "{path} has schema version {from}, and migrating it to {to} cannot be undone: {source}; nothing in it was \
         changed",
        path = path.display()
    )]
    NotMigrated {
        /// The database.
        path: PathBuf,
        /// Its version.
        from: i32,
        /// This program's.
        to: i32,
        /// What could not be done, and what to do about that.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pragma did not take, so a promise could not be kept.
    #[error("{path}: PRAGMA {pragma} is {found} and must be {wanted}", path = path.display())]
    Pragma {
        /// The database.
        path: PathBuf,
        /// Which pragma.
        pragma: &'static str,
        /// Its value as read back.
        found: String,
        /// The value it must have.
        wanted: &'static str,
    },
    /// The engine refused.
    #[error("{path} cannot be used as a database: {source}", path = path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What it said.
        source: Error,
    },
}
