//! A body that is taken where it may block: on the blocking pool, piece by piece.
//!
//! While the pool has a piece, the body pauses, so that at most [`GATHERED_MAX_BYTES`] of it are here and one piece more; the
//! rest waits with its sender. No thread is held for a sender who is slow.

use super::ShardParts;
use super::shard::too_much_work;
use crate::gate::{ApiError, BodyReceiver, Call, Outcome, Parked, Parking, Reply};
use crate::net::{Response, Take};
use crate::pool::PoolHandle;
use crate::settings::{BoundRow, CONNECTIONS};

/// What is gathered of a body before the pool is asked to take it.
const GATHERED_MAX_BYTES: usize = 16 * 1024;

pub(crate) const BOUNDS: &[BoundRow] =
    &[BoundRow::new(&CONNECTIONS, "GATHERED_MAX_BYTES", GATHERED_MAX_BYTES as u64, "bytes")
        .of(
            "A streamed body that waits for the blocking pool, and a piece more.",
            "nothing more is read until the pool has it",
        )
        .tested_by("pieces_are_gathered_until_it_is_worth_the_way")];

/// Takes the body of one request. All of it happens on the pool, where it may block, and nothing of it twice at once. Dropped
/// before its end, the body is not whole: a file that was begun is removed then.
pub trait Sink: Sized + Send + 'static {
    /// What there is to say of a body that is whole.
    type Kept: Send + 'static;

    /// Takes the next piece.
    ///
    /// # Errors
    /// The answer. Nothing more is read then, and the connection closes after it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), ApiError>;

    /// The body is whole: answers, or hands the reply to what will, such as a change ([`hand_in`](super::hand_in)).
    fn end(self, reply: Reply<Self::Kept>);
}

impl ShardParts {
    /// Takes the body where it may block, and answers with what `then` makes of what was kept of it. `open` is called, on the
    /// pool, when there is something to take, and at the end at the latest.
    pub fn receive<S: Sink>(
        &self,
        call: &Call<'_>,
        open: impl FnOnce() -> Result<S, ApiError> + Send + 'static,
        then: impl FnOnce(S::Kept) -> Result<Response, ApiError> + 'static,
    ) -> Outcome {
        let begun = Some(Begun::Not(Box::new(open)));
        let errand = Errand { pool: self.pool.clone(), here: begun, away: None };
        Outcome::Receive(Box::new(Errands { errand, parking: call.as_ref().clone(), gathered: Vec::new(), then }))
    }
}

/// A sink, once there is one.
enum Begun<S> {
    Not(Box<dyn FnOnce() -> Result<S, ApiError> + Send>),
    Yes(S),
}

impl<S: Sink> Begun<S> {
    fn write(self, bytes: &[u8]) -> Result<S, ApiError> {
        let mut sink = match self {
            Self::Not(open) => open()?,
            Self::Yes(sink) => sink,
        };
        if !bytes.is_empty() {
            sink.write(bytes)?;
        }
        Ok(sink)
    }
}

/// A sink that goes to the pool and comes back.
struct Errand<S: Sink> {
    pool: PoolHandle,
    here: Option<Begun<S>>,
    away: Option<Parked<S>>,
}

impl<S: Sink> Errand<S> {
    /// Sends it away, to do something that ends with a reply.
    fn send<T: Send + 'static>(
        &mut self,
        parking: &Parking,
        work: impl FnOnce(Begun<S>, Reply<T>) + Send + 'static,
    ) -> Result<Parked<T>, ApiError> {
        let Some(begun) = self.here.take() else { return Err(ApiError::internal("the sink of a body is not here")) };
        let (reply, parked) = parking.park();
        let task = move || {
            if reply.is_awaited() {
                work(begun, reply);
            }
        };
        match self.pool.submit(Box::new(task)) {
            Ok(()) => Ok(parked),
            Err(refused) => {
                // In this order, so that nobody is woken for it.
                drop(parked);
                drop(refused);
                Err(too_much_work())
            }
        }
    }
}

impl<S: Sink> Drop for Errand<S> {
    fn drop(&mut self) {
        let back = self.away.take().and_then(Parked::give_up).map(Begun::Yes);
        if let Some(Begun::Yes(sink)) = self.here.take().or(back) {
            // Undoing what it has begun may block, too. Where the pool has no room for it, it is done here.
            drop(self.pool.submit(Box::new(move || drop(sink))));
        }
    }
}

struct Errands<S: Sink, F> {
    errand: Errand<S>,
    parking: Parking,
    gathered: Vec<u8>,
    then: F,
}

