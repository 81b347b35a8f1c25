//! Who on one shard listens to what.

use std::collections::HashMap;
use std::sync::Arc;

use super::published::Batch;
use crate::clock::Clock;
use crate::net::{Frame, Ticket};
use crate::observe::metrics::Deliveries;

/// The subscribers of one shard. Bounded by the shard's sockets.
#[derive(Debug, Default)]
pub struct Topics {
    subscribers: HashMap<Arc<str>, Vec<Subscriber>>,
    deliveries: Deliveries,
}

#[derive(Debug)]
struct Subscriber {
    socket: Ticket,
    /// For one who counts: the last number it has, so that nothing comes twice.
    seen: Option<i64>,
}

impl Topics {
    /// No subscribers. What they will be sent is counted here.
    #[must_use]
    pub fn counted_by(deliveries: Deliveries) -> Self {
        Self { subscribers: HashMap::new(), deliveries }
    }

    /// Counts an event sent by a replay, which does not pass [`Topics::deliver`].
    pub fn count_replayed(&self, kind: &'static str) {
        self.deliveries.sent(kind, 1);
    }

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

    /// Hands the events of a batch to everyone here who listens, in order. `send` says whether the socket is still there.
    pub fn deliver(&mut self, batch: &Batch, clock: &Clock, mut send: impl FnMut(Ticket, &Frame) -> bool) {
        for published in batch.iter() {
            let topic = self.subscribers.get_mut(&published.event.topic);
            let mut sockets = 0;
            for Subscriber { socket, seen } in topic.into_iter().flatten() {
                let sent = match seen {
                    None => send(*socket, &published.plain),
                    Some(last) if published.event.seq > *last => {
                        *last = published.event.seq;
                        send(*socket, published.numbered())
                    }
                    Some(_) => false,
                };
                sockets += u64::from(sent);
            }
            if sockets > 0 {
                self.deliveries.sent(published.event.kind, sockets);
                self.deliveries.took(clock.instant().saturating_duration_since(published.committed));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::hub::Hub;
    use crate::store::{Event, Publisher as _};

    fn event(topic: &str, seq: i64) -> Event {
        let (data, request_id) = ("{}".to_owned(), "r".to_owned());
        Event { topic: topic.into(), seq, kind: "k", data, request_id, at: Timestamp(0) }
    }

    #[test]
    fn an_event_that_cannot_be_written_is_not_missed_in_silence() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(crate::hub::Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
        let trips = |event: &Event, _: bool| match event.seq {
            2 => std::panic::resume_unwind(Box::new("on purpose")),
            seq => seq.to_string(),
        };
        let hub = Arc::new(Hub::new(trips));
        let subscription = hub.subscribe("a", &mailbox);
        hub.publish(&mut vec![event("a", 1), event("a", 2), event("a", 3)]);
        let mut taken = Vec::new();
        assert!(mailbox.take(&mut taken), "the shard is told");
        assert_eq!(taken.len(), 1, "and of the others as well");
        drop(subscription);
    }

    #[test]
    fn each_gets_what_it_listens_to_in_order_and_nothing_it_has_seen() {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(crate::hub::Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
        let hub = Arc::new(Hub::new(|event, numbered| format!("{}{}{numbered}", event.topic, event.seq)));
        let ticket = |connection| Ticket { connection, serial: 0 };
        let mut topics = Topics::default();
        let subscriptions = ["a", "a", "b"].map(|topic| hub.subscribe(topic, &mailbox));
        topics.add(subscriptions[0].topic(), ticket(0), None);
        topics.add(subscriptions[1].topic(), ticket(1), Some(2));
        topics.add(subscriptions[2].topic(), ticket(2), None);
        hub.publish(&mut vec![event("a", 2), event("c", 1), event("b", 7), event("a", 3)]);
        let mut sent = Vec::new();
        for batch in mailbox.take_notes() {
            topics.deliver(&batch, &Clock::system(), |ticket, frame| {
                sent.push((ticket.connection, frame.clone()));
                true
            });
        }
        let frames = [(0, "a2false"), (2, "b7false"), (0, "a3false"), (1, "a3true")];
        assert_eq!(sent, frames.map(|(socket, text)| (socket, Frame::text(text))));
        topics.remove("a", ticket(0));
        topics.remove("a", ticket(1));
        topics.remove("b", ticket(2));
        drop(subscriptions);
        hub.publish(&mut vec![event("a", 4)]);
        assert!(mailbox.take_notes().is_empty() && topics.subscribers.is_empty(), "nothing is kept of who has left");
    }
}
