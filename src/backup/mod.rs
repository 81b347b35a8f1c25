//! Backups: copies of the database that have been checked, each with a manifest beside it, and with the files that features keep.
//!
//! [`Backups`] makes them while the server runs, [`alone`] when none does; [`restore`](mod@restore) puts one in place. A
//! backup appears under its name only when it is whole, checked and synced ([`partial`](self)), so whatever has such a
//! name and a manifest is one.

mod before;
mod bounds;
mod check;
mod counters;
mod doctor;
mod error;
mod feature;
mod files;
mod halt;
mod manifest;
mod on_demand;
mod operator;
mod options;
mod partial;
mod restore;
mod room;
mod running;
mod upkeep;
mod verbs;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clock::Clock;
use crate::feature::FilesAt;
use crate::store::{self, DatabaseLock, Schema};

pub use feature::FEATURE;

use error::BackupError;
use halt::Halt;
use manifest::Manifest;
use partial::{Partial, Placed};
use room::check_room;

/// A backup that was made.
#[derive(Debug, Clone)]
struct Report {
    /// The file.
    pub path: PathBuf,
    /// Whether its name is on the disk as well.
    pub is_name_synced: bool,
    /// What is in it.
    pub manifest: Manifest,
    /// How long it took, checks included.
    pub took: Duration,
    /// In how many steps the database was copied.
    pub steps: u32,
}

/// Makes a backup of a database that no server has open.
///
/// # Errors
/// When there is none; what was begun is removed.
fn alone(
    lock: &DatabaseLock,
    directory: &Path,
    schema: &Schema,
    files: &[FilesAt],
    clock: &Clock,
) -> Result<Report, BackupError> {
    let began = clock.instant();
    let copying = |source| BackupError::Copy { directory: directory.to_owned(), source };
    let mut partial = Partial::create(directory, clock.now())?;
    check_room(directory, store::bytes_of(lock.database()))?;
    let from = store::open_locked(lock, schema).map_err(|error| match error {
        store::OpenError::Database { source, .. } => copying(source.into()),
        other => BackupError::Unfit(other),
    })?;
    let mut to = partial.target().map_err(BackupError::Unchecked)?;
    let steps = store::copy_alone(&from, &mut to).map_err(copying)?;
    drop((from, to));
    let mut manifest = partial.seal(schema, &Halt::default())?;
    manifest.files = partial.carry(files, &Halt::default())?;
    let Placed { path, is_name_synced } = partial.place(&manifest)?;
    Ok(Report { path, is_name_synced, manifest, took: clock.instant().saturating_duration_since(began), steps })
}

/// Takes what another inkring has sent: a backup, and its manifest; the files that go with it are taken from where they are. It gets its name in `directory` only if it is what the
/// manifest says: that of its time, with a number if there is one of the same second.
///
/// # Errors
/// When it is not, or cannot be written.
fn receive(
    directory: &Path,
    manifest: &Manifest,
    from: &mut dyn std::io::Read,
    schema: &Schema,
    files: &[FilesAt],
) -> Result<(Placed, Manifest), BackupError> {
    let mut partial = Partial::create(directory, manifest.created_at.0)?;
    check_room(directory, manifest.bytes)?;
    partial.fill(from)?;
    let found = partial.seal(schema, &Halt::default())?;
    for (what, agrees) in [
        ("size", found.bytes == manifest.bytes),
        ("SHA-256", found.sha256 == manifest.sha256),
        ("schema version", found.schema_version == manifest.schema_version),
        ("number of rows", found.rows == manifest.rows),
    ] {
        if !agrees {
            return Err(BackupError::Damaged(format!("its {what} is not what its manifest says")));
        }
    }
    let files = partial.carry(files, &Halt::default())?;
    let manifest = Manifest { name: found.name, files, ..manifest.clone() };
    Ok((partial.place(&manifest)?, manifest))
}

#[cfg(test)]
mod tests;
