//! The one thread that changes the database, and group commit.
//!
//! Jobs wait in a bounded queue. The writer takes all that wait (at most [`BATCH_MAX`]), runs each in a savepoint of
//! its own inside one transaction, commits once, and only then settles them: events first, in order, then each job's
//! answer. There is no delay to gather more: the running commit is the window in which the next batch gathers.
//!
//! A job that fails, or panics, rolls back alone. When the transaction itself fails, every job in it is told
//! [`StoreError`].
//!
//! When the storage is at fault ([`Fault`]: disk full, I/O error, …), the writer is read-only from then on: changes are
//! refused where they are handed in, without touching the disk, until a row of our own has been committed again. That is
//! tried every [`PROBE_EVERY`].
//!
//! When a copy of the database is wanted ([`super::copy`]), its steps come between the commits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::backup::Backup;
use rusqlite::wal::CheckpointMode;
use rusqlite::{ErrorCode, ffi};

use super::copying::{Copied, CopyTarget, Copying, Steps};
use super::fault::fault_of;
use super::last_change::LastChange;
use super::open::Store;
use super::reserve;
use crate::clock::{Clock, Timekeeper, Timestamp};
use crate::observe;
use crate::store::error::{CopyError, Error, StoreError};
use crate::store::event::Publisher;
use crate::store::fault::Fault;
use crate::store::handle::{Queued, WriterHandle, queue};
use crate::store::job::{Job, JobTimes, Verdict};
use crate::store::tx::{Effects, PROBE, Tx};

/// Jobs in one commit, at most.
pub(super) const BATCH_MAX: usize = 256;
/// Rows changed after which the write-ahead log is moved into the database, between two batches. An append changes four.
/// That is some megabytes of log, or some tens when each row lies on a page of its own.
pub(super) const CHECKPOINT_EVERY_ROWS: u64 = 8_000;
/// When the log still has this many pages after a checkpoint, readers kept it from being reused: wait for them once.
pub(super) const WAL_PAGES_MAX: i32 = 16_384;
/// From one attempt to write again to the next, while the storage takes no changes.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// What a page that was moved counts for [`CHECKPOINT_EVERY_ROWS`]: with what refers to it, some pages of the log.
const ROWS_PER_MOVED_PAGE: u64 = 8;

/// Writes nothing, but asks whether it might.
const MAY_WRITE: &str = "UPDATE probe SET probed_at = probed_at WHERE FALSE";

/// The running writer.
pub struct Writer {
    handle: WriterHandle,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Starts the writer on an open store. `queue_jobs` bounds the queue; `publisher` is told of every event.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(
        store: Store,
        queue_jobs: usize,
        publisher: Arc<dyn Publisher>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let began = clock.instant();
        let (handle, jobs) = queue(Arc::clone(&store.state), queue_jobs, clock.clone(), began);
        let write = move || {
            WriterThread::new(&store, jobs, publisher, clock, began).run();
            let Store { connection, lock, .. } = store;
            if let Err((_, error)) = connection.0.close() {
                log::error!(error = error.to_string(); "store.close_failed");
            }
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(|| observe::exit_on_panic(write))?;
        Ok(Self { handle, thread })
    }

    /// A place to hand in jobs.
    #[must_use]
    pub fn handle(&self) -> WriterHandle {
        self.handle.clone()
    }

    /// Commits what still waits, moves the log into the database and closes it. Every other handle must be gone.
    pub fn stop(self) {
        drop(self.handle);
        if self.thread.join().is_err() {
            log::error!(thread = "writer"; "thread.panicked");
        }
    }
}

struct WriterThread<'s> {
    /// Lent, so that a copy can hold on to its connection while batches are committed.
    store: &'s Store,
    jobs: Receiver<Queued>,
    publisher: Arc<dyn Publisher>,
    clock: Clock,
    began: Instant,
    /// The time of the last change, below which no later one goes.
    last: Timestamp,
    last_change: LastChange,
    /// Rows changed by this connection up to the last checkpoint.
    rows_at_checkpoint: u64,
    batch: Vec<BatchEntry>,
    /// What the jobs of the batch have asked for beside rows; pages moved are counted since the last checkpoint.
    effects: Effects,
    /// While the storage takes no changes.
    read_only: Option<ReadOnlyPeriod>,
}

/// A time in which the storage takes no changes.
struct ReadOnlyPeriod {
    fault: Fault,
    began: Instant,
    probe_at: Instant,
    probes: u64,
}

/// What the writer has to do next.
enum NextStep {
    Commit(Queued),
    Refuse(Queued, Fault),
    Probe,
}

/// A job of the running batch.
struct BatchEntry {
    job: Box<dyn Job>,
    queued: Duration,
    end: JobEnd,
}

/// How a job came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JobEnd {
    /// It is kept or undone as it wished; when the transaction is lost, so is it.
    Judged,
    Panicked,
    /// It was undone because it met a damaged page, and would have been however the transaction went on.
    Damaged,
}

/// A transaction that came to nothing.
struct LostTransaction {
    error: rusqlite::Error,
    /// Whether it may be there after a crash all the same.
    in_doubt: bool,
}

impl LostTransaction {
    fn before_commit(error: rusqlite::Error) -> Self {
        Self { error, in_doubt: false }
    }

