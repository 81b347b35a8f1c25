//! The one thread that changes the database, and group commit.
//!
//! Jobs wait in a bounded queue. The writer takes all that wait (at most [`BATCH_MAX`]), runs each in a savepoint of
//! its own inside one transaction, commits once, and only then settles them: events first, in order, then each job's
//! answer. There is no delay to gather more: the running commit is the window in which the next batch gathers. Jobs that
//! come while others run are taken along for as long as a commit takes, and no longer: by then it is cheaper to commit,
//! and to have those who are answered ask again while the next batch runs.
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

use super::connection::Connection;
use super::copying::{Copied, CopyTarget, Copying, Steps};
use super::fault::fault_of;
use super::last_change::LastChange;
use super::open::{BUSY_TIMEOUT, Store};
use super::reserve;
use super::texts::TextChange;
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
/// Texts of a batch that wait to be put into the index of words: with more than so many bytes they are put there after the job that they
/// are of, and not before the commit.
pub(super) const TEXTS_MAX_BYTES: usize = 1024 * 1024;
/// Rows changed after which the write-ahead log is moved into the database, between two batches. An append changes four.
/// That is some megabytes of log, or some tens when each row lies on a page of its own.
pub(super) const CHECKPOINT_EVERY_ROWS: u64 = 8_000;
/// After a change that is the first since a checkpoint, the log is moved no later than this, however few changes follow: who
/// looks at the database alone, or copies it although that is no backup, shall not find weeks missing.
pub(super) const CHECKPOINT_AFTER: Duration = Duration::from_secs(60);
/// When the log still has this many pages after a checkpoint, readers kept it from being reused: wait for them once.
pub(super) const WAL_PAGES_MAX: i32 = 16_384;
/// From one attempt to write again to the next, while the storage takes no changes.
pub(super) const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How long the writer waits for readers who keep the log from being emptied, when it is to be.
const FORGET_WAITS: Duration = Duration::from_millis(50);
/// And from one attempt at it to the next.
pub(super) const FORGET_EVERY: Duration = Duration::from_secs(1);
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
    /// Since when there is something in the log that is not in the database; nothing when there is not.
    unmoved_since: Option<Instant>,
    /// When the log is to be emptied, if it is: it may have what was taken out of the database.
    forget_at: Option<Instant>,
    batch: Vec<BatchEntry>,
    /// How long the last commit of a change took, once the jobs had run.
    commit_took: Option<Duration>,
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
    Checkpoint,
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
            // What has made the database is not counted.
            rows_at_checkpoint: store.connection.0.total_changes(),
            // What a process that was killed has left there.
            unmoved_since: Some(began),
            forget_at: store.log_was_left.then_some(began),
            batch: Vec::with_capacity(BATCH_MAX),
            commit_took: None,
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
                let rows = rows + self.effects.moved_pages * ROWS_PER_MOVED_PAGE;
                if rows > 0 && self.unmoved_since.is_none() {
                    self.unmoved_since = Some(self.clock.instant());
                }
                if self.forget_at.is_some_and(|at| at <= self.clock.instant()) {
                    self.forget_old_pages();
                } else if rows >= CHECKPOINT_EVERY_ROWS || self.until_checkpoint().is_some_and(|wait| wait.is_zero()) {
                    self.checkpoint(CheckpointMode::PASSIVE);
                }
            }
            NextStep::Refuse(queued, fault) => self.refuse(queued, fault),
            NextStep::Probe => self.probe(),
            NextStep::Checkpoint if self.forget_at.is_some() => self.forget_old_pages(),
            NextStep::Checkpoint => _ = self.checkpoint(CheckpointMode::PASSIVE),
        }
    }

    /// Empties the log. Readers may be in the way, and are not waited for long: it is tried again.
    fn forget_old_pages(&mut self) {
        // The only failure is that of a connection which is closed.
        let _ = self.store.connection.0.busy_timeout(FORGET_WAITS);
        let emptied = self.checkpoint(CheckpointMode::TRUNCATE);
        let _ = self.store.connection.0.busy_timeout(BUSY_TIMEOUT);
        self.forget_at = if emptied { None } else { Some(self.clock.instant() + FORGET_EVERY) };
    }

    /// How long the log may still wait to be moved, if anything is in it.
    fn until_checkpoint(&self) -> Option<Duration> {
        let unmoved = self.unmoved_since.map(|since| since + CHECKPOINT_AFTER);
        let due = unmoved.into_iter().chain(self.forget_at).min()?;
        Some(due.saturating_duration_since(self.clock.instant()))
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
        let Some(period) = &self.read_only else {
            let Some(wait) = self.until_checkpoint() else { return self.jobs.recv().ok().map(NextStep::Commit) };
            return match self.jobs.recv_timeout(wait) {
                Ok(queued) => Some(NextStep::Commit(queued)),
                Err(RecvTimeoutError::Timeout) => Some(NextStep::Checkpoint),
                Err(RecvTimeoutError::Disconnected) => None,
            };
        };
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

    /// One transaction: `first`, everything that waits behind it, and some that come meanwhile.
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
                self.store.state.commit_times().count(took);
                self.store.metrics.committed(self.batch.len(), took);
                if !self.effects.events.is_empty() {
                    // A listener must not be able to end the writer; the panic hook has logged what happened.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.publisher.publish(&mut self.effects.events)));
                }
                // Behind the events, so that who is told by it that nothing more comes has got them.
                for work in self.effects.deferred.drain(..) {
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
                if self.effects.forgets {
                    // Before anybody is told that it is done.
                    self.forget_old_pages();
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
        self.effects.clear();
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
        // The first is still counted among them.
        let waiting = self.store.state.queued();
        let mut lost = self.execute("BEGIN IMMEDIATE").map_err(LostTransaction::before_commit).err();
        let mut next = Some(first);
        while let Some(Queued { mut job, at }) = next {
            self.store.state.dequeue();
            let mut end = JobEnd::Judged;
            if lost.is_none() {
                match self.run_job(job.as_mut()) {
                    Ok(ended) => {
                        end = ended;
                        if self.effects.texts.iter().map(TextChange::bytes).sum::<usize>() > TEXTS_MAX_BYTES {
                            lost = self.index_texts().map_err(LostTransaction::before_commit).err();
                        }
                    }
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
            let takes_more = self.batch.len() < waiting || self.has_time_for_more(began);
            next = if self.batch.len() < BATCH_MAX && takes_more { self.jobs.try_recv().ok() } else { None };
        }
        match lost {
            None => {
                write_effects(&self.store.connection, &mut self.effects).map_err(LostTransaction::before_commit)?;
                // A transaction without a change of a row costs no fsync, and should not.
                let is_changed = self.store.connection.0.total_changes() > rows;
                if is_changed {
                    let noted = self.last_change.note(&self.store.connection, self.last);
                    noted.map_err(LostTransaction::before_commit)?;
                }
                self.check_files().map_err(LostTransaction::before_commit)?;
                let committing = self.clock.instant();
                self.execute("COMMIT").map_err(LostTransaction::at_commit)?;
                if is_changed {
                    self.commit_took = Some(self.clock.instant().saturating_duration_since(committing));
                }
                Ok(())
            }
            Some(loss) => Err(loss),
        }
    }

    /// Whether a batch that began then takes jobs along that have come since: to wait for the next one would cost them more. Before the
    /// first commit nobody knows.
    fn has_time_for_more(&self, began: Instant) -> bool {
        self.commit_took.is_none_or(|took| self.clock.instant().saturating_duration_since(began) < took)
    }

    /// Puts into the index of words what the jobs have changed.
    fn index_texts(&mut self) -> rusqlite::Result<()> {
        self.store.connection.index(&mut self.effects.texts)
    }

    /// What goes to a file that nobody will find is not to be acknowledged. SQLite does not look.
    fn check_files(&self) -> rusqlite::Result<()> {
        match self.store.state.displaced() {
            None => Ok(()),
            Some(happened) => {
                Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_READONLY_DBMOVED), Some(happened)))
            }
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
        if fault == Fault::Displaced {
            // What is in the log is safe as soon as it is in the database, if that is still there.
            self.checkpoint(CheckpointMode::TRUNCATE);
        }
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
            .and_then(|_| self.check_files())
            .and_then(|()| self.execute("COMMIT"));
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

    /// Moves the log into the database. Whether all of it was moved.
    fn checkpoint(&mut self, mode: CheckpointMode) -> bool {
        let began = self.clock.instant();
        self.rows_at_checkpoint = self.store.connection.0.total_changes();
        self.effects.moved_pages = 0;
        self.unmoved_since = None;
        let mut moved = self.store.connection.0.wal_checkpoint_v2(None::<&str>, mode);
        if matches!(moved, Ok((pages, done)) if pages > WAL_PAGES_MAX && done < pages) {
            moved = self.store.connection.0.wal_checkpoint_v2(None::<&str>, CheckpointMode::RESTART);
        }
        let took = self.clock.instant().saturating_duration_since(began);
        self.store.metrics.checkpointed(took, matches!(moved, Ok((pages, done)) if done >= pages));
        if matches!(moved, Ok((pages, done)) if done < pages) {
            self.unmoved_since = Some(self.clock.instant());
        }
        let is_whole = matches!(moved, Ok((pages, done)) if done >= pages);
        match moved {
            Ok((pages, done)) => log::debug!(pages, done, us = took.as_micros() as u64; "store.checkpoint"),
            // While nothing can be written this is no news.
            Err(error) if self.store.state.fault().is_some() => {
                log::debug!(error = error.to_string(); "store.checkpoint_failed");
            }
            // A reader in the way is no harm: the next checkpoint takes its pages along.
            Err(error) => log::warn!(error = error.to_string(); "store.checkpoint_failed"),
        }
        is_whole
    }
}

/// Writes what the jobs of a transaction have asked for, beside their rows, to be part of it.
pub(in crate::store) fn write_effects(connection: &Connection, effects: &mut Effects) -> rusqlite::Result<()> {
    effects.tallies.write(connection)?;
    connection.index(&mut effects.texts)
}

/// A job must not be able to end the writer; the panic hook has logged what happened.
fn settle(job: Box<dyn Job>, outcome: Result<JobTimes, StoreError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| job.settle(outcome)));
}

#[cfg(test)]
mod tests;
