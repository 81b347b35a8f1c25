//! Backups of the database of a running server.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::error::TAKEN_MAX;
use super::halt::Halt;
use super::manifest::{self, Manifest};
use super::options::Options;
use super::partial::{Partial, Placed};
use super::room::check_room;
use super::{BackupError, Report};
use crate::clock::steady::Reading;
use crate::clock::{Clock, Timestamp};
use crate::feature::FilesAt;
use crate::store::{self, Copied, CopyError, Schema, WriterHandle, directory_of};
use serde_json::{Value, json};

/// After an attempt that failed, the next one by itself comes so much later.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(900);
/// A backup older than so many intervals is one that should have been made.
pub(super) const OVERDUE_INTERVALS: u32 = 2;

/// Makes backups of the running server's database, one at a time. Cheap to clone; clones share everything, and none of
/// them keeps the writer from ending after [`Backups::stop`]. To make one takes long, so shards only ask for
/// [`Backups::last`] and [`Backups::fact`].
#[derive(Clone)]
pub(super) struct Backups {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    /// Until the stop.
    writer: Mutex<Option<WriterHandle>>,
    schema: Schema,
    /// What goes with each of them.
    files: Arc<[FilesAt]>,
    clock: Clock,
    pub(super) options: Options,
    began: Instant,
    halt: Halt,
    making: Mutex<()>,
    /// Shared by every copy that is being taken away.
    taken: Arc<()>,
    last: Mutex<Last>,
}

/// How the backups in `BACKUP_DIR` stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Last {
    /// The newest one that is there.
    pub success: Option<Succeeded>,
    /// The last attempt, if it failed.
    pub failure: Option<Failed>,
    /// Attempts that failed since the start.
    pub failures: u64,
    /// Of those, how many made a copy that was not sound.
    pub unsound: u64,
}

/// A backup that is there.
#[derive(Debug, Clone)]
pub(super) struct Succeeded {
    /// When it was begun.
    pub at: Timestamp,
    /// The same by elapsed time ([`Reading::elapsed`]), if this process made it: so its age does not depend on the wall clock.
    pub made: Option<Duration>,
    /// How long it took; nothing if another process made it.
    pub took: Option<Duration>,
    /// How large it is.
    pub bytes: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// An attempt that failed.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    /// When.
    pub at: Timestamp,
    /// The same by elapsed time.
    pub failed: Duration,
    /// Why.
    pub error: String,
}

impl Succeeded {
    /// How old it is; nothing if it is dated in the future, which proves nothing.
    #[must_use]
    pub(super) fn age(&self, now: Reading) -> Option<Duration> {
        self.made.map_or_else(|| self.at.age(now.wall), |made| Some(now.elapsed.saturating_sub(made)))
    }
}

/// What whoever asks about readiness should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// How old the newest backup is, if that is known.
    pub age: Option<Duration>,
    /// What is not as it should be, in words that anybody may read.
    pub warning: Option<String>,
}

/// A backup without a name, to be sent somewhere else.
pub(super) struct Streamed {
    /// The whole file, from its beginning. It is gone when this is dropped.
    pub(super) file: TakenAway,
    /// What is in it.
    pub manifest: Manifest,
}

/// The bytes of a copy without a name; it counts as being taken away until it is dropped.
pub(super) struct TakenAway {
    file: File,
    _place: Arc<()>,
}

impl Read for TakenAway {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Backups {
    /// Backups of the database that this writer writes, and of these files.
    #[must_use]
    pub(super) fn new(
        writer: WriterHandle,
        schema: Schema,
        files: Arc<[FilesAt]>,
        options: Options,
        clock: Clock,
    ) -> Self {
        let found = |directory| manifest::newest(directory, clock.now()).ok().flatten();
        let newest = options.directory.as_deref().and_then(found);
        let success = newest.map(|(path, manifest)| Succeeded {
            at: manifest.created_at.0,
            made: None,
            took: None,
            bytes: manifest.bytes,
            path,
        });
        let last = Mutex::new(Last { success, ..Last::default() });
        let (began, halt, making) = (clock.instant(), Halt::default(), Mutex::new(()));
        let (writer, taken) = (Mutex::new(Some(writer)), Arc::default());
        Self { shared: Arc::new(Shared { writer, schema, files, clock, options, began, halt, making, taken, last }) }
    }