    /// Only a full disk is sure to be met before the frame that makes the commit is whole. After that SQLite can still
    /// fail, at the fsync and when it enlarges its index of the log, and takes the change back in memory.
    fn at_commit(error: rusqlite::Error) -> Self {
        let in_doubt = fault_of(&error) != Some(Fault::Full);
        Self { error, in_doubt }
    }
}

impl<'s> WriterThread<'s> {
    fn new(
        store: &'s Store,
        jobs: Receiver<Queued>,
        publisher: Arc<dyn Publisher>,
        clock: Clock,
        began: Instant,
    ) -> Self {
        let last_change = store.last_change.clone();
        let behind = last_change.noted().0.saturating_sub(clock.now().0);
        if behind > 0 {
            // Times of changes stand still until the clock has caught up, or is known to be right.
            log::warn!(seconds = behind / 1_000_000; "store.clock_behind_the_last_change");
        }
        Self {
            store,
            jobs,
            publisher,
            clock,
            began,
            last: last_change.bound(),
            last_change,
            rows_at_checkpoint: 0,
            batch: Vec::with_capacity(BATCH_MAX),
            effects: Effects::default(),
            read_only: None,
        }
    }

    fn run(&mut self) {
        while let Some(turn) = self.next() {
            self.take(turn);
            if let Some(Copying { mut to, wanted, done }) = self.effects.copying.take() {
                let copied = self.copy(&mut to, &wanted).map(|steps| Copied { to, steps });
                // Who has left does not want it.
                let _ = done.send(copied);
            }
        }
        self.checkpoint(CheckpointMode::TRUNCATE);
    }

    fn take(&mut self, turn: NextStep) {
        match turn {
            NextStep::Commit(first) => {
                self.commit_batch(first);
                let rows = self.store.connection.0.total_changes() - self.rows_at_checkpoint;
                if rows + self.effects.moved_pages * ROWS_PER_MOVED_PAGE >= CHECKPOINT_EVERY_ROWS {
                    self.checkpoint(CheckpointMode::PASSIVE);
                }
            }
            NextStep::Refuse(queued, fault) => self.refuse(queued, fault),
            NextStep::Probe => self.probe(),
        }
    }

