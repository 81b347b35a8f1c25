//! Removing what is no longer wanted: found by reading, in slices, and removed in small jobs that wait in the writer's queue
//! like everyone else's changes, one at a time. Whatever ends a run, the next one goes on.

use std::rc::Rc;

use super::chore::run_chore;
use super::error::{ChoreError, Error};
use super::handle::WriterHandle;
use super::reader::Reader;
use super::tx::Tx;
use crate::housekeeper::Stop;

/// Prunes again and again.
pub struct Pruner {
    reader: Rc<Reader>,
    writer: WriterHandle,
    /// What the log says when the rest has to wait for the next run.
    put_off: &'static str,
    /// [`Reader::version`] before a run that came to its end.
    tidy_at: Option<u64>,
}

/// What a run has removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Rows, or whatever its jobs count.
    pub rows: u64,
    /// In how many jobs.
    pub jobs: u64,
}

/// One run.
pub struct Run<'a> {
    /// For finding what to remove.
    pub reader: &'a Reader,
    writer: &'a WriterHandle,
    stop: &'a Stop,
    pruned: Pruned,
}

impl Run<'_> {
    /// Fails when the run should end: asked between two slices.
    ///
    /// # Errors
    /// [`ChoreError::Stopping`].
    pub fn go_on(&self) -> Result<(), ChoreError> {
        if self.stop.asked() { Err(ChoreError::Stopping) } else { Ok(()) }
    }

    /// Removes some, in one job of the writer, and waits for it. How many it was.
    ///
    /// # Errors
    /// When the run should end, or the job did not happen; nothing is removed then.
    pub fn remove(
        &mut self,
        work: impl FnMut(&mut Tx<'_>) -> Result<u64, Error> + Send + 'static,
    ) -> Result<u64, ChoreError> {
        self.go_on()?;
        let rows = run_chore(self.writer, work)?;
        self.pruned.rows += rows;
        self.pruned.jobs += 1;
        Ok(rows)
    }
}

impl Pruner {
    /// One that finds by this reader and removes by this writer. `put_off` names the line of the log that says why a run did
    /// not come to its end.
    pub fn new(reader: Rc<Reader>, writer: WriterHandle, put_off: &'static str) -> Self {
        Self { reader, writer, put_off, tidy_at: None }
    }

    /// What it reads by.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Whether nothing was committed since a run came to its end and removed nothing.
    pub fn is_tidy(&self) -> bool {
        self.tidy_at.is_some() && self.tidy_at == self.reader.version()
    }

    /// Runs once. Returns what was removed, and what `prune` returns if it came to its end.
    pub fn run<T>(
        &mut self,
        stop: &Stop,
        prune: impl FnOnce(&mut Run<'_>) -> Result<T, ChoreError>,
    ) -> (Pruned, Option<T>) {
        let version = self.reader.version();
        let mut run = Run { reader: &self.reader, writer: &self.writer, stop, pruned: Pruned::default() };
        let ended = prune(&mut run);
        let pruned = run.pruned;
        let done = match ended {
            Ok(done) => {
                self.tidy_at = version;
                Some(done)
            }
            Err(ChoreError::Stopping) => None,
            Err(reason) => {
                log::warn!(error = reason.to_string(); "{}", self.put_off);
                None
            }
        };
        (pruned, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::store::testing::House;

    /// Two rows a job, until there are none.
    fn prune(run: &mut Run<'_>) -> Result<(), ChoreError> {
        loop {
            let removed = run.remove(|tx| tx.change("DELETE FROM t WHERE x IN (SELECT x FROM t LIMIT 2)", &[]))?;
            if removed == 0 {
                return Ok(());
            }
        }
    }

    fn house() -> (House, Pruner) {
        let house = House::at(Timestamp(0), &[]);
        house.batch("CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1), (2), (3), (4), (5)");
        let pruner = Pruner::new(Rc::clone(&house.reader), house.handle(), "put_off");
        (house, pruner)
    }

    #[test]
    fn a_run_comes_to_its_end_in_small_jobs_and_the_next_one_has_nothing_to_look_at() {
        let ((house, mut pruner), (_goes_on, stop)) = (house(), Stop::channel());
        assert!(!pruner.is_tidy());
        assert_eq!(pruner.run(&stop, prune), (Pruned { rows: 5, jobs: 4 }, Some(())));
        assert!(!pruner.is_tidy(), "its own jobs were commits");
        assert_eq!(pruner.run(&stop, |_| Ok(7)), (Pruned::default(), Some(7)));
        assert!(pruner.is_tidy());
        house.write(|_| {});
        assert!(!pruner.is_tidy());
        drop(pruner);
        house.end();
    }

    #[test]
    fn a_stop_a_full_queue_or_a_failure_puts_the_rest_off() {
        let ((house, mut pruner), (goes_on, stop)) = (house(), Stop::channel());
        let busy = house.busy();
        assert_eq!(pruner.run(&stop, prune), (Pruned::default(), None), "changes of clients go first");
        busy.release();
        house.batch(
            "CREATE TRIGGER stands BEFORE DELETE ON t WHEN OLD.x = 4 BEGIN SELECT raise(ABORT, 'it stands'); END",
        );
        assert_eq!(pruner.run(&stop, prune), (Pruned { rows: 2, jobs: 1 }, None));
        assert_eq!(house.reader.number("SELECT count(*) FROM t"), 3, "all of a job or nothing");
        house.batch("DROP TRIGGER stands");
        drop(goes_on);
        assert_eq!(pruner.run(&stop, prune), (Pruned::default(), None));
        assert!(!pruner.is_tidy());
        let (_goes_on, stop) = Stop::channel();
        assert_eq!(pruner.run(&stop, prune).1, Some(()));
        drop(pruner);
        house.end();
    }
}
