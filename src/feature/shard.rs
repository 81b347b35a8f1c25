//! What a feature's handlers work with on a shard, and the ways in which they wait for something: reading, changing, blocking
//! work. The fourth, a body that comes piece by piece, is in [`super::receive`].

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use http::StatusCode;

use super::{Check, Figures};
use crate::gate::{ApiError, Call, Conditions, Content, Outcome, Parking, Reply, Times};
use crate::hub::{Mailbox, Topics};
use crate::net::body::Source;
use crate::net::{Body, Response};
use crate::pool::PoolHandle;
use crate::store::{Job, JobTimes, Reader, StoreError, Tx, Verdict, WriterHandle};

/// What the handlers of one shard work with.
#[derive(Clone)]
pub struct ShardParts {
    reader: Rc<Reader>,
    /// Where changes are handed in.
    pub writer: WriterHandle,
    /// Where work that blocks is handed in.
    pub pool: PoolHandle,
    /// Who on this shard listens to what.
    pub topics: Rc<RefCell<Topics>>,
    /// Where this shard is reached.
    pub mailbox: Arc<Mailbox>,
    /// What `/readyz` asks of everyone.
    pub checks: Arc<[Check]>,
    /// What `/health` and `/ready` carry of everyone.
    pub figures: Arc<[Figures]>,
}

impl ShardParts {
    /// The parts of a shard with this mailbox, that reads through this connection. Last comes what everyone is asked about how
    /// things are.
    pub fn new(
        reader: Reader,
        writer: WriterHandle,
        pool: PoolHandle,
        topics: Rc<RefCell<Topics>>,
        mailbox: Arc<Mailbox>,
        (checks, figures): (Arc<[Check]>, Arc<[Figures]>),
    ) -> Self {
        Self { reader: Rc::new(reader), writer, pool, topics, mailbox, checks, figures }
    }

    /// Answers with what `then` makes of what `fetch` reads. `fetch` owns all that it needs and returns plain values, so that
    /// it could run on another thread, for a store where a read waits; on SQLite both run at once.
    ///
    /// # Errors
    /// Those of `fetch` and `then`.
    pub fn read<T: Send + 'static>(
        &self,
        _: &Call<'_>,
        fetch: impl FnOnce(&Reader) -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(T) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        self.fetch(fetch).and_then(then).map(Outcome::Now)
    }

    /// Reads at once, for a session, or for an answer that is already being made: what comes after a change, or depends on what
    /// was read before. `fetch` is held to the same as that of [`ShardParts::read`]. Where reads wait, these are the
    /// places that would have to be taken up again (decision 0021).
    ///
    /// # Errors
    /// Those of `fetch`.
    pub fn fetch<T: Send + 'static, E: Send + 'static>(
        &self,
        fetch: impl FnOnce(&Reader) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        fetch(&self.reader)
    }

    /// Answers with what `then` makes of what a change returns, once it is on disk. `job` decides and writes, and undoes
    /// itself by failing; it may be run a second time, with nothing left of the first.
    ///
    /// # Errors
    /// 503 when too many changes wait.
    pub fn change<T: Send + 'static>(
        &self,
        call: &impl AsRef<Parking>,
        job: impl FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(T) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        self.try_change(call, job, |result: Result<T, ApiError>| result.and_then(then))
    }

    /// The same for a `then` that also answers failures, whether the job failed, its commit, or the way to it.
    ///
    /// # Errors
    /// None, but those of `then` when too many changes wait.
    pub fn try_change<T: Send + 'static>(
        &self,
        call: &impl AsRef<Parking>,
        job: impl FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(Result<T, ApiError>) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        let (reply, parked) = call.as_ref().park();
        match self.writer.submit(Box::new(Change::new(reply, job))) {
            Ok(()) => Ok(Outcome::Parked(parked.for_change().attempt(then))),
            Err(refused) => {
                // In this order, so that nobody is woken for it.
                drop(parked);
                drop(refused);
                then(Err(too_many_changes())).map(Outcome::Now)
            }
        }
    }

    /// 200 with JSON that is read and made piece by piece as its client takes it, so that it is never there as a whole. Each time
    /// `next` appends about a piece ([`PIECE_BYTES`](crate::net::body::PIECE_BYTES)) and says whether there are more. It owns all
    /// that it needs, as for [`ShardParts::read`], and is asked on the shard, where it takes its connection's time.
    pub fn made(&self, next: impl FnMut(&Reader, &mut Vec<u8>) -> Result<bool, ApiError> + Send + 'static) -> Response {
        let body = Body::Made(Box::new(Made { reader: Rc::clone(&self.reader), next }));
        Response { body, ..Response::json(StatusCode::OK, &b""[..]) }
    }

    /// Answers with a file, or what of it is asked for. `open` runs on the blocking pool ([`Content::open`]), which then reads
    /// the file as its client takes it.
    ///
    /// # Errors
    /// 503 when too much waits for the pool.
    pub fn file(
        &self,
        call: &Call<'_>,
        open: impl FnOnce() -> Result<Content, ApiError> + Send + 'static,
    ) -> Result<Outcome, ApiError> {
        let conditions = Conditions::of(call);
        self.block(call, open, move |content| content.answer(&conditions))
    }

    /// Answers with what `then` makes of what `work` returns, which runs on the blocking pool. It is left out if nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// 503 when too much waits for the pool.
    pub fn block<T: Send + 'static>(
        &self,
        call: &impl AsRef<Parking>,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(T) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        let (reply, parked) = call.as_ref().park();
        let task = move || {
            if reply.is_awaited() {
                reply.done(work());
            }
        };
        match self.pool.submit(Box::new(task)) {
            Ok(()) => Ok(Outcome::Parked(parked.then(then))),
            Err(refused) => {
                drop(parked);
                drop(refused);
                Err(too_much_work())
            }
        }
    }
}