    /// Copies the database step by step, and commits between two steps what has come in. Whatever goes wrong is the
    /// copy's own matter.
    fn copy(&mut self, to: &mut CopyTarget, wanted: &Weak<()>) -> Result<u32, CopyError> {
        let store = self.store;
        let backup = Backup::new(&store.connection.0, &mut to.0).map_err(Error::from)?;
        let mut steps = Steps::default();
        loop {
            match self.jobs.try_recv() {
                Ok(first) => self.take(NextStep::Commit(first)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(CopyError::GivenUp),
            }
            if let Some(period) = &self.read_only {
                return Err(CopyError::Storage(period.fault));
            }
            if wanted.strong_count() == 0 {
                return Err(CopyError::GivenUp);
            }
            self.begin_work(self.clock.instant());
            let last = steps.take(&backup);
            self.end_work();
            if last? {
                return Ok(steps.taken);
            }
        }
    }

    /// Waits for what to do; nothing when nobody can hand in jobs any more.
    fn next(&self) -> Option<NextStep> {
        let Some(period) = &self.read_only else { return self.jobs.recv().ok().map(NextStep::Commit) };
        let wait = period.probe_at.saturating_duration_since(self.clock.instant());
        if wait.is_zero() {
            return Some(NextStep::Probe);
        }
        match self.jobs.recv_timeout(wait) {
            Ok(queued) => Some(NextStep::Refuse(queued, period.fault)),
            Err(RecvTimeoutError::Timeout) => Some(NextStep::Probe),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// One transaction: `first` and everything that waits behind it.
    fn commit_batch(&mut self, first: Queued) {
        let began = self.clock.instant();
        self.begin_work(began);
        let last = self.last;
        let committed = self.run_batch(first, began);
        self.last_change.settle(committed.is_ok());
        if committed.is_err() {
            // What came to nothing has not taken time back either.
            self.last = self.last.max(last);
        }
        self.store.state.set_newest(self.last);
        let mut fault = None;
        match &committed {
            Ok(()) => {
                self.store.state.count_commit();
                let took = self.clock.instant().saturating_duration_since(began);
                self.store.metrics.committed(self.batch.len(), took);
                for work in self.effects.deferred.drain(..) {
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
                if !self.effects.events.is_empty() {
                    // A listener must not be able to end the writer; the panic hook has logged what happened.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.publisher.publish(&mut self.effects.events)));
                }
            }
            Err(loss) => {
                self.roll_back();
                self.effects.copying = None;
                fault = self.fault_behind(&loss.error);
                // Before anybody is told, so that who is refused and asks why finds the reason.
                self.store.state.forget_refused();
                self.store.state.set_fault(fault);
            }
        }
        self.effects.undo((0, 0));
        let commit = self.clock.instant().saturating_duration_since(began);
        let jobs = self.batch.len();
        for BatchEntry { job, queued, end } in self.batch.drain(..) {
            settle(
                job,
                match (&committed, end) {
                    (_, JobEnd::Damaged) | (Ok(()), JobEnd::Judged) => Ok(JobTimes { queued, commit }),
                    (Ok(()), JobEnd::Panicked) => Err(StoreError::Panicked),
                    (Err(loss), _) if loss.in_doubt => Err(StoreError::Failed((&loss.error).into())),
                    (Err(loss), _) => Err(match fault {
                        Some(fault) => StoreError::ReadOnly(fault),
                        None => StoreError::Undone((&loss.error).into()),
                    }),
                },
            );
        }
        if let Err(loss) = committed {
            match fault {
                Some(fault) => self.begin_read_only(fault, &loss, jobs),
                None => log::error!(error = loss.error.to_string(), jobs; "store.commit_failed"),
            }
        }
        self.end_work();
    }

    fn begin_work(&self, at: Instant) {
        self.store.state.begin_work(at.saturating_duration_since(self.began));
    }

    fn end_work(&self) {
        self.store.state.end_work();
    }

    fn run_batch(&mut self, first: Queued, began: Instant) -> Result<(), LostTransaction> {
        let rows = self.store.connection.0.total_changes();
        let mut lost = self.execute("BEGIN IMMEDIATE").map_err(LostTransaction::before_commit).err();
        let mut next = Some(first);
        while let Some(Queued { mut job, at }) = next {
            self.store.state.dequeue();
            let mut end = JobEnd::Judged;
            if lost.is_none() {
                match self.run_job(job.as_mut()) {
                    Ok(ended) => end = ended,
                    Err(error) => lost = Some(LostTransaction::before_commit(error)),
                }
            }
            // A job that arrives during the batch has a queue time of zero.
            let queued = began.saturating_duration_since(at);
            self.store.metrics.waited(queued);
            self.batch.push(BatchEntry { job, queued, end });
            if end == JobEnd::Damaged {
                // SQLite commits nothing any more of a transaction that has met a damaged page.
                return Err(LostTransaction::before_commit(rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_CORRUPT),
                    Some("a change in this transaction met a damaged page".to_owned()),
                )));
            }
            next = if self.batch.len() < BATCH_MAX { self.jobs.try_recv().ok() } else { None };
        }
        match lost {
            None => {
                // A transaction without a change of a row costs no fsync, and should not.
                if self.store.connection.0.total_changes() > rows {
                    let noted = self.last_change.note(&self.store.connection, self.last);
                    noted.map_err(LostTransaction::before_commit)?;
                }
                self.execute("COMMIT").map_err(LostTransaction::at_commit)
            }
            Some(loss) => Err(loss),
        }
    }

    /// Runs one job in its savepoint. Fails when the transaction is lost, and with it every job in it.
    fn run_job(&mut self, job: &mut dyn Job) -> rusqlite::Result<JobEnd> {
        self.execute("SAVEPOINT job")?;
        let mark = self.effects.mark();
        let now = self.store.timekeeper.as_ref().map_or_else(|| self.clock.now(), Timekeeper::now);
        let mut tx = Tx::new(&self.store.connection, self.last, now, &mut self.effects);
        // What a panic leaves half done is rolled back below, so nobody sees a broken state.
        let verdict = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        let is_kept = matches!(verdict, Ok(Verdict::Keep));
        self.last = if is_kept { tx.now() } else { tx.now().max(self.last) };
        // On a full disk or an I/O error SQLite may already have rolled everything back by itself. Which, the job knows.
        if self.store.connection.0.is_autocommit() {
            return Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK),
                Some("SQLite gave the transaction up, as on a full disk or an I/O error".to_owned()),
            ));
        }
        let mut end = if verdict.is_err() { JobEnd::Panicked } else { JobEnd::Judged };
        if !is_kept {
            self.effects.undo(mark);
            self.execute("ROLLBACK TO job")?;
            let barred = self.execute(MAY_WRITE).err().and_then(|error| error.sqlite_error_code());
            if barred == Some(ErrorCode::DatabaseCorrupt) && end == JobEnd::Judged {
                end = JobEnd::Damaged;
            }
        }
        self.execute("RELEASE job")?;
        Ok(end)
    }

    fn roll_back(&self) {
        if !self.store.connection.0.is_autocommit() {
            // Nothing can be done if even this fails; the next BEGIN will, and say so.
            let _ = self.store.connection.0.execute_batch("ROLLBACK");
        }
    }

    /// What the loss of a transaction says about the storage. Where it could have been about one page only, as when SQLite
    /// has given up within a job, a row of our own decides.
    fn fault_behind(&mut self, error: &rusqlite::Error) -> Option<Fault> {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationAborted | ErrorCode::DatabaseCorrupt) => {
                self.commit_probe().err().and_then(|error| fault_of(&error))
            }
            _ => fault_of(error),
        }
    }

    /// From here on no changes are taken.
    fn begin_read_only(&mut self, fault: Fault, loss: &LostTransaction, failed: usize) {
        while let Ok(queued) = self.jobs.try_recv() {
            self.refuse(queued, fault);
        }
        let reserve_released = fault == Fault::Full && self.make_room();
        let now = self.clock.instant();
        self.read_only = Some(ReadOnlyPeriod { fault, began: now, probe_at: now + PROBE_EVERY, probes: 0 });
        log::error!(
            error = loss.error.to_string(), reason = fault.reason(), failed,
            refused = self.store.state.refused(), reserve_released;
            "store.readonly"
        );
    }

    /// Gives up the reserve, and puts the room to its first use: once the log lies in the database it takes up nothing.
    fn make_room(&mut self) -> bool {
        let released = self.store.reserve.release();
        self.checkpoint(CheckpointMode::TRUNCATE);
        released
    }

    fn refuse(&self, queued: Queued, fault: Fault) {
        let state = &self.store.state;
        state.dequeue();
        state.count_refused();
        settle(queued.job, Err(StoreError::ReadOnly(fault)));
    }

    /// Tries whether the storage takes changes again.
    fn probe(&mut self) {
        let Some(ReadOnlyPeriod { fault, began, probes, .. }) = self.read_only.take() else { return };
        let probes = probes + 1;
        let taken = self.restore_reserve(fault).map_err(|error| (error.to_string(), Some(Fault::Full)));
        let taken = taken.and_then(|()| self.commit_probe().map_err(|error| (error.to_string(), fault_of(&error))));
        let now = self.clock.instant();
        let Err((error, found)) = taken else {
            let refused = self.store.state.refused();
            let seconds = now.saturating_duration_since(began).as_secs();
            log::warn!(reason = fault.reason(), refused, probes, seconds; "store.writable");
            self.store.state.set_fault(None);
            return;
        };
        log::debug!(error, probes; "store.still_readonly");
        let fault = found.unwrap_or(fault);
        if fault == Fault::Full {
            self.make_room();
        }
        self.store.state.set_fault(Some(fault));
        self.read_only = Some(ReadOnlyPeriod { fault, began, probe_at: self.clock.instant() + PROBE_EVERY, probes });
    }

    /// After a full disk there must be room for the reserve first: without it, the room that it left would be taken for
    /// room enough.
    fn restore_reserve(&self, fault: Fault) -> std::io::Result<()> {
        if fault != Fault::Full {
            return Ok(());
        }
        match self.store.reserve.make() {
            Err(error) if !reserve::is_full(&error) => {
                log::warn!(error = error.to_string(); "store.reserve_failed");
                Ok(())
            }
            made => made,
        }
    }

    /// A transaction of our own.
    fn commit_probe(&mut self) -> rusqlite::Result<()> {
        let probed_at = self.clock.now();
        let committed = self
            .execute("BEGIN IMMEDIATE")
            .and_then(|()| self.store.connection.0.prepare_cached(PROBE)?.execute([probed_at.0]))
            .and_then(|_| self.execute("COMMIT"));
        match &committed {
            Ok(()) => {
                self.store.state.count_commit();
            }
            Err(_) => self.roll_back(),
        }
        committed
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.store.connection.0.prepare_cached(sql)?.execute(()).map(|_| ())
    }

    fn checkpoint(&mut self, mode: CheckpointMode) {
        let began = self.clock.instant();
        self.rows_at_checkpoint = self.store.connection.0.total_changes();
        self.effects.moved_pages = 0;
        let mut moved = self.store.connection.0.wal_checkpoint_v2(None::<&str>, mode);
        if matches!(moved, Ok((pages, done)) if pages > WAL_PAGES_MAX && done < pages) {
            moved = self.store.connection.0.wal_checkpoint_v2(None::<&str>, CheckpointMode::RESTART);
        }
        let took = self.clock.instant().saturating_duration_since(began);
        self.store.metrics.checkpointed(took, matches!(moved, Ok((pages, done)) if done >= pages));
        match moved {
            Ok((pages, done)) => log::debug!(pages, done, us = took.as_micros() as u64; "store.checkpoint"),
            // While nothing can be written this is no news.
            Err(error) if self.store.state.fault().is_some() => {
                log::debug!(error = error.to_string(); "store.checkpoint_failed");
            }
            // A reader in the way is no harm: the next checkpoint takes its pages along.
            Err(error) => log::warn!(error = error.to_string(); "store.checkpoint_failed"),
        }
    }
}

