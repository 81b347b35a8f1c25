//! Files of events on the disk, but for the one that is written: listing, compressing, removing, and who may do that.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::UNIX_EPOCH;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::names::{Named, Names, Shard, packed, unfinished};
use super::plan::Found;
use crate::clock::Timestamp;
use crate::feature::make_private;
use crate::store::{chown_like, is_not_offered, locked_by, sync_directory};

/// What is compressed between two looks whether to stop.
const PIECE_BYTES: usize = 256 * 1024;
/// As in the original.
pub(super) const LEVEL: u32 = 6;

/// The right to change these files, which one process has at a time: taken when there is first something to change, and kept.
#[derive(Debug)]
pub(super) struct Ownership {
    names: Names,
    held: Mutex<Option<File>>,
}

/// Why there is no such right.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotOurs {
    /// Another process has it.
    #[error("process {0} writes this file already; give each server a METRICS_JSONL of its own")]
    Theirs(String),
    /// It cannot be taken.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<NotOurs> for io::Error {
    fn from(error: NotOurs) -> Self {
        match error {
            NotOurs::Io(error) => error,
            theirs @ NotOurs::Theirs(_) => Self::other(theirs),
        }
    }
}

impl Ownership {
    /// Of the files with these names.
    pub(super) fn of(names: Names) -> Self {
        Self { names, held: Mutex::new(None) }
    }

    /// Takes it, unless this process has it. The directory is made if need be.
    pub(super) fn take(&self) -> Result<(), NotOurs> {
        let mut held = self.held.lock();
        if held.is_some() {
            return Ok(());
        }
        make_private(self.names.directory())?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut lock = options.open(self.names.lock())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(NotOurs::Theirs(holder(&mut lock))),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Only root can, and only for root it matters.
        let _ = chown_like(&lock, self.names.active());
        // The lock is what counts. Who holds it is a service to people, and no reason to write nothing on a full disk.
        let _ = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| writeln!(lock, "{}", std::process::id()));
        *held = Some(lock);
        Ok(())
    }
}

fn holder(lock: &mut File) -> String {
    let by_system = lock.metadata().ok().and_then(|metadata| locked_by(&metadata));
    by_system.unwrap_or_else(|| {
        let mut pid = String::new();
        let _ = lock.take(20).read_to_string(&mut pid);
        if pid.trim().is_empty() { "unknown".to_owned() } else { pid.trim().to_owned() }
    })
}

/// A new name is on disk when its directory is. Some file systems cannot say so, and then nothing can be done about it.
pub(super) fn sync_names(directory: &Path) -> io::Result<()> {
    match sync_directory(directory) {
        Err(error) if is_not_offered(&error) => Ok(()),
        synced => synced,
    }
}

/// The regular files of the directory; none if it is not there.
pub(super) fn list(names: &Names) -> io::Result<Vec<Found>> {
    let entries = match std::fs::read_dir(names.directory()) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (Ok(name), Ok(metadata)) = (entry.file_name().into_string(), entry.metadata()) else { continue };
        if !metadata.is_file() {
            continue;
        }
        let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
        found.push(Found { name, modified: Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX)) });
    }
    Ok(found)
}

/// Those of them that were written by us or the original, and are not any more.
pub(super) fn shards(names: &Names) -> io::Result<Vec<Shard>> {
    let shards = list(names)?.into_iter().filter_map(|found| match names.read(&found.name) {
        Named::Shard(shard) => Some(shard),
        _ => None,
    });
    Ok(shards.collect())
}

/// Gives a file another name, which no file may have.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that does not know the flag. Nobody else gives such names, while we hold the lock.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) if to.try_exists()? => Err(ErrorKind::AlreadyExists.into()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => std::fs::rename(from, to),
        renamed => Ok(renamed?),
    }
}

/// Removes a file.
pub(super) fn remove(names: &Names, name: &str) -> io::Result<()> {
    std::fs::remove_file(names.path(name))
}

/// Compresses a file, which is then gone: written under another name, synced, renamed, and only then is the plain one removed.
/// False if it was to stop; then nothing has changed.
pub(super) fn compress(names: &Names, name: &str, stop: &dyn Fn() -> bool) -> io::Result<bool> {
    let (plain, target, partial) = (names.path(name), names.path(&packed(name)), names.path(&unfinished(name)));
    let done = compress_into(&plain, &partial, stop).and_then(|whole| {
        if whole {
            rename(&partial, &target)?;
        }
        Ok(whole)
    });
    if !matches!(done, Ok(true)) {
        let _ = std::fs::remove_file(&partial);
        return done;
    }
    sync_names(names.directory())?;
    std::fs::remove_file(&plain)?;
    sync_names(names.directory())?;
    Ok(true)
}

