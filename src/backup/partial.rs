//! A backup that is not one yet: written under a name that nobody takes for one, and renamed when it is whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::check::{Facts, faults};
use super::error::BackupError;
use super::files;
use super::halt::{CHUNK_BYTES, Halt, checksum};
use super::manifest::{self, Files, Manifest, Moment, files_beside};
use crate::clock::Timestamp;
use crate::feature::{FilesAt, make_private};
use crate::store::{self, CopyTarget, Depth, Error, OpenError, Schema};

/// Backups begun within one second in one directory, at most.
pub(super) const SAME_SECOND_MAX: u32 = 99;

/// What an operator is told of a place where names are not sure to be on the disk.
pub(super) const NAMES_NOT_SYNCED: &str = "the file system there cannot sync directories: right after a power failure the backup may \
                                           be missing";
/// Whether that was logged; it stays as it is, so once is enough.
static NOT_SYNCED: AtomicBool = AtomicBool::new(false);

/// A backup that has its name.
#[derive(Debug)]
pub(super) struct Placed {
    /// Where.
    pub(super) path: PathBuf,
    /// Whether its name is on the disk as well.
    pub(super) is_name_synced: bool,
}

/// Whether names are on the disk after this sync of their directory. Anything but that there is none is a failure.
fn are_names_synced(sync: io::Result<()>) -> io::Result<bool> {
    match sync {
        Err(error) if store::is_not_offered(&error) => Ok(false),
        sync => sync.map(|()| true),
    }
}

/// The file while it is written. Dropped, it is removed.
pub(super) struct Partial {
    directory: PathBuf,
    name: String,
    path: PathBuf,
    at: Timestamp,
    file: File,
    /// Says to others that somebody is writing here, so that what lies about may not have been left behind.
    _writing: File,
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { path, source }
}

