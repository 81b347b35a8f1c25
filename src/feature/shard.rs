//! What a feature's handlers work with on a shard, and the three ways in which they wait for something: reading, changing,
//! blocking work.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::Check;
use crate::gate::{ApiError, Call, Outcome, Reply, Times};
use crate::hub::{Mailbox, Topics};
use crate::net::Response;
use crate::pool::PoolHandle;
use crate::store::{Job, JobTimes, Reader, StoreError, Tx, Verdict, WriterHandle};

/// What the handlers of one shard work with.
#[derive(Clone)]
pub struct ShardParts {
    /// Reads what is committed.
    pub reader: Rc<Reader>,
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
}

impl ShardParts {
    /// Answers with what `then` makes of what `fetch` reads. On SQLite a read does not wait, so both run at once; `fetch`
    /// is written as if it ran elsewhere, for a store where it does.
    ///
    /// # Errors
    /// Those of `fetch` and `then`.
    pub fn read<T: Send>(
        &self,
        _: &Call<'_>,
        fetch: impl FnOnce(&Reader) -> Result<T, ApiError> + Send,
        then: impl FnOnce(T) -> Result<Response, ApiError>,
    ) -> Result<Outcome, ApiError> {
        fetch(&self.reader).and_then(then).map(Outcome::Now)
    }

    /// Answers with what `then` makes of what a change returns, once it is on disk. `job` decides and writes, and undoes
    /// itself by failing; it may be run a second time, with nothing left of the first.
    ///
    /// # Errors
    /// 503 when too many changes wait.
    pub fn change<T: Send + 'static>(
        &self,
        call: &Call<'_>,
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
        call: &Call<'_>,
        job: impl FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(Result<T, ApiError>) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        let (reply, parked) = call.park();
        match self.writer.submit(Box::new(Change { job, result: None, reply })) {
            Ok(()) => Ok(Outcome::Parked(parked.for_change().attempt(then))),
            Err(refused) => {
                // In this order, so that nobody is woken for it.
                drop(parked);
                drop(refused);
                then(Err(queue_full("changes are waiting to be written; nothing was changed"))).map(Outcome::Now)
            }
        }
    }

    /// Answers with what `then` makes of what `work` returns, which runs on the blocking pool. It is left out if nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// 503 when too much waits for the pool.
    pub fn block<T: Send + 'static>(
        &self,
        call: &Call<'_>,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
        then: impl FnOnce(T) -> Result<Response, ApiError> + 'static,
    ) -> Result<Outcome, ApiError> {
        let (reply, parked) = call.park();
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
                Err(queue_full("requests are waiting for a file or a long read"))
            }
        }
    }
}

fn queue_full(of_what: &str) -> ApiError {
    ApiError::overloaded(format!("Too many {of_what}"))
}

/// A job of the writer that answers a request.
struct Change<T: Send, J> {
    job: J,
    result: Option<Result<T, ApiError>>,
    reply: Reply<T>,
}

impl<T, J> Job for Change<T, J>
where
    T: Send,
    J: FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        // Nothing is kept of an earlier run, should this one panic.
        self.result = None;
        let result = self.result.insert((self.job)(tx));
        if result.is_ok() { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        let Self { result, reply, .. } = *self;
        match (outcome, result) {
            (Ok(JobTimes { queued, commit }), Some(result)) => reply.done_in(result, Times { queued, worked: commit }),
            (Ok(_), None) => reply.done(Err(ApiError::internal("the job did not run"))),
            // Drop the refusal too: the rows it was based on may not have been committed.
            (Err(error), _) => reply.done(Err(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
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
            writer.handle().submit(Box::new(Change { job, result: None, reply })).ok().unwrap();
            parked.then(|()| Ok(Response::empty(StatusCode::OK)))
        }
        let in_doubt = [submit(&writer, doomed), submit(&writer, passed_before)];
        let (over, is_over) = sync_channel(1);
        let (reply, _parked) = park::<()>(Arc::new(Asleep), Ticket { connection: 0, serial: 1 });
        let last = move |_: &mut Tx<'_>| over.send(()).map_err(|_| ApiError::internal("nobody waits"));
        writer.handle().submit(Box::new(Change { job: last, result: None, reply })).ok().unwrap();
        go.send(()).unwrap();
        // What is asked once the last job of the transaction has run may still join it, so wait for its end.
        is_over.recv().unwrap();
        while writer.handle().busy_for().is_some() {
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