/// A job must not be able to end the writer; the panic hook has logged what happened.
fn settle(job: Box<dyn Job>, outcome: Result<JobTimes, StoreError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| job.settle(outcome)));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use parking_lot::Mutex;

    use rusqlite::Connection;

    use super::super::last_change::last_change;
    use super::*;
    use crate::net::Frame;
    use crate::observe::metrics::Metrics;
    use crate::store::counters::Counters;
    use crate::store::event::{Event, Space, Topic};
    use crate::store::reader::Query as _;
    use crate::store::testing::opened;

    type Outcome = Result<JobTimes, StoreError>;

    /// A job made of a closure; tells the test how it was settled.
    struct Probe<F>(F, Sender<(&'static str, Outcome)>, &'static str);

    impl<F: FnMut(&mut Tx<'_>) -> Verdict + Send> Job for Probe<F> {
        fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
            (self.0)(tx)
        }
        fn settle(self: Box<Self>, outcome: Outcome) {
            self.1.send((self.2, outcome)).unwrap();
        }
    }

    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);

    impl Publisher for Heard {
        fn publish(&self, events: &mut Vec<Event>) {
            self.0.lock().extend_from_slice(events);
        }
    }

    fn event(seq: i64) -> Event {
        static SPACE: Space = Space { name: "tests", log_field: "test", encode: |_, _| Frame::ping() };
        let (topic, data) = (Topic::new(&SPACE, "t"), "{}".into());
        Event { topic, seq, kind: "k", data, request_id: "r".into(), at: Timestamp(0) }
    }

    fn mark(tx: &mut Tx<'_>, at: i64) {
        tx.run(
            "INSERT INTO probe (id, probed_at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET probed_at = ?1",
            &[at.into()],
        )
        .unwrap();
    }

    /// A store with a table for rows of any size, one of which refers to another.
    fn with_table(path: &std::path::Path) -> Store {
        let store = opened(path);
        let table =
            "CREATE TABLE filled (id INTEGER PRIMARY KEY, text TEXT, other INTEGER REFERENCES filled (id)) STRICT";
        store.connection.batch(table).unwrap();
        store
    }

    #[test]
    fn a_failing_and_a_panicking_job_roll_back_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = opened(&directory.path().join("a.db"));
        let metrics = Metrics::default();
        store.count_by(Arc::new(Counters::new(&metrics)));
        let reader = store.reader().unwrap();
        let heard = Arc::new(Heard::default());
        let writer = Writer::start(store, 16, Arc::clone(&heard) as _, Clock::system()).unwrap();
        let handle = writer.handle();
        let (settled, outcomes) = channel();
        // The first job holds the writer until the other three wait, so that they share a batch.
        let (go, wait) = channel::<()>();
        let wait = Mutex::new(wait);
        let first = move |tx: &mut Tx<'_>| {
            wait.lock().recv().unwrap();
            mark(tx, 1);
            tx.publish(event(1));
            Verdict::Keep
        };
        let undone = |tx: &mut Tx<'_>| {
            mark(tx, 2);
            tx.publish(event(2));
            Verdict::Undo
        };
        let panics = |tx: &mut Tx<'_>| {
            mark(tx, 3);
            tx.publish(event(3));
            panic!("on purpose")
        };
        let last = |tx: &mut Tx<'_>| {
            let seen: Option<i64> = tx.one("SELECT probed_at FROM probe", &[], |row| row.get(0)).unwrap();
            assert_eq!(seen, Some(1));
            tx.publish(event(4));
            Verdict::Keep
        };
        handle.submit(Box::new(Probe(first, settled.clone(), "first"))).ok().unwrap();
        handle.submit(Box::new(Probe(undone, settled.clone(), "undone"))).ok().unwrap();
        handle.submit(Box::new(Probe(panics, settled.clone(), "panics"))).ok().unwrap();
        handle.submit(Box::new(Probe(last, settled, "last"))).ok().unwrap();
        go.send(()).unwrap();
        let outcomes: Vec<_> = outcomes.iter().take(4).collect();
        let names: Vec<_> = outcomes.iter().map(|(name, outcome)| (*name, outcome.is_ok())).collect();
        assert_eq!(names, [("first", true), ("undone", true), ("panics", false), ("last", true)]);
        assert_eq!(heard.0.lock().iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 4]);
        assert_eq!(reader.version(), Some(1));
        drop(handle);
        writer.stop();
        let log = std::fs::metadata(directory.path().join("a.db-wal")).unwrap().len();
        assert_eq!(log, 0, "the log was not moved into the database");
        let counted = metrics.encode();
        for line in [
            "commit_batch_jobs_sum 4.0",
            "commit_batch_jobs_count 1",
            "commit_duration_seconds_count 1",
            "writer_queue_wait_seconds_count 4",
            "checkpoint_duration_seconds_count 1",
            "checkpoint_busy_total 0",
        ] {
            assert!(counted.lines().any(|known| known == line), "{line} is not in\n{counted}");
        }
    }

    #[test]
    fn what_is_deferred_runs_after_the_commit_of_what_is_kept_and_is_dropped_otherwise() {
        struct Dropped(Sender<&'static str>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.send("dropped").unwrap();
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let store = with_table(&directory.path().join("a.db"));
        let reader = store.reader().unwrap();
        let writer = Writer::start(store, 16, Arc::new(Heard::default()), Clock::system()).unwrap();
        let (settled, outcomes) = channel();
        let (told, tells) = channel();
        let run = |verdict, doomed: bool| {
            let mut held = Some(Dropped(told.clone()));
            let job = move |tx: &mut Tx<'_>| {
                let held = held.take().unwrap();
                tx.after_commit(move || held.0.send("ran").unwrap());
                mark(tx, 1);
                if doomed {
                    // A foreign key that leads nowhere is found by the commit.
                    tx.batch("PRAGMA defer_foreign_keys = ON; INSERT INTO filled VALUES (1, '', 404)").unwrap();
                }
                verdict
            };
            writer.handle().submit(Box::new(Probe(job, settled.clone(), ""))).ok().unwrap();
            let outcome = outcomes.recv().unwrap().1;
            assert_eq!(outcome.is_err(), doomed);
            tells.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(run(Verdict::Keep, false), ["ran", "dropped"]);
        assert_eq!(reader.version(), Some(1));
        assert_eq!(run(Verdict::Undo, false), ["dropped"]);
        assert_eq!(run(Verdict::Keep, true), ["dropped"]);
        assert_eq!(run(Verdict::Keep, false), ["ran", "dropped"]);
        writer.stop();
    }

    #[test]
    fn the_log_is_moved_into_the_database_after_so_many_rows_in_however_few_jobs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let writer = Writer::start(with_table(&path), 16, Arc::new(Heard::default()), Clock::manual(Timestamp(0)));
        let writer = writer.unwrap();
        let (settled, outcomes) = channel();
        let bytes_after = |rows: u64| {
            let insert = move |tx: &mut Tx<'_>| {
                let rows = i64::try_from(rows).unwrap();
                let sql = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers LIMIT ?1) \
                           INSERT INTO filled (text) SELECT hex(randomblob(16)) FROM numbers";
                tx.run(sql, &[rows.into()]).unwrap();
                Verdict::Keep
            };
            // A job is settled before the checkpoint that it may lead to; the next one begins after that.
            let nothing = |_: &mut Tx<'_>| Verdict::Keep;
            for job in [
                Box::new(Probe(insert, settled.clone(), "")) as Box<dyn Job>,
                Box::new(Probe(nothing, settled.clone(), "")),
            ] {
                writer.handle().submit(job).ok().unwrap();
                outcomes.recv().unwrap().1.unwrap();
            }
            std::fs::metadata(&path).unwrap().len()
        };
        // One row is the note of the last change.
        let before = bytes_after(1);
        assert_eq!(bytes_after(CHECKPOINT_EVERY_ROWS - 3), before);
        assert!(bytes_after(1) > before);
        writer.stop();
    }

    #[test]
    fn a_full_queue_gives_the_job_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let writer = Writer::start(store, 2, Arc::new(Heard::default()), Clock::system()).unwrap();
        let handle = writer.handle();
        let (settled, outcomes) = channel();
        let (go, wait) = channel::<()>();
        let (began, begun) = channel::<()>();
        let wait = Mutex::new(wait);
        let hold = move |_: &mut Tx<'_>| {
            began.send(()).unwrap();
            wait.lock().recv().unwrap();
            Verdict::Keep
        };
        handle.submit(Box::new(Probe(hold, settled.clone(), "hold"))).ok().unwrap();
        begun.recv().unwrap();
        assert!(handle.view().busy_for().is_some());
        for _ in 0..2 {
            handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), "waits"))).ok().unwrap();
        }
        assert_eq!(handle.view().queued(), 2);
        assert!(handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled, "refused"))).is_err());
        go.send(()).unwrap();
        assert_eq!(outcomes.iter().take(3).filter(|(_, outcome)| outcome.is_ok()).count(), 3);
        drop(handle);
        writer.stop();
    }

    /// A writer that does nothing by itself.
    fn by_hand(store: &Store, clock: Clock) -> (WriterHandle, WriterThread<'_>) {
        let began = clock.instant();
        let (handle, jobs) = queue(Arc::clone(&store.state), 16, clock.clone(), began);
        (handle, WriterThread::new(store, jobs, Arc::new(Heard::default()), clock, began))
    }

    fn commit_what_waits(thread: &mut WriterThread<'_>) {
        let first = thread.jobs.try_recv().unwrap();
        thread.commit_batch(first);
    }

    #[test]
    fn while_read_only_jobs_are_refused_where_they_are_handed_in_and_a_probe_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let mut store = opened(&path);
        store.keep_reserve(1 << 16);
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let (settled, outcomes) = channel();
        let keep = || Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), "")) as Box<dyn Job>;
        let refused = |outcome| matches!(outcome, Err(StoreError::ReadOnly(Fault::Full)));
        // One waits already when it begins.
        handle.submit(keep()).ok().unwrap();
        thread.store.state.set_fault(Some(Fault::Full));
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        thread.begin_read_only(Fault::Full, &LostTransaction::at_commit(full), 1);
        assert!(refused(outcomes.try_recv().unwrap().1));
        assert!(!thread.store.reserve.path().exists(), "the reserve is given up");
        let log = directory.path().join("a.db-wal");
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0, "and the log lies in the database");
        handle.submit(keep()).ok().unwrap();
        assert!(refused(outcomes.try_recv().unwrap().1), "settled before it is handed over");
        assert_eq!((handle.view().queued(), handle.view().read_only()), (0, Some(Fault::Full)));
        assert!(matches!(thread.next(), Some(NextStep::Probe)), "nothing waits, so time passes");
        // Someone in the way is no room either.
        let other = Connection::open(&path).unwrap();
        thread.store.connection.0.busy_timeout(Duration::ZERO).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        thread.probe();
        assert_eq!(handle.view().read_only(), Some(Fault::Full));
        drop(other);
        thread.probe();
        assert_eq!(handle.view().read_only(), None);
        assert!(thread.store.reserve.path().exists());
        handle.submit(keep()).ok().unwrap();
        commit_what_waits(&mut thread);
        outcomes.try_recv().unwrap().1.unwrap();
    }

    #[test]
    fn a_full_batch_leaves_the_rest_to_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let (clock, (settled, outcomes)) = (Clock::system(), channel());
        let (handle, jobs) = queue(Arc::clone(&store.state), BATCH_MAX + 1, clock.clone(), clock.instant());
        let mut thread = WriterThread::new(&store, jobs, Arc::new(Heard::default()), clock.clone(), clock.instant());
        for _ in 0..=BATCH_MAX {
            handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), ""))).ok().unwrap();
        }
        for settled_and_left in [(BATCH_MAX, 1), (1, 0)] {
            commit_what_waits(&mut thread);
            assert_eq!((outcomes.try_iter().count(), handle.view().queued()), settled_and_left);
        }
    }

    #[test]
    fn a_copy_ends_where_nobody_wants_it_or_the_storage_fails_or_nobody_can_hand_in_changes() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let mut to = CopyTarget(Connection::open_in_memory().unwrap());
        let waits = Arc::new(());
        let wanted = Arc::downgrade(&waits);
        assert!(thread.copy(&mut to, &wanted).is_ok());
        assert!(matches!(thread.copy(&mut to, &Weak::new()), Err(CopyError::GivenUp)));
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        thread.begin_read_only(Fault::Full, &LostTransaction::at_commit(full), 1);
        assert!(matches!(thread.copy(&mut to, &wanted), Err(CopyError::Storage(Fault::Full))));
        thread.probe();
        assert!(thread.copy(&mut to, &wanted).is_ok());
        drop(handle);
        assert!(matches!(thread.copy(&mut to, &wanted), Err(CopyError::GivenUp)));
    }

    #[test]
    fn a_change_that_is_too_large_for_the_room_left_is_lost_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = with_table(&directory.path().join("a.db"));
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let pages: i64 = thread.store.connection.0.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages + 2);
        thread.store.connection.0.query_row(&limit, (), |_| Ok(())).unwrap();
        let (settled, outcomes) = channel();
        let large = |tx: &mut Tx<'_>| {
            let error = tx.run("INSERT INTO filled (text) VALUES (hex(zeroblob(50000)))", &[]).unwrap_err();
            assert!(matches!(error, Error::Full(_)), "{error:?}");
            Verdict::Undo
        };
        let small = |tx: &mut Tx<'_>| {
            mark(tx, 1);
            Verdict::Keep
        };
        for job in [Box::new(Probe(large, settled.clone(), "")) as Box<dyn Job>, Box::new(Probe(small, settled, ""))] {
            handle.submit(job).ok().unwrap();
            commit_what_waits(&mut thread);
        }
        assert!(matches!(outcomes.try_recv().unwrap().1, Err(StoreError::Undone(_))));
        outcomes.try_recv().unwrap().1.unwrap();
        assert_eq!(handle.view().read_only(), None, "a row of our own could be committed");
    }

    #[test]
    fn a_job_that_meets_a_damaged_page_fails_by_itself_and_who_comes_after_it_is_none_the_worse() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let store = with_table(&path);
        let fill = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers LIMIT 100) \
                    INSERT INTO filled (text) SELECT printf('%.*c', 400, '#') FROM numbers";
        store.connection.batch(fill).unwrap();
        drop(store);
        let mut bytes = std::fs::read(&path).unwrap();
        let full = |page: &[u8]| page.iter().filter(|byte| **byte == b'#').count() > 3000;
        let at = bytes.chunks(4096).position(full).unwrap() * 4096;
        bytes[at] = 0xff;
        std::fs::write(&path, bytes).unwrap();

        let store = opened(&path);
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let (settled, outcomes) = channel();
        let marks = |tx: &mut Tx<'_>| {
            mark(tx, 1);
            tx.publish(event(1));
            Verdict::Keep
        };
        let reads = |tx: &mut Tx<'_>| {
            let read = tx.exists("SELECT sum(length(text)) FROM filled", &[]);
            assert!(matches!(read, Err(Error::Damaged(_))), "{read:?}");
            Verdict::Undo
        };
        handle.submit(Box::new(Probe(marks, settled.clone(), "before"))).ok().unwrap();
        handle.submit(Box::new(Probe(reads, settled.clone(), "reads"))).ok().unwrap();
        handle.submit(Box::new(Probe(marks, settled, "after"))).ok().unwrap();
        commit_what_waits(&mut thread);
        // SQLite takes back all that was in the transaction; who was is told that nothing was changed.
        assert!(matches!(outcomes.try_recv().unwrap(), ("before", Err(StoreError::Undone(_)))));
        assert!(matches!(outcomes.try_recv().unwrap(), ("reads", Ok(_))), "its own answer stands");
        assert_eq!((handle.view().queued(), handle.view().read_only()), (1, None));
        commit_what_waits(&mut thread);
        assert!(matches!(outcomes.try_recv().unwrap(), ("after", Ok(_))));
    }

    #[test]
    fn times_do_not_go_back_when_the_clock_does_nor_when_the_server_is_started_again() {
        const HOUR: i64 = 3_600_000_000;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let times = |clock: &Clock, jumps: &[i64]| -> Vec<i64> {
            let store = opened(&path);
            let (handle, mut thread) = by_hand(&store, clock.clone());
            let (settled, outcomes) = channel();
            let (told, times) = channel();
            for jump in jumps {
                clock.advance(*jump);
                let told = told.clone();
                let change = move |tx: &mut Tx<'_>| {
                    mark(tx, 1);
                    told.send(tx.now().0).unwrap();
                    Verdict::Keep
                };
                handle.submit(Box::new(Probe(change, settled.clone(), ""))).ok().unwrap();
                assert_eq!(handle.view().busy_for(), None);
                commit_what_waits(&mut thread);
                outcomes.try_recv().unwrap().1.unwrap();
            }
            times.try_iter().collect()
        };
        let clock = Clock::manual(Timestamp(10 * HOUR));
        assert_eq!(times(&clock, &[0, HOUR, -HOUR, 1]), [10 * HOUR, 11 * HOUR, 11 * HOUR, 11 * HOUR]);
        // Where the last change can have been at the latest, time begins.
        let (clock, begins) = (Clock::manual(Timestamp(10 * HOUR)), 11 * HOUR + 100_000);
        assert_eq!(times(&clock, &[0, 2 * HOUR, -HOUR]), [begins, 12 * HOUR, 12 * HOUR]);
    }

    #[test]
    fn the_last_change_is_noted_at_most_every_100_ms_and_only_when_something_was_changed() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let reader = store.reader().unwrap();
        let clock = Clock::manual(Timestamp(1_000_000));
        let (handle, mut thread) = by_hand(&store, clock.clone());
        let (settled, outcomes) = channel();
        let mut after = |jump: i64, changes: bool| {
            clock.advance(jump);
            let work = move |tx: &mut Tx<'_>| {
                if changes {
                    mark(tx, 1);
                }
                Verdict::Keep
            };
            handle.submit(Box::new(Probe(work, settled.clone(), ""))).ok().unwrap();
            commit_what_waits(&mut thread);
            outcomes.try_recv().unwrap().1.unwrap();
            last_change(&reader).unwrap().map(|at| at.0)
        };
        assert_eq!(after(0, false), None);
        assert_eq!(after(0, true), Some(1_000_000));
        assert_eq!(after(99_999, true), Some(1_000_000));
        assert_eq!(after(1, false), Some(1_000_000));
        assert_eq!(after(0, true), Some(1_100_000));
        assert_eq!(after(-500_000, true), Some(1_100_000));
    }

    #[test]
    fn times_follow_the_clock_again_when_they_are_told_to_and_only_if_that_is_kept() {
        const HOUR: i64 = 3_600_000_000;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let clock = Clock::manual(Timestamp(1000 * HOUR));
        let (settled, outcomes) = channel();
        let (told, times) = channel();
        let change = |thread: &mut WriterThread<'_>, handle: &WriterHandle, follows: bool, verdict: Verdict| {
            let told = told.clone();
            let work = move |tx: &mut Tx<'_>| {
                if follows {
                    tx.follow();
                }
                tx.not_before(Timestamp(1000 * HOUR));
                mark(tx, 1);
                told.send(tx.now().0 / HOUR).unwrap();
                verdict
            };
            handle.submit(Box::new(Probe(work, settled.clone(), ""))).ok().unwrap();
            commit_what_waits(thread);
            outcomes.try_recv().unwrap().1.unwrap();
            (times.try_recv().unwrap(), thread.store.state.newest().unwrap().0 / HOUR)
        };
        {
            let store = opened(&path);
            let (handle, mut thread) = by_hand(&store, clock.clone());
            assert_eq!(change(&mut thread, &handle, false, Verdict::Keep), (1000, 1000));
            clock.set(-900 * HOUR);
            assert_eq!(change(&mut thread, &handle, false, Verdict::Keep), (1000, 1000));
            assert_eq!(change(&mut thread, &handle, true, Verdict::Undo), (100, 1000));
            assert_eq!(change(&mut thread, &handle, true, Verdict::Keep), (100, 100));
            assert_eq!(change(&mut thread, &handle, false, Verdict::Keep), (100, 100), "whatever the row says");
        }
        let store = opened(&path);
        assert_eq!(by_hand(&store, clock).1.store.state.newest(), Some(Timestamp(100 * HOUR + 100_000)));
    }

    #[test]
    fn a_change_is_not_before_what_it_changes() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let (handle, mut thread) = by_hand(&store, Clock::manual(Timestamp(5)));
        let (settled, _outcomes) = channel();
        let (told, times) = channel();
        for at in [3, 9, 7] {
            let told = told.clone();
            let change = move |tx: &mut Tx<'_>| {
                tx.not_before(Timestamp(at));
                told.send(tx.now().0).unwrap();
                Verdict::Keep
            };
            handle.submit(Box::new(Probe(change, settled.clone(), ""))).ok().unwrap();
            commit_what_waits(&mut thread);
        }
        assert_eq!(times.try_iter().collect::<Vec<_>>(), [5, 9, 9], "nor is one that comes after it");
    }

    #[test]
    fn a_job_that_panics_when_it_is_settled_does_not_end_the_writer() {
        struct Careless;
        impl Job for Careless {
            fn run(&mut self, _: &mut Tx<'_>) -> Verdict {
                Verdict::Keep
            }
            fn settle(self: Box<Self>, _: Result<JobTimes, StoreError>) {
                panic!("on purpose");
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let (settled, outcomes) = channel();
        handle.submit(Box::new(Careless)).ok().unwrap();
        handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled, ""))).ok().unwrap();
        commit_what_waits(&mut thread);
        outcomes.try_recv().unwrap().1.unwrap();
    }
}