/// A body that is read and made on the shard.
struct Made<N> {
    reader: Rc<Reader>,
    next: N,
}

impl<N: FnMut(&Reader, &mut Vec<u8>) -> Result<bool, ApiError>> Source for Made<N> {
    fn next(&mut self, out: &mut Vec<u8>) -> io::Result<bool> {
        (self.next)(&self.reader, out)
            .map_err(|error| io::Error::other(error.context().or(error.message()).unwrap_or_default().to_owned()))
    }
}

/// Hands in a change whose answer is awaited elsewhere: by a receiver that pauses for it, or by a request whose body ends with
/// a row. If too many changes wait, the answer is 503.
pub fn hand_in<T: Send + 'static>(
    writer: &WriterHandle,
    reply: Reply<T>,
    job: impl FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
) {
    drop(writer.submit(Box::new(Change::new(reply, job))));
}

fn too_many_changes() -> ApiError {
    ApiError::overloaded("Too many changes are waiting to be written; nothing was changed")
}

pub(super) fn too_much_work() -> ApiError {
    ApiError::overloaded("Too many requests are waiting for a file or a long read")
}

/// A job of the writer that answers a request. Given back by the writer and dropped, it says that too many wait.
struct Change<T: Send, J> {
    /// Until it is settled.
    job: Option<J>,
    result: Option<Result<T, ApiError>>,
    /// Until it is answered.
    reply: Option<Reply<T>>,
}

impl<T: Send, J> Change<T, J> {
    fn new(reply: Reply<T>, job: J) -> Self {
        Self { job: Some(job), result: None, reply: Some(reply) }
    }
}

impl<T: Send, J> Drop for Change<T, J> {
    fn drop(&mut self) {
        if let Some(reply) = self.reply.take() {
            self.job = None;
            reply.done(Err(too_many_changes()));
        }
    }
}

