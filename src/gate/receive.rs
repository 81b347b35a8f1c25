//! A body that is taken piece by piece, and the one answer that its request gets whatever becomes of it: from the receiver,
//! from its first error, or because the body broke off.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::call::{BodyReceiver, Parking};
use super::error::ApiError;
use super::exchange::Exchange;
use super::reply::WaitsFor;
use crate::clock::Clock;
use crate::net::{self, Answer, Reject, Response, Take, Ticket, Woken};

/// A receiver and the request that it answers.
pub(super) struct Receiving {
    /// Until there is an answer.
    open: Option<(Box<dyn BodyReceiver>, Exchange)>,
    received_bytes: u64,
    parking: Parking,
    clock: Clock,
}

impl Receiving {
    pub(super) fn new(receiver: Box<dyn BodyReceiver>, mut exchange: Exchange, parking: Parking, clock: Clock) -> Self {
        exchange.take_up();
        Self { open: Some((receiver, exchange)), received_bytes: 0, parking, clock }
    }

    /// Asks the receiver, and answers if it wants nothing more.
    fn ask(&mut self, what: impl FnOnce(&mut dyn BodyReceiver) -> Result<Take, ApiError>) -> Take {
        let Some((receiver, _)) = &mut self.open else { return Take::Pause };
        let answer = match catch_unwind(AssertUnwindSafe(|| what(receiver.as_mut()))) {
            Ok(Ok(Take::Answer(response))) => Ok(response),
            Ok(Ok(take)) => return take,
            Ok(Err(error)) => Err(error),
            Err(_) => Err(panicked()),
        };
        Take::Answer(self.answer(answer))
    }

    fn answer(&mut self, answer: Result<Response, ApiError>) -> Response {
        match self.open.take() {
            Some((_, exchange)) => exchange.received(&self.clock).finish(answer, &self.clock),
            None => twice(),
        }
    }
}

fn panicked() -> ApiError {
    ApiError::internal("the receiver of the body panicked")
}

/// For a second answer, which nobody asks for.
fn twice() -> Response {
    ApiError::internal("a request was answered before").to_response("")
}

impl net::Receiver for Receiving {
    fn piece(&mut self, bytes: &[u8]) -> Take {
        self.received_bytes += bytes.len() as u64;
        self.ask(|receiver| receiver.piece(bytes))
    }

    fn resumed(&mut self, woken: Woken) -> Take {
        self.ask(|receiver| match receiver.resumed()? {
            Take::Pause if woken == Woken::TimedOut => Err(WaitsFor::Change.not_in_time()),
            take => Ok(take),
        })
    }

    fn end(mut self: Box<Self>, ticket: Ticket) -> Answer {
        let Some((receiver, exchange)) = self.open.take() else { return Answer::Now(twice()) };
        self.parking.turn_to(ticket);
        let outcome = catch_unwind(AssertUnwindSafe(|| receiver.end(&self.parking)));
        exchange.received(&self.clock).conclude(outcome.unwrap_or_else(|_| Err(panicked())), &self.clock)
    }

    fn broken(mut self: Box<Self>, why: &Reject) -> Response {
        self.answer(Err(ApiError::rejected(why)))
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some((_, exchange)) = self.open.take() {
            exchange.left(self.received_bytes, self.clock.instant());
        }
    }
}
