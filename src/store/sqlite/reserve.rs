//! A file that does nothing but take up room, to be given back when the disk is full: then the write-ahead log can be
//! moved into the database, and logs and answers find room too.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate};

use super::files::{is_not_offered, with_suffix};

/// The reserve of one database; of 0 bytes until told otherwise.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    pub(super) fn beside(database: &Path) -> Self {
        Self { path: with_suffix(database, ".reserve"), bytes: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn set_bytes(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    /// Sees to it that the file is there and that its blocks are really taken. Leaves nothing behind when it cannot be.
    pub(super) fn make(&self) -> io::Result<()> {
        if self.bytes == 0 {
            self.release();
            return Ok(());
        }
        self.allocate().inspect_err(|_| {
            self.release();
        })
    }

    fn allocate(&self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        file.set_len(self.bytes)?;
        match fallocate(&file, FallocateFlags::empty(), 0, self.bytes).map_err(io::Error::from) {
            Err(error) if is_not_offered(&error) => fill(&mut file, self.bytes),
            allocated => allocated,
        }
    }

    /// Gives the room back. False if there was none.
    pub(super) fn release(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }
}

/// For file systems that cannot allocate without writing. What was not synced may not have been allocated.
fn fill(file: &mut File, bytes: u64) -> io::Result<()> {
    let zeros = [0; 64 * 1024];
    let mut left = bytes;
    while left > 0 {
        let part = left.min(zeros.len() as u64);
        file.write_all(&zeros[..part as usize])?;
        left -= part;
    }
    file.sync_all()
}

/// Whether this is about room, and not about the reserve as such.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn it_takes_the_room_it_says_and_gives_it_back() {
        let directory = tempfile::tempdir().unwrap();
        let mut reserve = Reserve::beside(&directory.path().join("a.db"));
        reserve.make().unwrap();
        assert!(!reserve.path().exists(), "of 0 bytes there is none");
        for bytes in [1 << 20, 1 << 16] {
            reserve.set_bytes(bytes);
            reserve.make().unwrap();
            let found = std::fs::metadata(directory.path().join("a.db.reserve")).unwrap();
            assert_eq!(found.len(), bytes);
            assert!(found.blocks() * 512 >= bytes, "{} blocks", found.blocks());
            assert_eq!(found.mode() & 0o777, 0o600);
        }
        assert!(reserve.release() && !reserve.release());
        reserve.make().unwrap();
        reserve.set_bytes(0);
        reserve.make().unwrap();
        assert!(!reserve.path().exists(), "one that is no longer wanted goes");
    }

    #[test]
    fn what_cannot_be_allocated_is_written() {
        let mut file = tempfile::tempfile().unwrap();
        fill(&mut file, 100_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 100_000);
    }
}
