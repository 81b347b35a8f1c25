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
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::backup::Backup;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, ffi};

use super::copy::{Copied, CopyError, Copying, Steps};
use super::event::{Event, Publisher};
use super::fault::{Fault, Sign};
use super::open::Store;
use super::reserve;
use crate::clock::{Clock, Timestamp};
use crate::observe;

/// Jobs in one commit, at most.
pub(super) const BATCH_MAX: usize = 256;
/// Rows changed after which the write-ahead log is moved into the database, between two batches. An append changes four.
/// That is some megabytes of log, or some tens when each row lies on a page of its own.
const CHECKPOINT_EVERY_ROWS: u64 = 8_000;
/// When the log still has this many pages after a checkpoint, readers kept it from being reused: wait for them once.
const WAL_PAGES_MAX: i32 = 16_384;
/// From one attempt to write again to the next, while the storage takes no changes.
const PROBE_EVERY: Duration = Duration::from_secs(2);

/// Writes the one row of its table: proof that a commit reaches the disk.
const PROBE: &str = "INSERT INTO probe (id, probed_at) VALUES (1, ?1) \
                     ON CONFLICT (id) DO UPDATE SET probed_at = excluded.probed_at";
/// Writes nothing, but asks whether it might.
const MAY_WRITE: &str = "UPDATE probe SET probed_at = probed_at WHERE FALSE";

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

    /// Called once, on the writer after the commit's fsync or after the failure, or by whoever hands it in when it is
    /// refused at once; must be quick. `Ok` means that the verdict was carried out; `Err` says what is known.
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
    /// The commit failed. The change is not there, but may be after a crash: its log may have reached the disk.
    #[error("the database refused the change: {0}")]
    Failed(Arc<rusqlite::Error>),
    /// The transaction was lost before its commit: nothing has happened.
    #[error("the transaction was rolled back: {0}")]
    Undone(Arc<rusqlite::Error>),
    /// The storage takes no changes at present: nothing has happened.
    #[error("the database takes no changes: {}", .0.reason())]
    ReadOnly(Fault),
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
    moved_pages: &'a mut u64,
    copying: &'a mut Option<Copying>,
}

