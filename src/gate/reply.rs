//! An answer that comes from elsewhere.
//!
//! A handler parks its request ([`Call::park`](super::Call::park)), gives the [`Reply`] to whatever will answer (the
//! writer, the blocking pool, a thread of its own, an outbound call), and returns what to make of the result. The holder
//! of the `Reply` answers once, from any thread, even before the handler has returned. The shard then takes the
//! request up again and makes the response.
//!
//! A `Reply` that is dropped answers 500. One that does not come within [`net::Timeouts::parked`](crate::net::Timeouts)
//! finds nobody: the client was told 503.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use parking_lot::Mutex;

use super::error::ApiError;
use crate::net::{Response, Resume, Ticket, Woken};

/// How long the work behind an answer took, for the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// From being handed over until the work began.
    pub queued: Duration,
    /// From there until the answer was known; for a change, the end of its fsync.
    pub worked: Duration,
}

/// What a request waits for; decides the words for a client who waits in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// Something that changes nothing.
    Work,
    /// A change that may still be made when the client has gone.
    Change,
}

/// Shared by the two ends. The lock is held for a move.
struct Slot<T> {
    state: Mutex<State<T>>,
    shard: Arc<dyn Resume>,
    ticket: Ticket,
}

enum State<T> {
    Waiting,
    Answered(Result<T, ApiError>, Times),
    /// Nobody waits: the answer came too late, or the request was never parked, or its connection is gone.
    Gone,
}

/// The end that answers.
pub struct Reply<T: Send>(Option<Arc<Slot<T>>>);

/// The end that stays on the shard. Dropped, it tells the other end that nobody waits.
pub struct Parked<T: Send> {
    slot: Arc<Slot<T>>,
    waits_for: WaitsFor,
    stays: PhantomData<Rc<()>>,
}

/// A parked request and how its response will be made.
pub struct Waiting {
    pub(super) waits_for: WaitsFor,
    pub(super) collect: Box<dyn FnOnce(Woken) -> Collected>,
}

/// What became of a parked request.
pub(super) struct Collected {
    pub(super) answer: Result<Response, ApiError>,
    pub(super) times: Times,
    /// Whether no answer came in time.
    pub(super) late: bool,
}

/// The two ends for the request with this ticket.
pub(crate) fn park<T: Send>(shard: Arc<dyn Resume>, ticket: Ticket) -> (Reply<T>, Parked<T>) {
    let slot = Arc::new(Slot { state: Mutex::new(State::Waiting), shard, ticket });
    let parked = Parked { slot: Arc::clone(&slot), waits_for: WaitsFor::Work, stays: PhantomData };
    (Reply(Some(slot)), parked)
}

impl Waiting {
    /// The same with these headers on its response, whatever that is.
    #[must_use]
    pub(super) fn carrying(self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        let collect = |woken| {
            let collected = (self.collect)(woken);
            let answer = match collected.answer {
                Ok(mut response) => {
                    response.headers.extend(headers);
                    Ok(response)
                }
                Err(error) => Err(error.with_headers(headers)),
            };
            Collected { answer, ..collected }
        };
        Self { waits_for: self.waits_for, collect: Box::new(collect) }
    }
}

impl<T: Send> Reply<T> {
    /// Answers.
    pub fn done(self, result: Result<T, ApiError>) {
        self.done_in(result, Times::default());
    }

    /// Answers, and says how long it took.
    pub fn done_in(mut self, result: Result<T, ApiError>, times: Times) {
        if let Some(slot) = self.0.take() {
            slot.answer(result, times);
        }
    }

    /// Whether anyone still waits. Work that is done for the answer alone can be left out otherwise.
    pub fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|slot| !matches!(*slot.state.lock(), State::Gone))
    }
}

impl<T: Send> Drop for Reply<T> {
    fn drop(&mut self) {
        if let Some(slot) = self.0.take() {
            slot.answer(
                Err(ApiError::internal("the request was given up by what should have answered it")),
                Times::default(),
            );
        }
    }
}

impl<T> Slot<T> {
    fn answer(&self, result: Result<T, ApiError>, times: Times) {
        let mut state = self.state.lock();
        if matches!(*state, State::Waiting) {
            *state = State::Answered(result, times);
            drop(state);
            self.shard.resume(self.ticket);
        }
    }
}

impl<T: Send + 'static> Parked<T> {
    /// Marks this as waiting for a change: a client whose time is up is told that it may still be made.
    #[must_use]
    pub fn for_change(mut self) -> Self {
        self.waits_for = WaitsFor::Change;
        self
    }

    /// Answers with what `then` makes of the value, or with the error that came instead.
    pub fn then(self, then: impl FnOnce(T) -> Result<Response, ApiError> + 'static) -> Waiting {
        self.attempt(|result: Result<T, ApiError>| result.and_then(then))
    }

    /// Answers with what `then` makes of the result, errors and lateness included.
    pub fn attempt(self, then: impl FnOnce(Result<T, ApiError>) -> Result<Response, ApiError> + 'static) -> Waiting {
        let waits_for = self.waits_for;
        let collect = move |woken| {
            let (result, times, late) = self.take(woken);
            Collected { answer: then(result), times, late }
        };
        Waiting { waits_for, collect: Box::new(collect) }
    }
}

