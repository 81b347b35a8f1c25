//! What sockets may be sent of what they missed, counted by events.
//!
//! A handshake costs next to nothing, and what it is answered with may be a thousand events. So they are what is counted: for
//! the user, and ten times as many for the address, in buckets of their own, a token for an event. How many there are shows
//! only when they were read. So as many are taken as there may be, and the rest is given back.

use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::bucket::Rate;
use super::{ADDRESS_FACTOR, Client, Counted, Key, Limiter};
use crate::net::network_of;

/// Events that one request of the default policy stands for, which is as many as one replay may have.
pub(super) const EVENTS_PER_REQUEST: u32 = 1000;

/// Counts what one socket catches up with. It outlasts the handshake that it was made for.
pub struct ReplayMeter {
    counted: Arc<Counted>,
    /// Of the user, then of the address.
    buckets: [(u64, Rate); 2],
}

impl Limiter {
    /// For a socket of this user at this address.
    pub(in crate::gate) fn replays_of(&self, user: &str, client: IpAddr) -> ReplayMeter {
        let rate = self.default.rate.times(EVENTS_PER_REQUEST);
        let key = |who| self.counted.seed.hash_one(Key::Replay(who));
        let buckets =
            [(key(Client::User(user)), rate), (key(Client::Address(network_of(client))), rate.times(ADDRESS_FACTOR))];
        ReplayMeter { counted: Arc::clone(&self.counted), buckets }
    }
}

impl ReplayMeter {
    /// Whether a replay may begin now. It takes what the largest costs from both buckets, or nothing from either.
    #[must_use]
    pub fn admits(&self, now: Instant) -> bool {
        let (table, nanos) = (&self.counted.table, self.counted.nanos(now));
        let [(user, rate), (address, address_rate)] = self.buckets;
        if !table.take_many(user, rate, nanos, EVENTS_PER_REQUEST).allowed {
            return false;
        }
        let admitted = table.take_many(address, address_rate, nanos, EVENTS_PER_REQUEST).allowed;
        if !admitted {
            table.give_back(user, rate, EVENTS_PER_REQUEST);
        }
        admitted
    }

    /// Gives back what a replay of so many events has cost less than the largest. One that has none counts as an event.
    pub fn settle(&self, events: usize) {
        let spent = u32::try_from(events.max(1)).unwrap_or(u32::MAX);
        for (key, rate) in self.buckets {
            self.counted.table.give_back(key, rate, EVENTS_PER_REQUEST.saturating_sub(spent));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::gate::RateLimits;

    #[test]
    fn a_replay_is_charged_by_its_events_to_its_user_and_address() {
        let now = Clock::manual(Timestamp(0)).instant();
        let limiter = Limiter::new(RateLimits { per_minute: 1, burst: 3, keys: 1000, standard_headers: false }, now);
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        let replayed = |user: &str, events| {
            let meter = limiter.replays_of(user, home);
            let admitted = meter.admits(now);
            if admitted {
                meter.settle(events);
            }
            admitted
        };
        let small = (0..5000).take_while(|_| replayed("alice", 0)).count();
        assert_eq!(small, 2001, "one that brings nothing counts as an event, and 999 are left");
        assert_eq!((0..5000).take_while(|_| replayed("bob", 750)).count(), 3, "750 are left, which may be too few");
        assert_eq!((0..5000).take_while(|_| replayed("carol", 1000)).count(), 3);
        // 30 000 for the address, of which these had 7251; refusals took nothing.
        let others = (0..100).take_while(|turn| replayed(&turn.to_string(), 1000)).count();
        assert_eq!(others, 22);
        let refused = limiter.replays_of("22", "192.0.2.2".parse().unwrap());
        assert!((0..3).all(|_| refused.admits(now)), "what the address refused, the user was given back");
        assert!(!refused.admits(now));
    }
}