impl<S, F> BodyReceiver for Errands<S, F>
where
    S: Sink,
    F: FnOnce(S::Kept) -> Result<Response, ApiError> + 'static,
{
    fn piece(&mut self, bytes: &[u8]) -> Result<Take, ApiError> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() < GATHERED_MAX_BYTES {
            return Ok(Take::More);
        }
        let bytes = std::mem::take(&mut self.gathered);
        let write = move |begun: Begun<S>, reply: Reply<S>| reply.done(begun.write(&bytes));
        self.errand.away = Some(self.errand.send(&self.parking, write)?);
        Ok(Take::Pause)
    }

    fn resumed(&mut self) -> Result<Take, ApiError> {
        let Some(away) = &self.errand.away else { return Ok(Take::More) };
        let Some(back) = away.ready() else { return Ok(Take::Pause) };
        self.errand.away = None;
        self.errand.here = Some(Begun::Yes(back?));
        Ok(Take::More)
    }

    fn end(self: Box<Self>, parking: &Parking) -> Result<Outcome, ApiError> {
        let Self { mut errand, gathered, then, .. } = *self;
        let finish = move |begun: Begun<S>, reply: Reply<S::Kept>| match begun.write(&gathered) {
            Ok(sink) => sink.end(reply),
            Err(error) => reply.done(Err(error)),
        };
        Ok(Outcome::Parked(errand.send(parking, finish)?.for_change().then(then)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
    use std::time::Duration;

    use parking_lot::Mutex;

    use super::*;
    use crate::gate::Code;
    use crate::net::{Resume, Ticket};
    use crate::pool::Pool;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A shard that says when it is woken.
    struct Woken(Mutex<Sender<()>>);

    impl Resume for Woken {
        fn resume(&self, _: Ticket) {
            let _ = self.0.lock().send(());
        }
    }

    /// Says on which thread it is dropped.
    struct Told(Sender<String>);

    impl Sink for Told {
        type Kept = ();

        fn write(&mut self, _: &[u8]) -> Result<(), ApiError> {
            Ok(())
        }

        fn end(self, reply: Reply<()>) {
            reply.done(Ok(()));
        }
    }

    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(std::thread::current().name().unwrap_or_default().to_owned());
        }
    }

    type Open = Box<dyn FnOnce() -> Result<Told, ApiError> + Send>;

    struct House {
        pool: Pool,
        woken: Receiver<()>,
        dropped: Receiver<String>,
        body: Box<dyn BodyReceiver>,
    }

    fn house(may_open: Option<Receiver<()>>) -> House {
        let ((wake, woken), (drops, dropped)) = (channel(), channel());
        let pool = Pool::start("test", 1);
        let parking = Parking::of(Arc::new(Woken(Mutex::new(wake))));
        let open: Open = Box::new(move || {
            // Once to be there, once to go on.
            may_open.iter().for_each(|wait| (0..2).for_each(|_| wait.recv().unwrap()));
            Ok(Told(drops))
        });
        let errand = Errand { pool: pool.handle(), here: Some(Begun::Not(open)), away: None };
        let then = |()| Ok(Response::empty(http::StatusCode::OK));
        let body = Box::new(Errands { errand, parking, gathered: Vec::new(), then });
        House { pool, woken, dropped, body }
    }

    const FULL: &[u8] = &[0; GATHERED_MAX_BYTES];

    #[test]
    fn pieces_are_gathered_until_it_is_worth_the_way() {
        let mut house = house(None);
        assert!(matches!(house.body.piece(&FULL[1..]), Ok(Take::More)));
        assert!(matches!(house.body.piece(b"x"), Ok(Take::Pause)));
        house.woken.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(house.body.resumed(), Ok(Take::More)));
        assert!(matches!(house.body.piece(b"x"), Ok(Take::More)));
    }

    #[test]
    fn a_sink_is_dropped_where_it_may_block_wherever_it_is_when_the_client_leaves() {
        // Here, between two pieces.
        let mut here = house(None);
        assert!(matches!(here.body.piece(FULL), Ok(Take::Pause)));
        here.woken.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(here.body.resumed(), Ok(Take::More)));
        drop(here.body);
        assert_eq!(here.dropped.recv_timeout(PATIENCE).unwrap(), "test-0");
        // On its way back.
        let mut back = house(None);
        assert!(matches!(back.body.piece(FULL), Ok(Take::Pause)));
        back.woken.recv_timeout(PATIENCE).unwrap();
        drop(back.body);
        assert_eq!(back.dropped.recv_timeout(PATIENCE).unwrap(), "test-0");
        // At work.
        let (go, may_go) = sync_channel(0);
        let mut away = house(Some(may_go));
        assert!(matches!(away.body.piece(FULL), Ok(Take::Pause)));
        go.send(()).unwrap();
        assert!(matches!(away.body.resumed(), Ok(Take::Pause)), "it is not back");
        drop(away.body);
        go.send(()).unwrap();
        assert_eq!(away.dropped.recv_timeout(PATIENCE).unwrap(), "test-0");
        assert!(away.woken.try_recv().is_err(), "nobody is there to be woken");
    }

    #[test]
    fn a_pool_without_room_is_an_answer() {
        let house = house(None);
        house.pool.stop();
        let mut body = house.body;
        assert_eq!(body.piece(FULL).err().map(|error| error.code()), Some(Code::Overloaded));
        assert!(house.woken.try_recv().is_err());
    }
}