    /// Makes one in `BACKUP_DIR`, and waits for it.
    ///
    /// # Errors
    /// When there is none. [`BackupError::UnderWay`] if one is being made.
    pub(super) fn now(&self) -> Result<Report, BackupError> {
        let directory = self.shared.options.directory.as_deref().ok_or(BackupError::NoDirectory)?;
        let began = self.shared.clock.reading().elapsed;
        let make = |started| {
            let (partial, mut manifest, steps) = self.copy(directory)?;
            manifest.files = partial.carry(&self.shared.files, &self.shared.halt)?;
            let Placed { path, is_name_synced } = partial.place(&manifest)?;
            let took = self.shared.clock.instant().saturating_duration_since(started);
            Ok(Report { path, is_name_synced, manifest, took, steps })
        };
        self.logged(directory, make, |result| self.note(began, result))
    }

    /// Keeps in mind how an attempt in `BACKUP_DIR` ended, that began then.
    fn note(&self, began: Duration, result: &Result<Report, BackupError>) {
        let mut last = self.shared.last.lock();
        match result {
            Ok(report) => {
                last.failure = None;
                last.success = Some(Succeeded {
                    at: report.manifest.created_at.0,
                    made: Some(began),
                    took: Some(report.took),
                    bytes: report.manifest.bytes,
                    path: report.path.clone(),
                });
            }
            // Neither is an attempt.
            Err(BackupError::UnderWay | BackupError::Stopping) => {}
            Err(error) => {
                last.failures += 1;
                last.unsound += u64::from(matches!(error, BackupError::Damaged(_) | BackupError::Unchecked(_)));
                let Reading { wall, elapsed } = self.shared.clock.reading();
                last.failure = Some(Failed { at: wall, failed: elapsed, error: error.to_string() });
            }
        }
    }

    /// Makes one for somebody to take away, without the files that go with it: it lies in `BACKUP_DIR`, or beside the database if there is none, and has
    /// no name there any more.
    ///
    /// # Errors
    /// When there is none. [`BackupError::Taken`] while [`TAKEN_MAX`] of them are.
    pub(super) fn stream(&self) -> Result<Streamed, BackupError> {
        let place = Arc::clone(&self.shared.taken);
        // The shared one itself, ours, and those of the copies.
        if Arc::strong_count(&place) - 2 >= TAKEN_MAX {
            return Err(BackupError::Taken);
        }
        let options = &self.shared.options;
        let directory = options.directory.as_deref().unwrap_or(directory_of(&options.database));
        let mut file = None;
        let make = |began| {
            let (partial, manifest, steps) = self.copy(directory)?;
            file = Some(partial.into_file()?);
            let took = self.shared.clock.instant().saturating_duration_since(began);
            Ok(Report { path: PathBuf::new(), is_name_synced: true, manifest, took, steps })
        };
        let report = self.logged(directory, make, |_| ())?;
        let file = TakenAway { file: file.ok_or(BackupError::Stopping)?, _place: place };
        Ok(Streamed { file, manifest: report.manifest })
    }

    /// Makes one, notes how that ended, and says so: whoever reads the line finds the new state everywhere.
    fn logged(
        &self,
        directory: &Path,
        make: impl FnOnce(Instant) -> Result<Report, BackupError>,
        note: impl FnOnce(&Result<Report, BackupError>),
    ) -> Result<Report, BackupError> {
        let Some(_making) = self.shared.making.try_lock() else { return Err(BackupError::UnderWay) };
        let began = self.shared.clock.instant();
        let result = make(began);
        note(&result);
        match &result {
            // It has no name here, so nobody shall look for it.
            Ok(Report { path, manifest, took, steps, .. }) if path.as_os_str().is_empty() => log::info!(
                name = manifest.name, bytes = manifest.bytes, ms = took.as_millis() as u64, steps;
                "backup.made_to_send"
            ),
            Ok(Report { manifest, took, steps, .. }) => log::info!(
                name = manifest.name, directory = directory.display().to_string(), bytes = manifest.bytes,
                files = manifest.files.as_ref().map_or(0, |files| files.count), ms = took.as_millis() as u64, steps;
                "backup.done"
            ),
            // Nothing is wrong with it.
            Err(error @ BackupError::Stopping) => log::info!(error = error.to_string(); "backup.failed"),
            Err(error) => log::error!(error = error.to_string(); "backup.failed"),
        }
        result
    }

