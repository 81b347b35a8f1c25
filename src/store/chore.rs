//! Changes that the house makes by itself: the housekeeper's, one small job at a time.

use std::sync::mpsc::{SyncSender, sync_channel};

use super::error::{ChoreError, Error, StoreError};
use super::handle::WriterHandle;
use super::job::{Job, JobTimes, Verdict};
use super::tx::Tx;

/// Hands in one job and waits until it is settled, so that there is never more than one of the caller's in the queue.
/// Not for shards, which never wait. Returns what `work` did, as a count.
///
/// # Errors
/// When it did not happen; nothing is changed then.
pub fn run_chore<W>(writer: &WriterHandle, work: W) -> Result<u64, ChoreError>
where
    W: FnMut(&mut Tx<'_>) -> Result<u64, Error> + Send + 'static,
{
    let (settled, outcome) = sync_channel(1);
    let job = Box::new(Chore { work, result: Ok(0), settled });
    writer.submit(job).map_err(|_| ChoreError::QueueFull)?;
    outcome.recv().map_err(|_| ChoreError::NoWriter)?
}

struct Chore<W> {
    work: W,
    result: Result<u64, Error>,
    settled: SyncSender<Result<u64, ChoreError>>,
}

impl<W: FnMut(&mut Tx<'_>) -> Result<u64, Error> + Send> Job for Chore<W> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        self.result = (self.work)(tx);
        if self.result.is_ok() { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        let Self { work, result, settled } = *self;
        // Whoever waits finds nothing held any more by what is done.
        drop(work);
        // The channel has room for the one thing ever sent, and its other end is waiting.
        let _ = settled.send(outcome.map_err(ChoreError::from).and_then(|_| Ok(result?)));
    }
}