/// What a page that was moved counts for [`CHECKPOINT_EVERY_ROWS`]: with what refers to it, some pages of the log.
const ROWS_PER_MOVED_PAGE: u64 = 8;

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

    /// Changes a row that means nothing: committed, it proves that commits reach the disk.
    ///
    /// # Errors
    /// When SQLite cannot.
    pub fn probe(&self) -> rusqlite::Result<()> {
        self.connection.prepare_cached(PROBE)?.execute([self.now.0]).map(drop)
    }

    /// Has this event told to everyone after the commit, if the job is kept.
    pub fn publish(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Says that so many pages were moved, which SQLite does not count as changes of rows: they fill the log as well.
    pub fn moved_pages(&mut self, pages: u64) {
        *self.moved_pages += pages;
    }

    /// Has this run on the writer after the commit; must be quick. If the job is not kept or the commit fails, it is
    /// dropped instead, with all it holds.
    pub fn after_commit(&mut self, work: impl FnOnce() + Send + 'static) {
        self.deferred.push(Box::new(work));
    }

    /// Has the database copied once this batch is committed.
    pub(super) fn copy(&mut self, wanted: Option<Copying>) {
        *self.copying = wanted;
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
    /// Why no changes are taken, when none are.
    fault: Sign,
    /// Changes refused because of it, since it was set.
    refused: AtomicU64,
}

impl WriterState {
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    fn busy_for(&self, began: Instant, clock: &Clock) -> Option<Duration> {
        let since = self.busy_since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(clock.instant().saturating_duration_since(began).saturating_sub(Duration::from_micros(since)))
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        self.fault.read()
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
    /// Hands in a job without waiting. While the storage takes no changes, it is settled at once.
    ///
    /// # Errors
    /// Gives the job back when the queue is full (or the writer has ended): the change did not happen.
    pub fn submit(&self, job: Box<dyn Job>) -> Result<(), Box<dyn Job>> {
        if let Some(fault) = self.read_only() {
            self.state.refused.fetch_add(1, Ordering::Relaxed);
            job.settle(Err(StoreError::ReadOnly(fault)));
            return Ok(());
        }
        // Counted first, so that the count never runs below what waits.
        self.state.queued.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(Queued { job, at: self.clock.instant() }).map_err(|refused| {
            self.state.queued.fetch_sub(1, Ordering::Relaxed);
            match refused {
                TrySendError::Full(queued) | TrySendError::Disconnected(queued) => queued.job,
            }
        })
    }

    /// Why the storage takes no changes at present, if it takes none.
    #[must_use]
    pub fn read_only(&self) -> Option<Fault> {
        self.state.fault()
    }

    /// Jobs that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.state.queued()
    }

    /// How long the running batch has been running, if one is.
    #[must_use]
    pub fn busy_for(&self) -> Option<Duration> {
        self.state.busy_for(self.began, &self.clock)
    }

    /// The same without the right to hand in anything.
    #[must_use]
    pub fn view(&self) -> WriterView {
        WriterView { state: Arc::clone(&self.state), clock: self.clock.clone(), began: self.began }
    }
}

/// Looks at a writer from outside, and does not keep it running.
pub struct WriterView {
    state: Arc<WriterState>,
    clock: Clock,
    began: Instant,
}

impl WriterView {
    /// Commits so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.state.commits()
    }

    /// Why the storage takes no changes at present, if it takes none.
    #[must_use]
    pub fn read_only(&self) -> Option<Fault> {
        self.state.fault.read()
    }

    /// How long the running batch has been running, if one is.
    #[must_use]
    pub fn busy_for(&self) -> Option<Duration> {
        self.state.busy_for(self.began, &self.clock)
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
        let (handle, jobs) = handle(&store, queue_jobs, clock);
        let (clock, began) = (handle.clock.clone(), handle.began);
        let write = move || {
            WriterThread::new(&store, jobs, publisher, clock, began).run();
            let Store { connection, lock, .. } = store;
            if let Err((_, error)) = connection.close() {
                log::error!(error = error.to_string(); "store.close_failed");
            }
            drop(lock);
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(|| observe::vital(write))?;
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

/// The two ends of the queue of a store's writer.
fn handle(store: &Store, queue_jobs: usize, clock: Clock) -> (WriterHandle, Receiver<Queued>) {
    let (queue, jobs) = sync_channel(queue_jobs);
    let began = clock.instant();
    (WriterHandle { queue, state: Arc::clone(&store.state), clock, began }, jobs)
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
    /// Rows changed by this connection up to the last checkpoint.
    rows_at_checkpoint: u64,
    /// Pages moved since the last checkpoint.
    moved_pages: u64,
    batch: Vec<Ran>,
    events: Vec<Event>,
    deferred: Vec<Deferred>,
    /// While the storage takes no changes.
    episode: Option<Episode>,
    /// A copy that is wanted and not yet begun.
    copying: Option<Copying>,
}

/// A time in which the storage takes no changes.
struct Episode {
    fault: Fault,
    began: Instant,
    probe_at: Instant,
    probes: u64,
}

/// What the writer has to do next.
enum Turn {
    Commit(Queued),
    Refuse(Queued, Fault),
    Probe,
}

/// A job of the running batch.
struct Ran {
    job: Box<dyn Job>,
    queued: Duration,
    end: End,
}

/// How a job came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// It is kept or undone as it wished; when the transaction is lost, so is it.
    Judged,
    Panicked,
    /// It was undone because it met a damaged page, and would have been however the transaction went on.
    Damaged,
}

/// A transaction that came to nothing.
struct Loss {
    error: Arc<rusqlite::Error>,
    /// Whether it may be there after a crash all the same.
    in_doubt: bool,
}

impl Loss {
    fn before_commit(error: rusqlite::Error) -> Self {
        Self { error: Arc::new(error), in_doubt: false }
    }

    /// Only a full disk is sure to be met before the frame that makes the commit is whole. After that SQLite can still
    /// fail, at the fsync and when it enlarges its index of the log, and takes the change back in memory.
    fn at_commit(error: rusqlite::Error) -> Self {
        let in_doubt = Fault::of(&error) != Some(Fault::Full);
        Self { error: Arc::new(error), in_doubt }
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
        let last = store.newest;
        let behind = last.0.saturating_sub(clock.now().0);
        if behind > 0 {
            // Times of changes stand still until the clock has caught up.
            log::warn!(seconds = behind / 1_000_000; "store.clock_behind_the_last_change");
        }
        Self {
            store,
            jobs,
            publisher,
            clock,
            began,
            last,
            rows_at_checkpoint: 0,
            moved_pages: 0,
            batch: Vec::with_capacity(BATCH_MAX),
            events: Vec::new(),
            deferred: Vec::new(),
            episode: None,
            copying: None,
        }
    }

    fn run(&mut self) {
        while let Some(turn) = self.next() {
            self.take(turn);
            if let Some(Copying { mut to, wanted, done }) = self.copying.take() {
                let copied = self.copy(&mut to, &wanted).map(|steps| Copied { to, steps });
                // Who has left does not want it.
                let _ = done.send(copied);
            }
        }
        self.checkpoint(CheckpointMode::TRUNCATE);
    }

    fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Commit(first) => {
                self.commit_batch(first);
                let rows = self.store.connection.total_changes() - self.rows_at_checkpoint;
                if rows + self.moved_pages * ROWS_PER_MOVED_PAGE >= CHECKPOINT_EVERY_ROWS {
                    self.checkpoint(CheckpointMode::PASSIVE);
                }
            }
            Turn::Refuse(queued, fault) => self.refuse(queued, fault),
            Turn::Probe => self.probe(),
        }
    }

    /// Copies the database step by step, and commits between two steps what has come in. Whatever goes wrong is the
    /// copy's own matter.
    fn copy(&mut self, to: &mut Connection, wanted: &Weak<()>) -> Result<u32, CopyError> {
        let store = self.store;
        let backup = Backup::new(&store.connection, to)?;
        let mut steps = Steps::default();
        loop {
            match self.jobs.try_recv() {
                Ok(first) => self.take(Turn::Commit(first)),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return Err(CopyError::GivenUp),
            }
            if let Some(episode) = &self.episode {
                return Err(CopyError::Storage(episode.fault));
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
    fn next(&self) -> Option<Turn> {
        let Some(episode) = &self.episode else { return self.jobs.recv().ok().map(Turn::Commit) };
        let wait = episode.probe_at.saturating_duration_since(self.clock.instant());
        if wait.is_zero() {
            return Some(Turn::Probe);
        }
        match self.jobs.recv_timeout(wait) {
            Ok(queued) => Some(Turn::Refuse(queued, episode.fault)),
            Err(RecvTimeoutError::Timeout) => Some(Turn::Probe),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// One transaction: `first` and everything that waits behind it.
    fn commit_batch(&mut self, first: Queued) {
        let began = self.clock.instant();
        self.begin_work(began);
        let committed = self.run_batch(first, began);
        let mut fault = None;
        match &committed {
            Ok(()) => {
                self.store.state.commits.fetch_add(1, Ordering::Release);
                let took = self.clock.instant().saturating_duration_since(began);
                self.store.metrics.committed(self.batch.len(), took);
                for work in self.deferred.drain(..) {
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
                if !self.events.is_empty() {
                    // Whoever listens must not be able to end the writer; the panic hook has logged what happened.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.publisher.publish(&mut self.events)));
                }
            }
            Err(loss) => {
                self.roll_back();
                self.copying = None;
                fault = self.fault_behind(&loss.error);
                // Before anybody is told, so that who is refused and asks why finds the reason.
                self.store.state.refused.store(0, Ordering::Relaxed);
                self.store.state.fault.set(fault);
            }
        }
        self.events.clear();
        self.deferred.clear();
        let commit = self.clock.instant().saturating_duration_since(began);
        let jobs = self.batch.len();
        for Ran { job, queued, end } in self.batch.drain(..) {
            settle(
                job,
                match (&committed, end) {
                    (_, End::Damaged) | (Ok(()), End::Judged) => Ok(JobTimes { queued, commit }),
                    (Ok(()), End::Panicked) => Err(StoreError::Panicked),
                    (Err(loss), _) if loss.in_doubt => Err(StoreError::Failed(Arc::clone(&loss.error))),
                    (Err(loss), _) => Err(match fault {
                        Some(fault) => StoreError::ReadOnly(fault),
                        None => StoreError::Undone(Arc::clone(&loss.error)),
                    }),
                },
            );
        }
        if let Err(loss) = committed {
            match fault {
                Some(fault) => self.begin_episode(fault, &loss, jobs),
                None => log::error!(error = loss.error.to_string(), jobs; "store.commit_failed"),
            }
        }
        self.end_work();
    }

    fn begin_work(&self, at: Instant) {
        let since = u64::try_from(at.saturating_duration_since(self.began).as_micros()).unwrap_or(u64::MAX - 1);
        self.store.state.busy_since.store(since + 1, Ordering::Relaxed);
    }

    fn end_work(&self) {
        self.store.state.busy_since.store(0, Ordering::Relaxed);
    }

    fn run_batch(&mut self, first: Queued, began: Instant) -> Result<(), Loss> {
        let mut lost = self.execute("BEGIN IMMEDIATE").map_err(Loss::before_commit).err();
        let mut next = Some(first);
        while let Some(Queued { mut job, at }) = next {
            self.store.state.queued.fetch_sub(1, Ordering::Relaxed);
            let mut end = End::Judged;
            if lost.is_none() {
                match self.run_job(job.as_mut()) {
                    Ok(ended) => end = ended,
                    Err(error) => lost = Some(Loss::before_commit(error)),
                }
            }
            // Who comes while the batch runs has not waited at all.
            let queued = began.saturating_duration_since(at);
            self.store.metrics.waited(queued);
            self.batch.push(Ran { job, queued, end });
            if end == End::Damaged {
                // SQLite commits nothing any more of a transaction that has met a damaged page.
                return Err(Loss::before_commit(rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_CORRUPT),
                    Some("a change in this transaction met a damaged page".to_owned()),
                )));
            }
            next = if self.batch.len() < BATCH_MAX { self.jobs.try_recv().ok() } else { None };
        }
        match lost {
            None => self.execute("COMMIT").map_err(Loss::at_commit),
            Some(loss) => Err(loss),
        }
    }

    /// Runs one job in its savepoint. Fails when the transaction is lost, and with it every job in it.
    fn run_job(&mut self, job: &mut dyn Job) -> rusqlite::Result<End> {
        self.execute("SAVEPOINT job")?;
        let (events_before, deferred_before) = (self.events.len(), self.deferred.len());
        self.last = self.last.max(self.clock.now());
        let (events, deferred) = (&mut self.events, &mut self.deferred);
        let (moved_pages, copying) = (&mut self.moved_pages, &mut self.copying);
        let now = self.last;
        let mut tx = Tx { connection: &self.store.connection, now, events, deferred, moved_pages, copying };
        // What a panic leaves half done is rolled back below, so nobody sees a broken state.
        let verdict = catch_unwind(AssertUnwindSafe(|| job.run(&mut tx)));
        // On a full disk or an I/O error SQLite may already have rolled everything back by itself. Which, the job knows.
        if self.store.connection.is_autocommit() {
            return Err(rusqlite::Error::SqliteFailure(
                ffi::Error::new(ffi::SQLITE_ABORT_ROLLBACK),
                Some("SQLite gave the transaction up, as on a full disk or an I/O error".to_owned()),
            ));
        }
        let mut end = if verdict.is_err() { End::Panicked } else { End::Judged };
        if !matches!(verdict, Ok(Verdict::Keep)) {
            self.events.truncate(events_before);
            self.deferred.truncate(deferred_before);
            self.execute("ROLLBACK TO job")?;
            let barred = self.execute(MAY_WRITE).err().and_then(|error| error.sqlite_error_code());
            if barred == Some(ErrorCode::DatabaseCorrupt) && end == End::Judged {
                end = End::Damaged;
            }
        }
        self.execute("RELEASE job")?;
        Ok(end)
    }

    fn roll_back(&self) {
        if !self.store.connection.is_autocommit() {
            // Nothing can be done if even this fails; the next BEGIN will, and say so.
            let _ = self.store.connection.execute_batch("ROLLBACK");
        }
    }

    /// What the loss of a transaction says about the storage. Where it could have been about one page only, as when SQLite
    /// has given up within a job, a row of our own decides.
    fn fault_behind(&mut self, error: &rusqlite::Error) -> Option<Fault> {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationAborted | ErrorCode::DatabaseCorrupt) => {
                self.commit_probe().err().and_then(|error| Fault::of(&error))
            }
            _ => Fault::of(error),
        }
    }

    /// From here on no changes are taken.
    fn begin_episode(&mut self, fault: Fault, loss: &Loss, failed: usize) {
        while let Ok(queued) = self.jobs.try_recv() {
            self.refuse(queued, fault);
        }
        let reserve_released = fault == Fault::Full && self.make_room();
        let now = self.clock.instant();
        self.episode = Some(Episode { fault, began: now, probe_at: now + PROBE_EVERY, probes: 0 });
        log::error!(
            error = loss.error.to_string(), reason = fault.reason(), failed,
            refused = self.store.state.refused.load(Ordering::Relaxed), reserve_released;
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
        state.queued.fetch_sub(1, Ordering::Relaxed);
        state.refused.fetch_add(1, Ordering::Relaxed);
        settle(queued.job, Err(StoreError::ReadOnly(fault)));
    }

    /// Tries whether the storage takes changes again.
    fn probe(&mut self) {
        let Some(Episode { fault, began, probes, .. }) = self.episode.take() else { return };
        let probes = probes + 1;
        let taken = self.restore_reserve(fault).map_err(|error| (error.to_string(), Some(Fault::Full)));
        let taken = taken.and_then(|()| self.commit_probe().map_err(|error| (error.to_string(), Fault::of(&error))));
        let now = self.clock.instant();
        let Err((error, found)) = taken else {
            let refused = self.store.state.refused.load(Ordering::Relaxed);
            let seconds = now.saturating_duration_since(began).as_secs();
            log::warn!(reason = fault.reason(), refused, probes, seconds; "store.writable");
            self.store.state.fault.set(None);
            return;
        };
        log::debug!(error, probes; "store.still_readonly");
        let fault = found.unwrap_or(fault);
        if fault == Fault::Full {
            self.make_room();
        }
        self.store.state.fault.set(Some(fault));
        self.episode = Some(Episode { fault, began, probe_at: self.clock.instant() + PROBE_EVERY, probes });
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
            .and_then(|()| self.store.connection.prepare_cached(PROBE)?.execute([probed_at.0]))
            .and_then(|_| self.execute("COMMIT"));
        match &committed {
            Ok(()) => {
                self.store.state.commits.fetch_add(1, Ordering::Release);
            }
            Err(_) => self.roll_back(),
        }
        committed
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.store.connection.prepare_cached(sql)?.execute(()).map(|_| ())
    }

    fn checkpoint(&mut self, mode: CheckpointMode) {
        let began = self.clock.instant();
        self.rows_at_checkpoint = self.store.connection.total_changes();
        self.moved_pages = 0;
        let mut moved = self.store.connection.wal_checkpoint_v2(None::<&str>, mode);
        if matches!(moved, Ok((pages, done)) if pages > WAL_PAGES_MAX && done < pages) {
            moved = self.store.connection.wal_checkpoint_v2(None::<&str>, CheckpointMode::RESTART);
        }
        let took = self.clock.instant().saturating_duration_since(began);
        self.store.metrics.checkpointed(took, matches!(moved, Ok((pages, done)) if done >= pages));
        match moved {
            Ok((pages, done)) => log::debug!(pages, done, us = took.as_micros() as u64; "store.checkpoint"),
            // While nothing can be written this is no news.
            Err(error) if self.store.state.fault.read().is_some() => {
                log::debug!(error = error.to_string(); "store.checkpoint_failed");
            }
            // A reader in the way is no harm: the next checkpoint takes its pages along.
            Err(error) => log::warn!(error = error.to_string(); "store.checkpoint_failed"),
        }
    }
}

/// Whoever is settled must not be able to end the writer; the panic hook has logged what happened.
fn settle(job: Box<dyn Job>, outcome: Result<JobTimes, StoreError>) {
    let _ = catch_unwind(AssertUnwindSafe(|| job.settle(outcome)));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use parking_lot::Mutex;

    use super::*;
    use crate::net::Frame;
    use crate::observe::metrics::Metrics;
    use crate::store::Counters;
    use crate::store::{Space, Topic};

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

    fn mark(tx: &Tx<'_>, at: i64) {
        tx.connection().execute("INSERT OR REPLACE INTO probe VALUES (1, ?1)", [at]).unwrap();
    }

    #[test]
    fn a_failing_and_a_panicking_job_roll_back_alone() {
        let directory = tempfile::tempdir().unwrap();
        let mut store = super::super::open(&directory.path().join("a.db")).unwrap();
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

    fn opened(path: &std::path::Path) -> Store {
        super::super::open(path).unwrap()
    }

    /// A writer that does nothing by itself.
    fn by_hand(store: &Store, clock: Clock) -> (WriterHandle, WriterThread<'_>) {
        let (handle, jobs) = handle(store, 16, clock.clone());
        let began = handle.began;
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
        thread.store.state.fault.set(Some(Fault::Full));
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        thread.begin_episode(Fault::Full, &Loss::at_commit(full), 1);
        assert!(refused(outcomes.try_recv().unwrap().1));
        assert!(!thread.store.reserve.path().exists(), "the reserve is given up");
        let log = directory.path().join("a.db-wal");
        assert_eq!(std::fs::metadata(&log).unwrap().len(), 0, "and the log lies in the database");
        handle.submit(keep()).ok().unwrap();
        assert!(refused(outcomes.try_recv().unwrap().1), "settled before it is handed over");
        assert_eq!((handle.queued(), handle.read_only()), (0, Some(Fault::Full)));
        assert!(matches!(thread.next(), Some(Turn::Probe)), "nothing waits, so time passes");
        // Someone in the way is no room either.
        let other = Connection::open(&path).unwrap();
        thread.store.connection.busy_timeout(Duration::ZERO).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        thread.probe();
        assert_eq!(handle.read_only(), Some(Fault::Full));
        drop(other);
        thread.probe();
        assert_eq!(handle.read_only(), None);
        assert!(thread.store.reserve.path().exists());
        handle.submit(keep()).ok().unwrap();
        commit_what_waits(&mut thread);
        outcomes.try_recv().unwrap().1.unwrap();
    }

    #[test]
    fn a_copy_ends_where_nobody_wants_it_or_the_storage_fails_or_nobody_can_hand_in_changes() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let mut to = Connection::open_in_memory().unwrap();
        let waits = Arc::new(());
        let wanted = Arc::downgrade(&waits);
        assert!(thread.copy(&mut to, &wanted).is_ok());
        assert!(matches!(thread.copy(&mut to, &Weak::new()), Err(CopyError::GivenUp)));
        let full = rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        thread.begin_episode(Fault::Full, &Loss::at_commit(full), 1);
        assert!(matches!(thread.copy(&mut to, &wanted), Err(CopyError::Storage(Fault::Full))));
        thread.probe();
        assert!(thread.copy(&mut to, &wanted).is_ok());
        drop(handle);
        assert!(matches!(thread.copy(&mut to, &wanted), Err(CopyError::GivenUp)));
    }

    #[test]
    fn a_change_that_is_too_large_for_the_room_left_is_lost_alone() {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(&directory.path().join("a.db"));
        let (handle, mut thread) = by_hand(&store, Clock::system());
        let pages: i64 = thread.store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let limit = format!("PRAGMA max_page_count = {}", pages + 2);
        thread.store.connection.query_row(&limit, (), |_| Ok(())).unwrap();
        let (settled, outcomes) = channel();
        let large = |tx: &mut Tx<'_>| {
            let sql = "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, created_at, \
                       updated_at) VALUES ('a', '', hex(zeroblob(50000)), '', '', 0, 0, 0)";
            let error = tx.connection().execute(sql, ()).unwrap_err();
            assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
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
        assert_eq!(handle.read_only(), None, "a row of our own could be committed");
    }

    #[test]
    fn a_job_that_meets_a_damaged_page_fails_by_itself_and_who_comes_after_it_is_none_the_worse() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let store = super::super::open(&path).unwrap();
        let fill = "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers LIMIT 100) \
                    INSERT INTO drafts (id, draft_id, creator_id, title, platform, holder_id, passed_at, created_at, \
                    updated_at) SELECT n, n, '', printf('%.*c', 400, '#'), '', '', 0, 0, 0 FROM numbers";
        store.connection.execute(fill, ()).unwrap();
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
            let read = tx.connection().query_row("SELECT sum(length(title)) FROM drafts", (), |_| Ok(()));
            assert_eq!(read.unwrap_err().sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt));
            Verdict::Undo
        };
        handle.submit(Box::new(Probe(marks, settled.clone(), "before"))).ok().unwrap();
        handle.submit(Box::new(Probe(reads, settled.clone(), "reads"))).ok().unwrap();
        handle.submit(Box::new(Probe(marks, settled, "after"))).ok().unwrap();
        commit_what_waits(&mut thread);
        // SQLite takes back all that was in the transaction; who was is told that nothing was changed.
        assert!(matches!(outcomes.try_recv().unwrap(), ("before", Err(StoreError::Undone(_)))));
        assert!(matches!(outcomes.try_recv().unwrap(), ("reads", Ok(_))), "its own answer stands");
        assert_eq!((handle.queued(), handle.read_only()), (1, None));
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
                    let at = tx.now().0;
                    let draft = "INSERT INTO drafts (draft_id, creator_id, title, platform, holder_id, passed_at, \
                                 created_at, updated_at) VALUES (hex(randomblob(16)), '', '', '', '', ?1, ?1, ?1)";
                    let draft = tx.connection().prepare(draft).unwrap().insert([at]).unwrap();
                    let event = "INSERT INTO events (draft, seq, type, data, request_id, created_at) \
                                 VALUES (?1, 1, '', '', '', ?2)";
                    tx.connection().execute(event, [draft, at]).unwrap();
                    told.send(at).unwrap();
                    Verdict::Keep
                };
                handle.submit(Box::new(Probe(change, settled.clone(), ""))).ok().unwrap();
                assert_eq!(handle.busy_for(), None);
                commit_what_waits(&mut thread);
                outcomes.try_recv().unwrap().1.unwrap();
            }
            times.try_iter().collect()
        };
        let clock = Clock::manual(Timestamp(10 * HOUR));
        assert_eq!(times(&clock, &[0, HOUR, -HOUR, 1]), [10 * HOUR, 11 * HOUR, 11 * HOUR, 11 * HOUR]);
        let clock = Clock::manual(Timestamp(10 * HOUR));
        assert_eq!(times(&clock, &[0, 2 * HOUR, -HOUR]), [11 * HOUR, 12 * HOUR, 12 * HOUR]);
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
