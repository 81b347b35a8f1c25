//! What the writer shows of itself without being asked to stop for it.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::error::Error;
use super::fault::{AtomicFault, Fault};
use super::sqlite::connection::Connection;
use super::sqlite::definition::KeptDefinition;
use super::sqlite::place::OpenFiles;
use crate::clock::{Clock, Timestamp};
use crate::observe::metrics::Spread;

/// What the writer shows of itself without being asked to stop for it.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    commits: AtomicU64,
    commit_times: Spread,
    queued: AtomicUsize,
    /// Microseconds of the monotonic clock, since the writer began, at which the running batch began, plus one;
    /// zero between batches.
    busy_since: AtomicU64,
    fault: AtomicFault,
    /// Changes refused because of the fault, since it was set.
    refused: AtomicU64,
    /// The time below which no change goes, in microseconds since 1970; 0 for none.
    newest: AtomicI64,
    files: OpenFiles,
    definition: KeptDefinition,
}

impl WriterState {
    /// That of a writer to these files, which are a database of this definition.
    pub(super) fn of(files: OpenFiles, definition: KeptDefinition) -> Self {
        Self { files, definition, ..Self::default() }
    }

    /// What was changed in the tables and indexes of the database since it was opened, if anything was.
    pub(super) fn altered(&self, connection: &Connection) -> Result<Option<String>, Error> {
        self.definition.altered(connection)
    }

    /// What has happened to the files that are written to, if they are no longer where others look for them.
    pub(super) fn displaced(&self) -> Option<String> {
        self.files.displaced()
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    pub(super) fn commit_times(&self) -> &Spread {
        &self.commit_times
    }

    pub(super) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Release);
    }

    /// Marks the beginning of a batch, this long after the writer began.
    pub(super) fn begin_work(&self, since: Duration) {
        let since = u64::try_from(since.as_micros()).unwrap_or(u64::MAX - 1);
        self.busy_since.store(since + 1, Ordering::Relaxed);
    }

    pub(super) fn end_work(&self) {
        self.busy_since.store(0, Ordering::Relaxed);
    }

    pub(super) fn busy_for(&self, began: Instant, clock: &Clock) -> Option<Duration> {
        let since = self.busy_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(clock.instant().saturating_duration_since(began).saturating_sub(Duration::from_micros(since)))
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn enqueue(&self) {
        self.queued.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dequeue(&self) {
        self.queued.fetch_sub(1, Ordering::Relaxed);
    }

    /// Why no changes are taken, when none are.
    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.get()
    }

    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.fault.set(fault);
    }

    /// The time of the newest change, as far as there is one: no change is dated before it.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        let newest = self.newest.load(Ordering::Relaxed);
        (newest > 0).then_some(Timestamp(newest))
    }

    pub(super) fn set_newest(&self, at: Timestamp) {
        self.newest.store(at.0.max(0), Ordering::Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn forget_refused(&self) {
        self.refused.store(0, Ordering::Relaxed);
    }
}
