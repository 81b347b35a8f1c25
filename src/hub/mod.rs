//! Where committed events go: from the writer to every socket that listens.
//!
//! The writer publishes after each commit, in commit order (G2). The hub knows which shards have listeners of which
//! topic and posts each of them one [`Batch`] per commit; the shard's [`Topics`] hand it to the sockets. Each frame is
//! encoded once and shared by all of them. [`Seats`] counts sockets and says who still gets in.
//!
//! Locks: the hub's interest and the seats' counts, each held for a look or a count, never across I/O or each other.

pub mod options;
mod seats;
mod topics;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;

pub use seats::{Full, Seat, SeatLimits, Seats};
pub use topics::Topics;

use crate::clock::Clock;
use crate::net::{self, Frame};
use crate::store::{Event, Publisher};

/// A shard's mailbox, which takes batches.
pub type Mailbox = net::Mailbox<Batch>;

/// The events of one commit that a shard has listeners for, in order.
pub type Batch = Arc<[Arc<Published>]>;

/// The text of an event, without and with its number.
pub type Encode = fn(&Event, numbered: bool) -> String;

/// An event and its frames.
#[derive(Debug)]
pub struct Published {
    /// What happened.
    pub event: Event,
    /// When its commit had returned.
    pub committed: Instant,
    /// For subscribers who do not count.
    pub plain: Frame,
    numbered: OnceLock<Frame>,
    encode: Encode,
}

impl Published {
    /// For subscribers who count. Encoded when the first of them is found.
    #[must_use]
    pub fn numbered(&self) -> &Frame {
        self.numbered.get_or_init(|| Frame::text(&(self.encode)(&self.event, true)))
    }
}

/// Hands committed events to the shards whose sockets listen.
pub struct Hub {
    encode: Encode,
    /// Bounded by the open sockets: a topic without listeners is forgotten.
    interest: Mutex<HashMap<Arc<str>, Vec<Listeners>>>,
}

/// Those who listen to one topic on one shard.
struct Listeners {
    shard: Arc<Mailbox>,
    count: usize,
}

/// A shard's interest in a topic, for as long as one of its sockets listens.
pub struct Subscription {
    hub: Arc<Hub>,
    topic: Arc<str>,
    mailbox: Arc<Mailbox>,
}

impl Hub {
    /// A hub that turns events into frames with `encode`.
    #[must_use]
    pub fn new(encode: Encode) -> Self {
        Self { encode, interest: Mutex::new(HashMap::new()) }
    }

    /// From now on, and until the subscription is dropped, events of this topic are posted to this shard.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, topic: &str, mailbox: &Arc<Mailbox>) -> Subscription {
        let mut interest = self.interest.lock();
        let topic: Arc<str> =
            interest.get_key_value(topic).map_or_else(|| topic.into(), |(known, _)| Arc::clone(known));
        let shards = interest.entry(Arc::clone(&topic)).or_default();
        match shards.iter_mut().find(|known| Arc::ptr_eq(&known.shard, mailbox)) {
            Some(known) => known.count += 1,
            None => shards.push(Listeners { shard: Arc::clone(mailbox), count: 1 }),
        }
        Subscription { hub: Arc::clone(self), topic, mailbox: Arc::clone(mailbox) }
    }
}

impl Subscription {
    /// The topic, shared with everyone else who listens to it.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut interest = self.hub.interest.lock();
        let Some(shards) = interest.get_mut(&self.topic) else { return };
        if let Some(known) = shards.iter_mut().find(|known| Arc::ptr_eq(&known.shard, &self.mailbox)) {
            known.count -= 1;
        }
        shards.retain(|known| known.count > 0);
        if shards.is_empty() {
            interest.remove(&self.topic);
        }
    }
}

impl Publisher for Hub {
    fn publish(&self, events: &mut Vec<Event>) {
        let committed = Clock::system().instant();
        let mut batches: Vec<(Arc<Mailbox>, Vec<Arc<Published>>)> = Vec::new();
        for event in events.drain(..) {
            log::debug!(
                event_type = event.kind, draft_id = event.topic.as_ref(), seq = event.seq,
                request_id = event.request_id.as_str();
                "event.published"
            );
            let interest = self.interest.lock();
            let Some(shards) = interest.get(&event.topic) else { continue };
            let Ok(plain) = catch_unwind(AssertUnwindSafe(|| Frame::text(&(self.encode)(&event, false)))) else {
                // Nobody can be told of it, but everyone who listens can be told that something is missing.
                shards.iter().for_each(|listeners| listeners.shard.missed());
                continue;
            };
            let (numbered, encode) = (OnceLock::new(), self.encode);
            let published = Arc::new(Published { event, committed, plain, numbered, encode });
            for Listeners { shard, .. } in shards {
                match batches.iter_mut().find(|(known, _)| Arc::ptr_eq(known, shard)) {
                    Some((_, batch)) => batch.push(Arc::clone(&published)),
                    None => batches.push((Arc::clone(shard), vec![Arc::clone(&published)])),
                }
            }
        }
        for (mailbox, batch) in batches {
            mailbox.note(batch.into());
        }
    }
}
