//! The one thread that changes the database, and group commit.
//!
//! Jobs wait in a bounded queue. The writer takes all that wait (at most [`BATCH_MAX`]), runs each in a savepoint of
//! its own inside one transaction, commits once, and only then settles them: events first, in order, then each job's
//! answer. There is no delay to gather more: the running commit is the window in which the next batch gathers.
//!
//! A job that fails, or panics, rolls back alone. When the transaction itself fails (disk full, I/O error), every
//! job in it is told [`StoreError`] and none has happened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;

use super::event::{Event, Publisher};
use super::open::Store;
use crate::clock::{Clock, Timestamp};

/// Jobs in one commit, at most.
pub(super) const BATCH_MAX: usize = 256;
/// Rows changed after which the write-ahead log is moved into the database, between two batches. An append changes four.
/// That is some megabytes of log, or some tens when each row lies on a page of its own.
const CHECKPOINT_EVERY_ROWS: u64 = 8_000;
/// When the log still has this many pages after a checkpoint, readers kept it from being reused: wait for them once.
const WAL_PAGES_MAX: i32 = 16_384;

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
    /// Runs on the writer, inside a savepoint. What it returns is kept by the job until it is settled.
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict;

    /// Called once on the writer, after the commit's fsync or after the failure; must be quick. `Ok` means that the
    /// verdict was carried out, `Err` that nothing of the job has happened.
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

/// Why a job did not happen though it may have been right.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite or the disk refused.
    #[error("the database refused the change: {0}")]
    Failed(Arc<rusqlite::Error>),
    /// The job panicked; the log has the particulars.
    #[error("the change panicked")]
    Panicked,
}

/// The transaction as a job sees it.
pub struct Tx<'a> {
    connection: &'a Connection,
    now: Timestamp,
    events: &'a mut Vec<Event>,
    deferred: &'a mut Vec<Deferred>,
}

/// What runs once a change is on disk.
type Deferred = Box<dyn FnOnce() + Send>;

impl Tx<'_> {
    /// The connection, for `prepare_cached`.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        self.connection
    }

    /// The time of this change: the wall clock, but never before an earlier change's.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Has this event told to everyone after the commit, if the job is kept.
    pub fn publish(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Has this run on the writer after the commit; must be quick. If the job is not kept or the commit fails, it is
    /// dropped instead, with all it holds.
    pub fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.deferred.push(Box::new(work));
    }
}

/// What the writer shows of itself without being asked to stop for it.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    commits: AtomicU64,
    queued: AtomicUsize,
    /// Microseconds of the monotonic clock, since the writer began, at which the running batch began, plus one;
    /// zero between batches.
    busy_since: AtomicU64,
}

impl WriterState {
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }
}

struct Queued {
    job: Box<dyn Job>,
    at: Instant,
}

/// Where jobs are handed in. Cheap to clone; the writer ends when the last one is dropped.
#[derive(Clone)]
pub struct WriterHandle {
    queue: SyncSender<Queued>,
    state: Arc<WriterState>,
    clock: Clock,
    began: Instant,
}

