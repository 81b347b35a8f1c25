//! How other threads reach a shard: a list under a lock and a wake-up of its poll.
//!
//! Bounded by what may be sent: one message per connection handed over, one per parked request, pause of a body or piece of
//! an answer, one to stop, and there are at most `MAX_CONNECTIONS` of the first two; of notes, to the shard or to one of its
//! sockets, there are at most [`NOTES_MAX`]. The lock is held for a push or a swap, never across I/O.

use std::any::Any;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use mio::{Registry, Token, Waker};
use parking_lot::Mutex;

use super::body::Piece;
use super::slots::Accepted;

/// Notes that wait for a shard. It takes all of them at every turn, so it would have to stand still for as many commits.
pub(crate) const NOTES_MAX: usize = 4096;

/// Names a parked request, or the socket that a request became. Stale tickets match nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(crate) connection: usize,
    pub(crate) serial: u64,
}

impl Ticket {
    /// That of no request.
    pub(crate) const NOBODY: Self = Self { connection: usize::MAX, serial: 0 };
}

/// Names a socket among those of all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId {
    /// The number of its shard's mailbox.
    pub mailbox: u32,
    /// Its name on the shard.
    pub ticket: Ticket,
}

/// Something for one socket: what it is, its session knows.
pub type SocketNote = Box<dyn Any + Send>;

pub(crate) enum Message<N> {
    /// A connection for this shard to serve.
    Accepted(Accepted),
    /// The request with this ticket can be answered now.
    Resume(Ticket),
    /// The next piece of an answer's body.
    Piece(Ticket, Piece),
    /// Something for the topics of the shard.
    Note(N),
    /// Something for the session of one socket.
    Tell(Ticket, SocketNote),
    /// Finish what is in flight by the deadline, close everything else.
    Stop { deadline: Instant },
}

/// One shard's mailbox. `N` is what its topics take notes of.
pub struct Mailbox<N> {
    number: u32,
    waiting: Mutex<Waiting<N>>,
    waker: Waker,
}

struct Waiting<N> {
    messages: Vec<Message<N>>,
    notes: usize,
    /// A note found no room.
    missed: bool,
}

/// Takes up parked requests, and tells sockets something; for those who care for nothing else of a shard.
pub trait Resume: Send + Sync {
    /// Tells the shard that the request with this ticket can be answered.
    fn resume(&self, ticket: Ticket);

    /// Hands a note to the session of the socket with this ticket, as [`SocketAddress::tell`] does. Who only answers tells nobody.
    fn tell(&self, _: Ticket, _: SocketNote) -> bool {
        false
    }
}

impl<N: Send> Resume for Mailbox<N> {
    fn resume(&self, ticket: Ticket) {
        self.post(Message::Resume(ticket));
    }

    fn tell(&self, ticket: Ticket, note: SocketNote) -> bool {
        self.post_note(Message::Tell(ticket, note))
    }
}

impl<N> Mailbox<N> {
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        let waiting = Waiting { messages: Vec::new(), notes: 0, missed: false };
        Ok(Self {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            waiting: Mutex::new(waiting),
            waker: Waker::new(registry, token)?,
        })
    }

    /// What tells it from every other mailbox of the process.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The address of one of its sockets.
    pub fn socket(self: &Arc<Self>, ticket: Ticket) -> SocketAddress<N> {
        SocketAddress { mailbox: Arc::clone(self), ticket }
    }

    /// Hands a note to the shard's topics. With [`NOTES_MAX`] waiting it is dropped (false), and the shard closes its
    /// sockets: what they missed they will ask for.
    pub fn note(&self, note: N) -> bool {
        self.post_note(Message::Note(note))
    }

    fn post_note(&self, note: Message<N>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.notes >= NOTES_MAX {
            waiting.missed = true;
            return false;
        }
        waiting.notes += 1;
        self.push(waiting, note);
        true
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
        // Only the first message of a batch wakes; the shard takes everything at once.
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

    /// What waits for sockets, of one kind, for tests of those who tell them.
    #[cfg(test)]
    pub(crate) fn take_told<T: Copy + 'static>(&self) -> Vec<(Ticket, T)> {
        let mut taken = Vec::new();
        self.take(&mut taken);
        let told = taken.into_iter().filter_map(|message| match message {
            Message::Tell(ticket, note) => Some((ticket, *note.downcast_ref()?)),
            _ => None,
        });
        told.collect()
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

static NEXT_NUMBER: AtomicU32 = AtomicU32::new(0);

/// How other threads reach one socket, for as long as it is open.
pub struct SocketAddress<N> {
    mailbox: Arc<Mailbox<N>>,
    ticket: Ticket,
}

impl<N> SocketAddress<N> {
    /// Hands a note to the socket's session; a socket that is gone gets none. It counts among the notes of the shard, with
    /// the same answer (false) when there are too many.
    pub fn tell(&self, note: impl Any + Send) -> bool {
        self.mailbox.post_note(Message::Tell(self.ticket, Box::new(note)))
    }

    /// Its name.
    pub fn id(&self) -> SocketId {
        SocketId { mailbox: self.mailbox.number, ticket: self.ticket }
    }
}

impl<N> Clone for SocketAddress<N> {
    fn clone(&self) -> Self {
        self.mailbox.socket(self.ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_and_a_dropped_one_is_told() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(poll.registry(), Token(0)).unwrap());
        assert!((0..NOTES_MAX).all(|number| mailbox.note(number)));
        let mut taken = Vec::new();
        assert!(!mailbox.take(&mut taken));
        assert_eq!(taken.len(), NOTES_MAX);
        taken.clear();
        let socket = mailbox.socket(Ticket { connection: 0, serial: 0 });
        assert!((0..NOTES_MAX).all(|number| if number % 2 == 0 { mailbox.note(number) } else { socket.tell(number) }));
        assert!(!socket.clone().tell(()), "what is for one socket counts like what is for all");
        mailbox.resume(Ticket { connection: 0, serial: 0 });
        assert!(mailbox.take(&mut taken), "one was too many");
        assert_eq!(taken.len(), NOTES_MAX + 1, "an answer is never dropped");
        assert!(!mailbox.take(&mut Vec::new()), "told once");
    }
}
