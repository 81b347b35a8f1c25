//! The hub: which shards listen to which topic, and what is posted to them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::published::{Encode, Mailbox, Published};
use crate::clock::Clock;
use crate::net::Frame;
use crate::store::{Event, Publisher};

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
