//! Why there is no backup.

use std::path::PathBuf;

use crate::store::{self, CopyError};

/// A backup leaves at least this much free: the database may lie on the same disk, and needs it more.
pub(super) const ROOM_LEFT_BYTES: u64 = 16 * 1024 * 1024;

/// Copies without a name that are being taken away: each takes as much room as the database for as long as that lasts, and
/// nobody sees it.
pub(super) const TAKEN_MAX: usize = 2;

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub(super) enum BackupError {
    /// Nobody said where to.
    #[error("there is no directory for backups: set BACKUP_DIR, or name one with --to")]
    NoDirectory,
    /// One is being made.
    #[error("a backup is under way already; try again when it has ended")]
    UnderWay,
    /// As many as may be are being taken away.
    #[error("{TAKEN_MAX} copies are being taken away already; try again when one of them has arrived")]
    Taken,
    /// The disk is too small for one more.
    #[error(
        "{directory} has {free} bytes free and the copy needs {wanted}, of which {ROOM_LEFT_BYTES} are to stay free; \
         make room, or name another directory",
        directory = directory.display()
    )]
    NoRoom {
        /// Where.
        directory: PathBuf,
        /// What there is.
        free: u64,
        /// What there should be.
        wanted: u64,
    },
    /// A file or directory cannot be made, written or read.
    #[error("{path}: {source}; backups need a directory that inkring may write to", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database could not be copied.
    #[error("the copy into {directory} came to nothing: {source}", directory = directory.display())]
    Copy {
        /// Where to.
        directory: PathBuf,
        /// Why.
        source: CopyError,
    },
    /// What another inkring sends has broken off.
    #[error("what was sent broke off: {0}; nothing was kept")]
    Broken(std::io::Error),
    /// The copy cannot be read again.
    #[error("the copy cannot be checked: {0}")]
    Unchecked(store::Error),
    /// The copy is not sound: then most likely the database is not.
    #[error("the copy is damaged, and so may be the database: {0}; see inkring verify")]
    Damaged(String),
    /// There is nothing that could be copied.
    #[error(transparent)]
    Unfit(store::OpenError),
    /// The server stops.
    #[error("it was given up because the server stops")]
    Stopping,
}
