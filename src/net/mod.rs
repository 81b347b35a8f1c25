//! The public front door: sockets in, requests out, answers back. It knows no product.
//!
//! One acceptor thread hands connections to shards, one thread per core, each an event loop over its own
//! sockets ([`shard`]). A shard owns a [`Service`], which turns a request into an answer at once
//! ([`Reply::Now`]) or later ([`Reply::Later`]): then the connection is parked, the shard turns to others, and
//! whoever does the work calls [`Mailbox::resume`] with the ticket. A request may also turn its connection into a
//! WebSocket ([`Reply::Upgrade`]), which then belongs to a [`Session`]; what happens elsewhere reaches it as a note
//! ([`Mailbox::note`], [`Service::note`]).
//!
//! Nothing here blocks but `poll`, and every phase of a connection has a deadline ([`Timeouts`]), so no client
//! can stall another (G6). Every buffer has a bound (G5).

mod acceptor;
pub mod client;
mod conn;
mod frame;
pub mod http1;
mod mailbox;
pub mod options;
mod outbox;
mod request_id;
mod response;
mod shard;
pub mod side_door;
pub mod socket;
mod staff_door;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use acceptor::{Caps, network_of};
pub use frame::Frame;
pub use http1::{Limits, Reject, Request};
pub use mailbox::{Mailbox, Ticket};
pub use request_id::RequestId;
pub use response::Response;
pub use shard::Sockets;
pub use side_door::{Listening, SideDoor};
pub use socket::{Outgoing, Session, SocketLimits};
pub use staff_door::StaffDoor;

use crate::clock::Clock;
use crate::observe::{self, metrics};
pub use crate::settings::Endpoint;

/// Callers whom the kernel keeps for the acceptor, as far as it allows that many (net.core.somaxconn). The standard
/// library asks for 128; those beyond are left to knock again after a second, then two, then four.
const BACKLOG: i32 = 4096;

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
    /// What other threads may hand to it.
    type Note: Send + 'static;

    /// How many bytes of body to accept for this request, judged by its head.
    fn body_limit(&self, request: &Request<'_>) -> usize;

    /// Answers a request, or says that the answer will come. Must not block.
    fn call(&mut self, request: &Request<'_>, peer: IpAddr, ticket: Ticket) -> Reply;

    /// The answer to bytes that are not a request; the connection closes after it. `request` is there when its head
    /// was good and only its body was not.
    fn reject(&mut self, reject: &Reject, request: Option<&Request<'_>>, peer: IpAddr) -> Response;

    /// The answer on a connection that the caps do not allow; it leaves before anything is read.
    fn refuse(&mut self) -> Response;

    /// Takes a note, in the order in which they were posted. What it sends leaves at the end of the turn.
    fn note(&mut self, note: Self::Note, sockets: &mut Sockets<'_>);
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

/// How the front door is set up.
pub struct Options {
    /// Bounds of a head.
    pub limits: Limits,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Bounds of open connections.
    pub caps: Caps,
    /// What counts connections and sockets.
    pub metrics: Arc<metrics::Net>,
    /// Where time comes from.
    pub clock: Clock,
}

/// The running front door. `N` is what the services take notes of.
pub struct Front<N> {
    address: SocketAddr,
    control: Arc<acceptor::Control>,
    acceptor: JoinHandle<()>,
    shards: Vec<(Arc<Mailbox<N>>, JoinHandle<()>)>,
    clock: Clock,
}

impl<N: Send + 'static> Front<N> {
    /// Starts a shard per seed, and the acceptor on a listener ([`listen`]). `make_service` runs on each shard's own thread and
    /// is given its seed, so what it makes need be neither sendable nor shareable.
    ///
    /// # Errors
    /// When the system refuses a poll, a thread or the listener's registration.
    pub fn start<S, T, M>(listener: TcpListener, options: Options, seeds: Vec<T>, make_service: M) -> io::Result<Self>
    where
        S: Service<Note = N> + 'static,
        T: Send + 'static,
        M: Fn(T, Arc<Mailbox<N>>) -> S + Send + Sync + 'static,
    {
        let Options { limits, timeouts, caps, metrics, clock } = options;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let make_service = Arc::new(make_service);
        let (send_refusal, refusal) = std::sync::mpsc::sync_channel(seeds.len());
        let mut shards = Vec::with_capacity(seeds.len());
        for (index, seed) in seeds.into_iter().enumerate() {
            let reactor = shard::Reactor::new(limits.clone(), timeouts.clone(), Arc::clone(&metrics), clock.clone())?;
            let mailbox = reactor.mailbox();
            let (make, address, send) = (Arc::clone(&make_service), Arc::clone(&mailbox), send_refusal.clone());
            let thread = std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
                observe::vital(move || {
                    let mut service = make(seed, address);
                    let _ = send.send(service.refuse());
                    reactor.run(service);
                });
            })?;
            shards.push((mailbox, thread));
        }
        drop(send_refusal);
        let refusal = refusal.recv().map_err(|_| io::Error::other("no shard came up"))?;
        let mailboxes = shards.iter().map(|(mailbox, _)| Arc::clone(mailbox)).collect();
        let listener = mio::net::TcpListener::from_std(listener);
        let acceptor = acceptor::Acceptor::new(listener, caps, metrics, mailboxes, refusal, clock.clone())?;
        let control = acceptor.control();
        let run = move || observe::vital(move || acceptor.run());
        let acceptor = std::thread::Builder::new().name("acceptor".into()).spawn(run)?;
        Ok(Self { address, control, acceptor, shards, clock })
    }

    /// Where it listens, with the port that the system chose if 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way in for the server's own questions.
    #[must_use]
    pub fn staff_door(&self) -> StaffDoor {
        StaffDoor::new(Arc::clone(&self.control), self.address, self.shards.len())
    }

    /// Stops accepting, lets what is in flight finish within `drain`, closes everything and ends the threads.
    pub fn stop(self, drain: Duration) {
        self.control.stop();
        join(self.acceptor);
        let deadline = self.clock.instant() + drain;
        for (mailbox, _) in &self.shards {
            mailbox.post(mailbox::Message::Stop { deadline });
        }
        for (_, thread) in self.shards {
            join(thread);
        }
    }
}

/// Binds an address and has the kernel keep callers for it, [`BACKLOG`] of them.
///
/// # Errors
/// When the system refuses.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    rustix::net::listen(&listener, BACKLOG)?;
    Ok(listener)
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or("?").to_owned();
    if thread.join().is_err() {
        log::error!(thread = name; "thread.panicked");
    }
}
