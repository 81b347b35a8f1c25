//! A change, or the attempt at one.

use std::time::Duration;

use super::error::StoreError;
use super::tx::Tx;

/// What a job decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Commit what it did.
    Keep,
    /// Undo what it did.
    Undo,
}

/// A change, or the attempt at one.
pub trait Job: Send {
    /// Runs on the writer, inside a savepoint. What it returns is kept by the job until it is settled. It may be run once
    /// more when its transaction was undone, and then begins from nothing: it keeps nothing of the run before.
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict;

    /// Called once, on the writer after the commit's fsync or after the failure, or on the thread that hands it in when
    /// it is refused at once; must be quick. `Ok` means that the verdict was carried out; `Err` says what is known.
    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>);
}

/// How long the parts of a job took.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobTimes {
    /// From being handed over to the beginning of its batch.
    pub queued: Duration,
    /// From there to the end of the fsync.
    pub commit: Duration,
}
