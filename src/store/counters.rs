//! What is counted of the writer, and what is looked at of the database.

use std::sync::Arc;
use std::time::Duration;

use super::{Figures, Survey};
use crate::observe::metrics::{Counter, Histogram, Metrics, Overview, Row, SECONDS, STORAGE, set_usize};

/// Upper bounds of buckets in jobs of one commit; there are never more than 256.
const JOBS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

pub(crate) static COMMIT: Row = Row::histogram(&STORAGE, "inkring_commit_duration_seconds", SECONDS)
    .at_the_top(Overview::Course(&[]))
    .says("Time from the start of a batch of changes to the end of its fsync", "How fast is the disk?");

pub(crate) static BATCH: Row = Row::histogram(&STORAGE, "inkring_commit_batch_jobs", JOBS)
    .says("Changes in one commit", "How many changes share a commit?");

pub(crate) static QUEUE_WAIT: Row = Row::histogram(&STORAGE, "inkring_writer_queue_wait_seconds", SECONDS)
    .says("Time a change waits until its batch starts", "Do changes wait for the writer?");

pub(crate) static QUEUE_DEPTH: Row = Row::gauge(&STORAGE, "inkring_writer_queue_depth")
    .says("Changes waiting for the writer", "How full is the writer's queue?");

pub(crate) static QUEUE_LIMIT: Row = Row::gauge(&STORAGE, "inkring_writer_queue_limit")
    .says("Maximum number of changes waiting for the writer", "How full is the writer's queue?");

pub(crate) static READONLY: Row = Row::gauge(&STORAGE, "inkring_storage_readonly")
    .says("1 while the storage accepts no changes", "Are changes accepted?");

pub(crate) static DATABASE_BYTES: Row = Row::gauge(&STORAGE, "inkring_db_size_bytes")
    .says("Size of the database file; add inkring_wal_size_bytes for the total", "How large is the database?");

pub(crate) static WAL_BYTES: Row = Row::gauge(&STORAGE, "inkring_wal_size_bytes")
    .says("Size of the write-ahead log next to it", "How large is the database?");

pub(crate) static FREELIST_BYTES: Row = Row::gauge(&STORAGE, "inkring_freelist_bytes")
    .says("Unused pages in the database file, which will be reused", "How large is the database?");

pub(crate) static DISK_FREE_BYTES: Row = Row::gauge(&STORAGE, "inkring_disk_free_bytes")
    .at_the_top(Overview::Figure)
    .says("Free space for the server on the file system of the database", "How much disk space is left?");

pub(crate) static CHECKPOINT: Row = Row::histogram(&STORAGE, "inkring_checkpoint_duration_seconds", SECONDS)
    .says("Time to move the write-ahead log into the database, while changes wait", "Do checkpoints delay changes?");

pub(crate) static CHECKPOINT_BUSY: Row = Row::counter(&STORAGE, "inkring_checkpoint_busy_total")
    .says("Checkpoints that a reader kept from moving everything", "Do checkpoints complete?");

pub(crate) const ROWS: &[&Row] = &[
    &COMMIT,
    &BATCH,
    &QUEUE_WAIT,
    &QUEUE_DEPTH,
    &QUEUE_LIMIT,
    &READONLY,
    &DATABASE_BYTES,
    &WAL_BYTES,
    &FREELIST_BYTES,
    &DISK_FREE_BYTES,
    &CHECKPOINT,
    &CHECKPOINT_BUSY,
];

/// The writer.
#[derive(Debug)]
pub struct Counters {
    commit: Histogram,
    batch: Histogram,
    wait: Histogram,
    checkpoint: Histogram,
    checkpoints_busy: Counter,
}

impl Counters {
    /// With nothing counted.
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            commit: metrics.histogram(&COMMIT),
            batch: metrics.histogram(&BATCH),
            wait: metrics.histogram(&QUEUE_WAIT),
            checkpoint: metrics.histogram(&CHECKPOINT),
            checkpoints_busy: metrics.counter(&CHECKPOINT_BUSY),
        }
    }

    /// A batch of so many jobs was committed.
    pub fn committed(&self, jobs: usize, took: Duration) {
        self.batch.observe(jobs as f64);
        self.commit.observe(took.as_secs_f64());
    }

    /// A job has waited so long for its batch.
    pub fn waited(&self, waited: Duration) {
        self.wait.observe(waited.as_secs_f64());
    }

    /// The log was moved into the database, all of it or not.
    pub fn checkpointed(&self, took: Duration, all: bool) {
        self.checkpoint.observe(took.as_secs_f64());
        if !all {
            self.checkpoints_busy.inc();
        }
    }
}

impl Default for Counters {
    fn default() -> Self {
        Self::new(&Metrics::default())
    }
}

/// Has metrics show how the database and its writer's queue of so many jobs stand.
pub fn show(metrics: &Metrics, survey: Arc<Survey>, queue_jobs: usize) {
    let (depth, limit, readonly) = (metrics.gauge(&QUEUE_DEPTH), metrics.gauge(&QUEUE_LIMIT), metrics.gauge(&READONLY));
    let bytes = [&DATABASE_BYTES, &WAL_BYTES, &FREELIST_BYTES, &DISK_FREE_BYTES].map(|row| metrics.gauge(row));
    metrics.sample_with(move || {
        let Figures { queued_jobs, read_only, database_bytes, wal_bytes, freelist_bytes, disk_free_bytes } =
            survey.figures();
        set_usize(&depth, queued_jobs);
        set_usize(&limit, queue_jobs);
        set_usize(&readonly, usize::from(read_only));
        for (gauge, bytes) in bytes.iter().zip([database_bytes, wal_bytes, freelist_bytes, disk_free_bytes]) {
            // What could not be looked at stays as it was.
            if let Some(bytes) = bytes {
                set_usize(gauge, usize::try_from(bytes).unwrap_or(usize::MAX));
            }
        }
    });
}
