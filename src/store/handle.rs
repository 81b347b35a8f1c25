//! Where jobs are handed in, and what can be seen of the writer from outside.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use super::error::StoreError;
use super::fault::Fault;
use super::job::Job;
use super::state::WriterState;
use crate::clock::Clock;
use crate::observe::metrics::SPREAD_BUCKETS;

/// A job in the queue.
pub(super) struct Queued {
    pub(super) job: Box<dyn Job>,
    pub(super) at: Instant,
}

/// Where jobs are handed in. Cheap to clone; the writer ends when the last one is dropped.
#[derive(Clone)]
pub struct WriterHandle {
    queue: SyncSender<Queued>,
    view: WriterView,
}

/// The two ends of a writer's queue, which holds this many jobs. The writer counts its time from `began`.
pub(super) fn queue(
    state: Arc<WriterState>,
    jobs: usize,
    clock: Clock,
    began: Instant,
) -> (WriterHandle, Receiver<Queued>) {
    let (queue, jobs) = sync_channel(jobs);
    (WriterHandle { queue, view: WriterView { state, clock, began } }, jobs)
}

impl WriterHandle {
    /// Hands in a job without waiting. While the storage takes no changes, it is settled at once.
    ///
    /// # Errors
    /// Gives the job back when the queue is full (or the writer has ended): the change did not happen.
    pub fn submit(&self, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        let WriterView { state, clock, .. } = &self.view;
        if let Some(fault) = state.fault() {
            state.count_refused();
            job.settle(Err(StoreError::ReadOnly(fault)));
            return Ok(());
        }
        // Counted first, so that the count never runs below what waits.
        state.enqueue();
        self.queue.try_send(Queued { job, at: clock.instant() }).map_err(|refused| {
            state.dequeue();
            match refused {
                TrySendError::Full(queued) | TrySendError::Disconnected(queued) => queued.job,
            }
        })
    }

    /// What can be seen of the writer.
    pub fn view(&self) -> &WriterView {
        &self.view
    }
}

/// Looks at a writer from outside, and does not keep it running. Clones look at the same.
#[derive(Clone)]
pub struct WriterView {
    state: Arc<WriterState>,
    clock: Clock,
    began: Instant,
}

impl WriterView {
    /// Commits so far.
    pub fn commits(&self) -> u64 {
        self.state.commits()
    }

    /// Commits so far, by how long they took.
    pub fn commit_times(&self) -> [u64; SPREAD_BUCKETS] {
        self.state.commit_times().counts()
    }

    /// Jobs that wait.
    pub fn queued(&self) -> usize {
        self.state.queued()
    }

    /// Why the storage takes no changes at present, if it takes none.
    pub fn read_only(&self) -> Option<Fault> {
        self.state.fault()
    }

    /// What has happened to the files that are written to, if they are no longer where others look for them.
    pub fn displaced(&self) -> Option<String> {
        self.state.displaced()
    }

    /// How long the running batch has been running, if one is.
    pub fn busy_for(&self) -> Option<Duration> {
        self.state.busy_for(self.began, &self.clock)
    }
}
