//! A backup of an older database before it is brought up to date: no older inkring takes it after that.

use std::path::Path;

use super::check::{Facts, verify};
use super::error::BackupError;
use super::halt::Halt;
use super::manifest::{self, Manifest};
use super::options::Options;
use super::{Report, alone};
use crate::clock::Clock;
use crate::feature::{FilesAt, StartError};
use crate::settings::Settings;
use crate::store::{self, Pending, Schema};

/// Why a database is not brought up to date.
#[derive(Debug, thiserror::Error)]
#[error("it needs a backup first, and that failed: {0}. Fix that, or unset BACKUP_DIR to start without one")]
struct Without(#[source] BackupError);

/// Sees to it that there is a good backup of an older database as it is, where backups are kept.
pub(super) fn before_migration(
    settings: &Settings,
    schema: &Schema,
    files: &[FilesAt],
    pending: &Pending<'_>,
    clock: &Clock,
) -> Result<(), StartError> {
    let (Options { directory, .. }, Pending { lock, from, to }) = (Options::of(settings), pending);
    let Some(directory) = directory else {
        log::warn!(
            from, to, remedy = "set BACKUP_DIR, and a backup is made first the next time";
            "backup.none_before_migration"
        );
        return Ok(());
    };
    // A start that failed after it has made one is tried again and again, and must not fill the disk with them.
    if let Some(name) = present(pending, &directory, schema, clock) {
        log::info!(name, directory = directory.display().to_string(), from, to; "backup.found_before_migration");
        return Ok(());
    }
    let Report { manifest, took, steps, .. } = alone(lock, &directory, schema, files, clock).map_err(|error| {
        log::error!(error = error.to_string(); "backup.failed");
        Without(error)
    })?;
    log::info!(
        name = manifest.name, directory = directory.display().to_string(), bytes = manifest.bytes,
        ms = took.as_millis() as u64, steps, from, to;
        "backup.done"
    );
    Ok(())
}

/// The name of the newest backup, if it has what the database has and is good.
fn present(pending: &Pending<'_>, directory: &Path, schema: &Schema, clock: &Clock) -> Option<String> {
    let (path, found) = manifest::newest(directory, clock.now()).ok()??;
    let reader = store::open_locked(pending.lock, schema).ok()?;
    let here = Facts::read(&reader, &Halt::default()).ok()?;
    drop(reader);
    let Manifest { name, schema_version, rows, newest_change, .. } = found;
    let is_same = here == Facts { schema_version, rows, newest_change };
    (is_same && verify(&path, schema).ok()?.problems.is_empty()).then_some(name)
}
