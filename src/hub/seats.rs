//! How many sockets are open, in all, per topic and per user; and who still gets in.
//!
//! A seat is taken before a socket is registered and given back by its own drop, whatever way the socket ends, so the
//! counts cannot drift. Taking is one look and one count under one lock: no race lets one more in (R16c).
//!
//! A client that has lost its network leaves its sockets behind until a ping shows it. So that it is not kept out by them, a user
//! who has all of its sockets is let in by the oldest that owes a pong: its seat is given up, and it is told.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::SocketAddress;
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

#[derive(Default)]
struct Counts {
    all: usize,
    topics: HashMap<Topic, Sitting>,
    users: HashMap<Arc<str>, usize>,
    /// The number of the last seat.
    last: u64,
    /// Whether the sockets of a user were limited when that was taken: who owes a pong is not of interest otherwise.
    users_limited: bool,
    /// Seats whose sockets owe a pong, those of a user together and the oldest first.
    debtors: BTreeMap<(Arc<str>, u64), (Topic, SocketAddress)>,
    /// Seats that were given up while somebody sits there. They are not counted any more.
    given_up: HashSet<u64>,
}

/// Who sits at one topic.
#[derive(Default)]
struct Sitting {
    open: usize,
    /// The seats of each user.
    users: BTreeMap<Arc<str>, usize>,
}

/// The users who sit at one topic, as many as were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sitters {
    /// The first ones by name.
    pub users: Vec<Arc<str>>,
    /// How many users there are in all.
    pub count: usize,
}

/// The counts, shared by all shards.
#[derive(Clone, Default)]
pub struct Seats(Arc<Mutex<Counts>>);

/// One socket's place.
pub struct Seat {
    seats: Seats,
    topic: Topic,
    user: Arc<str>,
    number: u64,
}

/// What a socket is told whose seat was given to a newer one of its user. It is to close.
#[derive(Debug, Clone, Copy)]
pub struct Replaced;

impl Seats {
    /// Takes a seat. If the user has no other left, it takes that of the user's oldest socket that owes a pong, which is told that
    /// it is [`Replaced`].
    ///
    /// # Errors
    /// The first limit that is reached; nothing is counted and nobody told then.
    pub fn take(&self, topic: &Topic, user: &str, limits: &SeatLimits) -> Result<Seat, Full> {
        let (topic, user): (Topic, Arc<str>) = (topic.clone(), user.into());
        let mut counts = self.0.lock();
        let of_topic = counts.topics.get(&topic).map_or(0, |sitting| sitting.open);
        let of_user = counts.users.get(&user).copied().unwrap_or_default();
        if counts.all >= limits.global {
            return Err(Full::Global);
        }
        if of_topic >= limits.per_topic {
            return Err(Full::Topic);
        }
        let replaced = match of_user.cmp(&limits.per_user) {
            Ordering::Less => None,
            Ordering::Equal => Some(counts.debtor(&user).ok_or(Full::User)?),
            // The limit was lowered since: one seat less is no seat free.
            Ordering::Greater => return Err(Full::User),
        };
        let leaves_topic = replaced.as_ref().is_some_and(|(_, theirs)| *theirs == topic);
        if of_topic - usize::from(leaves_topic) >= limits.topic_cap {
            return Err(Full::TopicCap);
        }
        let replaced = replaced.and_then(|(number, _)| counts.give_up(number, &user));
        counts.all += 1;
        counts.last += 1;
        counts.users_limited = limits.per_user < usize::MAX;
        let number = counts.last;
        let sitting = counts.topics.entry(topic.clone()).or_default();
        sitting.open += 1;
        *sitting.users.entry(Arc::clone(&user)).or_default() += 1;
        *counts.users.entry(Arc::clone(&user)).or_default() += 1;
        drop(counts);
        if let Some(replaced) = replaced {
            // If its shard has no room for notes, it closes all of its sockets.
            replaced.tell(Replaced);
        }
        Ok(Seat { seats: self.clone(), topic, user, number })
    }

