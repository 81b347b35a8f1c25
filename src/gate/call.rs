//! What a handler is given and what it gives back.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;

use super::error::ApiError;
use super::validate::Body;
use crate::hub::Mailbox;
use crate::net::http1::Headers;
use crate::net::{RequestId, Response, Session, SocketLimits, Ticket};
use crate::store::{Job, JobTimes, StoreError, Tx, Verdict};

/// One request as a handler sees it: routed, parsed, its sender known.
pub struct Call<'a> {
    /// The id to write beside whatever it causes.
    pub request_id: &'a RequestId,
    /// The sender, on routes that ask for one; empty on public routes, and on socket routes when nobody is known.
    pub user: &'a str,
    /// When what the sender showed is no longer good; only on socket routes, which outlast their request.
    pub known_until: Option<Instant>,
    /// Where the request comes from, seen through trusted proxies.
    pub client: IpAddr,
    /// The header lines, for what is not said elsewhere.
    pub headers: Headers<'a>,
    /// Names and values of the path's parts, decoded.
    pub params: matchit::Params<'a, 'a>,
    /// The raw query.
    pub query: &'a str,
    /// The body, on routes that read one.
    pub body: Body,
}

impl Call<'_> {
    /// A part of the path by its name in the template.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        self.params.get(name).unwrap_or_default()
    }

    /// A parameter of the query, decoded; the last one if it was given more than once.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(key, _)| key == name).last().map(|(_, value)| Cow::into_owned(value))
    }
}

/// What a handler answers.
pub enum Outcome {
    /// The answer, from what could be read.
    Now(Response),
    /// A change for the writer; the answer follows its commit.
    Write(Write),
    /// The connection becomes a WebSocket of this session. Only on routes for sockets.
    Socket(Box<dyn Session>, SocketLimits),
}

/// A change in two halves: `job` on the writer inside the transaction, `then` back on the shard after the commit.
pub struct Write {
    /// Ties the job to the connection that waits for it.
    arm: Box<dyn FnOnce(Arc<Mailbox>, Ticket) -> Box<dyn Job>>,
    collect: Collect,
}

/// Takes what the job left behind, or the given error if it left nothing, and makes the answer.
pub(super) type Collect = Box<dyn FnOnce(ApiError) -> Settled>;

/// What became of a change.
pub(super) struct Settled {
    pub(super) answer: Result<Response, ApiError>,
    pub(super) times: JobTimes,
}

impl Outcome {
    /// A change. `job` decides and writes, and undoes itself by failing; `then` makes the answer of what it returned.
    pub fn write<T, J, F>(job: J, then: F) -> Self
    where
        T: Send + 'static,
        J: FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
        F: FnOnce(T) -> Result<Response, ApiError> + 'static,
    {
        Self::attempt(job, |result: Result<T, ApiError>| result.and_then(then))
    }

    /// A change whose failure, too, is for `then` to answer, whether the job failed, its commit, or the way to it.
    pub fn attempt<T, J, F>(job: J, then: F) -> Self
    where
        T: Send + 'static,
        J: FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send + 'static,
        F: FnOnce(Result<T, ApiError>) -> Result<Response, ApiError> + 'static,
    {
        let desk = Arc::new(Mutex::new(None));
        let left = Arc::clone(&desk);
        let arm = move |mailbox, ticket| -> Box<dyn Job> {
            Box::new(Change { work: job, result: None, desk, mailbox, ticket })
        };
        let collect = move |nothing| {
            let (result, times) = left.lock().take().unwrap_or_else(|| (Err(nothing), JobTimes::default()));
            Settled { answer: then(result), times }
        };
        Self::Write(Write { arm: Box::new(arm), collect: Box::new(collect) })
    }
}

impl Write {
    /// The job, which will resume this ticket, and the way to its answer.
    pub(super) fn split(self, mailbox: Arc<Mailbox>, ticket: Ticket) -> (Box<dyn Job>, Collect) {
        ((self.arm)(mailbox, ticket), self.collect)
    }
}

/// Where the writer leaves what a job returned, for the shard to find.
type Desk<T> = Arc<Mutex<Option<(Result<T, ApiError>, JobTimes)>>>;

struct Change<T, J> {
    work: J,
    result: Option<Result<T, ApiError>>,
    desk: Desk<T>,
    mailbox: Arc<Mailbox>,
    ticket: Ticket,
}

impl<T, J> Job for Change<T, J>
where
    T: Send,
    J: FnMut(&mut Tx<'_>) -> Result<T, ApiError> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> Verdict {
        self.result = Some((self.work)(tx));
        if matches!(self.result, Some(Ok(_))) { Verdict::Keep } else { Verdict::Undo }
    }

    fn settle(self: Box<Self>, outcome: Result<JobTimes, StoreError>) {
        let Self { result, desk, mailbox, ticket, .. } = *self;
        let left = match (outcome, result) {
            (Ok(times), Some(result)) => (result, times),
            (Ok(times), None) => (Err(ApiError::internal("the job did not run")), times),
            // Drop the refusal too: the rows it was based on may not have been committed.
            (Err(error), _) => (Err(error.into()), JobTimes::default()),
        };
        *desk.lock() = Some(left);
        mailbox.resume(ticket);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::clock::Clock;
    use crate::gate::error::Code;
    use crate::hub::Hub;
    use crate::net;
    use crate::store::testing::schema;
    use crate::store::{Migration, Query as _, Writer, open};

    const ROWS: Migration =
        Migration { version: 2, sql: "CREATE TABLE rows (id INTEGER PRIMARY KEY, other INTEGER REFERENCES rows (id))" };

    #[test]
    fn a_refusal_is_only_given_on_the_grounds_of_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("a.db"), &schema(&[ROWS])).unwrap();
        let writer = Writer::start(store, 16, Arc::new(Hub::new(Clock::system())), Clock::system()).unwrap();
        let mut poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(net::Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
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
        let ticket = Ticket { connection: 0, serial: 0 };
        let submit = |outcome| {
            let Outcome::Write(write) = outcome else { unreachable!() };
            let (job, collect) = write.split(Arc::clone(&mailbox), ticket);
            writer.handle().submit(job).ok().unwrap();
            collect
        };
        let empty = |()| Ok(Response::empty(http::StatusCode::OK));
        let in_doubt = [submit(Outcome::write(doomed, empty)), submit(Outcome::write(passed_before, empty))];
        go.send(()).unwrap();
        // The first answer means that the transaction is over; what is asked now has another.
        poll.poll(&mut mio::Events::with_capacity(1), Some(std::time::Duration::from_secs(20))).unwrap();
        let later = submit(Outcome::write(passed_before, empty));
        writer.stop();
        let nothing = || ApiError::internal("nothing was left");
        let settled = |collect: Collect| collect(nothing()).answer.map_err(|error| error.code());
        for collect in in_doubt {
            assert_eq!(settled(collect).err(), Some(Code::StorageUnavailable));
        }
        assert!(settled(later).is_ok(), "the ring was never passed");
    }
}
