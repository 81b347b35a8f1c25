//! How other threads reach a shard: a list under a lock and a wake-up of its poll.
//!
//! Bounded by what may be sent: one message per connection handed over, one per parked request, one to stop, and
//! there are at most `MAX_CONNECTIONS` of the first two; of notes there are at most [`NOTES_MAX`]. The lock is held for
//! a push or a swap, never across I/O.

use std::io;
use std::time::Instant;

use mio::{Registry, Token, Waker};
use parking_lot::Mutex;

use super::slots::Accepted;

/// Notes that wait for a shard. It takes all of them at every turn, so it would have to stand still for as many commits.
pub(crate) const NOTES_MAX: usize = 4096;

/// Names a parked request, or the socket that a request became. Stale tickets match nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(crate) connection: usize,
    pub(crate) serial: u64,
}

pub(crate) enum Message<N> {
    /// A connection for this shard to serve.
    Accepted(Accepted),
    /// The request with this ticket can be answered now.
    Resume(Ticket),
    /// Something for the service, most likely for its sockets.
    Note(N),
    /// Finish what is in flight by the deadline, close everything else.
    Stop { deadline: Instant },
}

/// One shard's mailbox. `N` is what its service takes notes of.
pub struct Mailbox<N> {
    waiting: Mutex<Waiting<N>>,
    waker: Waker,
}

struct Waiting<N> {
    messages: Vec<Message<N>>,
    notes: usize,
    /// A note found no room.
    missed: bool,
}

impl<N> Mailbox<N> {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let waiting = Waiting { messages: Vec::new(), notes: 0, missed: false };
        Ok(Self { waiting: Mutex::new(waiting), waker: Waker::new(registry, token)? })
    }

    /// Tells the shard that the request with this ticket can be answered.
    pub fn resume(&self, ticket: Ticket) {
        self.post(Message::Resume(ticket));
    }

    /// Hands a note to the shard's service. With [`NOTES_MAX`] waiting it is dropped, and the shard closes its sockets:
    /// what they missed they will ask for.
    pub fn note(&self, note: N) {
        let mut waiting = self.waiting.lock();
        if waiting.notes >= NOTES_MAX {
            waiting.missed = true;
            return;
        }
        waiting.notes += 1;
        self.push(waiting, Message::Note(note));
    }

    /// Tells the shard that there is something it should have been told and was not: it closes its sockets, as above.
    pub fn missed(&self) {
        self.waiting.lock().missed = true;
        self.wake();
    }

    pub(crate) fn post(&self, message: Message<N>) {
        self.push(self.waiting.lock(), message);
    }

    fn push(&self, mut waiting: parking_lot::MutexGuard<'_, Waiting<N>>, message: Message<N>) {
        waiting.messages.push(message);
        let first = waiting.messages.len() == 1;
        drop(waiting);
        // Whoever finds the box empty wakes; the shard takes everything at once.
        if first {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!(error = error.to_string(); "mailbox.wake_failed");
        }
    }

    /// Swaps everything waiting into `taken`, which must be empty. True when notes were dropped since the last time.
    pub(crate) fn take(&self, taken: &mut Vec<Message<N>>) -> bool {
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.messages, taken);
        waiting.notes = 0;
        std::mem::take(&mut waiting.missed)
    }

    /// The notes that wait, for tests of those who post them.
    #[cfg(test)]
    pub(crate) fn take_notes(&self) -> Vec<N> {
        let mut taken = Vec::new();
        self.take(&mut taken);
        let notes = taken.into_iter().filter_map(|message| match message {
            Message::Note(note) => Some(note),
            _ => None,
        });
        notes.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_and_a_dropped_one_is_told() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Mailbox::new(poll.registry(), Token(0)).unwrap();
        (0..NOTES_MAX).for_each(|number| mailbox.note(number));
        let mut taken = Vec::new();
        assert!(!mailbox.take(&mut taken));
        assert_eq!(taken.len(), NOTES_MAX);
        taken.clear();
        (0..=NOTES_MAX).for_each(|number| mailbox.note(number));
        mailbox.resume(Ticket { connection: 0, serial: 0 });
        assert!(mailbox.take(&mut taken), "one was too many");
        assert_eq!(taken.len(), NOTES_MAX + 1, "an answer is never dropped");
        assert!(!mailbox.take(&mut Vec::new()), "told once");
    }
}
