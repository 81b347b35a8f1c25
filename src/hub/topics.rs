//! Who on one shard listens to what.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::counters::Deliveries;
use super::published::{Batch, Mailbox, Published, What};
use crate::clock::Clock;
use crate::net::{Notes, SocketId, Sockets, Ticket};
use crate::store::Topic;

/// The subscribers of one shard. Bounded by the shard's sockets.
#[derive(Debug)]
pub struct Topics {
    subscribers: HashMap<Topic, Vec<Subscriber>>,
    /// The number of the shard's mailbox.
    mailbox: u32,
    deliveries: Deliveries,
    clock: Clock,
}

#[derive(Debug)]
struct Subscriber {
    socket: Ticket,
    /// For one who counts: the last number it has, so that nothing comes twice.
    seen: Option<i64>,
}

impl Topics {
    /// No subscribers, on the shard of this mailbox. `deliveries` counts what they will be sent.
    pub fn new(mailbox: &Mailbox, deliveries: Deliveries, clock: Clock) -> Self {
        Self { subscribers: HashMap::new(), mailbox: mailbox.number(), deliveries, clock }
    }

    /// Counts an event sent by a replay, which does not pass [`Topics::deliver`].
    pub fn count_replayed(&self, kind: &'static str) {
        self.deliveries.sent(kind, 1);
    }

    /// Adds a subscriber. With `seen`, its frames carry their number, and only those above `seen` are sent.
    pub fn add(&mut self, topic: &Topic, socket: Ticket, seen: Option<i64>) {
        self.subscribers.entry(topic.clone()).or_default().push(Subscriber { socket, seen });
    }

    /// Removes a subscriber.
    pub fn remove(&mut self, topic: &Topic, socket: Ticket) {
        let Some(subscribers) = self.subscribers.get_mut(topic) else { return };
        subscribers.retain(|subscriber| subscriber.socket != socket);
        if subscribers.is_empty() {
            self.subscribers.remove(topic);
        }
    }

    /// Hands what was published to everyone here who listens, in order.
    pub fn deliver(&mut self, batch: &Batch, sockets: &mut impl Sockets) {
        for published in batch.iter() {
            let except = self.excepted(published);
            let mut sent = 0;
            for Subscriber { socket, seen } in self.subscribers.get_mut(published.topic()).into_iter().flatten() {
                let frame = match seen {
                    None => Some(&published.plain),
                    Some(seen) => published.after(seen),
                };
                let frame = frame.filter(|_| except != Some(*socket));
                sent += u64::from(frame.is_some_and(|frame| sockets.send(*socket, frame)));
            }
            if sent > 0 {
                self.deliveries.sent(published.kind(), sent);
                self.deliveries.took(self.clock.instant().saturating_duration_since(published.at));
            }
        }
    }

    /// The socket of this shard that does not get it.
    fn excepted(&self, published: &Published) -> Option<Ticket> {
        match &published.what {
            What::Passing { except: Some(SocketId { mailbox, ticket }), .. } if *mailbox == self.mailbox => {
                Some(*ticket)
            }
            _ => None,
        }
    }
}

/// The sessions of a shard, which subscribe, share them with the shard, which delivers.
impl Notes for Rc<RefCell<Topics>> {
    type Note = Batch;

    fn deliver(&mut self, batch: Batch, sockets: &mut impl Sockets) {
        self.borrow_mut().deliver(&batch, sockets);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Timestamp;
    use crate::hub::Hub;
    use crate::net::Frame;
    use crate::store::{Event, Publisher as _, Space};

    static ROOMS: Space = Space { name: "rooms", log_field: "room", encode: |_, _| Frame::binary(b"room") };
    static DRAFTS: Space = Space { name: "drafts", log_field: "draft", encode };

    fn encode(event: &Event, numbered: bool) -> Frame {
        match event.kind {
            "trips" => std::panic::resume_unwind(Box::new("on purpose")),
            _ => Frame::text(&format!("{}{}{numbered}", event.topic.name(), event.seq)),
        }
    }

    fn event(topic: &str, seq: i64) -> Event {
        let (data, request_id, topic) = ("{}".to_owned(), "r".to_owned(), Topic::new(&DRAFTS, topic));
        Event { topic, seq, kind: "k", data, request_id, at: Timestamp(0) }
    }

    /// Sockets that take everything.
    #[derive(Default)]
    struct Taken(Vec<(usize, Frame)>);

    impl Sockets for Taken {
        fn send(&mut self, ticket: Ticket, frame: &Frame) -> bool {
            self.0.push((ticket.connection, frame.clone()));
            true
        }
    }

    fn ticket(connection: usize) -> Ticket {
        Ticket { connection, serial: 0 }
    }

    fn shard(clock: &Clock) -> (Arc<Mailbox>, Topics) {
        let poll = mio::Poll::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(poll.registry(), mio::Token(0)).unwrap());
        let topics = Topics::new(&mailbox, Deliveries::default(), clock.clone());
        (mailbox, topics)
    }

