//! All buckets, in a table of a fixed size.
//!
//! It is laid out like the cache of a processor: a key may stand in one set of [`WAYS`] places only, and each set has a lock
//! of its own. So it is allocated once and never grows, however many addresses there are, and to find a place is
//! to look at 256 bytes. A place is taken from the bucket that will be full first. One that is full already is as good as
//! forgotten, and of the others it is the one with the least to forget: among buckets that were used alike, the one idle
//! longest. A flood of new keys takes places from itself, because each of its buckets has hardly been used.

use parking_lot::Mutex;

use super::bucket::{Bucket, Rate, Verdict};

/// Places of one set.
const WAYS: usize = 16;

/// A bucket and whose it is.
#[derive(Clone, Copy, Default)]
struct Place {
    key: u64,
    bucket: Bucket,
}

type Set = [Place; WAYS];

pub(super) struct Table {
    sets: Box<[Mutex<Set>]>,
}

impl Table {
    /// A table for at most this many keys (but [`WAYS`] at the least).
    pub(super) fn new(keys: usize) -> Self {
        let sets = (0..(keys / WAYS).max(1)).map(|_| Mutex::new(Set::default())).collect();
        Self { sets }
    }

    /// Takes a token from the bucket of this key. Keys are expected to be hashes: evenly spread over all 64 bits.
    pub(super) fn take(&self, key: u64, rate: Rate, now: u64) -> Verdict {
        self.bucket(key, |bucket| bucket.take(rate, now))
    }

    /// Takes so many tokens from the bucket of this key, or none.
    pub(super) fn take_many(&self, key: u64, rate: Rate, now: u64, tokens: u32) -> Verdict {
        self.bucket(key, |bucket| bucket.take_many(rate, now, tokens))
    }

    /// Puts so many tokens back into the bucket of this key.
    pub(super) fn give_back(&self, key: u64, rate: Rate, tokens: u32) {
        self.bucket(key, |bucket| bucket.give_back(rate, tokens));
    }

    fn bucket<T>(&self, key: u64, change: impl FnOnce(&mut Bucket) -> T) -> T {
        // The remainder is less than the number of sets, so it fits whatever a usize is.
        let set = usize::try_from(key % self.sets.len() as u64).unwrap_or_default();
        let mut set = self.sets[set].lock();
        let known = set.iter().position(|place| place.key == key);
        let at = known.unwrap_or_else(|| soonest_full(&set));
        if known.is_none() {
            set[at] = Place { key, bucket: Bucket::default() };
        }
        change(&mut set[at].bucket)
    }

    /// How many buckets are not full. Takes one lock after the other, each for a look at its set.
    pub(super) fn keys(&self, now: u64) -> usize {
        let in_use = |set: &Mutex<Set>| set.lock().iter().filter(|place| place.bucket.full_at > now).count();
        self.sets.iter().map(in_use).sum()
    }
}

/// A place that was never used counts as full since ever.
fn soonest_full(set: &Set) -> usize {
    let places = set.iter().enumerate();
    places.min_by_key(|(_, place)| place.bucket.full_at).map_or(0, |(at, _)| at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const MILLISECOND: u64 = 1_000_000;
    /// A token a second.
    const SECONDS: u64 = 1000 * MILLISECOND;

    fn rate() -> Rate {
        Rate::new(60, 10)
    }

    /// The number's digits shuffled, as a hash would.
    fn spread(number: u64) -> u64 {
        let mixed = (number ^ (number >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    fn keys(table: &Table) -> Vec<u64> {
        let used =
            |set: &Mutex<Set>| set.lock().iter().filter(|place| place.bucket.full_at > 0).map(|p| p.key).collect();
        table.sets.iter().flat_map(|set| -> Vec<u64> { used(set) }).collect()
    }

    #[test]
    fn each_key_has_a_bucket_of_its_own() {
        let table = Table::new(1600);
        for remaining in (0..10).rev() {
            for key in 0..500 {
                assert_eq!(table.take(spread(key), rate(), 0).remaining, remaining);
            }
        }
        assert!((0..500).all(|key| !table.take(spread(key), rate(), 0).allowed));
    }

    #[test]
    fn full_buckets_make_room_first_then_the_one_idle_longest() {
        let table = Table::new(WAYS);
        // One set; its places are taken one after the other, key 1 a second before key 2 and so on.
        for key in 1..=WAYS as u64 {
            table.take(key, rate(), key * SECONDS);
        }
        let now = WAYS as u64 * SECONDS;
        assert_eq!(keys(&table).len(), WAYS);
        // Those of keys 1 to 15 are full by now. A new key takes the place of one of these, never that of key 16.
        for key in 100..115 {
            table.take(key, rate(), now);
        }
        let mut left = keys(&table);
        left.sort_unstable();
        assert_eq!(left, [vec![16], (100..115).collect()].concat());
        // Now none is full, and they were used alike, but key 16 again a moment ago.
        table.take(16, rate(), now + MILLISECOND);
        table.take(100, rate(), now + 2 * MILLISECOND);
        table.take(200, rate(), now + 3 * MILLISECOND);
        let left = keys(&table);
        assert!(left.contains(&16) && left.contains(&100) && left.contains(&200), "{left:?}");
        assert!(!left.contains(&101), "it was idle longest: {left:?}");
    }

    #[test]
    fn a_million_addresses_take_no_more_memory_and_nobodys_bucket() {
        let table = Table::new(100_000);
        let bytes = size_of_val(&*table.sets);
        assert!(bytes < 2 * 1024 * 1024, "{bytes} bytes, all there will ever be");
        let honest: Vec<u64> = (0..100).map(|number| spread(1 << 40 | number)).collect();
        for key in &honest {
            table.take(*key, rate(), 0);
            table.take(*key, rate(), 0);
        }
        // The clock stands still: not one bucket of the flood is refilled, which is the worst that can be.
        for number in 0..1_000_000 {
            assert!(table.take(spread(number), rate(), 0).allowed, "a newcomer finds a full bucket");
        }
        assert!(keys(&table).len() <= 100_000);
        for key in &honest {
            assert_eq!(table.take(*key, rate(), 0).remaining, 7, "two were taken before, and this one");
        }
    }

    #[test]
    fn racing_threads_get_what_is_there_and_not_one_more() {
        let table = Arc::new(Table::new(64));
        let rate = Rate::new(1, 1000);
        let allowed: Arc<Vec<AtomicU32>> = Arc::new((0..4).map(|_| AtomicU32::new(0)).collect());
        let racer = |_| {
            let (table, allowed) = (Arc::clone(&table), Arc::clone(&allowed));
            std::thread::spawn(move || {
                for turn in 0..4000_u64 {
                    let key = turn % 4;
                    if table.take(key, rate, 5).allowed {
                        allowed[usize::try_from(key).unwrap()].fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let racers: Vec<_> = (0..4).map(racer).collect();
        racers.into_iter().for_each(|racer| racer.join().unwrap());
        let allowed: Vec<u32> = allowed.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(allowed, [1000; 4]);
    }
}