impl Partial {
    /// Begins one in `directory`, which is made if absent; what killed ones have left there is removed.
    pub(super) fn create(directory: &Path, at: Timestamp) -> Result<Self, BackupError> {
        let writing = enter(directory)?;
        for number in 1..=SAME_SECOND_MAX {
            let name = manifest::name(at, number);
            if directory.join(&name).exists() {
                continue;
            }
            let path = partial_path(directory, &name);
            match create_file(&path) {
                Ok(file) => {
                    return Ok(Self { directory: directory.to_owned(), name, path, at, file, _writing: writing });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(file(directory)(error)),
            }
        }
        Err(file(directory)(io::ErrorKind::AlreadyExists.into()))
    }

    /// What the store copies into.
    pub(super) fn target(&self) -> Result<CopyTarget, Error> {
        CopyTarget::open(&self.path)
    }

    /// Writes what comes from somewhere else.
    pub(super) fn fill(&mut self, from: &mut dyn Read) -> Result<(), BackupError> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut chunk).map_err(BackupError::Broken)? {
                0 => return Ok(()),
                count => self.file.write_all(&chunk[..count]).map_err(file(&self.path))?,
            }
        }
    }

    /// Sends on its way to the disk what is written, so that it does not all come at once in the end, when everyone's
    /// commits would have to wait for it.
    pub(super) fn sync_some(&self) {
        let _ = self.file.sync_data();
    }

    /// Checks and counts what was written, and brings it to the disk.
    pub(super) fn seal(&mut self, schema: &Schema, halt: &Halt) -> Result<Manifest, BackupError> {
        let unchecked = |error| if halt.asked() { BackupError::Stopping } else { BackupError::Unchecked(error) };
        store::make_single_file(&self.path).map_err(unchecked)?;
        let reader = store::open_any_version(&self.path, schema).map_err(|error| match error {
            OpenError::Database { source, .. } => unchecked(source),
            other => BackupError::Damaged(other.to_string()),
        })?;
        let faults = faults(&reader, Depth::Pages, halt).map_err(unchecked)?;
        if let Some(first) = faults.first() {
            return Err(BackupError::Damaged(first.clone()));
        }
        let facts = Facts::read(&reader, halt).map_err(unchecked)?;
        drop(reader);
        let sum = self.file.sync_all().and_then(|()| self.file.rewind()).and_then(|()| checksum(&mut self.file, halt));
        let (bytes, sha256) = sum.map_err(file(&self.path))?.ok_or(BackupError::Stopping)?;
        Ok(Manifest {
            name: self.name.clone(),
            created_at: Moment(self.at),
            inkring: crate::version::VERSION.to_owned(),
            schema_version: facts.schema_version,
            bytes,
            sha256,
            rows: facts.rows,
            newest_change: facts.newest_change,
            files: None,
        })
    }

    /// Takes the files along that go with it, once it is sealed.
    pub(super) fn carry(&self, from: &[FilesAt], halt: &Halt) -> Result<Option<Files>, BackupError> {
        files::carry(from, &self.path, manifest::newest_with_files(&self.directory).as_ref(), halt)
    }

    /// Gives it its name. A backup never has its name without having its manifest and its files.
    ///
    /// Some shares cannot sync directories: there the name may be lost in a power failure, and nothing else. What has it was
    /// synced and read back, so that is no reason to be without a backup; it is said.
    pub(super) fn place(self, manifest: &Manifest) -> Result<Placed, BackupError> {
        let backup = self.directory.join(&self.name);
        let (described, written) = (manifest::path_beside(&backup), manifest::path_beside(&self.path));
        let text = format!("{}\n", manifest.to_line());
        let mut is_name_synced = true;
        let with_files = || match manifest.files {
            Some(_) => std::fs::rename(files_beside(&self.path), files_beside(&backup)),
            None => Ok(()),
        };
        let placed = create_file(&written)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&written, &described))
            .and_then(|()| with_files())
            .and_then(|()| std::fs::rename(&self.path, &backup))
            .and_then(|()| {
                is_name_synced = are_names_synced(store::sync_directory(&self.directory))?;
                Ok(())
            });
        if placed.is_err() {
            for path in [&written, &described, &backup] {
                let _ = std::fs::remove_file(path);
            }
            let _ = manifest::remove_files(&backup);
        }
        placed.map_err(file(&self.directory))?;
        if !is_name_synced && !NOT_SYNCED.swap(true, Ordering::Relaxed) {
            log::warn!(directory = self.directory.display().to_string(), reason = NAMES_NOT_SYNCED; "backup.name_not_synced");
        }
        Ok(Placed { path: backup, is_name_synced })
    }

    /// Has no name at all any more: it is gone when the file is closed, whatever happens.
    pub(super) fn into_file(self) -> Result<File, BackupError> {
        let mut opened = self.file.try_clone().map_err(file(&self.path))?;
        opened.rewind().map_err(file(&self.path))?;
        Ok(opened)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for suffix in ["-wal", "-shm", "-journal", ""] {
            let _ = std::fs::remove_file(store::with_suffix(&self.path, suffix));
        }
        let _ = manifest::remove_files(&self.path);
    }
}

fn partial_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!(".{name}.partial"))
}

fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Makes the directory if need be, and tidies it up if nobody else is writing there.
fn enter(directory: &Path) -> Result<File, BackupError> {
    make_private(directory).map_err(file(directory))?;
    let writing = File::open(directory).map_err(file(directory))?;
    if writing.try_lock().is_ok() {
        sweep(directory).map_err(file(directory))?;
    }
    // At most for as long as somebody tidies up. On file systems without such locks nobody does.
    let _ = writing.lock_shared();
    Ok(writing)
}

/// Removes what backups that were killed have left.
fn sweep(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?.file_name();
        let Some((name, rest)) = entry.to_str().and_then(|name| name.strip_prefix('.')?.split_once(".partial")) else {
            continue;
        };
        if !manifest::is_name(name) || !["", "-wal", "-shm", "-journal", ".json", ".files"].contains(&rest) {
            continue;
        }
        // The manifest is renamed first, and then the files: without the backup they are none.
        let backup = directory.join(name);
        if !backup.exists() {
            let _ = std::fs::remove_file(manifest::path_beside(&backup));
            manifest::remove_files(&backup)?;
        }
        if rest == ".files" {
            std::fs::remove_dir_all(directory.join(&entry))?;
        } else {
            std::fs::remove_file(directory.join(&entry))?;
        }
    }
    Ok(())
}
