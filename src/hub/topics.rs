//! Who on one shard listens to what.

use std::collections::HashMap;
use std::sync::Arc;

use super::Batch;
use crate::net::{Frame, Ticket};

/// The subscribers of one shard. Bounded by the shard's sockets.
#[derive(Debug, Default)]
pub struct Topics {
    subscribers: HashMap<Arc<str>, Vec<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    socket: Ticket,
    /// For one who counts: the last number it has, so that nothing comes twice.
    seen: Option<i64>,
}

impl Topics {
    /// Adds a subscriber. With `seen`, its frames carry their number, and only those above `seen` are sent.
    pub fn add(&mut self, topic: &Arc<str>, socket: Ticket, seen: Option<i64>) {
        self.subscribers.entry(Arc::clone(topic)).or_default().push(Subscriber { socket, seen });
    }

    /// Removes a subscriber.
    pub fn remove(&mut self, topic: &str, socket: Ticket) {
        let Some(subscribers) = self.subscribers.get_mut(topic) else { return };
        subscribers.retain(|subscriber| subscriber.socket != socket);
        if subscribers.is_empty() {
            self.subscribers.remove(topic);
        }
    }

    /// Hands the events of a batch to everyone here who listens, in order.
    pub fn deliver(&mut self, batch: &Batch, mut send: impl FnMut(Ticket, &Frame)) {
        for published in batch.iter() {
            let topic = self.subscribers.get_mut(&published.event.topic);
            for Subscriber { socket, seen } in topic.into_iter().flatten() {
                match seen {
                    None => send(*socket, &published.plain),
                    Some(last) if published.event.seq > *last => {
                        *last = published.event.seq;
                        send(*socket, published.numbered());
                    }
                    Some(_) => {}
                }
            }
        }
    }
}
