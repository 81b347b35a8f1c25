//! Why there is no backup.

use std::io::{self, ErrorKind};
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
    #[error("there is no directory for backups: set BACKUP_DIR, or pass --to")]
    NoDirectory,
    /// One is being made.
    #[error("a backup is already in progress; try again when it has finished")]
    UnderWay,
    /// As many as may be are being taken away.
    #[error("{TAKEN_MAX} copies are already being downloaded; try again when one of them has finished")]
    Taken,
    /// The disk is too small for one more.
    #[error(
        "{directory} has {free} bytes free and the copy needs {wanted}, including {ROOM_LEFT_BYTES} that stay free; \
         free some space, or use another directory",
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
    #[error("{path}: {source}; {remedy}", path = path.display(), remedy = remedy(source))]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database could not be copied.
    #[error("the copy into {directory} failed: {source}", directory = directory.display())]
    Copy {
        /// Where to.
        directory: PathBuf,
        /// Why.
        source: CopyError,
    },
    /// What another inkring sends has broken off.
    #[error("the transfer was interrupted: {0}; nothing was kept")]
    Broken(io::Error),
    /// The copy cannot be read again.
    #[error("the copy cannot be checked: {0}")]
    Unchecked(store::Error),
    /// The copy is not sound: then most likely the database is not.
    #[error("the copy is damaged, and the database may be too: {0}; run inkring verify")]
    Damaged(String),
    /// There is nothing that could be copied.
    #[error(transparent)]
    Unfit(store::OpenError),
    /// The server stops.
    #[error("it was aborted because the server is stopping")]
    Stopping,
}

/// What to do about a file or directory of backups that cannot be made, written or read.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if store::is_not_offered(error) => {
            "the file system there does not support that; use a directory on another one"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, or use another directory",
        ErrorKind::PermissionDenied
        | ErrorKind::ReadOnlyFilesystem
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::NotADirectory => "backups need a directory that inkring can write to",
        _ => "check that disk, or use a directory on another one",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_look_for_rights_that_are_there() {
        let says = |number: i32| {
            let source = io::Error::from_raw_os_error(number);
            BackupError::File { path: "/mnt/stick".into(), source }.to_string()
        };
        // EACCES, EROFS, ENOTDIR; EINVAL, ENOTSUP, ENOSYS; ENOSPC; EIO.
        for (numbers, part) in [
            (&[13, 30, 20][..], "; backups need a directory that inkring can write to"),
            (&[22, 95, 38], "; the file system there does not support that; use a directory on another one"),
            (&[28], "; free some space, or use another directory"),
            (&[5], "(os error 5); check that disk"),
        ] {
            numbers.iter().for_each(|number| assert!(says(*number).contains(part), "{}", says(*number)));
        }
    }
}