    fn delivered(mailbox: &Mailbox, topics: &mut Topics) -> Vec<(usize, Frame)> {
        let mut taken = Taken::default();
        mailbox.take_notes().iter().for_each(|batch| topics.deliver(batch, &mut taken));
        taken.0
    }

    #[test]
    fn an_event_that_cannot_be_written_is_not_missed_in_silence() {
        let clock = Clock::manual(Timestamp(0));
        let (mailbox, _) = shard(&clock);
        let hub = Arc::new(Hub::new(clock));
        let subscription = hub.subscribe(&Topic::new(&DRAFTS, "a"), &mailbox);
        hub.publish(&mut vec![event("a", 1), Event { kind: "trips", ..event("a", 2) }, event("a", 3)]);
        let mut taken = Vec::new();
        assert!(mailbox.take(&mut taken), "the shard is told");
        assert_eq!(taken.len(), 1, "and of the others as well");
        drop(subscription);
    }

    #[test]
    fn each_gets_what_it_listens_to_in_order_and_nothing_it_has_seen() {
        let clock = Clock::manual(Timestamp(0));
        let (mailbox, mut topics) = shard(&clock);
        let hub = Arc::new(Hub::new(clock));
        let subscriptions = ["a", "a", "b"].map(|topic| hub.subscribe(&Topic::new(&DRAFTS, topic), &mailbox));
        topics.add(subscriptions[0].topic(), ticket(0), None);
        topics.add(subscriptions[1].topic(), ticket(1), Some(2));
        topics.add(subscriptions[2].topic(), ticket(2), None);
        hub.publish(&mut vec![event("a", 2), event("c", 1), event("b", 7), event("a", 3)]);
        let frames = [(0, "a2false"), (2, "b7false"), (0, "a3false"), (1, "a3true")];
        let frames = frames.map(|(socket, text)| (socket, Frame::text(text)));
        assert_eq!(delivered(&mailbox, &mut topics), frames);
        for (socket, topic) in [(0, "a"), (1, "a"), (2, "b")] {
            topics.remove(&Topic::new(&DRAFTS, topic), ticket(socket));
        }
        drop(subscriptions);
        hub.publish(&mut vec![event("a", 4)]);
        assert!(mailbox.take_notes().is_empty() && topics.subscribers.is_empty(), "nothing is kept of who has left");
        assert!(hub.is_forgotten());
    }

    #[test]
    fn a_name_in_two_spaces_is_two_topics() {
        let clock = Clock::manual(Timestamp(0));
        let (mailbox, mut topics) = shard(&clock);
        let hub = Arc::new(Hub::new(clock));
        let subscriptions = [&DRAFTS, &ROOMS].map(|space| hub.subscribe(&Topic::new(space, "a"), &mailbox));
        topics.add(subscriptions[0].topic(), ticket(0), None);
        topics.add(subscriptions[1].topic(), ticket(1), None);
        hub.publish(&mut vec![event("a", 1), Event { topic: Topic::new(&ROOMS, "a"), ..event("a", 1) }]);
        let expected = [(0, Frame::text("a1false")), (1, Frame::binary(b"room"))];
        assert_eq!(delivered(&mailbox, &mut topics), expected);
    }

    #[test]
    fn what_passes_goes_to_all_but_the_one_who_sent_it_whether_they_count_or_not() {
        let clock = Clock::manual(Timestamp(0));
        let shards = [0, 1].map(|_| shard(&clock));
        let hub = Arc::new(Hub::new(clock));
        let topic = Topic::new(&ROOMS, "a");
        let mut subscriptions = Vec::new();
        let [(here, topics_here), (there, topics_there)] = shards;
        let (mut topics_here, mut topics_there) = (topics_here, topics_there);
        for (mailbox, topics) in [(&here, &mut topics_here), (&there, &mut topics_there)] {
            subscriptions.push(hub.subscribe(&topic, mailbox));
            topics.add(&topic, ticket(0), None);
            topics.add(&topic, ticket(1), Some(9));
        }
        let frame = Frame::binary(&[0, 1, 2]);
        hub.send(&topic, "update", frame.clone(), Some(here.socket(ticket(0)).id()));
        assert_eq!(delivered(&here, &mut topics_here), [(1, frame.clone())]);
        assert_eq!(delivered(&there, &mut topics_there), [(0, frame.clone()), (1, frame)]);
    }
}