impl<T, J> Job for Change<T, J>
where
    T: Send,
    J: FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        // Nothing is kept of an earlier run, should this one panic.
        self.result = None;
        let Some(job) = &mut self.job else { return Verdict::Undo };
        let result = self.result.insert(job(tx));
        if result.is_ok() { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(mut self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        let Some(reply) = self.reply.take() else { return };
        // Whoever is answered finds nothing held any more by what is done.
        self.job = None;
        match (outcome, self.result.take()) {
            (Ok(JobTimes { queued, commit }), Some(result)) => reply.done_in(result, Times { queued, worked: commit }),
            (Ok(_), None) => reply.done(Err(ApiError::internal("the job did not run"))),
            // Drop the refusal too: the rows it was based on may not have been committed.
            (Err(error), _) => reply.done(Err(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{channel, sync_channel};

    use http::StatusCode;

    use super::*;
    use crate::clock::Clock;
    use crate::gate::{Code, Waiting, park};
    use crate::hub::Hub;
    use crate::net::{Resume, Ticket, Woken};
    use crate::store::testing::schema;
    use crate::store::{Migration, Query as _, Writer, open};

    const ROWS: Migration =
        Migration { version: 2, sql: "CREATE TABLE rows (id INTEGER PRIMARY KEY, other INTEGER REFERENCES rows (id))" };

    struct Asleep;

    impl Resume for Asleep {
        fn resume(&self, _: Ticket) {}
    }

    /// Counts who is woken while the job still holds what it was given.
    struct TooEarly {
        held: Weak<()>,
        times: AtomicUsize,
    }

    impl Resume for TooEarly {
        fn resume(&self, _: Ticket) {
            self.times.fetch_add(self.held.strong_count(), Ordering::Relaxed);
        }
    }

    #[test]
    fn what_a_change_holds_is_let_go_before_its_answer() {
        let submit = |room: usize| {
            let directory = tempfile::tempdir().unwrap();
            let store = open(&directory.path().join("a.db"), &schema(&[ROWS])).unwrap();
            let writer = Writer::start(store, room, Arc::new(Hub::new(Clock::system())), Clock::system()).unwrap();
            let held = Arc::new(());
            let shard = Arc::new(TooEarly { held: Arc::downgrade(&held), times: AtomicUsize::new(0) });
            let (reply, parked) = park::<()>(shard.clone(), Ticket { connection: 0, serial: 0 });
            hand_in(&writer.handle(), reply, move |_| {
                let _ = &held;
                Ok(())
            });
            writer.stop();
            let answer = parked.then(|()| Ok(Response::empty(StatusCode::OK))).answer(Woken::Resumed);
            (answer.map_err(|error| error.code()).err(), shard.times.load(Ordering::Relaxed))
        };
        assert_eq!(submit(16), (None, 0));
        assert_eq!(submit(0), (Some(Code::Overloaded), 0));
    }

    #[test]
    fn a_refusal_is_only_given_on_the_grounds_of_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("a.db"), &schema(&[ROWS])).unwrap();
        let writer = Writer::start(store, 16, Arc::new(Hub::new(Clock::system())), Clock::system()).unwrap();
        let (go, wait) = channel::<()>();
        // A foreign key that leads nowhere is found by the commit. The others wait until they share its transaction.
        let doomed = move |tx: &mut Tx<'_>| {
            wait.recv().unwrap();
            tx.batch("PRAGMA defer_foreign_keys = ON; INSERT INTO rows VALUES (1, 404)")?;
            Ok(())
        };
        let passed_before = |tx: &mut Tx<'_>| match tx.exists("SELECT 1 FROM rows", &[])? {
            true => Err(ApiError::new(Code::Forbidden, "no longer yours")),
            false => Ok(()),
        };
        fn submit(writer: &Writer, job: impl FnMut(&mut Tx<'_>) -> Result<(), ApiError> + Send + 'static) -> Waiting {
            let (reply, parked) = park(Arc::new(Asleep), Ticket { connection: 0, serial: 0 });
            writer.handle().submit(Box::new(Change::new(reply, job))).ok().unwrap();
            parked.then(|()| Ok(Response::empty(StatusCode::OK)))
        }
        let in_doubt = [submit(&writer, doomed), submit(&writer, passed_before)];
        let (over, is_over) = sync_channel(1);
        let (reply, _parked) = park::<()>(Arc::new(Asleep), Ticket { connection: 0, serial: 1 });
        let last = move |_: &mut Tx<'_>| over.send(()).map_err(|_| ApiError::internal("nobody waits"));
        writer.handle().submit(Box::new(Change::new(reply, last))).ok().unwrap();
        go.send(()).unwrap();
        // What is asked once the last job of the transaction has run may still join it, so wait for its end.
        is_over.recv().unwrap();
        while writer.handle().view().busy_for().is_some() {
            std::thread::yield_now();
        }
        let later = submit(&writer, passed_before);
        writer.stop();
        let answer = |waiting: Waiting| waiting.answer(Woken::Resumed).map_err(|error| error.code());
        for waiting in in_doubt {
            assert_eq!(answer(waiting).err(), Some(Code::StorageUnavailable));
        }
        assert!(answer(later).is_ok(), "the ring was never passed");
    }
}