fn compress_into(plain: &Path, partial: &Path, stop: &dyn Fn() -> bool) -> io::Result<bool> {
    let mut source = File::open(plain)?;
    let before = source.metadata()?;
    let target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(partial)?;
    let mut encoder = GzEncoder::new(BufWriter::new(target), Compression::new(LEVEL));
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        if stop() {
            return Ok(false);
        }
        match source.read(&mut piece)? {
            0 => break,
            count => encoder.write_all(&piece[..count])?,
        }
    }
    let target = encoder.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    let after = std::fs::metadata(plain)?;
    if (before.len(), before.modified()?) != (after.len(), after.modified()?) {
        return Err(io::Error::other("it was written to while it was compressed"));
    }
    let _ = chown_like(&target, plain);
    target.set_modified(before.modified()?)?;
    target.sync_all()?;
    Ok(true)
}

/// Whether a compressed file says the same as a plain one, to the last byte.
pub(super) fn is_same(plain: &Path, compressed: &Path) -> io::Result<bool> {
    let mut plain = BufReader::with_capacity(PIECE_BYTES, File::open(plain)?);
    let mut unpacked = MultiGzDecoder::new(BufReader::new(File::open(compressed)?));
    let (mut one, mut other) = (vec![0; PIECE_BYTES], vec![0; PIECE_BYTES]);
    loop {
        let count = fill(&mut plain, &mut one)?;
        // One that cannot be read is not the same.
        let Ok(unpacked) = fill(&mut unpacked, &mut other) else { return Ok(false) };
        if one[..count] != other[..unpacked] {
            return Ok(false);
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

fn fill(from: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match from.read(&mut piece[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn files(names: &Names) -> Vec<String> {
        let mut found: Vec<String> = list(names).unwrap().into_iter().map(|found| found.name).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_compressed_file_says_the_same_and_takes_the_place_of_the_plain_one() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let (name, text) = ("metrics-2025-10-09.jsonl", "{\"a\": 1}\n".repeat(100_000));
        let plain = names.path(name);
        std::fs::write(&plain, &text).unwrap();
        let modified = UNIX_EPOCH + std::time::Duration::from_secs(1_760_013_296);
        File::options().append(true).open(&plain).unwrap().set_modified(modified).unwrap();
        let kept = directory.path().join("kept");
        std::fs::copy(&plain, &kept).unwrap();

        let looks = Cell::new(0);
        let after_two = || looks.replace(looks.get() + 1) == 2;
        assert!(!compress(&names, name, &after_two).unwrap(), "it was told to stop");
        assert_eq!(files(&names), ["kept", name]);
        assert!(compress(&names, name, &|| false).unwrap());
        let compressed = names.path(&packed(name));
        assert_eq!(files(&names), ["kept".to_owned(), packed(name)]);
        assert_eq!(std::fs::metadata(&compressed).unwrap().modified().unwrap(), modified);
        assert!(is_same(&kept, &compressed).unwrap());
        std::fs::write(&kept, &text[..text.len() - 1]).unwrap();
        assert!(!is_same(&kept, &compressed).unwrap());
        let bytes = std::fs::read(&compressed).unwrap();
        std::fs::write(&compressed, &bytes[..bytes.len() / 2]).unwrap();
        std::fs::write(&kept, &text).unwrap();
        assert!(!is_same(&kept, &compressed).unwrap(), "half of it is not it");
    }

    #[test]
    fn no_file_is_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("metrics.jsonl"));
        let name = "metrics-2025-10-09.jsonl";
        std::fs::write(names.path(name), "new").unwrap();
        std::fs::write(names.path(&packed(name)), "old").unwrap();
        assert_eq!(compress(&names, name, &|| false).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(files(&names), [name.to_owned(), packed(name)]);
        assert_eq!(std::fs::read(names.path(&packed(name))).unwrap(), b"old");
        std::fs::write(names.path("b"), "b").unwrap();
        assert_eq!(rename(&names.path(name), &names.path("b")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        rename(&names.path(name), &names.path("c")).unwrap();
    }

    #[test]
    fn files_belong_to_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("new/metrics.jsonl"));
        let ours = Ownership::of(names.clone());
        ours.take().unwrap();
        ours.take().unwrap();
        let said = Ownership::of(names.clone()).take().unwrap_err().to_string();
        assert!(said.contains(&format!("process {} writes", std::process::id())), "{said}");
        drop(ours);
        Ownership::of(names).take().unwrap();
    }
}