impl<T: Send> Parked<T> {
    /// What came, if anything has: for a receiver that paused for it.
    pub fn ready(&self) -> Option<Result<T, ApiError>> {
        let mut state = self.slot.state.lock();
        if matches!(*state, State::Waiting) {
            return None;
        }
        match std::mem::replace(&mut *state, State::Gone) {
            State::Answered(result, _) => Some(result),
            State::Waiting | State::Gone => None,
        }
    }

    /// Says that nobody waits any more. Returns what came all the same, for who should not let it be dropped here.
    pub fn give_up(self) -> Option<T> {
        match std::mem::replace(&mut *self.slot.state.lock(), State::Gone) {
            State::Answered(result, _) => result.ok(),
            State::Waiting | State::Gone => None,
        }
    }

    /// What came, or what that it did not come in time means.
    fn take(&self, woken: Woken) -> (Result<T, ApiError>, Times, bool) {
        match std::mem::replace(&mut *self.slot.state.lock(), State::Gone) {
            State::Answered(result, times) => (result, times, false),
            State::Waiting | State::Gone if woken == Woken::TimedOut => {
                (Err(self.waits_for.not_in_time()), Times::default(), true)
            }
            State::Waiting | State::Gone => {
                (Err(ApiError::internal("the request was taken up without an answer")), Times::default(), false)
            }
        }
    }
}

impl<T: Send> Drop for Parked<T> {
    fn drop(&mut self) {
        let unwanted = std::mem::replace(&mut *self.slot.state.lock(), State::Gone);
        // Outside the lock: it may be large, or own a lock of its own.
        drop(unwanted);
    }
}

#[cfg(test)]
impl Waiting {
    /// What a client would be answered.
    pub(crate) fn answer(self, woken: Woken) -> Result<Response, ApiError> {
        (self.collect)(woken).answer
    }
}

impl WaitsFor {
    pub(super) fn not_in_time(self) -> ApiError {
        ApiError::overloaded(match self {
            Self::Work => "The answer was not ready in time; try again",
            Self::Change => {
                "The change was not confirmed in time and may still be stored; retry with the same idempotency key"
            }
        })
    }

    /// What the log says when the time is up.
    pub(super) fn late_event(self) -> &'static str {
        match self {
            Self::Work => "request.not_answered_in_time",
            Self::Change => "store.not_confirmed_in_time",
        }
    }

    /// 500: `then` panicked.
    pub(super) fn panicked(self) -> ApiError {
        ApiError::internal(match self {
            Self::Work => "making the answer panicked",
            Self::Change => "making the answer panicked; the change was committed",
        })
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::gate::code::Code;

    /// A shard that counts how often it is woken.
    #[derive(Default)]
    struct Woke(Mutex<usize>);

    impl Resume for Woke {
        fn resume(&self, _: Ticket) {
            *self.0.lock() += 1;
        }
    }

    fn parked() -> (Arc<Woke>, Reply<u8>, Parked<u8>) {
        let shard = Arc::new(Woke::default());
        let (reply, parked) = park(Arc::clone(&shard) as _, Ticket { connection: 0, serial: 0 });
        (shard, reply, parked)
    }

    fn body(value: u8) -> Result<Response, ApiError> {
        Ok(Response::json(StatusCode::OK, vec![value]))
    }

    fn code(waiting: Waiting, woken: Woken) -> Code {
        waiting.answer(woken).unwrap_err().code()
    }

    #[test]
    fn a_reply_answers_once_from_any_thread() {
        let (shard, reply, parked) = parked();
        assert!(reply.is_awaited());
        std::thread::spawn(move || reply.done(Ok(7))).join().unwrap();
        assert_eq!(*shard.0.lock(), 1);
        assert_eq!(parked.then(body).answer(Woken::Resumed).unwrap().body.bytes(), [7]);
        assert_eq!(*shard.0.lock(), 1, "nothing is left to wake for");
    }

    #[test]
    fn a_dropped_reply_answers_500_and_a_late_one_nobody() {
        let (shard, reply, parked) = self::parked();
        drop(reply);
        assert_eq!((*shard.0.lock(), code(parked.then(body), Woken::Resumed)), (1, Code::InternalError));
        let (shard, reply, parked) = self::parked();
        assert_eq!(code(parked.then(body), Woken::TimedOut), Code::Overloaded);
        assert!(!reply.is_awaited());
        reply.done(Ok(1));
        assert_eq!(*shard.0.lock(), 0);
        let (_, reply, parked) = self::parked();
        reply.done(Ok(2));
        assert!(parked.then(body).answer(Woken::TimedOut).is_ok(), "it was in time after all");
    }

    #[test]
    fn nobody_is_woken_for_a_request_that_is_not_parked_any_more() {
        let (shard, reply, parked) = parked();
        let waiting = parked.then(body);
        drop(waiting);
        assert!(!reply.is_awaited());
        drop(reply);
        assert_eq!(*shard.0.lock(), 0);
    }

    #[test]
    fn an_attempt_sees_what_went_wrong() {
        let seen = |woken: Woken| {
            let (_, reply, parked) = parked();
            let waiting =
                parked.for_change().attempt(|result: Result<u8, ApiError>| Ok(result.unwrap_err().to_response("-")));
            let text = String::from_utf8(waiting.answer(woken).unwrap().body.bytes().to_vec()).unwrap();
            drop(reply);
            text
        };
        assert!(seen(Woken::TimedOut).contains("retry with the same idempotency key"));
        assert!(seen(Woken::Resumed).contains("internal_error"));
    }
}