impl WriterHandle {
    /// Hands in a job without waiting.
    ///
    /// # Errors
    /// Gives the job back when the queue is full (or the writer has ended): the change did not happen.
    pub fn submit(&self, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        // Counted first, so that the count never runs below what waits.
        self.state.queued.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(Queued { job, at: self.clock.instant() }).map_err(|refused| {
            self.state.queued.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(queued) | TrySendError::Disconnected(queued) => queued.job,
            }
        })
    }

    /// Jobs that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.state.queued.load(Ordering::Relaxed)
    }

    /// How long the running batch has been running, if one is.
    #[must_use]
    pub fn busy_for(&self) -> Option<Duration> {
        let since = self.state.busy_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.clock.instant().saturating_duration_since(self.began).saturating_sub(Duration::from_micros(since)))
    }
}

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
        let (queue, jobs) = sync_channel(queue_jobs);
        let state = Arc::clone(&store.state);
        let began = clock.instant();
        let handle = WriterHandle { queue, state, clock: clock.clone(), began };
        let thread = WriterThread {
            store,
            jobs,
            publisher,
            clock,
            began,
            last: Timestamp(i64::MIN),
            rows_at_checkpoint: 0,
            batch: Vec::with_capacity(BATCH_MAX),
            events: Vec::new(),
            deferred: Vec::new(),
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(move || thread.run())?;
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

struct WriterThread {
    store: Store,
    jobs: Receiver<Queued>,
    publisher: Arc<dyn Publisher>,
    clock: Clock,
    began: Instant,
    /// The time of the last change, below which no later one goes.
    last: Timestamp,
    /// Rows changed by this connection up to the last checkpoint.
    rows_at_checkpoint: u64,
    batch: Vec<Ran>,
    events: Vec<Event>,
    deferred: Vec<Deferred>,
}

/// A job of the running batch.
struct Ran {
    job: Box<dyn Job>,
    queued: Duration,
    panicked: bool,
}

impl WriterThread {
    fn run(mut self) {
        while let Ok(first) = self.jobs.recv() {
            self.commit_batch(first);
            if self.store.connection.total_changes() - self.rows_at_checkpoint >= CHECKPOINT_EVERY_ROWS {
                self.checkpoint(CheckpointMode::PASSIVE);
            }
        }
        self.checkpoint(CheckpointMode::TRUNCATE);
        let Store { connection, lock, .. } = self.store;
        if let Err((_, error)) = connection.close() {
            log::error!(error = error.to_string(); "store.close_failed");
        }
        drop(lock);
    }

    /// One transaction: `first` and everything that waits behind it.
    fn commit_batch(&mut self, first: Queued) {
        let began = self.clock.instant();
        let since = u64::try_from(began.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX - 1);
        self.store.state.busy_since.store(since + 1, Ordering::Relaxed);
        let committed = self.run_batch(first, began);
        if committed.is_ok() {
            self.store.state.commits.fetch_add(1, Ordering::Release);
            for work in self.deferred.drain(..) {
                let _ = catch_unwind(AssertUnwindSafe(work));
            }
            if !self.events.is_empty() {
                // Whoever listens must not be able to end the writer; the panic hook has logged what happened.
                let _ = catch_unwind(AssertUnwindSafe(|| self.publisher.publish(&mut self.events)));
            }
        } else if !self.store.connection.is_autocommit() {
            // Nothing can be done if even this fails; the next BEGIN will, and say so.
            let _ = self.store.connection.execute_batch("ROLLBACK");
        }
        self.events.clear();
        self.deferred.clear();
        let commit = self.clock.instant().saturating_duration_since(began);
        for Ran { job, queued, panicked } in self.batch.drain(..) {
            job.settle(match &committed {
                Ok(()) if panicked => Err(StoreError::Panicked),
                Ok(()) => Ok(JobTimes { queued, commit }),
                Err(error) => Err(StoreError::Failed(Arc::clone(error))),
            });
        }
        self.store.state.busy_since.store(0, Ordering::Relaxed);
        if let Err(error) = committed {
            log::error!(error = error.to_string(); "store.commit_failed");
        }
    }

    fn run_batch(&mut self, first: Queued, began: Instant) -> Result<(), Arc<rusqlite::Error>> {
        let begun = self.execute("BEGIN IMMEDIATE");
        let mut failed = begun.err().map(Arc::new);
        let mut next = Some(first);
        while let Some(Queued { mut job, at }) = next {
            self.store.state.queued.fetch_sub(1, Ordering::Relaxed);
            let mut panicked = false;
            if failed.is_none() {
                match self.run_job(job.as_mut()) {
                    Ok(()) => {}
                    Err(JobFailure::Panicked) => panicked = true,
                    Err(JobFailure::Batch(error)) => failed = Some(Arc::new(error)),
                }
            }
            self.batch.push(Ran { job, queued: began.saturating_duration_since(at), panicked });
            next = if self.batch.len() < BATCH_MAX { self.jobs.try_recv().ok() } else { None };
        }
        match failed {
            None => self.execute("COMMIT").map_err(Arc::new),
            Some(error) => Err(error),
        }
    }

    /// Runs one job in its savepoint.
    fn run_job(&mut self, job: &mut dyn Job) -> Result<(), JobFailure> {
        self.execute("SAVEPOINT job")?;
        let (events_before, deferred_before) = (self.events.len(), self.deferred.len());
        self.last = self.last.max(self.clock.now());
        let (events, deferred) = (&mut self.events, &mut self.deferred);
        let mut tx = Tx { connection: &self.store.connection, now: self.last, events, deferred };
        // What a panic leaves half done is rolled back below, so nobody sees a broken state.
        let verdict = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        // On a full disk or an I/O error SQLite may already have rolled everything back by itself.
        if self.store.connection.is_autocommit() {
            return Err(JobFailure::Batch(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL),
                Some("the transaction was rolled back, as on a full disk or an I/O error".to_owned()),
            )));
        }
        if !matches!(verdict, Ok(Verdict::Keep)) {
            self.events.truncate(events_before);
            self.deferred.truncate(deferred_before);
            self.execute("ROLLBACK TO job")?;
        }
        self.execute("RELEASE job")?;
        if verdict.is_err() { Err(JobFailure::Panicked) } else { Ok(()) }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.store.connection.prepare_cached(sql)?.execute(()).map(|_| ())
    }

    fn checkpoint(&mut self, mode: CheckpointMode) {
        let began = self.clock.instant();
        self.rows_at_checkpoint = self.store.connection.total_changes();
        let mut moved = self.store.connection.wal_checkpoint_v2(None::<&str>, mode);
        if matches!(moved, Ok((pages, done)) if pages > WAL_PAGES_MAX && done < pages) {
            moved = self.store.connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::RESTART);
        }
        let micros = self.clock.instant().saturating_duration_since(began).as_micros();
        match moved {
            Ok((pages, done)) => log::debug!(pages, done, us = micros as u64; "store.checkpoint"),
            // A reader in the way is no harm: the next checkpoint takes its pages along.
            Err(error) => log::warn!(error = error.to_string(); "store.checkpoint_failed"),
        }
    }
}