    /// Sockets open in all.
    pub fn open(&self) -> usize {
        self.0.lock().all
    }

    /// Who sits at this topic: at most so many of them by name.
    pub fn sitters(&self, topic: &Topic, most: usize) -> Sitters {
        let counts = self.0.lock();
        let Some(sitting) = counts.topics.get(topic) else { return Sitters::default() };
        Sitters { users: sitting.users.keys().take(most).cloned().collect(), count: sitting.users.len() }
    }

    /// Topics that have a socket.
    pub fn topics(&self) -> usize {
        self.0.lock().topics.len()
    }
}

impl Counts {
    /// The oldest seat of a user whose socket owes a pong, and what it is a seat of.
    fn debtor(&self, user: &Arc<str>) -> Option<(u64, Topic)> {
        let of_user = (Arc::clone(user), 0)..=(Arc::clone(user), u64::MAX);
        let ((_, number), (topic, _)) = self.debtors.range(of_user).next()?;
        Some((*number, topic.clone()))
    }

    /// Gives a seat up though somebody sits there: who is to be told.
    fn give_up(&mut self, number: u64, user: &Arc<str>) -> Option<SocketAddress> {
        let (topic, address) = self.debtors.remove(&(Arc::clone(user), number))?;
        self.given_up.insert(number);
        self.give_back(&topic, user);
        Some(address)
    }

    fn give_back(&mut self, topic: &Topic, user: &Arc<str>) {
        self.all -= 1;
        if let Some(open) = self.users.get_mut(user) {
            *open -= 1;
            if *open == 0 {
                self.users.remove(user);
            }
        }
        let Some(sitting) = self.topics.get_mut(topic) else { return };
        sitting.open -= 1;
        if sitting.open == 0 {
            self.topics.remove(topic);
        } else if let Some(seats) = sitting.users.get_mut(user) {
            *seats -= 1;
            if *seats == 0 {
                sitting.users.remove(user);
            }
        }
    }
}

impl Seat {
    /// What it is a seat of.
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The socket that sits here, reached at this address, owes a pong.
    pub fn owes_pong(&self, address: SocketAddress) {
        let mut counts = self.seats.0.lock();
        if counts.users_limited && !counts.given_up.contains(&self.number) {
            counts.debtors.insert((Arc::clone(&self.user), self.number), (self.topic.clone(), address));
        }
    }

