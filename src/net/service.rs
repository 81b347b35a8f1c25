//! What answers the requests of a shard, and how it answers.

use std::sync::Arc;
use std::time::Duration;

use super::frame::Frame;
use super::http1::{Intake, Reject, Request};
use super::listener::Peer;
use super::mailbox::Ticket;
use super::response::Response;
use super::socket::{Session, SocketLimits};

/// How long each phase of a connection may last.
#[derive(Debug, Clone)]
pub struct Timeouts {
    /// From the first byte of a head (or the opening of the connection) to its end.
    pub head: Duration,
    /// From the end of a head to the end of its body.
    pub body: Duration,
    /// Between two requests of a kept connection.
    pub keep_alive: Duration,
    /// An answer of which no byte moves.
    pub write_stall: Duration,
    /// A parked request: how long the client is kept waiting for the work to be done. Also how long a receiver may pause, and
    /// a source be asked for its next piece.
    pub parked: Duration,
}

/// What answers the requests of one shard. Lives on the shard's thread and is never shared.
pub trait Service {
    /// How to take the body of this request, and how much of it, judged by its head.
    fn intake(&self, request: &Request<'_>) -> Intake;

    /// Answers a request, or says that the answer will come. Must not block. With [`Intake::Pieces`] it has its head only, and
    /// whatever answers it but [`Answer::Receive`] refuses the body: the connection closes after it.
    fn call(&mut self, request: &Request<'_>, peer: Peer, ticket: Ticket) -> Answer;

    /// The answer to bytes that are not a request; the connection closes after it. `request` is there when its head
    /// was good and only its body was not; its `Origin` also when it was not, as far as it could be made out.
    fn reject(&mut self, reject: &Reject, request: Option<&Request<'_>>, origin: Option<&[u8]>, peer: Peer)
    -> Response;

    /// The answer on a connection that the caps do not allow; it leaves before anything is read.
    fn refuse(&mut self) -> Response;

    /// All that was ready has had its turn. Must not block.
    fn end_turn(&mut self) {}
}

/// What takes the notes that other threads post to a shard. Lives on the shard's thread.
pub trait Notes {
    /// What they may post.
    type Note: Send + 'static;

    /// Takes a note, in the order in which they were posted. What it sends leaves at the end of the turn.
    fn deliver(&mut self, note: Self::Note, sockets: &mut impl Sockets);
}

/// How a service answers.
pub enum Answer {
    /// The answer.
    Now(Response),
    /// The answer will come: park the connection until its ticket is resumed, then call this.
    Later(Continuation),
    /// The body goes to this receiver, which answers at its end. If the body is here already, it comes in one piece.
    Receive(Box<dyn Receiver>, Pace),
    /// This answer, 101, and from then on the connection is a WebSocket.
    Upgrade(Response, Box<dyn Session>, Arc<SocketLimits>),
}

/// Takes the body of a request piece by piece, as it is read: what waits is at most what was read at once. One that cannot take
/// more for now pauses, and the shard stops reading until its ticket is resumed ([`Mailbox::resume`](super::Mailbox::resume)).
///
/// Lives on the shard, with the connection; dropped without [`Receiver::end`] or [`Receiver::broken`], the client has left
/// or the server stops.
pub trait Receiver {
    /// Takes the next piece. Must not block.
    fn piece(&mut self, bytes: &[u8]) -> Take;

    /// It had paused, and its ticket was resumed, or nobody resumed it within [`Timeouts::parked`]:
    /// then the connection closes unless it answers.
    fn resumed(&mut self, woken: Woken) -> Take;

    /// The body is whole, and it does not pause. A later answer is for this ticket, and not for that of the pauses.
    fn end(self: Box<Self>, ticket: Ticket) -> Answer;

    /// The body will never be whole, for this reason. Its answer; the connection closes after it.
    fn broken(self: Box<Self>, why: &Reject) -> Response;
}

/// What a receiver wants next.
pub enum Take {
    /// The next piece.
    More,
    /// Nothing until its ticket is resumed.
    Pause,
    /// Nothing more: this is the answer. The connection closes after it, unless that was the whole body.
    Answer(Response),
}

/// How slowly a body may come to a receiver. The time of pauses does not count.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long nothing may come.
    pub stall: Duration,
    /// How long it may take before the rate counts.
    pub grace: Duration,
    /// From then on, bytes a second on average since the head; at least 1.
    pub bytes_per_second: u64,
}

/// Makes the answer of a parked request, on its shard.
pub type Continuation = Box<dyn FnOnce(Woken) -> Response>;

/// Why a parked request is taken up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Its ticket was resumed.
    Resumed,
    /// [`Timeouts::parked`] is over; a later resume finds nobody.
    TimedOut,
}

/// The sockets of a shard, to send to.
pub trait Sockets {
    /// Sends a frame to the socket with this ticket; false if it is no longer there. All that is sent to one socket during
    /// a turn leaves with one write.
    fn send(&mut self, ticket: Ticket, frame: &Frame) -> bool;
}
