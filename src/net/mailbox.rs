//! How other threads reach a shard: a list under a lock and a wake-up of its poll.
//!
//! Bounded by what may be sent: one message per connection handed over, one per parked request, one to stop; and
//! there are at most `MAX_CONNECTIONS` of the first two. The lock is held for a push or a swap, never across I/O.

use std::io;
use std::time::Instant;

use mio::{Registry, Token, Waker};
use parking_lot::Mutex;

use super::acceptor::Accepted;

/// Which parked request an answer is for. Stale tickets match nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub(crate) connection: usize,
    pub(crate) serial: u64,
}

pub(crate) enum Message {
    /// A connection for this shard to serve.
    Accepted(Accepted),
    /// The request with this ticket can be answered now.
    Resume(Ticket),
    /// Finish what is in flight by the deadline, close everything else.
    Stop { deadline: Instant },
}

/// One shard's mailbox.
pub struct Mailbox {
    waiting: Mutex<Vec<Message>>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self { waiting: Mutex::new(Vec::new()), waker: Waker::new(registry, token)? })
    }

    /// Tells the shard that the request with this ticket can be answered.
    pub fn resume(&self, ticket: Ticket) {
        self.post(Message::Resume(ticket));
    }

    pub(crate) fn post(&self, message: Message) {
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.push(message);
            waiting.len() == 1
        };
        // Whoever finds the box empty wakes; the shard takes everything at once.
        if first && let Err(error) = self.waker.wake() {
            log::error!(error = error.to_string(); "mailbox.wake_failed");
        }
    }

    /// Swaps everything waiting into `taken`, which must be empty.
    pub(crate) fn take(&self, taken: &mut Vec<Message>) {
        std::mem::swap(&mut *self.waiting.lock(), taken);
    }
}