    fn copy(&self, directory: &Path) -> Result<(Partial, Manifest, u32), BackupError> {
        let Shared { writer, schema, clock, options, halt, .. } = &*self.shared;
        let Some(writer) = writer.lock().clone() else { return Err(BackupError::Stopping) };
        let mut partial = Partial::create(directory, clock.now())?;
        check_room(directory, store::bytes_of(&options.database))?;
        let to = partial.target().map_err(BackupError::Unchecked)?;
        let copied = store::copy(&writer, to, || {
            partial.sync_some();
            !halt.asked()
        });
        let Copied { to, steps } = copied.map_err(|source| match source {
            CopyError::GivenUp => BackupError::Stopping,
            source => BackupError::Copy { directory: directory.to_owned(), source },
        })?;
        to.close().map_err(BackupError::Unchecked)?;
        let manifest = partial.seal(schema, halt)?;
        Ok((partial, manifest, steps))
    }

    /// How they stand.
    #[must_use]
    pub(super) fn last(&self) -> Last {
        self.shared.last.lock().clone()
    }

    /// What an operator is told of them: how they are made, and the newest one.
    #[must_use]
    pub(super) fn card(&self) -> Value {
        let options = &self.shared.options;
        json!({
            "every_hours": options.every.map(|every| every.as_secs() / 3600),
            "directory": options.directory.as_ref().map(|directory| directory.display().to_string()),
            "latest": self.latest(),
        })
    }

    /// What is known of the newest backup, if anything is.
    fn latest(&self) -> Option<Value> {
        let last = self.last();
        let failed = last.failure.map(|failure| {
            json!({ "at": failure.at.offset_style().to_string(), "error": failure.error, "times": last.failures })
        });
        match last.success {
            Some(newest) => Some(json!({
                "created_at": newest.at.offset_style().to_string(),
                "bytes": newest.bytes,
                "took_ms": newest.took.map(|took| took.as_millis() as u64),
                "path": newest.path.display().to_string(),
                "failed": failed,
            })),
            None => failed.map(|failed| json!({ "created_at": null, "bytes": null, "failed": failed })),
        }
    }

    /// The same in short; nothing where backups are not wanted.
    #[must_use]
    pub(super) fn fact(&self) -> Option<Fact> {
        let Shared { clock, options, began, last, .. } = &*self.shared;
        options.directory.as_ref()?;
        let last = last.lock();
        let age = last.success.as_ref().and_then(|success| success.age(clock.reading()));
        let of_the_future = last.success.is_some() && age.is_none();
        let up = clock.instant().saturating_duration_since(*began);
        let overdue = options.every.is_some_and(|every| age.unwrap_or(up) > every * OVERDUE_INTERVALS);
        let warning = match (&last.failure, age) {
            (Some(_), _) => Some("the last attempt failed; the log says why".to_owned()),
            (None, Some(age)) if overdue => Some(format!("the newest is {} hours old", age.as_secs() / 3600)),
            (None, None) if of_the_future => Some("the newest is dated in the future".to_owned()),
            (None, None) if overdue => Some("there is none yet".to_owned()),
            (None, _) => None,
        };
        Some(Fact { age, warning })
    }

    /// Whether it is time for the next one that is made by itself.
    pub(super) fn due(&self) -> bool {
        let Shared { clock, options, last, .. } = &*self.shared;
        let (Some(every), Some(_)) = (options.every, &options.directory) else { return false };
        let (last, now) = (last.lock(), clock.reading());
        let waits = |age: Option<Duration>, time| age.is_some_and(|age| age < time);
        let since = |failure: &Failed| now.elapsed.saturating_sub(failure.failed);
        let failed = waits(last.failure.as_ref().map(since), RETRY_AFTER.min(every));
        !failed && !waits(last.success.as_ref().and_then(|success| success.age(now)), every)
    }

    /// Ends what is under way, and begins nothing any more.
    pub(super) fn stop(&self) {
        self.shared.halt.ask();
        *self.shared.writer.lock() = None;
    }

    pub(super) fn reading(&self) -> Reading {
        self.shared.clock.reading()
    }
}