enum JobFailure {
    Panicked,
    /// The transaction is lost, and with it every job in it.
    Batch(rusqlite::Error),
}

impl From<rusqlite::Error> for JobFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Batch(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use parking_lot::Mutex;

    use super::*;

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
        Event { topic: "t".into(), seq, kind: "k", data: "{}".into(), request_id: "r".into(), at: Timestamp(0) }
    }

    fn mark(tx: &Tx<'_>, at: i64) {
        tx.connection().execute("INSERT OR REPLACE INTO probe VALUES (1, ?1)", [at]).unwrap();
    }

    #[test]
    fn a_failing_and_a_panicking_job_roll_back_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = super::super::open(&directory.path().join("a.db")).unwrap();
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
            let seen: i64 = tx.connection().query_row("SELECT probed_at FROM probe", (), |row| row.get(0)).unwrap();
            assert_eq!(seen, 1);
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
        assert_eq!(reader.commits(), 1);
        drop(handle);
        writer.stop();
        let log = std::fs::metadata(directory.path().join("a.db-wal")).unwrap().len();
        assert_eq!(log, 0, "the log was not moved into the database");
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
        let store = super::super::open(&directory.path().join("a.db")).unwrap();
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
                    let sql = "PRAGMA defer_foreign_keys = ON; INSERT INTO ring_passes VALUES (1, 404, 'a', 'b', 0)";
                    tx.connection().execute_batch(sql).unwrap();
                }
                verdict
            };
            writer.handle().submit(Box::new(Probe(job, settled.clone(), ""))).ok().unwrap();
            let outcome = outcomes.recv().unwrap().1;
            assert_eq!(outcome.is_err(), doomed);
            tells.try_iter().collect::<Vec<_>>()
        };
        assert_eq!(run(Verdict::Keep, false), ["ran", "dropped"]);
        assert_eq!(reader.commits(), 1);
        assert_eq!(run(Verdict::Undo, false), ["dropped"]);
        assert_eq!(run(Verdict::Keep, true), ["dropped"]);
        assert_eq!(run(Verdict::Keep, false), ["ran", "dropped"]);
        writer.stop();
    }

    #[test]
    fn the_log_is_moved_into_the_database_after_so_many_rows_in_however_few_jobs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let writer = Writer::start(super::super::open(&path).unwrap(), 16, Arc::new(Heard::default()), Clock::system());
        let writer = writer.unwrap();
        let (settled, outcomes) = channel();
        let bytes_after = |rows: u64| {
            let insert = move |tx: &mut Tx<'_>| {
                let drafts = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers LIMIT ?1) \
                              INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, \
                              created_at, updated_at) SELECT hex(randomblob(16)), '', '', '', '', 0, 0, 0 FROM numbers";
                tx.connection().execute(drafts, [rows as i64]).unwrap();
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
        let before = bytes_after(1);
        assert_eq!(bytes_after(CHECKPOINT_EVERY_ROWS - 2), before);
        assert!(bytes_after(1) > before);
        writer.stop();
    }

    #[test]
    fn a_full_queue_gives_the_job_back() {
        let directory = tempfile::tempdir().unwrap();
        let store = super::super::open(&directory.path().join("a.db")).unwrap();
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
        assert!(handle.busy_for().is_some());
        for _ in 0..2 {
            handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled.clone(), "waits"))).ok().unwrap();
        }
        assert_eq!(handle.queued(), 2);
        assert!(handle.submit(Box::new(Probe(|_: &mut Tx<'_>| Verdict::Keep, settled, "refused"))).is_err());
        go.send(()).unwrap();
        assert_eq!(outcomes.iter().take(3).filter(|(_, outcome)| outcome.is_ok()).count(), 3);
        drop(handle);
        writer.stop();
    }
}
