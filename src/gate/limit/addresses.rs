//! Something for each client address, in a table of a bounded size.
//!
//! It is laid out like the cache of a processor: an address may stand in one set of [`WAYS`] places only, and each set has a lock
//! of its own, held for one look. When a set is full, the address that was seen longest ago is forgotten: so a flood of new
//! addresses takes places from itself before it takes those of who is there at the moment. Addresses are kept as hashes with a
//! seed of this process, so that nobody can choose whose place to take; IPv6 counts by /64, as a household has a whole one. (The
//! buckets of the rate limit are in a [`table`](super::table) of their own: what is kept for a key is worth less the fuller it is.)

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::OnceLock;

use parking_lot::Mutex;

use crate::net::network_of;

/// Places that an address may have.
const WAYS: usize = 16;

/// An address, hashed, and what is kept for it. Those of a set stand in the order in which they were seen, the last one first.
type Set<T> = Vec<(u64, T)>;

/// What is kept for addresses. It takes no memory before the first of them.
#[derive(Debug)]
pub struct Addresses<T> {
    sets: OnceLock<Box<[Mutex<Set<T>>]>>,
    most: usize,
    seed: RandomState,
}

impl<T: Default> Addresses<T> {
    /// For at most so many addresses, but 16 at the least.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { sets: OnceLock::new(), most, seed: RandomState::new() }
    }

    /// Does something with what is kept for this address, which is the default where nothing is known of it.
    pub fn with<R>(&self, client: IpAddr, act: impl FnOnce(&mut T) -> R) -> R {
        let sets = self.sets.get_or_init(|| (0..(self.most / WAYS).max(1)).map(|_| Mutex::default()).collect());
        let key = self.seed.hash_one(network_of(client));
        // The remainder is less than the number of sets, so it fits whatever a usize is.
        let mut set = sets[usize::try_from(key % sets.len() as u64).unwrap_or_default()].lock();
        let known = set.iter().position(|(other, _)| *other == key);
        let mut kept = known.map(|at| set.remove(at).1).unwrap_or_default();
        let result = act(&mut kept);
        set.truncate(WAYS - 1);
        set.insert(0, (key, kept));
        result
    }

    /// How many places are taken, and how many there are memory for.
    #[cfg(test)]
    pub(crate) fn places(&self) -> (usize, usize) {
        let sets = self.sets.get().into_iter().flatten();
        sets.map(|set| set.lock()).fold((0, 0), |(len, capacity), set| (len + set.len(), capacity + set.capacity()))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_and_ipv6_counts_by_64() {
        let counts = Addresses::<u32>::new(1000);
        let count = |client: &str| {
            counts.with(ip(client), |count| {
                *count += 1;
                *count
            })
        };
        assert_eq!([count("192.0.2.1"), count("192.0.2.1"), count("192.0.2.2")], [1, 2, 1]);
        assert_eq!(count("::ffff:192.0.2.1"), 3, "the same address, mapped");
        assert_eq!([count("2001:db8:1:2::1"), count("2001:db8:1:2:ffff::9"), count("2001:db8:1:3::1")], [1, 2, 1]);
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_places_and_none_of_who_is_there() {
        let seen = Addresses::<u32>::new(1600);
        let home = ip("198.51.100.7");
        for number in 0..200_000_u32 {
            seen.with(Ipv4Addr::from(number).into(), |_| ());
            if number % 100 == 0 {
                seen.with(home, |count| *count += 1);
            }
        }
        let (taken, room) = seen.places();
        assert!(taken <= 1600 && room <= 1600, "{taken} of {room}");
        assert_eq!(seen.with(home, |count| *count), 2000, "never forgotten meanwhile");
        let tiny = Addresses::<u32>::new(0);
        (0..100_u32).for_each(|number| tiny.with(Ipv4Addr::from(number).into(), |_| ()));
        assert_eq!(tiny.places(), (WAYS, WAYS));
    }
}
