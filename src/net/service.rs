//! What answers the requests of a shard, and how it answers.

use std::net::IpAddr;
use std::time::Duration;

use super::frame::Frame;
use super::http1::{Reject, Request};
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
    /// A parked request: how long the client is kept waiting for the work to be done.
    pub parked: Duration,
}

/// What answers the requests of one shard. Lives on the shard's thread and is never shared.
pub trait Service {
    /// How many bytes of body to accept for this request, judged by its head.
    fn body_limit(&self, request: &Request<'_>) -> usize;

    /// Answers a request, or says that the answer will come. Must not block.
    fn call(&mut self, request: &Request<'_>, peer: IpAddr, ticket: Ticket) -> Reply;

    /// The answer to bytes that are not a request; the connection closes after it. `request` is there when its head
    /// was good and only its body was not.
    fn reject(&mut self, reject: &Reject, request: Option<&Request<'_>>, peer: IpAddr) -> Response;

    /// The answer on a connection that the caps do not allow; it leaves before anything is read.
    fn refuse(&mut self) -> Response;
}

/// What takes the notes that other threads post to a shard. Lives on the shard's thread.
pub trait Notes {
    /// What they may post.
    type Note: Send + 'static;

    /// Takes a note, in the order in which they were posted. What it sends leaves at the end of the turn.
    fn deliver(&mut self, note: Self::Note, sockets: &mut impl Sockets);
}

/// How a service replies.
pub enum Reply {
    /// The answer.
    Now(Response),
    /// The answer will come: park the connection until its ticket is resumed, then call this.
    Later(Continuation),
    /// This answer, 101, and from then on the connection is a WebSocket.
    Upgrade(Response, Box<dyn Session>, SocketLimits),
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
