//! Bodies that are on their way, in or out: what a connection knows of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::net::body::Source;
use crate::net::http1::Reject;
use crate::net::mailbox::Ticket;
use crate::net::response::Manner;
use crate::net::service::{Pace, Receiver, Take};

/// A request's body on its way to a receiver.
pub(super) struct Upload {
    pub(super) ticket: Ticket,
    pub(super) manner: Manner,
    pub(super) receiver: Box<dyn Receiver>,
    pub(super) pace: Pace,
    pub(super) received: u64,
    /// When the body began, put off by every pause.
    pub(super) began: Instant,
    /// When something last came, or a pause was over.
    pub(super) moved: Instant,
    pub(super) paused: Option<Instant>,
    /// Nothing more will come.
    pub(super) whole: bool,
}

/// An answer's body on its way out of its source.
pub(super) struct Download {
    pub(super) ticket: Ticket,
    pub(super) manner: Manner,
    pub(super) asker: Asker,
    /// Bytes still to come, if that is known.
    pub(super) left: Option<u64>,
    pub(super) ended: bool,
}

impl Upload {
    pub(super) fn new(ticket: Ticket, manner: Manner, receiver: Box<dyn Receiver>, pace: Pace, now: Instant) -> Self {
        Self { ticket, manner, receiver, pace, received: 0, began: now, moved: now, paused: None, whole: false }
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.ticket
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// Hands on what came, if anything did. None: the receiver panicked.
    pub(super) fn take(&mut self, bytes: &[u8], now: Instant) -> Option<Take> {
        if bytes.is_empty() {
            return Some(Take::More);
        }
        self.received += bytes.len() as u64;
        self.moved = now;
        catch_unwind(AssertUnwindSafe(|| self.receiver.piece(bytes))).ok()
    }

    /// Why the body has come too slowly, if it has.
    pub(super) fn is_late(&self, now: Instant) -> Option<Reject> {
        let Pace { stall, grace, bytes_per_second } = self.pace;
        if self.moved + stall <= now {
            return Some(Reject::BodyStalled(stall.as_secs()));
        }
        let earned = Duration::from_millis(self.received.saturating_mul(1000) / bytes_per_second.max(1));
        (self.began + grace + earned <= now).then_some(Reject::BodyTooSlow(bytes_per_second))
    }

    pub(super) fn go_on(&mut self, now: Instant) {
        if let Some(paused) = self.paused.take() {
            self.began += now.saturating_duration_since(paused);
            self.moved = now;
        }
    }
}

impl Download {
    pub(super) fn new(ticket: Ticket, manner: Manner, left: Option<u64>, asker: Asker) -> Self {
        Self { ticket, manner, asker, left, ended: false }
    }

    /// Whether the shard asks its source.
    pub(super) fn is_made(&self) -> bool {
        matches!(self.asker, Asker::Shard(_))
    }
}

/// Who asks the source of an answer.
pub(super) enum Asker {
    /// The pool; it has the source while it asks.
    Pool(Option<Box<dyn Source + Send>>),
    /// The shard.
    Shard(Box<dyn Source>),
}