    /// It owes none any more.
    pub fn has_answered(&self) {
        let mut counts = self.seats.0.lock();
        if !counts.debtors.is_empty() {
            counts.debtors.remove(&(Arc::clone(&self.user), self.number));
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.seats.0.lock();
        counts.debtors.remove(&(Arc::clone(&self.user), self.number));
        if !counts.given_up.remove(&self.number) {
            counts.give_back(&self.topic, &self.user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Mailbox;
    use crate::net::{Frame, Ticket};
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
        assert_eq!(seats.take(&topic("b"), "alice", &limits).err(), Some(Full::User));
        let _second = seats.take(&topic("a"), "bob", &limits).unwrap();
        assert_eq!(seats.take(&topic("a"), "alice", &limits).err(), Some(Full::Topic), "the topic is looked at first");
        let cap_only = SeatLimits { topic_cap: 2, ..NONE };
        assert_eq!(seats.take(&topic("a"), "carol", &cap_only).err(), Some(Full::TopicCap));
        let _third = seats.take(&topic("b"), "carol", &limits).unwrap();
        assert_eq!(seats.take(&topic("c"), "dave", &limits).err(), Some(Full::Global));
        let other = seats.take(&Topic::new(&OTHER, "a"), "erin", &SeatLimits { global: 4, ..limits });
        assert!(other.is_ok(), "another product's topic of the same name has seats of its own");
        drop((first, other));
        assert_eq!((seats.open(), seats.topics()), (2, 2));
        seats.take(&topic("a"), "alice", &limits).unwrap();
    }

    /// Where sockets are told, and nobody listens.
    fn mailbox() -> Arc<Mailbox> {
        let poll = mio::Poll::new().unwrap();
        Arc::new(Mailbox::new(poll.registry(), mio::Token(0)).unwrap())
    }

    #[test]
    fn who_has_all_seats_takes_the_oldest_whose_socket_owes_a_pong() {
        let (seats, mailbox) = (Seats::default(), mailbox());
        let address = |connection| mailbox.socket(Ticket { connection, serial: 0 });
        let limits = SeatLimits { per_user: 3, per_topic: 3, global: 4, topic_cap: 2 };
        let take = |name: &str, user: &str| seats.take(&topic(name), user, &limits);
        let [first, second, third] = ["a", "b", "b"].map(|name| take(name, "alice").unwrap());
        let other = take("c", "bob").unwrap();
        other.owes_pong(address(9));
        assert_eq!(take("a", "alice").err(), Some(Full::Global), "one for all is not taken from one");
        drop(other);
        assert_eq!(take("a", "alice").err(), Some(Full::User), "nobody owes anything");
        third.owes_pong(address(3));
        second.owes_pong(address(2));
        first.owes_pong(address(1));
        first.has_answered();
        // Which seats were given up and are still sat on, and how many were told of it since the last look.
        let told = || {
            let mut taken = Vec::new();
            mailbox.take(&mut taken);
            let mut given_up: Vec<u64> = seats.0.lock().given_up.iter().copied().collect();
            given_up.sort_unstable();
            (given_up, taken.len())
        };
        let fourth = take("b", "alice").unwrap();
        assert_eq!(told(), (vec![2], 1), "the oldest of those that owe one, though all seats of its topic are taken");
        assert_eq!(seats.open(), 3);
        second.owes_pong(address(2));
        drop(second);
        assert_eq!(seats.open(), 3, "it was not counted any more");
        fourth.owes_pong(address(4));
        third.has_answered();
        third.owes_pong(address(3));
        let fifth = take("c", "alice").unwrap();
        assert_eq!(told(), (vec![3], 1));
        first.owes_pong(address(1));
        let sixth = take("b", "alice").unwrap();
        assert_eq!((told(), sixth.number), ((vec![1, 3], 1), 7));
        fifth.owes_pong(address(5));
        fourth.has_answered();
        assert_eq!(take("b", "alice").err(), Some(Full::TopicCap), "its seat would be no help here");
        assert_eq!((told(), seats.open()), ((vec![1, 3], 0), 3), "and it keeps it");
        let lowered = SeatLimits { per_user: 2, ..limits };
        assert_eq!(seats.take(&topic("d"), "alice", &lowered).err(), Some(Full::User), "there are more as it is");
        drop(sixth);
        drop((first, third, fourth, fifth));
        let counts = seats.0.lock();
        assert!(counts.all == 0 && counts.debtors.is_empty() && counts.given_up.is_empty());
    }

    #[test]
    fn who_sits_at_a_topic_is_named_once() {
        let seats = Seats::default();
        let take = |name: &str, user: &str| seats.take(&topic(name), user, &NONE).unwrap();
        let sitters = |most| {
            let Sitters { users, count } = seats.sitters(&topic("a"), most);
            (users.iter().map(ToString::to_string).collect::<Vec<_>>(), count)
        };
        assert_eq!(sitters(9), (vec![], 0));
        let first = take("a", "bob");
        let (second, _third, _other) = (take("a", "bob"), take("a", "alice"), take("b", "carol"));
        assert_eq!(sitters(9), (vec!["alice".into(), "bob".into()], 2));
        assert_eq!(sitters(1), (vec!["alice".into()], 2));
        drop(first);
        assert_eq!(sitters(9).1, 2, "one of two sockets is closed");
        drop(second);
        assert_eq!(sitters(9), (vec!["alice".into()], 1));
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let seats = Seats::default();
        drop((0..100).map(|n| seats.take(&topic(&n.to_string()), "u", &NONE).unwrap()).collect::<Vec<_>>());
        let counts = seats.0.lock();
        assert!(counts.all == 0 && counts.topics.is_empty() && counts.users.is_empty());
    }
}
