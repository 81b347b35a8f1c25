//! The hub: which shards listen to which topic, and what is posted to them.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::published::{Batch, Mailbox, Published, What};
use crate::clock::Clock;
use crate::net::{Frame, SocketId};
use crate::store::{Event, Publisher, Topic};

/// Hands what is published to the shards whose sockets listen.
pub struct Hub {
    /// Bounded by the open sockets: a topic without listeners is forgotten.
    interest: Mutex<HashMap<Topic, Listeners>>,
    clock: Clock,
}

/// The shards that listen to one topic.
struct Listeners {
    /// Replaced, not changed, so that it can be read without the lock.
    shards: Arc<[Arc<Mailbox>]>,
    /// How many sockets of each.
    counts: Vec<usize>,
}

/// A shard's interest in a topic, for as long as one of its sockets listens.
pub struct Subscription {
    hub: Arc<Hub>,
    topic: Topic,
    mailbox: Arc<Mailbox>,
}

impl Hub {
    /// A hub to which nobody listens yet.
    pub fn new(clock: Clock) -> Self {
        Self { interest: Mutex::new(HashMap::new()), clock }
    }

    /// From now on, and until the subscription is dropped, what is published of this topic is posted to this shard.
    #[must_use]
    pub fn subscribe(self: &Arc<Self>, topic: &Topic, mailbox: &Arc<Mailbox>) -> Subscription {
        let mut interest = self.interest.lock();
        let topic = interest.get_key_value(topic).map_or(topic, |(known, _)| known).clone();
        let listeners = interest.entry(topic.clone()).or_insert_with(Listeners::none);
        match listeners.shards.iter().position(|known| Arc::ptr_eq(known, mailbox)) {
            Some(at) => listeners.counts[at] += 1,
            None => {
                listeners.shards = listeners.shards.iter().chain([mailbox]).cloned().collect();
                listeners.counts.push(1);
            }
        }
        Subscription { hub: Arc::clone(self), topic, mailbox: Arc::clone(mailbox) }
    }

    /// Hands a frame that is not kept to everyone who listens to the topic, but not to the socket `except`. `kind` is what it
    /// is counted as.
    pub fn send(&self, topic: &Topic, kind: &'static str, frame: Frame, except: Option<SocketId>) {
        let Some(shards) = self.listeners(topic) else { return };
        let what = What::Passing { topic: topic.clone(), kind, except };
        let published = Arc::new(Published { what, at: self.clock.instant(), plain: frame });
        let batch: Batch = Arc::from([published]);
        for shard in shards.iter() {
            shard.note(Arc::clone(&batch));
        }
    }

    /// Whether nothing is kept of anyone.
    #[cfg(test)]
    pub(super) fn is_forgotten(&self) -> bool {
        self.interest.lock().is_empty()
    }

    fn listeners(&self, topic: &Topic) -> Option<Arc<[Arc<Mailbox>]>> {
        self.interest.lock().get(topic).map(|listeners| Arc::clone(&listeners.shards))
    }
}

impl Listeners {
    fn none() -> Self {
        Self { shards: Arc::from([]), counts: Vec::new() }
    }
}

impl Subscription {
    /// The topic, shared with everyone else who listens to it.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut interest = self.hub.interest.lock();
        let Some(listeners) = interest.get_mut(&self.topic) else { return };
        let Some(at) = listeners.shards.iter().position(|known| Arc::ptr_eq(known, &self.mailbox)) else { return };
        listeners.counts[at] -= 1;
        if listeners.counts[at] == 0 {
            listeners.counts.remove(at);
            listeners.shards =
                listeners.shards.iter().filter(|known| !Arc::ptr_eq(known, &self.mailbox)).cloned().collect();
        }
        if listeners.counts.is_empty() {
            interest.remove(&self.topic);
        }
    }
}

impl Publisher for Hub {
    fn publish(&self, events: &mut Vec<Event>) {
        let at = self.clock.instant();
        let mut batches: Vec<(Arc<Mailbox>, Vec<Arc<Published>>)> = Vec::new();
        for event in events.drain(..) {
            log::debug!(
                event_type = event.kind, (event.topic.space().log_field) = event.topic.name(), seq = event.seq,
                request_id = event.request_id.as_str();
                "event.published"
            );
            let Some(shards) = self.listeners(&event.topic) else { continue };
            let Ok(plain) = catch_unwind(AssertUnwindSafe(|| (event.topic.space().encode)(&event, false))) else {
                // Nobody can be told of it, but everyone who listens can be told that something is missing.
                shards.iter().for_each(|shard| shard.missed());
                continue;
            };
            let what = What::Committed { event, numbered: OnceLock::new() };
            let published = Arc::new(Published { what, at, plain });
            for shard in shards.iter() {
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
