//! What sockets may be sent of what they missed, counted by events.
//!
//! A handshake costs next to nothing, and what it is answered with may be a thousand events. So they are what is counted: for
//! the user, and ten times as many for the address, in buckets of their own, a token for an event. How many there are shows
//! only when they were read. So one token has to be there before, and what the others would have cost is taken afterwards, as
//! far as there is any: a bucket is overdrawn by one replay at most.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use std::hash::BuildHasher as _;

use super::bucket::Rate;
use super::{ADDRESS_FACTOR, Client, Counted, Key, Limiter};
use crate::net::network_of;

/// Events that come with as much as one request of the default policy may ask for.
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
    /// Whether anything may be replayed now. It takes one event from both buckets, or none from either.
    #[must_use]
    pub fn admits(&self, now: Instant) -> bool {
        let (table, nanos) = (&self.counted.table, self.counted.nanos(now));
        let [(user, rate), (address, address_rate)] = self.buckets;
        if !table.take(user, rate, nanos).allowed {
            return false;
        }
        let admitted = table.take(address, address_rate, nanos).allowed;
        if !admitted {
            table.give_back(user, rate);
        }
        admitted
    }

    /// Takes what this many events cost beyond the one that [`Self::admits`] took.
    pub fn spend(&self, events: usize, now: Instant) {
        let events = u32::try_from(events.saturating_sub(1)).unwrap_or(u32::MAX);
        for (key, rate) in self.buckets {
            self.counted.table.drain(key, rate, self.counted.nanos(now), events);
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
                meter.spend(events, now);
            }
            admitted
        };
        let small = (0..5000).take_while(|_| replayed("alice", 0)).count();
        assert_eq!(small, 3000, "one that brings nothing counts as an event");
        let large = (0..5000).take_while(|_| replayed("bob", 999)).count();
        assert_eq!(large, 4, "3000 events, and the last is let run over");
        // 30 000 for the address; alice and bob have had 6000, and refusals took nothing.
        let others = (0..100).take_while(|turn| replayed(&turn.to_string(), 1000)).count();
        assert_eq!(others, 24);
        let elsewhere = limiter.replays_of("0", "192.0.2.2".parse().unwrap());
        assert!(elsewhere.admits(now), "two of the three thousand are left to the user");
    }
}
