//! How many sockets are open, in all, per topic and per user; and who still gets in.
//!
//! A seat is taken before a socket is registered and given back by its own drop, whatever way the socket ends, so the
//! counts cannot drift. Taking is one look and one count under one lock: no race lets one more in (R16c).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::store::Topic;

/// How many sockets there may be. `usize::MAX` is no limit.
#[derive(Debug, Clone, Copy)]
pub struct SeatLimits {
    /// In all.
    pub global: usize,
    /// Of one topic.
    pub per_topic: usize,
    /// Of one user.
    pub per_user: usize,
    /// Of one topic, checked last and whether or not the other limits are on.
    pub topic_cap: usize,
}

/// Which limit a socket has met, in the order in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// [`SeatLimits::global`].
    Global,
    /// [`SeatLimits::per_topic`].
    Topic,
    /// [`SeatLimits::per_user`].
    User,
    /// [`SeatLimits::topic_cap`].
    TopicCap,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    topics: HashMap<Topic, usize>,
    users: HashMap<Arc<str>, usize>,
}

/// The counts, shared by all shards.
#[derive(Debug, Clone, Default)]
pub struct Seats(Arc<Mutex<Counts>>);

/// One socket's place.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    topic: Topic,
    user: Arc<str>,
}

impl Seats {
    /// Takes a seat.
    ///
    /// # Errors
    /// The first limit that is reached; nothing is counted then.
    pub fn take(&self, topic: &Topic, user: &str, limits: &SeatLimits) -> Result<Seat, Full> {
        let mut counts = self.0.lock();
        let of_topic = counts.topics.get(topic).copied().unwrap_or_default();
        let of_user = counts.users.get(user).copied().unwrap_or_default();
        let checks = [
            (counts.all, limits.global, Full::Global),
            (of_topic, limits.per_topic, Full::Topic),
            (of_user, limits.per_user, Full::User),
            (of_topic, limits.topic_cap, Full::TopicCap),
        ];
        for (open, limit, full) in checks {
            if open >= limit {
                return Err(full);
            }
        }
        let (topic, user): (Topic, Arc<str>) = (topic.clone(), user.into());
        counts.all += 1;
        *counts.topics.entry(topic.clone()).or_default() += 1;
        *counts.users.entry(Arc::clone(&user)).or_default() += 1;
        Ok(Seat { seats: self.clone(), topic, user })
    }

    /// Sockets open in all.
    pub fn open(&self) -> usize {
        self.0.lock().all
    }

    /// Topics that have a socket.
    pub fn topics(&self) -> usize {
        self.0.lock().topics.len()
    }
}

impl Seat {
    /// What it is a seat of.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.seats.0.lock();
        counts.all -= 1;
        let Counts { topics, users, .. } = &mut *counts;
        give_back(topics, &self.topic);
        give_back(users, &self.user);
    }
}

/// One less of this; none is forgotten.
fn give_back<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(open) = counts.get_mut(key) {
        *open -= 1;
        if *open == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Frame;
    use crate::store::Space;

    static SPACE: Space = Space { name: "drafts", log_field: "draft", encode: |_, _| Frame::ping() };
    static OTHER: Space = Space { name: "rooms", log_field: "room", encode: |_, _| Frame::ping() };

    fn topic(name: &str) -> Topic {
        Topic::new(&SPACE, name)
    }

    const NONE: SeatLimits =
        SeatLimits { global: usize::MAX, per_topic: usize::MAX, per_user: usize::MAX, topic_cap: usize::MAX };

    #[test]
    fn limits_are_met_in_their_order_and_seats_given_back() {
        let seats = Seats::default();
        let limits = SeatLimits { global: 3, per_topic: 2, per_user: 1, topic_cap: 2 };
        let first = seats.take(&topic("a"), "alice", &limits).unwrap();
        assert_eq!(seats.take(&topic("b"), "alice", &limits).unwrap_err(), Full::User);
        let _second = seats.take(&topic("a"), "bob", &limits).unwrap();
        assert_eq!(seats.take(&topic("a"), "alice", &limits).unwrap_err(), Full::Topic, "the topic is looked at first");
        let cap_only = SeatLimits { topic_cap: 2, ..NONE };
        assert_eq!(seats.take(&topic("a"), "carol", &cap_only).unwrap_err(), Full::TopicCap);
        let _third = seats.take(&topic("b"), "carol", &limits).unwrap();
        assert_eq!(seats.take(&topic("c"), "dave", &limits).unwrap_err(), Full::Global);
        let other = seats.take(&Topic::new(&OTHER, "a"), "erin", &SeatLimits { global: 4, ..limits });
        assert!(other.is_ok(), "another product's topic of the same name has seats of its own");
        drop((first, other));
        assert_eq!((seats.open(), seats.topics()), (2, 2));
        seats.take(&topic("a"), "alice", &limits).unwrap();
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let seats = Seats::default();
        drop((0..100).map(|n| seats.take(&topic(&n.to_string()), "u", &NONE).unwrap()).collect::<Vec<_>>());
        let counts = seats.0.lock();
        assert!(counts.all == 0 && counts.topics.is_empty() && counts.users.is_empty());
    }
}
