//! Where committed events go: from the writer to every socket that listens.
//!
//! The writer publishes after each commit, in commit order (G2). The hub knows which shards have listeners of which
//! [`Topic`](crate::store::Topic) and posts each of them one [`Batch`] per commit; the shard's [`Topics`] hand it to the
//! sockets. Each frame is encoded once, as the topic's space says, and shared by all of them. What is not kept goes the same
//! way ([`Hub::send`]). [`Seats`] counts sockets and says who still gets in.
//!
//! Locks: the hub's interest and the seats' counts, each held for a look or a count, never across I/O, encoding or each
//! other.

pub mod counters;
mod interest;
pub mod options;
mod published;
mod seats;
mod topics;

pub use counters::Counters;
pub use interest::{Hub, Subscription};
pub use published::{Batch, Mailbox, Published, SocketAddress};
pub use seats::{Full, Replaced, Seat, SeatLimits, Seats, Sitters};
pub use topics::Topics;
