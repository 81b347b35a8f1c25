//! The public front door: sockets in, requests out, answers back. It knows no product.
//!
//! One acceptor thread hands connections to shards, one thread per core, each an event loop over its own
//! sockets ([`shard`]). A shard owns two things. One is a [`Service`], which turns a request into an answer at once
//! ([`Answer::Now`]) or later ([`Answer::Later`]): then the connection is parked, the shard turns to others, and
//! the thread that does the work calls [`Resume::resume`] with the ticket. A request may also turn its connection into a
//! WebSocket ([`Answer::Upgrade`]), which then belongs to a [`Session`]. The other thing is what takes its [`Notes`]: what
//! happens elsewhere and concerns many sockets ([`Mailbox::note`]). What concerns one is told to its session
//! ([`SocketAddress::tell`]).
//!
//! Nothing here blocks but `poll`, and every phase of a connection has a deadline ([`Timeouts`]), so no client
//! can stall another (G6). Every buffer has a bound (G5).

mod acceptor;
pub mod base_url;
pub mod body;
pub(crate) mod bounds;
pub mod client;
mod conn;
pub mod counters;
mod date;
mod frame;
mod front;
mod handshakes;
mod held;
pub mod http1;
mod incoming;
mod listener;
mod loopback;
mod mailbox;
pub mod options;
mod outbox;
mod request_id;
mod response;
mod service;
mod shard;
mod slots;
pub mod socket;
pub mod tls;
mod turn;

pub use body::{Body, Source};
pub use counters::Counters;
pub use date::{http_date, parse_http_date};
pub use frame::Frame;
pub use front::{Door, Front, Options};
pub(crate) use held::HELD_MAX_BYTES;
pub use http1::{HeadLimits, Intake, Reject, Request};
pub use listener::{Bound, Listener, Peer, SocketFile};
pub use loopback::LoopbackClient;
pub use mailbox::{Mailbox, Resume, SocketAddress, SocketId, SocketNote, Ticket};
pub use request_id::RequestId;
pub use response::Response;
pub use service::{Answer, Continuation, Notes, Pace, Receiver, Service, Sockets, Take, Timeouts, Woken};
pub use slots::{Caps, network_of};
pub use socket::{Outgoing, Session, SocketLimits};

pub use crate::settings::Endpoint;
