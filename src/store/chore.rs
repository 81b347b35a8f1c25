//! Changes that the house makes by itself: the housekeeper's, one small job at a time.

use std::sync::mpsc::{SyncSender, sync_channel};

use super::writer::{Job, JobTimes, StoreError, Tx, Verdict, WriterHandle};

/// Why a chore has to be taken up again later.
#[derive(Debug, thiserror::Error)]
pub enum PutOff {
    /// SQLite did not do it.
    #[error("the database refused: {0}")]
    Refused(#[from] rusqlite::Error),
    /// Changes of clients go first.
    #[error("too many changes are waiting to be written")]
    QueueFull,
    /// Its transaction came to nothing.
    #[error(transparent)]
    Failed(#[from] StoreError),
    /// There is no writer any more.
    #[error("the writer has ended")]
    NoWriter,
    /// It was asked to stop between two jobs.
    #[error("the server stops")]
    Stopping,
}

/// Hands in one job and waits until it is settled, so that there is never more than one of the caller's in the queue.
/// Not for shards, which never wait. Returns what `work` did, as a count.
///
/// # Errors
/// When it did not happen; nothing is changed then.
pub fn run_chore<W>(writer: &WriterHandle, work: W) -> Result<usize, PutOff>
where
    W: FnMut(&mut Tx<'_>) -> rusqlite::Result<usize> + Send + 'static,
{
    let (settled, outcome) = sync_channel(1);
    let job = Box::new(Chore { work, result: Ok(0), settled });
    writer.submit(job).map_err(|_| PutOff::QueueFull)?;
    outcome.recv().map_err(|_| PutOff::NoWriter)?
}

struct Chore<W> {
    work: W,
    result: rusqlite::Result<usize>,
    settled: SyncSender<Result<usize, PutOff>>,
}

impl<W: FnMut(&mut Tx<'_>) -> rusqlite::Result<usize> + Send> Job for Chore<W> {
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        self.result = (self.work)(tx);
        if self.result.is_ok() { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        let Self { result, settled, .. } = *self;
        // The channel has room for the one thing ever sent, and its other end is waiting.
        let _ = settled.send(outcome.map_err(PutOff::from).and_then(|_| Ok(result?)));
    }
}
